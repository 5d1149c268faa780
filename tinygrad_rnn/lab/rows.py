"""All that a study found as numbered rows of one table: what the CSV holds, and what every sentence rests on."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .comparison import Comparison, Standing, margin_of, overall
from .counting import Counts
from .jobs import Result
from .memory import MOMENTS
from .named_tasks import NamedTask
from .outcomes import Cells, number
from .plan import Plan
from .subject import Checked

COLUMNS = (
    "row",
    "table",
    "question",
    "task",
    "cell",
    "against",
    "measure",
    "seed",
    "learning_rate",
    "steps",
    "value",
    "low",
    "high",
    "p",
    "p_holm",
    "answer",
    "note",
)
Row = dict[str, Any]
# Of a cell whose errors are those of a trivial predictor.
NOTHING, FEW, NONE = "learnt nothing", "learnt nothing with most seeds", "ended no trial"
# Of a learning rate that most seeds chose, and beyond which none was tried.
LEAST, GREATEST = "most, and the least of the grid", "most, and the greatest of the grid"


class Rows:
    """Numbered rows, of which each has values in some of the columns.

    Example:
        >>> from tinygrad_rnn.lab.rows import Rows
        >>> rows = Rows()
        >>> rows.add(table="size", cell="LSTM", value=3297)
        1
        >>> rows.find(table="size", cell="LSTM")["value"]
        3297
    """

    def __init__(self) -> None:
        self._rows: list[Row] = []

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, **values: Any) -> int:
        """Add a row and return its number, from 1.

        Args:
            values: by column.
        """
        unknown = values.keys() - set(COLUMNS)
        if unknown:
            raise KeyError(f"no columns {sorted(unknown)}; there are {', '.join(COLUMNS)}")
        self._rows.append({"row": len(self._rows) + 1, **values})
        return len(self._rows)

    def all(self, **wanted: Any) -> list[Row]:
        """Return the rows that have these values."""
        return [row for row in self._rows if all(row.get(name) == value for name, value in wanted.items())]

    def find(self, **wanted: Any) -> Row:
        """Return the one row that has these values.

        Raises:
            KeyError: if there is none, or more than one.
        """
        found = self.all(**wanted)
        if len(found) != 1:
            raise KeyError(f"{len(found)} rows with {wanted}")
        return found[0]

    def csv(self) -> str:
        """Return the text of a CSV file: a line for each row, empty where a row has no value."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for row in self._rows:
            writer.writerow({name: "" if value is None else value for name, value in row.items()})
        return text.getvalue()


def add_checks(rows: Rows, label: str, checked: Checked) -> None:
    """Add what `check_cell` found, a row for each check and one for all."""
    for result in checked.results:
        rows.add(table="check", cell=label, measure=result.check, answer=result.outcome, note=result.reason)
    passed = sum(result.outcome == "pass" for result in checked.results)
    warned = [result.check for result in checked.results if result.outcome == "warn"]
    rows.add(
        table="checks",
        cell=label,
        value=passed,
        high=len(checked.results),
        answer="pass",
        note=f"warnings: {', '.join(warned)}" if warned else "",
    )


def add_sizes(rows: Rows, plan: Plan) -> None:
    """Add the number of parameters of each cell on each task, and the pace that the plan rests on."""
    for named, sizes, paces in zip(plan.settings.tasks, plan.sizes, plan.paces, strict=True):
        for size, pace in zip(sizes, paces, strict=True):
            options = ", ".join(f"{name}={value!r}" for name, value in size.contestant.options.items())
            note = f"{options}; hidden_size {size.beside[0]} would give {size.beside[1]}" if size.beside else options
            common = {"task": named.label, "cell": size.contestant.label}
            rows.add(table="size", **common, measure="parameters", value=size.parameters, note=note)
            rows.add(table="pace", **common, measure="processor seconds a step", value=pace["processor"])


