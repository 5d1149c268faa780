"""The verdict: five sentences, each with the numbers of the rows that it rests on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .comparison import BETTER, LITTLE, NEITHER, SAME, UNKNOWN, WORSE
from .memory import MOMENTS
from .outcomes import PARAMETERS, TIME
from .rows import NOTHING, Row, Rows


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
    size = rows.all(table="size", cell=first)[0]
    warned = f", with {checks['note']}" if checks["note"] else ""
    text = f"{first} fails none of the {checks['high']} checks of check_cell and passes {checks['value']}{warned}"
    trials = rows.find(table="trials")
    failed = [row["row"] for row in rows.all(table="trial", answer="failed")]
    text += f", has {size['value']:,} parameters, and {trials['value']} of {trials['high']} trials of the study ended"
    return Sentence(text, (checks["row"], size["row"], trials["row"], *failed[:3]))


def _ranking(rows: Rows, first: str, question: str, opening: str) -> Sentence:
    rank = rows.find(table="ranking", question=question, cell=first)
    found = rows.all(table="comparison", question=question)
    parts = []
    ways: list[tuple[str, str]] = [
        (BETTER, "better than {}"),
        (WORSE, "worse than {}"),
        (SAME, "not different from {}"),
        (UNKNOWN, "not to be told from {} yet"),
        (NEITHER, "as unable to end a trial as {}"),
    ]
    for answer, words in ways:
        matching = [row for row in found if row["answer"].split(",")[0] == answer]
        if matching:
            parts.append(words.format(_listed(matching)))
    text = f"{opening} {first} takes {rank['answer']}: it is {_joined(parts)}"
    idle = [row for row in rows.all(table="standing", question=question) if row["answer"].endswith(NOTHING)]
    cells: dict[str, list[str]] = {}
    for row in idle:
        cells.setdefault(row["cell"], []).append(row["task"])
    if idle:
        text += f"; of these, {_joined([f'{cell} {NOTHING} of {_joined(tasks)}' for cell, tasks in cells.items()])}"
    return Sentence(text, (rank["row"], *(row["row"] for row in (*found, *idle))))


def _listed(matching: Sequence[Row]) -> str:
    """Return the others, each with the tasks: "LSTM on adding and order"."""
    tasks: dict[str, list[str]] = {}
    for row in matching:
        little = f" ({LITTLE})" if row["answer"].endswith(LITTLE) else ""
        tasks.setdefault(row["against"], []).append(row["task"] + little)
    return _joined([f"{other} on {_joined(names)}" for other, names in tasks.items()])


def _speed(rows: Rows, first: str) -> Sentence:
    mine = [row for row in rows.all(table="speed", cell=first) if row["value"] is not None]
    if not mine:
        failed = rows.all(table="speed", cell=first)
        return Sentence(f"No engine could time {first}", tuple(row["row"] for row in failed))
    best = min(mine, key=_value)
    others = [row for row in rows.all(table="speed", measure=best["measure"]) if row["cell"] != first and row["value"]]
    compared = _joined([f"{best['value'] / row['value']:.2f} times that of {row['cell']}" for row in others])
    text = f"Its fastest engine is {best['measure']}, where forward and backward take {1000 * best['value']:.2f} ms"
    return Sentence(f"{text}, {compared}", (best["row"], *(row["row"] for row in others)))


def _memory(rows: Rows, first: str) -> Sentence:
    """Return how far back gradients reach, beside the first of the others."""
    found = rows.all(table="memory")
    cells = list(dict.fromkeys(row["cell"] for row in found))
    if first not in cells:
        return Sentence(
            f"No trial of {first} ended, so its memory was not measured", (rows.find(table="trials")["row"],)
        )
    parts, cited = [], []
    for cell in [first, *[cell for cell in cells if cell != first][:1]]:
        reaches = []
        for task in dict.fromkeys(row["task"] for row in found if row["cell"] == cell):
            before, after = (rows.find(table="memory", task=task, cell=cell, measure=moment) for moment in MOMENTS)
            reaches.append(f"{before['value']:.0f} and {after['value']:.0f} steps on {task}")
            cited += [before["row"], after["row"]]
        parts.append(f"of {cell} {_joined(reaches)}")
    return Sentence(f"The gradient reaches back, before and after training: {'; '.join(parts)}", tuple(cited))


_value: Callable[[Row], Any] = lambda row: row["value"]


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
