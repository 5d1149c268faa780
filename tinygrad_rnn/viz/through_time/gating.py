"""Gates over a text: what every gate and state of a model does while it reads, and how often gates are saturated."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from .gating_figure import draw_gates
from .plotting import Array, Plot
from .reading import LayerReading, read
from .runs import TrainedRun, opened

LEFT, RIGHT = 0.1, 0.9


@dataclass(frozen=True, eq=False)
class Saturation:
    """How often each unit of a gate is shut or open.

    Args:
        left: share of the characters at which the gate is below 0.1, (units,).
        right: share of the characters at which it is above 0.9, (units,).
    """

    left: Array
    right: Array


@dataclass(frozen=True, eq=False)
class Gates(Plot):
    """What `gates` found; it has a figure.

    Args:
        text: what was read.
        layers: gates and states of every layer, by the names that the cell uses.
    """

    text: str
    layers: tuple[LayerReading, ...]

    def saturation(self) -> dict[str, dict[str, Saturation]]:
        """Return the shares of saturated gates, by layer and gate."""
        return {
            layer.layer: {
                name: Saturation((values < LEFT).mean(axis=0), (values > RIGHT).mean(axis=0))
                for name, values in layer.gates.items()
            }
            for layer in self.layers
        }

    def _draw(self) -> Any:
        return draw_gates(self.text, self.layers, self.saturation())


def gates(run: str | os.PathLike[str] | TrainedRun, text: str) -> Gates:
    """Show every gate and every state of a character language model while it reads a text.

    A gate is what comes out of a sigmoid in the step of a cell, whatever the cell: it is found in the graph of the
    step. It is called as the cell calls it, or else as the cell calls what goes into the sigmoid. What depends on
    integers alone, neither on the state nor on a parameter that requires grad, is not recorded and not found. Of the
    state, the parts that hold floats are shown: a count of steps is left out.

    Args:
        run: the folder of a run, or what `train.Run.load` returned.
        text: characters that the model knows; each is one step.

    Returns:
        The values as arrays (time, units), the shares of saturated gates (below 0.1, above 0.9), and a figure of both.

    Raises:
        CheckpointError: if the folder is no run.
        ConfigError: if the text is empty, the model has no recurrent layer, or no floats in its states and no gate.
        DataError: if the text has characters that the model does not know.
        PlottingError: when drawn, if matplotlib is not installed.

    Source: Karpathy, Johnson and Fei-Fei 2015, *Visualizing and understanding recurrent networks*.

    Example:
        >>> from tinygrad_rnn import viz
        >>> found = viz.gates("runs/1", "The quick brown fox")  # doctest: +SKIP
        >>> found.layers[0].gates["f"].shape  # doctest: +SKIP
        (19, 128)
        >>> found.save("gates.png")  # doctest: +SKIP
    """
    return Gates(text, tuple(read(opened(run), text)))
