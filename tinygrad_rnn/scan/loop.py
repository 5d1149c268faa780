"""Loops over time: one step run once per time step, over batches whose rows may differ in length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import Tensor
from ..core.tree import tree_map
from .checks import check_inputs, check_lengths, check_rows
from .eager import choose, run_eager
from .engines import Run, runner

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
    engine: str | None = None,
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
        engine: "eager" calls the step at every time step and records each operation; "numpy" and "native" trace it
            once and compile it; "auto" takes the best one that is there, and "eager" with a warning for a step that
            cannot be traced. None leaves the choice to `with tg.engine(...)`.

    Returns:
        `(ys, final)`, or `(ys, final, states)`: `ys` and `states` in the time order of `xs`, every leaf (time, ...), 0
        at padded positions; `final`, the state after each row's own last step, which is `init` where there was none.

    Raises:
        CellError: if the step returns no pair, or a state or output unlike the one before.
        ShapeError, DtypeError, DataError: if `xs`, `init` and `lengths` do not belong together.
        TraceError: if a compiled engine was asked for and the step cannot be traced.
        ConfigError: if there is no such engine.

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
    run = runner(engine)
    if lengths is not None:
        ys, final, states = _ragged(run, step, init, xs, lengths, time, reverse, return_states)
    elif time == 0:
        ys, final, states = _no_steps(step, init, xs)
    else:
        ys, states, final = run(step, init, xs, time, reverse, return_states)
    return (ys, final, states) if return_states else (ys, final)


def _ragged(
    run: Run,
    step: Step,
    init: Any,
    xs: Any,
    lengths: NDArray[np.intp],
    time: int,
    reverse: bool,
    keep_states: bool,
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
    carried: Mask | None = None
    if not valid.all():
        # A mask, or zeros, would let the NaN of a padded step into the gradient: 0 * NaN is NaN.
        xs = tree_map(lambda leaf: choose(valid, leaf, leaf[first]), xs)
        carried = now < ends if reverse else valid
    ys, states, last = run(step, start, xs, steps, reverse, keep_states, carried, None if reverse else ends)
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

    return tree_map(fill, ys), final, tree_map(fill, states) if keep_states else None


def _fill(leaf: Any, valid: Mask, rows: NDArray[np.intp], empty: NDArray[np.intp], time: int) -> Any:
    """Put zeros at padded steps, in the rows that were left out and behind the longest row."""
    if not valid.all():
        leaf = choose(valid, leaf, 0)
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
        y, state, _ = run_eager(step, init, nothing, 1, reverse=False, keep_states=True)

    def zeros(leaf: Any) -> Tensor:
        return Tensor._wrap(np.zeros((0, *leaf.shape[1:]), leaf.dtype))

    return tree_map(zeros, y), init, tree_map(zeros, state)


def _tensor(leaf: Any) -> Tensor:
    return leaf if isinstance(leaf, Tensor) else Tensor(leaf)
