"""The plan: which trials are made, with how many steps, so that all of it fits the time that there is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import ConfigError
from .contestants import Contestant
from .jobs import SCORINGS, Job, Result, seeded
from .named_tasks import NamedTask
from .sizes import Size, count, equal_size
from .speed import speed_job
from .statistics import LEVEL, least_seeds

BATCH_SIZE = 32
LEARNING_RATES = (0.003, 0.01, 0.03)
LEAST_STEPS = 50
_USED = 0.8  # of the time; the rest is for a machine that slows down

Pace = Mapping[str, float]


@dataclass(frozen=True)
class Settings:
    """What is asked for.

    Args:
        cells: that take part; the first one is the one that the report is about.
        tasks: that are learnt.
        seeds: trials of each cell on each task with each learning rate.
        rates: the learning rates.
        budget: seconds that all may take.
        steps: of each trial; None for what fits the budget.
        processes: that work side by side.
    """

    cells: tuple[Contestant, ...]
    tasks: tuple[NamedTask, ...]
    seeds: int
    rates: tuple[float, ...]
    budget: float
    steps: int | None
    processes: int

    @property
    def comparisons(self) -> int:
        """How many comparisons answer one question: the first cell with each other one, on each task."""
        return (len(self.cells) - 1) * len(self.tasks)


@dataclass(frozen=True)
class Plan:
    """What is done.

    Args:
        settings: what was asked for.
        sizes: of each cell for each task, [task][cell].
        paces: what `jobs` measured of each cell on each task.
        steps: of a trial, by task.
    """

    settings: Settings
    sizes: Sequence[Sequence[Size]]
    paces: Sequence[Sequence[Pace]]
    steps: Sequence[int]

    def mark_at_equal_time(self, task: int, cell: int) -> int:
        """Return up to which scoring a cell gets as much of the processor's time as the fastest one for all of them."""
        fastest = min(pace["processor"] for pace in self.paces[task])
        return max(1, min(SCORINGS, round(SCORINGS * fastest / self.paces[task][cell]["processor"])))

    def trials(self) -> list[Job]:
        """Return the trials, those of one seed after those of another."""
        settings = self.settings
        return [
            self.trial(task, cell, rate, seed, SCORINGS)
            for seed in range(settings.seeds)
            for task in range(len(settings.tasks))
            for cell in range(len(settings.cells))
            for rate in range(len(settings.rates))
        ]

    def trial(self, task: int, cell: int, rate: int, seed: int, scorings: int) -> Job:
        """Return a trial, or its beginning up to a scoring.

        Args:
            task: its number.
            cell: its number.
            rate: the learning rate's number.
            seed: of the trial, from 0.
            scorings: after how many of all it ends.
        """
        steps = self.steps[task] // SCORINGS * scorings
        settings = {
            "steps": steps,
            "scorings": scorings,
            "lr": self.settings.rates[rate],
            "seed": seeded(cell, seed),
            "batch_size": BATCH_SIZE,
        }
        name = f"trial-{task}-{cell}-{rate}-{seed}" + (f"-{scorings}" if scorings < SCORINGS else "")
        return Job(
            name,
            "trial",
            (self.sizes[task][cell].contestant,),
            self.settings.tasks[task],
            settings,
            _work(self.paces[task][cell], steps, scorings),
        )

    def expected(self) -> float:
        """Return how many seconds the trials and the measurement of speed are expected to take."""
        work = [job.work for job in self.trials()]
        work += [
            self.settings.seeds * self.trial(task, cell, 0, 0, mark).work
            for task in range(len(self.settings.tasks))
            for cell in range(len(self.settings.cells))
            if (mark := self.mark_at_equal_time(task, cell)) < SCORINGS
        ]
        return sum(work) / self.settings.processes + speed_job(self.sizes[0], self.settings.tasks[0]).work


