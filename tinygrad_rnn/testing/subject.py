"""The cell under test: copies of it, inputs and states that fit it, and comparisons of what it gives."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..core import Tensor, gradients, no_grad
from ..core.errors import CellError, ConfigError
from ..core.node import Array
from ..core.tree import tree_flatten, tree_map
from ..nn import Cell, Dropout
from ..nn.cells.base import state_hint
from ..scan import engine, scan
from ..scan.checks import describe
from ..scan.engines import available
from .report import fail


def _by(name: str) -> Callable[..., tuple[Any, ...]]:
    def run_by(*args: Any, **options: Any) -> tuple[Any, ...]:
        with engine(name):
            return scan(*args, **options)

    return run_by


# Every way to run a step over time that is there; each is called as `scan` is.
ENGINES: dict[str, Callable[..., tuple[Any, ...]]] = {name: _by(name) for name in available()}

_PROBED_BATCH = 7


class UncopiedError(Exception):
    """A cell that cannot be copied, so that no check can run."""


class Subject:
    """A cell under test. The cell itself is never called: every check gets copies of it.

    Args:
        cell: the cell.
        input_size: features of x; None where the cell has `input_size`, or where its parameters tell.
        example_input: (rows, ...) typical inputs of one step, for instance tokens; rows of it are drawn.

    Raises:
        CellError: if it is no cell.
        ConfigError: if the size of its input cannot be told.
    """

    def __init__(self, cell: Cell, input_size: int | None = None, example_input: Any = None) -> None:
        if not isinstance(cell, Cell):
            what = f"the class {cell.__name__}" if isinstance(cell, type) else repr(cell)
            raise CellError(f"check_cell of {what}; give an instance of a class derived from nn.Cell: MyCell(3, 5)")
        self._cell = cell
        self.name = type(cell).__name__
        self._example: Array | None = None
        self._size = 0
        if example_input is None:
            self._size = found_input_size(cell) if input_size is None else int(input_size)
        elif input_size is not None:
            raise ConfigError("check_cell with input_size and example_input; give one of them")
        else:
            self._example = _checked_example(example_input)

    @property
    def eats_tokens(self) -> bool:
        """Whether the inputs are integers."""
        return self._example is not None and self._example.dtype.kind != "f"

    @property
    def own_dtype(self) -> np.dtype[Any]:
        """The dtype of the cell as it was given."""
        return np.dtype(self._cell._parameter_dtype())

    def fresh(self, dtype: Any = np.float64) -> Cell:
        """Return a copy of the cell as it was given, in a dtype, with dropout switched off."""
        return _copied(self._cell, dtype)

    def varied(self, scale: float = 0.1, seed: int = 1) -> Cell:
        """Return a copy whose parameters are moved at random: no zero that is only its start is left."""
        cell, rng = self.fresh(), np.random.default_rng(seed)
        for parameter in trained(cell).values():
            parameter.assign(parameter.data + scale * rng.normal(size=parameter.shape))
        return cell

    def inputs(self, time: int, batch: int, dtype: Any = np.float64, seed: int = 0) -> Array:
        """Return inputs (time, batch, ...): standard normal features, or rows of the example."""
        rng = np.random.default_rng(seed)
        if self._example is None:
            return rng.normal(size=(time, batch, self._size)).astype(dtype)
        rows = self._example[rng.integers(len(self._example), size=(time, batch))]
        if self.eats_tokens:
            return np.asarray(rows)
        return np.asarray((rows * rng.uniform(0.5, 1.5, rows.shape)).astype(dtype))

    def start(self, cell: Cell, batch: int, x: Array) -> Any:
        """Return the cell's own initial state, in the dtype that its first step gives it."""
        own = tree_map(tensor_of, cell.initial_state(batch))
        if x.dtype.kind != "f":
            return own
        return tree_map(
            lambda leaf: leaf.astype(np.result_type(leaf.dtype, x.dtype)) if leaf.dtype.kind == "f" else leaf, own
        )

    def state(self, cell: Cell, batch: int, seed: int = 1, dtype: Any = np.float64) -> Any:
        """Return a state that the cell gets into by itself: no zeros, and nothing that it could not meet."""
        xs = self.inputs(3, batch, dtype, seed)
        with no_grad():
            state = self.start(cell, batch, xs)
            for x in xs:
                state = step(cell, Tensor(x), state)["state"]
        return detached(state)


