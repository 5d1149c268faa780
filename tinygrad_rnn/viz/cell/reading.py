"""Reading: one step of a cell, or of a function, as the symbols of its drawing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core import Node, Tensor
from ...core.errors import CellError, ConfigError, TinygradRNNError, TraceError
from ...core.names import LocalNames
from ...core.node import Spec
from ...core.tree import tree_flatten
from ...nn import Recurrent
from ...scan.checks import settled
from ...scan.step import Step, traced
from ...testing.subject import found_input_size
from ..drawing import TooLargeError
from .errors import CellLayoutError
from .rewrite import rewrite
from .symbols import Symbol, symbols_of
from .terms import Formula

MOST_NODES = 600
MOST_SYMBOLS = 60
_ADVICE = "viz.draw(cell, x, state) draws every operation"
# What authors add to the name of a state to say whether it is the old one or the new one.
# Behind a low line or a single letter: h_new and ht, but not fast.
_TIMES = re.compile(r"(?:_|(?<=^.))(prev|previous|old|last|before|new|next|tm1|t|in|out|after)$")


def symbols_of_step(cell: Callable[..., Any], examples: tuple[Any, ...]) -> list[Symbol]:
    """Trace one step and return what is drawn of it.

    Args:
        cell: `(x, state) -> (y, state)`.
        examples: x and the state, or nothing for a cell whose input size can be told.

    Raises:
        ConfigError: if there are no examples and none can be made.
        CellError: if it returns no pair, or another state than it was given.
        TooLargeError: if there is too much to draw.
        CellLayoutError: if it cannot be traced.
    """
    step, draws = _step_of(cell, *_examples(cell, examples))
    if len(step.graph) > MOST_NODES:
        raise TooLargeError(f"a step of {len(step.graph):,} operations, more than {MOST_NODES}; {_ADVICE}")
    formula = Formula(step, draws)
    rewrite(formula)
    symbols = symbols_of(formula)
    _name_states(symbols)
    if len(symbols) > MOST_SYMBOLS:
        raise TooLargeError(
            f"a cell of {len(symbols)} symbols, more than the {MOST_SYMBOLS} that can be read in one figure; {_ADVICE}"
        )
    return symbols


def _examples(cell: Callable[..., Any], examples: tuple[Any, ...]) -> tuple[Any, Any]:
    if isinstance(cell, type):
        raise ConfigError(f"{cell.__name__} is a class; make an instance of it, and give that")
    if not callable(cell):
        raise ConfigError(f"a {type(cell).__name__} is no cell; give a cell, or a function (x, state) -> (y, state)")
    if len(examples) == 2:
        return examples[0], examples[1]
    what = getattr(cell, "__name__", None) or type(cell).__name__
    if examples:
        raise ConfigError(
            f"draw_cell({what}, ...) with {len(examples)} example{'s' * (len(examples) > 1)}; give x and a state, "
            "draw_cell(cell, x, state), or for a cell with an input_size neither"
        )
    if not hasattr(cell, "initial_state"):
        if isinstance(cell, Recurrent):
            raise ConfigError(
                f"{what} is a layer, which runs its cells over time; draw one of them: viz.draw_cell(layer.cells[0])"
            )
        raise ConfigError(
            f"{what} has no initial_state that would make an example of one; give x and a state: "
            f"draw_cell({what}, x, state)"
        )
    try:
        size = found_input_size(cell)  # type: ignore[arg-type]
        state = cell.initial_state(1)  # type: ignore[attr-defined]
    except (TinygradRNNError, TypeError, AttributeError) as error:
        reason = str(error).partition("; write ")[0]
        raise ConfigError(
            f"no input can be made up for {what}: {reason}; write self.input_size = input_size in the class, or give x "
            "and a state: draw_cell(cell, x, state)"
        ) from error
    dtype = np.result_type(*[leaf.dtype for leaf in tree_flatten(state)[0]], np.float32)
    return np.zeros((1, size), dtype), state


def _step_of(cell: Callable[..., Any], x: Any, state: Any) -> tuple[Step, set[Node]]:
    (x_leaves, x_tree), (leaves, tree) = tree_flatten(x), tree_flatten(state)
    specs = [[_spec(leaf) for leaf in flat] for flat in (x_leaves, leaves)]
    extents = [_extent(leaf) for leaf in x_leaves]
    method = getattr(cell, "forward", cell)
    names = LocalNames(getattr(method, "__code__", None))

    def stepped(x: Any, state: Any) -> tuple[Any, Any]:
        found = cell(x, state)
        if not isinstance(found, tuple) or len(found) != 2:
            raise CellError(f"a step returned {type(found).__name__}; return a pair, the output and the next state")
        y, after = found[0], settled(found[1], state)
        if tree_flatten(after)[1] != tree:
            raise CellError("a step returned a state of another nest than it was given; return the same one")
        return y, after

    try:
        with names:
            found = traced(stepped, specs[0], specs[1], (x_tree, tree), extents)
    except TraceError as error:
        raise CellLayoutError(f"the cell cannot be drawn from one trace of its step: {error}") from error
    step = found.named(names)
    return step, set(step.xs[len(x_leaves) :])


def _spec(leaf: Any) -> Spec:
    value = leaf if isinstance(leaf, Tensor) else np.asarray(leaf)
    return Spec(value.shape, value.dtype)


def _extent(leaf: Any) -> Callable[[], Any] | None:
    """Return what finds the least and greatest of integers, such as tokens."""
    array = np.asarray(leaf.data if isinstance(leaf, Tensor) else leaf)
    return (lambda: np.array([array.min(), array.max()])) if array.dtype.kind in "iu" and array.size else None


def _name_states(symbols: list[Symbol]) -> None:
    """Give a state one name before and after the step, and results the names under which they are known."""
    before = [symbol for symbol in symbols if symbol.kind == "state"]
    after = [symbol for symbol in symbols if symbol.kind == "next"]
    names = [_shorter(_bare(a.name), _bare(b.name)) for a, b in zip(before, after, strict=True)]
    for old, new, name in zip(before, after, names, strict=True):
        known = name if names.count(name) == 1 else old.name
        old.name = new.name = known
    values = {new.inputs[0]: new.name for new in reversed(after)}
    outputs = [symbol for symbol in symbols if symbol.kind == "output"]
    for output in outputs:
        own = "y" if len(outputs) == 1 else f"y{output.number}"
        output.name = values.get(output.inputs[0]) or output.name or own
    # What stands at the end of a line need not stand beside it.
    for symbol in [*values, *[output.inputs[0] for output in outputs]]:
        if symbol.kind not in ("state", "input"):
            symbol.name = ""


def _bare(name: str) -> str:
    return _TIMES.sub("", name) or name


def _shorter(before: str, after: str) -> str:
    """Return the shorter of two names of a state: `h` rather than the argument `state` that it came as."""
    return after if after and (not before or len(after) < len(before)) else before
