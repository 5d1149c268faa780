"""Checks of what training a cell needs: parameters that learn, numbers in float32, saving, memory."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from ..core import Graph, Tensor
from ..core.node import Array, Node
from ..core.tree import tree_map
from ..nn import Cell
from .report import fail, skip, warn
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
    trained,
)

STEPS = 8
MARGIN = 64
# Of two opposite shifts of the parameters, one brings a relu unit to life that its bias keeps at 0.
SHIFTS = ((0.1, 1), (1.0, 1), (-1.0, 1), (3.0, 2), (-3.0, 2), (3.0, 3), (-3.0, 3))
# Terms that cancel leave a gradient of this size beside the others.
_ROUNDING = 1e-13
_GRADIENT = "the gradient of "
SATURATED = {"tanh": lambda out: np.abs(out) > 0.95, "sigmoid": lambda out: np.abs(out - 0.5) > 0.474}


def float32(subject: Subject) -> str:
    """In float32 a cell is as close to float64 as rounding its arguments would leave it, gradients included."""
    single, double = subject.fresh(np.float32), subject.fresh(np.float64)
    double.load_state_dict(single.state_dict())
    xs = subject.inputs(STEPS, 3, np.float32)
    init = arrays_of(subject.state(single, 3, dtype=np.float32))
    found = _everything(single, init, xs)
    exact = _everything(double, *_rounded(init, xs, None))
    weights = double.state_dict()
    moved = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        double.load_state_dict({name: _rounded_array(array, rng) for name, array in weights.items()})
        moved.append(_everything(double, *_rounded(init, xs, rng)))
    # What cancels in a gradient is as large as the others: one that is 0 but for rounding is measured by them.
    gradients = [slope for name, slope in exact if name.startswith(_GRADIENT) and slope.size]
    steepest = max([float(np.abs(slope).max()) for slope in gradients], default=0.0)
    largest = 0.0
    for i, (name, exactly) in enumerate(exact):
        value, expected = found[i][1].astype(np.float64), exactly.astype(np.float64)
        if not np.isfinite(value).all() and np.isfinite(expected).all():
            fail(f"{name} is not finite in float32")
        if not expected.size:
            continue
        ulp = float(np.finfo(np.float32).eps)
        condition = max(float(np.abs(other[i][1] - expected).max()) for other in moved)
        size = steepest if name.startswith(_GRADIENT) else float(np.abs(expected).max())
        unit = condition + ulp * size + float(np.finfo(np.float32).tiny)
        ratio = float(np.abs(value - expected).max()) / unit
        largest = max(largest, ratio)
        if ratio > MARGIN:
            fail(f"{name} is off by {ratio * unit:.1e}, {ratio:.0f} times what rounding the arguments would explain")
    return f"outputs and gradients are off by at most {largest:.2g} times what rounding the arguments explains"


def _everything(cell: Cell, init: Any, xs: Array) -> list[tuple[str, Array]]:
    """Return results and gradients, with names."""
    out = run(cell, tree_map(Tensor, init), xs)
    parameters = trained(cell)
    found = slopes(contracted(out), list(parameters.values()))
    gradients = {f"{_GRADIENT}{name}": slope for name, slope in zip(parameters, found, strict=True)}
    return [(name, array_of(leaf)) for name, leaf in named_leaves({**out, **gradients})]


def _rounded_array(array: Array, rng: np.random.Generator | None) -> Array:
    """Return an array in float64; with a generator, as another rounding to float32 might have left it."""
    if array.dtype.kind != "f":
        return array
    noise = 0.0 if rng is None else float(np.finfo(np.float32).eps) * rng.uniform(-1, 1, array.shape)
    return np.asarray(array.astype(np.float64) * (1 + noise))


def _rounded(init: Any, xs: Array, rng: np.random.Generator | None) -> tuple[Any, Array]:
    return tree_map(lambda leaf: _rounded_array(leaf, rng), init), _rounded_array(xs, rng)


def parameters_reached(subject: Subject) -> str:
    """Every parameter gets a gradient that is not zero, if not with the values it starts with, then with others."""
    dead = _dead(subject, subject.fresh())
    count = len(trained(subject.fresh()))
    if not count:
        skip("the cell has no parameter to train")
    for scale, seed in SHIFTS:
        if dead:
            again = _dead(subject, subject.varied(scale, seed))
            dead = {name: why for name, why in again.items() if name in dead}
    if dead:
        fail(f"no gradient reaches {', '.join(f'{name} ({why})' for name, why in dead.items())}")
    return f"all {count} have a gradient"


def _dead(subject: Subject, cell: Cell) -> dict[str, str]:
    """Return the parameters that got no gradient in a run, and why."""
    parameters, xs = trained(cell), subject.inputs(STEPS, 8)
    total = contracted(run(cell, subject.start(cell, 8, xs), xs))
    nodes = set(Graph.of(total).nodes) if isinstance(total, Tensor) and total.requires_grad else set()
    found = slopes(total, list(parameters.values()))
    sizes = [float(np.abs(slope).max(initial=0.0)) for slope in found]
    return {
        name: "its gradient is zero" if parameter.node in nodes else "it is not in the graph"
        for (name, parameter), size in zip(parameters.items(), sizes, strict=True)
        if parameter.size and size <= _ROUNDING * max(sizes)
    }


def saturation(subject: Subject) -> str:
    """At the start, fewer than half the elements of every tanh and sigmoid sit on a plateau; relu units are alive."""
    cell = subject.fresh()
    xs = moving(subject.inputs(STEPS, 8))
    init = moving(arrays_of(subject.start(cell, 8, array_of(xs))))
    results = [leaf for leaf in floats(run(cell, init, xs)) if isinstance(leaf, Tensor) and leaf.requires_grad]
    places: dict[str, list[Array]] = {}
    counts: dict[Any, int] = {}
    for node in Graph.of(*results).nodes if results else ():
        if node.operation in SATURATED or node.operation == "relu":
            # Numbered within a step, whichever part of the cell does it.
            key = (node.operation, next((part for part in node.scope if isinstance(part, int)), None))
            counts[key] = counts.get(key, 0) + 1
            places.setdefault(f"{node.operation} {counts[key]}", []).append(array_of(node.outs[0]))  # type: ignore[index]
    shares = {}
    for name, values in places.items():
        operation = name.split()[0]
        if operation == "relu":
            shares[name] = float(np.mean([~np.any(np.stack(values) > 0, axis=(0, 1))]))
        else:
            shares[name] = float(np.mean(SATURATED[operation](np.stack(values))))
    for name, share in shares.items():
        if share >= 0.5:
            state = "are 0 at every step of every row" if name.startswith("relu") else "sit on a plateau"
            warn(f"{share:.0%} of the elements of {name} {state}, where gradients are close to 0")
    if not shares:
        return "there is no tanh, sigmoid or relu in a step"
    name = max(shares, key=lambda key: shares[key])
    return f"at most {shares[name]:.0%} of the elements ({name} of {len(shares)}) sit on a plateau"


def saving(subject: Subject) -> str:
    """The state_dict, written as safetensors and loaded into another cell, makes it give the same bits."""
    cell, other = subject.varied(), subject.fresh()
    x, state = Tensor(subject.inputs(1, 3)[0]), subject.state(cell, 3)
    expected = arrays_of(step(cell, x, state))
    saved = {name: np.asarray(array, order="C") for name, array in cell.state_dict().items()}
    other.load_state_dict({name: array + 1 for name, array in saved.items() if array.dtype.kind == "f"}, strict=False)
    loaded = load(save(saved))
    other.load_state_dict(loaded)
    compare("with the saved weights, against the cell that was saved", step(other, x, state), expected, 0.0)
    for path, module in other.named_modules():
        for name, value in list(vars(module).items()):
            array = value._data if isinstance(value, Tensor) else value
            if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or name in module._buffers:
                continue
            if any(value is parameter for parameter in module.parameters()):
                continue
            vars(module)[name] = Tensor(array + 1) if isinstance(value, Tensor) else array + 1
            try:
                compare("", step(other, x, state), expected, 0.0)
            except Exception:
                warn(
                    f"the array {f'{path}.{name}' if path else name} changes the result and is not in the state_dict",
                    f'write self.register_buffer("{name}", array), unless __init__ always makes the same one',
                )
            vars(module)[name] = value
    return f"{len(saved)} arrays, written as safetensors, give a cell with the same bits"


def released(subject: Subject) -> str:
    """The graph dies with its result, without the garbage collector: nothing points from an input to an output."""
    cell = subject.fresh()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for backward in False, True:
            nodes = _record(subject, cell, backward)
            alive = [node.operation for node in (reference() for reference in nodes) if node is not None]
            if alive:
                gc.collect()
                held = any(reference() is not None for reference in nodes)
                fail(
                    f"{len(alive)} of {len(nodes)} nodes outlive their result{' after backward()' * backward}, a "
                    f"{alive[-1]} among them, "
                    + ("held by the module or by something outside" if held else "in a cycle of references")
                )
    finally:
        if was_enabled:
            gc.enable()
    return f"all {len(nodes)} nodes die with their result, with and without backward()"


def _record(subject: Subject, cell: Cell, backward: bool) -> list[weakref.ref[Node]]:
    """Record a graph, and return weak references to its nodes and nothing else."""
    xs = subject.inputs(3, 2)
    total = contracted(run(cell, moving(arrays_of(subject.start(cell, 2, xs))), moving(xs)))
    if not isinstance(total, Tensor) or not total.requires_grad:
        return []
    nodes = [weakref.ref(node) for node in Graph.of(total).nodes if node.primitive is not None]
    if backward:
        total.backward()
    return nodes
