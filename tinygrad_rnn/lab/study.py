"""run: from a cell to its report."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

from ..core.errors import CellError, ConfigError
from ..data.tasks import Task
from ..nn import Cell
from . import plan as planning
from .comparison import comparisons, standings
from .contestants import contestant, distinct, rival
from .counting import counts
from .folder import Folder, as_bytes, claimed, files_that_differ, fingerprint
from .jobs import Job, Result
from .named_tasks import named_task
from .outcomes import QUESTIONS, at_equal_parameters, at_equal_time, beginnings
from .plan import BATCH_SIZE, LEARNING_RATES, Plan, Settings
from .processes import WORKING
from .report import report_page
from .rows import (
    Rows,
    add_checks,
    add_counts,
    add_memory,
    add_outcomes,
    add_ranking,
    add_rates,
    add_sizes,
    add_speed,
    add_trials,
)
from .speed import apart, speed_job
from .statistics import least_seeds
from .subject import Checked, checked
from .summary import summary
from .trials import Say, carry_out
from .verdict import Sentence, verdict

_SEEDS = 5
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Report:
    """What a study found; printed, it is the summary.

    Args:
        folder: that holds report.html, report.csv and report.json.
        rows: all that was found.
        verdict: the five sentences.
        text: the summary.

    Example:
        >>> from tinygrad_rnn import lab
        >>> report = lab.run("my_cell.py:MyCell", budget="10m")  # doctest: +SKIP
        >>> report.folder  # doctest: +SKIP
        PosixPath('lab/1')
    """

    folder: Path
    rows: Rows
    verdict: tuple[Sentence, ...]
    text: str

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


def run(
    cell: str | type[Cell],
    *,
    init: Mapping[str, Any] | None = None,
    against: Sequence[str | type[Cell]] = ("lstm", "gru"),
    tasks: Sequence[str | Task | type[Task]] = ("adding", "order", "text"),
    budget: float | str = "10m",
    seeds: int | None = None,
    jobs: int | None = None,
    out: str | os.PathLike[str] | None = None,
    steps: int | None = None,
    learning_rates: Sequence[float] = LEARNING_RATES,
    say: Say = print,
) -> Report:
    """Find out everything about a cell: check it, train it beside others on tasks, rank them, and write a report.

    Cells and tasks that live in files are trained in processes of their own, side by side; a class that no file holds,
    such as one of a notebook, is trained in this process. A study that was stopped goes on if it is called again with
    its folder.

    Args:
        cell: "my_cell.py:MyCell" or a class derived from `nn.Cell`.
        init: its arguments beside the number of input features; `hidden_size` is 32 where it is missing.
        against: cells to compare with: names as "lstm", "FILE.py:CLASS", both with arguments or without, as
            "rnn(nonlinearity=relu)"; or classes. They get the `hidden_size` with which they have as many parameters.
        tasks: what is learnt: names such as "adding" and "Adding(length=20)", "FILE.py:CLASS", or tasks.
        budget: seconds that all of it may take, or "90s", "10m", "1h".
        seeds: trials of each cell on each task with each learning rate, 2 or more; None for 5, or for as many as it
            takes to tell a difference among all comparisons.
        jobs: processes side by side; None for as many as there are cores.
        out: folder of the report; None for the next free one, lab/1, lab/2, ….
        steps: of each trial, whatever the budget; None for as many as fit it.
        learning_rates: that are tried, the same for all cells.
        say: prints a line.

    Returns:
        The report, which stands in the folder too.

    Raises:
        ConfigError: if an argument is out of its range, or the budget is too short.
        CellError, DataError: if a class is no cell or no task, its file fails, or the cell can be trained on no task.
        CellCheckError: if a cell of the user's fails a check of `testing.check_cell`, which the message names.

    Example:
        >>> from tinygrad_rnn import lab
        >>> report = lab.run("my_cell.py:MyCell", budget="10m")  # doctest: +SKIP
        >>> print(report.verdict[1])  # doctest: +SKIP
        At equal parameters MyCell takes place 1 of 3: it is better than LSTM on adding (rows 412, 402).
    """
    if WORKING in os.environ:
        raise ConfigError('lab.run() while a file is imported; write it under if __name__ == "__main__":')
    begun = time.monotonic()
    settings = _settings(cell, init, against, tasks, budget, seeds, jobs, steps, learning_rates)
    asked = fingerprint(settings)
    with claimed(out) as path:
        return _studied(settings, asked, Folder(path), begun, say)


def _studied(settings: Settings, asked: Mapping[str, Any], folder: Folder, begun: float, say: Say) -> Report:
    """Make the study."""
    before = folder.plan(asked)
    for one in settings.cells:
        one.build(settings.tasks[0].task.input_size)  # What it is refused for is told of the size that was asked for.
    found = {one.label: checked(one) for one in settings.cells if one.own or one is settings.cells[0]}
    for label, conformance in found.items():
        say(f"{label}: {conformance.in_words()}")
    plan = _plan(settings, before, begun, say)
    folder.keep_plan(asked, planning.as_json(plan))
    say(planning.as_text(plan))
    say(f"The folder is {folder.path}")
    results = carry_out(plan.trials(), folder, settings.processes, "trials", say)
    again = carry_out(beginnings(plan, results), folder, settings.processes, "trials at equal time", say)
    timed = _timed(plan, folder, say)
    changed = files_that_differ(asked, fingerprint(settings))
    report = _report(plan, folder, found, results, again, timed, changed)
    took = time.monotonic() - begun
    if settings.steps is None and took > settings.budget:
        say(f"It took {planning.duration(took)}, more than the budget: the machine became slower after it was measured")
    return report


def _timed(plan: Plan, folder: Folder, say: Say) -> Result:
    """Measure the speed of all cells in turn, or of each by itself where one of them took the others along."""
    job = speed_job(plan.sizes[0], plan.settings.tasks[0], BATCH_SIZE)
    together = carry_out([job], folder, 1, "measurements of speed", say)[job.name]
    if together["failure"] is None:
        return together
    jobs = apart(job)
    found = carry_out(jobs, folder, 1, "measurements of speed", say)
    ended = [found[one.name] for one in jobs if found[one.name]["failure"] is None]
    if not ended:
        return together
    speed: dict[str, Any] = {}
    for one in jobs:
        failure = found[one.name]["failure"]
        failed = {engine: {"failure": failure} for engine in job.settings["engines"]}
        speed |= found[one.name]["speed"] if failure is None else {one.cells[0].label: failed}
    return {**ended[0], "speed": speed}


def _settings(
    cell: str | type[Cell],
    init: Mapping[str, Any] | None,
    against: Sequence[str | type[Cell]],
    tasks: Sequence[str | Task | type[Task]],
    budget: float | str,
    seeds: int | None,
    jobs: int | None,
    steps: int | None,
    learning_rates: Sequence[float],
) -> Settings:
    for name, value, least in (("seeds", seeds, 2), ("jobs", jobs, 1), ("steps", steps, 1)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise ConfigError(f"{name} is {value!r}; give a whole number of at least {least}")
    for name, given in (("against", against), ("tasks", tasks), ("learning_rates", learning_rates)):
        if isinstance(given, str) or not len(given):
            raise ConfigError(f"{name} is {given!r}; give a list with one or more")
    numbers = all(isinstance(rate, Real) for rate in learning_rates)
    if (
        not numbers
        or not all(0 < rate < float("inf") for rate in learning_rates)
        or len(set(learning_rates)) < len(learning_rates)
    ):
        raise ConfigError(f"learning_rates are {list(learning_rates)!r}; give different ones, each above 0")
    first, others = contestant(cell, init), [rival(other) for other in against]
    named = [named_task(task) for task in tasks]
    if len({task.label for task in named}) < len(named):
        raise ConfigError(f"tasks are {', '.join(task.label for task in named)}; give each of them once")
    in_files = all(one.is_importable for one in (first, *others)) and all(task.is_importable for task in named)
    return Settings(
        tuple(distinct([first, *others])),
        tuple(named),
        seeds if seeds is not None else max(_SEEDS, least_seeds(len(others) * len(named))),
        tuple(float(rate) for rate in learning_rates),
        seconds(budget),
        steps,
        (jobs if jobs is not None else _cores()) if in_files else 1,  # What no file holds is trained in this process.
    )


def _plan(settings: Settings, before: Mapping[str, Any] | None, begun: float, say: Say) -> Plan:
    """Return the plan of an earlier run, or measure and make one."""
    sizes = planning.equal_sizes(settings)
    if before is not None:
        return Plan(settings, sizes, before["paces"], before["steps"])
    pairs = len(settings.cells) * len(settings.tasks)
    say(f"Measuring how long a step takes: {pairs} pairs of a cell and a task")
    measured = _measured(planning.pace_jobs(settings, sizes), settings)
    for jobs in planning.pace_jobs_apart(settings, sizes, measured):
        measured |= _measured(jobs, settings)
    failures = planning.failures_of(settings, measured)
    if all((task, 0) in failures for task in range(len(settings.tasks))):
        raise CellError(f"{settings.cells[0].label} cannot be trained on any task: {failures[0, 0]}")
    for (task, cell), failure in failures.items():
        say(f"{settings.cells[cell].label} cannot be trained on {settings.tasks[task].label}: {failure}")
    return planning.made(settings, sizes, planning.paces_of(settings, measured), time.monotonic() - begun)


def _measured(jobs: Sequence[Job], settings: Settings) -> dict[str, Result]:
    return carry_out(jobs, None, settings.processes, "measurements", lambda line: None)


def _report(
    plan: Plan,
    folder: Folder,
    found: Mapping[str, Checked],
    results: Mapping[str, Result],
    again: Mapping[str, Result],
    timed: Result,
    changed: Sequence[str],
) -> Report:
    rows, settings = Rows(), plan.settings
    for file in changed:
        rows.add(table="file", answer="changed", note=file)
    for label, report in found.items():
        add_checks(rows, label, report)
    add_sizes(rows, plan)
    features = settings.tasks[0].task.input_size
    for size in plan.sizes[0]:
        add_counts(rows, size.contestant.label, counts(size.contestant.build(features), features))
    add_trials(rows, plan, results)
    outcomes = dict(
        zip(QUESTIONS, (at_equal_parameters(plan, results), at_equal_time(plan, results, again)), strict=True)
    )
    for question, cells in outcomes.items():
        add_outcomes(rows, plan, cells, question)
        add_rates(rows, plan, cells, question)
        add_ranking(rows, plan, standings(settings, cells, question), comparisons(settings, cells, question))
    add_memory(rows, plan, outcomes[QUESTIONS[0]])
    add_speed(rows, settings.cells[0].label, settings.tasks[0].label, timed)
    sentences = verdict(rows, settings.cells[0].label)
    text = summary(rows, plan, sentences)
    folder.write("report.csv", rows.csv().encode())
    told = [{"text": sentence.text, "rows": list(sentence.rows)} for sentence in sentences]
    folder.write("report.json", as_bytes({"verdict": told, "rows": list(rows)}))
    html = report_page(plan, rows, outcomes, sentences, folder.path.name)
    folder.write("report.html", html.encode())
    return Report(folder.path, rows, tuple(sentences), text)


def seconds(budget: float | str) -> float:
    """Return the seconds of a time: a number, or "90s", "10m", "1h".

    Raises:
        ConfigError: if it is no such time, or not above 0.

    Example:
        >>> from tinygrad_rnn.lab.study import seconds
        >>> seconds("1.5m")
        90.0
    """
    if isinstance(budget, (int, float)):
        found = float(budget)
    else:
        matched = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])?", str(budget).strip())
        found = float(matched[1]) * _UNITS[matched[2] or "s"] if matched else 0.0
    if not found > 0:
        raise ConfigError(f"budget is {budget!r}; give a time such as 90s, 10m or 1h")
    return found


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