def _copied(cell: Cell, dtype: Any) -> Cell:
    try:
        clone = copy.deepcopy(cell)
    except Exception as error:
        raise UncopiedError(f"copy.deepcopy(cell) raises {type(error).__name__}: {error}") from error
    for _, module in clone.named_modules():
        if isinstance(module, Dropout):
            module.eval()
    return clone.astype(dtype)


def found_input_size(cell: Cell) -> int:
    """Return the `input_size` of a cell, or the only length that it takes as one.

    Lengths of its parameters' axes are tried; where none fits, those less `hidden_size`, for cells that join x and h.
    """
    size, hidden = getattr(cell, "input_size", None), getattr(cell, "hidden_size", None)
    if isinstance(size, (int, np.integer)):
        return int(size)
    lengths = {n for parameter in cell.parameters() for n in parameter.shape}
    fitting, problem = _fitting(cell, lengths)
    if not fitting and isinstance(hidden, (int, np.integer)):
        fitting, _ = _fitting(cell, {n - int(hidden) for n in lengths if n > hidden} - lengths)
    if len(fitting) != 1:
        found = f"it takes {' or '.join(map(str, fitting))} features" if fitting else problem
        raise ConfigError(
            f"{type(cell).__name__} has no input_size, and {found}; write self.input_size = input_size in the class, "
            "check_cell(cell, input_size=3), or check_cell(cell, example_input=np.array([0, 4, 2])) for a cell of "
            "tokens"
        )
    return fitting[0]


def _fitting(cell: Cell, lengths: set[int]) -> tuple[list[int], str]:
    """Return with how many features of some a cell takes a step, and why it takes none with the last that failed."""
    fitting, problem = [], "it has no parameters"
    for length in sorted(lengths):
        try:
            clone = _copied(cell, np.float64)
            with no_grad(), np.errstate(all="ignore"):
                clone(Tensor(np.ones((_PROBED_BATCH, length))), clone.initial_state(_PROBED_BATCH))
            fitting.append(length)
        except Exception as error:
            problem = f"with {length} features it raises {type(error).__name__}: {error}"
            hint = state_hint(error)
            if hint:
                raise CellError(f"{type(cell).__name__}, {problem}; {hint}") from error
    return fitting, problem


def _checked_example(example: Any) -> Array:
    array = np.array(example.data if isinstance(example, Tensor) else example)
    if array.ndim == 0 or array.dtype.kind not in "iuf" or (array == array[:1]).all() or not np.isfinite(array).all():
        raise ConfigError(
            f"an example_input of {array.dtype} and shape {array.shape}; give several inputs of one step that differ: "
            "(rows,) integer tokens or (rows, ...) finite numbers"
        )
    return array


def tensor_of(leaf: Any) -> Tensor:
    """Return a tensor as it is, and the constant tensor of an array."""
    return leaf if isinstance(leaf, Tensor) else Tensor(leaf)


def step(cell: Cell, x: Any, state: Any) -> dict[str, Any]:
    """Take one step and name what it returns."""
    out = cell(x, state)
    if not isinstance(out, tuple) or len(out) != 2:
        raise CellError(f"a step returned {describe(out)}; return a pair, the output and the next state")
    return {"y": out[0], "state": out[1]}


def run(cell: Cell, init: Any, xs: Any, lengths: Any = None, by: str = "eager", **options: Any) -> dict[str, Any]:
    """Run a cell over time and name what it returns."""
    ys, final, *states = ENGINES[by](cell, init, xs, lengths, **options)
    return {"y": ys, "state": final, **({"states": states[0]} if states else {})}


