"""Rearranging, repeating, joining and cutting: compositions of the primitives of `shape` and of indexing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..core.primitive import as_operand, implements
from ..core.tensor import Tensor


def _tensors(values: Any) -> list[Any]:
    return [value if hasattr(value, "ndim") else np.asarray(as_operand(value)) for value in values]


def bare(found: tuple[Any, ...]) -> Any:
    """Return a tuple, or the one thing in it."""
    one, *others = found
    return found if others else one


def column(a: Any) -> Any:
    """Return the elements of a tensor below each other."""
    return a.reshape(a.size, 1)


@implements(np.roll)
def _roll(a: Any, shift: Any, axis: Any = None) -> Any:
    if axis is None:
        return _roll(a.ravel(), np.sum(shift), 0).reshape(a.shape)
    axes, shifts = np.broadcast_arrays(np.atleast_1d(axis), np.atleast_1d(shift))
    for one, by in zip(axes.tolist(), shifts.tolist(), strict=True):
        one = normalize_axis_index(one, a.ndim)
        n = a.shape[one]
        cut = n - by % n if n else 0
        lead = (slice(None),) * one
        a = np.concatenate([a[lead + (slice(cut, None),)], a[lead + (slice(None, cut),)]], one)
    return a


@implements(np.rot90)
def _rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    first, second = normalize_axis_tuple(axes, m.ndim)
    k %= 4
    if k == 2:
        return np.flip(m, (first, second))
    if k == 1:
        return np.swapaxes(np.flip(m, second), first, second)
    return np.flip(np.swapaxes(m, first, second), second) if k == 3 else m


@implements(np.flipud)
def _flipud(m: Any) -> Any:
    return np.flip(m, 0)


@implements(np.fliplr)
def _fliplr(m: Any) -> Any:
    return np.flip(m, 1)


@implements(np.rollaxis)
def _rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    axis = normalize_axis_index(axis, a.ndim)
    start = start + a.ndim if start < 0 else start
    return np.moveaxis(a, axis, start - 1 if axis < start else start)


@implements(np.repeat)
def _repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    if axis is None:
        a, axis = a.ravel(), 0
    axis = normalize_axis_index(axis, a.ndim)
    n = a.shape[axis]
    if np.ndim(repeats) == 0:  # a broadcast: its gradient is a sum, without an index
        times = int(repeats)
        wide = np.broadcast_to(np.expand_dims(a, axis + 1), (*a.shape[: axis + 1], times, *a.shape[axis + 1 :]))
        return wide.reshape((*a.shape[:axis], n * times, *a.shape[axis + 1 :]))
    return a[(slice(None),) * axis + (np.repeat(np.arange(n), repeats),)]


@implements(np.tile)
def _tile(A: Any, reps: Any) -> Any:
    times = tuple(np.atleast_1d(reps).tolist())
    ndim = max(A.ndim, len(times))
    times = (1,) * (ndim - len(times)) + times
    shape = (1,) * (ndim - A.ndim) + A.shape
    wide = A.reshape(tuple([n for length in shape for n in (1, length)]))
    wide = np.broadcast_to(wide, tuple([n for pair in zip(times, shape, strict=True) for n in pair]))
    return wide.reshape(tuple([t * n for t, n in zip(times, shape, strict=True)]))


@implements(np.atleast_1d)
def _atleast_1d(*arys: Any) -> Any:
    return bare(tuple([a.reshape(1) if a.ndim == 0 else a for a in _tensors(arys)]))


@implements(np.atleast_2d)
def _atleast_2d(*arys: Any) -> Any:
    return bare(tuple([a.reshape((1,) * (2 - a.ndim) + a.shape) if a.ndim < 2 else a for a in _tensors(arys)]))


@implements(np.atleast_3d)
def _atleast_3d(*arys: Any) -> Any:
    added = {0: ((1, 1), (1,)), 1: ((1,), (1,)), 2: ((), (1,))}
    return bare(
        tuple([a.reshape(added[a.ndim][0] + a.shape + added[a.ndim][1]) if a.ndim < 3 else a for a in _tensors(arys)])
    )


@implements(np.vstack)
def _vstack(tup: Any) -> Any:
    return np.concatenate([np.atleast_2d(a) for a in _tensors(tup)], 0)


@implements(np.hstack)
def _hstack(tup: Any) -> Any:
    parts = [np.atleast_1d(a) for a in _tensors(tup)]
    return np.concatenate(parts, 0 if parts and parts[0].ndim == 1 else 1)


@implements(np.dstack)
def _dstack(tup: Any) -> Any:
    return np.concatenate([np.atleast_3d(a) for a in _tensors(tup)], 2)


@implements(np.column_stack)
def _column_stack(tup: Any) -> Any:
    return np.concatenate([column(a) if a.ndim < 2 else a for a in _tensors(tup)], 1)


@implements(np.append)
def _append(arr: Any, values: Any, axis: Any = None) -> Any:
    arr, values = _tensors([arr, values])
    if axis is None:
        return np.concatenate([arr.ravel(), values.ravel()])
    return np.concatenate([arr, values], axis)


@implements(np.array_split)
def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    if np.ndim(indices_or_sections) == 0:
        each, extra = divmod(ary.shape[axis], int(indices_or_sections))
        lengths = [each + 1] * extra + [each] * (int(indices_or_sections) - extra)
        return np.split(ary, np.cumsum(lengths)[:-1].tolist(), axis)
    return np.split(ary, indices_or_sections, axis)


@implements(np.vsplit)
def _vsplit(ary: Any, indices_or_sections: Any) -> Any:
    return np.split(ary, indices_or_sections, 0)


@implements(np.hsplit)
def _hsplit(ary: Any, indices_or_sections: Any) -> Any:
    return np.split(ary, indices_or_sections, 0 if ary.ndim == 1 else 1)


@implements(np.dsplit)
def _dsplit(ary: Any, indices_or_sections: Any) -> Any:
    return np.split(ary, indices_or_sections, 2)


@implements(np.diagonal)
def _diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    moved = np.moveaxis(a, (axis1, axis2), (-2, -1))
    rows, columns = moved.shape[-2:]
    down, right = max(0, -offset), max(0, offset)
    index = np.arange(min(rows - down, columns - right))
    return moved[..., index + down, index + right]


@implements(np.diag)
def _diag(v: Any, k: int = 0) -> Any:
    if v.ndim == 2:
        return np.diagonal(v, k)
    if v.ndim != 1:
        raise ValueError(f"diag of {v.ndim} axes; give one or two")
    n = len(v) + abs(k)
    place = np.zeros((len(v), n, n), v.dtype)
    index = np.arange(len(v))
    place[index, index + max(0, -k), index + max(0, k)] = 1
    return np.einsum("i,ijk->jk", v, place) if len(v) else Tensor(np.zeros((n, n), v.dtype))


@implements(np.diagflat)
def _diagflat(v: Any, k: int = 0) -> Any:
    return _diag(v.ravel(), k)


def _below(m: Any, k: int) -> Any:
    """Return the mask of a matrix's elements on and below its k-th diagonal."""
    rows, columns = m.shape[-2:]
    return np.tri(rows, columns, k, dtype=np.bool_)


