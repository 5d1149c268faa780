"""The recurrence h_t = a_t h_{t-1} + b_t, element by element, with all steps of time at once."""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np

from ..core.errors import ShapeError
from ..core.node import Array
from ..core.primitive import Primitive, as_operand

Index = tuple[slice, ...]

# Measured: fewer calls of NumPy outweigh more passes over memory for rows up to so many bytes, and from so many steps.
_NARROW_ROW = 1024
_MANY_STEPS = 32


def linear_recurrence(a: Any, b: Any, h0: Any = None, reverse: bool = False) -> Any:
    """Return all states of h_t = a_t * h_{t-1} + b_t.

    Where the rows are narrow the steps are taken in chunks: all chunks at once from a state of zero, in √T steps; then
    the state is carried from chunk to chunk, and what it adds is put in with the products of `a` within each chunk.
    Nothing is divided and no logarithm is taken, so `a` may be 0 or negative; where a product overflows, the steps are
    taken one by one. Where |a| > 1 for long, rounding errors grow with the states in either form.

    Args:
        a: (time, ...).
        b: (time, ...). `a` and `b` broadcast: an `a` of shape (features,) is the same at every step and in every row.
        h0: (...), the state before the first step; zeros by default.
        reverse: run from the last step to the first: h_t = a_t * h_{t+1} + b_t, and `h0` stands behind the last.

    Returns:
        The states (time, ...) in the time order of `b`, in NumPy's promotion of the dtypes.

    Raises:
        ShapeError: if there is no axis of time, or if the shapes do not broadcast.

    Source: Blelloch 1990, *Prefix sums and their applications*; Martin and Cundy 2018, *Parallelizing linear recurrent
    neural nets over sequence length*.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> tg.linear_recurrence(np.array([0.5, 0.5, 0.0]), np.array([1.0, 1.0, 1.0]), 8.0)
        array([5. , 3.5, 1. ])
    """
    operands = [as_operand(0 if arg is None else arg) for arg in (a, b, h0)]
    *axes, of_state = [getattr(arg, "ndim", 0) for arg in operands]
    ndim = max(axes)
    if ndim == 0:
        raise ShapeError("a linear recurrence of two numbers has no time; give a or b as (time, ...)")
    if of_state >= ndim:
        raise ShapeError(
            f"an initial state of shape {operands[2].shape} for a recurrence of {ndim} axes, time among them; give "
            "the shape of one step, without the axis of time"
        )
    dtype = np.result_type(*[getattr(arg, "dtype", arg) for arg in operands])
    return _recurrence(*[_aligned(arg, ndim, dtype) for arg in operands], axis=0, reverse=bool(reverse))


def _aligned(arg: Any, ndim: int, dtype: np.dtype[Any]) -> Any:
    """Return an argument with as many axes as the result: rules may then count them from the front."""
    if not hasattr(arg, "shape"):
        return np.full((1,) * ndim, arg, dtype)
    return arg if arg.ndim == ndim else arg.reshape((1,) * (ndim - arg.ndim) + arg.shape)


def _one_by_one(a: Array, b: Array, h: Array, out: Array) -> None:
    multiply, add = np.multiply, np.add
    for a_t, b_t, out_t in zip(a, b, out, strict=True):
        multiply(a_t, h, out_t)
        h = add(out_t, b_t, out_t)


def _in_chunks(a: Array, b: Array, h: Array, out: Array) -> None:
    length = isqrt(len(b))
    count = len(b) // length
    whole = count * length
    chunks: Any = (count, length)
    # The position in its chunk goes in front: one step of all chunks is then one block of memory.
    factor = a[:whole].reshape(chunks + a.shape[1:]).swapaxes(0, 1).copy()
    state = b[:whole].reshape(chunks + b.shape[1:]).swapaxes(0, 1).copy()
    arriving = np.empty_like(state[0])
    for k in range(1, length):
        np.multiply(factor[k], state[k - 1], arriving)
        state[k] += arriving
        factor[k] *= factor[k - 1]
    arriving[0] = h
    _one_by_one(factor[-1, :-1], state[-1, :-1], h, arriving[1:])
    np.add(state, factor * arriving, out[:whole].reshape(chunks + b.shape[1:]).swapaxes(0, 1))
    _one_by_one(a[whole:], b[whole:], out[whole - 1], out[whole:])


