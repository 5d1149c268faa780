"""Painting: a figure as PDF with its fonts in it, or as PNG, by matplotlib."""

from __future__ import annotations

import io
from typing import Any, Literal

from ..layout import LayoutError
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
    Point,
    Shape,
    Text,
)
from .strokes import DOT, FILLS, INK, arrow_corners, cross_strokes, line_commands, outline_commands

_INCH = 25.4
_POINTS = 72 / _INCH
# Both come with matplotlib, the first with the letters of a printed book, the second with many more.
_FAMILIES = ["STIXGeneral", "DejaVu Sans"]
_DOTS_PER_INCH = 300
_UNKNOWN = "\ufffd"
_SETTINGS: Any = {"pdf.fonttype": 42, "text.usetex": False, "font.family": _FAMILIES, "path.sketch": None}


def paint(figure: Figure, kind: str) -> bytes:
    """Return the contents of a file.

    A letter that none of the fonts has is painted as the sign for an unknown one.

    Args:
        figure: what to paint.
        kind: "pdf", with fonts embedded, or "png", white, at 300 dots an inch.

    Raises:
        LayoutError: if matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as Sheet
    except ImportError:
        raise LayoutError(
            f'matplotlib, which draws .{kind}, was not found: pip install "tinygrad_rnn[viz]" brings it; '
            '.save("cell.svg") and .save("cell.tex") need none'
        ) from None
    with matplotlib.rc_context(_SETTINGS):
        sheet = Sheet(figsize=(figure.width / _INCH, figure.height / _INCH), facecolor="white")
        FigureCanvasAgg(sheet)
        axes = sheet.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, figure.width)
        axes.set_ylim(figure.height, 0)
        brush = _Brush(axes)
        for item in figure.items:
            brush.put(item)
        file = io.BytesIO()
        # Neither says when, or with what, it was made: the same figure is the same file.
        metadata = {"CreationDate": None, "Producer": None, "Creator": None} if kind == "pdf" else {"Software": None}
        sheet.savefig(file, format=kind, dpi=_DOTS_PER_INCH, metadata=metadata)
    return file.getvalue()


class _Brush:
    """Puts items on a sheet, each over those before it."""

    def __init__(self, axes: Any) -> None:
        from matplotlib.font_manager import FontProperties, findfont
        from matplotlib.ft2font import FT2Font
        from matplotlib.textpath import TextToPath

        self._axes = axes
        self._order = 0
        self._measure = TextToPath()
        self._properties = FontProperties
        self._fonts = {
            style: [FT2Font(findfont(FontProperties(family=family, style=style))) for family in _FAMILIES]
            for style in ("normal", "italic")
        }

    def put(self, item: Item) -> None:
        """Paint one item."""
        self._order += 1
        if isinstance(item, Text):
            self._write(item)
        elif isinstance(item, Line):
            self._path(line_commands(item), width=LINE_WIDTH)
        elif isinstance(item, Cross):
            for a, b in cross_strokes(item):
                self._path([("M", [a]), ("L", [b])], width=LINE_WIDTH)
        elif isinstance(item, Arrow):
            first, *others = arrow_corners(item, ARROW_LENGTH, ARROW_WIDTH)
            self._path([("M", [first]), *[("L", [corner]) for corner in others], ("Z", [])], fill=INK)
        elif isinstance(item, Dot):
            dot = Shape(-1, "circle", item.centre, 2 * DOT, 2 * DOT)
            self._path(outline_commands(dot), fill=INK)
        elif isinstance(item, Shape):
            self._path(outline_commands(item), width=OUTLINE_WIDTH, fill=FILLS[item.kind])

    def _path(self, commands: list[tuple[str, list[Point]]], width: float = 0.0, fill: str = "none") -> None:
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        codes = {"M": Path.MOVETO, "L": Path.LINETO, "C": Path.CURVE4, "Z": Path.CLOSEPOLY}
        vertices = [point for _, points in commands for point in points or commands[0][1]]
        marks = [codes[letter] for letter, points in commands for _ in points or commands[0][1]]
        patch = PathPatch(
            Path(vertices, marks),
            facecolor=fill,
            edgecolor=INK if width else "none",
            linewidth=width * _POINTS,
            capstyle="butt",
            joinstyle="round",
            zorder=self._order,
            clip_on=False,
        )
        self._axes.add_artist(patch)

    def _write(self, text: Text) -> None:
        pieces = [(self._known(piece, style), style) for piece, style in text.runs]
        widths = [self._width(piece, style) for piece, style in pieces]
        x, y = text.at
        x -= sum(widths) * {"start": 0.0, "middle": 0.5, "end": 1.0}[text.anchor]
        for (piece, style), width in zip(pieces, widths, strict=True):
            raised = {"sub": 0.22, "sup": -0.35}.get(style.split()[0], 0.0) * TEXT_SIZE
            self._axes.text(
                x,
                y + raised,
                piece,
                fontproperties=self._font(style),
                color=INK,
                va="baseline",
                ha="left",
                zorder=self._order,
                parse_math=False,
            )
            x += width

    def _font(self, style: str) -> Any:
        size = TEXT_SIZE * (SUBSCRIPT if style.startswith("su") else 1) * _POINTS
        return self._properties(family=_FAMILIES, style=_slant(style), size=size)

    def _width(self, piece: str, style: str) -> float:
        width, _, _ = self._measure.get_text_width_height_descent(piece, self._font(style), False)
        return float(width) / _POINTS

    def _known(self, piece: str, style: str) -> str:
        """Return a text with a sign for each letter that no font has."""
        fonts = self._fonts[_slant(style)]
        return "".join([letter if any(f.get_char_index(ord(letter)) for f in fonts) else _UNKNOWN for letter in piece])


def _slant(style: str) -> Literal["normal", "italic"]:
    return "italic" if style.endswith("italic") else "normal"
