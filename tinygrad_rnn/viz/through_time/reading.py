"""What a model computes while it reads a text: the states and gates of every layer, at every character."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core import no_grad, random
from ...core.errors import CellError, ConfigError
from ...core.tree import tree_flatten
from ...nn.watching import Loop, layer_names, watching
from ...scan import scan
from .plotting import Array
from .recorded import RecordedStep
from .runs import TrainedRun, encoded


@dataclass(frozen=True, eq=False)
class LayerReading:
    """What one layer computed, by the names that its cell uses.

    Args:
        layer: which layer, in words.
        states: the parts of the state after every character, each (time, units); those that hold floats, so not a
            count of steps.
        gates: what came out of every sigmoid, each (time, units).
    """

    layer: str
    states: dict[str, Array]
    gates: dict[str, Array]


def read(run: TrainedRun, text: str, with_gates: bool = True) -> list[LayerReading]:
    """Have a model read a text, in evaluation mode, from no state on.

    Args:
        run: the model and its vocabulary.
        text: characters that the model knows.
        with_gates: look for gates too, which takes every step a second time, recorded.

    Returns:
        One reading for each recurrent layer and direction, in the order in which they ran.

    Raises:
        ConfigError: if the text is empty, the model has no recurrent layer, or nothing of its layers can be shown.
        DataError: if the text has characters that the model does not know.
        CellError: if a cell has another number of gates at another step.
    """
    ids, loops = encoded(run, text), Loops()
    training, state = run.model.training, random.get_state()
    run.model.eval()
    try:
        with no_grad(), loops.watched():
            run.model(ids)
        if not loops.found:
            raise ConfigError(f"no recurrent layer ran in {type(run.model).__name__}; give a model with one")
        names = layer_names([loop for loop, _ in loops.found])
        readings = [
            _reading(name, loop, states, with_gates) for name, (loop, states) in zip(names, loops.found, strict=True)
        ]
        if not any(reading.states or reading.gates for reading in readings):
            raise ConfigError(
                f"no state of {type(run.model).__name__} holds floats, so there is nothing to show; give a model whose "
                "cell has a state of floats"
            )
        return readings
    finally:
        run.model.train(training)
        random.set_state(state)


class Loops:
    """The loops of recurrent layers that run while they are watched, each with the states of all its steps."""

    def __init__(self) -> None:
        self.found: list[tuple[Loop, list[Array]]] = []

    def watched(self) -> watching:
        """Return the context in which they are noted."""
        return watching(self._run)

    def state_names(self) -> list[list[str]]:
        """Return what the cell of each loop calls the parts of its state."""
        return [_names_and_gates(loop, states, with_gates=False)[0] for loop, states in self.found]

    def _run(self, loop: Loop) -> tuple[Any, Any, Any]:
        with watching(None):
            y, final, states = scan(
                loop.cell,
                loop.init,
                loop.x,
                loop.lengths,
                reverse=loop.reverse,
                return_states=True,
                engine=loop.engine,
            )
        self.found.append((loop, [np.asarray(leaf._data) for leaf in tree_flatten(states)[0]]))
        return y, final, states


def _reading(layer: str, loop: Loop, states: list[Array], with_gates: bool) -> LayerReading:
    names, gates = _names_and_gates(loop, states, with_gates)
    parts = {
        name: leaf.reshape(len(leaf), -1) for name, leaf in zip(names, states, strict=True) if leaf.dtype.kind == "f"
    }
    return LayerReading(layer, parts, gates)


def _names_and_gates(loop: Loop, states: list[Array], with_gates: bool) -> tuple[list[str], dict[str, Array]]:
    """Take steps once more, recorded: all of them for the gates, the first one for the names of the states alone."""
    init, structure = tree_flatten(loop.init)
    x = np.asarray(loop.x._data)
    order = range(len(x) - 1, -1, -1) if loop.reverse else range(len(x))
    before = [np.asarray(leaf._data) for leaf in init]
    names: list[str] = []
    labels: list[str] = []
    rows: dict[int, list[Array]] = {}
    for t in order if with_gates else order[:1]:
        step = RecordedStep(loop.cell, x[t], before, structure, named=not names)
        if not names:
            names, labels = step.state_names(), step.gate_names()
        values = [value.ravel() for value in step.gate_values()]
        if len(values) != len(labels):
            raise CellError(
                f"{type(loop.cell).__name__} has {len(labels)} gates at its first step and {len(values)} at step {t}; "
                "write a step that computes the same gates whatever the values are"
            )
        rows[t] = values
        before = [leaf[t] for leaf in states]
    gates = {name: np.array([rows[t][number] for t in sorted(rows)]) for number, name in enumerate(labels)}
    return names, gates if with_gates else {}
