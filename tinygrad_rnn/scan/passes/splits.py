"""Splits: what is cut in several ways is cut once, so that its gradient is put together once."""

from __future__ import annotations

from ...core import Node
from ..step import Edge, Step
from .rebuild import Rebuilder, pieces, rebuilt


def one_split(step: Step) -> Step:
    """Return the step with one split for each value whose last axis is split in several ways.

    Splits whose parts overlap stay as they are.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.core import Spec
        >>> from tinygrad_rnn.scan.passes.columns import columns
        >>> from tinygrad_rnn.scan.passes.splits import one_split
        >>> from tinygrad_rnn.scan.step import traced
        >>> row = Spec((2, 4), np.dtype(float))
        >>> found = traced(lambda x, h: (x[:, :2] * x[:, 2:3], h), (row,), (row,))
        >>> print(one_split(columns(found.step)))
        %0 = leaf h                              float64[2, 4]
        %1 = leaf x                              float64[2, 4]
        %2 = split(%1, bounds=(2, 3, 4), axis=1) float64[2, 2], float64[2, 1], float64[2, 1]
        %3 = multiply(%2.0, %2.1)                float64[2, 2]
        return %3, %0
    """
    found: dict[Edge, list[Node]] = {}
    for node in step.graph:
        if node.operation == "split" and node.params["axis"] == len(node.specs[0].shape) - 1:
            found.setdefault(_cut(node), []).append(node)
    read = {*step.ys, *step.next_carry}
    for node in step.graph:
        read |= {(parent, slot) for parent, slot in zip(node.parents, node.slots, strict=True) if parent is not None}
    bounds: dict[Edge, list[int]] = {}
    for edge, splits in found.items():
        union = sorted({bound for node in splits for bound in node.params["bounds"]})
        whole = all(
            (node, slot) not in read or union.index(stop) == (union.index(start) + 1 if start else 0)
            for node in splits
            for slot, (start, stop) in enumerate(_ends(node))
        )
        if len(splits) > 1 and whole and union[0]:
            bounds[edge] = union
    made: dict[Edge, list[Edge]] = {}

    def replace(new: Rebuilder, node: Node) -> bool:
        if node.operation != "split" or node not in found.get(edge := _cut(node), ()) or edge not in bounds:
            return False
        union = bounds[edge]
        if edge not in made:
            made[edge] = pieces(new.edges[edge], [b - a for a, b in zip((0, *union), union, strict=False)])
        for slot, (_, stop) in enumerate(_ends(node)):
            new.edges[node, slot] = made[edge][union.index(stop)]
        return True

    return rebuilt(step, replace)


def _cut(node: Node) -> Edge:
    return (node.parents[0], node.slots[0])  # type: ignore[return-value]


def _ends(node: Node) -> list[tuple[int, int]]:
    bounds = node.params["bounds"]
    return [*zip((0, *bounds), bounds, strict=False)]
