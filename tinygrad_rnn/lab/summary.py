"""What the terminal shows at the end: places, comparisons, speed and the verdict."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from .outcomes import QUESTIONS
from .plan import Plan
from .rows import Row, Rows
from .verdict import Sentence

WIDTH = 100
_SHOWN = 6  # reasons why trials failed


def summary(rows: Rows, plan: Plan, sentences: Sequence[Sentence]) -> str:
    """Return the text.

    Args:
        rows: all that was found.
        plan: of the study.
        sentences: of the verdict.
    """
    labels = [cell.label for cell in plan.settings.cells]
    lines: list[str] = []
    for question in QUESTIONS:
        lines += [
            "",
            f"Test error at {question}: the median of {plan.settings.seeds} seeds, and the place by mean rank",
        ]
        table = [["", *labels]]
        for named in plan.settings.tasks:
            found = [rows.find(table="standing", question=question, task=named.label, cell=label) for label in labels]
            table.append([named.label, *(f"{short(row['value'])} ({row['answer'].split()[1]})" for row in found)])
        lines += columns(table)
        lines += [f"  {_compared(row)}" for row in rows.all(table="comparison", question=question)]
    timed = rows.all(table="speed")
    lines += ["", f"Milliseconds of forward and backward of a batch of {timed[0]['task']}, on one core"]
    engines = list(dict.fromkeys(row["measure"] for row in timed))
    table = [["", *engines]]
    for label in dict.fromkeys(row["cell"] for row in timed):
        times = {row["measure"]: row["value"] for row in timed if row["cell"] == label}
        table.append([label, *("failed" if times[e] is None else f"{1000 * times[e]:.2f}" for e in engines)])
    lines += columns(table)
    failures: dict[str, int] = {}
    for row in rows.all(table="trial", answer="failed"):
        reason = f"{row['cell']} on {row['task']}: {row['note']}"
        failures[reason] = failures.get(reason, 0) + 1
    if failures:
        lines += ["", "Trials that failed"]
        lines += [f"  {number} x {reason}" for reason, number in list(failures.items())[:_SHOWN]]
        lines += [f"  and more, see the report: {len(failures) - _SHOWN}"] if len(failures) > _SHOWN else []
    lines += ["", "Verdict"]
    for number, sentence in enumerate(sentences, start=1):
        lines += textwrap.wrap(
            str(sentence), WIDTH, break_on_hyphens=False, initial_indent=f"{number}. ", subsequent_indent="   "
        )
    return "\n".join(lines)


def columns(table: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table, the first column to the left and the others to the right.

    Example:
        >>> from tinygrad_rnn.lab.summary import columns
        >>> columns([["", "LSTM"], ["adding", "0.1"]])
        ['          LSTM', '  adding   0.1']
    """
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  "
        + "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in table
    ]


def short(value: float | None) -> str:
    """Return a number with three digits that count."""
    return "failed" if value is None or value == float("inf") else f"{value:.3g}"


def _compared(row: Row) -> str:
    bounded = math.isfinite(row["high"] - row["low"])
    interval = f"95 % interval {row['low']:.2g} to {row['high']:.2g}" if bounded else "no 95 % interval"
    return (
        f"{row['task']}, {row['cell']} and {row['against']}: {row['answer']}; shift {row['value']:.2g}, {interval}, "
        f"p {row['p']:.2g}, corrected {row['p_holm']:.2g}"
    )
