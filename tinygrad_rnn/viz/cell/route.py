"""Routing: a way along the tracks for every line, with few bends, few crossings, and forks where a value is copied."""

from __future__ import annotations

import math

from .errors import CellLayoutError
from .grid import LEFT, RIGHT, STEPS, Grid, Point, opposite
from .rails import Problem
from .ways import Start, Ways

_FORK = 2.0
# What counts as better.
_LEAST = 1e-9
_ROUNDS, _HOPE = 3, 1.25


class Router:
    """Finds ways for the lines of a drawing, one after the other, then again for each while that helps.

    Args:
        problem: which lines there are.
        grid: where the symbols stand; the lines are laid on it.
    """

    def __init__(self, problem: Problem, grid: Grid) -> None:
        self._grid = grid
        self._ways = Ways(grid)
        self._spine = dict([edge for rail in problem.rails for edge in rail.edges()])
        self._nets = problem.nets()
        self._sides: dict[int, list[tuple[int, int]]] = {net: [] for net in self._nets}
        self.costs: dict[int, float] = {}
        # How often a line was laid better, and how often when a line was tried last.
        self._changes, self._tried = 0, dict[int, int]()

    def route(self, limit: float = math.inf) -> float:
        """Lay all lines and return what they cost, or stop where that is far above a limit.

        Raises:
            CellLayoutError: if there is no way for one of them.
        """
        for a, b in self._spine.items():
            self._lay_straight(a, b)
        waiting = sorted(self._nets, key=lambda net: (self._span(net), net))
        for net in waiting:
            self.costs[net] = _found(self._lay_best(net))
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
        path = [(i, y) for i in range(x, end + 1)]
        self._grid.lay(a, path)
        self._ways.changed(path)
        self._grid.used[a].add(RIGHT)
        self._grid.used[b].add(LEFT)

    def _again(self, net: int) -> bool:
        """Lay one line again, and say whether that was better."""
        if self._tried.get(net) == self._changes:
            return False
        before = self.costs[net]
        kept = self._remove(net)
        found = self._lay_best(net, before)
        if found is None:
            self._restore(net, kept)
            self._tried[net] = self._changes
            return False
        self.costs[net] = found
        self._changes += 1
        return True

    def _remove(self, net: int) -> tuple[dict[Point, int], list[tuple[int, int]]]:
        sides = self._sides[net]
        for i, side in sides:
            self._grid.used[i].discard(side)
        kept = self._grid.take_up(net)
        self._ways.changed(kept)
        self._sides[net] = []
        if net in self._spine:
            self._lay_straight(net, self._spine[net])
        return kept, sides

    def _restore(self, net: int, kept: tuple[dict[Point, int], list[tuple[int, int]]]) -> None:
        """Lay a line as it was before, in place of what there is of it."""
        self._remove(net)
        self._grid.put_back(net, kept[0])
        self._ways.changed(kept[0])
        self._sides[net] = kept[1]
        for i, side in kept[1]:
            self._grid.used[i].add(side)

    def _lay_best(self, net: int, most: float = math.inf) -> float | None:
        """Lay one line to all its readers, nearest first or farthest first, whichever is better.

        Returns:
            What it costs; nothing where that is no less than a bound, or there is no way.
        """
        readers = [i for i in self._nets[net] if self._spine.get(net) != i]
        x, y = self._grid.centre[net]
        near = sorted(readers, key=lambda i: (abs(self._grid.centre[i][0] - x) + abs(self._grid.centre[i][1] - y), i))
        first = self._lay(net, near, most)
        if len(near) < 2:
            return first
        kept = self._remove(net)
        second = self._lay(net, near[::-1], most if first is None else first)
        if second is None and first is not None:
            self._restore(net, kept)
            return first
        return second

    def _lay(self, net: int, readers: list[int], most: float) -> float | None:
        total = 0.0
        for reader in readers:
            found = self._way(net, reader, most - total - _LEAST)
            if found is None:
                return None
            cost, path = found
            self._mark(net, reader, path)
            self._grid.lay(net, path)
            self._ways.changed(path)
            total += cost
        return total if total < most else None

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

    def _way(self, net: int, reader: int, most: float) -> tuple[float, list[Point]] | None:
        """Return the cheapest way to a reader, and its cost; nothing if none costs less than a bound."""
        sides = {side: self._grid.cost_of_side(reader, side, False) for side in range(4)}
        ends = {
            (self._grid.port(reader, side), opposite(side)): cost for side, cost in sides.items() if cost is not None
        }
        return self._ways.cheapest(self._starts(net), ends, reader, most)


def _found(cost: float | None) -> float:
    if cost is None:
        raise CellLayoutError(
            "there is no way for the lines of this cell that runs through no symbol; viz.draw(cell, x, state) draws it"
        )
    return cost
