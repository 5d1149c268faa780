"""The plainest engine: it calls the primitives of a step one after the other. Other engines are held against it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.node import Array
from .compiled import Program
from .step import Edge, Step, spec_at


def reference(step: Step) -> Program:
    """Return the program that runs a step as it is written."""

    def program(arrays: Sequence[Array], time: int, reverse: bool) -> list[Array]:
        count = len(step.carry)
        state = list(arrays[:count])
        xs, constants = arrays[count : count + len(step.xs)], arrays[count + len(step.xs) :]
        fixed: dict[Edge, Any] = {(node, 0): value for node, value in step.fixed.items()}
        fixed |= {(node, 0): value for node, value in zip(step.constants, constants, strict=True)}
        ys = [np.empty((time, *spec_at(edge).shape), spec_at(edge).dtype) for edge in step.ys]
        for t in range(time - 1, -1, -1) if reverse else range(time):
            values = dict(fixed)
            values |= {(node, 0): value for node, value in zip(step.carry, state, strict=True)}
            values |= {(node, 0): x[t] for node, x in zip(step.xs, xs, strict=True)}
            for node in step.graph:
                if node.primitive is None:
                    continue
                args = [
                    values[parent, slot] if parent is not None else arg
                    for parent, slot, arg in zip(node.parents, node.slots, node.args or (), strict=True)
                ]
                out = node.primitive(*args, **node.params)
                for slot, part in enumerate(out if isinstance(out, tuple) else (out,)):
                    values[node, slot] = part
            for y, edge in zip(ys, step.ys, strict=True):
                y[t] = values[edge]
            state = [values[edge] for edge in step.next_carry]
        return [*ys, *[np.array(value) for value in state]]

    return program
