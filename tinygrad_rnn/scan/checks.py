"""What a scan demands of inputs, lengths, states and steps, and the errors that say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..core import Tensor, errors
from ..core.tree import dict_of, tree_flatten, tree_map

Matcher = Callable[[Any], bool]


def check_lengths(lengths: Any, time: int, batch: int) -> NDArray[np.intp]:
    """Return the lengths of the rows of a batch as an array.

    Args:
        lengths: (batch,) integers from 0 to time.
        time: number of steps of the longest row there is room for.
        batch: number of rows.

    Raises:
        ShapeError: There is not one length a row.
        DtypeError: They are no integers.
        DataError: One of them is negative or greater than `time`.

    Example:
        >>> check_lengths([3, 0], time=4, batch=2)
        array([3, 0])
    """
    found = np.asarray(lengths.data if isinstance(lengths, Tensor) else lengths).view(np.ndarray)
    if found.shape != (batch,):
        raise errors.ShapeError(
            f"lengths of shape {found.shape} for a batch of {batch}; give one length a row: ({batch},)"
        )
    if found.size and found.dtype.kind not in "iu":
        raise errors.DtypeError(f"lengths of dtype {found.dtype}; give integers, for instance lengths.astype(int)")
    wrong = np.flatnonzero((found < 0) | (found > time))
    if wrong.size:
        raise errors.DataError(
            f"the length of row {wrong[0]} is {found[wrong[0]]} where the input has {time} steps; give lengths "
            f"from 0 to {time}"
        )
    return found.astype(np.intp)


def check_inputs(xs: Any, batched: bool) -> tuple[int, int]:
    """Return the number of steps, and of rows (0 unless `batched`), that all leaves of the inputs share."""
    axes = 2 if batched else 1
    shapes = [leaf.shape for leaf in tree_flatten(xs)[0]]
    leading = {shape[:axes] for shape in shapes}
    if len(leading) != 1 or len(next(iter(leading))) != axes:
        raise errors.ShapeError(
            f"inputs of shapes {', '.join(map(str, shapes)) or 'none at all'}; give arrays that share their first "
            + ("two axes: (time, batch, ...)" if batched else "axis: (time, ...)")
        )
    time, *batch = next(iter(leading))
    return time, (batch or [0])[0]


def check_rows(state: Any, batch: int) -> None:
    """Raise a ShapeError unless the first axis of every leaf of a state is the batch."""
    for leaf in tree_flatten(state)[0]:
        if leaf.shape[:1] != (batch,):
            raise errors.ShapeError(
                f"an initial state with a leaf of shape {leaf.shape} for a batch of {batch}; give ({batch}, ...): with "
                "lengths, the first axis of every leaf is the batch"
            )


def matcher(nest: Any) -> Matcher:
    """Return a test whether another nest has the structure, shapes and dtypes of this one.

    It runs at every step, hence a closure and no comparison of flattened nests.
    """
    if nest is None:
        return lambda other: other is None
    if isinstance(nest, (tuple, list)):
        kind, parts = type(nest), [matcher(child) for child in nest]
        if len(parts) == 2:
            first, second = parts
            return lambda other: type(other) is kind and len(other) == 2 and first(other[0]) and second(other[1])
        return lambda other: (
            type(other) is kind
            and len(other) == len(parts)
            and all(part(child) for part, child in zip(parts, other, strict=True))
        )
    if isinstance(nest, dict):
        keys, tests = list(nest), [matcher(child) for child in nest.values()]
        return lambda other: (
            type(other) is type(nest)
            and list(other) == keys
            and all(test(child) for test, child in zip(tests, other.values(), strict=True))
        )
    shape, dtype = nest.shape, nest.dtype
    kinds = Tensor if isinstance(nest, Tensor) else (Tensor, np.ndarray)
    return lambda other: isinstance(other, kinds) and other.shape == shape and other.dtype == dtype


def settled(state: Any, like: Any) -> Any:
    """Return a state as the one before has it, if it differs in what has no meaning; itself if in nothing of the kind.

    Dicts get the order of keys that they have there. Plain arrays of integers and bools, which comparisons give, and
    which have no gradient to lose, become tensors.

    Args:
        state: what a step returned.
        like: what it was given.

    Example:
        >>> settled({"c": 1, "h": 2}, {"h": 3, "c": 4})
        {'h': 2, 'c': 1}
    """
    if type(state) is np.ndarray:
        return Tensor(state) if state.dtype.kind in "iub" else state
    kind: Any = type(state)
    if type(like) is not kind or isinstance(state, Tensor):
        return state
    if isinstance(state, dict) and state.keys() == like.keys():
        pairs = [(key, settled(state[key], part)) for key, part in like.items()]
        same = all(a is b and key == other for (key, a), (other, b) in zip(pairs, state.items(), strict=True))
        return state if same else dict_of(kind, pairs)
    if isinstance(state, (tuple, list)) and len(state) == len(like):
        parts = [settled(child, part) for child, part in zip(state, like, strict=True)]
        if all(a is b for a, b in zip(parts, state, strict=True)):
            return state
        return kind(*parts) if hasattr(kind, "_fields") else kind(parts)
    return state


def checked_step(step: Any, out: Any, before: Any, matches: Matcher, t: int) -> tuple[Any, Any]:
    """Return the output and the next state, which a step gave.

    Args:
        step: the step.
        out: what it returned.
        before: a state that it was given.
        matches: the `matcher` of that.
        t: the number of the step.

    Raises:
        CellError: if it is no pair, or the state is unlike the one before.
    """
    if isinstance(out, tuple) and len(out) == 2:
        y, state = out
        if matches(state):
            return y, state
        state = settled(state, before)
        if matches(state):
            return y, state
    refuse_step(step, out, before, t)


def describe(nest: Any) -> str:
    """Return a nest in words: dtypes and shapes where its leaves are."""

    def leaf(value: Any) -> Any:
        if hasattr(value, "shape"):
            return _Words(f"{value.dtype}{list(value.shape)}")
        return _Words(f"{type(value).__name__} {value!r}")

    return repr(tree_map(leaf, nest))


class _Words(str):
    __slots__ = ()
    __repr__ = str.__str__


def refuse_step(step: Any, out: Any, state: Any, t: int) -> NoReturn:
    """Raise the CellError that says what is wrong with what a step returned."""
    who = f"{name_of(step)}, step {t}"
    if not isinstance(out, tuple) or len(out) != 2:
        raise errors.CellError(
            f"{who}: it returned {describe(out)}; return a pair, the output and the next state: return y, state"
        )
    if arrays := [leaf for leaf in tree_flatten(out[1])[0] if isinstance(leaf, np.ndarray)]:
        raise errors.CellError(
            f"{who}: the state it returned holds a plain array, {describe(arrays[0])}, and no gradient would go "
            "through it; leave .data away, or write tg.Tensor(array) for a constant"
        )
    raise errors.CellError(
        f"{who}: it was given the state {describe(state)} and returned the state {describe(out[1])}; return a state of "
        "the same nest, shapes and dtypes (state.astype(...) converts), or start from another initial state"
    )


def refuse_output(step: Any, y: Any, ys: list[Any], t: int) -> NoReturn:
    """Raise the CellError that says what is wrong with the output of a step, or how it differs from those before."""
    before = f", at the step before it was {describe(ys[-1])}" if ys else ""
    raise errors.CellError(
        f"{name_of(step)}, step {t}: the output is {describe(y)}{before}; return arrays, of the same shapes and dtypes "
        "at every step"
    )


def is_arrays(nest: Any) -> bool:
    """Whether all leaves of a nest are tensors or arrays."""
    return all(isinstance(leaf, (Tensor, np.ndarray)) for leaf in tree_flatten(nest)[0])


def name_of(step: Any) -> str:
    """Return the name of a step as its author knows it."""
    return getattr(step, "__qualname__", None) or type(step).__name__