def add_counts(rows: Rows, label: str, counted: Counts) -> None:
    """Add what a step of a cell costs."""
    common = {"table": "cost", "cell": label}
    rows.add(**common, measure="operations", value=sum(counted.operations.values()), note=counted.in_words())
    rows.add(**common, measure="multiplications", value=counted.multiplications, note="in matrix products, a row")


def add_trials(rows: Rows, plan: Plan, results: Mapping[str, Result]) -> None:
    """Add every trial, those that failed with the reason."""
    settings, failed, total = plan.settings, 0, 0
    for job in plan.trials():
        result = results[job.name]
        failed, total = failed + (result["failure"] is not None), total + 1
        task, cell, _, seed = map(int, job.name.split("-")[1:5])
        common = {
            "table": "trial",
            "task": settings.tasks[task].label,
            "cell": settings.cells[cell].label,
            "seed": seed,
            "learning_rate": job.settings["lr"],
            "steps": job.settings["steps"],
        }
        if result["failure"] is not None:
            rows.add(**common, answer="failed", note=result["failure"])
        else:
            validation = number(result["validation"]["error"])
            rows.add(**common, measure="validation error", value=validation, answer="ended")
    rows.add(table="trials", value=total - failed, high=total, answer=f"{failed} failed")


def add_outcomes(rows: Rows, plan: Plan, cells: Cells, question: str) -> None:
    """Add, for each cell, task and seed, the learning rate that validation chose and the test error."""
    for (task, cell, seed), outcome in cells.items():
        rows.add(
            table="outcome",
            question=question,
            task=plan.settings.tasks[task].label,
            cell=plan.settings.cells[cell].label,
            measure="test error",
            seed=seed,
            learning_rate=outcome.rate,
            steps=outcome.steps,
            value=outcome.test,
            answer="failed" if math.isinf(outcome.test) else "",
        )


def add_rates(rows: Rows, plan: Plan, cells: Cells, question: str) -> None:
    """Add how many seeds of each cell and task chose each learning rate, and where the grid ends too early."""
    settings = plan.settings
    grid = sorted(settings.rates)
    for task, named in enumerate(settings.tasks):
        for cell, one in enumerate(settings.cells):
            chosen = [cells[task, cell, seed].rate for seed in range(settings.seeds)]
            for rate in grid:
                number = chosen.count(rate)
                most = len(grid) > 1 and 2 * number > len(chosen)
                end = {grid[0]: LEAST, grid[-1]: GREATEST}.get(rate, "") if most else ""
                rows.add(
                    table="rate",
                    question=question,
                    task=named.label,
                    cell=one.label,
                    measure="seeds that chose it",
                    learning_rate=rate,
                    value=number,
                    high=len(chosen),
                    answer=end,
                )


def add_ranking(rows: Rows, plan: Plan, standings: list[Standing], comparisons: list[Comparison]) -> None:
    """Add the places and the comparisons of one question."""
    settings, question = plan.settings, standings[0].question
    tasks, labels = [named.label for named in settings.tasks], [cell.label for cell in settings.cells]
    for one in standings:
        rows.add(
            table="standing",
            question=question,
            task=tasks[one.task],
            cell=labels[one.cell],
            measure="median test error",
            value=one.median,
            low=one.low,
            high=one.high,
            answer=", ".join(
                filter(None, [f"place {one.place} of {len(labels)}", _idle(settings.tasks[one.task], one)])
            ),
            note=f"mean rank {one.rank:.2f}"
            + (f"; {one.failed} of {len(one.tests)} seeds failed" if one.failed else ""),
        )
    for found in comparisons:
        rows.add(
            table="comparison",
            question=question,
            task=tasks[found.task],
            cell=labels[0],
            against=labels[found.other],
            measure="shift of the test error",
            value=found.shift.estimate,
            low=found.shift.low,
            high=found.shift.high,
            p=found.p,
            p_holm=found.corrected,
            answer=found.in_words(),
            note=f"better in {found.shift.probability:.0%} of pairs; margin {found.margin:.3g}",
        )
    means = overall(standings, len(labels))
    for cell, mean in enumerate(means):
        rows.add(
            table="ranking",
            question=question,
            cell=labels[cell],
            measure="mean place",
            value=mean,
            answer=place_in_words(cell, means, labels),
        )