@implements(np.tril)
def _tril(m: Any, k: int = 0) -> Any:
    return np.where(_below(m, k), m, 0)


@implements(np.triu)
def _triu(m: Any, k: int = 0) -> Any:
    return np.where(_below(m, k - 1), 0, m)


@implements(np.trace)
def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1)


@implements(np.linalg.diagonal)
def _last_diagonal(x: Any, offset: int = 0) -> Any:
    return np.diagonal(x, offset, -2, -1)


@implements(np.linalg.trace)
def _last_trace(x: Any, offset: int = 0) -> Any:
    return np.trace(x, offset, -2, -1)


def _reorder(a: Any, order: Any, axis: int) -> Any:
    return np.take_along_axis(a, order, axis)


@implements(np.sort)
def _sort(a: Any, axis: Any = -1, kind: Any = None, *, stable: Any = None) -> Any:
    if axis is None:
        a, axis = a.ravel(), 0
    return _reorder(a, np.argsort(a, axis=axis, kind="stable"), axis)


@implements(np.partition)
def _partition(a: Any, kth: Any, axis: Any = -1) -> Any:
    if axis is None:
        a, axis = a.ravel(), 0
    return _reorder(a, np.argpartition(a.data, kth, axis=axis), axis)


@implements(np.median)
def _median(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    axes = tuple(range(a.ndim)) if axis is None else normalize_axis_tuple(axis, a.ndim)
    rest = [i for i in range(a.ndim) if i not in axes]
    shape = tuple([a.shape[i] for i in rest])
    rows = np.sort(np.transpose(a, (*rest, *axes)).reshape((*shape, math.prod([a.shape[i] for i in axes]))), axis=-1)
    n = rows.shape[-1]
    middle = rows[..., (n - 1) // 2] * 0.5 + rows[..., n // 2] * 0.5
    return middle.reshape(tuple([1 if i in axes else m for i, m in enumerate(a.shape)])) if keepdims else middle
