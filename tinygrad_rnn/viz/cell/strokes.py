"""Strokes: the curves of lines, signs and arrows, for every kind of file, and their colours."""

from __future__ import annotations

from .model import CORNER, JUMP, Arrow, Cross, Line, Point, Shape

# "M" to a point, "L" straight to one, "C" along a cubic curve of two control points to one, "Z" back to the start.
Command = tuple[str, list[Point]]

INK = "#000000"
# Light enough for black letters, and apart from white in print without colour.
FILLS = {"gate": "#f5dc9b", "box": "#e3e3e3", "pill": "#ffffff", "circle": "#ffffff"}
# Other shapes have half circles at their ends.
ROUNDING = {"gate": 0.7, "box": 0.0}
# The radius of the point where a value is copied.
DOT = 0.55
_KAPPA = 0.5523


def line_commands(line: Line) -> list[Command]:
    """Return the path of a line, its corners rounded, its bridges half circles."""
    points = list(line.points)
    found: list[Command] = [("M", [points[0]])]
    for i in range(1, len(points)):
        before, at = points[i - 1], points[i]
        last = i == len(points) - 1
        radius = 0.0 if last else min(CORNER, _length(before, at) / 2, _length(at, points[i + 1]) / 2)
        end = _towards(at, before, radius)
        for jump in sorted(line.jumps, key=lambda point: _length(before, point)):
            if jump[0] == before[0] == at[0] and min(before[1], at[1]) < jump[1] < max(before[1], at[1]):
                found += _bridge(jump, 1 if at[1] > before[1] else -1)
        found.append(("L", [end]))
        if radius:
            after = _towards(at, points[i + 1], radius)
            found.append(("C", [_towards(end, at, radius * _KAPPA), _towards(after, at, radius * _KAPPA), after]))
    return found


def _bridge(at: Point, way: int) -> list[Command]:
    """Return the half circle to the right by which an upright line runs over a level one."""
    (x, y), r, k = at, JUMP, JUMP * _KAPPA
    return [
        ("L", [(x, y - way * r)]),
        ("C", [(x + k, y - way * r), (x + r, y - way * k), (x + r, y)]),
        ("C", [(x + r, y + way * k), (x + k, y + way * r), (x, y + way * r)]),
    ]


def outline_commands(shape: Shape) -> list[Command]:
    """Return the path around a symbol: a rectangle whose corners are rounded, as far as a circle."""
    (x, y), half, tall = shape.centre, shape.width / 2, shape.height / 2
    r = ROUNDING.get(shape.kind, tall)
    left, top, right, bottom, k = x - half, y - tall, x + half, y + tall, r * (1 - _KAPPA)
    return [
        ("M", [(left + r, top)]),
        ("L", [(right - r, top)]),
        ("C", [(right - k, top), (right, top + k), (right, top + r)]),
        ("L", [(right, bottom - r)]),
        ("C", [(right, bottom - k), (right - k, bottom), (right - r, bottom)]),
        ("L", [(left + r, bottom)]),
        ("C", [(left + k, bottom), (left, bottom - k), (left, bottom - r)]),
        ("L", [(left, top + r)]),
        ("C", [(left, top + k), (left + k, top), (left + r, top)]),
        ("Z", []),
    ]


def arrow_corners(arrow: Arrow, length: float, width: float) -> list[Point]:
    """Return the corners of the head of an arrow."""
    (x, y), (a, b) = arrow.tip, arrow.direction
    back = (x - a * length, y - b * length)
    notch = (x - a * length * 0.78, y - b * length * 0.78)
    half = width / 2
    return [(x, y), (back[0] - b * half, back[1] + a * half), notch, (back[0] + b * half, back[1] - a * half)]


def cross_strokes(cross: Cross) -> list[tuple[Point, Point]]:
    """Return the two strokes of a sign."""
    x, y = cross.centre
    if cross.is_product:
        r = 0.9
        return [((x - r, y - r), (x + r, y + r)), ((x - r, y + r), (x + r, y - r))]
    r = 1.25
    return [((x - r, y), (x + r, y)), ((x, y - r), (x, y + r))]


def _length(a: Point, b: Point) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _towards(start: Point, end: Point, distance: float) -> Point:
    """Return the point at a distance from the start of a level or upright piece."""
    length = _length(start, end)
    part = distance / length if length else 0.0
    return start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part
