"""Strategies for hypothesis: tensors away from kinks, and the axes, shapes and indices that fit them.

Those that draw `Arguments` give (arrays, keywords) of a call; those that draw `Keywords` take the shape of its array.
`cells` and `padded_batches`, which are for recurrent networks, stand in `recurrent_strategies` and are found here too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

from ..core import Tensor
from ..core.node import Array
from .recurrent_strategies import PaddedBatch, cells, padded_batches

__all__ = [
    "PaddedBatch",
    "axes",
    "broadcastable_shapes",
    "cells",
    "indices",
    "padded_batches",
    "shapes",
    "tensors",
    "values",
]

Draw = st.DrawFn
Shape = tuple[int, ...]
Arguments = tuple[list[Array], dict[str, Any]]
Keywords = st.SearchStrategy[dict[str, Any]]


def shapes(min_dims: int = 0, max_dims: int = 3) -> st.SearchStrategy[Shape]:
    """Draw a small shape, every axis of length 1 to 3."""
    return array_shapes(min_dims=min_dims, max_dims=max_dims, max_side=3)


@st.composite
def values(draw: Draw, shape: Shape, number: int = 0, positive: bool = False) -> Array:
    """Draw a float64 array for gradient checks: no function of `ops` has a kink within 0.001 of an element.

    Args:
        shape: of the array.
        number: arrays of different numbers, 0 to 4, have no element in common.
        positive: every element is above 0.3.

    Returns:
        Numbers that all differ, none of them 0 or half an integer.

    Example:
        >>> from hypothesis import given
        >>> from tinygrad_rnn.testing import strategies
        >>> @given(strategies.values((2, 3)))
        ... def check(array):
        ...     assert len(set(array.flat)) == 6
        >>> check()
    """
    size = math.prod(shape)
    order = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).permutation(size)
    grid = 0.1 * (order - size // 2 + 0.23 + 0.17 * number).reshape(shape)
    return np.asarray(np.abs(grid) + 0.3 if positive else grid)


@st.composite
def tensors(draw: Draw, shape: Shape | None = None, positive: bool = False, dtype: Any = np.float64) -> Tensor:
    """Draw a tensor of `values` that requires grad.

    Args:
        shape: of the tensor; drawn where there is none.
        positive: every element is above 0.3.
        dtype: a floating dtype.

    Example:
        >>> import numpy as np
        >>> from hypothesis import given
        >>> from tinygrad_rnn.testing import gradcheck, strategies
        >>> @given(strategies.tensors(positive=True))
        ... def check(x):
        ...     gradcheck(np.log, [x])
        >>> check()
    """
    own = draw(shapes()) if shape is None else shape
    return Tensor(draw(values(own, positive=positive)), requires_grad=True, dtype=dtype)


def broadcastable_shapes(count: int = 2, max_dims: int = 3) -> st.SearchStrategy[tuple[Shape, ...]]:
    """Draw shapes of arrays that NumPy combines, every axis of length 1 to 3.

    Args:
        count: how many shapes.
        max_dims: the most axes that one of them has.

    Example:
        >>> import numpy as np
        >>> from hypothesis import given
        >>> from tinygrad_rnn.testing import strategies
        >>> @given(strategies.broadcastable_shapes(3))
        ... def check(shapes):
        ...     assert len(shapes) == 3 and len(np.broadcast_shapes(*shapes)) <= 3
        >>> check()
    """
    drawn = mutually_broadcastable_shapes(num_shapes=count, max_dims=max_dims, max_side=3)
    return drawn.map(lambda found: found.input_shapes)


def axes(shape: Shape, several: bool = True, none: bool = True) -> st.SearchStrategy[Any]:
    """Draw an axis of a shape, counted from either end; with `several` a tuple of them, with `none` None too.

    Example:
        >>> import numpy as np
        >>> from hypothesis import given
        >>> from tinygrad_rnn.testing import strategies
        >>> @given(strategies.axes((2, 1, 3)))
        ... def check(axis):
        ...     np.sum(np.ones((2, 1, 3)), axis=axis)
        >>> check()
    """
    choices: list[st.SearchStrategy[Any]] = [st.none()] if none else []
    if shape:
        axis = st.integers(-len(shape), len(shape) - 1)
        choices.append(axis)
        if several:
            choices.append(st.lists(axis, unique_by=lambda i: i % len(shape)).map(tuple))
    return st.one_of(choices)


def reductions(shape: Shape) -> Keywords:
    """Draw the keywords of a reduction: `axis` and `keepdims`, each of them or neither."""
    return st.fixed_dictionaries({}, optional={"axis": axes(shape), "keepdims": st.booleans()})


@st.composite
def indices(draw: Draw, shape: Shape, advanced: bool = True) -> Any:
    """Draw an index of an array: integers, slices of either direction, new axes, an ellipsis, integer arrays, a mask.

    Integer arrays may be negative and name an element more than once.

    Args:
        shape: of the array.
        advanced: draw arrays and masks too, not basic indices alone.

    Example:
        >>> import numpy as np
        >>> from hypothesis import given
        >>> from tinygrad_rnn.testing import strategies
        >>> @given(strategies.indices((2, 3), advanced=False))
        ... def check(index):
        ...     assert np.size(np.ones((2, 3))[index]) <= 6  # no element twice
        >>> check()
    """
    kinds = ["integer", "slice", "all", *(["array", "mask"] if advanced else []), "new"]
    parts: list[Any] = []
    common = draw(shapes(min_dims=1, max_dims=2))
    for n in shape:
        kind = draw(st.sampled_from(kinds))
        if kind == "new":
            parts.append(None)
        if kind == "integer":
            parts.append(draw(st.integers(-n, n - 1)))
        elif kind == "slice":
            parts.append(slice(draw(st.integers(-n, n)), None, draw(st.sampled_from([-2, -1, 1, 2]))))
        elif kind == "array":
            flat = draw(st.lists(st.integers(-n, n - 1), min_size=1, max_size=9))
            parts.append(np.resize(flat, common))
        elif kind == "mask" and not any(isinstance(part, np.ndarray) for part in parts):
            parts.append(np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n))))
            common = (int(parts[-1].sum()),)
        else:
            parts.append(slice(None))
    if draw(st.booleans()):
        place = draw(st.integers(0, len(parts)))
        parts[place : place + draw(st.integers(0, 1))] = [...]
    return parts[0] if len(parts) == 1 and draw(st.booleans()) else tuple(parts)


@st.composite
def one(draw: Draw, keywords: Any = None, positive: bool = False, min_dims: int = 0) -> Arguments:
    """Draw one array of `values`, and the keywords that the strategy `keywords(shape)` draws."""
    shape = draw(shapes(min_dims))
    return [draw(values(shape, positive=positive))], draw(keywords(shape)) if keywords else {}


@st.composite
def pair(draw: Draw, positive: tuple[bool, bool] = (False, False)) -> Arguments:
    """Draw two arrays of `values` that broadcast."""
    return [draw(values(shape, i, positive[i])) for i, shape in enumerate(draw(broadcastable_shapes()))], {}


@st.composite
def three(draw: Draw, build: Callable[[Array, Array, Array], Arguments]) -> Arguments:
    """Draw three arrays of `values` that broadcast; `build` makes arrays and keywords of them."""
    a, b, c = draw(broadcastable_shapes(3))
    return build(draw(values(a, 0)), draw(values(b, 1)), draw(values(c, 2)))


@st.composite
def matrices(draw: Draw) -> Arguments:
    """Draw two operands of `np.matmul`: vectors, matrices, and stacks of matrices that broadcast."""
    lead = draw(mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=2)).input_shapes
    n, m, k = draw(st.tuples(*[st.integers(1, 3)] * 3))
    left = draw(st.sampled_from([(m,), (*lead[0], n, m)]))
    right = draw(st.sampled_from([(m,), (*lead[1], m, k)]))
    return [draw(values(left)), draw(values(right, 1))], {}


@st.composite
def joined(draw: Draw, same_shape: bool) -> Arguments:
    """Draw the arrays and the `axis` of `np.stack`, or of `np.concatenate`."""
    shape = draw(shapes(min_dims=0 if same_shape else 1))
    axis = draw(st.integers(-len(shape), len(shape) - 1) if shape else st.just(0))
    every = []
    for i in range(draw(st.integers(1, 3))):
        own = list(shape)
        if not same_shape:
            own[axis] = draw(st.integers(1, 3))
        every.append(draw(values(tuple(own), i)))
    return every, {"axis": axis}


def one_axis(shape: Shape) -> Keywords:
    """Draw `axis`, an integer."""
    return st.fixed_dictionaries({"axis": axes(shape, several=False, none=False)})


def axis_or_none(shape: Shape) -> Keywords:
    """Draw `axis`, an integer or None."""
    return st.fixed_dictionaries({"axis": axes(shape, several=False)})


def two_axes(shape: Shape) -> Keywords:
    """Draw `ends`, two axes that may be the same."""
    axis = st.integers(-len(shape), len(shape) - 1)
    return st.tuples(axis, axis).map(lambda pair: {"ends": pair})


def order_of_axes(shape: Shape) -> Keywords:
    """Draw `axes`, a permutation, or None."""
    negative = st.sampled_from([0, -len(shape)])
    order = st.tuples(st.permutations(range(len(shape))), negative).map(lambda p: tuple([i + p[1] for i in p[0]]))
    return st.fixed_dictionaries({"axes": st.one_of(st.none(), order)})


def deviations(shape: Shape) -> Keywords:
    """Draw `axis`, `keepdims` and `ddof` for the variance of at least two elements."""

    def counts(keywords: dict[str, Any]) -> bool:
        return math.prod(shape) > int(np.empty(shape).sum(axis=keywords.get("axis"), keepdims=True).size)

    options = {"axis": axes(shape), "keepdims": st.booleans(), "ddof": st.just(1)}
    return st.fixed_dictionaries({}, optional=options).filter(counts)


def new_shapes(shape: Shape) -> Keywords:
    """Draw `shape`, another shape of as many elements; one length may be -1."""
    n = math.prod(shape)
    divisors = [d for d in range(1, n + 1) if n % d == 0]
    targets: list[Any] = [(n,), -1, *[(d, n // d) for d in divisors], *[(-1, 1, d) for d in divisors]]
    return st.sampled_from(targets).map(lambda target: {"shape": target})


def wider_shapes(shape: Shape) -> Keywords:
    """Draw `shape`, one that the given shape broadcasts to."""
    lead = st.lists(st.integers(1, 2), max_size=2)
    lengths = [st.integers(1, 3) if n == 1 else st.just(n) for n in shape]
    return st.tuples(lead, *lengths).map(lambda drawn: {"shape": (*drawn[0], *drawn[1:])})


def paddings(shape: Shape) -> Keywords:
    """Draw `pad_width` in each of the forms that `np.pad` takes."""
    ends = st.tuples(st.integers(0, 2), st.integers(0, 2))
    forms = st.one_of(st.integers(0, 2), ends, st.tuples(*[ends for _ in shape]))
    return forms.map(lambda width: {"pad_width": width})


@st.composite
def cuts(draw: Draw, shape: Shape) -> dict[str, Any]:
    """Draw `axis` and `cuts`, the places or the number of sections that `np.split` takes."""
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    n = shape[axis]
    sections = st.sampled_from([d for d in range(1, n + 1) if n % d == 0])
    return {"cuts": draw(st.one_of(sections, st.lists(st.integers(-n, n + 1), max_size=3))), "axis": axis}


@st.composite
def places(draw: Draw, shape: Shape) -> dict[str, Any]:
    """Draw `indices` and `axis` for `np.take_along_axis`; indices may repeat and broadcast."""
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    own = [1 if i != axis % len(shape) and n == 2 else n for i, n in enumerate(shape)]
    n = math.prod(own)
    flat = draw(st.lists(st.integers(-shape[axis], shape[axis] - 1), min_size=n, max_size=n))
    return {"indices": np.reshape(flat, own), "axis": axis}


@st.composite
def taken(draw: Draw, shape: Shape) -> dict[str, Any]:
    """Draw `indices` and `axis` for `np.take`; indices may repeat."""
    axis = draw(axes(shape, several=False))
    n = math.prod(shape) if axis is None else shape[axis]
    return {"indices": np.array(draw(st.lists(st.integers(-n, n - 1), min_size=1, max_size=6))), "axis": axis}
