"""Node: one operation on the tape. Nodes point at the nodes they came from and at nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from operator import attrgetter
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .modes import Modes, Scope, current

Array = npt.NDArray[Any]
next_sequence = count().__next__
_NUMBERS = frozenset({float, int, bool})


class Operation(Protocol):
    """What nodes and sweeps need to know of a primitive."""

    name: str
    vjp_rules: Sequence[Callable[..., Any]] | None
    accumulate: Callable[..., None] | None
    told: Callable[..., Any] | None
    hides: frozenset[str]

    def __call__(self, *args: Any, **params: Any) -> Any:
        """Compute the result."""

    def reads(self, what: int | str) -> bool:
        """Return whether the gradient rules read an argument, given by its position, or with "out" the results."""

    def pull(
        self, gs: Sequence[Any], outs: Sequence[Any], args: Sequence[Any], needs: Sequence[bool], params: Any
    ) -> Any:
        """Return the cotangents of all arguments."""

    def push(self, tangents: Sequence[Any], outs: Sequence[Any], args: Sequence[Any], params: Any) -> tuple[Any, ...]:
        """Return the tangents of all results."""

    def add_up(self, addends: Sequence[Any], spec: Spec) -> Any:
        """Return the sum of several addends, computed in one buffer."""


class Spec:
    """Shape and dtype of an array, without its value.

    A gradient rule gets one in place of each argument that its primitive does not save.

    Args:
        shape: the length of each axis.
        dtype: of the elements.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> spec = tg.Spec((2, 3), np.dtype(np.float32))
        >>> spec, spec.ndim, spec.size
        (float32[2, 3], 2, 6)
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def __repr__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


_specs: dict[Any, tuple[Spec]] = {}


def spec_of(array: Array) -> tuple[Spec]:
    """Return the spec of an array in a tuple, as nodes keep it; one object for all arrays of a shape and dtype.

    A tape of a million nodes then holds a handful of them, which spares memory and above all the garbage collector.
    """
    key = (array.shape, array.dtype)
    return _specs.get(key) or _new_spec(key)


