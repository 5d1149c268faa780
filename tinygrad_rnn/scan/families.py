"""What the compiler knows of operations, by family: how each acts on the axes of what it is given."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Node

# Element by element, though the function that computes them is no ufunc.
_ALSO_ELEMENTWISE = frozenset({"sigmoid", "relu", "softplus", "where", "astype", "clip", "stop", "identity", "erf"})
_VIEWS = frozenset({"split", "getitem", "reshape", "transpose", "broadcast_to"})
_REDUCTIONS = frozenset({"sum", "mean", "max", "min", "any", "all"})


def is_elementwise(node: Node) -> bool:
    """Whether each element of the result depends on the elements at its own place alone."""
    forward = getattr(node.primitive, "forward", None)
    return node.operation in _ALSO_ELEMENTWISE or (isinstance(forward, np.ufunc) and node.operation != "matmul")


def is_view(node: Node) -> bool:
    """Whether the result is a view of the first argument."""
    if node.operation == "getitem":
        return len(node.parents) == 1
    return node.operation in _VIEWS


def is_reduction(node: Node) -> bool:
    """Whether the operation reduces axes, named by its parameters `axis` and `keepdims`."""
    return node.operation in _REDUCTIONS


def is_product_with_matrix(node: Node) -> bool:
    """Whether the operation multiplies by a matrix on the right."""
    return node.operation == "matmul" and ndim_of(node, 1) == 2 and ndim_of(node, 0) >= 2


def ndim_of(node: Node, argument: int) -> int:
    """Return the number of axes of an argument."""
    assert node.args is not None
    return np.ndim(node.args[argument]) if node.parents[argument] is None else len(shape_of(node, argument))


def shape_of(node: Node, argument: int) -> tuple[int, ...]:
    """Return the shape of an argument; () of a Python number."""
    parent = node.parents[argument]
    return () if parent is None else parent.specs[node.slots[argument]].shape


def spans_time(node: Node, over_time: list[bool]) -> bool:
    """Whether an operation can be done for all steps at once, in one call on arrays with time as first axis.

    Args:
        node: the operation.
        over_time: for each argument, whether it differs from step to step.
    """
    if (
        is_elementwise(node)
        or is_reduction(node)
        or node.operation in ("reshape", "transpose", "broadcast_to", "split")
    ):
        return True
    if node.operation == "matmul":
        # With time as first axis, the stacks of matrices must still meet axis by axis.
        left, right = ndim_of(node, 0), ndim_of(node, 1)
        if min(left, right) < 2:
            return False
        return left == right if all(over_time) else left >= right if over_time[0] else left == 2
    if node.operation == "getitem":
        index = node.params["index"]
        if len(node.parents) == 1:
            return over_time[0]
        table = type(index) is tuple and len(index) == 1 and len(node.parents) == 2
        return table and not over_time[0] and over_time[1]
    return node.operation in ("concatenate", "stack") and all(over_time)


def index_text(index: Any) -> str:
    """Return an index of slices, numbers, None and `...` as one writes it."""
    parts = index if type(index) is tuple else (index,)
    return ", ".join([_part_text(part) for part in parts]) or "()"


def _part_text(part: Any) -> str:
    if type(part) is not slice:
        return "..." if part is Ellipsis else repr(part)
    ends = ["" if end is None else repr(end) for end in (part.start, part.stop, part.step)]
    return f"{ends[0]}:{ends[1]}" + (f":{ends[2]}" if ends[2] else "")
