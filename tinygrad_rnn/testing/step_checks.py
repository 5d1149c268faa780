"""Checks of one step of a cell: what it returns, what it leaves alone, and its derivatives."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..core import Tensor, errors, grad, no_grad, per_sample_grad, vmap
from ..core.tree import tree_map
from ..nn import functional_call
from ..scan.checks import describe, matcher
from .fingerprint import changes, fingerprint
from .gradcheck import NotDifferentiableError, dot_product_check, gradcheck
from .report import fail, skip
from .subject import (
    Subject,
    array_of,
    arrays_of,
    compare,
    contracted,
    floats,
    moving,
    named_leaves,
    run,
    slopes,
    step,
    tensor_of,
    trained,
)

_POINTS = 3


def shapes(subject: Subject) -> str:
    """A step returns an output (batch, ...) and a state like the one it was given, in the dtype of the cell."""
    shown = ""
    own_dtype = subject.own_dtype
    others = [dtype for dtype in dict.fromkeys([np.dtype(np.float64), own_dtype]) if dtype != np.float32]
    for dtype in [*others, np.dtype(np.float32)]:
        kinds = set()
        for batch in 1, 3:
            cell, x = subject.fresh(dtype), Tensor(subject.inputs(1, batch, dtype)[0])
            own = tree_map(lambda leaf: leaf if isinstance(leaf, Tensor) else Tensor(leaf), cell.initial_state(batch))
            for name, leaf in named_leaves(own, "state"):
                if leaf.shape[:1] != (batch,):
                    fail(
                        f"initial_state({batch}): {name} has shape {leaf.shape}",
                        f"the first axis of every array of a state is the batch: ({batch}, ...)",
                    )
                if leaf.dtype.kind == "f" and leaf.dtype != cell._parameter_dtype() and list(cell.parameters()):
                    fail(
                        f"initial_state of a {dtype} cell: {name} is {leaf.dtype}",
                        "make it in the dtype of the cell: np.zeros(shape, self.from_input.weight.dtype)",
                    )
            state = subject.start(cell, batch, array_of(x))
            out = step(cell, x, state)
            y, after = out["y"], out["state"]
            if not isinstance(y, Tensor) or y.shape[:1] != (batch,):
                fail(
                    f"for a batch of {batch}, the output is {describe(y)}",
                    "return one tensor (batch, ...) as the output, and everything else in the state",
                )
            if not matcher(state)(after):
                fail(
                    f"given the state {describe(state)}, it returned {describe(after)}",
                    "return a state of the same nest, shapes and dtypes; Python numbers and x.dtype keep the dtype",
                )
            if y.dtype.kind == "f" and y.dtype != dtype and (list(cell.parameters()) or x.dtype.kind == "f"):
                fail(
                    f"a {dtype} cell returned an output of {y.dtype}",
                    "keep to the dtype of the inputs: Python numbers do, NumPy arrays and scalars of float64 do not",
                )
            kinds.add(y.shape[1:])
            shown = f"for a batch of 3: y {describe(y)}, state {describe(after)}"
        if len(kinds) != 1:
            fail(f"a row of the output has shape {' or '.join(map(str, kinds))}, depending on the batch")
    return f"{shown}; likewise in {' and '.join(map(str, others))}"


def repeatable(subject: Subject) -> str:
    """The same step on the same arrays gives the same bits, recorded or not."""
    cell = subject.fresh()
    x, state = Tensor(subject.inputs(1, 3)[0]), subject.state(cell, 3)
    compare("initial_state called again", cell.initial_state(3), cell.initial_state(3), 0.0)
    first = arrays_of(step(cell, x, state))
    compare("the same step again", step(cell, x, state), first, 0.0)
    with no_grad():
        compare("the same step under no_grad", step(cell, x, state), first, 0.0)
    return "three calls give the same bits, one of them under no_grad"


def unchanged(subject: Subject) -> str:
    """Calls change no input, no parameter and no attribute of the module, nor an output of an earlier call."""
    cell = subject.fresh()
    before = fingerprint(cell)
    xs = Tensor(subject.inputs(2, 3))
    state = moving(subject.state(subject.fresh(), 3))
    inputs = {"x": xs[0], "state": state}
    values = arrays_of(inputs)
    out = step(cell, **inputs)
    earlier = arrays_of(out)
    total = contracted(out)
    slopes(total, floats(inputs["state"]) + list(trained(cell).values()))
    with no_grad():
        step(cell, xs[1], out["state"])
    compare("after a call, the input", inputs, values, 0.0, "compute new arrays; never write to those of a tensor")
    compare("after a second call, the result of the first", out, earlier, 0.0, "return new arrays, not a buffer")
    found = changes(before, fingerprint(cell))
    if found:
        fail(f"calls changed {', '.join(found)}")
    return f"inputs, results, {len(before)} attributes and parameters stay as they are"


def rows(subject: Subject) -> str:
    """A row's result and gradient depend on that row alone, and not on how many others there are."""
    cell = subject.fresh()
    x, state = subject.inputs(1, 4)[0], subject.state(cell, 4)
    together = arrays_of(step(cell, Tensor(x), state))
    for i in range(4):
        one = step(cell, Tensor(x[i : i + 1]), _rows_of(state, [i]))
        compare(f"row {i} in a batch of 4, against that row alone", _rows_of(together, [i]), one)
    order = [0, 3, 1, 2]
    others = subject.inputs(1, 4, seed=5)[0]
    others[0] = x[0]
    mixed = tree_map(lambda a, b: Tensor(np.concatenate([a.data[:1], b.data[1:]])), state, subject.state(cell, 4, 6))
    compare(
        "row 0 beside other rows, against row 0 before",
        _rows_of(step(cell, Tensor(others), mixed), [0]),
        _rows_of(together, [0]),
    )
    shuffled = step(cell, Tensor(x[order]), _rows_of(state, order))
    compare("rows in another order, against before", shuffled, _rows_of(together, order))
    inputs = moving({"x": x, "state": state})
    out = tree_map(lambda leaf: leaf[:1], step(cell, **inputs))
    for (name, leaf), slope in zip(
        [pair for pair in named_leaves(inputs) if pair[1].dtype.kind == "f"],
        slopes(contracted(out), floats(inputs)),
        strict=True,
    ):
        if leaf.shape[0] == 4 and np.abs(slope[1:]).max(initial=0.0) > 1e-12:
            fail(f"the gradient of row 0 reaches other rows of {name}")
    return "each of 4 rows gives the same alone, in other company and in another order; gradients keep to their row"


