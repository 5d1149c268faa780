"""SVG: a figure as one element that refers to nothing outside itself and runs no script."""

from __future__ import annotations

from xml.sax.saxutils import escape

from .. import labels
from .model import (
    ARROW_LENGTH,
    ARROW_WIDTH,
    LINE_WIDTH,
    OUTLINE_WIDTH,
    SUBSCRIPT,
    TEXT_SIZE,
    Arrow,
    Cross,
    Dot,
    Figure,
    Item,
    Line,
    Shape,
    Text,
)
from .strokes import DOT, FILLS, INK, ROUNDING, Command, arrow_corners, cross_strokes, line_commands

_FONTS = "'STIX Two Text', STIXGeneral, 'Latin Modern Roman', 'Times New Roman', Times, 'Liberation Serif', serif"


def svg(figure: Figure, title: str) -> str:
    """Write a figure as SVG.

    Args:
        figure: what to write.
        title: what the picture shows, for those who cannot see it.
    """
    width, height = _n(figure.width), _n(figure.height)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}mm" height="{height}mm" '
        f'viewBox="0 0 {width} {height}" role="img" font-family="{_FONTS}" font-size="{_n(TEXT_SIZE)}" '
        f'fill="none" stroke="{INK}" stroke-width="{_n(LINE_WIDTH)}" stroke-linecap="butt" stroke-linejoin="round">'
    )
    body = [
        f"<title>{escape(labels.clean(title, 200))}</title>",
        f'<rect width="{width}" height="{height}" fill="white" stroke="none"/>',
    ]
    return "\n".join([head, *body, *map(_item, figure.items), "</svg>", ""])


def _item(item: Item) -> str:
    if isinstance(item, Line):
        return f'<path d="{_path(line_commands(item))}"/>'
    if isinstance(item, Dot):
        return f'<circle cx="{_n(item.centre[0])}" cy="{_n(item.centre[1])}" r="{_n(DOT)}" fill="{INK}" stroke="none"/>'
    if isinstance(item, Arrow):
        corners = " ".join([f"{_n(x)},{_n(y)}" for x, y in arrow_corners(item, ARROW_LENGTH, ARROW_WIDTH)])
        return f'<polygon points="{corners}" fill="{INK}" stroke="none"/>'
    if isinstance(item, Cross):
        parts = [f"M{_n(a[0])} {_n(a[1])}L{_n(b[0])} {_n(b[1])}" for a, b in cross_strokes(item)]
        return f'<path d="{"".join(parts)}"/>'
    if isinstance(item, Shape):
        return _shape(item)
    return _text(item)


def _shape(shape: Shape) -> str:
    (x, y), width, height = shape.centre, shape.width, shape.height
    return (
        f'<rect x="{_n(x - width / 2)}" y="{_n(y - height / 2)}" width="{_n(width)}" height="{_n(height)}" '
        f'rx="{_n(ROUNDING[shape.kind] if shape.kind in ROUNDING else height / 2)}" fill="{FILLS[shape.kind]}" '
        f'stroke-width="{_n(OUTLINE_WIDTH)}"/>'
    )


def _text(text: Text) -> str:
    spans, lowered = [], 0.0
    for piece, style in text.runs:
        low = {"sub": 0.22, "sup": -0.35}.get(style.split()[0], 0.0) * TEXT_SIZE
        marks = ' font-style="italic"' if style.endswith("italic") else ""
        if style.startswith("su"):
            marks += f' font-size="{_n(TEXT_SIZE * SUBSCRIPT)}"'
        if low != lowered:
            marks += f' dy="{_n(low - lowered)}"'
            lowered = low
        spans.append(f"<tspan{marks}>{escape(piece)}</tspan>" if marks else escape(piece))
    anchor = "" if text.anchor == "start" else f' text-anchor="{text.anchor}"'
    return f'<text x="{_n(text.at[0])}" y="{_n(text.at[1])}"{anchor} fill="{INK}" stroke="none">{"".join(spans)}</text>'


def _path(commands: list[Command]) -> str:
    return "".join([letter + " ".join([f"{_n(x)} {_n(y)}" for x, y in points]) for letter, points in commands])


def _n(value: float) -> str:
    """Return a number in at most three decimals."""
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
