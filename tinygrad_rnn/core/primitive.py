"""Primitive: a function on arrays together with its gradient rules, and the recording of its calls."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from .backward import Addend
from .dispatch import implementations, refuse_algebra
from .errors import ConversionError, DtypeError, NonFiniteError, NoRuleError, ShapeError
from .modes import Modes, current, user_line
from .node import Node, Spec, spec_for, spec_of
from .tensor import Tensor

Rule = Callable[..., Any]
_new_tensor = Tensor.__new__
_OF_SHAPES = re.compile("shape|dimension|broadcast|axes|axis|size|operand")
_NO_PARAMS: dict[str, Any] = {}
_NUMBERS = frozenset({float, int, bool})


@cache
def _first_outputs(count: int) -> tuple[int, ...]:
    return (0,) * count


class _Everything:
    def __contains__(self, item: object) -> bool:
        return True


_EVERYTHING = _Everything()


class Primitive:
    """A differentiable operation: what it computes, and how cotangents and tangents pass through it.

    Arrays are arguments: those that a node keeps are copied if a user may still write to them. Keyword parameters are
    kept as they are.

    Rules are written with operators, NumPy functions and other primitives, and never change an array in place. Then
    they run on bare arrays (first derivatives), and on tensors (derivatives of every order) alike. The engine does
    the rest: it sums a cotangent to its argument's shape, broadcasts a tangent to the result's, keeps dtypes.

    Args:
        name: shown in print-outs, pictures and errors.
        forward: takes arrays (and keyword parameters), returns an array, or a tuple of arrays for several results.
        saves: what the rules read: positions of arguments, "out" for the result, and "specs" if they read shapes or
            dtypes of arguments that are not saved. Such an argument reaches the rules as its `Spec`, or without
            "specs" as None; a result that is not saved is always its `Spec`. By default everything is saved.
        accumulate: for `Addend`: `accumulate(buffer, *args, **params)` adds the result into a buffer.

    Example:
        A primitive of your own, with its rules; a call on a tensor records it:

        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> cube = tg.Primitive("cube", lambda a: a**3)
        >>> cube.defvjp(lambda g, out, a: g * 3 * a**2)
        >>> cube.defjvp(lambda da, out, a: da * 3 * a**2)
        >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
        >>> np.sum(cube(x)).backward()
        >>> x.grad
        array([ 3., 12.])
    """

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        saves: Sequence[int | str] | None = None,
        accumulate: Callable[..., None] | None = None,
    ) -> None:
        self.name = name
        self.forward = forward
        self.accumulate = accumulate
        self.vjp_rules: Sequence[Rule] | None = None
        self.jvp_rules: Sequence[Rule] | None = None
        self._joint_vjp: Rule | None = None
        self._joint_jvp: Rule | None = None
        self.told: Rule | None = None
        self.hides: frozenset[str] = frozenset()
        self._saves: Container[int | str] = _EVERYTHING if saves is None else frozenset(saves)
        self._saves_out = "out" in self._saves
        self._specs_too = "specs" in self._saves

    def defvjp(self, *rules: Rule) -> None:
        """Declare one `rule(g, out, *args, **params)` for each argument: the cotangent of that argument."""
        self.vjp_rules = rules

    def defjvp(self, *rules: Rule) -> None:
        """Declare one `rule(tangent, out, *args, **params)` for each argument; the engine adds up what they give."""
        self.jvp_rules = rules

    def defvjp_joint(self, rule: Rule) -> None:
        """Declare `rule(gs, outs, args, needs, **params)`: the cotangents of all arguments, None where not needed.

        `gs` has a cotangent for each result, None where nothing depends on it.
        """
        self._joint_vjp = rule

    def defjvp_joint(self, rule: Rule) -> None:
        """Declare `rule(tangents, outs, args, **params)`: the tangents of all results, a tuple if there are several.

        `tangents` has one for each argument, None for a constant.
        """
        self._joint_jvp = rule

    def reads(self, what: int | str) -> bool:
        """Return whether the gradient rules read an argument, given by its position, or with "out" the results."""
        return what in self._saves

    def deftold(self, told: Rule, hides: Sequence[str] = ()) -> None:
        """Declare `told(node, letters, gs)`, which tells `explain` a call that is a program of its own.

        `letters` are the names of the arguments; `gs` has a cotangent for each result, None where nothing depends on
        it, and is None itself where no numbers are known. It returns a `Told`, or None for a call like any other.
        Print-outs leave out the parameters that this hides.
        """
        self.told, self.hides = told, frozenset(hides)

    def pull(
        self, gs: Sequence[Any], outs: Sequence[Any], args: Sequence[Any], needs: Sequence[bool], params: Any
    ) -> Any:
        """Return the cotangents of all arguments by whichever rule was declared.

        Raises:
            NoRuleError: if none was.
        """
        if self.vjp_rules is not None:
            return [
                rule(gs[0], outs[0], *args, **params) if need else None
                for rule, need in zip(self.vjp_rules, needs, strict=True)
            ]
        if self._joint_vjp is None:
            raise NoRuleError(f"primitive {self.name} has no vjp rule; declare one with defvjp or defvjp_joint")
        return self._joint_vjp(gs, outs, args, needs, **params)

    def push(self, tangents: Sequence[Any], outs: Sequence[Any], args: Sequence[Any], params: Any) -> tuple[Any, ...]:
        """Return the tangents of all results by whichever rule was declared; None where a result does not move.

        Raises:
            NoRuleError: if none was.
        """
        if self.jvp_rules is not None:
            total = None
            for rule, tangent in zip(self.jvp_rules, tangents, strict=True):
                if tangent is not None:
                    part = rule(tangent, outs[0], *args, **params)
                    total = part if total is None else total + part
            return (total,)
        if self._joint_jvp is None:
            raise NoRuleError(f"primitive {self.name} has no jvp rule; declare one with defjvp or defjvp_joint")
        answer = self._joint_jvp(tangents, outs, args, **params)
        return tuple(answer) if isinstance(answer, (tuple, list)) else (answer,)

    @staticmethod
    def add_up(addends: Sequence[Addend], spec: Spec) -> Any:
        """Return the sum of several addends, of whichever primitives, by one call that fills one buffer."""
        args = [arg for addend in addends for arg in addend.args]
        parts = tuple([(addend.primitive, len(addend.args), addend.params) for addend in addends])
        return add_up(*args, parts=parts, shape=spec.shape, dtype=spec.dtype)

    def __call__(self, *args: Any, **params: Any) -> Any:
        """Compute the result: arrays give arrays; with a tensor among the arguments, a tensor, recorded if need be."""
        values: list[Any] = []
        parents: list[Node | None] = []
        saved: list[Any] = []
        slots: list[int] | None = None
        saves = self._saves
        specs_too = self._specs_too
        has_tensor = has_array = recorded = False
        for i, arg in enumerate(args):
            if isinstance(arg, Tensor):
                has_tensor = True
                node = arg._node
                if node is not None:
                    recorded = True
                    slot = arg._index
                    if slot:
                        if slot < 0:
                            return arg.call(self, args, params)  # type: ignore[attr-defined]
                        slots = slots or [0] * len(args)
                        slots[i] = slot
                    value = arg._data
                    saved.append(value if i in saves else node.specs[slot] if specs_too else None)
                else:
                    value = arg._data
                    saved.append(value if i in saves else spec_for(value.shape, value.dtype))
                parents.append(node)
            else:
                if type(arg) in _NUMBERS:
                    value = arg
                else:
                    value = arg if type(arg) is np.ndarray and arg.dtype.kind in "fiub" else as_operand(arg)
                    has_array = has_array or type(value) is np.ndarray
                parents.append(None)
                saved.append(value)
            values.append(value)
        try:
            out = self.forward(*values, **params) if params else self.forward(*values)
        except ValueError as error:
            if type(error) is not ValueError or not _OF_SHAPES.search(str(error)):
                raise
            raise ShapeError(self._shapes_message(args, params, error)) from error
        several = type(out) is tuple
        if several:
            if self.vjp_rules is not None or self.jvp_rules is not None:
                raise NoRuleError(
                    f"primitive {self.name} has {len(out)} results and rules that take the gradient of one; "
                    "declare defvjp_joint and defjvp_joint instead"
                )
            out = tuple([part if type(part) is np.ndarray else np.asarray(part) for part in out])
        elif type(out) is not np.ndarray:
            out = np.asarray(out)
        if not has_tensor:
            return out
        modes = current()
        if modes.debug:
            modes = Modes(modes.recording, modes.debug, modes.scope, modes.keeping, user_line())
            self._check_finite(out, modes)

        node = None
        if recorded and modes.recording:
            if has_array:
                for i, value in enumerate(saved):
                    if type(value) is np.ndarray and not isinstance(args[i], Tensor):
                        # Users may still write to arrays of their own.
                        saved[i] = value.copy() if i in saves else spec_for(value.shape, value.dtype)
            specs = tuple([spec_for(part.shape, part.dtype) for part in out]) if several else spec_of(out)
            outs = specs if not (self._saves_out or modes.keeping) else out if several else (out,)
            if modes.keeping:
                saved = [_kept(value, arg) for value, arg in zip(values, args, strict=True)]
            node = Node(
                self,
                tuple(parents),
                tuple(slots) if slots else _first_outputs(len(args)),
                tuple(saved),
                params or _NO_PARAMS,
                outs,
                specs,
                modes,
            )
        if several:
            wrap = Tensor._wrap
            return [wrap(part, node, index) for index, part in enumerate(out)]
        tensor = _new_tensor(Tensor)
        tensor._data = out
        tensor._node = node
        tensor._index = 0
        tensor._name = None
        return tensor

    def _shapes_message(self, args: Any, params: Any, error: Exception) -> str:
        shapes = []
        for arg in args:
            name = f"{arg.name} " if isinstance(arg, Tensor) and arg.name else ""
            shapes.append(f"{name}{arg.shape}" if hasattr(arg, "shape") else f"{arg!r}")
        given = "".join([f", {key}={value!r}" for key, value in params.items()])
        return f"{self.name} of shapes {' and '.join(shapes)}{given}: {error}. Give shapes that NumPy can combine"

    def _check_finite(self, out: Any, modes: Modes) -> None:
        for values in out if type(out) is tuple else (out,):
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                bad = values[~np.isfinite(values)].flat[0]
                raise NonFiniteError(
                    f"{self.name} gave {bad} (shape {values.shape}) at {modes.line}; keep its arguments where the "
                    "result is finite, for instance with np.clip or np.maximum"
                )

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def _kept(value: Any, arg: Any) -> Any:
    # Users may still write to arrays of their own.
    return value.copy() if type(value) is np.ndarray and not isinstance(arg, Tensor) else value


# A fresh node in front of every input tells the inputs of nested transforms apart.
identity = Primitive("identity", lambda a: a, saves=())
identity.defvjp(lambda g, out, a: g)
identity.defjvp(lambda da, out, a: da)


def _each_part(parts: Any, *columns: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Go through the parts of a sum; of each column, give what belongs to the arguments of that part."""
    start = 0
    for primitive, count, params in parts:
        yield (primitive, params, *[column[start : start + count] for column in columns])
        start += count


