"""The figure of gates over a text: a heat map for every gate and state, and the shares of saturated gates."""

from __future__ import annotations

from typing import Any

import numpy as np

from .plotting import COLOURS, MARKS, heat, new_figure, plain, show_text


def draw_gates(text: str, layers: Any, saturation: Any) -> Any:
    """Return the figure: a column of heat maps for each layer, and below one square for each kind of gate.

    Args:
        text: one character a column.
        layers: what each layer computed.
        saturation: shares of saturated gates, by layer and gate.
    """
    rows = max(len(layer.gates) + len(layer.states) for layer in layers)
    kinds = list(dict.fromkeys(name for gates in saturation.values() for name in gates))
    squares = 3.1 * bool(kinds)
    width = max(7.2, min(0.09 * len(text), 9.0) * len(layers) + 1.5, 2.5 * len(kinds))
    figure = new_figure(width, 1.25 * rows + 0.7 + squares)
    if not kinds:
        _draw_maps(figure, text, layers, rows)
        return figure
    above, below = figure.subfigures(2, 1, height_ratios=[1.25 * rows + 0.7, squares])
    _draw_maps(above, text, layers, rows)
    _draw_saturation(below, kinds, saturation)
    return figure


def _draw_maps(figure: Any, text: str, layers: Any, rows: int) -> None:
    axes = figure.subplots(rows, len(layers), squeeze=False)
    for column, layer in enumerate(layers):
        parts = [(name, values, True) for name, values in layer.gates.items()]
        parts += [(name, values, False) for name, values in layer.states.items()]
        for place in axes[len(parts) :, column]:
            place.set_axis_off()
        for number, (place, (name, values, is_gate)) in enumerate(zip(axes[:, column], parts, strict=False)):
            size = 1.0 if is_gate else max(float(np.abs(values).max()), 1e-30)
            image = heat(place, values.T, vmin=0 if is_gate else -size, vmax=size)
            kind = "gate" if is_gate else "state"
            place.set_ylabel(f"{kind} {plain(name)}\nunit")
            figure.colorbar(image, ax=place, pad=0.01, label="open" if is_gate else "value")
            place.set_xticks([])
            if number == 0:
                place.set_title(plain(layer.layer))
            if number == len(parts) - 1:
                show_text(place, text)


def _draw_saturation(figure: Any, kinds: list[str], saturation: Any) -> None:
    axes = figure.subplots(1, len(kinds), squeeze=False)[0]
    for place, kind in zip(axes, kinds, strict=True):
        for number, (layer, gates) in enumerate(saturation.items()):
            if kind in gates:
                place.scatter(
                    gates[kind].left,
                    gates[kind].right,
                    s=22,
                    alpha=0.6,
                    linewidths=0.6,
                    edgecolors="black",
                    color=COLOURS[number % len(COLOURS)],
                    marker=MARKS[number % len(MARKS)],
                    label=plain(layer),
                )
        place.plot([0, 1], [1, 0], color="0.6", linewidth=0.8, zorder=0)
        place.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        place.set_title(f"gate {plain(kind)}")
        place.set_xlabel("share of time < 0.1")
    axes[0].set_ylabel("share of time > 0.9")
    if len(saturation) > 1:
        axes[-1].legend()