def _rows_of(nest: Any, index: list[int]) -> Any:
    return tree_map(lambda leaf: Tensor(array_of(leaf)[index]), nest)


def values_unseen(subject: Subject) -> str:
    """The step is algebra: it runs on tensors whose values cannot be asked for, as compilers need it."""
    cell = subject.fresh()
    xs = subject.inputs(2, 3)
    states = [subject.state(cell, 3, seed) for seed in (1, 2)]
    try:
        found = vmap(lambda x, state: step(cell, x, state))(xs, tree_map(lambda *two: np.stack(two), *states))
    except errors.ConversionError as error:
        fail(f"the step asks a tensor for its value: {error}")
    expected = [step(cell, Tensor(x), state) for x, state in zip(xs, states, strict=True)]
    compare("two steps at once, against one by one", found, tree_map(lambda *two: np.stack(two), *expected))
    return "the step runs without values, and gives the same for two batches at once"


def finite(subject: Subject) -> str:
    """From the initial state on, results and gradients are finite numbers."""
    cell = subject.fresh()
    xs = subject.inputs(_POINTS, 2)
    inputs = moving({"x": xs, "state": arrays_of(subject.start(cell, 2, xs))})
    out = run(cell, inputs["state"], inputs["x"])
    for name, leaf in named_leaves(arrays_of(out)):
        if not np.isfinite(leaf).all():
            fail(f"{name} is {leaf[~np.isfinite(leaf)][0]}, {_POINTS} steps from the initial state")
    arguments = {name: leaf for name, leaf in named_leaves(inputs) if leaf.dtype.kind == "f"} | trained(cell)
    for name, slope in zip(arguments, slopes(contracted(out), list(arguments.values())), strict=True):
        if not np.isfinite(slope).all():
            fail(f"the gradient of {name} is {slope[~np.isfinite(slope)][0]}, though all results are finite")
    return f"results and {len(arguments)} gradients over {_POINTS} steps from the initial state"


