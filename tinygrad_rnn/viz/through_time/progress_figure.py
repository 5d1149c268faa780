"""The figure of a training: loss and gradients, updates by parameter, and the states as histograms over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from .plotting import Array, heat, log_scale, new_figure, plain

_USUAL_RATIO = 1e-3
_OUTLIERS = 5e-4


def draw_training(recording: Any) -> Any:
    """Return the figure of a recording.

    Args:
        recording: a `Recording` of one row or more.
    """
    parameters, parts = len(recording.parameters), len(recording.activations)
    middle = 0.9 + 0.17 * max(parameters, 6)
    lines = -(-parts // 2)
    low = 1.9 * lines
    figure = new_figure(9.0, 2.4 + middle + low)
    sections = figure.subfigures(3 if parts else 2, 1, height_ratios=[2.4, middle] + [low] * bool(parts))
    _draw_curves(sections[0], recording)
    _draw_parameters(sections[1], recording)
    if parts:
        _draw_histograms(sections[2], recording, lines)
    return figure


def _draw_curves(figure: Any, recording: Any) -> None:
    loss, gradient = figure.subplots(1, 2)
    loss.plot(recording.steps, recording.loss, color="#0072B2", linewidth=1.3)
    loss.set(title="Training loss", xlabel="step", ylabel="loss (nats a character)")
    gradient.plot(recording.steps, recording.gradient, color="#D55E00", linewidth=1.0, label="before clipping")
    if recording.clip > 0:
        gradient.axhline(float(recording.clip), color="black", linestyle="--", linewidth=0.9, label="clipped above")
        gradient.legend()
    if (recording.gradient > 0).any():
        gradient.set_yscale("log")
    gradient.set(title="Gradient norm, all parameters", xlabel="step", ylabel="|gradient|")


def _draw_parameters(figure: Any, recording: Any) -> None:
    gradients, ratios = figure.subplots(1, 2, sharey=True)
    names = [plain(str(name)) for name in recording.parameters]
    for axes, values, title, label in (
        (gradients, recording.gradients, "Gradient norm by parameter", "|gradient|"),
        (ratios, recording.ratios, "Update-to-weight ratio", "|change| / |weights|"),
    ):
        extent, scale = _extent(recording.steps, len(names)), log_scale(values, 5)
        image = heat(axes, _without_zeros(values).T, extent=extent, **scale)
        bar = figure.colorbar(image, ax=axes, label=label, pad=0.01)
        axes.set(title=title, xlabel="step")
        axes.set_yticks(np.arange(len(names)) + 0.5, names)
        axes.tick_params(axis="y", length=0, labelsize=7)
    low, high = bar.mappable.get_clim()
    if low < _USUAL_RATIO < high:
        bar.ax.axhline(_USUAL_RATIO, color="white", linewidth=1.5)


def _draw_histograms(figure: Any, recording: Any, lines: int) -> None:
    grid = figure.subplots(lines, 2, squeeze=False)
    for place in grid.ravel()[len(recording.activations) :]:
        place.set_axis_off()
    for number, (axes, name) in enumerate(zip(grid.ravel(), recording.activations, strict=False)):
        counts = recording.counts[:, number].astype(float)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        reach = float(recording.ranges[number])
        first, last, *_ = _extent(recording.steps, 1)
        scale = log_scale(shares, 4)
        image = heat(axes, _without_zeros(shares).T[::-1], extent=(first, last, -reach, reach), **scale)
        figure.colorbar(image, ax=axes, label="share of units", pad=0.01)
        axes.set(title=f"State: {plain(str(name))}", xlabel="step", ylabel="value")
        _show_used(axes, counts, reach)


def _show_used(axes: Any, counts: Array, reach: float) -> None:
    """Cut the axis to the bins that hold nearly all: a single outlier would leave no room for the others."""
    below = np.cumsum(counts.sum(axis=0)) / max(counts.sum(), 1)
    first, last = np.searchsorted(below, [_OUTLIERS, 1 - _OUTLIERS])
    edges = np.linspace(-reach, reach, counts.shape[1] + 1)
    axes.set_ylim(edges[first], edges[min(last, counts.shape[1] - 1) + 1])


def _extent(steps: Array, rows: int) -> tuple[float, float, float, float]:
    """Return where a heat map with one column a recorded step lies; rows are as far apart as the last two are."""
    apart = float(steps[-1] - steps[-2]) if len(steps) > 1 else 1.0
    return float(steps[0]) - apart, float(steps[-1]), float(rows), 0.0


def _without_zeros(values: Array) -> Array:
    """Return values for a logarithmic scale: 0 counts as the least number there is, NaN stays empty."""
    positive: Array = np.maximum(values, np.finfo(float).tiny)
    return positive
