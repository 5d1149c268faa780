"""Checks of a cell over time: as a layer, with padding, in reverse, in windows, over many steps."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np

from ..core import Graph, Tensor
from ..core.node import Array
from ..core.tree import tree_map
from ..nn import Cell, Recurrent
from ..scan.engines import overheard
from .report import fail, skip, warn
from .subject import (
    ENGINES,
    Subject,
    array_of,
    arrays_of,
    compare,
    contracted,
    detached,
    floats,
    moving,
    run,
    slopes,
    step,
    trained,
)

STEPS = 5
LENGTHS = [5, 2, 0, 3]
LONG = 200
RANGE = (0.1, 1.05)


def unrolled(subject: Subject) -> str:
    """One call over T steps gives what T calls of one step give."""
    cell = subject.fresh()
    xs = subject.inputs(STEPS, 3)
    state = subject.start(cell, 3, xs)
    ys = []
    layer = Recurrent(cell)
    y, last, states = layer(xs, return_states=True)
    stepped: Any = None
    each = []
    for x in xs:
        out = step(cell, Tensor(x), state)
        state = out["state"]
        ys.append(array_of(out["y"]))
        each.append(arrays_of(state))
        y_t, stepped = layer.step(x, stepped)
        compare("layer.step, against the cell alone", {"y": y_t, "state": _only(stepped)}, out)
    expected = {"y": np.stack(ys), "state": state, "states": tree_map(lambda *leaves: np.stack(leaves), *each)}
    compare(
        f"{STEPS} steps in one call, against {STEPS} calls",
        {"y": y, "state": _only(last), "states": _only(states)},
        expected,
    )
    return f"{STEPS} steps by a layer in one call, by its step(), and by the cell alone"


def _only(stacked: Any) -> Any:
    """Return the state of the only cell of a layer."""
    return tree_map(lambda leaf: leaf[0], stacked)


def padding(subject: Subject) -> str:
    """What stands behind the end of a row changes nothing, be it NaN; nor do rows of length 0."""
    cell = subject.varied()
    xs = subject.inputs(STEPS, len(LENGTHS))
    init = subject.state(cell, len(LENGTHS))
    dirty = xs.copy()
    dirty[np.arange(STEPS)[:, None] >= np.array(LENGTHS)] = np.nan if xs.dtype.kind == "f" else xs.flat[-1]
    for reverse in False, True:
        compare(
            f"a batch of lengths {LENGTHS}{' in reverse' * reverse}, against rows run alone",
            _with_slopes(cell, init, dirty, partial(run, lengths=LENGTHS, reverse=reverse)),
            _with_slopes(cell, init, xs, partial(_row_by_row, reverse=reverse)),
        )
    none = run(cell, init, dirty, [0] * len(LENGTHS))
    compare("after rows of length 0 only, the", {"state": none["state"]}, {"state": init})
    return f"lengths {LENGTHS} with NaN behind them equal rows run alone, in both directions, with all gradients"


Runner = Callable[[Cell, Any, Any], dict[str, Any]]


def _with_slopes(cell: Cell, init: Any, xs: Array, runner: Runner) -> dict[str, Any]:
    """Return what a way of running a cell gives, and the gradients by input, initial state and parameters."""
    inputs, parameters = moving({"init": init, "xs": xs}), trained(cell)
    out = runner(cell, inputs["init"], inputs["xs"])
    found = iter(slopes(contracted(out), floats(inputs) + list(parameters.values())))
    by_input = tree_map(lambda leaf: next(found) if leaf.dtype.kind == "f" else None, inputs)
    return {**arrays_of(out), "gradient": by_input | {name: next(found) for name in parameters}}


def _coarsest(cell: Cell, init: Any, xs: Array) -> float:
    """Return the coarsest machine epsilon on the way through a cell."""
    inputs = moving({"init": init, "xs": xs})
    total = contracted(run(cell, inputs["init"], inputs["xs"]))
    if not isinstance(total, Tensor) or not total.requires_grad:
        return 0.0
    dtypes = {spec.dtype for node in Graph.of(total) for spec in node.specs if spec.dtype.kind == "f"}
    return max([float(np.finfo(dtype).eps) for dtype in dtypes])


def _row_by_row(cell: Cell, init: Any, xs: Any, reverse: bool) -> dict[str, Any]:
    """Run every row of a padded batch by itself, without its padding."""
    ys, finals = [], []
    for i, length in enumerate(LENGTHS):
        own = tree_map(lambda leaf: leaf[i : i + 1], init)  # noqa: B023
        if length:
            out = run(cell, own, xs[:length, i : i + 1], reverse=reverse)
            own, shape, dtype = out["state"], out["y"].shape[1:], out["y"].dtype
            ys.append(np.concatenate([out["y"], np.zeros((STEPS - length, *shape), dtype)]))
        else:
            ys.append(np.zeros((STEPS, *shape), dtype))
        finals.append(own)
    return {"y": np.concatenate(ys, axis=1), "state": tree_map(lambda *leaves: np.concatenate(leaves), *finals)}


def reversed_time(subject: Subject) -> str:
    """In reverse, a cell gives what it gives for the reversed input; the time of a step is not known to it."""
    cell = subject.fresh()
    xs, init = subject.inputs(STEPS, 3), subject.state(cell, 3)
    forwards = run(cell, init, xs[::-1].copy(), return_states=True)
    flipped = {
        key: nest if key == "state" else tree_map(lambda leaf: leaf[::-1], nest)
        for key, nest in arrays_of(forwards).items()
    }
    compare("in reverse, against the reversed input", run(cell, init, xs, reverse=True, return_states=True), flipped)
    y, _ = Recurrent([(cell, cell)])(xs, tree_map(lambda leaf: np.stack([leaf, leaf]), init))
    both = [array_of(run(cell, init, xs)["y"]), flipped["y"]]
    compare("a layer of two directions, against each by itself", y, np.concatenate(both, axis=-1))
    return "a layer's backward direction equals the forward one on the reversed input"


def carried_state(subject: Subject) -> str:
    """Windows with the state carried over give what one run gives; detached, no gradient goes into an earlier one."""
    cell = subject.fresh()
    layer = Recurrent(cell)
    xs = subject.inputs(2 * STEPS, 3)
    init = tree_map(lambda leaf: np.expand_dims(array_of(leaf), 0), subject.state(cell, 3))
    whole, parts = moving({"init": init, "x": xs}), moving({"init": init, "x": [xs[:STEPS], xs[STEPS:]]})
    y, last = layer(whole["x"], whole["init"])
    y_1, state = layer(parts["x"][0], parts["init"])
    y_2, last_2 = layer(parts["x"][1], state)
    one, two = {"y": y, "state": last}, {"y": np.concatenate([y_1, y_2]), "state": last_2}
    compare("two windows, against one run", two, one)
    weights = list(trained(cell).values())
    found = slopes(contracted(two), [*floats(parts["init"]), *weights])
    expected = slopes(contracted(one), [*floats(whole["init"]), *weights])
    compare("gradients of initial state and parameters through two windows, against one run", found, expected)

    y_2, last_2 = layer(parts["x"][1], detached(state))
    total = contracted({"y": y_2, "state": last_2})
    earlier = {leaf.node for leaf in [*floats(parts["init"]), *floats(parts["x"][0])]}
    if isinstance(total, Tensor) and total.requires_grad and not earlier.isdisjoint(Graph.of(total).nodes):
        fail("the gradient of the second window goes into the first, though the state was detached in between")
    return f"two windows of {STEPS} steps equal one run; detached, the second knows nothing of the first's graph"


def long_gradient(subject: Subject) -> str:
    """Over 200 steps the gradient of the state neither vanishes nor explodes, at the parameters as they are."""
    cell = subject.fresh()
    state = arrays_of(subject.state(cell, 2))
    if not floats(state):
        skip("the state has no floating array")
    xs, windows = subject.inputs(LONG, 2), []
    for start in range(0, LONG, STEPS):
        init = moving(state)
        final = run(cell, init, xs[start : start + STEPS])["state"]
        windows.append((init, final))
        state = arrays_of(final)
    rng = np.random.default_rng(4)
    cotangents = [rng.normal(size=leaf.shape) for leaf in floats(state)]
    digits = 0.0
    # Made as long as 1 after every window: over all steps the product may be too small or too large for a float64.
    for init, final in reversed(windows):
        length = _norm(cotangents)
        total = sum(np.sum(leaf * (c / length)) for leaf, c in zip(floats(final), cotangents, strict=True))
        cotangents = slopes(total, floats(init))
        digits += float(np.log10(_norm(cotangents)))
        if not np.isfinite(digits):
            break
    if np.isnan(digits):
        warn(f"over {LONG} steps the gradient of the state becomes nan", "keep the state away from inf: see finite")
    rate = 10 ** (digits / LONG)
    norm = f"{Decimal(10) ** Decimal(digits):.1e}" if np.isfinite(digits) else f"{10**digits:g}"
    figure = f"over {LONG} steps the gradient of the state is multiplied with {norm}, {rate:.3g} a step"
    stated = f"(outside {RANGE[0]} to {RANGE[1]} a step)"
    if rate > RANGE[1]:
        warn(
            f"{figure}: it explodes {stated}",
            "start with smaller recurrent weights, or orthogonal ones; clip gradients",
        )
    if rate < RANGE[0]:
        warn(f"{figure}: it vanishes {stated}", "let a part of the state pass unchanged: h + ..., or a gate near 1")
    return figure


def _norm(arrays: list[Array]) -> float:
    # Divided by the largest element first, whose square may be no float64.
    largest = max(float(np.abs(array).max(initial=0.0)) for array in arrays)
    if not 0.0 < largest < np.inf:
        return largest
    return largest * float(np.sqrt(sum(float(np.sum((array / largest) ** 2)) for array in arrays)))


def engines(subject: Subject) -> str:
    """Every engine that is installed gives the numbers of `eager`, and its gradients."""
    others = [name for name in ENGINES if name != "eager"]
    if not others:
        skip("eager is the only engine here")
    cell = subject.varied()
    xs, init = subject.inputs(STEPS, len(LENGTHS)), subject.state(cell, len(LENGTHS))
    # What a cell rounds on the way, two engines may round differently.
    tolerance = max(1e-9, 32 * _coarsest(cell, init, xs))
    with overheard() as messages:
        for lengths, reverse in (None, False), (LENGTHS, False), (LENGTHS, True):
            options: dict[str, Any] = {"lengths": lengths, "reverse": reverse, "return_states": True}
            expected = _with_slopes(cell, init, xs, partial(run, **options))
            for name in others:
                found = _with_slopes(cell, init, xs, partial(run, by=name, **options))
                what = f"engine {name}{', reversed' * reverse}{', with lengths' * bool(lengths)}"
                compare(what, found, expected, tolerance)
    return "; ".join([f"{', '.join(others)} equal eager, with all gradients", *dict.fromkeys(messages)])