def spec_for(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Spec:
    """Return the one spec of a shape and dtype."""
    key = (shape, dtype)
    (found,) = _specs.get(key) or _new_spec(key)
    return found


def _new_spec(key: tuple[tuple[int, ...], np.dtype[Any]]) -> tuple[Spec]:
    if len(_specs) > 10_000:
        _specs.clear()
    found = _specs[key] = (Spec(*key),)
    return found


class Watch:
    """What a user attached to one output of a node: a name, hooks, and the gradient left there by `backward`.

    Attributes:
        held: of a leaf, its value, and the sequence number from which on it has that value.
    """

    __slots__ = ("grad", "held", "hooks", "keeps_grad", "name")

    def __init__(self, name: str | None = None, keeps_grad: bool = False) -> None:
        self.name = name
        self.keeps_grad = keeps_grad
        self.grad: Array | None = None
        self.hooks: dict[Any, Callable[[Any], Any]] = {}
        self.held: tuple[Array, int] | None = None

    def hold(self, value: Array) -> None:
        """Note the value that a leaf has from now on."""
        self.held = value, next_sequence()


class Node:
    """How one tensor, or several at once, came to be.

    A leaf (an input or a parameter) has no primitive and no parents. `args` and `outs` hold what the gradient rules
    need, and are None once a backward pass has freed them; everything else stays, so that a graph can be read and
    drawn after its gradients are out. In `args`, an argument that the primitive does not save is its `Spec` where it
    is a constant or the rules ask for specs, otherwise None.

    While a tape grows, the garbage collector visits every list, and every tuple that holds more than arrays, again
    and again. So a node has none that it can do without.

    Attributes:
        primitive: the operation, or None for a leaf.
        parents: for each argument the node it came from, or None where it is a constant.
        slots: for each argument which output of its parent it is.
        params: the keyword arguments that are no arrays, such as `axis`.
        specs: shape and dtype of each output.
        sequence: a number that grows with every node made in this process: parents come before their children.
        modes: the modes that were in force; in debug mode with the user's line.
        watches: what users attached to its outputs, by output; None while there is nothing.
        numbers: of a freed node, the Python numbers among its arguments, None for each of the others.

    Example:
        >>> import tinygrad_rnn as tg
        >>> x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
        >>> node = (3 * x).node
        >>> node, node.parents, node.args[0]
        (<multiply float64[2]>, (None, <leaf 'x' float64[2]>), 3)
    """

    __slots__ = (
        "__weakref__",
        "args",
        "modes",
        "numbers",
        "outs",
        "params",
        "parents",
        "primitive",
        "sequence",
        "slots",
        "specs",
        "watches",
    )

    def __init__(
        self,
        primitive: Operation | None,
        parents: Sequence[Node | None],
        slots: Sequence[int],
        args: Sequence[Any] | None,
        params: dict[str, Any],
        outs: Sequence[Any] | None,
        specs: tuple[Spec, ...],
        modes: Modes,
    ) -> None:
        self.primitive = primitive
        self.parents = parents
        self.slots = slots
        self.args = args
        self.params = params
        self.outs = outs
        self.specs = specs
        self.modes = modes
        self.sequence = next_sequence()
        self.watches: dict[int, Watch] | None = None
        self.numbers: Sequence[Any] | None = None

    @property
    def arguments(self) -> Sequence[Any]:
        """What is known of the arguments: `args`, of a freed node its Python numbers, and None for everything else."""
        if self.args is not None:
            return self.args
        return self.numbers or (None,) * len(self.parents)

    def free(self) -> None:
        """Let go of the arrays. Python numbers are kept, so that a formula can be read as it was."""
        args = self.args
        if args is not None and None in self.parents:
            numbers = tuple([arg if type(arg) in _NUMBERS else None for arg in args])
            self.numbers = numbers if any(number is not None for number in numbers) else None
        self.args = self.outs = None

    @property
    def scope(self) -> Scope:
        """Names of modules and numbers of time steps that were in force."""
        return self.modes.scope

    @property
    def line(self) -> str | None:
        """File and line of the user's code, in debug mode."""
        return self.modes.line

    @property
    def operation(self) -> str:
        """The name of the primitive; "leaf" where there is none."""
        return "leaf" if self.primitive is None else self.primitive.name

    @property
    def name(self) -> str | None:
        """The name that a user gave to the first output, if any."""
        return self.name_of(0)

    def name_of(self, slot: int) -> str | None:
        """Return the name that a user gave to an output, if any."""
        watch = self.watches and self.watches.get(slot)
        return watch.name if watch else None

    def watch(self, slot: int) -> Watch:
        """Return the watch on an output, made at first use."""
        if self.watches is None:
            self.watches = {}
        return self.watches.setdefault(slot, Watch())

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        made = f" made at {self.line}" if self.line else ""
        return f"<{self.operation}{name} {', '.join(map(repr, self.specs))}{made}>"


def leaf(spec: Spec, name: str | None = None) -> Node:
    """Make the node of a tensor that requires grad and comes from no operation."""
    node = Node(None, (), (), (), {}, (), (spec,), current())
    node.watches = {0: Watch(name, keeps_grad=True)}
    return node


def unwatched_leaf(data: Array) -> Node:
    """Make the node of an input that no user can reach, such as those of transforms: nothing is left there."""
    return Node(None, (), (), (), {}, (), spec_of(data), current())


def ancestors(roots: Iterable[Node], since: int = 0) -> list[Node]:
    """Return the nodes that `roots` came from, themselves included, parents before children.

    What nodes with a sequence number below `since` came from is left out.
    """
    seen = set(roots)
    stack = list(seen)
    while stack:
        node = stack.pop()
        if node.sequence < since:
            continue
        for parent in node.parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=attrgetter("sequence"))
