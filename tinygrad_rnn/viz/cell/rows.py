"""Rows: at which heights the symbols of a drawing may stand."""

from __future__ import annotations

from .rails import Problem

_ABOVE = 1


class Rows:
    """The rows of a drawing, numbered from the results at the top to the inputs at the bottom.

    Attributes:
        rails: of the states, in the order of the problem's rails.
        gates: the row of gates.
        under: the row below it, where lines run together.
        bottom: the row of the inputs.
        rail_of: the row of each symbol that stands on the line of a state.
        open: for each symbol the rows where it may stand.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        top = len([rail for rail in problem.rails if rail.is_top])
        inner = len([kind for kind in problem.kinds if kind in ("circle", "pill", "box")])
        self.gates = top + (3 if inner < 14 else 4) + 2
        self._middle = list(range(top + 2, self.gates))
        self.under = self.gates + 1
        self.rails = [i + 2 if rail.is_top else self.under + 1 + i - top for i, rail in enumerate(problem.rails)]
        self.bottom = self.under + 1 + len(problem.rails) - top
        self.rail_of = {
            symbol: row for rail, row in zip(problem.rails, self.rails, strict=True) for symbol in rail.spine
        }
        self._readers = problem.nets()
        self._leads_out = self._to_results_alone()
        self.open = [self._open_to(i) for i in range(len(problem.kinds))]

    def _open_to(self, i: int) -> list[int]:
        kind = self._problem.kinds[i]
        if i in self.rail_of:
            return [self.rail_of[i]]
        if kind == "input":
            return [self.bottom]
        if kind == "output":
            return [0]
        if kind == "merge":
            return [self._rail_that_ends_in(i) or self.under]
        # What only a result is made of may stand above the rails.
        above = [_ABOVE] if i in self._leads_out else []
        if kind == "gate":
            return [*above, *self._middle, self.gates] if self._is_inner(i) else [self.gates]
        return [*above, *self._middle]

    def _to_results_alone(self) -> set[int]:
        """Return the symbols whose values no state depends on."""
        found: set[int] = set()
        for i in reversed(range(len(self._problem.kinds))):
            readers = self._readers.get(i, [])
            if self._problem.kinds[i] == "output" or (readers and all(reader in found for reader in readers)):
                found.add(i)
        return found

    def _is_inner(self, gate: int) -> bool:
        """Whether a gate reads one value alone, computed by something else than a place where lines run together."""
        read = self._problem.inputs[gate]
        return len(read) == 1 and self._problem.kinds[read[0]] not in ("merge", "input", "state")

    def _rail_that_ends_in(self, merge: int) -> int | None:
        """Return the row of a state at the bottom whose line goes on as the line of several values."""
        for rail, row in zip(self._problem.rails, self.rails, strict=True):
            if rail.is_top or rail.is_whole or rail.state not in self._problem.inputs[merge]:
                continue
            merges = [i for i in self._readers[rail.state] if self._problem.kinds[i] == "merge"]
            if merge == max(merges, key=lambda i: (len(self._readers[i]), -i)):
                return row
        return None