def array_of(leaf: Any) -> Array:
    """Return the value of a tensor or array, without its graph."""
    return np.array(leaf._data if isinstance(leaf, Tensor) else leaf)


def arrays_of(nest: Any) -> Any:
    """Return a nest of the values."""
    return tree_map(array_of, nest)


def detached(nest: Any) -> Any:
    """Return a nest of tensors with the same values, constants for every gradient."""
    return tree_map(lambda leaf: Tensor(array_of(leaf)), nest)


def moving(nest: Any) -> Any:
    """Return a nest of tensors with the same values, of which the floating ones require grad."""
    return tree_map(lambda leaf: Tensor(array_of(leaf), requires_grad=array_of(leaf).dtype.kind == "f"), nest)


def floats(nest: Any) -> list[Any]:
    """Return the floating leaves of a nest."""
    return [leaf for leaf in tree_flatten(nest)[0] if leaf.dtype.kind == "f"]


def trained(cell: Cell) -> dict[str, Any]:
    """Return the parameters of a cell that require grad, by name."""
    return {name: parameter for name, parameter in cell.named_parameters() if parameter.requires_grad}


def contracted(nest: Any, seed: int = 0) -> Any:
    """Return the sum of all floating leaves, each element multiplied with a random cotangent."""
    rng = np.random.default_rng(seed)
    total: Any = 0.0
    for leaf in floats(nest):
        total = total + np.sum(leaf * rng.uniform(0.5, 1.5, leaf.shape).astype(leaf.dtype))
    return total


def slopes(total: Any, xs: list[Any]) -> list[Array]:
    """Return the gradients of a total, zeros where it does not depend on an argument at all."""
    if not isinstance(total, Tensor) or not total.requires_grad:
        return [np.zeros(x.shape) for x in xs]
    return gradients(total, xs)


def named_leaves(nest: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (name, leaf) for a nest: `state[0]`, `state['h']`."""
    if isinstance(nest, dict):
        for key, child in nest.items():
            yield from named_leaves(child, f"{name}[{key!r}]" if name else str(key))
    elif isinstance(nest, (tuple, list)):
        for i, child in enumerate(nest):
            yield from named_leaves(child, f"{name}[{i}]")
    elif nest is not None:
        yield name, nest


def compare(what: str, found: Any, expected: Any, tolerance: float = 1e-9, hint: str = "") -> None:
    """Fail unless two nests agree; the tolerance is relative to the largest element of a leaf, or to 1."""
    (found_leaves, structure), (_, wanted) = tree_flatten(found), tree_flatten(expected)
    if structure != wanted:
        fail(f"{what}: the nest {structure} is not the nest {wanted}", hint)
    for a, (name, b) in zip(map(array_of, found_leaves), named_leaves(arrays_of(expected)), strict=True):
        if a.shape != b.shape:
            fail(f"{what}: {name} has shape {a.shape}, not {b.shape}", hint)
        place = worst(a, b, tolerance)
        if place is not None:
            where = f" at {place}" if place else ""
            fail(f"{what}: {name}{where} is {a[place]:.6g}, not {b[place]:.6g}", hint)


def worst(a: Array, b: Array, tolerance: float) -> tuple[int, ...] | None:
    """Return the place where two arrays of one shape differ most; None where they agree. NaN agrees with NaN."""
    if not a.size:
        return None
    with np.errstate(all="ignore"):
        off = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a.astype(float) - b.astype(float)))
        limit = tolerance * max(1.0, float(np.abs(b[np.isfinite(b)]).max(initial=0.0)))
    off = np.where(np.isnan(off), np.inf, off)
    if (off <= limit).all():
        return None
    return tuple([int(i) for i in np.unravel_index(int(np.argmax(off)), off.shape)])
