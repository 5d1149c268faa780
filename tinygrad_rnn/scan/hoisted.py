"""What a step computes from its constants alone, once and outside of its trace, as part of the step."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Node, Spec, Tensor
from ..core.names import LocalNames
from ..core.node import ancestors, leaf
from .passes.rebuild import Rebuilder
from .step import Edge, Step, Traced, give_name, node_of


def with_constants(found: Traced, names: LocalNames, since: int) -> tuple[Step, list[Any]]:
    """Return a step with what was computed from its constants alone while it was traced, which the trace leaves out.

    Args:
        found: the trace.
        names: of values, found while it was traced.
        since: the number that the next node had before that.

    Returns:
        The step, and what each of its constants stands for: an array, a tensor's node, or None for a tensor without a
        gradient that has a name.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn.core.names import LocalNames
        >>> from tinygrad_rnn.core.node import next_sequence
        >>> from tinygrad_rnn.scan.hoisted import with_constants
        >>> from tinygrad_rnn.scan.step import traced
        >>> rate, row = tg.Tensor([1.0, 2.0], requires_grad=True, name="rate"), tg.Spec((2,), np.dtype(float))
        >>> since = next_sequence()
        >>> with LocalNames() as names:
        ...     found = traced(lambda x, h: (h, h * np.exp(rate) + x), (row,), (row,))
        >>> print(with_constants(found, names, since)[0])
        %0 = leaf h                 float64[2]
        %1 = leaf x                 float64[2]
        %2 = leaf rate              float64[2]
        %3 = exp(%2)                float64[2]
        %4 = multiply(%0, %3)       float64[2]
        %5 = add(%4, %1)            float64[2]
        return %0, %5
    """
    step = found.named(names)
    new, constants = Rebuilder(step), {}
    edges: dict[Any, Edge] = {}  # by node and output outside, or by the id of what is no node's

    def constant(key: Any, node: Node, stands_for: Any) -> None:
        constants[node] = stands_for
        edges[key] = node, 0

    computed: dict[Node, Edge] = {}
    for node, value in zip(step.constants, found.captured, strict=True):
        origin = value.node if isinstance(value, Tensor) else None
        if origin is None:
            array = value.data if isinstance(value, Tensor) else value
            constant(id(value), node, None if node.name else array)
        elif origin.primitive is None or origin.sequence < since:
            constant((origin, value._index), node, origin)
        else:
            computed[node] = origin, value._index
    for node in ancestors([origin for origin, _ in computed.values()], since):
        if node.primitive is None or node.sequence < since:
            continue
        operands = []
        for parent, slot, arg in zip(node.parents, node.slots, node.arguments, strict=True):
            if parent is not None and (parent, slot) not in edges:
                constant((parent, slot), leaf(parent.specs[slot], parent.name_of(slot)), parent)
            elif parent is None and isinstance(arg, np.ndarray) and id(arg) not in edges:
                constant(id(arg), leaf(Spec(arg.shape, arg.dtype)), arg)
            operands.append(edges.get((parent, slot) if parent is not None else id(arg), arg))
        made = node_of(node.primitive, operands, node.params, node.specs)
        for slot in range(len(node.specs)):
            edges[node, slot] = (made, slot)
            give_name((made, slot), names.found.get((node, slot)) or node.name_of(slot))
    for node, edge in computed.items():
        new.edges[node, 0] = edges[edge]
    for node in step.graph:
        if node.primitive is not None:
            new.copy(node)
    return new.finish(tuple(constants)), list(constants.values())
