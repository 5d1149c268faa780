"""The drawing model: what a figure is made of, in millimetres from its upper left corner; all files are made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Point = tuple[float, float]
Style = Literal["roman", "italic", "sub", "sub italic", "sup"]
# Pieces of a text, each with its style.
Runs = tuple[tuple[str, Style], ...]

CORNER = 1.3
JUMP = 0.95
LINE_WIDTH = 0.32
OUTLINE_WIDTH = 0.28
ARROW_LENGTH, ARROW_WIDTH = 1.7, 1.3
TEXT_SIZE = 3.0
SUBSCRIPT = 0.72


@dataclass(frozen=True)
class Line:
    """A value on its way: a line of level and upright pieces, its corners rounded.

    Attributes:
        points: its corners.
        net: the symbol whose value it carries.
        jumps: where it runs over another line in a small bridge.
        is_rail: whether it is the line of a state from edge to edge.
    """

    points: tuple[Point, ...]
    net: int
    jumps: tuple[Point, ...] = ()
    is_rail: bool = False


@dataclass(frozen=True)
class Arrow:
    """The head of an arrow at the end of a line."""

    tip: Point
    direction: tuple[int, int]


@dataclass(frozen=True)
class Dot:
    """Where a value is copied."""

    centre: Point


@dataclass(frozen=True)
class Shape:
    """The outline of a symbol.

    Attributes:
        symbol: its number.
        kind: "gate", "box", "pill" or "circle".
    """

    symbol: int
    kind: str
    centre: Point
    width: float
    height: float


@dataclass(frozen=True)
class Cross:
    """The sign of a sum, or turned by 45 degrees that of a product: two strokes, the same in every font."""

    centre: Point
    is_product: bool


@dataclass(frozen=True)
class Text:
    """A line of text.

    Attributes:
        at: the place of its baseline: its start, middle or end, as `anchor` says.
        role: "sign" on a symbol, "name" of a value, "end" of a line.
    """

    at: Point
    runs: Runs
    anchor: Literal["start", "middle", "end"] = "middle"
    role: str = "name"


Item = Line | Arrow | Dot | Shape | Cross | Text


@dataclass(frozen=True)
class Figure:
    """A drawing.

    Attributes:
        items: in the order in which they are painted.
        crossings: how many times a line runs over another one.
    """

    width: float
    height: float
    items: tuple[Item, ...]
    crossings: int

    def of(self, kind: type) -> list[Item]:
        """Return the items of one kind."""
        return [item for item in self.items if isinstance(item, kind)]


def text_width(runs: Runs) -> float:
    """Return about how wide a text is in a serif font."""
    return sum(TEXT_SIZE * (SUBSCRIPT if style.startswith("su") else 1) * sum(map(_em, text)) for text, style in runs)


def _em(letter: str) -> float:
    if letter in "ijltfrI.,:;'|! ()[]1/":
        return 0.34
    if letter in "mwMW@%—":
        return 0.8
    if letter == "−":
        return 0.75
    return 0.68 if letter.isupper() else 0.5 if ord(letter) < 0x2E80 else 1.0
