"""The figure of gradients through time: heat maps above, lines and the memory horizon below."""

from __future__ import annotations

from typing import Any

import numpy as np

from .plotting import COLOURS, DASHES, MARKS, Array, heat, log_scale, new_figure, on_log_scale, plain

_DECADES = 12
_BELOW = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2)}


def draw_flows(flows: dict[str, Any]) -> Any:
    """Return the figure of several flows side by side.

    Args:
        flows: by name.
    """
    rows = max(len(flow.states) for flow in flows.values())
    with_horizon = any(flow.horizon is not None for flow in flows.values())
    columns = len(flows)
    lines = sum(len(flow.states) for flow in flows.values())
    top = 0.9 + 0.28 * max(rows, 3)
    low = 3.0 + 0.09 * max(lines, 4)
    figure = new_figure(max(7.2, 2.6 * columns), top + low)
    above, below = figure.subfigures(2, 1, height_ratios=[top, low])
    _draw_maps(above, flows)
    panels = below.subplots(1, 2 if with_horizon else 1, squeeze=False)[0]
    _draw_lines(panels[0], flows)
    if with_horizon:
        _draw_horizon(panels[1], flows)
    return figure


def _draw_maps(figure: Any, flows: dict[str, Any]) -> None:
    scale = log_scale(np.concatenate([part.norms for flow in flows.values() for part in flow.states]))
    axes = figure.subplots(1, len(flows), squeeze=False)[0]
    image = None
    for place, (name, flow) in zip(axes, flows.items(), strict=True):
        image = heat(place, np.array([_floored(part.norms) for part in flow.states]), **scale)
        place.set_title(plain(name))
        place.set_yticks(range(len(flow.states)), _labels(flow.states))
        place.tick_params(axis="y", length=0)
        place.set_xlabel("step t")
    figure.colorbar(image, ax=list(axes), label="|∂L/∂state|", pad=0.01)


def _draw_lines(axes: Any, flows: dict[str, Any]) -> None:
    dash = 0
    for number, (name, flow) in enumerate(flows.items()):
        for part, label in zip(flow.states, _labels(flow.states), strict=True):
            axes.plot(part.norms, label=f"{plain(name)}, {label}", **_look(number, dash, len(part.norms)))
            dash += 1
    _log_axis(axes, [part.norms for flow in flows.values() for part in flow.states])
    axes.set_xlabel("step t")
    axes.set_ylabel("|∂L/∂state|")
    axes.set_title("What reaches the states")
    axes.legend(**_BELOW, ncols=2)


def _draw_horizon(axes: Any, flows: dict[str, Any]) -> None:
    known = {name: flow for name, flow in flows.items() if flow.horizon is not None}
    for number, (name, flow) in enumerate(flows.items()):
        if name in known:
            reach, look = flow.reach(), _look(number, number, len(flow.horizon))
            told = "" if reach is None else f", 1 % up to k = {reach}"
            axes.plot(flow.horizon, label=plain(name) + told, **look)
            if reach is not None:
                axes.plot(reach, flow.horizon[reach], "*", color=look["color"], markersize=9, markeredgecolor="black")
    _log_axis(axes, [flow.horizon for flow in known.values()])
    axes.set_xlabel("lag k (steps)")
    axes.set_ylabel("|∂loss at t / ∂x at t − k|")
    axes.set_title("Memory horizon")
    axes.legend(**_BELOW)


def _look(number: int, dash: int, length: int) -> dict[str, Any]:
    """Return how a line looks: a model by its colour and its mark, a part of the state by its dashes."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKS[number % len(MARKS)],
        "linestyle": DASHES[dash % len(DASHES)],
        "linewidth": 1.4,
        "markersize": 3.5,
        "markevery": (number % 4 * length // 40, max(1, length // 10)),
    }


def _log_axis(axes: Any, lines: list[Array]) -> None:
    """Make the axis logarithmic, over so many decades at most: below, nothing can be told from nothing."""
    positive = on_log_scale(np.concatenate(lines))
    if positive.size:
        axes.set_yscale("log")
        top = float(positive.max())
        axes.set_ylim(max(float(positive.min()) / 2, top * 10**-_DECADES), top * 2)


def _labels(states: tuple[Any, ...]) -> list[str]:
    layers = {part.layer for part in states}
    return [plain(part.name if len(layers) == 1 else f"{part.layer} {part.name}") for part in states]


def _floored(norms: Array) -> Array:
    """Return norms without zeros, which no logarithmic scale has: they count as the least number there is."""
    floored: Array = np.maximum(norms, np.finfo(float).tiny)
    return floored
