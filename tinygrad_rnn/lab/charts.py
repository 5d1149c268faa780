"""Charts of the report as SVG that refers to nothing outside itself: learning curves, intervals, bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from ..train.curve import ticks

# Colours that people with any colour vision can part (Okabe & Ito 2008), and a dash for those who see none.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 4", "1 2", "12 3")
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 460, 62, 446, 34, 252
_LETTER = 7  # the width of one, about
_GREY, _INK = "#d9dee3", "#24303c"


class Line(NamedTuple):
    """A line of a chart with the band around it.

    Args:
        x: where its points are.
        middle: their height.
        low: the lower end of the band.
        high: its upper end.
    """

    x: Sequence[float]
    middle: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def curves(title: str, lines: Mapping[str, Line], x_name: str, y_name: str, level: tuple[str, float] | None) -> str:
    """Return a chart of lines with bands, the y axis logarithmic where all is above 0 and spans more than a decade.

    Args:
        title: stands above.
        lines: by name; one without points stands in the legend alone.
        x_name: stands below.
        y_name: stands at the y axis.
        level: name and height of a line across the chart; None without one.
    """
    everything = [y for line in lines.values() for ys in line[1:] for y in ys if math.isfinite(y)]
    everything += [level[1]] if level else []
    logarithmic = bool(everything) and min(everything) > 0 and max(everything) / min(everything) > 10
    height = _log10 if logarithmic else float
    xs = [x for line in lines.values() for x in line.x] or [1.0]
    x_ticks = ticks(0.0, max(xs))
    y_ticks = _decades(everything) if logarithmic else ticks(min(everything, default=0.0), max(everything, default=1.0))
    bottom, top = height(y_ticks[0]), max(height(y_ticks[-1]), *map(height, everything or [1.0]))

    def place(x: float, y: float) -> str:
        across = _LEFT + x / max(x_ticks[-1], *xs) * (_RIGHT - _LEFT)
        share = (height(y) - bottom) / (top - bottom) if math.isfinite(y) else 1.0
        return f"{across:.1f},{_BOTTOM - min(max(share, 0.0), 1.0) * (_BOTTOM - _TOP):.1f}"

    legend, end = _legend(list(lines))
    parts = _frame(title, x_name, y_name, end)
    for tick in y_ticks:
        _, y = place(0.0, tick).split(",")
        parts.append(f'<line x1="{_LEFT}" y1="{y}" x2="{_RIGHT}" y2="{y}" stroke="{_GREY}"/>')
        parts.append(_text(_LEFT - 7, float(y) + 4, f"{tick:g}", "end"))
    for tick in x_ticks:
        x, _ = place(tick, y_ticks[0]).split(",")
        parts.append(_text(float(x), _BOTTOM + 18, f"{tick:,g}", "middle"))
    if level:
        _, y = place(0.0, level[1]).split(",")
        parts.append(f'<line x1="{_LEFT}" y1="{y}" x2="{_RIGHT}" y2="{y}" stroke="{_INK}" stroke-dasharray="1 3"/>')
    for number, line in enumerate(lines.values()):
        colour = COLOURS[number % len(COLOURS)]
        band = [place(x, y) for x, y in zip(line.x, line.high, strict=True)]
        band += reversed([place(x, y) for x, y in zip(line.x, line.low, strict=True)])
        parts.append(f'<polygon points="{" ".join(band)}" fill="{colour}" fill-opacity="0.15"/>')
    for number, line in enumerate(lines.values()):
        points = " ".join(place(x, y) for x, y in zip(line.x, line.middle, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" {_stroke(number)}/>')
    if level:
        _, y = place(0.0, level[1]).split(",")
        parts.append(
            f'<g paint-order="stroke" stroke="#fff" stroke-width="3">{_text(_RIGHT, float(y) - 4, level[0], "end")}</g>'
        )
    return "\n".join([*parts, *legend, "</svg>"])


def intervals(
    title: str, rows: Sequence[tuple[str, float, float, float]], margin: float, names: tuple[str, str]
) -> str:
    """Return a chart of estimates with their intervals around 0, the margin shaded.

    Args:
        title: stands above.
        rows: name, low, estimate, high of each; ends that are not finite run to the edge.
        margin: shifts up to it do not count.
        names: what lies to the left and to the right of 0.
    """
    finite = [abs(value) for _, *values in rows for value in values if math.isfinite(value)]
    reach = 1.15 * max([margin, *finite, 1e-12])
    left = max(120, _LETTER * max(len(name) for name, *_ in rows) + 16)
    width = left + 440
    height = 66 + 26 * len(rows)

    def across(value: float) -> float:
        return left + (min(max(value, -reach), reach) / reach + 1) / 2 * (width - left - 16)

    parts = [_opening(width, height, title), _text(8, 20, title, "start", 14)]
    parts.append(
        f'<rect x="{across(-margin):.1f}" y="32" width="{across(margin) - across(-margin):.1f}" '
        f'height="{height - 62}" fill="{_GREY}" fill-opacity="0.6"/>'
    )
    zero = across(0.0)
    parts.append(f'<line x1="{zero:.1f}" y1="30" x2="{zero:.1f}" y2="{height - 28}" stroke="{_INK}"/>')
    for number, (name, low, middle, high) in enumerate(rows):
        y = 48 + 26 * number
        parts.append(_text(left - 8, y + 4, name, "end"))
        parts.append(
            f'<line x1="{across(low):.1f}" y1="{y}" x2="{across(high):.1f}" y2="{y}" stroke="{COLOURS[0]}" '
            f'stroke-width="3"{" stroke-dasharray=" + chr(34) + "3 3" + chr(34) if not _known(low, high) else ""}/>'
        )
        if math.isfinite(middle):
            parts.append(f'<circle cx="{across(middle):.1f}" cy="{y}" r="5" fill="{COLOURS[0]}"/>')
    parts.append(_text(left, height - 10, f"← {names[0]}", "start"))
    parts.append(_text(width - 16, height - 10, f"{names[1]} →", "end"))
    parts.append(_text(across(0.0), height - 10, f"counts from {margin:.2g}", "middle"))
    return "\n".join([*parts, "</svg>"])


def bars(title: str, groups: Mapping[str, Mapping[str, float | None]], unit: str) -> str:
    """Return a chart of horizontal bars in groups.

    Args:
        title: stands above.
        groups: group to name to length; None where there is none.
        unit: stands behind each number.
    """
    longest_name = max((len(name) for group in groups.values() for name in group), default=0)
    left, step = max(86, _LETTER * longest_name + 14), 17
    width = left + 474
    longest = max([value for group in groups.values() for value in group.values() if value], default=1.0)
    parts, y = [], 44
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    for group, values in groups.items():
        parts.append(_text(8, y, group, "start", 13))
        for name, value in values.items():
            y += step
            parts.append(_text(left - 6, y + 4, name, "end"))
            if value:
                long = max(1.0, value / longest * (width - left - 110))
                colour = COLOURS[names.index(name) % len(COLOURS)]
                parts.append(f'<rect x="{left}" y="{y - 6}" width="{long:.1f}" height="12" fill="{colour}"/>')
                parts.append(_text(left + long + 6, y + 4, f"{value:.3g} {unit}", "start"))
            else:
                parts.append(_text(left, y + 4, "failed", "start"))
        y += 28
    return "\n".join([_opening(width, y - 8, title), _text(8, 20, title, "start", 14), *parts, "</svg>"])


def _frame(title: str, x_name: str, y_name: str, height: float) -> list[str]:
    return [
        _opening(_WIDTH, height, title),
        _text(_LEFT, 18, title, "start", 14),
        _text(_RIGHT, _BOTTOM + 35, x_name, "end"),
        f'<text transform="translate(13 {_TOP}) rotate(-90)" text-anchor="end" fill="{_INK}">{escape(y_name)}</text>',
    ]


def _opening(width: float, height: float, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>'
    )


def _legend(names: Sequence[str]) -> tuple[list[str], float]:
    """Return the names below the chart, side by side where there is room, and where they end."""
    parts, x, y = [], float(_LEFT - 40), _BOTTOM + 54.0
    for number, name in enumerate(names):
        if number and x + 27 + _LETTER * len(name) > _WIDTH:
            x, y = float(_LEFT - 40), y + 17
        parts.append(f'<line x1="{x:.0f}" y1="{y - 4}" x2="{x + 22:.0f}" y2="{y - 4}" {_stroke(number)}/>')
        parts.append(_text(x + 27, y, name, "start"))
        x += 42 + _LETTER * len(name)
    return parts, y + 8


def _stroke(number: int) -> str:
    dash = DASHES[number % len(DASHES)]
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="2"{dashed}'


def _text(x: float, y: float, text: str, anchor: str, size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{_INK}">{escape(text)}</text>'
    )


def _known(*values: float) -> bool:
    return all(map(math.isfinite, values))


def _log10(value: float) -> float:
    return math.log10(value)


def _decades(values: Sequence[float]) -> list[float]:
    first, last = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return [10.0**power for power in range(first, last + 1)]
