"""The loop over time that runs a Python step once per time step and records every operation it does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import Tensor
from ..core.modes import pop_scope, push_scope
from ..core.tree import tree_flatten, tree_map, tree_unflatten
from .checks import checked_step, is_arrays, matcher, refuse_output

Step = Callable[[Any, Any], tuple[Any, Any]]
Mask = NDArray[np.bool_]


def run_eager(
    step: Step,
    init: Any,
    xs: Any,
    time: int,
    reverse: bool,
    keep_states: bool,
    carried: Mask | None = None,
    ends: NDArray[np.intp] | None = None,
) -> tuple[Any, Any, Any]:
    """Run the steps; return outputs and states in time order, and the last state.

    Args:
        step: one step, `(x, state) -> (y, state)`.
        init: the state before the first step.
        xs: the inputs, every leaf (time, ...).
        time: the number of steps, at least 1.
        reverse: run from the last step to the first.
        keep_states: return the states of all steps; None otherwise.
        carried: (time, batch), rows that before a step go back to the initial state where it is False.
        ends: (batch,), the step after which the last state of a row is taken; None takes the very last.
    """
    at, state, state_matches, y_matches = _slices(xs), init, matcher(init), None
    ys: list[Any] = []
    states: list[Any] = []
    for t in range(time - 1, -1, -1) if reverse else range(time):
        token = push_scope(t)
        try:
            if carried is not None and not carried[t].all():
                state = tree_map(partial(choose, carried[t]), state, init)
            out = step(at(t), state)
        finally:
            pop_scope(token)
        y, state = checked_step(step, out, init, state_matches, t)
        if y_matches is None and is_arrays(y):
            y_matches = matcher(y)
        if y_matches is None or not y_matches(y):
            refuse_output(step, y, ys, t)
        ys.append(y)
        if keep_states or ends is not None:
            states.append(state)
    if reverse:
        ys.reverse()
        states.reverse()
    outputs, every = _stack(ys), _stack(states) if states else None
    if ends is not None:
        last = (ends, np.arange(ends.size))
        state = tree_map(lambda leaf: leaf[last], every)
    return outputs, every if keep_states else None, state


def _slices(xs: Any) -> Callable[[int], Any]:
    """Return the function from t to the inputs of step t."""
    leaves, treedef = tree_flatten(xs)
    if len(leaves) > 1 or leaves[0] is not xs:
        parts = [_slices(leaf) for leaf in leaves]
        return lambda t: tree_unflatten(treedef, [part(t) for part in parts])
    if xs.requires_grad:
        return lambda t: xs[t]
    # A constant needs no node, and its views need no copies: nobody can write to the array of a tensor.
    array, wrap = xs._data, Tensor._wrap
    return lambda t: wrap(array[t, ...])


def _stack(nests: list[Any]) -> Any:
    return tree_map(lambda *leaves: _tensor(np.stack(leaves)), *nests)


def choose(mask: Mask, where: Any, elsewhere: Any) -> Any:
    """Return `np.where` with a mask of the leading axes."""
    return np.where(mask.reshape(mask.shape + (1,) * (where.ndim - mask.ndim)), where, elsewhere)


def _tensor(leaf: Any) -> Tensor:
    return leaf if isinstance(leaf, Tensor) else Tensor(leaf)
