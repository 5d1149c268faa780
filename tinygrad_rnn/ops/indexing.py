"""Reading elements by index, and the adjoint: adding them up where they were read."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.backward import Addend
from ..core.errors import ShapeError
from ..core.node import Array
from ..core.primitive import Primitive, constant, implements, value_of
from ..core.tensor import Tensor
from ..core.trace import Abstract


class _Array:
    """Stands in an index for the next array argument."""

    def __repr__(self) -> str:
        return "array"


_ARRAY = _Array()


def _key(index: Any, arrays: Any) -> Any:
    if not arrays:
        return index
    rest = iter(arrays)
    return tuple([next(rest) if part is _ARRAY else part for part in index])


def _scatter(
    buffer: Array, g: Any, *arrays: Any, index: Any, unique: bool, shape: Any = None, dtype: Any = None
) -> None:
    key = _key(index, arrays)
    if unique:
        buffer[key] += g
    elif index == (_ARRAY,) and buffer.ndim > 1 and g.size:
        _scatter_rows(buffer, g, *arrays)
    else:
        np.add.at(buffer, key, g)


def _scatter_rows(buffer: Array, g: Any, rows: Array) -> None:
    """Add to rows of a buffer what goes to each of them as one sum, several times faster than np.add.at."""
    rows = rows.ravel() % len(buffer)
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    starts = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
    buffer[rows[starts]] += np.add.reduceat(g.reshape(len(rows), *buffer.shape[1:])[order], starts, axis=0)


def _scatter_forward(g: Any, *arrays: Any, index: Any, unique: bool, shape: Any, dtype: Any) -> Array:
    buffer = np.zeros(shape, dtype)
    _scatter(buffer, g, *arrays, index=index, unique=unique)
    return buffer


def _getitem_vjp(gs: Any, outs: Any, args: Any, needs: Any, index: Any, unique: bool) -> Any:
    a, *arrays = args
    addend = Addend(scatter_add, *gs, *arrays, index=index, unique=unique, shape=a.shape, dtype=a.dtype)
    return [addend] + [None] * len(arrays)


# Index arrays are arguments: they are saved, and the indexed array is not.
getitem = Primitive("getitem", lambda a, *arrays, index, unique: a[_key(index, arrays)], saves=("specs", *range(1, 64)))
getitem.defvjp_joint(_getitem_vjp)
getitem.defjvp_joint(
    lambda tangents, outs, args, index, unique: getitem(tangents[0], *args[1:], index=index, unique=unique)
)

# `unique` says that the index names no element twice: then a plain += adds everything, much faster than np.add.at.
scatter_add = Primitive("scatter_add", _scatter_forward, accumulate=_scatter)
scatter_add.defvjp_joint(
    lambda gs, outs, args, needs, index, unique, shape, dtype: (
        [getitem(*gs, *args[1:], index=index, unique=unique)] + [None] * (len(args) - 1)
    )
)
scatter_add.defjvp_joint(
    lambda tangents, outs, args, index, unique, shape, dtype: scatter_add(
        tangents[0], *args[1:], index=index, unique=unique, shape=shape, dtype=dtype
    )
)


@implements(Tensor.__getitem__)
def _getitem(a: Tensor, key: Any) -> Any:
    parts = key if isinstance(key, tuple) else (key,)
    arrays: list[Any] = []
    index: list[Any] = []
    for part in parts:
        if part is None or part is Ellipsis or isinstance(part, (int, slice, np.integer, np.bool)):
            index.append(part)
        else:
            array = constant(part)
            if isinstance(part, (list, tuple)) and not array.size:
                array = array.astype(np.intp)
            if array.dtype.kind not in "iub":
                raise IndexError(f"an index of dtype {array.dtype}; give integers, slices, None, ... or a bool mask")
            if array.ndim == 0 and array.dtype.kind != "b" and isinstance(array, np.ndarray):
                index.append(int(array))
                continue
            if array.dtype.kind == "b" and array.ndim and type(a) is Abstract:
                # How many elements a mask picks is no question of shapes: it is asked for its values here.
                places = np.nonzero(value_of(array))
                arrays += places
                index += [_ARRAY] * len(places)
                continue
            arrays.append(array)
            index.append(_ARRAY)
    unique = not arrays or all(array.dtype.kind == "b" for array in arrays)
    try:
        return getitem(a, *arrays, index=tuple(index) if isinstance(key, tuple) or arrays else key, unique=unique)
    except IndexError as error:
        name = f"{a.name} " if a.name else ""
        raise IndexError(f"index {key!r} of tensor {name}with shape {a.shape}: {error}") from None


def _along(indices: Any, axis: int, ndim: int) -> tuple[Any, ...]:
    """Return the index arrays that read `indices` along one axis and every place of the others."""
    return tuple(
        [
            indices if i == axis else np.arange(n).reshape([n if j == i else 1 for j in range(ndim)])
            for i, n in enumerate(indices.shape)
        ]
    )


@implements(np.take_along_axis)
def _take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    indices = constant(indices)
    if axis is None:
        arr, axis = arr.ravel(), 0
    axis = range(arr.ndim)[axis]
    if indices.ndim != arr.ndim or indices.dtype.kind not in "iu":
        raise IndexError(
            f"take_along_axis: indices of dtype {indices.dtype} and shape {indices.shape} for a tensor of shape "
            f"{arr.shape}; give integers with as many axes"
        )
    for i, (n, m) in enumerate(zip(arr.shape, indices.shape, strict=True)):
        if i != axis and n != m:
            if 1 not in (n, m):
                raise ShapeError(f"take_along_axis: indices of shape {indices.shape} for a tensor of shape {arr.shape}")
            return _take_along_axis(*_broadcast_except(arr, indices, axis), axis)
    arrays = _along(indices, axis, arr.ndim)
    return getitem(arr, *arrays, index=(_ARRAY,) * arr.ndim, unique=indices.shape[axis] == 1)


def _broadcast_except(arr: Any, indices: Any, axis: int) -> tuple[Any, Any]:
    common = np.broadcast_shapes(*[[1 if i == axis else n for i, n in enumerate(a.shape)] for a in (arr, indices)])
    shapes = [tuple([a.shape[i] if i == axis else n for i, n in enumerate(common)]) for a in (arr, indices)]
    return np.broadcast_to(arr, shapes[0]), np.broadcast_to(indices, shapes[1])


@implements(np.take)
def _take(a: Any, indices: Any, axis: int | None = None) -> Any:
    if axis is None:
        return a.ravel()[constant(indices)]
    axis = range(a.ndim)[axis]
    return a[(slice(None),) * axis + (constant(indices),)]
