"""Tracing: a function is run once on tensors that have a shape and no value, and leaves the list of what it called."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NamedTuple, NoReturn

import numpy as np

from . import random
from .dispatch import LogicalOperators
from .errors import TraceError
from .modes import current, user_line
from .node import Array, Spec, leaf, spec_for
from .primitive import Primitive, as_operand
from .tensor import Tensor

_MARK = leaf(Spec((), np.dtype(float)))
_NUMBERS = frozenset({float, int, bool})


class Literal(NamedTuple):
    """A Python number in a trace; its type counts, since 2 and 2.0 promote differently."""

    kind: type
    value: Any


class Captured(NamedTuple):
    """The place of an operand that came from outside: a parameter, a constant array."""

    number: int


class Call(NamedTuple):
    """One call of a primitive: operands are numbers of earlier values, `Captured` ones or `Literal`s."""

    primitive: Primitive
    operands: tuple[Any, ...]
    params: Any
    specs: tuple[Spec, ...]
    first: int


class Abstract(LogicalOperators, Tensor):
    """A tensor with a shape and a dtype whose value is not known: what a traced function is called with."""

    __slots__ = ("_spec", "_trace", "_value")
    __hash__ = object.__hash__

    _spec: Spec
    _trace: Trace
    _value: int

    def __init__(self, spec: Spec, trace: Trace, value: int) -> None:
        self._spec, self._trace, self._value = spec, trace, value
        # No tensor of its own has a negative output number: this is what sends a call to `call` below.
        self._node, self._index, self._name = _MARK, -1, None

    @property
    def _data(self) -> Array:  # type: ignore[override]
        known = self._trace.known.get(self._value)
        if known is not None:
            return known
        raise TraceError(
            f"{user_line()}: the value of a traced tensor of shape {self.shape} was asked for; it is known only while "
            "the compiled loop runs. Write the step with NumPy functions only (np.where instead of if), or choose "
            "engine='eager'"
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._spec.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._spec.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._spec.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the elements."""
        return self._spec.dtype

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Abstract({self._spec})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self._data

    def _number(self) -> Any:
        return self._data

    def _recorded(self, asked: str) -> NoReturn:
        raise TraceError(
            f"{user_line()}: {asked} on a traced tensor of shape {self.shape}, which belongs to no graph yet; take "
            "gradients outside of the loop, or choose engine='eager'"
        )

    def detach(self) -> Tensor:
        """Return a tensor of the same value that is a constant for every gradient."""
        return stop(self)  # type: ignore[no-any-return]

    def call(self, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Record a call of a primitive whose arguments include this tensor."""
        return self._trace.record(primitive, args, params)

    def every_value(self) -> Array:
        """Return the least and the greatest element that an input holds, to check what it may be used for."""
        extent = self._trace.extents.get(self._value)
        return extent() if extent is not None else self._data


stop = Primitive("stop", lambda a: a, saves=())
stop.defvjp(lambda g, out, a: None)
stop.defjvp(lambda da, out, a: None)


class Trace:
    """The calls that a function makes on abstract tensors, in order.

    Attributes:
        specs: of every value.
        inputs: the values that are inputs.
        calls: what was called; the results of each are values that follow each other.
        captured: tensors and arrays from outside, in the order in which they were met.
        draws: the inputs that are random numbers, drawn at every step.
        extents: for inputs whose range of values is known, a function that returns it.
        known: the values of inputs that may be asked for them.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.core.node import Spec
        >>> from tinygrad_rnn.core.trace import Trace
        >>> trace = Trace()
        >>> x = trace.input(Spec((2, 3), np.dtype(float)))
        >>> np.tanh(2 * x)
        Abstract(float64[2, 3])
        >>> [call.primitive.name for call in trace.calls]
        ['multiply', 'tanh']
    """

    def __init__(self) -> None:
        self.specs: list[Spec] = []
        self.inputs: list[int] = []
        self.calls: list[Call] = []
        self.captured: list[Any] = []
        self._recording = current().recording
        self.draws: list[int] = []
        self.extents: dict[int, Callable[[], Array]] = {}
        self.known: dict[int, Array] = {}
        self._places: dict[int, Captured] = {}

    def living(self) -> int:
        """Return a number that is the same whenever equally many of this trace's tensors are in use."""
        return sys.getrefcount(self)  # each of them refers to its trace

    def kept(self) -> list[Abstract]:
        """Return the tensors of this trace that are in use somewhere."""
        gc.collect()  # which those in a cycle, such as that of an error and its frames, do not survive
        return [thing for thing in gc.get_objects() if type(thing) is Abstract and thing._trace is self]

    def input(self, spec: Spec, extent: Callable[[], Array] | None = None) -> Abstract:
        """Return a new input."""
        spec = spec_for(spec.shape, spec.dtype)
        tensor = Abstract(spec, self, len(self.specs))
        self.inputs.append(len(self.specs))
        self.specs.append(spec)
        if extent is not None:
            self.extents[tensor._value] = extent
        return tensor

    def draw(self, shape: tuple[int, ...] | None) -> Abstract:
        """Return random numbers of a shape as a new input."""
        if shape is None:
            raise TraceError(
                f"{user_line()}: a traced step asked for a random generator, whose numbers would be the same at every "
                "step; write tg.random.uniform(shape), or choose engine='eager'"
            )
        self.draws.append(len(self.specs))
        return self.input(Spec(tuple(shape), np.dtype(np.float32)))

    def operand(self, arg: Any) -> Any:
        """Return how the trace refers to an argument."""
        if type(arg) is Abstract and arg._trace is self:
            return arg._value
        if type(arg) in _NUMBERS:
            return Literal(type(arg), arg)
        if not isinstance(arg, Tensor):
            arg = np.asarray(as_operand(arg))
        place = self._places.get(id(arg))
        if place is None:
            place = self._places[id(arg)] = Captured(len(self.captured))
            self.captured.append(arg)  # which also keeps its id from being given to another
        return place

    def record(self, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Note a call and return abstract tensors for its results."""
        operands, key = [], [primitive]
        for arg in args:
            operand = self.operand(arg)
            operands.append(operand)
            if type(operand) is int:
                operand = self.specs[operand]
            elif type(operand) is Captured:
                held = self.captured[operand.number]
                operand = spec_for(held.shape, held.dtype)
            key.append(operand)
        frozen = freeze(params) if params else ()
        known = (*key, frozen)
        found = self._specs_by_value(primitive, operands, key[1:], params) if self.known else None
        found = found or _known_specs.get(known)
        if found is None:
            if len(_known_specs) > 10_000:
                _known_specs.clear()
            found = _known_specs[known] = _result_specs(primitive, key[1:], params)
        several, specs = found
        first = len(self.specs)
        self.calls.append(Call(primitive, tuple(operands), frozen, specs, first))
        self.specs.extend(specs)
        results = [Abstract(spec, self, first + i) for i, spec in enumerate(specs)]
        if self._recording and primitive is not stop and not current().recording:
            results = [stop(result) for result in results]
        return results if several else results[0]

    def _specs_by_value(
        self, primitive: Primitive, operands: list[Any], kinds: list[Any], params: dict[str, Any]
    ) -> tuple[bool, tuple[Spec, ...]] | None:
        """Find the shapes of results where they hang on a known value: how many elements a mask picks."""
        known = [self.known.get(operand) if type(operand) is int else None for operand in operands]
        if all(value is None or value.dtype.kind == "f" for value in known):
            return None
        values = [kind if value is None else value for value, kind in zip(known, kinds, strict=True)]
        return _result_specs(primitive, values, params)


_known_specs: dict[Any, tuple[bool, tuple[Spec, ...]]] = {}


def _result_specs(primitive: Primitive, kinds: list[Any], params: dict[str, Any]) -> tuple[bool, tuple[Spec, ...]]:
    """Find the shapes and dtypes of the results by computing them once from stand-ins."""
    stand_ins = [
        kind.value if type(kind) is Literal else stand_in(kind) if isinstance(kind, Spec) else kind for kind in kinds
    ]
    with np.errstate(all="ignore"):
        out = primitive(*stand_ins, **params)
    parts = out if isinstance(out, tuple) else (out,)
    return isinstance(out, tuple), tuple([spec_for(np.shape(part), np.asarray(part).dtype) for part in parts])


def stand_in(spec: Spec) -> Array:
    """Return an array of a shape and dtype that every operation takes."""
    if spec.dtype.kind != "f":
        return np.zeros(spec.shape, spec.dtype)
    ones = np.ones(spec.shape, spec.dtype)
    # Square matrices are made positive definite, for functions that take no singular ones.
    is_square = spec.ndim > 1 and spec.shape[-1] == spec.shape[-2]
    return ones + np.eye(spec.shape[-1], dtype=spec.dtype) if is_square else ones


def freeze(params: dict[str, Any]) -> tuple[Any, ...]:
    """Return parameters as something hashable, from which `thaw` gets them back."""
    return tuple([(name, _frozen(value)) for name, value in params.items()])


def _frozen(value: Any) -> Any:
    if type(value) is slice:
        return ("slice", value.start, value.stop, value.step)
    if type(value) is tuple:
        return ("tuple", *[_frozen(part) for part in value])
    return (type(value), value)


def thaw(frozen: tuple[Any, ...]) -> dict[str, Any]:
    """Return the parameters that `freeze` was given."""
    return {name: _thawed(value) for name, value in frozen}


def _thawed(value: Any) -> Any:
    if value[0] == "slice":
        return slice(*value[1:])
    if value[0] == "tuple":
        return tuple([_thawed(part) for part in value[1:]])
    return value[1]


_tracing: ContextVar[bool] = ContextVar("tinygrad_rnn_tracing", default=False)


class tracing:
    """Inside the block, make random numbers inputs of a trace; refuse what would be done once and not at every step.

    Args:
        trace: whose inputs they become.
    """

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def __enter__(self) -> None:
        self._tokens = _tracing.set(True), random.instead.set(self._trace.draw)

    def __exit__(self, *details: Any) -> None:
        _tracing.reset(self._tokens[0])
        random.instead.reset(self._tokens[1])


def refuse_while_tracing(what: str) -> None:
    """Raise TraceError inside `tracing`: what happens there happens once, not at every step."""
    if _tracing.get():
        raise TraceError(
            f"{user_line()}: {what}, which a compiled loop would do once and not at every step; hand it on as part of "
            "the state or of the output, or choose engine='eager'"
        )
