"""Ways: the cheapest way for a line over the points of a grid, which are numbered so that the search is quick."""

from __future__ import annotations

import math
from collections.abc import Iterable

from .grid import DOWN, LEFT, RIGHT, UP, Grid, Point

_BEND, _CROSSING, _LETTERED, _LEFTWARDS = 4.0, 36.0, 8.0, 3.0
_ACROSS = (1 << UP | 1 << DOWN, 1 << LEFT | 1 << RIGHT)

# What it costs to begin at a point in a direction.
Start = tuple[float, Point, int]


class Ways:
    """Finds ways over a grid on which lines are laid and taken up.

    Args:
        grid: what stands in the way; after each change of its lines call `changed`.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._tall = grid.height + 1
        self._steps = (self._tall, 1, -self._tall, -1)
        # What it costs to run into a point, along a row and along a column.
        self._still = [math.inf] * ((grid.width + 1) * self._tall)
        for x in range(1, grid.width):
            for y in range(1, grid.height):
                if (x, y) not in grid.owner:
                    self._still[x * self._tall + y] = _LETTERED if (x, y) in grid.lettered else 0.0
        self._entries = self._still[:], self._still[:]
        self._leasts: dict[int, dict[int, int]] = {}

    def changed(self, points: Iterable[Point]) -> None:
        """Take note of the lines that run at some points now: only straight across one straight line one may run."""
        for point in points:
            number = point[0] * self._tall + point[1]
            here = self._grid.arms.get(point)
            for entries, across in zip(self._entries, _ACROSS, strict=True):
                if not here or self._still[number] == math.inf:
                    entries[number] = self._still[number]
                else:
                    is_free = len(here) == 1 and next(iter(here.values())) == across
                    entries[number] = _CROSSING if is_free else math.inf

    def cheapest(
        self, starts: list[Start], ends: dict[tuple[Point, int], float], reader: int, most: float
    ) -> tuple[float, list[Point]] | None:
        """Return the cheapest way and its cost; nothing if none costs less than a bound.

        Args:
            starts: what it costs to begin at a point in a direction.
            ends: what it costs to end at a point from a direction.
            reader: the symbol at which it ends.
            most: the bound.

        Source: Hart, Nilsson and Raphael 1968, *A formal basis for the heuristic determination of minimum cost paths*.
        """
        tall, steps = self._tall, self._steps
        # A place is the number of a point, times four, and the direction in which the line goes on from there.
        goals = {(x * tall + y) * 4 + direction: cost for ((x, y), direction), cost in ends.items()}
        leasts = self._leasts.setdefault(reader, {})
        # A line does not run across itself.
        own = {x * tall + y for _, (x, y), _ in starts}
        kept = [(number, self._entries[0][number], self._entries[1][number]) for number in own]
        for number in own:
            self._entries[0][number] = self._entries[1][number] = math.inf
        costs: dict[int, float] = {}
        came: dict[int, int] = {}
        # Places by the least that a way over them can cost. That is a whole number, and never falls along a way.
        waiting: dict[int, list[tuple[int, float]]] = {}

        def reach(place: int, cost: float, before: int) -> None:
            if cost < costs.get(place, math.inf):
                costs[place], came[place] = cost, before
                least = leasts.get(place)
                if least is None:
                    least = leasts[place] = 0 if place in goals else self._least(place, reader)
                waiting.setdefault(int(cost) + least, []).append((place, cost))

        for cost, (x, y), direction in starts:
            reach((x * tall + y) * 4 + direction, cost, -1)
        found, hope = None, min(waiting, default=0)
        while waiting:
            while hope not in waiting:
                hope += 1
            if hope >= most:
                break
            places = waiting[hope]
            # The last one first: it is the furthest on its way.
            place, cost = places.pop()
            if not places:
                del waiting[hope]
            if cost > costs[place]:
                continue
            if place in goals:
                found = cost, self._traced(came, place)
                break
            direction = place & 3
            number = (place >> 2) + steps[direction]
            ahead = number * 4 + direction
            if ahead in goals:
                reach(ahead, cost + 1 + goals[ahead], place)
                continue
            entered = self._entries[direction & 1][number]
            if entered == math.inf:
                continue
            total = cost + entered + (_LEFTWARDS if direction == LEFT else 1.0)
            reach(ahead, total, place)
            if entered < _CROSSING:
                reach(ahead ^ 1, total + _BEND, place)
                reach(ahead ^ 3, total + _BEND, place)
        for number, level, upright in kept:
            self._entries[0][number], self._entries[1][number] = level, upright
        return found

    def _least(self, place: int, reader: int) -> int:
        """Return the least that a way from a place to a symbol can cost, by its length and bends alone."""
        x, y = divmod(place >> 2, self._tall)
        a, b = self._grid.centre[reader][0] - x, self._grid.centre[reader][1] - y
        along, beside = ((a, b), (b, a), (-a, b), (-b, a))[place & 3]
        bends = (1 if beside else 0) if along > 0 else 2 if beside else 3
        # The last step costs the same from all sides.
        extent = self._grid.reach(reader)
        across = a - extent if a >= 0 else max(0, _LEFTWARDS * (-a - extent) - (_LEFTWARDS - 1))
        return max(0, int(across + abs(b) + _BEND * bends))

    def _traced(self, came: dict[int, int], place: int) -> list[Point]:
        """Return the points of the way that led to a place."""
        path = []
        while place >= 0:
            path.append(divmod(place >> 2, self._tall))
            place = came[place]
        return path[::-1]
