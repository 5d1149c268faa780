"""Building a step again with some of its operations replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...core import Node, Primitive
from ...core.node import Spec
from ..step import Edge, Step, give_name, node_of

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

    def finish(self) -> Step:
        """Return the copy, its values under the names that they had."""
        step = self.step
        for node in step.graph:
            for slot, watch in (node.watches or {}).items():
                if (node, slot) in self.edges:
                    give_name(self.edges[node, slot], watch.name)
        ys = [self.edges[edge] for edge in step.ys]
        after = [self.edges[edge] for edge in step.next_carry]
        return Step(step.carry, step.xs, step.constants, ys, after, step.fixed, step.zeros)


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
