"""The choice of the engine that runs a loop over time."""

from __future__ import annotations

import importlib.util
import random as python_random
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ContextDecorator, contextmanager
from contextvars import ContextVar, Token
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..core import Spec, Tensor, random
from ..core.errors import ConfigError, TraceError
from ..core.modes import current
from ..core.stacked import Stacked, lift, lower, running_levels
from ..core.trace import Abstract
from ..core.tree import tree_flatten, tree_map, tree_unflatten
from .checks import name_of, refuse_step
from .compiled import Program, run
from .eager import run_eager
from .numpy_engine import numpy_engine
from .opening import Origin
from .passes.merge import merge
from .prepare import prepared
from .step import Step, Traced, extent_of, traced
from .whole import whole_step

Run = Callable[..., tuple[Any, Any, Any]]
_llvmlite = importlib.util.find_spec("llvmlite") is not None
NAMES = ("auto", "eager", "numpy", "native")


class EngineWarning(UserWarning):
    """A loop that a slower engine runs than the best one that is there."""


class Engine(NamedTuple):
    """A compiled engine.

    Args:
        name: by which it is chosen.
        compile: returns the program that runs a step over time.
        prepare: the passes of its own that a step goes through before a derivative is taken of it.
    """

    name: str
    compile: Callable[[Step], Program]
    prepare: Callable[[Step], Step]


_refused: set[str] = set()
_LACKING = "lacks a native form of"  # in the cache of a step
_registry: dict[Any, Any] = {}  # of warnings that are given again


@contextmanager
def overheard() -> Iterator[list[str]]:
    """Gather what engines would warn of inside the block, which is not warned of; it will be outside.

    Example:
        >>> from tinygrad_rnn.scan.engines import overheard
        >>> with overheard() as messages:
        ...     pass
        >>> messages
        []
    """
    told, messages = set(_refused), list[str]()
    _refused.clear()
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", EngineWarning)
            yield messages
    finally:
        _refused.clear()
        _refused.update(told)
        messages += [str(one.message) for one in caught if issubclass(one.category, EngineWarning)]
        for one in caught:
            if not issubclass(one.category, EngineWarning):
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno, registry=_registry)


def _native(step: Step) -> Program:
    """Return the program of the engine "native"; that of "numpy", said once, where an operation has no native form."""
    from .native.engine import native_engine  # llvmlite is an extra, imported where it is used
    from .native.layout import UnsupportedError

    program = native_engine(step)

    def run_either(arrays: Any, time: int, reverse: bool) -> Any:
        if _LACKING not in step.cache:
            try:
                return program(arrays, time, reverse)
            except UnsupportedError as error:
                step.cache[_LACKING] = str(error)
        lacking = step.cache[_LACKING]
        kind = re.sub(r"[\d\W]+", " ", lacking)  # once for all shapes
        if kind not in _refused:
            _refused.add(kind)
            warnings.warn(
                f"a loop runs by the engine 'numpy', since there is no native form of {lacking}",
                EngineWarning,
                stacklevel=_outside(),
            )
        return numpy_engine(step)(arrays, time, reverse)

    return run_either


def _as_it_is(step: Step) -> Step:
    return step


_engines = {"numpy": Engine("numpy", numpy_engine, merge), "native": Engine("native", _native, _as_it_is)}
_chosen: ContextVar[str] = ContextVar("tinygrad_rnn_engine", default="auto")


class engine(ContextDecorator):
    """Run the loops over time inside the block, or inside the decorated function, by an engine.

    Args:
        name: "auto", "eager", "numpy" or "native".

    Raises:
        ConfigError: if there is no such engine, or it needs a package that is not installed.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn import nn
        >>> with tg.engine("eager"):
        ...     y, h = nn.GRU(3, 4)(np.ones((5, 2, 3)))
        >>> y.node.operation
        'stack'
    """

    def __init__(self, name: str) -> None:
        self._name = checked(name)
        self._tokens: list[Token[str]] = []

    def _recreate_cm(self) -> engine:
        return engine(self._name)

    def __enter__(self) -> None:
        self._tokens.append(_chosen.set(self._name))

    def __exit__(self, *details: Any) -> None:
        _chosen.reset(self._tokens.pop())


def checked(name: str | None) -> str:
    """Return the name of an engine; the one that is in force for None.

    Raises:
        ConfigError: if there is no such engine, or it needs a package that is not installed.
    """
    if name is None:
        return _chosen.get()
    if name not in NAMES:
        raise ConfigError(f"there is no engine {name!r}; give one of {', '.join(map(repr, NAMES))}")
    if name == "native" and not has_native():
        raise ConfigError("the engine 'native' needs llvmlite; write pip install 'tinygrad_rnn[fast]', or take 'numpy'")
    return name


def has_native() -> bool:
    """Whether the package that the engine "native" needs is installed."""
    return _llvmlite


def available() -> list[str]:
    """Return the names of the engines that are there.

    Example:
        >>> from tinygrad_rnn.scan.engines import available
        >>> available()[:2]
        ['eager', 'numpy']
    """
    return ["eager", "numpy"] + ["native"] * has_native()


def runner(name: str | None) -> Run:
    """Return what runs steps over time by the engine of a name."""
    name = checked(name)
    if name == "eager":
        return run_eager
    if name == "auto":
        if current().debug:  # which names the user's own line
            return run_eager
        if running_levels():
            return partial(_run_members, _engines["numpy"], True)
        return partial(_run_compiled, _engines["native" if has_native() else "numpy"], True)
    return partial(_run_members if running_levels() else _run_compiled, _engines[name], False)


