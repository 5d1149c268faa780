"""Simplify: what is computed twice is computed once, and what changes nothing is left out."""

from __future__ import annotations

from typing import Any

from ...core import Node
from ...core.trace import freeze
from ..step import Step
from .rebuild import Rebuilder, rebuilt


def simplify(step: Step, differentiated: bool = True) -> Step:
    """Return the step without repeated operations and without those that hand on their argument.

    Args:
        step: the step.
        differentiated: no derivative will be taken of it, so that `stop` does nothing any more.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.core.node import Spec
        >>> from tinygrad_rnn.scan.passes.simplify import simplify
        >>> from tinygrad_rnn.scan.step import traced
        >>> row = Spec((2,), np.dtype(float))
        >>> found = traced(lambda x, h: (np.exp(h) * np.exp(h), h + x), (row,), (row,))
        >>> len(found.step.graph), len(simplify(found.step).graph)
        (6, 5)
    """
    idle = ("identity", "stop") if differentiated else ("identity",)
    seen: dict[Any, Node] = {}

    def replace(new: Rebuilder, node: Node) -> bool:
        operands = new.operands(node)
        if node.operation in idle and type(operands[0]) is tuple:
            new.edges[node, 0] = operands[0]
            return True
        key = (node.primitive, *[_key(operand) for operand in operands], freeze(node.params))
        known = seen.get(key)
        if known is not None:
            for slot in range(len(node.specs)):
                new.edges[node, slot] = (known, slot)
            return True
        new.copy(node)
        seen[key] = new.edges[node, 0][0]
        return True

    return rebuilt(step, replace)


def _key(operand: Any) -> Any:
    return operand if type(operand) is tuple else (type(operand), operand)
