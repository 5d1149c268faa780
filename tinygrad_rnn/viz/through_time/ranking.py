"""Neurons that know something of a text: ranked by their correlation with a probe, scored on text kept apart."""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from ...core.errors import ConfigError, DataError
from ..files import file_at
from .page import page
from .plotting import Array, Plot
from .probes import Probe, probe_values
from .ranking_figure import draw_ranking
from .reading import read
from .runs import TrainedRun, opened


@dataclass(frozen=True, eq=False)
class Neuron:
    """One unit of one part of a layer's state.

    Args:
        layer: which layer, in words.
        part: of the state, as the cell calls it.
        unit: which number of it.
        found: correlation with the probe in the first half of the text, by which neurons are ranked.
        score: correlation with the probe in the second half, which the ranking has not seen.
        activation: after every character, (time,).
    """

    layer: str
    part: str
    unit: int
    found: float
    score: float
    activation: Array

    @property
    def name(self) -> str:
        """Layer, part and unit in words."""
        return f"{self.layer} {self.part}[{self.unit}]"


@dataclass(frozen=True, eq=False)
class Neurons(Plot):
    """What `neurons` found; it has a page and a figure.

    Args:
        text: what was read.
        probe: what the probe is called.
        values: of the probe, (characters,).
        ranking: all neurons, the one with the greatest correlation in the first half first.
        top: how many of them the page and the figure show.
    """

    text: str
    probe: str
    values: Array
    ranking: tuple[Neuron, ...]
    top: int

    def html(self) -> str:
        """Return the page: one file that needs no other, loads nothing and runs no script."""
        return page(self.text, self.probe, self.values, self.ranking, self.top)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page, or the figure, to a file.

        Args:
            path: ends in .html for the page; in .svg, .png or .pdf for the figure.

        Raises:
            ConfigError: if it is no path or ends in something else, or its folder is not there.
            PlottingError: if a figure is asked for and matplotlib is not installed.
        """
        path = file_at(path)
        if path.suffix.lower() == ".html":
            path.write_text(self.html(), encoding="utf-8")
        elif path.suffix.lower() in (".svg", ".png", ".pdf"):
            super().save(path)
        else:
            raise ConfigError(f"neurons cannot be saved as {path.name!r}; end it in .html, .svg, .png or .pdf")

    def _draw(self) -> Any:
        return draw_ranking(self.text, self.probe, self.values, self.ranking[: self.top])

    def _repr_html_(self) -> str:
        return f'<iframe sandbox="" width="100%" height="600" srcdoc="{escape(self.html())}"></iframe>'


def neurons(
    run: str | os.PathLike[str] | TrainedRun, text: str, probe: str | Probe = "quotes", *, top: int = 5
) -> Neurons:
    """Find the neurons of a character language model whose activation follows a probe, and colour the text by them.

    Every number of every part of every layer's state that holds floats is a neuron. They are ranked by the size of
    their correlation with the probe (Pearson's) in the first half of the text. The best of many neurons correlates with
    anything a little, so the score is their correlation in the second half, which had no part in the ranking.

    Args:
        run: the folder of a run, or what `train.Run.load` returned.
        text: characters that the model knows; the longer, the more the scores say.
        probe: "quotes" (inside double quotes), "line" (position in the line), "brackets" (inside brackets), or a
            function from the text to a number for every character, which describes what has been read by then.
        top: how many neurons the page shows.

    Returns:
        The ranking with its scores; a page and a figure of it.

    Raises:
        CheckpointError: if the folder is no run.
        ConfigError: if the text is empty, the model has no recurrent layer or no state of floats, there is no such
            probe, or `top` is no positive integer.
        DataError: if the text has characters that the model does not know, the probe is the same everywhere in one
            half of it, or returns what is no real number, or not finite.
        ShapeError: if the probe returns another number of numbers than there are characters.

    Source: Karpathy, Johnson and Fei-Fei 2015, *Visualizing and understanding recurrent networks*.

    Example:
        >>> from tinygrad_rnn import viz
        >>> found = viz.neurons("runs/1", open("my.txt").read(), probe="brackets")  # doctest: +SKIP
        >>> found.ranking[0].name, found.ranking[0].score  # doctest: +SKIP
        ('layer 1 c[17]', 0.83)
        >>> found.save("neurons.html")  # doctest: +SKIP
    """
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise ConfigError(f"top is {top!r}; give a whole number of 1 or more")
    run = opened(run)
    if not isinstance(text, str) or not text:
        raise ConfigError(f"text is {text!r}; give a str of one character or more")
    name, values = probe_values(probe, text)
    half = len(text) // 2
    for seen, words in ((values[:half], "first"), (values[half:], "second")):
        if seen.size < 2 or (seen == seen[0]).all():
            raise DataError(
                f"the probe {name} is the same all over the {words} half of the text, so nothing correlates "
                "with it; give a longer text, or one in which it changes in both halves"
            )
    ranking = []
    for layer in read(run, text, with_gates=False):
        for part, activations in layer.states.items():
            found = correlation(activations[:half], values[:half])
            score = correlation(activations[half:], values[half:])
            ranking += [
                Neuron(layer.layer, part, unit, float(found[unit]), float(score[unit]), activations[:, unit])
                for unit in range(activations.shape[1])
            ]
    ranking.sort(key=lambda neuron: -abs(neuron.found))
    return Neurons(text, name, values, tuple(ranking), top)


def correlation(activations: Array, values: Array) -> Array:
    """Return Pearson's correlation of each column with the values, (columns,); 0 for one that never changes.

    Args:
        activations: (time, columns).
        values: (time,).

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.viz.through_time.ranking import correlation
        >>> correlation(np.array([[1.0, 5.0, 0.0], [2.0, 3.0, 0.0]]), np.array([0.0, 1.0]))
        array([ 1., -1.,  0.])
    """
    centred, wanted = activations - activations.mean(axis=0, dtype=float), values - values.mean()
    norms = np.linalg.norm(centred, axis=0) * np.linalg.norm(wanted)
    # Rounding moves a column that never changes by this much at most.
    moves = np.abs(centred).max(axis=0) > 1e-6 * np.abs(activations).max(axis=0)
    ratio: Array = np.divide(wanted @ centred, norms, out=np.zeros(norms.shape), where=moves & (norms > 0))
    return ratio