def _run_members(
    engine: Engine,
    fall_back: bool,
    step: Any,
    init: Any,
    xs: Any,
    time: int,
    reverse: bool,
    keep_states: bool,
    carried: Any = None,
    ends: Any = None,
) -> tuple[Any, Any, Any]:
    """Run the steps inside vmap: one compiled loop over the stacks of all members."""
    if carried is not None:
        return run_eager(step, init, xs, time, reverse, keep_states, carried, ends)
    levels = running_levels()
    depth = len(levels)

    def lowered(nest: Any) -> Any:
        return tree_map(lambda leaf: lower(leaf, levels), nest)

    def of_members(x: Any, state: Any) -> Any:
        out = step(lowered(x), lowered(state))
        if not isinstance(out, tuple) or len(out) != 2:
            refuse_step(step, out, init, 0)
        return tuple([tree_map(lambda leaf: lift(leaf, levels), nest) for nest in out])

    def in_front(leaf: Any) -> Any:
        return np.moveaxis(lift(leaf, levels), depth, 0)

    def behind(nest: Any) -> Any:
        return tree_map(lambda leaf: lower(np.moveaxis(leaf, 0, depth), levels), nest)

    start = tree_map(lambda leaf: lift(leaf, levels), init)
    ys, states, final = _run_compiled(
        engine, fall_back, of_members, start, tree_map(in_front, xs), time, reverse, keep_states
    )
    return behind(ys), behind(states) if keep_states else None, lowered(final)


def _run_compiled(
    engine: Engine,
    fall_back: bool,
    step: Any,
    init: Any,
    xs: Any,
    time: int,
    reverse: bool,
    keep_states: bool,
    carried: Any = None,
    ends: Any = None,
) -> tuple[Any, Any, Any]:
    """Run the steps as `run_eager` does, traced once and compiled."""
    rest = (init, xs, time, reverse, keep_states, carried, ends)
    states_too = keep_states or ends is not None
    whole = whole_step(step, init, states_too, carried is not None)
    x = (xs, Tensor._wrap(carried)) if carried is not None else xs
    x_leaves, x_structure = tree_flatten(x)
    leaves, structure = tree_flatten(init)
    if any(type(leaf) is Abstract for leaf in (*leaves, *x_leaves)):
        return run_eager(step, *rest)  # inside a step that is being traced, of which this loop becomes a part
    specs = [Spec(leaf.shape[1:], leaf.dtype) for leaf in x_leaves]
    state_specs = [Spec(leaf.shape, leaf.dtype) for leaf in leaves]
    extents = [extent_of(leaf) for leaf in x_leaves]
    try:
        drawn_before = python_random.getstate()[1][-1]
        found = traced(whole, specs, state_specs, (x_structure, structure), extents)
        if python_random.getstate()[1][-1] != drawn_before:
            raise TraceError(
                f"{name_of(step)} draws from Python's random module, which a compiled loop would do once and not at "
                "every step; write tg.random.uniform(shape), or choose engine='eager'"
            )
        if not found.is_known:
            again = traced(whole, specs, state_specs, (x_structure, structure), extents)
            if not found.agrees(again):
                raise TraceError(
                    f"{name_of(step)} did not do the same when it was called again, so a compiled loop would repeat "
                    "what should differ from step to step; draw random numbers outside of it and hand them in, or "
                    "choose engine='eager'"
                )
        if any(type(value) is Abstract for value in found.captured):
            return run_eager(step, *rest)
        if fall_back and any(isinstance(value, Stacked) for value in found.captured):
            return run_eager(step, *rest)
    except TraceError as error:
        if not fall_back:
            raise
        answer = run_eager(step, *rest)
        warnings.warn(f"{name_of(step)} runs step by step: {error}", EngineWarning, stacklevel=_outside())
        return answer
    except Exception:
        if not fall_back:
            raise
        return run_eager(step, *rest)  # which raises the error with the values at hand, if it is one
    drawn = _draw(found.draws, time, reverse)
    lifted = prepared(found.step, engine.prepare)
    constants = lifted.constants(found.captured)
    origin = Origin(step, structure, x_structure, states_too, carried, len(drawn), found.captured)
    ys, last = run(lifted.step, leaves, [*x_leaves, *drawn], constants, time, reverse, engine.compile, origin)
    nest = tree_unflatten(found.y_structure, ys)
    final = tree_unflatten(structure, last)
    if not states_too:
        return nest, None, final
    ys, states = nest
    if ends is not None:
        at = (ends, np.arange(ends.size))
        final = tree_map(lambda leaf: leaf[at], states)
    return ys, states if keep_states else None, final


def _draw(shapes: list[tuple[int, ...]], time: int, reverse: bool) -> list[Tensor]:
    """Draw the random numbers of all steps, in the order in which the steps are run."""
    arrays = [np.empty((time, *shape), np.float32) for shape in shapes]
    if arrays:
        for t in range(time - 1, -1, -1) if reverse else range(time):
            for array in arrays:
                array[t] = random.uniform(array.shape[1:])
    return [Tensor._wrap(array) for array in arrays]


def _outside() -> int:
    """Return the stack level of the innermost caller outside this package, for warnings."""
    level, frame = 1, sys._getframe(1)
    while frame is not None and "tinygrad_rnn" in frame.f_globals.get("__name__", ""):
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    return level


__all__ = ["Engine", "EngineWarning", "Run", "Traced", "available", "checked", "engine", "overheard", "runner"]
