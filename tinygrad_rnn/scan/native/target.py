"""The machine that code is emitted for, and the compilation of a module for it."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import llvmlite.binding as llvm
import llvmlite.ir as ir
import numpy as np
from numpy.typing import DTypeLike

from ...core.errors import ConfigError

CONTRACT = ("contract",)
"""The one fast-math flag that emitted arithmetic may carry: fusing a product and a sum keeps NaN, infinity and -0."""

_WIDTHS = (128, 256, 512)


@dataclass(frozen=True)
class Target:
    """What an emitter and the compiler need to know of a machine.

    Args:
        bits: Width of a vector register in bits.
        registers: How many vector registers there are.
        rows: Rows of the tile of a product whose sums stay in registers.
        columns: Columns of that tile, in vectors.
        features: Features of the machine as LLVM writes them, `"+avx2,-avx512f"`.
        cpu: LLVM's name of the machine.
    """

    bits: int
    registers: int
    rows: int
    columns: int
    features: str
    cpu: str

    def lanes(self, dtype: DTypeLike) -> int:
        """Return how many elements of dtype one vector register holds."""
        return self.bits // (8 * np.dtype(dtype).itemsize)


def host(limit: int | None = None) -> Target:
    """Describe the machine that runs this process.

    The tile is 8 rows of 2 vectors where there are 32 registers, 6 rows of 2 vectors where there are 16: the sums, a
    row of the right operand and an element of the left one fill 16. More than 8 rows gain nothing.

    Args:
        limit: The widest vectors to use, 128, 256 or 512 bits, as if the machine had no wider ones.

    Returns:
        The target, of vectors no wider than the machine's.

    Raises:
        ConfigError: If limit is another number.

    Example:
        >>> from tinygrad_rnn.scan.native.target import host
        >>> host(limit=128).lanes("float32")
        4
    """
    if limit is not None and limit not in _WIDTHS:
        raise ConfigError(f"limit is {limit!r}, it must be None or one of {_WIDTHS}: write host(limit=256)")
    _initialize()
    features = _host_features()
    x86 = llvm.get_process_triple().startswith(("x86_64", "i386", "i686"))
    bits = 512 if features.get("avx512f") else 256 if features.get("avx") else 128
    bits = min(bits, limit or bits)
    if x86:
        features["avx512f"] = bits == 512
        features["avx"] = bits >= 256
        # Several chips are described to LLVM as preferring 256 bits, for the sake of programs with little vector code.
        features["prefer-256-bit"] = False
    registers = 16 if x86 and bits < 512 else 32
    # What is absent comes last, for it takes with it all that builds on it: "-avx" ends AVX2, FMA and the rest.
    by_presence = sorted(features.items(), key=lambda feature: not feature[1])
    written = ",".join(("+" if present else "-") + name for name, present in by_presence)
    return Target(bits, registers, min(8, registers // 2 - 2), 2, written, llvm.get_host_cpu_name())


class Engine:
    """Compiled machine code. Its functions live as long as it does."""

    def __init__(self, module: llvm.ModuleRef, machine: llvm.TargetMachine) -> None:
        self._engine = llvm.create_mcjit_compiler(module, machine)
        self._engine.finalize_object()

    def function_address(self, name: str) -> int:
        """Return the address of the function of that name, for `ctypes.CFUNCTYPE(...)(address)`.

        Raises:
            ConfigError: If the compiled module has no such function.
        """
        address: int = self._engine.get_function_address(name)
        if not address:
            raise ConfigError(f"the compiled module has no function {name!r}: emit it before compile_module")
        return address


def compile_module(module: ir.Module, target: Target, optimize: bool = True) -> Engine:
    """Compile a module for a target, at optimisation level 3.

    LLVM neither vectorises nor unrolls loops: the emitters write vector types and unroll what pays, and
    a scalar loop in emitted code handles few elements.

    Args:
        module: The module. Its triple and data layout are set to this process's.
        target: What `host` returned.
        optimize: Whether LLVM improves the IR before it selects instructions; code that is as it should be
            compiles in half the time without.

    Returns:
        The engine, which the caller keeps for as long as it calls into the code.
    """
    machine = machine_of(target)
    module.triple = llvm.get_process_triple()
    module.data_layout = str(machine.target_data)
    parsed = llvm.parse_assembly(str(module))
    if optimize:
        options = llvm.create_pipeline_tuning_options(speed_level=3)
        options.loop_vectorization = False
        options.slp_vectorization = False
        options.loop_unrolling = False
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(parsed, builder)
    return Engine(parsed, machine)


def machine_of(target: Target) -> llvm.TargetMachine:
    """Return LLVM's code generator for a target."""
    _initialize()
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=target.cpu, features=target.features, opt=3, jit=True
    )


@functools.cache
def _initialize() -> None:
    """Set LLVM up for this process: from LLVM 20 on the core does so by itself, and refuses the call."""
    if llvm.llvm_version_info[0] < 20:
        llvm.initialize()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _host_features() -> dict[str, bool]:
    """Return the host's features by name; none where LLVM cannot tell, so that the baseline of the triple holds."""
    try:
        return dict(llvm.get_host_cpu_features())
    except RuntimeError:
        return {}
