"""The figure of neurons that follow a probe: their correlations in both halves, and the best one over the text."""

from __future__ import annotations

from typing import Any

import numpy as np

from .plotting import Array, new_figure, plain, show_text

_SHOWN = 100


def draw_ranking(text: str, probe: str, values: Array, best: Any) -> Any:
    """Return the figure.

    Args:
        text: what was read.
        probe: what the probe is called.
        values: of the probe, (characters,).
        best: the neurons to show, the best one first.
    """
    figure = new_figure(9.0, 3.6 + 0.3 * len(best))
    bars, line = figure.subplots(2, 1, height_ratios=[0.7 + 0.3 * len(best), 2.2])
    places = np.arange(len(best))
    bars.barh(places - 0.2, [neuron.found for neuron in best], 0.4, color="#56B4E9", label="first half (ranked by)")
    bars.barh(places + 0.2, [neuron.score for neuron in best], 0.4, color="#00466E", label="second half (held out)")
    bars.set_yticks(places, [plain(neuron.name) for neuron in best])
    bars.invert_yaxis()
    bars.axvline(0, color="black", linewidth=0.8)
    bars.set(xlim=(-1, 1), xlabel="correlation with the probe (Pearson's r)", title=f"Neurons for: {plain(probe)}")
    bars.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    _draw_line(line, text, probe, values, best[0])
    return figure


def _draw_line(axes: Any, text: str, probe: str, values: Array, neuron: Any) -> None:
    """Draw one neuron and the probe over the part of the held-out text where the probe changes first."""
    half = len(text) // 2
    first = half + int(np.flatnonzero(np.diff(values[half:]))[0])
    start = max(half, min(first - _SHOWN // 4, len(text) - _SHOWN))
    piece = slice(start, start + _SHOWN)
    steps = np.arange(len(text[piece]))
    axes.plot(steps, neuron.activation[piece], color="#0072B2", linewidth=1.4)
    axes.set_ylabel("activation", color="#0072B2")
    axes.set_title(f"{plain(neuron.name)} over held-out text, from character {start:,}")
    other = axes.twinx()
    other.fill_between(steps, values[piece], step="mid", color="#D55E00", alpha=0.25, linewidth=0)
    other.set_ylabel(plain(probe), color="#A34700")
    other.spines["right"].set_visible(True)
    axes.set_xlim(-0.5, len(steps) - 0.5)
    show_text(axes, text[piece])