def _forward(a: Any, b: Any, h0: Any, axis: int, reverse: bool) -> Array:
    time = np.broadcast_shapes(a.shape, b.shape)[axis]
    out = np.empty(np.broadcast_shapes(a.shape, b.shape, h0.shape), np.result_type(a, b, h0))

    def ordered(array: Array) -> Array:
        steps = np.moveaxis(array, axis, 0)
        steps = steps[::-1] if reverse else steps
        return steps[:, None] if steps.ndim == 1 else steps

    steps = ordered(out)
    if time == 0:
        return out
    a = ordered(a).astype(out.dtype, copy=False)
    a = np.broadcast_to(a, (time, *a.shape[1:]))
    b = np.broadcast_to(ordered(b).astype(out.dtype, copy=False), steps.shape)
    h = np.broadcast_to(ordered(h0).astype(out.dtype, copy=False)[0], steps.shape[1:])
    if time >= _MANY_STEPS and steps[0].nbytes <= _NARROW_ROW:
        with np.errstate(all="ignore"):
            _in_chunks(a, b, h, steps)
        # A product that overflowed has left its trace, 0 * inf being NaN; the states themselves may be finite.
        if np.isfinite(out).all():
            return out
    _one_by_one(a, b, h, steps)
    return out


class _Steps:
    """The steps in the order in which they run."""

    def __init__(self, axis: int, reverse: bool) -> None:
        def along(*limits: int | None) -> Index:
            start, stop = [None if limit is None else -limit for limit in limits[::-1]] if reverse else limits
            return (slice(None),) * axis + (slice(start, stop),)

        self.axis, self.reverse = axis, reverse
        self.first, self.last = along(None, 1), along(-1, None)
        self.all_but_first, self.all_but_last = along(1, None), along(None, -1)

    def join(self, earlier: Any, later: Any) -> Any:
        return np.concatenate([later, earlier] if self.reverse else [earlier, later], axis=self.axis)

    def before(self, h0: Any, h: Any) -> Any:
        """Return the state before each step."""
        return self.join(np.broadcast_to(h0, h[self.first].shape), h[self.all_but_last])


def _vjp(gs: Any, outs: Any, args: Any, needs: Any, axis: int, reverse: bool) -> list[Any]:
    (g,), (h,), (a, _, h0), steps = gs, outs, args, _Steps(axis, reverse)
    # The cotangent of a state is its own and a_{t+1} times that of the next: the same recurrence, backward in time.
    later = a if a.shape[axis] == 1 else a[steps.all_but_first]
    last = g[steps.last]
    total = steps.join(_recurrence(later, g[steps.all_but_last], last, axis=axis, reverse=not reverse), last)
    return [
        total * steps.before(h0, h) if needs[0] else None,
        total if needs[1] else None,
        a[steps.first] * total[steps.first] if needs[2] else None,
    ]


def _jvp(tangents: Any, outs: Any, args: Any, axis: int, reverse: bool) -> Any:
    (da, db, dh0), (h,), (a, _, h0) = tangents, outs, args
    added = np.zeros(h.shape, h.dtype) if db is None else db
    if da is not None:
        added = added + da * _Steps(axis, reverse).before(h0, h)
    start = np.zeros((1,) * h.ndim, h.dtype) if dh0 is None else dh0
    return _recurrence(a, added, start, axis=axis, reverse=reverse)


# Along `axis`, all arguments have as many axes as the result, h0 has length 1.
_recurrence = Primitive("linear_recurrence", _forward, saves=(0, 2, "out"))
_recurrence.defvjp_joint(_vjp)
_recurrence.defjvp_joint(_jvp)