def gradients(subject: Subject) -> str:
    """First and second derivatives of a step, in reverse mode, equal central differences in float64."""
    for seed in range(_POINTS):
        function, inputs = _as_function(subject, seed)
        names = [name for name, leaf in _arguments(inputs) if leaf.dtype.kind == "f"]
        if not names:
            skip("input, state and parameters hold no floats to differentiate by")
        try:
            gradcheck(function, inputs, order=2, modes=("reverse",))
        except NotDifferentiableError as error:
            if seed == _POINTS - 1:
                fail(_in_words(error), "smooth the step, or give an example_input away from its kinks")
        except errors.GradcheckError as error:
            fail(_in_words(error))
        else:
            break
    return f"first and second derivatives by {', '.join(names)}"


def forward_mode(subject: Subject) -> str:
    """Forward and reverse mode give the same: ⟨J v, u⟩ = ⟨v, Jᵀ u⟩ for random directions."""
    function, inputs = _as_function(subject)
    if not any(leaf.dtype.kind == "f" for _, leaf in _arguments(inputs)):
        skip("input, state and parameters hold no floats to differentiate by")
    try:
        dot_product_check(function, inputs)
    except errors.GradcheckError as error:
        fail(_in_words(error))
    return "⟨J v, u⟩ = ⟨v, Jᵀ u⟩ in three random directions"


def _as_function(subject: Subject, seed: int = 0) -> tuple[Any, list[Any]]:
    """Return a step as a function of input, state and parameters, and the values of these."""
    cell = subject.varied()
    inputs = [subject.inputs(1, 2, seed=seed)[0], arrays_of(subject.state(cell, 2, seed + 1)), arrays_of(trained(cell))]
    if not all(np.isfinite(leaf).all() for _, leaf in _arguments(inputs)):
        skip("the states that the cell gets into are not finite, see finite")

    def function(x: Any, state: Any, parameters: Any) -> dict[str, Any]:
        out = functional_call(cell, parameters, tensor_of(x), tree_map(tensor_of, state))
        return {"y": out[0], "state": out[1]}

    return function, inputs


def _arguments(inputs: list[Any]) -> list[tuple[str, Any]]:
    return [*named_leaves({"x": inputs[0], "state": inputs[1]}), *inputs[2].items()]


def _in_words(error: Exception) -> str:
    """Return the message of a gradient check with the names that the author of a cell knows."""
    text = re.sub(r"input 2\['([^']*)'\]", r"\1", str(error))
    return (
        text.replace("input 0", "x")
        .replace("input 1", "state")
        .replace("the result['y']", "y")
        .replace("the result['state']", "the next state")
    )


def per_sample_gradients(subject: Subject) -> str:
    """Gradients of every row by itself, in one call, equal a loop over rows, and add up to the gradient of all."""
    cell = subject.varied()
    x, state = subject.inputs(1, 3)[0], subject.state(cell, 3)
    parameters = {name: array_of(parameter) for name, parameter in trained(cell).items()}
    if not parameters:
        skip("the cell has no parameter to train")
    start = arrays_of(state)

    def loss(given: Any, x_row: Any, state_row: Any) -> Any:
        one = tree_map(lambda leaf: np.expand_dims(tensor_of(leaf), 0), {"x": x_row, "state": state_row})
        return contracted(functional_call(cell, given, one["x"], one["state"]))

    alone = [grad(loss)(parameters, x[i], tree_map(lambda leaf: leaf[i], start)) for i in range(3)]  # noqa: B023
    expected = tree_map(lambda *slopes_of_rows: np.stack([array_of(s) for s in slopes_of_rows]), *alone)
    compare("gradients of 3 rows in one call", per_sample_grad(loss)(parameters, x, start), expected)

    def total(given: Any) -> Any:
        out = functional_call(cell, given, Tensor(x), tree_map(Tensor, start))
        return sum(contracted(tree_map(lambda leaf: leaf[i : i + 1], out)) for i in range(3))  # noqa: B023

    sums = tree_map(lambda leaf: leaf.sum(axis=0), expected)
    compare("the gradient of a batch, against the sum over its rows", grad(total)(parameters), sums)
    return "of 3 rows in one call; their sum is the gradient of the batch"