def _idle(named: NamedTask, one: Standing) -> str:
    """Say of a cell whose median is no better than a trivial predictor, by as much as counts, what that means."""
    if one.failed == len(one.tests):
        return NONE
    try:
        base = named.task.baseline().error
    except NotImplementedError:
        return ""
    least = base - margin_of(named, one.tests)
    if not math.isfinite(base) or one.median < least:
        return ""
    return FEW if min(one.tests) < least else NOTHING


def place_in_words(cell: int, means: Sequence[float], labels: Sequence[str]) -> str:
    """Return the place of a cell by its mean, and who shares it.

    Args:
        cell: its index.
        means: the mean places of all cells.
        labels: their names.

    Example:
        >>> from tinygrad_rnn.lab.rows import place_in_words
        >>> [place_in_words(cell, [1.5, 3.0, 1.5], ["Mine", "LSTM", "GRU"]) for cell in (0, 1)]
        ['place 1 of 3, as does GRU', 'place 3 of 3']
    """
    place = 1 + sum(mean < means[cell] - 1e-9 for mean in means)
    beside = [labels[i] for i, mean in enumerate(means) if i != cell and abs(mean - means[cell]) <= 1e-9]
    shared = f", as {'does' if len(beside) == 1 else 'do'} {' and '.join(beside)}" if beside else ""
    return f"place {place} of {len(means)}{shared}"


def add_memory(rows: Rows, plan: Plan, cells: Cells) -> None:
    """Add how far back gradients reach, over the seeds of each cell and task."""
    for task, named in enumerate(plan.settings.tasks):
        for cell, one in enumerate(plan.settings.cells):
            for moment in MOMENTS:
                found = [
                    outcome.memory[moment]
                    for (of_task, of_cell, _), outcome in cells.items()
                    if (of_task, of_cell) == (task, cell) and outcome.memory is not None
                ]
                reaches = [memory["reach"] for memory in found]
                if reaches:
                    greatest = len(found[0]["horizon"]) - 1
                    rows.add(
                        table="memory",
                        task=named.label,
                        cell=one.label,
                        measure=moment,
                        steps=greatest,
                        value=float(np.median(reaches)),
                        low=min(reaches),
                        high=max(reaches),
                        note="steps back to which the gradient of an output by the input is 1 % of the greatest; "
                        f"no more than {greatest} were there",
                    )


def add_speed(rows: Rows, first: str, task: str, timed: Result) -> None:
    """Add the time of forward and backward of each cell on each engine.

    Args:
        rows: gets them.
        first: the label of the cell that the report is about.
        task: the label of the task that was timed.
        timed: the result of `speed_job`.
    """
    common = {"table": "speed", "task": task}
    if timed["failure"] is not None:
        rows.add(**common, cell=first, measure="every engine", value=None, answer="failed", note=timed["failure"])
        return
    note = f"forward and backward of {timed['sequences']} sequences of {timed['steps']} steps on one core"
    for label, engines in timed["speed"].items():
        for engine, found in engines.items():
            failure = found.get("failure")
            rows.add(
                **common,
                cell=label,
                measure=engine,
                value=found.get("seconds"),
                answer="failed" if failure else "",
                note=failure or note,
            )


__all__ = [
    "COLUMNS",
    "Row",
    "Rows",
    "add_checks",
    "add_counts",
    "add_memory",
    "add_outcomes",
    "add_ranking",
    "add_rates",
    "add_sizes",
    "add_speed",
    "add_trials",
]
