"""Sums, means, extremes and other reductions over axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..core.errors import NoRuleError
from ..core.primitive import Primitive, as_operand, implements
from ..core.tensor import Tensor
from .shape import broadcast_to, flip


def axes_of(a: Any, axis: Any) -> tuple[int, ...]:
    """Return `axis` as a tuple of non-negative numbers; None means all axes."""
    ndim = np.ndim(a) if not isinstance(a, Tensor) else a.ndim
    return tuple(range(ndim)) if axis is None else normalize_axis_tuple(axis, ndim)


def kept_shape(shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, ...]:
    """Return `shape` with length 1 along the axes of a reduction."""
    return tuple([1 if i in axis else n for i, n in enumerate(shape)])


def _count(a: Any, axis: tuple[int, ...]) -> int:
    return math.prod([a.shape[i] for i in axis])


def _spread(g: Any, a: Any, axis: tuple[int, ...]) -> Any:
    """Give each element of `a` the cotangent of the result that it went into."""
    return broadcast_to(g.reshape(kept_shape(a.shape, axis)), shape=a.shape)


def _converted(a: Any, dtype: Any, out: Any) -> Any:
    if out is not None:
        raise NoRuleError(
            "a reduction of a tensor with out= has no rule: the result would lose its graph; leave out= away"
        )
    a = as_operand(a)
    return a if dtype is None else a.astype(dtype)


def _reduces(ufunc: Any, function: Any) -> None:
    """Make a function the implementation of a ufunc's `reduce`, which goes along axis 0 where none is given."""

    @implements((ufunc, "reduce"))
    def call(a: Any, axis: Any = 0, keepdims: bool = False) -> Any:
        return function(a, axis=axis, keepdims=keepdims)


sum_ = Primitive("sum", np.sum, saves=("specs",))
sum_.defvjp(lambda g, out, a, axis, keepdims: _spread(g, a, axis))
sum_.defjvp(lambda da, out, a, axis, keepdims: da.sum(axis=axis, keepdims=keepdims))


@implements(np.sum)
def _sum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    a = _converted(a, dtype, out)
    return sum_(a, axis=axes_of(a, axis), keepdims=bool(keepdims))


_reduces(np.add, _sum)


mean = Primitive("mean", np.mean, saves=("specs",))
mean.defvjp(lambda g, out, a, axis, keepdims: _spread(g / _count(a, axis), a, axis))
mean.defjvp(lambda da, out, a, axis, keepdims: da.mean(axis=axis, keepdims=keepdims))


@implements(np.mean)
def _mean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    a = _converted(a, dtype, out)
    return mean(a, axis=axes_of(a, axis), keepdims=bool(keepdims))


def _winners(out: Any, a: Any, axis: tuple[int, ...]) -> Any:
    """Return the share of each element in the extreme: winners share equally."""
    hits = np.equal(a, out.reshape(kept_shape(a.shape, axis)))
    return (hits / np.maximum(hits.sum(axis=axis, keepdims=True), 1)).astype(out.dtype)


def _extreme(name: str, function: Any, ufunc: Any) -> Primitive:
    primitive = Primitive(name, function)
    primitive.defvjp(lambda g, out, a, axis, keepdims: _spread(g, a, axis) * _winners(out, a, axis))
    primitive.defjvp(lambda da, out, a, axis, keepdims: (da * _winners(out, a, axis)).sum(axis=axis, keepdims=keepdims))

    @implements(function)
    def call(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        a = _converted(a, None, out)
        return primitive(a, axis=axes_of(a, axis), keepdims=bool(keepdims))

    _reduces(ufunc, call)
    return primitive


max_ = _extreme("max", np.max, np.maximum)
min_ = _extreme("min", np.min, np.minimum)

var = Primitive("var", np.var, saves=(0,))
var.defvjp(
    lambda g, out, a, axis, ddof, keepdims: (
        _spread(g * 2 / (_count(a, axis) - ddof), a, axis) * (a - a.mean(axis=axis, keepdims=True))
    )
)
var.defjvp(
    lambda da, out, a, axis, ddof, keepdims: (
        (da * (a - a.mean(axis=axis, keepdims=True))).sum(axis=axis, keepdims=keepdims) * 2 / (_count(a, axis) - ddof)
    )
)


@implements(np.var)
def _var(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    a = _converted(a, dtype, out)
    return var(a, axis=axes_of(a, axis), ddof=ddof, keepdims=bool(keepdims))


@implements(np.std)
def _std(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    return np.sqrt(_var(a, axis, dtype, out, ddof, keepdims))


@implements(np.prod)
def _prod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    """Multiply in pairs: the gradient is then right where factors are 0, at every order, which out / a is not."""
    a = _converted(a, dtype, out)
    axes = axes_of(a, axis)
    if a.dtype.kind != "f":  # NumPy multiplies small integers in the largest integer dtype
        return Tensor(np.prod(a.data, axis=axes, keepdims=bool(keepdims)))
    rest = [i for i in range(a.ndim) if i not in axes]
    shape = tuple([a.shape[i] for i in rest])
    product = np.transpose(a, (*axes, *rest)).reshape((_count(a, axes), *shape))
    while len(product) > 1:
        half = len(product) // 2
        pairs = product[:half] * product[half : 2 * half]
        product = np.concatenate([pairs, product[2 * half :]]) if len(product) % 2 else pairs
    if len(product) == 0:
        product = product.sum(axis=0) + 1
    return product.reshape(kept_shape(a.shape, axes) if keepdims else shape)


_reduces(np.multiply, _prod)


cumsum = Primitive("cumsum", np.cumsum, saves=())
cumsum.defvjp(lambda g, out, a, axis: flip(cumsum(flip(g, axis=(axis,)), axis=axis), axis=(axis,)))
cumsum.defjvp(lambda da, out, a, axis: cumsum(da, axis=axis))


@implements(np.cumsum)
def _cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    a = _converted(a, dtype, out)
    if axis is None:
        return cumsum(a.ravel(), axis=0)
    return cumsum(a, axis=normalize_axis_index(axis, a.ndim))
