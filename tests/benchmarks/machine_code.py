"""Print the machine code of the inner loop of one register tile, as this machine runs it.

python -m tests.benchmarks.machine_code [--dtype float32|float64] [--bits 128|256|512]
"""

from __future__ import annotations

import argparse

import llvmlite.binding as llvm
import llvmlite.ir as ir

from tinygrad_rnn.scan.native.products import emit_product
from tinygrad_rnn.scan.native.target import Target, host, machine_of


def inner_loop(dtype: str, target: Target) -> list[str]:
    """Return the lines of the loop over k of a whole tile."""
    module = ir.Module()
    emit_product(module, dtype, target)
    machine = machine_of(target)
    module.triple, module.data_layout = llvm.get_process_triple(), str(machine.target_data)
    text = machine.emit_assembly(llvm.parse_assembly(str(module)))
    name = f"tile_{target.rows}x1_{'f32' if dtype == 'float32' else 'f64'}:"
    body = text.split(name, 1)[1].split(".cfi_endproc", 1)[0].splitlines()
    jumps = [i for i, line in enumerate(body) if line.split("#")[0].split()[:1] in (["jg"], ["jne"], ["jge"])]
    for end in jumps:
        label = body[end].split()[1] + ":"
        starts = [i for i in range(end) if body[i].startswith(label)]
        if starts:
            return [
                line.split("#")[0].rstrip() for line in body[starts[0] : end + 1] if not line.strip().startswith("#")
            ]
    return body


def main() -> None:
    """Print the loop and how many products of vectors it does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--bits", type=int, choices=[128, 256, 512])
    options = parser.parse_args()
    target = host(options.bits)
    lines = inner_loop(options.dtype, target)
    print(f"{target.cpu}, {target.bits} bits, a tile of {target.rows} rows and {target.columns} vectors:")
    print("\n".join(line for line in lines if line.strip()))


if __name__ == "__main__":
    main()
