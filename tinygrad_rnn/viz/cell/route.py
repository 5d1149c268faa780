"""Routing: a way along the tracks for every line, with few bends, few crossings, and forks where a value is copied."""

from __future__ import annotations

import math
from heapq import heappop, heappush

from .errors import CellLayoutError
from .grid import DOWN, LEFT, RIGHT, STEPS, UP, Grid, Point, opposite
from .rails import Problem

_BEND, _CROSSING, _FORK, _LETTERED, _LEFTWARDS = 4.0, 36.0, 2.0, 8.0, 3.0
_STRAIGHT = {RIGHT: 1 << UP | 1 << DOWN, DOWN: 1 << LEFT | 1 << RIGHT}
_ROUNDS, _HOPE = 3, 1.25

Start = tuple[float, Point, int]
Place = tuple[Point, int]


class Router:
    """Finds ways for the lines of a drawing, one after the other, then again for each while that helps.

    Args:
        problem: which lines there are.
        grid: where the symbols stand; the lines are laid on it.
    """

    def __init__(self, problem: Problem, grid: Grid) -> None:
        self._grid = grid
        self._spine = dict([edge for rail in problem.rails for edge in rail.edges()])
        self._nets = problem.nets()
        self._sides: dict[int, list[tuple[int, int]]] = {net: [] for net in self._nets}
        self.costs: dict[int, float] = {}

    def route(self, limit: float = math.inf) -> float:
        """Lay all lines and return what they cost, or stop where that is far above a limit.

        Raises:
            CellLayoutError: if there is no way for one of them.
        """
        for a, b in self._spine.items():
            self._lay_straight(a, b)
        waiting = sorted(self._nets, key=lambda net: (self._span(net), net))
        for net in waiting:
            self.costs[net] = self._lay_best(net)
            if sum(self.costs.values()) > _HOPE * limit:
                return math.inf
        for _ in range(_ROUNDS):
            better = [self._again(net) for net in waiting]
            if not any(better):
                break
        return sum(self.costs.values())

    def _span(self, net: int) -> int:
        points = [self._grid.centre[i] for i in (net, *self._nets[net])]
        return sum(max(axis) - min(axis) for axis in zip(*points, strict=True))

    def _lay_straight(self, a: int, b: int) -> None:
        """Lay the piece of a rail between two symbols on it, which nothing moves any more."""
        (x, y), (end, _) = self._grid.port(a, RIGHT), self._grid.port(b, LEFT)
        if end <= x:
            raise CellLayoutError("the line of a state does not run from left to right")
        self._grid.lay(a, [(i, y) for i in range(x, end + 1)])
        self._grid.used[a].add(RIGHT)
        self._grid.used[b].add(LEFT)

    def _again(self, net: int) -> bool:
        """Lay one line again, and say whether that was better."""
        before = self.costs[net]
        kept = self._remove(net)
        self.costs[net] = self._lay_best(net)
        if self.costs[net] < before - 1e-9:
            return True
        self._remove(net)
        self._restore(net, kept)
        self.costs[net] = before
        return False

    def _remove(self, net: int) -> tuple[dict[Point, int], list[tuple[int, int]]]:
        kept = {point: here[net] for point, here in self._grid.arms.items() if net in here}
        sides = self._sides[net]
        for i, side in sides:
            self._grid.used[i].discard(side)
        self._grid.take_up(net)
        self._sides[net] = []
        if net in self._spine:
            self._lay_straight(net, self._spine[net])
        return kept, sides

    def _restore(self, net: int, kept: tuple[dict[Point, int], list[tuple[int, int]]]) -> None:
        self._grid.take_up(net)
        for point, arms in kept[0].items():
            self._grid.arms.setdefault(point, {})[net] = arms
        self._sides[net] = kept[1]
        for i, side in kept[1]:
            self._grid.used[i].add(side)

    def _lay_best(self, net: int) -> float:
        """Lay one line to all its readers, nearest first or farthest first, whichever is better."""
        readers = [i for i in self._nets[net] if self._spine.get(net) != i]
        x, y = self._grid.centre[net]
        near = sorted(readers, key=lambda i: (abs(self._grid.centre[i][0] - x) + abs(self._grid.centre[i][1] - y), i))
        first = self._lay(net, near)
        if len(near) < 2:
            return _found(first)
        kept = self._remove(net)
        second = self._lay(net, near[::-1])
        if first is None or (second is not None and second < first - 1e-9):
            return _found(second)
        self._remove(net)
        self._restore(net, kept)
        return first

    def _lay(self, net: int, readers: list[int]) -> float | None:
        total = 0.0
        for reader in readers:
            found = self._way(net, reader)
            if found is None:
                return None
            cost, path = found
            self._mark(net, reader, path)
            self._grid.lay(net, path)
            total += cost
        return total

    def _mark(self, net: int, reader: int, path: list[Point]) -> None:
        """Note at which sides a line touches symbols."""
        ends = [(reader, path[-1], path[-2])]
        if not any(i == net for i, _ in self._sides[net]) and net not in self._spine:
            ends.append((net, path[0], path[1]))
        for i, at, beside in ends:
            side = STEPS.index((beside[0] - at[0], beside[1] - at[1]))
            self._sides[net].append((i, side))
            self._grid.used[i].add(side)

    def _starts(self, net: int) -> list[Start]:
        """Return where a line may begin: at a side of its symbol, or, once it is laid, anywhere along it."""
        tree = {point: here[net] for point, here in self._grid.arms.items() if net in here}
        if not tree:
            sides = [(self._grid.cost_of_side(net, side, True), side) for side in range(4)]
            return [(cost, self._grid.port(net, side), side) for cost, side in sides if cost is not None]
        return [
            (_FORK + (0.0 if arms >> opposite(direction) & 1 else 1.0), point, direction)
            for point, arms in tree.items()
            if point not in self._grid.owner and len(self._grid.arms[point]) == 1 and arms.bit_count() == 2
            for direction in range(4)
            if not arms >> direction & 1
        ]

    def _way(self, net: int, reader: int) -> tuple[float, list[Point]] | None:
        """Return the cheapest way to a reader, and its cost (Hart, Nilsson and Raphael 1968)."""
        sides = {side: self._grid.cost_of_side(reader, side, False) for side in range(4)}
        ends = {
            (self._grid.port(reader, side), opposite(side)): cost for side, cost in sides.items() if cost is not None
        }
        gx, gy = self._grid.centre[reader]
        owner = self._grid.owner
        queue: list[tuple[float, int, float, Place]] = []
        came: dict[Place, Place | None] = {}
        best: dict[Place, float] = {}

        def reach(place: Place, cost: float, before: Place | None) -> None:
            if cost < best.get(place, math.inf):
                best[place], came[place] = cost, before
                (x, y), _ = place
                turns = _BEND if x != gx and y != gy else 0.0
                heappush(queue, (cost + abs(x - gx) + abs(y - gy) + turns, -len(came), cost, place))

        for cost, point, direction in self._starts(net):
            reach((point, direction), cost, None)
        while queue:
            _, _, cost, place = heappop(queue)
            if cost > best[place]:
                continue
            point, direction = place
            if owner.get(point) == reader:
                return cost, _traced(came, place)
            step = STEPS[direction]
            ahead = (point[0] + step[0], point[1] + step[1])
            if (ahead, direction) in ends:
                reach((ahead, direction), cost + 1 + ends[ahead, direction], place)
                continue
            entered = self._entry(net, ahead, direction)
            if entered is not None:
                total = cost + entered + (_LEFTWARDS if direction == LEFT else 1.0)
                reach((ahead, direction), total, place)
                for turn in () if entered >= _CROSSING else (direction ^ 1, direction ^ 3):
                    reach((ahead, turn), total + _BEND, place)
        return None

    def _entry(self, net: int, point: Point, direction: int) -> float | None:
        """Return what it costs to run into a point; None where that is not possible."""
        if point in self._grid.owner or not self._grid.is_inside(point):
            return None
        here = self._grid.arms.get(point)
        if here:
            # Only straight across one other line that is straight itself.
            if net in here or len(here) > 1 or next(iter(here.values())) != _STRAIGHT[direction & 1]:
                return None
            return _CROSSING
        return _LETTERED if point in self._grid.lettered else 0.0


def _traced(came: dict[Place, Place | None], place: Place) -> list[Point]:
    """Return the points of the way that led to a place."""
    path = [place[0]]
    before = came[place]
    while before is not None:
        path.append(before[0])
        before = came[before]
    return path[::-1]


def _found(cost: float | None) -> float:
    if cost is None:
        raise CellLayoutError(
            "there is no way for the lines of this cell that runs through no symbol; viz.draw(cell, x, state) draws it"
        )
    return cost
