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
from .checks import check_inputs, check_lengths, check_rows, is_arrays, matcher, refuse_output, refuse_step

Step = Callable[[Any, Any], tuple[Any, Any]]
Mask = NDArray[np.bool_]


def scan(
    step: Step,
    init: Any,
    xs: Any,
    lengths: Any = None,
    *,
    reverse: bool = False,
    return_states: bool = False,
) -> tuple[Any, ...]:
    """Run `step(x_t, state) -> (y_t, state)` over the first axis of `xs`, handing the state on from step to step.

    With `lengths` the second axis of `xs`, and the first of every leaf of the state, is the batch. A row takes part
    for its own number of steps; what stands behind them changes no output, state or gradient, be it NaN: a padded step
    works on a copy of what its row got at its first valid step, and rows of length 0 are left out. So a step must
    treat rows one by one, whatever their number.

    Args:
        step: one step. It returns a state with the nest, shapes and dtypes of the one it was given.
        init: the state before the first step: a nest of arrays or tensors.
        xs: a nest of arrays or tensors, every leaf (time, ...), or (time, batch, ...) with `lengths`.
        lengths: (batch,) integers from 0 to time; None where every row has all steps.
        reverse: run from the last step to the first; a row with a length starts at its own end.
        return_states: return the states after every step too.

    Returns:
        `(ys, final)`, or `(ys, final, states)`: `ys` and `states` in the time order of `xs`, every leaf (time, ...), 0
        at padded positions; `final`, the state after each row's own last step, which is `init` where there was none.

    Raises:
        CellError: if the step returns no pair, or a state or output unlike the one before.
        ShapeError, DtypeError, DataError: if `xs`, `init` and `lengths` do not belong together.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.scan import scan
        >>> x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
        >>> sums, last = scan(lambda x_t, total: (total + x_t, total + x_t), np.zeros(2), x)
        >>> sums
        Tensor([[ 1.,  2.],
                [ 4.,  6.],
                [ 9., 12.]])
    """
    xs, init = tree_map(_tensor, xs), tree_map(_tensor, init)
    time, batch = check_inputs(xs, batched=lengths is not None)
    if lengths is not None:
        check_rows(init, batch)
        lengths = check_lengths(lengths, time, batch)
        if time and (lengths == time).all():
            lengths = None
    if lengths is not None:
        ys, final, states = _ragged(step, init, xs, lengths, time, reverse, return_states)
    elif time == 0:
        ys, final, states = _no_steps(step, init, xs)
    else:
        ys, states_list, final = _run(step, init, xs, time, reverse, return_states)
        states = _stack(states_list) if return_states else None
        ys = _stack(ys)
    return (ys, final, states) if return_states else (ys, final)


def _run(
    step: Step,
    init: Any,
    xs: Any,
    time: int,
    reverse: bool,
    keep_states: bool,
    carried: list[Mask | None] | None = None,
    on_step: Callable[[int, Any], None] | None = None,
) -> tuple[list[Any], list[Any], Any]:
    """Run the steps; return outputs and states in time order, and the last state.

    Before step t, rows outside the mask `carried[t]` go back to the initial state.
    """
    at, state, state_matches, y_matches = _slices(xs), init, matcher(init), None
    ys: list[Any] = []
    states: list[Any] = []
    for t in range(time - 1, -1, -1) if reverse else range(time):
        token = push_scope(t)
        try:
            if carried is not None and (mask := carried[t]) is not None:
                state = tree_map(partial(_choose, mask), state, init)
            out = step(at(t), state)
        finally:
            pop_scope(token)
        if not isinstance(out, tuple) or len(out) != 2 or not state_matches(out[1]):
            refuse_step(step, out, init, t)
        y, state = out
        if y_matches is None and is_arrays(y):
            y_matches = matcher(y)
        if y_matches is None or not y_matches(y):
            refuse_output(step, y, ys, t)
        ys.append(y)
        if keep_states:
            states.append(state)
        if on_step is not None:
            on_step(t, state)
    if reverse:
        ys.reverse()
        states.reverse()
    return ys, states, state


