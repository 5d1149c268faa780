"""The verdict: five sentences, each with the numbers of the rows that it rests on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .comparison import BETTER, LITTLE, NEITHER, SAME, UNKNOWN, WORSE
from .memory import MOMENTS
from .outcomes import PARAMETERS, TIME
from .rows import FEW, GREATEST, LEAST, NONE, NOTHING, Row, Rows


@dataclass(frozen=True)
class Sentence:
    """A sentence of the verdict.

    Args:
        text: without the rows.
        rows: the numbers of the rows that it rests on.
    """

    text: str
    rows: tuple[int, ...]

    def __str__(self) -> str:
        plural = "s" * (len(self.rows) > 1)
        return f"{self.text} (row{plural} {', '.join(map(str, self.rows))})."


def verdict(rows: Rows, first: str) -> list[Sentence]:
    """Return the five sentences.

    Args:
        rows: all that was found.
        first: the label of the cell that the report is about.
    """
    return [
        _conformance(rows, first),
        _ranking(rows, first, PARAMETERS, "At equal parameters"),
        _ranking(rows, first, TIME, "At equal time of training"),
        _speed(rows, first),
        _memory(rows, first),
    ]


def _conformance(rows: Rows, first: str) -> Sentence:
    checks = rows.find(table="checks", cell=first)
    sizes = rows.all(table="size", cell=first)
    warned = f", with {checks['note']}" if checks["note"] else ""
    parameters = _joined([f"{size['value']:,} on {size['task']}" for size in sizes])
    trials = rows.find(table="trials")
    failed = [row["row"] for row in rows.all(table="trial", answer="failed")]
    text = (
        f"{first} fails none of the {checks['high']} checks of check_cell and passes {checks['value']}{warned}; its "
        f"parameters, with the read-out's, are {parameters}; {trials['value']} of {trials['high']} trials of the study "
        "ended"
    )
    changed = rows.all(table="file", answer="changed")
    if changed:
        files = _joined([Path(row["note"]).name for row in changed])
        text += f"; {files} was changed meanwhile, so that they may be of both versions"
    rest = [row["row"] for row in (*sizes, trials, *changed)]
    return Sentence(text, (checks["row"], *rest, *failed[:3]))


def _ranking(rows: Rows, first: str, question: str, opening: str) -> Sentence:
    rank = rows.find(table="ranking", question=question, cell=first)
    found = rows.all(table="comparison", question=question)
    parts = []
    ways: list[tuple[str, str]] = [
        (BETTER, "better than {}"),
        (f"{BETTER}, {LITTLE}", "better, but " + LITTLE + ", than {}"),
        (WORSE, "worse than {}"),
        (f"{WORSE}, {LITTLE}", "worse, but " + LITTLE + ", than {}"),
        (SAME, "not different, by as much as counts, from {}"),
        (UNKNOWN, "not to be told from {} yet"),
        (NEITHER, "as unable to end a trial as {}"),
    ]
    for answer, words in ways:
        matching = [row for row in found if row["answer"].split(", needs ")[0] == answer]
        if matching:
            parts.append(words.format(_by_cell(rows, matching, "against")))
    text = f"{opening} {first} takes {rank['answer']}: it is {'; '.join(parts)}"
    idle: list[Row] = []
    for words in (NONE, NOTHING, FEW):
        those = [row for row in rows.all(table="standing", question=question) if row["answer"].endswith(f", {words}")]
        if those:
            text += f"; {_by_cell(rows, those, 'cell')} {words}"
            idle += those
    ends = _ends_of_the_grid(rows, idle) if question == PARAMETERS else []
    if ends:
        rates: dict[float, list[Row]] = {}
        for row in ends:
            rates.setdefault(row["learning_rate"], []).append(row)
        early = [f"{_by_cell(rows, chosen, 'cell')} (most seeds chose {rate:g})" for rate, chosen in rates.items()]
        text += f"; the grid of learning rates may end too early for {_joined(early)}"
    return Sentence(text, (rank["row"], *(row["row"] for row in (*found, *idle, *ends))))


def _ends_of_the_grid(rows: Rows, idle: Sequence[Row]) -> list[Row]:
    """Return the least or greatest learning rates that most seeds chose, but for cells that learnt nothing anyway, and
    for those that make no errors."""
    solved = rows.all(table="standing", question=PARAMETERS, value=0.0)
    nothing = {(row["task"], row["cell"]) for row in (*idle, *solved)}
    ends = [row for answer in (LEAST, GREATEST) for row in rows.all(table="rate", question=PARAMETERS, answer=answer)]
    return [row for row in ends if (row["task"], row["cell"]) not in nothing]


def _by_cell(rows: Rows, matching: Sequence[Row], column: str) -> str:
    """Return the cells of a column with their tasks: "LSTM and GRU on every task, RNN on adding"."""
    tasks: dict[str, list[str]] = {}
    for row in matching:
        tasks.setdefault(row[column], []).append(row["task"])
    cells: dict[str, list[str]] = {}
    every = {row["task"] for row in rows.all(table="size")}
    for cell, names in tasks.items():
        where = "every task" if len(every) > 1 and set(names) == every else _joined(names)
        cells.setdefault(where, []).append(cell)
    return ", ".join([f"{_joined(labels)} on {where}" for where, labels in cells.items()])


def _speed(rows: Rows, first: str) -> Sentence:
    mine = [row for row in rows.all(table="speed", cell=first) if row["value"] is not None]
    if not mine:
        failed = rows.all(table="speed", cell=first)
        return Sentence(f"No engine could time {first}", tuple(row["row"] for row in failed))
    best = min(mine, key=_value)
    others = [row for row in rows.all(table="speed", measure=best["measure"]) if row["cell"] != first and row["value"]]
    compared = _joined([f"{best['value'] / row['value']:.2f} times that of {row['cell']}" for row in others])
    text = f"On {best['task']} its fastest engine is {best['measure']}, with {1000 * best['value']:.2f} ms for "
    text += best["note"]
    return Sentence(f"{text}, {compared}", (best["row"], *(row["row"] for row in others)))


def _memory(rows: Rows, first: str) -> Sentence:
    """Return how far back gradients reach on each task, beside those of the others."""
    before, after = (rows.all(table="memory", measure=moment) for moment in MOMENTS)
    parts, cited = [], []
    for mine in (row for row in after if row["cell"] == first):
        (begun,) = (row for row in before if (row["cell"], row["task"]) == (first, mine["task"]))
        others = [row for row in after if row["task"] == mine["task"] and row["cell"] != first]
        beside = [f"{begun['value']:.0f} before training", *(f"{row['cell']}: {row['value']:.0f}" for row in others)]
        whole = "all " if mine["value"] == mine["steps"] > 1 else ""
        step = "step" if mine["value"] == 1 else "steps"
        parts.append(f"{whole}{mine['value']:.0f} {step} on {mine['task']} ({'; '.join(beside)})")
        cited += [mine["row"], begun["row"], *(row["row"] for row in others)]
    if not parts:
        trials = rows.find(table="trials")
        return Sentence(f"No trial of {first} ended, so its memory was not measured", (trials["row"],))
    return Sentence(f"After training its gradient reaches back {_joined(parts)}", tuple(cited))


_value: Callable[[Row], Any] = lambda row: row["value"]


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
