"""Other shapes and orders of the same elements; joining and splitting."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..core.errors import NoRuleError
from ..core.primitive import Primitive, as_operand, implements
from ..core.tensor import Tensor

reshape = Primitive("reshape", lambda a, shape: np.asarray(a).reshape(shape), saves=("specs",))
reshape.defvjp(lambda g, out, a, shape: g.reshape(a.shape))
reshape.defjvp(lambda da, out, a, shape: da.reshape(shape))


@implements(np.reshape)
def _reshape(a: Any, shape: Any) -> Any:
    return reshape(a, shape=shape if isinstance(shape, tuple) else tuple(shape) if np.iterable(shape) else (shape,))


@implements(np.ravel)
def _ravel(a: Any) -> Any:
    return reshape(a, shape=(-1,))


@implements(np.expand_dims)
def _expand_dims(a: Any, axis: Any) -> Any:
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    added = normalize_axis_tuple(axes, a.ndim + len(axes))
    lengths = iter(a.shape)
    return reshape(a, shape=tuple([1 if i in added else next(lengths) for i in range(a.ndim + len(axes))]))


@implements(np.squeeze)
def _squeeze(a: Any, axis: Any = None) -> Any:
    return reshape(a, shape=np.squeeze(np.broadcast_to(np.empty(()), a.shape), axis=axis).shape)


transpose = Primitive("transpose", lambda a, axes: np.transpose(a, axes), saves=())
transpose.defvjp(lambda g, out, a, axes: g.transpose(tuple(np.argsort(axes).tolist())))
transpose.defjvp(lambda da, out, a, axes: da.transpose(axes))


@implements(np.transpose)
def _transpose(a: Any, axes: Any = None) -> Any:
    axes = tuple(range(a.ndim))[::-1] if axes is None else normalize_axis_tuple(axes, a.ndim)
    return transpose(a, axes=axes)


@implements(np.matrix_transpose)
def _matrix_transpose(a: Any) -> Any:
    return _swapaxes(a, -1, -2)


@implements(np.swapaxes)
def _swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    axes = list(range(a.ndim))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return transpose(a, axes=tuple(axes))


@implements(np.moveaxis)
def _moveaxis(a: Any, source: Any, destination: Any) -> Any:
    moved = normalize_axis_tuple(source, a.ndim, "source")
    targets = normalize_axis_tuple(destination, a.ndim, "destination")
    axes = [i for i in range(a.ndim) if i not in moved]
    for target, axis in sorted(zip(targets, moved, strict=True)):
        axes.insert(target, axis)
    return transpose(a, axes=tuple(axes))


broadcast_to = Primitive("broadcast_to", lambda a, shape: np.broadcast_to(a, shape), saves=())
broadcast_to.defvjp(lambda g, out, a, shape: g)
broadcast_to.defjvp(lambda da, out, a, shape: da)


@implements(np.broadcast_to)
def _broadcast_to(array: Any, shape: Any) -> Any:
    return broadcast_to(array, shape=tuple(shape) if np.iterable(shape) else (shape,))


flip = Primitive("flip", lambda a, axis: np.flip(a, axis), saves=())
flip.defvjp(lambda g, out, a, axis: flip(g, axis=axis))
flip.defjvp(lambda da, out, a, axis: flip(da, axis=axis))


@implements(np.flip)
def _flip(m: Any, axis: Any = None) -> Any:
    return flip(m, axis=tuple(range(m.ndim)) if axis is None else normalize_axis_tuple(axis, m.ndim))


pad = Primitive("pad", lambda a, width: np.pad(a, width), saves=("specs",))
pad.defvjp(lambda g, out, a, width: g[tuple([slice(low, low + n) for (low, _), n in zip(width, a.shape, strict=True)])])
pad.defjvp(lambda da, out, a, width: pad(da, width=width))


@implements(np.pad)
def _pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Any:
    if isinstance(pad_width, dict):
        pad_width = [pad_width.get(i, pad_width.get(i - array.ndim, (0, 0))) for i in range(array.ndim)]
        pad_width = [(w, w) if isinstance(w, int) else w for w in pad_width]
    width = tuple([(int(a), int(b)) for a, b in np.broadcast_to(pad_width, (array.ndim, 2))])
    if mode == "constant":
        padded = pad(array, width=width)
        if np.ndim(constant_values) == 0 and constant_values == 0:
            return padded
        frame = np.pad(np.zeros(array.shape, array.dtype), width, constant_values=constant_values)
        return padded + frame
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise NoRuleError(f"np.pad with mode={mode!r} has no rule for tensors; compose it with np.concatenate")
    for axis, (low, high) in enumerate(width):
        index = np.pad(np.arange(array.shape[axis]), (low, high), mode=mode)  # type: ignore[call-overload]
        array = array[(slice(None),) * axis + (index,)]
    return array


def _bounds(lengths: Sequence[int]) -> tuple[int, ...]:
    return tuple(accumulate(lengths))


def _split_forward(a: Any, bounds: tuple[int, ...], axis: int) -> Any:
    lead = (slice(None),) * axis
    start, parts = 0, []
    for stop in bounds:
        parts.append(a[lead + (slice(start, stop),)])
        start = stop
    return tuple(parts)


def _split_vjp(gs: Any, outs: Any, args: Any, needs: Any, bounds: tuple[int, ...], axis: int) -> Any:
    parts = [np.zeros(out.shape, out.dtype) if g is None else g for g, out in zip(gs, outs, strict=True)]
    return [np.concatenate(parts, axis)]


split = Primitive("split", _split_forward, saves=())
split.defvjp_joint(_split_vjp)
split.defjvp_joint(lambda tangents, outs, args, bounds, axis: split(*tangents, bounds=bounds, axis=axis))


@implements(np.split)
def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    axis = normalize_axis_index(axis, ary.ndim)
    n = ary.shape[axis]
    if not np.iterable(indices_or_sections):
        sections = operator.index(indices_or_sections)
        if sections <= 0 or n % sections:
            raise ValueError(f"split of axis {axis} of length {n} into {sections} equal parts; give a divisor of {n}")
        bounds = _bounds([n // sections] * sections)
    else:
        cuts = [len(range(n)[: int(cut)]) for cut in indices_or_sections]
        if cuts != sorted(cuts):  # parts that overlap
            return [ary[(slice(None),) * axis + (slice(*ends),)] for ends in pairwise((0, *cuts, n))]
        bounds = (*cuts, n)
    return split(ary, bounds=bounds, axis=axis)


def _concatenate_vjp(gs: Any, outs: Any, args: Any, needs: Any, axis: int) -> Any:
    return split(*gs, bounds=_bounds([arg.shape[axis] for arg in args]), axis=axis)


def _concatenate_jvp(tangents: Any, outs: Any, args: Any, axis: int) -> Any:
    parts = [np.zeros(arg.shape, arg.dtype) if t is None else t for t, arg in zip(tangents, args, strict=True)]
    return concatenate(*parts, axis=axis)


concatenate = Primitive("concatenate", lambda *arrays, axis: np.concatenate(arrays, axis), saves=("specs",))
concatenate.defvjp_joint(_concatenate_vjp)
concatenate.defjvp_joint(_concatenate_jvp)


def _arrays(arrays: Any) -> list[Any]:
    return (
        list(arrays)
        if isinstance(arrays, Tensor)
        else [part if isinstance(part, (Tensor, np.ndarray)) else np.asarray(as_operand(part)) for part in arrays]
    )


@implements(np.concatenate)
def _concatenate(arrays: Any, axis: int | None = 0) -> Any:
    parts = _arrays(arrays)
    if axis is None:
        parts = [part.ravel() for part in parts]
        axis = 0
    for i, part in enumerate(parts):
        if not part.ndim:
            name = f" {part.name!r}" if isinstance(part, Tensor) and part.name else ""
            raise ValueError(
                f"concatenate: part {i}{name} has no axis to join along; write part.reshape(1), or np.stack where all "
                "parts are numbers"
            )
    return concatenate(*parts, axis=normalize_axis_index(axis, parts[0].ndim))


def _unstack_vjp(gs: Any, outs: Any, args: Any, needs: Any, axis: int) -> Any:
    parts = [np.zeros(out.shape, out.dtype) if g is None else g for g, out in zip(gs, outs, strict=True)]
    return [stack(*parts, axis=axis)]


unstack = Primitive("unstack", lambda a, axis: tuple(np.moveaxis(a, axis, 0)), saves=())
unstack.defvjp_joint(_unstack_vjp)
unstack.defjvp_joint(lambda tangents, outs, args, axis: unstack(*tangents, axis=axis))


@implements(Tensor.__iter__)
def _iterate(a: Any) -> Any:
    return unstack(a, axis=0) if len(a) else []


def _stack_jvp(tangents: Any, outs: Any, args: Any, axis: int) -> Any:
    parts = [np.zeros(arg.shape, arg.dtype) if t is None else t for t, arg in zip(tangents, args, strict=True)]
    return stack(*parts, axis=axis)


stack = Primitive("stack", lambda *arrays, axis: np.stack(arrays, axis), saves=("specs",))
stack.defvjp_joint(lambda gs, outs, args, needs, axis: unstack(*gs, axis=axis))
stack.defjvp_joint(_stack_jvp)


@implements(np.stack)
def _stack(arrays: Any, axis: int = 0) -> Any:
    parts = _arrays(arrays)
    if not parts:
        raise ValueError("stack of no tensors; give at least one")
    return stack(*parts, axis=normalize_axis_index(axis, parts[0].ndim + 1))
