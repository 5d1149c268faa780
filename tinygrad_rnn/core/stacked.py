"""vmap: a function of one example run on many at once, on tensors that hide a leading axis.

No primitive needs a rule for this. A call on stacked tensors is tried as one call of the same primitive on whole
stacks, with the hidden axis in front and parameters such as `axis` moved by one. Whether that is right is found out
on random numbers, once for each primitive and shape; where it is not, the members are computed one by one.

A vmap inside a vmap stacks stacks: each has a level, a number that grows from the outer to the inner one, and a call
goes first to the innermost. Transforms inside a vmap work on whole stacks, `lift`ed out of all levels, where the
members stay apart, and hand to the user's function what `lower` makes of them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, NoReturn

import numpy as np

from .dispatch import LogicalOperators
from .errors import ConfigError, ConversionError, GraphError, ShapeError
from .node import Array, Spec, leaf, next_sequence
from .primitive import Primitive, every_value
from .tensor import Tensor
from .tree import tree_flatten, tree_map, tree_unflatten

_MARK = leaf(Spec((), np.dtype(float)))
# Number and count of members of every vmap whose function is running, the outermost first.
Levels = tuple[tuple[int, int], ...]
_levels: ContextVar[Levels] = ContextVar("tinygrad_rnn_levels", default=())
running_levels = _levels.get


@contextmanager
def running(levels: Levels) -> Iterator[None]:
    """Run a block as if inside the functions of these vmaps and no others."""
    token = _levels.set(levels)
    try:
        yield
    finally:
        _levels.reset(token)


class Stacked(LogicalOperators, Tensor):
    """Members of one shape that look like one tensor of that shape; operations are recorded on the whole stack.

    The members of an inner vmap may be a stack of an outer one, never the other way round.
    """

    __slots__ = ("_level", "_members")
    __hash__ = object.__hash__

    _members: Any
    _level: int

    def __init__(self, members: Any, level: int) -> None:
        self._members = members
        self._level = level
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
        return Stacked(self._members.detach(), self._level)

    def every_value(self) -> Array:
        """Return the values of all members."""
        return every_value(self._members)  # type: ignore[no-any-return]

    @staticmethod
    def call(primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Call a primitive whose arguments include stacked tensors; those of outer levels count as single ones."""
        level = _innermost(args)
        count = _count(args, level)
        key = (primitive, *[_kind(arg, level) for arg in args], repr(params))
        direct = _found_direct.get(key)
        if direct is None:
            direct = _found_direct[key] = _is_direct(primitive, args, params, level)
        together = _together if direct else _one_by_one
        hidden = [_is_stacked(arg, level) for arg in args]
        whole = together(primitive, [_inside(arg, level) for arg in args], hidden, params, count)
        return [Stacked(part, level) for part in whole] if isinstance(whole, (list, tuple)) else Stacked(whole, level)


_found_direct: dict[Any, bool] = {}


def _innermost(args: Sequence[Any]) -> int:
    return max([arg._level for arg in args if isinstance(arg, Stacked)])


def _is_stacked(arg: Any, level: int) -> bool:
    return isinstance(arg, Stacked) and arg._level == level


def _inside(arg: Any, level: int) -> Any:
    return arg._members if _is_stacked(arg, level) else arg


def _kind(arg: Any, level: int) -> Any:
    return (_is_stacked(arg, level), arg.shape, str(arg.dtype)) if hasattr(arg, "dtype") else type(arg)


def _count(args: Sequence[Any], level: int) -> int:
    counts = {len(arg._members) for arg in args if _is_stacked(arg, level)}
    if len(counts) != 1:
        raise ShapeError(f"stacks of {sorted(counts)} members in one operation; give stacks of equal length")
    return counts.pop()