def _add_up(*args: Any, parts: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    buffer = np.zeros(shape, dtype)
    for primitive, params, own in _each_part(parts, args):
        primitive.accumulate(buffer, *own, **params)
    return buffer


def _add_up_vjp(gs: Any, outs: Any, args: Any, needs: Any, parts: Any, shape: tuple[int, ...], dtype: Any) -> list[Any]:
    pulled: list[Any] = []
    for primitive, params, own, own_needs in _each_part(parts, args, needs):
        if any(own_needs):
            pulled += primitive.pull(gs, [Spec(shape, dtype)], own, own_needs, params)
        else:
            pulled += [None] * len(own)
    return pulled


def _add_up_jvp(tangents: Any, outs: Any, args: Any, parts: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    moving = [
        Addend(primitive, own_tangents[0], *own[1:], **params)
        for primitive, params, own, own_tangents in _each_part(parts, args, tangents)
        if own_tangents[0] is not None
    ]
    return Primitive.add_up(moving, Spec(shape, dtype))


# What a recorded sweep makes of addends. Expanded one by one, those of x[0], x[1], … would take the size of x each.
add_up = Primitive("add_up", _add_up)
add_up.defvjp_joint(_add_up_vjp)
add_up.defjvp_joint(_add_up_jvp)


def implements(*functions: Any) -> Callable[[Rule], Rule]:
    """Make a function the implementation of NumPy functions (or methods of ufuncs) on tensors.

    Args:
        functions: of NumPy; for a method of a ufunc a pair, as in `(np.add, "reduce")`.

    Returns:
        A decorator, which gives the function back as it is.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> @tg.implements(np.heaviside)
        ... def heaviside(x, at_zero):
        ...     return np.where(x > 0, 1.0, np.where(x < 0, 0.0, at_zero))
        >>> np.heaviside(tg.Tensor([-1.0, 2.0]), 0.5)
        array([0., 1.])
    """

    def declare(rule: Rule) -> Rule:
        for function in functions:
            implementations[function] = rule
        return rule

    return declare


def value_of(arg: Any) -> Any:
    """Return the array of a tensor, for operations that have no gradient; anything else as it is."""
    return arg._data if isinstance(arg, Tensor) else arg


def constant(arg: Any) -> Any:
    """Return an argument that is never differentiated, such as an index, as an array; a stack inside vmap as it is."""
    return arg if isinstance(arg, Tensor) and arg._index < 0 else np.asarray(value_of(arg))


def every_value(arg: Any) -> Any:
    """Return an argument as an array, to check what it holds; of a stand-in for many, the values of all of them."""
    return arg.every_value() if isinstance(arg, Tensor) and arg._index < 0 else np.asarray(value_of(arg))  # type: ignore[attr-defined]


def as_operand(arg: Any) -> Any:
    """Return an argument as primitives take it: tensors and Python numbers as they are, all else as plain arrays.

    Raises:
        ConversionError: if a list holds tensors, or if the argument is an array with an algebra of its own.
        DtypeError: if it holds anything but real numbers, integers and bools.
    """
    if isinstance(arg, (Tensor, float, int)):
        return arg
    if isinstance(arg, (np.matrix, np.ma.MaskedArray)):
        refuse_algebra(type(arg).__name__)
    array = arg if isinstance(arg, np.generic) else np.asarray(arg)
    if array.dtype == object:
        raise ConversionError(f"{type(arg).__name__} of objects where numbers are expected; join tensors with np.stack")
    if array.dtype.kind not in "fiub":
        raise DtypeError(f"an operand of dtype {array.dtype} beside a tensor; give real numbers, integers or bools")
    return array
