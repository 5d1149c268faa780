"""Regroup: in a sum of many terms, what is known before the loop is added up before the loop."""

from __future__ import annotations

from ...core import Node
from ..step import Step, constants_of, give_name, together
from .reassociate import sums_of, terms_of
from .rebuild import Rebuilder, rebuilt


def regroup(step: Step) -> Step:
    """Return the step with the terms of its sums in the order constants, what depends on x alone, others.

    Two biases become one vector, computed once. The result differs from the original in rounding alone.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.core import Spec
        >>> from tinygrad_rnn.scan.passes.regroup import regroup
        >>> from tinygrad_rnn.scan.step import traced
        >>> row, b, d = Spec((2,), np.dtype(float)), np.ones(2), np.zeros(2)
        >>> found = traced(lambda x, h: (h, (x + b) + (h + d)), (row,), (row,))
        >>> print(regroup(found.step))
        %0 = leaf h                 float64[2]
        %1 = leaf x                 float64[2]
        %2 = leaf                   float64[2]
        %3 = leaf                   float64[2]
        %4 = add(%2, %3)            float64[2]
        %5 = add(%1, %4)            float64[2]
        %6 = add(%5, %0)            float64[2]
        return %0, %6
    """
    constant = constants_of(step)
    early = constant | set(step.xs)
    for node in step.graph:
        if node.primitive is not None and all(parent is None or parent in early for parent in node.parents):
            early.add(node)

    def replace(new: Rebuilder, node: Node) -> bool:
        found = terms_of(step, node, constant)
        constants = [new.edges[edge] for edge, _ in found if edge is not None and edge[0] in constant]
        numbers = [arg for edge, arg in found if edge is None]
        known = [new.edges[edge] for edge, _ in found if edge is not None and edge[0] in early - constant]
        others = [new.edges[edge] for edge, _ in found if edge is not None and edge[0] not in early]
        if len(found) < 3 or len(constants) + len(numbers) + len(known) < 2:
            return False
        fixed = sums_of(node, [*constants, *numbers]) if constants else numbers
        if len(constants) > 1:
            give_name(fixed[0], together([edge for edge, _ in found if edge is not None and edge[0] in constant]))
        before = sums_of(node, [*known, *fixed]) if known else fixed
        new.edges[node, 0] = sums_of(node, [*before, *others] if known or constants else [*others, *numbers])[0]
        return True

    return rebuilt(step, replace)
