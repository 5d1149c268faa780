"""Products beyond matmul, cumulative products and differences, and linear algebra."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..core.errors import NoRuleError
from ..core.primitive import Primitive, as_operand, implements, value_of
from .layout import bare, column


def _array(a: Any) -> Any:
    return a if hasattr(a, "ndim") else np.asarray(as_operand(a))


@implements(np.tensordot)
def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = _array(a), _array(b)
    if np.ndim(axes) == 0:
        left, right = list(range(a.ndim - int(axes), a.ndim)), list(range(int(axes)))
    else:
        left, right = [list(np.atleast_1d(part).tolist()) for part in axes]
    left = [normalize_axis_index(i, a.ndim) for i in left]
    right = [normalize_axis_index(i, b.ndim) for i in right]
    if [a.shape[i] for i in left] != [b.shape[i] for i in right]:
        raise ValueError(f"tensordot of shapes {a.shape} and {b.shape} over axes {left} and {right} of unequal lengths")
    rows = [i for i in range(a.ndim) if i not in left]
    columns = [i for i in range(b.ndim) if i not in right]
    inner = math.prod([a.shape[i] for i in left])
    row_shape, column_shape = tuple([a.shape[i] for i in rows]), tuple([b.shape[i] for i in columns])
    matrix = np.transpose(a, (*rows, *left)).reshape((math.prod(row_shape), inner))
    other = np.transpose(b, (*right, *columns)).reshape((inner, math.prod(column_shape)))
    return np.matmul(matrix, other).reshape((*row_shape, *column_shape))


@implements(np.inner)
def _inner(a: Any, b: Any) -> Any:
    a, b = _array(a), _array(b)
    return np.multiply(a, b) if 0 in (a.ndim, b.ndim) else _tensordot(a, b, ([-1], [-1]))


@implements(np.outer)
def _outer(a: Any, b: Any) -> Any:
    return np.multiply(column(_array(a)), _array(b).ravel())


@implements(np.vdot)
def _vdot(a: Any, b: Any) -> Any:
    return np.matmul(_array(a).ravel(), _array(b).ravel())


def _vecdot(a: Any, b: Any, axis: int = -1) -> Any:
    a, b = [np.moveaxis(_array(t), axis, -1) for t in (a, b)]
    return np.matmul(a[..., None, :], b[..., None]).squeeze((-2, -1))


implements(np.vecdot)(_vecdot)
implements(np.linalg.vecdot)(_vecdot)


@implements(np.kron)
def _kron(a: Any, b: Any) -> Any:
    a, b = _array(a), _array(b)
    ndim = max(a.ndim, b.ndim)
    left, right = (1,) * (ndim - a.ndim) + a.shape, (1,) * (ndim - b.ndim) + b.shape
    wide = np.multiply(
        a.reshape(tuple([n for length in left for n in (length, 1)])),
        b.reshape(tuple([n for length in right for n in (1, length)])),
    )
    return wide.reshape(tuple([n * m for n, m in zip(left, right, strict=True)]))


@implements(np.cross)
def _cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(_array(a), axisa, -1), np.moveaxis(_array(b), axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ValueError(f"cross of vectors of {a.shape[-1]} and {b.shape[-1]} components; give 3 each")
    (x, y, z), (u, v, w) = [[t[..., i] for i in range(3)] for t in (a, b)]
    return np.moveaxis(np.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=-1), -1, axisc)


@implements(np.cumprod)
def _cumprod(a: Any, axis: Any = None) -> Any:
    """Multiply by doubling: each round a product of two earlier ones, so gradients are right where factors are 0."""
    if axis is None:
        a, axis = a.ravel(), 0
    axis = normalize_axis_index(axis, a.ndim)
    n, reach = a.shape[axis], 1
    lead = (slice(None),) * axis
    while reach < n:
        head, early, late = a[lead + (slice(0, reach),)], a[lead + (slice(0, n - reach),)], a[lead + (slice(reach, n),)]
        a = np.concatenate([head, early * late], axis)
        reach *= 2
    return a


@implements(np.diff)
def _diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    axis = normalize_axis_index(axis, a.ndim)
    lead = (slice(None),) * axis
    for _ in range(n):
        a = a[lead + (slice(1, None),)] - a[lead + (slice(None, -1),)]
    return a


@implements(np.ptp)
def _ptp(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


@implements(np.average)
def _average(a: Any, axis: Any = None, weights: Any = None, *, keepdims: bool = False) -> Any:
    if weights is None:
        return np.mean(a, axis=axis, keepdims=keepdims)
    weights = _array(weights)
    if weights.ndim == 1 and np.ndim(a) > 1:
        if not isinstance(axis, int):
            raise ValueError("average with weights of one axis needs axis, the axis that they belong to")
        weights = weights.reshape([len(weights) if i == axis % np.ndim(a) else 1 for i in range(np.ndim(a))])
    weighted = a * weights
    # Of small integers, of bools or of half precision the sum would have another dtype, or no room.
    weights = np.broadcast_to(weights.astype(weighted.dtype), np.shape(a))
    total = np.sum(weights, axis=axis, keepdims=keepdims)
    return np.sum(weighted, axis=axis, keepdims=keepdims) / total


@implements(np.linspace)
def _linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, *, axis: int = 0) -> Any:
    start, stop = _array(start), _array(stop)
    at = np.linspace(0.0, 1.0, num, endpoint=endpoint)
    shape = np.broadcast_shapes(start.shape, stop.shape)
    at = at.reshape((num,) + (1,) * len(shape)).astype(np.result_type(start.dtype, stop.dtype, 0.0))
    return np.moveaxis(start * (1 - at) + stop * at, 0, axis)


def _transposed(a: Any) -> Any:
    return a.swapaxes(-1, -2)


inv = Primitive("inv", np.linalg.inv, saves=("out",))
inv.defvjp(lambda g, out, a: -(_transposed(out) @ g @ _transposed(out)))
inv.defjvp(lambda da, out, a: -(out @ da @ out))
implements(np.linalg.inv)(inv)


def _solve_right(g: Any, a: Any) -> Any:
    return np.linalg.solve(_transposed(a), g)


solve = Primitive("solve", np.linalg.solve, saves=(0, "out"))
solve.defvjp(
    lambda g, out, a, b: -(_solve_right(g, a) @ _transposed(out)),
    lambda g, out, a, b: _solve_right(g, a),
)
solve.defjvp(
    lambda da, out, a, b: -np.linalg.solve(a, da @ out),
    lambda db, out, a, b: np.linalg.solve(a, db),
)


@implements(np.linalg.solve)
def _solve(a: Any, b: Any) -> Any:
    a, b = _array(a), _array(b)
    if b.ndim == 1:
        return solve(a, b[:, None]).squeeze(-1)
    return solve(a, b)


def _scaled_inverse(g: Any, a: Any) -> Any:
    return g[..., None, None] * _transposed(np.linalg.inv(a))


def _trace_of_product(a: Any, b: Any) -> Any:
    return (a * _transposed(b)).sum(axis=(-2, -1))


def _adjugate(a: Any, out: Any) -> Any:
    """Return the transposed matrix of cofactors: the determinant times the inverse where that can be trusted.

    Elsewhere each cofactor is a determinant of its own, which is slow and right for singular matrices too.
    """
    n = a.shape[-1]
    size = np.sqrt((value_of(a) ** 2).sum(axis=-1)).prod(axis=-1)
    if np.all(np.abs(value_of(out)) > 1e-6 * size):
        return out[..., None, None] * np.linalg.inv(a)
    if n == 1:
        return np.ones(a.shape, a.dtype)
    rows = []
    for i in range(n):
        row = []
        for j in range(n):
            others = [np.array([k for k in range(n) if k != left_out]) for left_out in (j, i)]
            row.append((-1) ** (i + j) * np.linalg.det(a[..., others[0][:, None], others[1]]))
        rows.append(np.stack(row, axis=-1))
    return np.stack(rows, axis=-2)


det = Primitive("det", np.linalg.det, saves=(0, "out"))
det.defvjp(lambda g, out, a: g[..., None, None] * _transposed(_adjugate(a, out)))
det.defjvp(lambda da, out, a: _trace_of_product(_adjugate(a, out), da))
implements(np.linalg.det)(det)

slogdet = Primitive("slogdet", lambda a: tuple(np.linalg.slogdet(a)), saves=(0,))
slogdet.defvjp_joint(lambda gs, outs, args, needs: [None if gs[1] is None else _scaled_inverse(gs[1], *args)])
slogdet.defjvp_joint(lambda ds, outs, args: (None, _trace_of_product(np.linalg.inv(*args), *ds)))


_SLOGDET_RESULT = type(np.linalg.slogdet(np.eye(1)))


@implements(np.linalg.slogdet)
def _slogdet(a: Any) -> Any:
    return _SLOGDET_RESULT(*slogdet(a))


def _length(out: Any) -> Any:
    return np.where(np.equal(out, 0), 1, out)  # the norm of 0 has the derivative 0


l2norm = Primitive("l2norm", lambda a, axis: np.sqrt((a * a).sum(axis=axis, keepdims=True)), saves=(0, "out"))
l2norm.defvjp(lambda g, out, a, axis: g * (a / _length(out)))
l2norm.defjvp(lambda da, out, a, axis: (da * (a / _length(out))).sum(axis=axis, keepdims=True))


def _euclidean(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    axes = normalize_axis_tuple(axes, x.ndim)
    found = l2norm(x, axis=axes)
    return found if keepdims else found.reshape(tuple([n for i, n in enumerate(x.shape) if i not in axes]))


def _extreme(ord: Any) -> Any:
    return np.max if ord > 0 else np.min


@implements(np.linalg.norm)
def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    if axis is None and ord is None:
        return _euclidean(x, tuple(range(x.ndim)), keepdims)
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    if len(axes) == 2 and ord in (None, "fro"):
        return _euclidean(x, axes, keepdims)
    if len(axes) == 2 and ord in (1, -1, np.inf, -np.inf):
        rows, columns = [normalize_axis_index(i, x.ndim) for i in axes]
        summed, kept = (rows, columns) if abs(ord) == 1 else (columns, rows)
        sums = np.sum(np.abs(x), axis=summed, keepdims=True)
        found = _extreme(ord)(sums, axis=kept, keepdims=True)
        return found if keepdims else np.squeeze(found, axis=(rows, columns))
    if len(axes) == 2 and ord in (2, -2, "nuc"):
        singular = np.linalg.svd(np.moveaxis(x, axes, (-2, -1)), compute_uv=False)
        reduce = np.sum if ord == "nuc" else _extreme(ord)
        found = reduce(singular, axis=-1)
        return np.expand_dims(found, tuple(sorted([i % x.ndim for i in axes]))) if keepdims else found
    if len(axes) != 1 or isinstance(ord, str):
        raise NoRuleError(f"norm of order {ord!r} over axes {axes} of a tensor; compose it from other functions")
    if ord is None or ord == 2:
        return _euclidean(x, axes, keepdims)
    if ord in (np.inf, -np.inf):
        return _extreme(ord)(np.abs(x), axis=axes, keepdims=keepdims)
    if ord == 0:
        dtype = x.dtype if x.dtype.kind == "f" else np.float64
        return np.sum(np.not_equal(x, 0).astype(dtype), axis=axes, keepdims=keepdims)
    if ord == 1:
        return np.sum(np.abs(x), axis=axes, keepdims=keepdims)
    return np.sum(np.abs(x) ** ord, axis=axes, keepdims=keepdims) ** (1.0 / ord)


@implements(np.linalg.vector_norm)
def _vector_norm(x: Any, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    if axis is None:
        found = _norm(x.ravel(), ord)
        return found.reshape((1,) * x.ndim) if keepdims else found
    if isinstance(axis, int):
        return _norm(x, ord, axis, keepdims)
    axes = normalize_axis_tuple(axis, x.ndim)
    rest = tuple([i for i in range(x.ndim) if i not in axes])
    lengths = [x.shape[i] for i in rest]
    joined = np.transpose(x, (*rest, *axes)).reshape((*lengths, math.prod([x.shape[i] for i in axes])))
    found = _norm(joined, ord, -1)
    return found.reshape(tuple([1 if i in axes else n for i, n in enumerate(x.shape)])) if keepdims else found


@implements(np.linalg.matrix_norm)
def _matrix_norm(x: Any, keepdims: bool = False, ord: Any = "fro") -> Any:
    return _norm(x, ord, (-2, -1), keepdims)


@implements(np.linalg.multi_dot)
def _multi_dot(arrays: Any) -> Any:
    product = arrays[0]
    for factor in arrays[1:]:
        product = np.matmul(product, factor)
    return product


@implements(np.linalg.matrix_power)
def _matrix_power(a: Any, n: int) -> Any:
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError(f"matrix_power of shape {a.shape}; give square matrices")
    if n < 0:
        a, n = np.linalg.inv(a), -n
    if n == 0:
        return np.where(True, np.eye(a.shape[-1], dtype=a.dtype), a)  # a tensor whose gradient is zero
    result: Any = None
    while n:
        if n & 1:
            result = a if result is None else result @ a
        a, n = a @ a if n > 1 else a, n >> 1
    return result


@implements(np.gradient)
def _gradient(f: Any, *varargs: Any, axis: Any = None) -> Any:
    """Return central differences, one-sided at the ends, for the spacing 1 or one number for all axes."""
    if len(varargs) > 1 or any(np.ndim(spacing) for spacing in varargs):
        raise NoRuleError("np.gradient with several spacings has no rule for tensors; give one number")
    (step,) = varargs or (1.0,)
    axes = range(f.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    found = []
    for one in axes:
        a = np.moveaxis(f, one, 0)
        inner = (a[2:] - a[:-2]) / (2 * step)
        found.append(np.moveaxis(np.concatenate([(a[1:2] - a[:1]) / step, inner, (a[-1:] - a[-2:-1]) / step]), 0, one))
    return bare(tuple(found))


@implements(np.nansum)
def _nansum(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return np.sum(np.where(np.isnan(a), 0, a), axis=axis, keepdims=keepdims)


@implements(np.nanmean)
def _nanmean(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    count = np.sum(np.where(np.isnan(a), 0.0, 1.0), axis=axis, keepdims=keepdims)
    return _nansum(a, axis, keepdims=keepdims) / np.asarray(count).astype(a.dtype)
