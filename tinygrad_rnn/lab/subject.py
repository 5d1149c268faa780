"""The conformance of a cell: every check of `check_cell`, and a refusal that names the check that fails."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from .. import testing
from ..core.errors import CellCheckError, CellError
from ..nn import Cell
from ..testing.report import Result
from ..train.chance import random_numbers_of
from .contestants import Contestant

# Small sizes find as much as large ones; the first one that the class takes is used.
FEATURES, _HIDDEN = 3, (5, 6, 8, 9, 16)


@dataclass(frozen=True)
class Checked:
    """What the checks found.

    Args:
        results: one for each check; none of them failed.
    """

    results: tuple[Result, ...]

    def in_words(self) -> str:
        """Return how many passed, and which did not."""
        told = [f"{sum(result.outcome == 'pass' for result in self.results)} of {len(self.results)} checks passed"]
        for outcome, word in (("warn", "warned"), ("skip", "skipped")):
            names = [result.check for result in self.results if result.outcome == outcome]
            told += [f"{word}: {', '.join(names)}"] if names else []
        return ", ".join([*told, "none failed"])


def small(contestant: Contestant) -> Cell:
    """Return a small cell of that class, the same at every call.

    Args:
        contestant: its options are kept but for `hidden_size`, which stays only where the class refuses all small ones.
    """
    with random_numbers_of(0):
        for size in _HIDDEN if "hidden_size" in contestant.options else ():
            with suppress(CellError):
                return contestant.build(FEATURES, hidden_size=size)
        return contestant.build(FEATURES)


def checked(contestant: Contestant) -> Checked:
    """Return what `check_cell` finds of a cell, made small.

    Args:
        contestant: the cell.

    Raises:
        CellCheckError: if a check fails; the message names it.
        CellError: if the cell cannot be made.

    Example:
        >>> from tinygrad_rnn.lab.contestants import contestant
        >>> from tinygrad_rnn.lab.subject import checked
        >>> len(checked(contestant("gru")).results)
        20
    """
    checks = testing.cell_checks(small(contestant), input_size=FEATURES)
    results = tuple(check.result() for check in checks)
    failed = [result for result in results if result.outcome == "fail"]
    if failed:
        first, others = failed[0], [result.check for result in failed[1:]]
        more = f" ({', '.join(others)} fail too)" if others else ""
        hint = f"; hint: {first.hint}" if first.hint else ""
        raise CellCheckError(
            f"{contestant.label} is refused: it fails the check {first.check}: {first.reason}{hint}{more}; "
            f"testing.check_cell shows the whole table"
        )
    return Checked(results)
