"""A step compiled to be taken once at a time, without a tape: for sampling, and for input that arrives bit by bit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from ..core import Spec, Tensor, no_grad
from ..core.errors import ShapeError, TraceError
from ..core.modes import current
from ..core.node import Array
from ..core.tree import TreeDef, tree_flatten, tree_map, tree_unflatten
from .checks import checked_step, matcher, name_of, settled
from .engines import EngineWarning, _outside, checked, has_native
from .numpy_engine import numpy_engine
from .step import Step, Traced, traced
from .whole import whole_step


class Stepper:
    """A step `(x, state) -> (y, state)` that keeps its state and is called with one input after another.

    The step is traced once and compiled, and nothing is recorded. What it closes over, such as weights, a compiled
    stepper keeps as it is now: what an optimiser does to them later does not reach it.

    Args:
        step: the step, as `scan` takes it.
        init: the state before the first step: a nest of arrays or tensors.
        x: an input, for its nest, shapes and dtypes.
        engine: "eager", "numpy", "native", or "auto", which takes the best one that is there for this step; None leaves
            the choice to `with tg.engine(...)`.

    Raises:
        CellError: if the step returns no pair, or a state unlike the one before.
        TraceError: if "numpy" or "native" was asked for and has no form for the step.
        ConfigError: if there is no such engine.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> from tinygrad_rnn.scan import Stepper
        >>> cell = nn.GRUCell(3, 4)
        >>> stepper = Stepper(cell, cell.initial_state(1), np.zeros((1, 3), np.float32))
        >>> y = stepper(np.ones((1, 3), np.float32))
        >>> np.array_equal(stepper.state, y)
        True
    """

    def __init__(
        self, step: Callable[[Any, Any], tuple[Any, Any]], init: Any, x: Any, *, engine: str | None = None
    ) -> None:
        name = checked(engine)
        fall_back = name == "auto"
        if fall_back:
            name = "eager" if current().debug else "native" if has_native() else "numpy"
        x, init = tree_map(_tensor, x), tree_map(_tensor, init)
        xs, self._structure = tree_flatten(x)
        self._x = tree_map(lambda leaf: Spec(leaf.shape, leaf.dtype), x)
        self._specs = [(leaf.shape, leaf.dtype) for leaf in xs]
        states, self._states = tree_flatten(init)
        self._taken: _Taken = _Eager(step, init, self._structure)
        if name == "eager":
            return
        try:
            found = self._traced(step, init, xs, states)
        except TraceError as error:
            if not fall_back:
                raise
            warnings.warn(f"{name_of(step)} runs step by step: {error}", EngineWarning, stacklevel=_outside())
            return
        constants = [value.data if isinstance(value, Tensor) else np.array(value) for value in found.captured]
        self._taken = _compiled(found, [leaf.data for leaf in states], constants, name, fall_back)

    def _traced(self, step: Any, init: Any, xs: list[Any], states: list[Any]) -> Traced:
        whole = whole_step(step, init, states_too=False, masked=False)
        specs, state_specs = [[Spec(leaf.shape, leaf.dtype) for leaf in leaves] for leaves in (xs, states)]
        structures = (self._structure, self._states)
        with no_grad():
            found = traced(whole, specs, state_specs, structures)
            if not found.is_known and not found.agrees(traced(whole, specs, state_specs, structures)):
                raise TraceError(
                    f"{name_of(step)} did not do the same when it was called again; write it without a memory of its "
                    "own, or choose engine='eager'"
                )
        if found.draws:
            raise TraceError(
                f"{name_of(step)} draws random numbers; call eval() on its modules, or choose engine='eager'"
            )
        return found

    def __call__(self, x: Any) -> Any:
        """Take one step.

        Args:
            x: an input, in the nest, shapes and dtypes of the one that was given at first, its dicts in any order.

        Returns:
            y, its leaves arrays that are the caller's own.

        Raises:
            ShapeError: if its nest, shapes or dtypes are others.
        """
        if type(x) is np.ndarray and type(self._x) is Spec:
            leaves = [x]
        else:
            leaves, structure = tree_flatten(settled(x, self._x))
            if structure != self._structure:
                raise ShapeError(
                    f"an input in the nest {structure}, expected {self._structure}; give this, or make another stepper"
                )
        xs = [leaf.data if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        found = [(leaf.shape, leaf.dtype) for leaf in xs]
        if found != self._specs:
            raise ShapeError(
                f"an input of shapes and dtypes {found}, expected {self._specs}; give these, or make another stepper"
            )
        return self._taken(xs)

    @property
    def state(self) -> Any:
        """The state as it is now, in the nest of the first one, its leaves arrays."""
        return tree_unflatten(self._states, self._taken.state)


class _Taken(Protocol):
    """Takes a step on the leaves of an input and returns y; holds the state."""

    @property
    def state(self) -> list[Array]: ...

    def __call__(self, xs: Sequence[Array]) -> Any: ...


class _Eager:
    """The step itself."""

    def __init__(self, step: Any, init: Any, structure: TreeDef) -> None:
        self._step, self._now, self._structure = step, init, structure

    def __call__(self, xs: Sequence[Array]) -> Any:
        with no_grad():
            out = self._step(tree_unflatten(self._structure, [Tensor(x) for x in xs]), self._now)
        y, self._now = checked_step(self._step, out, self._now, matcher(self._now), 0)
        return tree_map(lambda leaf: np.array(_tensor(leaf).data), y)

    @property
    def state(self) -> list[Array]:
        return [np.array(leaf.data) for leaf in tree_flatten(self._now)[0]]


class _NumPy:
    """The step as NumPy source, for one step of time."""

    def __init__(self, step: Step, init: Sequence[Array], constants: Sequence[Array]) -> None:
        self._program, self._now, self._constants = numpy_engine(step), list(init), constants
        self._ys = len(step.ys)

    def __call__(self, xs: Sequence[Array]) -> list[Array]:
        out = self._program([*self._now, *[x[None] for x in xs], *self._constants], 1, False)
        self._now = out[self._ys :]
        return [np.array(y[0]) for y in out[: self._ys]]

    @property
    def state(self) -> list[Array]:
        return [np.array(leaf) for leaf in self._now]


class _Put:
    """What takes a compiled step, with its results put into the nest that they have."""

    def __init__(self, taken: _Taken, structure: TreeDef) -> None:
        self._taken, self._structure = taken, structure

    def __call__(self, xs: Sequence[Array]) -> Any:
        return tree_unflatten(self._structure, self._taken(xs))

    @property
    def state(self) -> list[Array]:
        return self._taken.state


def _compiled(found: Traced, init: list[Array], constants: list[Array], name: str, fall_back: bool) -> _Taken:
    if name == "native":
        from .native.layout import UnsupportedError  # llvmlite is an extra, imported where it is used
        from .native.stepping import Stepping

        try:
            return _Put(Stepping(found.step, init, constants), found.y_structure)
        except UnsupportedError:
            if not fall_back:
                raise
    return _Put(_NumPy(found.step, init, constants), found.y_structure)


def _tensor(leaf: Any) -> Tensor:
    return leaf if isinstance(leaf, Tensor) else Tensor(leaf)