def on_members(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a function that has no gradient on the values of every member, and stack what it gives."""
    leaves, structure = tree_flatten((args, kwargs))
    level = _innermost(leaves)
    found = []
    for k in range(_count(leaves, level)):
        member = [leaf._members[k] if _is_stacked(leaf, level) else leaf for leaf in leaves]
        call_args, call_kwargs = tree_unflatten(structure, member)
        found.append(function(*call_args, **call_kwargs))
    members = np.stack(found)
    return Stacked(members if isinstance(members, Tensor) else Tensor(members), level)


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
    ndim = max(arg.ndim - hidden for arg, hidden in zip(args, stacked, strict=True) if hasattr(arg, "ndim"))
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
    if all(isinstance(out, (list, tuple)) for out in found):
        return [np.stack(parts) for parts in zip(*found, strict=True)]
    return np.stack(found)


def _is_direct(primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any], level: int) -> bool:
    """Try both ways on three members of random numbers, first small ones, then large ones of both signs."""
    rng = np.random.default_rng(0)
    stacked = [_is_stacked(arg, level) for arg in args]
    for low, high in ((0.25, 0.75), (-30.0, 30.0)):
        probes = [_probe(arg, level, rng, low, high) for arg in args]
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


def _probe(arg: Any, level: int, rng: np.random.Generator, low: float, high: float) -> Any:
    """Return arrays to try a call on: random floats and bools, and the very integers, which may be indices."""
    if not hasattr(arg, "dtype"):
        return arg
    hidden = _is_stacked(arg, level)
    shape = (3, *arg.shape) if hidden else arg.shape
    if arg.dtype.kind == "f":
        return rng.uniform(low, high, shape).astype(arg.dtype)
    if arg.dtype.kind == "b":
        return rng.random(shape) < 0.5
    inside = _inside(arg, level)
    while isinstance(inside, Stacked):
        inside = inside._members[0]
    values = np.asarray(inside._data if isinstance(inside, Tensor) else inside)
    if not hidden:
        return values
    return values[np.arange(3) % len(values)] if len(values) else np.zeros(shape, arg.dtype)


def lift(tensor: Any, levels: Levels) -> Any:
    """Return a tensor with one axis in front for each level, the outermost first, repeated where it has no stack.

    A stack of a level that is none of these, as of a vmap over the function that `vjp` returned, is kept.
    """
    if not levels:
        return tensor
    level, count = levels[-1]
    if isinstance(tensor, Stacked) and tensor._level > level:
        return Stacked(np.moveaxis(lift(tensor._members, levels), len(levels), 0), tensor._level)
    if _is_stacked(tensor, level):
        return lift(tensor._members, levels[:-1])
    return lift(np.broadcast_to(tensor, (count, *tensor.shape)), levels[:-1])


def lower(tensor: Any, levels: Levels) -> Any:
    """Return the stack whose `lift` is a tensor."""
    if levels and isinstance(tensor, Stacked):
        return Stacked(lower(np.moveaxis(tensor._members, 0, len(levels)), levels), tensor._level)
    for level, _ in levels:
        tensor = Stacked(tensor, level)
    return tensor


def refuse_leaked(tensor: Tensor) -> None:
    """Raise GraphError for a stack of a vmap whose function is not running here."""
    if isinstance(tensor, Stacked):
        raise GraphError(
            f"{tensor!r} belongs to a vmap that has ended, or that runs in another thread; return it from the function "
            "given to vmap, and use what vmap returns"
        )


def vmap(function: Callable[..., Any], in_axes: Any = 0) -> Callable[..., Any]:
    """Return a function that does for a whole stack what `function` does for one member, in one call.

    The function may call transforms (`tg.grad`, `tg.vjp`, `tg.jvp`, `tg.hessian`, …) and `vmap` itself.

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
        ConversionError, GraphError: when called, if `function` asks for a value, or for `backward()` or
            `tg.gradients()` of members.
        ShapeError: when called, if the stacks differ in length.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> tg.vmap(lambda w, x: np.sum(w * x), in_axes=(0, None))(np.eye(3), np.array([1.0, 2.0, 3.0]))
        Tensor([1., 2., 3.])

        Derivatives of every member:

        >>> tg.vmap(tg.grad(lambda x: np.sum(x**3)))(np.array([[1.0, 2.0], [3.0, 4.0]]))
        Tensor([[ 3., 12.],
                [27., 48.]])
    """

    @wraps(function)
    def call(*args: Any) -> Any:
        axes = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(args)
        if len(axes) != len(args) or not all(axis in (0, None) for axis in axes) or all(axis is None for axis in axes):
            raise ConfigError(
                f"in_axes {in_axes!r} for {len(args)} arguments; give 0 or None for each, 0 for one at least"
            )
        level = next_sequence()
        given = [
            arg if axis is None else tree_map(lambda value: _stack(value, level), arg)
            for arg, axis in zip(args, axes, strict=True)
        ]
        count = _count(tree_flatten(given)[0], level)
        with running((*running_levels(), (level, count))):
            result = function(*given)
        return tree_map(lambda out: _unstack(out, level, count), result)

    return call


def _stack(value: Any, level: int) -> Stacked:
    members = value if isinstance(value, Tensor) else Tensor(value)
    if not members.shape:
        raise ShapeError("vmap over a number; give arrays whose leading axis counts the members, or in_axes=None")
    return Stacked(members, level)


def _unstack(out: Any, level: int, count: int) -> Any:
    if _is_stacked(out, level):
        return out._members
    out = out if isinstance(out, Tensor) else Tensor(out)
    if isinstance(out, Stacked) and out._level > level:
        refuse_leaked(out)
    return np.broadcast_to(out, (count, *out.shape))