def equal_sizes(settings: Settings) -> list[list[Size]]:
    """Return the size of each cell for each task: all have about as many parameters as the first one."""
    sizes = []
    for named in settings.tasks:
        first, *others = settings.cells
        wanted = count(first, named.task)
        sizes.append([Size(first, wanted, None), *(equal_size(other, named.task, wanted) for other in others)])
    return sizes


def pace_jobs(settings: Settings, sizes: Sequence[Sequence[Size]]) -> list[Job]:
    """Return the measurements that the plan is made from, tasks before cells."""
    return [
        Job(f"pace-{t}-{c}", "pace", (size.contestant,), settings.tasks[t], {"batch_size": BATCH_SIZE}, 2.0)
        for t, row in enumerate(sizes)
        for c, size in enumerate(row)
    ]


def paces_of(settings: Settings, measured: Mapping[str, Result]) -> list[list[Pace]]:
    """Return the paces out of the results of `pace_jobs`.

    Where the measurement of a cell failed, its trials will too and are told then; it counts as the slowest of the
    others on that task.

    Args:
        settings: of the study.
        measured: the results.

    Raises:
        ConfigError: if all cells failed on a task.
    """
    paces: list[list[Pace]] = []
    for task, named in enumerate(settings.tasks):
        found = [measured[f"pace-{task}-{cell}"] for cell in range(len(settings.cells))]
        ended = [result for result in found if result["failure"] is None]
        if not ended:
            raise ConfigError(f"no cell can be trained on {named.label}: {found[0]['failure']}")
        slowest = max(ended, key=lambda result: result["step"])
        paces.append([result if result["failure"] is None else slowest for result in found])
    return paces


def made(
    settings: Settings, sizes: Sequence[Sequence[Size]], paces: Sequence[Sequence[Pace]], gone: float = 0.0
) -> Plan:
    """Return the plan that fits the budget: each task gets the same time, each cell on it the same number of steps.

    Args:
        settings: what is asked for.
        sizes: of the cells.
        paces: what was measured.
        gone: seconds of the budget that have passed.

    Raises:
        ConfigError: if the budget is too short for trials of 50 steps; it says which one is not.
    """
    if settings.steps is not None:
        steps = math.ceil(settings.steps / SCORINGS) * SCORINGS
        return Plan(settings, sizes, paces, [steps] * len(settings.tasks))
    least = Plan(settings, sizes, paces, [LEAST_STEPS] * len(settings.tasks))
    timing = speed_job(sizes[0], settings.tasks[0]).work
    room = settings.budget - gone - timing
    steps_of_tasks = []
    for task in range(len(settings.tasks)):
        one, two = (_task_work(settings, sizes, paces, task, steps) for steps in (SCORINGS, 2 * SCORINGS))
        share = _USED * room * settings.processes / len(settings.tasks)
        steps_of_tasks.append(SCORINGS * (1 + math.floor((share - one) / (two - one))))
    if min(steps_of_tasks) < LEAST_STEPS:
        works = [_task_work(settings, sizes, paces, task, LEAST_STEPS) for task in range(len(settings.tasks))]
        needed = gone + timing + max(works) * len(works) / settings.processes / _USED
        raise ConfigError(
            f"the budget of {duration(settings.budget)} is too short for {len(least.trials())} trials of "
            f"{LEAST_STEPS} steps; give {duration(1.2 * needed)}, or fewer tasks, seeds or cells to compare with"
        )
    return Plan(settings, sizes, paces, steps_of_tasks)


