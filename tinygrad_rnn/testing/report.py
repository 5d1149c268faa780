"""What a check of a cell finds, and the table of all findings."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

WIDTH = 120
OUTCOMES = {"pass": "passed", "warn": "with a warning", "fail": "failed", "skip": "skipped"}


@dataclass(frozen=True)
class Result:
    """The outcome of one check.

    Attributes:
        check: its name.
        outcome: "pass", "warn", "fail" or "skip".
        reason: what was found.
        hint: what to write instead; empty where nothing is wrong.
    """

    check: str
    outcome: str
    reason: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.check}: {self.reason}" + (f"\nhint: {self.hint}" if self.hint else "")


class Report:
    """The results of all checks of a cell; printed, it is a table.

    Attributes:
        cell: the name of the cell's class.
        results: a `Result` for each check.

    Example:
        >>> from tinygrad_rnn.testing.report import Report, Result
        >>> Report("MyCell", [Result("rows", "fail", "row 0 depends on row 1", "reduce over the last axis")])
        MyCell: 1 failed
        check  result  reason
        -----  ------  ------
        rows   fail    row 0 depends on row 1
                       hint: reduce over the last axis
    """

    def __init__(self, cell: str, results: list[Result]) -> None:
        self.cell = cell
        self.results = tuple(results)

    @property
    def failures(self) -> tuple[Result, ...]:
        """The checks that failed."""
        return tuple([result for result in self.results if result.outcome == "fail"])

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, check: str) -> Result:
        return {result.check: result for result in self.results}[check]

    def __str__(self) -> str:
        counts = Counter([result.outcome for result in self.results])
        summary = ", ".join([f"{counts[key]} {words}" for key, words in OUTCOMES.items() if counts[key]])
        first = max([len("check"), *[len(result.check) for result in self.results]])
        lines = [f"{self.cell}: {summary}"]
        for check, outcome, reason in [("check", "result", "reason"), ("-" * first, "-" * 6, "-" * 6)]:
            lines.append(f"{check:{first}}  {outcome:6}  {reason}")
        for result in self.results:
            start, indent = f"{result.check:{first}}  {result.outcome:6}  ", " " * (first + 10)
            lines += textwrap.wrap(result.reason, WIDTH, initial_indent=start, subsequent_indent=indent)
            if result.hint:
                lines += textwrap.wrap(f"hint: {result.hint}", WIDTH, initial_indent=indent, subsequent_indent=indent)
        return "\n".join(lines)

    __repr__ = __str__


class Finding(Exception):
    """How a check ends that does not simply pass."""

    def __init__(self, outcome: str, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.outcome, self.reason, self.hint = outcome, reason, hint


def fail(reason: str, hint: str = "") -> NoReturn:
    """End a check with a failure; without a hint, the check's own is shown."""
    raise Finding("fail", reason, hint)


def warn(reason: str, hint: str = "") -> NoReturn:
    """End a check with a warning."""
    raise Finding("warn", reason, hint)


def skip(reason: str) -> NoReturn:
    """End a check that has nothing to look at."""
    raise Finding("skip", reason)
