"""Print the machine code of the inner loop of one register tile, as this machine runs it.

python -m tests.benchmarks.machine_code [--dtype float32|float64] [--bits 128|256|512]
"""

from __future__ import annotations

import argparse

import llvmlite.binding as llvm
import llvmlite.ir as ir
import numpy as np

from tinygrad_rnn import nn
from tinygrad_rnn.core import Spec
from tinygrad_rnn.core.tree import tree_flatten
from tinygrad_rnn.scan import derive
from tinygrad_rnn.scan.native.engine import prepared as for_machine_code
from tinygrad_rnn.scan.native.plan import Plan
from tinygrad_rnn.scan.native.products import emit_product
from tinygrad_rnn.scan.native.target import Target, host, machine_of
from tinygrad_rnn.scan.prepare import prepared
from tinygrad_rnn.scan.step import traced


def plans(batch: int = 16, features: int = 3, hidden: int = 4) -> tuple[Plan, Plan]:
    """Return how the forward and the backward loop of an LSTM are run."""
    single = np.dtype(np.float32)
    cell, row = nn.LSTMCell(features, hidden), Spec((batch, hidden), single)

    structures = tree_flatten(0)[1], tree_flatten((0, 0))[1]
    found = traced(cell, [Spec((batch, features), single)], [row, row], structures)
    one = prepared(found.step, lambda step: step).step
    constants = (True,) * len(one.constants)
    forward = derive.saving(one, (True,), constants)
    has = (True,) * len(one.ys) + (False,) * (len(forward.ys) - len(one.ys))
    backward = derive.vjp(forward, derive.Wanted(has, (True,), constants)).step
    return Plan(for_machine_code(forward), 50, reverse=False), Plan(for_machine_code(backward), 50, reverse=True)


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
    """Print the plans and the loop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--bits", type=int, choices=[128, 256, 512])
    options = parser.parse_args()
    for name, plan in zip(("forward", "backward"), plans(), strict=True):
        print(f"{name}\n{plan}\n")
    target = host(options.bits)
    lines = inner_loop(options.dtype, target)
    print(f"{target.cpu}, {target.bits} bits, a tile of {target.rows} rows and {target.columns} vectors:")
    print("\n".join(line for line in lines if line.strip()))


if __name__ == "__main__":
    main()
