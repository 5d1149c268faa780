"""The learning curve as an SVG picture, written by hand: it needs no plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 720, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 696, 40, 364
_COLOURS = ("#7a8794", "#c2410c")


def draw_curve(title: str, lines: Mapping[str, Points], x_name: str, y_name: str) -> str:
    """Return an SVG with one line for each series.

    Args:
        title: stands above the picture.
        lines: name to points (x, y) in the order of x; those that are not finite are left out. Two at most.
        x_name: stands below the x axis.
        y_name: stands beside the y axis.

    Returns:
        The text of an SVG file.

    Example:
        >>> from tinygrad_rnn.train.curve import draw_curve
        >>> draw_curve("loss", {"training": [(0, 2.0), (10, 1.0)]}, "step", "nats").startswith("<svg ")
        True
    """
    finite = {
        name: [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)] for name, points in lines.items()
    }
    xs = [x for points in finite.values() for x, _ in points] or [0.0, 1.0]
    ys = [y for points in finite.values() for _, y in points] or [0.0, 1.0]
    x_ticks, y_ticks = ticks(min(0.0, *xs), max(xs)), ticks(min(ys), max(ys))
    x_first, x_last, y_first, y_last = x_ticks[0], max(x_ticks[-1], *xs), y_ticks[0], max(y_ticks[-1], *ys)

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = (x - x_first) / (x_last - x_first), (y - y_first) / (y_last - y_first)
        return _LEFT + across * (_RIGHT - _LEFT), _BOTTOM - up * (_BOTTOM - _TOP)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif"',
        ' font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="22" font-size="15">{escape(title)}</text>',
        f'<text x="{_RIGHT}" y="{_HEIGHT - 12}" text-anchor="end">{escape(x_name)}</text>',
        f'<text transform="translate(16 {_TOP}) rotate(-90)" text-anchor="end">{escape(y_name)}</text>',
    ]
    for tick in y_ticks:
        _, y = place(x_first, tick)
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_RIGHT}" y2="{y:.1f}" stroke="#e3e6e8"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in x_ticks:
        x, _ = place(tick, y_first)
        parts.append(f'<text x="{x:.1f}" y="{_BOTTOM + 20}" text-anchor="middle">{tick:,g}</text>')
    for number, (name, points) in enumerate(finite.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        places = [place(x, y) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.extend(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in places)
        last = f" {points[-1][1]:.3f}" if points else ""
        y_label = _TOP + 14 + 18 * number
        parts.append(f'<text x="{_RIGHT}" y="{y_label}" text-anchor="end" fill="{colour}">{escape(name)}{last}</text>')
    return "\n".join([*parts, "</svg>\n"])


def ticks(low: float, high: float) -> list[float]:
    """Return two to eight round numbers, from one at or below `low` to one above the middle of the range.

    Example:
        >>> from tinygrad_rnn.train.curve import ticks
        >>> ticks(0, 100)
        [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    """
    scale = max(abs(low), abs(high), 1e-3)
    rough = (high - low if high - low > 1e-9 * scale else scale) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= rough)
    first = math.floor(low / step)
    last = max(math.floor(high / step + 1e-9), first + 1)
    return [round(number * step, 12) for number in range(first, last + 1)]
