"""Gradients with respect to the states of recurrent layers after every step, all of them by one backward pass.

Zeros that require grad are added to the state and to the output of every step. What arrives at those of the state came
through later steps; what arrives at those of the output is pushed through its own step once more, back to the state
that it was computed from. So it works for every cell, and under every engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...core import Tensor, enable_grad, gradients
from ...core.errors import CellError, DataError
from ...core.tree import tree_flatten, tree_unflatten
from ...nn.watching import Loop, watching
from ...scan import scan
from .plotting import Array
from .recorded import RecordedStep


class Probe:
    """The zeros in one loop, and the states that it went through.

    Args:
        loop: the loop that it was put into.
        with_input: put zeros at its input too.

    Attributes:
        loop: the loop, with the zeros at its input.
        names: of the leaves of the state.
        states: of every leaf, after every step (time, batch, ...).
        at_state: for each leaf the zeros (time, batch, ...), None where it holds no floats.
        at_output: the zeros (time, batch, ...), None where the output holds no floats.
        at_input: the zeros (time, batch, ...), None where the input holds no floats or was left out.
    """

    def __init__(self, loop: Loop, with_input: bool) -> None:
        leaves, self._structure = tree_flatten(loop.init)
        self._init = [np.asarray(leaf._data) for leaf in leaves]
        self._x = np.asarray(loop.x._data)
        self.time = self._x.shape[0]
        if self.time == 0:
            raise DataError("an input of no steps, through which nothing flows; give one step of time or more")
        if self._x.ndim > 1 and self._x.shape[1] == 0:
            raise DataError("a batch of no rows, through which nothing flows; give one row or more")
        first = RecordedStep(loop.cell, self._x[0], self._init, self._structure, named=True)
        self.names = first.state_names()
        self.at_state = [self._zeros(leaf) for leaf in self._init]
        self.at_output = self._zeros(first.y)
        self.at_input = self._zeros(self._x[0]) if with_input else None
        self.loop = loop if self.at_input is None else loop._replace(x=loop.x + self.at_input)
        self.states: list[Array] = []

    def _zeros(self, like: Any) -> Tensor | None:
        if like.dtype.kind != "f":
            return None
        return Tensor(np.zeros((self.time, *like.shape), like.dtype), requires_grad=True)

    @property
    def zeros(self) -> list[Tensor]:
        """All zeros of the states, then those of the output."""
        return [zeros for zeros in (*self.at_state, self.at_output) if zeros is not None]

    def run(self) -> tuple[Any, Any, Any]:
        """Run the loop with the zeros in it: the outputs, the last state and all states, as `scan` gives them."""
        loop = self.loop

        def step(inputs: Any, state: Any) -> Any:
            x, at_state, at_output = inputs
            out = loop.cell(x, state)
            if not isinstance(out, tuple) or len(out) != 2:
                return out
            leaves, treedef = tree_flatten(out[1])
            moved = [leaf if zeros is None else leaf + zeros[0] for leaf, zeros in zip(leaves, at_state, strict=True)]
            return (out[0] if at_output is None else out[0] + at_output), tree_unflatten(treedef, moved)

        step.__qualname__ = type(loop.cell).__name__
        xs = (loop.x, [None if zeros is None else [zeros] for zeros in self.at_state], self.at_output)
        with watching(None):
            y, final, states = scan(
                step, loop.init, xs, loop.lengths, reverse=loop.reverse, return_states=True, engine=loop.engine
            )
        self.states = [np.asarray(leaf._data) for leaf in tree_flatten(states)[0]]
        return y, final, states

    def total(self, arrived: list[Array]) -> list[Array | None]:
        """Return the whole gradient with respect to each leaf of the state after every step.

        Args:
            arrived: the gradients with respect to `zeros`.

        Raises:
            CellError: if a step taken once more gives another state, since it draws random numbers.
        """
        rest = iter(arrived)
        through_later = [None if zeros is None else next(rest) for zeros in self.at_state]
        through_output = None if self.at_output is None else next(rest)
        totals = [None if late is None else np.array(late) for late in through_later]
        for t in range(self.time):
            of_state = [None if late is None else late[t] for late in through_later]
            of_output = None if through_output is None else through_output[t]
            for total, found in zip(totals, self._through_step(t, of_state, of_output), strict=True):
                if total is not None and found is not None:
                    total[t] = found
        return totals

    def _through_step(self, t: int, of_state: list[Any], of_output: Any) -> list[Array | None]:
        """Return the whole gradient of each leaf of the state after step t.

        The output of the step, and other leaves of the state (h of an LSTM), may be computed from the leaf (its c).

        Args:
            t: the step.
            of_state: what arrived at each leaf from later steps.
            of_output: what arrived at the output.
        """
        taken = RecordedStep(self.loop.cell, self._x[t], self._before(t), self._structure)
        valid = self._valid(t)
        self._check(t, taken, valid)
        results = [
            isinstance(leaf, Tensor) and leaf.node is not None and leaf.node.primitive is not None
            for leaf in taken.after
        ]
        pairs = [(taken.y, of_output), *zip(taken.after, of_state, strict=True)]
        parts = [
            np.sum(value * cotangent)
            for value, cotangent in pairs
            if cotangent is not None and isinstance(value, Tensor) and value.requires_grad
        ]
        targets = [leaf for leaf, is_result in zip(taken.after, results, strict=True) if is_result]
        if not targets or not parts:
            return [None] * len(results)
        found = iter(gradients(sum(parts[1:], parts[0]), targets))
        return [_where(valid, next(found)) if is_result else None for is_result in results]

    def _before(self, t: int) -> list[Array]:
        """Return the leaves of the state before step t."""
        earlier = t + 1 if self.loop.reverse else t - 1
        if not 0 <= earlier < self.time:
            return self._init
        if self.loop.lengths is None:
            return [states[earlier] for states in self.states]
        # A row that runs in reverse starts at its own end.
        return [
            _where(self._valid(earlier), states[earlier], init)
            for states, init in zip(self.states, self._init, strict=True)
        ]

    def _valid(self, t: int) -> Array:
        lengths = self.loop.lengths
        return np.full(self._x.shape[1], True) if lengths is None else t < lengths

    def _check(self, t: int, taken: RecordedStep, valid: Array) -> None:
        for leaf, states in zip(taken.after, self.states, strict=True):
            again, first = np.asarray(leaf._data)[valid], states[t][valid]
            near = float(np.sqrt(np.finfo(first.dtype).eps)) if first.dtype.kind == "f" else 0.0
            if not np.allclose(again, first, rtol=near, atol=near, equal_nan=True):
                raise CellError(
                    f"{type(self.loop.cell).__name__}, step {t}: the same step taken twice gave two states, so it "
                    "draws random numbers; call eval() on the layer first"
                )


def _where(valid: Array, value: Array, elsewhere: Any = 0) -> Array:
    if valid.all():
        return value
    return np.where(valid.reshape(valid.shape + (1,) * (value.ndim - 1)), value, elsewhere)


def probed(compute: Callable[[], Any]) -> tuple[Any, list[Probe]]:
    """Run a function with a probe in every loop of a recurrent layer, and at the input of the first layer.

    Args:
        compute: runs the layers.

    Returns:
        What it returned, and the probes in the order in which the loops ran.
    """
    probes: list[Probe] = []

    def run(loop: Loop) -> tuple[Any, Any, Any]:
        if len(probes) == 1 and loop.reverse:  # the other direction of the first layer reads the same input
            loop = loop._replace(x=probes[0].loop.x)
        probe = Probe(loop, with_input=not probes)
        probes.append(probe)
        return probe.run()

    with enable_grad(), watching(run):
        return compute(), probes
