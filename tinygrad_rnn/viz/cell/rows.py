"""Rows: at which heights the symbols of a drawing may stand."""

from __future__ import annotations

from .rails import Problem
from .tiers import is_inner

_ABOVE = 1
# So many symbols between the states and the gates ask for a row more.
_CROWD = 14


class Rows:
    """The rows of a drawing, numbered from the results at the top to the inputs at the bottom.

    Of each tier there are, from its top to its bottom, the states above its gates, the rows between, its gates, a row
    where lines run together, and the other states.

    Attributes:
        rails: of the states, in the order of the problem's rails.
        gates: the row of gates of each tier, counted from the bottom.
        bottom: the row of the inputs.
        rail_of: the row of each symbol that stands on the line of a state.
        open: for each symbol the rows where it may stand.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        count = 1 + max(problem.tiers, default=0)
        self.gates, self._middle = [0] * count, [range(0)] * count
        self.rails: list[int] = []
        row = _ABOVE + 1
        for tier in reversed(range(count)):
            rails = [rail for rail in problem.rails if problem.tier(rail.state) == tier]
            top = len([rail for rail in rails if rail.is_top])
            self.rails += range(row, row + top)
            self.gates[tier] = row + top + (3 if self._count(tier) < _CROWD else 4)
            self._middle[tier] = range(row + top, self.gates[tier])
            row = self.gates[tier] + 2
            self.rails += range(row, row + len(rails) - top)
            row += len(rails) - top
        self.bottom = row
        self.rail_of = {
            symbol: row for rail, row in zip(problem.rails, self.rails, strict=True) for symbol in rail.spine
        }
        self._readers = problem.nets()
        self._leads_out = self._to_results_alone()
        self.open = [self._open_to(i) for i in range(len(problem.kinds))]

    def is_gate(self, i: int, row: float) -> bool:
        """Whether a symbol in a row is one of the gates that stand side by side there."""
        return self._problem.kinds[i] == "gate" and row == self.gates[self._problem.tier(i)]

    def _count(self, tier: int) -> int:
        kinds = enumerate(self._problem.kinds)
        return len([i for i, kind in kinds if kind in ("circle", "pill", "box") and self._problem.tier(i) == tier])

    def _open_to(self, i: int) -> list[int]:
        kind, tier = self._problem.kinds[i], self._problem.tier(i)
        if i in self.rail_of:
            return [self.rail_of[i]]
        if kind == "input":
            return [self.bottom]
        if kind == "output":
            return [0]
        if kind == "merge":
            return [self._rail_that_ends_in(i) or self.gates[tier] + 1]
        # What only a result is made of may stand above the rails.
        above = [_ABOVE] if i in self._leads_out else []
        if kind == "gate":
            return [*above, *self._middle[tier], self.gates[tier]] if is_inner(self._problem, i) else [self.gates[tier]]
        return [*above, *self._middle[tier]]

    def _to_results_alone(self) -> set[int]:
        """Return the symbols whose values no state depends on."""
        found: set[int] = set()
        for i in reversed(range(len(self._problem.kinds))):
            readers = self._readers.get(i, [])
            if self._problem.kinds[i] == "output" or (readers and all(reader in found for reader in readers)):
                found.add(i)
        return found

    def _rail_that_ends_in(self, merge: int) -> int | None:
        """Return the row of a state at the bottom whose line goes on as the line of several values."""
        for rail, row in zip(self._problem.rails, self.rails, strict=True):
            if rail.is_top or rail.is_whole or rail.state not in self._problem.inputs[merge]:
                continue
            merges = [i for i in self._readers[rail.state] if self._problem.kinds[i] == "merge"]
            if merge == max(merges, key=lambda i: (len(self._readers[i]), -i)):
                return row
        return None
