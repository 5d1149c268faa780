"""Views: which elements of each value of a step are read, so that a joint product falls into its parts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ...core import Array, Node
from ...scan.families import is_elementwise, shape_of
from ...scan.step import Edge, Step, spec_at

# Operations that move elements and compute nothing, each of one array.
_MOVES = frozenset({"broadcast_to", "flip", "getitem", "reshape", "split", "transpose", "unstack"})
_JOINS = frozenset({"concatenate", "stack"})
_PRODUCTS = frozenset({"matmul", "einsum"})

# A view is an array of places in a value, in the order in which they are read.
Views = dict[Edge, list[Array]]


def whole(edge: Edge) -> Array:
    """Return the view of all elements of a value."""
    spec = spec_at(edge)
    return np.arange(spec.size).reshape(spec.shape)


def key_of(view: Array) -> bytes:
    """Return what tells a view apart, its shape left aside."""
    return np.ascontiguousarray(view.reshape(-1)).tobytes()


def is_whole(view: Array, edge: Edge) -> bool:
    """Whether a view holds all elements of a value in their order."""
    return key_of(view) == key_of(whole(edge))


def is_move(node: Node) -> bool:
    """Whether an operation moves the elements of its one array, and computes nothing."""
    return node.operation in _MOVES and len(node.parents) == 1


def is_join(node: Node) -> bool:
    """Whether an operation puts arrays together."""
    return node.operation in _JOINS


def variable(node: Node, constant: set[Node]) -> list[int]:
    """Return the positions of the arguments that differ from step to step."""
    return [i for i, parent in enumerate(node.parents) if parent is not None and parent not in constant]


def is_affine_product(node: Node, constant: set[Node]) -> bool:
    """Whether an operation multiplies one value by constants and adds up."""
    return node.operation in _PRODUCTS and len(variable(node, constant)) == 1


def parts(node: Node, view: Array) -> list[tuple[int, Array]]:
    """Return which arguments of a joining operation a view reads, in order, and which elements of each."""
    shapes = [shape_of(node, i) for i in range(len(node.parents))]
    owners = [np.full(shape, i) for i, shape in enumerate(shapes)]
    places = [np.arange(int(np.prod(shape))).reshape(shape) for shape in shapes]
    owner = _moved(node, owners, 0, view)
    place = _moved(node, places, 0, view)
    return [(i, place[owner == i]) for i in dict.fromkeys(owner.reshape(-1).tolist())]


def reads(node: Node, slot: int, view: Array) -> list[tuple[Edge, Array]]:
    """Return the values that an operation reads for a view of one of its results, with what it reads of each."""
    edges = {i: (p, s) for i, (p, s) in enumerate(zip(node.parents, node.slots, strict=True)) if p is not None}
    if is_move(node):
        return [(edges[0], _distinct(_moved(node, [whole(edges[0])], slot, view)))]
    if is_join(node):
        return [(edges[i], part) for i, part in parts(node, view) if i in edges]
    if is_elementwise(node):
        return [(edge, _aligned(node, edge, view)) for edge in edges.values()]
    return [(edge, whole(edge)) for edge in edges.values()]


def demanded(step: Step, constant: set[Node]) -> Views:
    """Return for each value the views of it that are computed: all of it, or parts that do not overlap.

    Args:
        step: the step.
        constant: nodes that are the same at every step; nobody asks what is read of them.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.core import Spec
        >>> from tinygrad_rnn.scan.step import traced
        >>> from tinygrad_rnn.viz.cell.views import demanded
        >>> def step(x, h):
        ...     a, b = np.split(np.tanh(x), 2)
        ...     return a, a + b
        >>> found = traced(step, (Spec((4,), np.dtype(float)),), (Spec((2,), np.dtype(float)),)).step
        >>> sorted(view.tolist() for view in demanded(found, set())[found.xs[0], 0])
        [[0, 1], [2, 3]]
    """
    found: dict[Edge, dict[bytes, Array]] = {}

    def ask(edge: Edge, view: Array) -> None:
        if edge[0] not in constant:
            found.setdefault(edge, {}).setdefault(key_of(view), view)

    for edge in (*step.ys, *step.next_carry):
        ask(edge, whole(edge))
    computed: Views = {}
    for node in reversed(step.graph.nodes):
        for slot in range(len(node.specs)):
            edge = (node, slot)
            if edge in found:
                computed[edge] = _computed(edge, [*found[edge].values()], constant)
                for view in computed[edge] if node.primitive is not None else ():
                    for parent, read in reads(node, slot, view):
                        ask(parent, read)
    return computed


def _computed(edge: Edge, views: list[Array], constant: set[Node]) -> list[Array]:
    """Return the views that are computed as such; the others are cut from the whole."""
    node = edge[0]
    if is_move(node) or is_join(node) or node.primitive is None:
        return views
    if (_is_cut_by_elements(node, constant) or is_affine_product(node, constant)) and not _overlap(views):
        return views
    return [whole(edge)]


def _is_cut_by_elements(node: Node, constant: set[Node]) -> bool:
    """Whether an operation is element-wise in values of one shape; what scales all alike belongs to all."""
    return is_elementwise(node) and all(shape_of(node, i) == node.specs[0].shape for i in variable(node, constant))


def _overlap(views: Iterable[Array]) -> bool:
    seen: set[Any] = set()
    for view in views:
        elements = set(view.reshape(-1).tolist())
        if seen & elements:
            return True
        seen |= elements
    return False


def _aligned(node: Node, edge: Edge, view: Array) -> Array:
    """Return which elements of an argument an element-wise operation reads for a view of its result."""
    spread = np.broadcast_to(whole(edge), node.specs[0].shape).reshape(-1)[view]
    return _distinct(spread)


def _distinct(view: Array) -> Array:
    """Return a view without repetitions: what is broadcast is read once for all the elements that it meets."""
    return np.array([*dict.fromkeys(view.reshape(-1).tolist())], int)


def _moved(node: Node, arrays: list[Array], slot: int, view: Array) -> Array:
    """Run a moving operation on arrays of places, and return what the view reads of its result."""
    assert node.primitive is not None
    result = node.primitive(*arrays, **node.params)
    return np.asarray(result[slot] if isinstance(result, tuple) else result).reshape(-1)[view]
