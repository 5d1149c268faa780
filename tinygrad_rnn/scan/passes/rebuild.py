"""Building a step again with some of its operations replaced."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import accumulate
from typing import Any

from ...core import Node, Primitive
from ...core.node import Spec
from ...ops.shape import concatenate, split
from ..step import Edge, Step, give_name, node_of, set_line, spec_at

Operand = Any  # an edge, or a Python number


class Rebuilder:
    """A copy of a step in the making: `edges` says what stands for each value of the old one."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.edges: dict[Edge, Edge] = {}
        for node in (*step.inputs, *step.fixed):
            self.edges[node, 0] = (node, 0)

    def operands(self, node: Node) -> list[Operand]:
        """Return the arguments of an old node, as the copy has them."""
        assert node.args is not None
        return [
            arg if parent is None else self.edges[parent, slot]
            for parent, slot, arg in zip(node.parents, node.slots, node.args, strict=True)
        ]

    def copy(self, node: Node) -> None:
        """Put the same operation into the copy."""
        made = node_of(node.primitive, self.operands(node), node.params, node.specs)
        for slot in range(len(node.specs)):
            self.edges[node, slot] = (made, slot)

    def finish(self, constants: tuple[Node, ...] | None = None) -> Step:
        """Return the copy, its values under the names that they had; with other constants, if any are given."""
        step = self.step
        for node in step.graph:
            for slot, watch in (node.watches or {}).items():
                if (node, slot) in self.edges:
                    give_name(self.edges[node, slot], watch.name)
            if node.line and (node, 0) in self.edges:
                set_line(self.edges[node, 0][0], node.line)
        ys = [self.edges[edge] for edge in step.ys]
        after = [self.edges[edge] for edge in step.next_carry]
        constants = step.constants if constants is None else constants
        return Step(step.carry, step.xs, constants, ys, after, step.fixed, step.zeros)


def rebuilt(step: Step, replace: Callable[[Rebuilder, Node], bool]) -> Step:
    """Return the step with each node copied, but for those that `replace` puts something in the place of."""
    rebuilder = Rebuilder(step)
    for node in step.graph:
        if node.primitive is not None and not replace(rebuilder, node):
            rebuilder.copy(node)
    return rebuilder.finish()


def call(primitive: Primitive, operands: list[Operand], specs: tuple[Spec, ...], **params: Any) -> Edge:
    """Make a new operation and return its first result."""
    return node_of(primitive, operands, params, specs), 0


def order_with(step: Step, group: list[Node]) -> list[Node] | None:
    """Return the operations of a step in an order in which those of a group can be done as one, in place of the last.

    Returns:
        The operations, the first of the group standing for all of it; None if one of them needs another's result.
    """
    first, last = group[0], max(step.graph.number(node) for node in group)
    one = dict.fromkeys(group, first)
    waits: dict[Node, int] = {}
    readers: dict[Node, list[Node]] = {}
    for node in step.graph:
        if node.primitive is None:
            continue
        unit = one.get(node, node)
        parents = [one.get(parent, parent) for parent in node.parents if parent is not None and parent.primitive]
        waits[unit] = waits.get(unit, 0) + len(parents)
        for parent in parents:
            readers.setdefault(parent, []).append(unit)
    place = {node: last if node is first else step.graph.number(node) for node in waits}
    ready: list[tuple[int, int, Node]] = []
    for node, count in waits.items():
        if not count:
            heappush(ready, (place[node], node.sequence, node))
    found = []
    while ready:
        node = heappop(ready)[2]
        found.append(node)
        for reader in readers.get(node, ()):
            waits[reader] -= 1
            if not waits[reader]:
                heappush(ready, (place[reader], reader.sequence, reader))
    return found if len(found) == len(waits) else None


def joined(step: Step, group: list[Node], join: Callable[[Rebuilder, list[Node]], list[Edge]]) -> Step | None:
    """Return the step with a group of operations of one result each done as one.

    Args:
        step: the step.
        group: the operations.
        join: returns what stands for each of their results.

    Returns:
        The step; None if an operation of the group needs another's result.
    """
    order = order_with(step, group)
    if order is None:
        return None
    rebuilder = Rebuilder(step)
    for node in order:
        if node is group[0]:
            for member, edge in zip(group, join(rebuilder, group), strict=True):
                rebuilder.edges[member, 0] = edge
        else:
            rebuilder.copy(node)
    return rebuilder.finish()


def concatenated(operands: list[Edge]) -> Edge:
    """Put values next to each other along their last axis."""
    specs = [spec_at(operand) for operand in operands]
    shape = (*specs[0].shape[:-1], sum(spec.shape[-1] for spec in specs))
    return call(concatenate, list(operands), (Spec(shape, specs[0].dtype),), axis=len(shape) - 1)


def pieces(whole: Edge, widths: list[int]) -> list[Edge]:
    """Cut a value along its last axis."""
    spec = spec_at(whole)
    specs = tuple([Spec((*spec.shape[:-1], width), spec.dtype) for width in widths])
    node = node_of(split, [whole], {"bounds": tuple(accumulate(widths)), "axis": len(spec.shape) - 1}, specs)
    return [(node, slot) for slot in range(len(widths))]
