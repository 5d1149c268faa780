"""Factor: g - g a b becomes g (1 - a b), so that what does not depend on g can leave the loop."""

from __future__ import annotations

from ...core import Node
from ...ops.arithmetic import subtract
from ..step import Edge, Step, give_name
from .rebuild import Rebuilder, call, rebuilt


def factor(step: Step) -> Step:
    """Return the step with the derivative of a tanh, g - g a a, as a product; and with a + (-b) as a - b.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.core import Spec
        >>> from tinygrad_rnn.scan.passes.factor import factor
        >>> from tinygrad_rnn.scan.step import traced
        >>> row = Spec((2,), np.dtype(float))
        >>> print(factor(traced(lambda x, h: (h, h - h * x * x), (row,), (row,)).step))
        %0 = leaf h                 float64[2]
        %1 = leaf x                 float64[2]
        %2 = multiply(%1, %1)       float64[2]
        %3 = subtract(1, %2)        float64[2]  # slope_of_x
        %4 = multiply(%0, %3)       float64[2]
        return %0, %4
    """

    def replace(new: Rebuilder, node: Node) -> bool:
        if node.operation == "add":
            for i in (1, 0):
                negative, other = node.parents[i], new.operands(node)[1 - i]
                if negative is not None and negative.operation == "negative" and node.parents[1 - i] is not None:
                    new.edges[node, 0] = call(subtract, [other, new.operands(negative)[0]], node.specs)
                    return True
        outer = node.parents[1] if node.operation == "subtract" else None
        if outer is not None and outer.operation == "multiply" and _edge(outer, 0) == _edge(outer, 1) == _edge(node, 0):
            new.copy(node)
            _name_slope(new.edges[node, 0], new.operands(node)[0])
            return True
        inner = outer.parents[0] if outer is not None and outer.operation == "multiply" else None
        if inner is None or inner.operation != "multiply" or node.specs[0].dtype.kind != "f":
            return False
        assert outer is not None
        parts = [_edge(node, 0), _edge(inner, 0), _edge(inner, 1), _edge(outer, 1)]
        same = all(part is not None and _kind(part) == _kind((node, 0)) for part in parts)
        if not same or parts[0] != parts[1]:
            return False
        g, _, a, b = [new.edges[part] for part in parts if part is not None]
        product = call(inner.primitive, [a, b], node.specs)  # type: ignore[arg-type]
        slope = call(subtract, [1, product], node.specs)
        if a == b:
            _name_slope(slope, a)
        new.edges[node, 0] = call(inner.primitive, [g, slope], node.specs)  # type: ignore[arg-type]
        return True

    return rebuilt(step, replace)


def _name_slope(edge: Edge, out: Edge) -> None:
    """Name the derivative of what has a result, as is that of a sigmoid, s - s s, after the result."""
    if type(out) is tuple and out[0].name_of(out[1]):
        give_name(edge, f"slope_of_{out[0].name_of(out[1])}")


def _edge(node: Node, argument: int) -> Edge | None:
    parent = node.parents[argument]
    return None if parent is None else (parent, node.slots[argument])


def _kind(edge: Edge) -> tuple[object, ...]:
    spec = edge[0].specs[edge[1]]
    return spec.shape, spec.dtype
