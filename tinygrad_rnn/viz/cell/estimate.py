"""Estimate: how good a placement is, from lines drawn in the simplest way, without a search for the best one."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

from .rails import Problem
from .rows import Rows

_BEND, _CROSSING, _BLOCKED, _BACKWARDS, _WIDTH, _PAST = 1.5, 14.0, 16.0, 4.0, 2.0, 12.0
_TURNED, _SAME_SIDE, _TOGETHER = 15.0, 6.0, 2.0
# Tiers are for what is too wide; some have room for many gates.
_WIDTHS_OF_TIERS, _MANY_GATES = (4.0, 10.0), 8

Point = tuple[float, float]
Segment = tuple[float, float, float, int]  # from, to, at, net
Heading = tuple[int, int]
_place = itemgetter(2)


class Piece(NamedTuple):
    """One line from symbol to symbol, drawn in a simple way.

    Attributes:
        cost: of its length and bends.
        level: its level segments.
        upright: its upright segments.
        heading: at which sides of the two symbols it begins and ends.
        passed: the places that it runs through.
    """

    cost: float
    level: tuple[Segment, ...]
    upright: tuple[Segment, ...]
    heading: tuple[Heading, Heading]
    passed: tuple[Point, ...]


class Estimate:
    """Adds up length, bends, crossings and what stands in the way of the lines of a placement."""

    def __init__(self, problem: Problem, rows: Rows) -> None:
        self._problem, self._rows = problem, rows
        self._edges = problem.edges()
        gates = [problem.tiers[i] for i, kind in enumerate(problem.kinds) if kind == "gate"] if problem.tiers else []
        most = max([gates.count(tier) for tier in gates], default=0)
        self._width = _WIDTHS_OF_TIERS[most > _MANY_GATES] if gates else _WIDTH
        self._share = {net: 1 / len(readers) for net, readers in problem.nets().items()}
        self._spine = {edge for rail in problem.rails for edge in rail.edges()}
        self._after = dict(self._spine)
        self._on_rail = rows.rail_of.keys()
        # Most lines stay as they are from one placement to the next.
        self._pieces: dict[tuple[int, int, Point, Point], Piece] = {}

    def of(self, column: list[float], row: list[int]) -> float:
        """Return the cost of a placement."""
        places: dict[Point, int] = {place: i for i, place in enumerate(zip(column, row, strict=True))}
        level: list[Segment] = []
        upright: list[Segment] = []
        cost = self._width * max(column)
        sides: dict[tuple[int, Heading], int] = {}
        for a, b in self._edges:
            start, end = (column[a], float(row[a])), (column[b], float(row[b]))
            key = (a, b, start, end)
            piece = self._pieces.get(key)
            if piece is None:
                piece = self._pieces[key] = self._piece(a, b, start, end)
            level += piece.level
            upright += piece.upright
            cost += piece.cost + self._order(a, b, column)
            for side in ((a, piece.heading[0]), (b, piece.heading[1])):
                cost += _SAME_SIDE * (sides.setdefault(side, a) != a)
            for point in piece.passed:
                if places.get(point, a) not in (a, b):
                    cost += _BLOCKED
        return cost + _crossings(level, upright)

    def _order(self, a: int, b: int, column: list[float]) -> float:
        """Return what it costs that a line does not run to the right, or leaves a rail beyond its next symbol."""
        cost = 0.0
        if column[b] < column[a] and self._problem.tier(a) == self._problem.tier(b):
            cost += _BACKWARDS * (column[a] - column[b])
        if column[b] <= column[a] and (a in self._on_rail or self._problem.kinds[a] == "merge"):
            # It leaves to the right, so that it would have to turn back.
            cost += _TURNED
        if (a, b) in self._spine:
            return cost + 4 * _PAST * (column[b] <= column[a])
        if a in self._after:
            cost += _PAST * (column[b] > column[self._after[a]] or column[b] < column[a])
        return cost

    def _piece(self, a: int, b: int, start: Point, end: Point) -> Piece:
        path = self._path(a, b, start, end)
        cost = _BEND * (len(path) - 2)
        # Lines to several readers run together at first.
        share = self._share[a]
        level, upright = [], []
        passed: list[Point] = []
        for (x0, y0), (x1, y1) in pairwise(path):
            cost += share * (abs(x1 - x0) + abs(y1 - y0))
            share = 1.0
            if y0 == y1:
                level.append((min(x0, x1), max(x0, x1), y0, a))
                passed += [(x, y0) for x in _whole_between(x0, x1)]
            else:
                upright.append((min(y0, y1), max(y0, y1), x0, a))
                passed += [(x0, y) for y in _whole_between(y0, y1)]
        heading = _heading(path[0], path[1]), _heading(path[-1], path[-2])
        return Piece(cost, tuple(level), tuple(upright), heading, tuple(passed))

    def _path(self, a: int, b: int, start: Point, end: Point) -> list[Point]:
        """Return the corners of a simple line from one symbol to another."""
        (x0, y0), (x1, y1) = start, end
        if (a, b) in self._spine or x0 == x1 or y0 == y1:
            return [start, end]
        kind, reader = self._problem.kinds[a], self._problem.kinds[b]
        is_gate = self._rows.is_gate(a, y0)
        if self._rows.is_gate(b, y1):
            if kind == "input":
                # Nothing runs along the edge of a drawing.
                return [start, (x0, y0 - 0.5), (x1, y0 - 0.5), end]
            if y0 > y1:
                return [start, (x1, y0), end]
            side = x1 - 0.5 if x0 < x1 else x1 + 0.5
            if is_gate:
                return [start, (x0, y0 - 0.5), (side, y0 - 0.5), (side, y1), end]
            return [start, (side, y0), (side, y1), end]
        if b in self._on_rail and reader != "next":
            between = y1 + (0.5 if y0 > y1 else -0.5)
            return [start, (x0, between), (x1, between), end] if is_gate else [start, (x1, y0), end]
        if is_gate and y1 >= y0:
            side = x1 - 0.5 if x0 < x1 else x1 + 0.5
            return [start, (x0, y0 - 0.5), (side, y0 - 0.5), (side, y1), end]
        if is_gate or reader == "next" or kind == "input":
            return [start, (x0, y1), end]
        if a in self._on_rail or reader == "output":
            return [start, (x1, y0), end]
        # Rather down and then along, as one writes; the way back goes along first.
        return [start, (x0, y1), end] if x0 < x1 else [start, (x1, y0), end]


def _heading(start: Point, end: Point) -> Heading:
    """Return at which side of a symbol a line begins."""
    (x0, y0), (x1, y1) = start, end
    return (x1 > x0) - (x1 < x0), (y1 > y0) - (y1 < y0)


def _whole_between(start: float, end: float) -> range:
    low, high = (start, end) if start < end else (end, start)
    return range(int(-(-low // 1)), int(high // 1) + 1)


def _crossings(level: list[Segment], upright: list[Segment]) -> float:
    count = 0
    upright.sort(key=_place)
    places = [at for _, _, at, _ in upright]
    for x0, x1, y, net in level:
        for y0, y1, _, other in upright[bisect_right(places, x0) : bisect_left(places, x1)]:
            if y0 < y < y1 and net != other:
                count += 1
    level.sort(key=_place)
    together = 0
    for lines in (level, upright):
        for i, (a0, a1, at, net) in enumerate(lines):
            for b0, b1, beside, other in lines[i + 1 :]:
                if beside != at:
                    break
                if net != other and a0 < b1 and b0 < a1:
                    together += 1
    return _CROSSING * count + _TOGETHER * together
