"""Placement: a column and a row for every symbol, found by trying many and keeping what is short and uncrossed."""

from __future__ import annotations

import math
import random
from typing import NamedTuple

from .estimate import Estimate
from .rails import Problem
from .rows import Rows

_TRIES = 200


class Placement(NamedTuple):
    """Where symbols stand.

    Attributes:
        rows: what the numbers of the rows mean.
        column: of each symbol; the ends of the rails stand outside of all others.
        row: of each symbol.
        cost: an estimate.
    """

    rows: Rows
    column: tuple[float, ...]
    row: tuple[int, ...]
    cost: float


class Placer:
    """Moves symbols about in the rows that are open to them.

    Args:
        problem: what is to be laid out.
        seed: another one finds another placement.
    """

    def __init__(self, problem: Problem, seed: int) -> None:
        self.problem = problem
        self.rows = Rows(problem)
        self._random = random.Random(seed)
        self._estimate = Estimate(problem, self.rows)
        self._open = self.rows.open
        self._free = [i for i, kind in enumerate(problem.kinds) if kind not in ("state", "next")]
        self._near: list[list[int]] = [[] for _ in problem.kinds]
        for a, b in problem.edges():
            self._near[a].append(b)
            self._near[b].append(a)
        self.column = [0.0] * len(problem.kinds)
        self.row = [rows[len(rows) // 2] for rows in self._open]

    def place(self, moves: int) -> Placement:
        """Search for the given number of moves per symbol and return the best placement that was met."""
        self._start()
        cost = best = self._cost()
        kept = (self.column[:], self.row[:])
        count = moves * len(self._free)
        for step in range(count):
            warmth = 8.0 * (0.02 ** (step / count))
            before = (self.column[:], self.row[:])
            self._move()
            if self._is_possible():
                self._tidy()
                found = self._cost()
                if found <= cost or self._random.random() < math.exp((cost - found) / warmth):
                    cost = found
                    if cost < best - 1e-9:
                        best, kept = cost, (self.column[:], self.row[:])
                    continue
            self.column, self.row = before
        return Placement(self.rows, tuple(kept[0]), tuple(kept[1]), best)

    def _start(self) -> None:
        """Put each symbol right of what it reads in its tier."""
        taken: set[tuple[float, int]] = set()
        for i in range(len(self.column)):
            tier = self.problem.tier(i)
            beside = [self.column[j] for j in self.problem.inputs[i] if self.problem.tier(j) == tier]
            at = 1 + max(beside, default=0.0)
            while (at, self.row[i]) in taken:
                at += 1
            self.column[i] = at
            taken.add((at, self.row[i]))
        self._tidy()

    def _tidy(self) -> None:
        """Number the columns without gaps, and put the ends of the rails outside."""
        used = sorted({self.column[i] for i in self._free})
        number = {column: float(k) for k, column in enumerate(used)}
        for i in self._free:
            self.column[i] = number[self.column[i]]
        for rail in self.problem.rails:
            self.column[rail.state], self.column[rail.after] = -1.0, float(len(used))

    def changed(self, placement: Placement, worse: float) -> Placement:
        """Return a placement that differs from another one by a change or two, and looks little worse if possible."""
        for _ in range(_TRIES):
            self.column, self.row = [*placement.column], [*placement.row]
            for _ in range(self._random.choice((1, 1, 2, 3))):
                self._move()
            if self._is_possible():
                self._tidy()
                cost = self._cost()
                if cost < placement.cost + worse and (*self.column, *self.row) != (*placement.column, *placement.row):
                    return Placement(self.rows, tuple(self.column), tuple(self.row), cost)
        return placement

    def _cost(self) -> float:
        return self._estimate.of(self.column, self.row)

    def _is_possible(self) -> bool:
        """Whether every symbol has a place of its own, in a row that is open to it."""
        free = self._free
        return len({(self.column[i], self.row[i]) for i in free}) == len(free) and all(
            self.row[i] in self._open[i] for i in free
        )

    def _move(self) -> None:
        """Make one change."""
        i, kind = self._random.choice(self._free), self._random.random()
        if kind < 0.2:
            j = self._random.choice(self._free)
            self.column[i], self.column[j] = self.column[j], self.column[i]
            if self.row[i] in self._open[j] and self.row[j] in self._open[i]:
                self.row[i], self.row[j] = self.row[j], self.row[i]
            return
        if kind < 0.4:
            # Into a column of its own, beside another symbol.
            self.column[i] = self.column[self._random.choice(self._free)] + self._random.choice((-0.5, 0.5))
        elif kind < 0.5:
            # With all that stands right of it.
            at, shift = self.column[i], self._random.choice((-1.0, 1.0))
            for j in self._free:
                self.column[j] += shift * (self.column[j] >= at)
        elif kind < 0.8 and self._near[i]:
            beside = self.column[self._random.choice(self._near[i])]
            self.column[i] = beside + self._random.choice((-1.0, 0.0, 0.0, 1.0))
        else:
            self.column[i] += self._random.choice((-2.0, -1.0, 1.0, 2.0))
        if self._random.random() < 0.5:
            self.row[i] = self._random.choice(self._open[i])
