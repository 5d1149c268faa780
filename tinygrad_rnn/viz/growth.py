"""Growth: repetitions whose steps get larger, or are cut off, which no picture of one step can stand for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

import numpy as np

from ..core import Graph, Node
from . import labels
from .runs import find_runs
from .steps import Code, Step, Steps

# So many steps make a rule.
_ENOUGH = 4


def refusal(
    graph: Graph, operations: list[Node], inputs: Collection[Node], growing_only: bool
) -> tuple[str | None, list[Step]]:
    """Return why a repetition is no loop, and its steps; None where nothing repeats that should be one.

    Args:
        graph: that was searched.
        operations: its nodes without the leaves.
        inputs: leaves that are no weights.
        growing_only: look for steps of more and more operations only, and not for shapes that grow.
    """
    if growing_only:
        return _longer_and_longer(graph, operations)
    return _unlike(operations, inputs)


def _longer_and_longer(graph: Graph, operations: list[Node]) -> tuple[str | None, list[Step]]:
    """Find a weight that is used at distances which grow from use to use."""
    position = {node: i for i, node in enumerate(operations)}
    for leaf in graph.inputs:
        uses: dict[tuple[object, int], list[int]] = defaultdict(list)
        for node, argument in graph.consumers[leaf]:
            uses[node.primitive, argument].append(position[node])
        for places in uses.values():
            gaps = np.diff(places)
            if len(gaps) >= _ENOUGH and (np.diff(gaps) > 0).all():
                ends = [*places[1:], len(operations)]
                steps: list[Step] = [operations[a:b] for a, b in zip(places, ends, strict=True)]
                reason = (
                    f"the steps grow: from one use of {labels.clean(leaf.name or 'a weight', 60)} to the next "
                    f"there are {', '.join(map(str, gaps[:3]))}, … operations"
                )
                return reason, steps
    return None, []


def _unlike(operations: list[Node], inputs: Collection[Node]) -> tuple[str | None, list[Step]]:
    """Find operations that repeat with the same weights, but not with the same shapes or reach."""
    code = Code(strict=False)
    codes = np.array([code.of(node) for node in operations], dtype=np.int64)
    for start, period, length in find_runs(codes):
        count = length // period
        if count < _ENOUGH:
            continue
        steps: list[Step] = [operations[start + t * period : start + (t + 1) * period] for t in range(count)]
        view = Steps(steps, inputs)
        early, late = view.operands(count - 2), view.operands(count - 1)
        shared = [a for mine, theirs in zip(early, late, strict=True) for a in mine if a[0] == "weight" and a in theirs]
        reason = (_difference(steps, early, late) or _cut_off(steps, view)) if shared else None
        if reason is not None:
            return reason, steps
    return None, []


def _cut_off(steps: list[Step], view: Steps) -> str | None:
    """Return where a step reads a constant in the place of what the steps before and after hand on."""
    usual = view.operands(len(steps) - 1)
    for t in range(1, len(steps) - 1):
        for j, (mine, theirs) in enumerate(zip(view.operands(t), usual, strict=True)):
            for a, b in zip(mine, theirs, strict=False):
                if a == ("constant",) and b[0] == "step" and 0 < b[1] <= t:
                    node = steps[t][j]
                    assert node is not None
                    return (
                        f"the steps are cut off from each other: {labels.clean(node.operation, 40)} reads a constant "
                        f"at step {t}, and what an earlier step computed at the others, as after detach()"
                    )
    return None


def _difference(steps: list[Step], early: list, late: list) -> str | None:  # type: ignore[type-arg]
    for j, (mine, theirs) in enumerate(zip(early, late, strict=True)):
        before, after = steps[-2][j], steps[-1][j]
        assert before is not None and after is not None
        name = labels.clean(after.operation, 40)
        shapes = [[labels.shape(spec) for spec in node.specs] for node in (before, after)]
        if shapes[0] != shapes[1]:
            return f"the steps grow: {name} gives {shapes[0][0]} at one step and {shapes[1][0]} at the next"
        if len(mine) != len(theirs):
            return f"the steps grow: {name} reads {len(mine)} values at one step and {len(theirs)} at the next"
        for a, b in zip(mine, theirs, strict=True):
            if a[0] == b[0] == "step" and a[1] != b[1]:
                return f"the steps reach further and further back: {name} reads what was computed {b[1]} steps before"
    return None