def as_text(plan: Plan) -> str:
    """Return the plan in words and figures."""
    settings = plan.settings
    first, *others = (cell.label for cell in settings.cells)
    lines = [
        f"{first} against {', '.join(others)}: {len(plan.trials())} trials = {len(settings.cells)} cells x "
        f"{_several(len(settings.tasks), 'task')} x {_several(len(settings.rates), 'learning rate')} "
        f"({', '.join(f'{rate:g}' for rate in settings.rates)}) x {settings.seeds} seeds",
        f"Equal parameters: every cell gets the hidden_size whose number of parameters, with the read-out, is nearest "
        f"to {first}'s.",
    ]
    for named, row in zip(settings.tasks, plan.sizes, strict=True):
        lines.append(f"  {named.label}: " + "; ".join(size_in_words(size) for size in row))
    for task, (named, steps) in enumerate(zip(settings.tasks, plan.steps, strict=True)):
        marks = [plan.mark_at_equal_time(task, cell) * steps // SCORINGS for cell in range(len(settings.cells))]
        at_equal_time = ", ".join(f"{cell.label} {mark:,}" for cell, mark in zip(settings.cells, marks, strict=True))
        lines.append(
            f"  {named.label}: {steps:,} steps of {BATCH_SIZE} sequences; as many as take equal time: {at_equal_time}"
        )
    lines.append(power_in_words(settings))
    of = f" of the {duration(settings.budget)} that there are" if settings.steps is None else ""
    lines.append(f"Expected time: {duration(plan.expected())}{of}, {settings.processes} at a time")
    return "\n".join(lines)


def size_in_words(size: Size) -> str:
    """Return the size of a cell, and the one beside it that was not taken."""
    options = ", ".join(f"{name} {value}" for name, value in size.contestant.options.items())
    beside = f" ({size.beside[0]} would give {size.beside[1]:,})" if size.beside else ""
    return f"{size.contestant.label} {options}: {size.parameters:,}{beside}"


def power_in_words(settings: Settings) -> str:
    """Return what can be told with so many seeds."""
    comparisons, least = settings.comparisons, least_seeds(settings.comparisons)
    least_p = 2 / math.comb(2 * settings.seeds, settings.seeds)
    found = f"{settings.seeds} seeds, {_several(comparisons, 'comparison')}: the least p, corrected, is "
    found += f"{min(1.0, comparisons * least_p):.2g}"
    if settings.seeds < least:
        return f"{found}; with so few no difference can be told at the level {LEVEL}, give --seeds {least} or more"
    return found


def duration(seconds: float) -> str:
    """Return a time in words.

    Example:
        >>> from tinygrad_rnn.lab.plan import duration
        >>> [duration(seconds) for seconds in (4.2, 90, 4000)]
        ['5 s', '1 min 30 s', '1 h 7 min']
    """
    whole = math.ceil(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{whole // 3600} h" + (f" {math.ceil(whole % 3600 / 60)} min" if whole % 3600 else "")


def _several(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _task_work(
    settings: Settings, sizes: Sequence[Sequence[Size]], paces: Sequence[Sequence[Pace]], task: int, steps: int
) -> float:
    """Return the seconds of one core that all trials of a task take, those at equal time included."""
    plan = Plan(settings, sizes, paces, [steps] * len(settings.tasks))
    total = 0.0
    for cell, pace in enumerate(paces[task]):
        mark = plan.mark_at_equal_time(task, cell)
        total += settings.seeds * len(settings.rates) * _work(pace, steps, SCORINGS)
        if mark < SCORINGS:
            total += settings.seeds * _work(pace, steps // SCORINGS * mark, mark)
    return total


def _work(pace: Pace, steps: int, scorings: int) -> float:
    memory = pace["memory"] if scorings == SCORINGS else 0.0
    return pace["step"] * steps + pace["scoring"] * (scorings + 1) + memory


def as_json(plan: Plan) -> dict[str, Any]:
    """Return what a study needs to go on with this plan."""
    return {"steps": list(plan.steps), "paces": [[dict(pace) for pace in row] for row in plan.paces]}


__all__ = [
    "Pace",
    "Plan",
    "Settings",
    "as_json",
    "as_text",
    "duration",
    "equal_sizes",
    "made",
    "pace_jobs",
    "paces_of",
    "power_in_words",
    "size_in_words",
]
