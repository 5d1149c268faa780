"""Opening: a loop that a compiled engine ran as one operation, run again as the operations of its steps."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core import Array, Node, Spec, Tensor, enable_grad, random
from ..core.errors import GraphError
from ..core.modes import again
from ..core.names import LocalNames
from ..core.tree import TreeDef, tree_flatten, tree_unflatten
from .checks import name_of
from .eager import Mask, run_eager
from .step import Step, extent_of, traced
from .whole import whole_step

Edge = tuple[Node, int]


class Steps(NamedTuple):
    """The step of a loop, traced again, and what its loop ran on.

    Args:
        step: with the names of its author's.
        constants: the values of its constants.
        values: those of the state before the first step, and of all inputs, each (time, ...); None where they were
            freed, or where the step does something else now than when its loop ran.
    """

    step: Step
    constants: list[Array]
    values: list[Array] | None


class Origin:
    """What a compiled loop was made of: enough to run it step by step on the arrays that its node has saved.

    Args:
        step: the user's step.
        state: the nest of the state.
        inputs: the nest of what differs from step to step.
        states_too: the states of all steps are handed out beside the outputs.
        mask: (time, batch), rows that before a step go back to the initial state where it is False; the inputs are then
            a pair with the mask behind them. None where there is none.
        draws: how many inputs, behind the others, are random numbers.
        captured: what the step reads from outside, such as its weights.
    """

    __slots__ = ("_captured", "_draws", "_inputs", "_mask", "_state", "_states_too", "_step")

    def __init__(
        self,
        step: Any,
        state: TreeDef,
        inputs: TreeDef,
        states_too: bool,
        mask: Mask | None,
        draws: int,
        captured: Sequence[Any],
    ) -> None:
        self._step, self._state, self._inputs = step, state, inputs
        self._states_too, self._mask, self._draws = states_too, mask, draws
        # Weak, or a loop would keep the weights of before an update alive.
        self._captured = [(value, weakref.ref(value._data)) for value in captured if isinstance(value, Tensor)]

    def __repr__(self) -> str:
        return name_of(self._step)

    def run(self, node: Node) -> list[tuple[int, Edge | None]]:
        """Run the steps of a loop one by one, recording every operation, on the inputs that the loop had.

        Args:
            node: of the loop. Where a backward pass has freed its arrays, the operations keep none either.

        Returns:
            For each result of the loop, by number, the output that it is now; None for one that is constant.

        Raises:
            GraphError: if a parameter has another value than it had then, the first step gives another result, or the
                steps draw other random numbers.
        """
        if node.args is not None and any(_is_changed(value, before()) for value, before in self._captured):
            raise self._error()
        time, reverse = node.params["time"], node.params["reverse"]
        leaves = _inputs(node)
        carry = len(node.params["step"].carry)
        draws = [leaf._data for leaf in leaves[len(leaves) - self._draws :]]
        state = tree_unflatten(self._state, leaves[:carry])
        xs = tree_unflatten(self._inputs, leaves[carry : len(leaves) - self._draws])
        xs = xs if self._mask is None else xs[0]
        numbers = _in_order(draws, time, reverse)
        token = random.instead.set(lambda shape: self._drawn(numbers, shape))
        try:
            with again(node.modes), np.errstate(all="ignore"):
                ys, states, last = run_eager(self._step, state, xs, time, reverse, self._states_too, self._mask)
        finally:
            random.instead.reset(token)
        results = tree_flatten((ys, states) if self._states_too else ys)[0]
        if next(numbers, None) is not None:
            raise self._error()
        if node.args is not None and not self.agrees(node, [leaf._data for leaf in results]):
            raise self._error()
        places = [*range(len(results)), *range(len(node.specs) - carry, len(node.specs))]
        every = [*results, *tree_flatten(last)[0]]
        return [
            (place, None if leaf.node is None else (leaf.node, leaf._index))
            for place, leaf in zip(places, every, strict=True)
        ]

    def traced(self, node: Node) -> Steps:
        """Trace the step of a loop once more, for the names of its results.

        Args:
            node: of the loop.

        Raises:
            TraceError: if it asks for values now, which it did not when the loop ran.
        """
        leaves = _inputs(node)
        carry = len(node.params["step"].carry)
        xs = leaves[carry : len(leaves) - self._draws]
        whole = whole_step(
            self._step, tree_unflatten(self._state, leaves[:carry]), self._states_too, self._mask is not None
        )
        code = getattr(getattr(type(self._step), "forward", self._step), "__code__", None)
        with enable_grad(), LocalNames(code) as names:
            found = traced(
                whole,
                [Spec(leaf.shape[1:], leaf.dtype) for leaf in xs],
                [Spec(leaf.shape, leaf.dtype) for leaf in leaves[:carry]],
                (self._inputs, self._state),
                [extent_of(leaf) for leaf in xs],
            )
        step = found.named(names)
        is_known = node.args is not None and not any(_is_changed(value, before()) for value, before in self._captured)
        is_same = len(step.xs) == len(leaves) - carry and len(step.ys) <= len(node.specs) - carry
        constants = [np.asarray(value.data if isinstance(value, Tensor) else value) for value in found.captured]
        values = [np.asarray(leaf._data) for leaf in leaves] if is_known and is_same else None
        return Steps(step, constants, values)

    def _drawn(self, numbers: Iterator[Array], shape: tuple[int, ...] | None) -> Array:
        array = next(numbers, None)
        if array is None or array.shape != shape:
            raise self._error()
        return array

    def agrees(self, node: Node, results: Sequence[Array]) -> bool:
        """Return whether a loop gave these results, each (time, ...), at its first step.

        Nothing can have grown apart before that.
        """
        t = node.params["time"] - 1 if node.params["reverse"] else 0
        for before, now in zip(node.outs or (), results, strict=False):
            if not isinstance(before, np.ndarray):
                continue
            a, b = before[t], now[t]
            near = float(np.finfo(a.dtype).eps) ** 0.5 if a.dtype.kind == "f" else 0.0
            if a.shape != b.shape or not np.allclose(a, b, rtol=near, atol=near, equal_nan=True):
                return False
        return True

    def _error(self) -> GraphError:
        return GraphError(
            f"{self!r} does not give now what it gave when the loop ran, so its steps cannot be shown: its "
            "parameters or settings were changed in between; look before the change, or run the loop again"
        )


def _is_changed(value: Tensor, before: Array | None) -> bool:
    """Return whether a tensor has another value than the array, which is None where nothing keeps it any more."""
    if value._data is before:
        return False
    return before is None or not np.array_equal(value._data, before, equal_nan=before.dtype.kind == "f")


def _inputs(node: Node) -> list[Tensor]:
    """Return state and inputs of a loop as tensors that hang on the graph they came from; zeros where freed."""
    step, time = node.params["step"], node.params["time"]
    found = []
    for i, leaf in enumerate((*step.carry, *step.xs)):
        parent, slot = node.parents[i], node.slots[i]
        if node.args is not None:
            array: Array = np.asarray(node.args[i])
        else:
            spec = leaf.specs[0]
            array = np.zeros(spec.shape if i < len(step.carry) else (time, *spec.shape), spec.dtype)
        found.append(Tensor._wrap(array, parent, slot))
    return found


def _in_order(arrays: Sequence[Array], time: int, reverse: bool) -> Iterator[Array]:
    """Yield the random numbers of all steps in the order in which the steps ask for them."""
    for t in range(time - 1, -1, -1) if reverse else range(time):
        for array in arrays:
            yield array[t]
