"""Lift: what is computed from constants alone leaves the step, so that its gradient does not have to pass the loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...core import Node
from ...core.node import leaf
from ..step import Edge, Step, constants_of, described, spec_at
from .rebuild import Rebuilder


class Lifted(NamedTuple):
    """A step, and how its constants are computed from those of the step that it was made of.

    Args:
        step: the step.
        given: the constants of the step before.
        operations: what is computed from them.
        edges: for each constant of the step, what it stands for.
    """

    step: Step
    given: tuple[Node, ...]
    operations: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def constants(self, values: Sequence[Any]) -> list[Any]:
        """Return the constants of the step: arrays of arrays, tensors of tensors, recorded as any other operation."""
        found: dict[Edge, Any] = {(node, 0): value for node, value in zip(self.given, values, strict=True)}
        for node in self.operations:
            args = [
                arg if parent is None else found[parent, slot]
                for parent, slot, arg in zip(node.parents, node.slots, node.args or (), strict=True)
            ]
            out = node.primitive(*args, **node.params)  # type: ignore[misc]
            for slot, part in enumerate(out if isinstance(out, (list, tuple)) else (out,)):
                found[node, slot] = part
        return [found[edge] for edge in self.edges]


def lift(step: Step) -> Lifted:
    """Return the step with constants in place of what is computed from constants.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.core import Spec
        >>> from tinygrad_rnn.scan.passes.lift import lift
        >>> from tinygrad_rnn.scan.passes.regroup import regroup
        >>> from tinygrad_rnn.scan.step import traced
        >>> row, b, d = Spec((2,), np.dtype(float)), np.ones(2), np.ones(2)
        >>> found = traced(lambda x, h: (h, (x + b) + (h + d)), (row,), (row,))
        >>> lifted = lift(regroup(found.step))
        >>> print(lifted.step)
        %0 = leaf h                 float64[2]
        %1 = leaf x                 float64[2]
        %2 = leaf add               float64[2]
        %3 = add(%1, %2)            float64[2]
        %4 = add(%3, %0)            float64[2]
        return %0, %4
        >>> lifted.constants(found.captured)
        [array([2., 2.])]
    """
    constant = constants_of(step) - set(step.fixed)
    for node in step.graph:
        # What has no parent but numbers is as constant as the rest.
        if node in constant and not constant.issuperset([parent for parent in node.parents if parent is not None]):
            constant.remove(node)
    operations = tuple([node for node in step.graph if node in constant and node.primitive is not None])
    if not operations:
        return Lifted(step, step.constants, (), tuple([(node, 0) for node in step.constants]))
    new = Rebuilder(step)
    read: dict[Edge, None] = {}
    outside = [node for node in step.graph if node not in constant]
    for node in outside:
        edges = [(p, slot) for p, slot in zip(node.parents, node.slots, strict=True) if p is not None and p in constant]
        read |= dict.fromkeys(edges)
    read |= dict.fromkeys([edge for edge in (*step.ys, *step.next_carry) if edge[0] in constant])
    stands = {edge: edge[0] if edge[0].primitive is None else leaf(spec_at(edge), described(edge)) for edge in read}
    new.edges |= {edge: (node, 0) for edge, node in stands.items()}
    for node in outside:
        if node.primitive is not None:
            new.copy(node)
    return Lifted(new.finish(tuple(stands.values())), step.constants, operations, tuple(stands))
