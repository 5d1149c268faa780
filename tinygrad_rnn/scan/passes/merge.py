"""Merge: equal operations on adjacent slices become one operation on the slice that they make together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...core import Node, Spec
from ...core.trace import freeze
from ..families import is_elementwise
from ..step import Edge, Step, constants_of, described, give_name, together
from .rebuild import Operand, Rebuilder, call, concatenated, joined, order_with, pieces, rebuilt


def merge(step: Step) -> Step:
    """Return the step with few operations on wide arrays in place of many on narrow ones.

    What an operation reads beside slices may be the same for all of them, or constants, which are put together.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.core import Spec
        >>> from tinygrad_rnn.scan.passes.merge import merge
        >>> from tinygrad_rnn.scan.step import traced
        >>> def step(x, h):
        ...     a, b, c = np.split(h + x, 3)
        ...     return np.concatenate([np.exp(a), np.exp(b), np.tanh(c)]), h
        >>> row = Spec((6,), np.dtype(float))
        >>> print(merge(traced(step, (row,), (row,)).step))
        %0 = leaf h                              float64[6]
        %1 = leaf x                              float64[6]
        %2 = add(%0, %1)                         float64[6]
        %3 = split(%2, bounds=(4, 6), axis=0)    float64[4], float64[2]
        %4 = exp(%3.0)                           float64[4]
        %5 = split(%4, bounds=(2, 4), axis=0)    float64[2], float64[2]
        %6 = tanh(%3.1)                          float64[2]
        %7 = concatenate(%5.0, %5.1, %6, axis=0) float64[6]
        return %7, %0
    """
    refused: set[frozenset[int]] = set()
    while True:
        found = _one_less(step, refused)
        if found is None:
            return step
        step = found


def _one_less(step: Step, refused: set[frozenset[int]]) -> Step | None:
    for group in _groups(step):
        key = frozenset([node.sequence for node in group])
        if key in refused:
            continue
        if order_with(step, group) is None:
            refused.add(key)
            continue
        cut = [node for node in _splits(group[0]) if len(node.specs) > len(group)]
        if cut:
            slots = [_slot(node) for node in group]
            return rebuilt(step, _nested(cut, slots[0], slots[-1] + 1))
        return joined(step, group, _as_one)
    return None


def _groups(step: Step) -> list[list[Node]]:
    """Find the longest runs of operations that agree in all but the slices that they read."""
    constant = constants_of(step)
    alike: dict[Any, list[Node]] = {}
    for node in step.graph:
        key = _signature(node, constant)
        if key is not None:
            alike.setdefault(key, []).append(node)
    groups = []
    for nodes in alike.values():
        nodes.sort(key=_slot)
        run = nodes[:1]
        for node in nodes[1:]:
            if _slot(node) == _slot(run[-1]) + 1:
                run.append(node)
                continue
            groups.append(run)
            run = [node]
        groups.append(run)
    return [run for run in groups if len(run) > 1]


def _signature(node: Node, constant: set[Node]) -> Any:
    """Return what operations must agree in to be done as one; None of one that cannot be."""
    if node.primitive is None or node in constant or not is_elementwise(node) or not _splits(node):
        return None
    slots = {slot for parent, slot in zip(node.parents, node.slots, strict=True) if _is_cut(parent)}
    bounds = {split.params["bounds"] for split in _splits(node)}
    spec = node.specs[0]
    if len(slots) > 1 or len(bounds) > 1:
        return None
    operands: list[Any] = []
    for parent, slot, arg in zip(node.parents, node.slots, node.args or (), strict=True):
        if parent is None:
            operands.append((type(arg), arg))
            continue
        shape = parent.specs[slot].shape
        if _is_cut(parent):
            if shape[-1:] != spec.shape[-1:]:
                return None
            operands.append(parent)
        elif shape[-1:] == spec.shape[-1:] and parent in constant:
            operands.append((shape[:-1], parent.specs[slot].dtype))
        elif shape[-1:] in ((), (1,)) and spec.shape[-1:] != (1,):
            operands.append((parent, slot))
        else:
            return None
    return (node.primitive, freeze(node.params), spec.shape[:-1], spec.dtype, *operands)


def _is_cut(node: Node | None) -> bool:
    """Whether a node cuts a value along its last axis."""
    return node is not None and node.operation == "split" and node.params["axis"] == len(node.specs[0].shape) - 1


def _splits(node: Node) -> list[Node]:
    return [parent for parent in node.parents if parent is not None and _is_cut(parent)]


def _slot(node: Node) -> int:
    return next(slot for parent, slot in zip(node.parents, node.slots, strict=True) if _is_cut(parent))


def _nested(splits: list[Node], start: int, stop: int) -> Callable[[Rebuilder, Node], bool]:
    """Return what makes of some splits a coarse one, and a fine one of the part from `start` to `stop`."""

    def replace(new: Rebuilder, node: Node) -> bool:
        if node not in splits:
            return False
        widths = [spec.shape[-1] for spec in node.specs]
        coarse = pieces(new.operands(node)[0], [*widths[:start], sum(widths[start:stop]), *widths[stop:]])
        give_name(coarse[start], _together([(node, slot) for slot in range(start, stop)]))
        fine = pieces(coarse[start], widths[start:stop])
        for slot, edge in enumerate([*coarse[:start], *fine, *coarse[start + 1 :]]):
            new.edges[node, slot] = edge
        return True

    return replace


def _as_one(new: Rebuilder, group: list[Node]) -> list[Edge]:
    first = group[0]
    columns = zip(*[new.operands(node) for node in group], strict=True)
    operands: list[Operand] = []
    for parent, column in zip(first.parents, columns, strict=True):
        if _is_cut(parent):
            cut = column[0][0]
            operands.append((cut.parents[0], cut.slots[0]))
        elif all(operand == column[0] for operand in column):
            operands.append(column[0])
        else:
            operands.append(concatenated(list(column)))
            i = len(operands) - 1
            give_name(operands[i], together([(node.parents[i], node.slots[i]) for node in group]))  # type: ignore[misc]
    widths = [node.specs[0].shape[-1] for node in group]
    spec = first.specs[0]
    whole = call(first.primitive, operands, (Spec((*spec.shape[:-1], sum(widths)), spec.dtype),), **first.params)  # type: ignore[arg-type]
    give_name(whole, _together([(node, 0) for node in group]))
    parts = pieces(whole, widths)
    for node, part in zip(group, parts, strict=True):
        if described((node, 0)) != node.operation:
            give_name(part, described((node, 0)))
    return parts


def _together(edges: list[Edge]) -> str | None:
    """Return the names of values next to each other, if each has one."""
    names = [edge[0].name_of(edge[1]) for edge in edges]
    return None if None in names else "_".join(names)  # type: ignore[arg-type]