def _ragged(
    step: Step, init: Any, xs: Any, lengths: NDArray[np.intp], time: int, reverse: bool, keep_states: bool
) -> tuple[Any, Any, Any]:
    """Run a batch whose rows differ in length.

    Where no row has a step at all, one step is run on no rows: it tells the shapes, and takes part in the graph.
    """
    rows, empty = np.flatnonzero(lengths), np.flatnonzero(lengths == 0)
    ends = lengths[rows] - 1
    steps = int(ends.max(initial=0)) + 1
    start = init
    if empty.size:
        start, xs = tree_map(lambda leaf: leaf[rows], init), tree_map(lambda leaf: leaf[:, rows], xs)
    now = np.arange(steps)[:, None]
    valid = now <= ends
    first = (ends, np.arange(rows.size)) if reverse else 0
    if time == 0:
        xs = tree_map(lambda leaf: np.concatenate([leaf, np.zeros((1, *leaf.shape[1:]), leaf.dtype)]), xs)
    elif steps < time:
        xs = tree_map(lambda leaf: leaf[:steps], xs)
    carried: list[Mask | None] = [None] * steps
    if not valid.all():
        # A mask, or zeros, would let the NaN of a padded step into the gradient: 0 * NaN is NaN.
        xs = tree_map(lambda leaf: _choose(valid, leaf, leaf[first]), xs)
        carried = [None if mask.all() else mask for mask in (now < ends if reverse else valid)]

    pieces: list[Any] = []
    places: list[NDArray[np.intp]] = []

    def leave(t: int, state: Any) -> None:
        done = np.flatnonzero(ends == t)
        if done.size:
            pieces.append(tree_map(lambda leaf: leaf[done], state) if done.size < rows.size else state)
            places.append(rows[done])

    ys, states, last = _run(step, start, xs, steps, reverse, keep_states, carried, None if reverse else leave)
    if reverse:
        pieces, places = [last], [rows]
    if empty.size:
        pieces.append(tree_map(lambda leaf: leaf[empty], init))
        places.append(empty)
    final = pieces[0]
    if len(pieces) > 1:
        back = np.argsort(np.concatenate(places))
        final = tree_map(lambda *leaves: np.concatenate(leaves)[back], *pieces)

    def fill(leaf: Any) -> Any:
        return _fill(leaf, valid, rows, empty, time)

    return tree_map(fill, _stack(ys)), final, tree_map(fill, _stack(states)) if keep_states else None


def _fill(leaf: Any, valid: Mask, rows: NDArray[np.intp], empty: NDArray[np.intp], time: int) -> Any:
    """Put zeros at padded steps, in the rows that were left out and behind the longest row."""
    if not valid.all():
        leaf = _choose(valid, leaf, 0)
    steps, _, *rest = leaf.shape
    if empty.size:
        nothing = np.zeros((steps, empty.size, *rest), leaf.dtype)
        leaf = np.concatenate([leaf, nothing], axis=1)[:, np.argsort(np.concatenate([rows, empty]))]
    if time > steps:
        leaf = np.concatenate([leaf, np.zeros((time - steps, *leaf.shape[1:]), leaf.dtype)])
    return leaf[:time]


def _no_steps(step: Step, init: Any, xs: Any) -> tuple[Any, Any, Any]:
    """Answer for inputs without time and lengths: a step on zeros tells the shapes, and nothing of it is kept."""
    nothing = tree_map(lambda leaf: Tensor._wrap(np.zeros((1, *leaf.shape[1:]), leaf.dtype)), xs)
    with np.errstate(all="ignore"):
        (y,), (state,), _ = _run(step, init, nothing, 1, reverse=False, keep_states=True)

    def zeros(leaf: Any) -> Tensor:
        return Tensor._wrap(np.zeros((0, *leaf.shape), leaf.dtype))

    return tree_map(zeros, y), init, tree_map(zeros, state)


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


def _choose(mask: Mask, where: Any, elsewhere: Any) -> Any:
    """Return `np.where` with a mask of the leading axes."""
    return np.where(mask.reshape(mask.shape + (1,) * (where.ndim - mask.ndim)), where, elsewhere)


def _tensor(leaf: Any) -> Tensor:
    return leaf if isinstance(leaf, Tensor) else Tensor(leaf)
