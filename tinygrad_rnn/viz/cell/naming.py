"""Naming: where the names of values can stand beside their lines without touching anything."""

from __future__ import annotations

from collections.abc import Iterator

from . import signs
from .model import SUBSCRIPT, TEXT_SIZE, Arrow, Dot, Item, Line, Point, Runs, Shape, Text, text_width
from .symbols import Symbol

Box = tuple[float, float, float, float]  # left, top, right, bottom

_GAP, _STEP, _CLEARANCE = 0.75, 0.5, 0.25


def named(symbols: list[Symbol], items: list[Item], page: tuple[float, float]) -> list[Text]:
    """Return the names of values, each in the first free place along the line that carries it.

    Args:
        symbols: in the order by which lines and shapes count them.
        items: what is drawn already.
        page: width and height.
    """
    taken = [box for item in items for box in boxes_of(item)]
    found: list[Text] = []
    order = sorted(range(len(symbols)), key=lambda i: symbols[i].kind != "gate")
    for i in order:
        runs = signs.name(symbols[i])
        for at in _places(i, runs, items) if runs else ():
            box = text_box(at, runs)
            if _is_on(page, box) and not any(overlap(box, other, _CLEARANCE) for other in taken):
                found.append(Text(at, runs, "start"))
                taken.append(box)
                break
    return found


def text_box(at: Point, runs: Runs, anchor: str = "start") -> Box:
    """Return the rectangle that a text covers."""
    width = text_width(runs)
    left = at[0] - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
    deep = 0.2 if any(style.startswith("sub") for _, style in runs) else 0.12
    return left, at[1] - 0.72 * TEXT_SIZE, left + width, at[1] + deep * TEXT_SIZE * (1 + SUBSCRIPT) / 2


def boxes_of(item: Item) -> list[Box]:
    """Return rectangles that cover an item."""
    if isinstance(item, Line):
        pairs = zip(item.points, item.points[1:], strict=False)
        straight = [(min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1])) for a, b in pairs]
        return [*straight, *[(x, y - 1, x + 1, y + 1) for x, y in item.jumps]]
    if isinstance(item, Shape):
        (x, y), half, tall = item.centre, item.width / 2, item.height / 2
        return [(x - half, y - tall, x + half, y + tall)]
    if isinstance(item, Text):
        return [text_box(item.at, item.runs, item.anchor)]
    if isinstance(item, (Arrow, Dot)):
        x, y = item.tip if isinstance(item, Arrow) else item.centre
        reach = 0.7
        return [(x - reach, y - reach, x + reach, y + reach)]
    return []


def overlap(a: Box, b: Box, clearance: float = 0.0) -> bool:
    """Whether two rectangles come nearer to each other than a clearance."""
    return a[0] < b[2] + clearance and b[0] < a[2] + clearance and a[1] < b[3] + clearance and b[1] < a[3] + clearance


def _is_on(page: tuple[float, float], box: Box) -> bool:
    return box[0] > 0 and box[1] > 0 and box[2] < page[0] and box[3] < page[1]


def _places(net: int, runs: Runs, items: list[Item]) -> Iterator[Point]:
    """Yield where the name of a value could stand: beside its line, the nearer to its symbol the better."""
    width, tall = text_width(runs), 0.62 * TEXT_SIZE
    for line in items:
        if not isinstance(line, Line) or line.net != net:
            continue
        for (x0, y0), (x1, y1) in zip(line.points, line.points[1:], strict=False):
            length = abs(x1 - x0) + abs(y1 - y0)
            for k in range(int(length / _STEP) + 1):
                part = min(1.0, (0.3 + k * _STEP) / length) if length else 0.0
                x, y = x0 + (x1 - x0) * part, y0 + (y1 - y0) * part
                if x0 == x1:
                    base = y if y1 < y0 else y + tall
                    yield from [(round(x + _GAP, 3), round(base, 3)), (round(x - _GAP - width, 3), round(base, 3))]
                else:
                    left = x if x1 > x0 else x - width
                    yield from [(round(left, 3), round(y - _GAP, 3)), (round(left, 3), round(y + _GAP + tall, 3))]
