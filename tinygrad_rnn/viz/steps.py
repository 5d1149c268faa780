"""Steps: whether stretches of a graph are the same step of a loop, operand by operand."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ..core import Node

Step = Sequence["Node | None"]
Operand = tuple[Any, ...]
Place = tuple[int, int]


class Steps:
    """Stretches of a graph, one a step, the same operations in the same order; None where a step lacks one.

    Args:
        steps: the operations of each step.
        inputs: leaves that are no weights: each step may read another one.

    Attributes:
        place: (step, position) of each node.
    """

    def __init__(self, steps: Sequence[Step], inputs: Collection[Node] = ()) -> None:
        self.steps = steps
        self.inputs = inputs
        self.place: dict[Node, Place] = {
            node: (t, j) for t, step in enumerate(steps) for j, node in enumerate(step) if node is not None
        }

    def operands(self, t: int) -> list[list[Operand]]:
        """Return, for each operation of a step, where each of its arguments comes from.

        `("step", lag, position, slot)` is a result of this step, or of one `lag` steps before; `("weight", leaf)` a
        leaf, `("outside",)` anything else that was computed or given outside, `("constant",)` what is recorded nowhere.
        """
        found = []
        for node in self.steps[t]:
            operands: list[Operand] = []
            if node is not None:
                for parent, slot in zip(node.parents, node.slots, strict=True):
                    if parent is None:
                        operands.append(("constant",))
                    elif parent in self.place:
                        s, j = self.place[parent]
                        operands.append(("step", t - s, j, slot))
                    elif parent.primitive is None and parent not in self.inputs:
                        operands.append(("weight", parent))
                    else:
                        operands.append(("outside",))
            found.append(operands)
        return found

    def fits(self, t: int, usual: list[list[Operand]]) -> bool:
        """Return whether a step reads what the usual one reads.

        What that carries over, one of the first steps gets from outside. What the first step lacks is constant, and
        what the last one lacks nothing reads.
        """
        for mine, theirs in zip(self.operands(t), usual, strict=True):
            if mine and len(mine) != len(theirs):
                return False
            for operand, expected in zip(mine, theirs, strict=False):
                if operand != expected and not (expected[0] == "step" and self._stands_in(t, operand, expected)):
                    return False
        return True

    def _stands_in(self, t: int, operand: Operand, expected: Operand) -> bool:
        _, lag, position, _ = expected
        if t >= lag and self.steps[t - lag][position] is not None:
            return False
        return bool(operand[0] != "step") if lag else operand == ("constant",)


def begins_like(early: list[list[Operand]], later: list[list[Operand]]) -> bool:
    """Return whether a step may be one of the first of a loop: what later ones carry over, it gets from outside."""
    for mine, theirs in zip(early, later, strict=True):
        if len(mine) != len(theirs):
            return False
        for operand, usual in zip(mine, theirs, strict=True):
            is_carried = usual[0] == "step" and usual[1] > 0
            if operand != usual and not (is_carried and operand[0] != "step"):
                return False
    return True


class Code:
    """Numbers for operations: two have the same one where steps of a loop may hold them at the same position.

    Integers among the settings do not count, since an index may be the time; where operands come from does not either.
    """

    def __init__(self, strict: bool = True) -> None:
        self._strict = strict
        self._numbers: dict[Any, int] = {}

    def of(self, node: Node) -> int:
        """Return the number of an operation."""
        key: Any = node.primitive
        if self._strict:
            specs = [(spec.shape, spec.dtype) for spec in node.specs]
            settings = [(name, form(value)) for name, value in node.params.items()]
            key = (key, len(node.parents), *specs, *settings)
        return self._numbers.setdefault(key, len(self._numbers))


def form(value: Any) -> Any:
    """Return a setting with its integers left out."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int
    if isinstance(value, slice):
        return (slice, form(value.start), form(value.stop), form(value.step))
    if isinstance(value, (tuple, list)):
        return (type(value), *map(form, value))
    if isinstance(value, (str, float, bool, np.dtype, type(None), type(Ellipsis))):
        return value
    return type(value)


def integers(value: Any) -> list[int]:
    """Return the integers of a setting, in order."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return [int(value)]
    if isinstance(value, slice):
        return integers((value.start, value.stop, value.step))
    if isinstance(value, (tuple, list)):
        return [number for part in value for number in integers(part)]
    return []


def moves_evenly(rows: Sequence[Sequence[int]]) -> bool:
    """Return whether integers, one row a step, stay the same or change by the same amount from step to step."""
    if len({len(row) for row in rows}) > 1:
        return False
    change = np.diff(np.array(rows, dtype=object), axis=0)
    return bool((change == change[:1]).all())
