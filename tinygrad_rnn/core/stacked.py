"""vmap: a function of one example run on many at once, on tensors that hide a leading axis.

No primitive needs a rule for this. A call on stacked tensors is tried as one call of the same primitive on whole
stacks, with the hidden axis in front and parameters such as `axis` moved by one. Whether that is right is found out
on random numbers, once for each primitive and shape; where it is not, the members are computed one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

import numpy as np

from .errors import ConfigError, ConversionError, ShapeError
from .node import Array, Spec, leaf
from .primitive import Primitive
from .tensor import Tensor
from .transforms import grad
from .tree import tree_flatten, tree_map, tree_unflatten

_MARK = leaf(Spec((), np.dtype(float)))


class Stacked(Tensor):
    """Members of one shape that look like one tensor of that shape; operations are recorded on the whole stack."""

    __slots__ = ("_members",)
    __hash__ = object.__hash__

    _members: Any

    def __init__(self, members: Any) -> None:
        self._members = members
        # No tensor of its own has a negative output number: this is what sends a call to `call` below.
        self._node, self._index, self._name = _MARK, -1, None

    @property
    def _data(self) -> NoReturn:  # type: ignore[override]
        raise ConversionError(
            f"inside vmap a tensor of shape {self.shape} stands for {len(self._members)} of them and has no single "
            "value; write the function with NumPy functions only, without if, float() or .data"
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one member."""
        return self._members.shape[1:]  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        """The number of axes of one member."""
        return self._members.ndim - 1  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """The number of elements of one member."""
        return Spec(self.shape, self.dtype).size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the elements."""
        return self._members.dtype  # type: ignore[no-any-return]

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Stacked({len(self._members)} of {Spec(self.shape, self.dtype)})"

    def detach(self) -> Tensor:
        """Return the same members as constants for every gradient."""
        return Stacked(self._members.detach())

    def every_value(self) -> Array:
        """Return the values of all members."""
        return self._members._data  # type: ignore[no-any-return]

    @staticmethod
    def call(primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Call a primitive whose arguments include stacked tensors."""
        count = _count(args)
        key = (primitive, count == 0, *[_kind(arg) for arg in args], repr(params))
        direct = _found_direct.get(key)
        if direct is None:
            direct = _found_direct[key] = _is_direct(primitive, args, params)
        together = _together if direct else _one_by_one
        whole = together(primitive, [_inside(arg) for arg in args], [_is_stacked(arg) for arg in args], params, count)
        return [Stacked(part) for part in whole] if isinstance(whole, (list, tuple)) else Stacked(whole)


_found_direct: dict[Any, bool] = {}


def _is_stacked(arg: Any) -> bool:
    return isinstance(arg, Stacked)


def _inside(arg: Any) -> Any:
    return arg._members if isinstance(arg, Stacked) else arg


def _kind(arg: Any) -> Any:
    return (_is_stacked(arg), arg.shape, str(arg.dtype)) if hasattr(arg, "dtype") else type(arg)


def _count(args: Any) -> int:
    counts = {len(arg._members) for arg in args if isinstance(arg, Stacked)}
    if len(counts) != 1:
        raise ShapeError(f"stacks of {sorted(counts)} members in one operation; give stacks of equal length")
    return counts.pop()


def on_members(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a function that has no gradient on the values of every member, and stack what it gives."""
    leaves, structure = tree_flatten((args, kwargs))
    found = []
    for k in range(_count(leaves)):
        member = [leaf._members[k] if isinstance(leaf, Stacked) else leaf for leaf in leaves]
        call_args, call_kwargs = tree_unflatten(structure, member)
        found.append(function(*call_args, **call_kwargs))
    return Stacked(Tensor(np.stack(found)))


# How a parameter changes when a hidden axis is put in front; any other stays as it is.
_MOVED: dict[str, Callable[[Any, int], Any]] = {
    "axis": lambda axis, n: tuple([i + 1 for i in axis]) if isinstance(axis, tuple) else axis + 1,
    "axes": lambda axes, n: (0, *[i + 1 for i in axes]),
    "shape": lambda shape, n: (n, *shape),
    "width": lambda width, n: ((0, 0), *width),
    "index": lambda index, n: (slice(None), *(index if isinstance(index, tuple) else (index,))),
}


def _together(primitive: Primitive, args: list[Any], stacked: list[bool], params: dict[str, Any], count: int) -> Any:
    """Call the primitive once, on stacks that are aligned so that the hidden axis is in front of all others."""
    ndim = max(getattr(arg, "ndim", 0) - hidden for arg, hidden in zip(args, stacked, strict=True))
    aligned = [
        arg.reshape((count,) + (1,) * (ndim + 1 - arg.ndim) + arg.shape[1:]) if hidden and len(args) > 1 else arg
        for arg, hidden in zip(args, stacked, strict=True)
    ]
    if "axis" in params:  # joined along an axis: every part needs the hidden one
        aligned = [
            arg if hidden or not hasattr(arg, "ndim") else np.broadcast_to(arg, (count, *arg.shape))
            for arg, hidden in zip(aligned, stacked, strict=True)
        ]
    moved = {name: _MOVED[name](value, count) if name in _MOVED else value for name, value in params.items()}
    return primitive(*aligned, **moved)


def _one_by_one(primitive: Primitive, args: list[Any], stacked: list[bool], params: dict[str, Any], count: int) -> Any:
    """Call the primitive for every member and stack the results."""
    if count == 0:
        raise ShapeError(f"{primitive.name} over a stack of no members; give at least one")
    found = [
        primitive(*[arg[k] if hidden else arg for arg, hidden in zip(args, stacked, strict=True)], **params)
        for k in range(count)
    ]
    if isinstance(found[0], (list, tuple)):
        return [np.stack(parts) for parts in zip(*found, strict=True)]
    return np.stack(found)


def _is_direct(primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> bool:
    """Try both ways on three members of random numbers, first small ones, then large ones of both signs."""
    rng = np.random.default_rng(0)
    stacked = [_is_stacked(arg) for arg in args]
    for low, high in ((0.25, 0.75), (-30.0, 30.0)):
        probes = [_probe(arg, rng, low, high) for arg in args]
        with np.errstate(all="ignore"):
            try:
                expected = _parts(_one_by_one(primitive, probes, stacked, params, 3))
                found = _parts(_together(primitive, probes, stacked, params, 3))
            except (ValueError, IndexError, TypeError, ArithmeticError):
                return False
        if len(found) != len(expected) or not all(
            a.shape == b.shape and np.allclose(a, b, rtol=1e-6, atol=1e-6, equal_nan=True)
            for a, b in zip(found, expected, strict=True)
        ):
            return False
    return True


def _parts(result: Any) -> list[Array]:
    return list(result) if isinstance(result, (list, tuple)) else [result]


def _probe(arg: Any, rng: np.random.Generator, low: float, high: float) -> Any:
    """Return arrays to try a call on: random floats and bools, and the very integers, which may be indices."""
    if not hasattr(arg, "dtype"):
        return arg
    shape = (3, *arg.shape) if isinstance(arg, Stacked) else arg.shape
    if arg.dtype.kind == "f":
        return rng.uniform(low, high, shape).astype(arg.dtype)
    if arg.dtype.kind == "b":
        return rng.random(shape) < 0.5
    inside = _inside(arg)
    values = np.asarray(inside._data if isinstance(inside, Tensor) else inside)
    return values[np.arange(3) % len(values)] if isinstance(arg, Stacked) else values


def vmap(function: Callable[..., Any], in_axes: Any = 0) -> Callable[..., Any]:
    """Return a function that does for a whole stack what `function` does for one member, in one call.

    Args:
        function: takes and returns nests of arrays or tensors. It may not look at values (no `if` on them); random
            numbers that it draws are the same for all members.
        in_axes: 0 for a nest of stacks, whose leading axis counts the members; None for one that all members share.
            One for all arguments, or a tuple with one for each.

    Returns:
        A function of the same arguments; every tensor of its result has the members' axis in front. Gradients go
        through it as through any other function.

    Raises:
        ConfigError: when called, if `in_axes` does not fit the arguments.
        ShapeError: when called, if the stacks differ in length.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> tg.vmap(lambda w, x: np.sum(w * x), in_axes=(0, None))(np.eye(3), np.array([1.0, 2.0, 3.0]))
        Tensor([1., 2., 3.])
    """

    @wraps(function)
    def call(*args: Any) -> Any:
        axes = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(args)
        if len(axes) != len(args) or not all(axis in (0, None) for axis in axes) or all(axis is None for axis in axes):
            raise ConfigError(
                f"in_axes {in_axes!r} for {len(args)} arguments; give 0 or None for each, 0 for one at least"
            )
        given = [arg if axis is None else tree_map(_stack, arg) for arg, axis in zip(args, axes, strict=True)]
        count = _count(tree_flatten(given)[0])
        return tree_map(lambda out: _unstack(out, count), function(*given))

    return call


def _stack(value: Any) -> Stacked:
    members = value if isinstance(value, Tensor) else Tensor(value)
    if not members.shape:
        raise ShapeError("vmap over a number; give arrays whose leading axis counts the members, or in_axes=None")
    return Stacked(members)


def _unstack(out: Any, count: int) -> Any:
    if isinstance(out, Stacked):
        return out._members
    out = out if isinstance(out, Tensor) else Tensor(out)
    return np.broadcast_to(out, (count, *out.shape))


def per_sample_grad(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that gives the gradient of every example by itself, in one call.

    Args:
        function: `function(parameters, *example)`, the loss of one example, of one element.

    Returns:
        A function `(parameters, *batch)`, where the leading axis of everything in `batch` counts the examples. Its
        result is a nest like the parameters with that axis in front.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> loss = lambda w, x: np.sum((w * x) ** 2)
        >>> tg.per_sample_grad(loss)(np.array([1.0, 2.0]), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
        Tensor([[2., 0.],
                [0., 4.],
                [2., 4.]])
    """

    @wraps(function)
    def call(parameters: Any, *batch: Any) -> Any:
        leaves = tree_flatten(batch)[0]
        if not leaves or not all(np.shape(value) for value in leaves):
            raise ShapeError("per_sample_grad needs a batch: arrays whose leading axis counts the examples")
        count = np.shape(leaves[0])[0]
        stacks = tree_map(lambda p: np.broadcast_to(p, (count, *np.shape(p))), parameters)
        return grad(lambda stack: np.sum(vmap(function)(stack, *batch)))(stacks)

    return call
