"""The plan: which trials are made, with how many steps, so that all of it fits the time that there is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import ConfigError
from .contestants import Contestant
from .jobs import Job, Result, seeded
from .named_tasks import NamedTask
from .sizes import Size, count, equal_size
from .speed import speed_job
from .statistics import LEVEL, least_seeds

BATCH_SIZE = 32
LEARNING_RATES = (0.003, 0.01, 0.03)
LEAST_STEPS = 50
_TENTHS = 10  # How often a trial scores the validation sequences at least, in equal distances.
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

    def equal_time(self, task: int, cell: int) -> int:
        """Return how many steps take as much of the processor's time as all those of the fastest cell."""
        fastest = min(pace["processor"] for pace in self.paces[task])
        return max(1, round(self.steps[task] * fastest / self.paces[task][cell]["processor"]))

    def scored(self, task: int) -> list[int]:
        """Return after which steps of a trial validation is scored: each tenth, and where a cell's equal time ends."""
        steps = self.steps[task]
        tenths = {math.ceil(steps * (part + 1) / _TENTHS) for part in range(_TENTHS)}
        return sorted(tenths | {self.equal_time(task, cell) for cell in range(len(self.settings.cells))})

    def trials(self) -> list[Job]:
        """Return the trials, those of one seed after those of another."""
        settings = self.settings
        return [
            self.trial(task, cell, rate, seed)
            for seed in range(settings.seeds)
            for task in range(len(settings.tasks))
            for cell in range(len(settings.cells))
            for rate in range(len(settings.rates))
        ]

    def trial(self, task: int, cell: int, rate: int, seed: int, until: int | None = None) -> Job:
        """Return a trial, or its beginning up to a step.

        Args:
            task: its number.
            cell: its number.
            rate: the learning rate's number.
            seed: of the trial, from 0.
            until: the step after which it ends, one of `scored`; None for the whole of it.
        """
        scored = [step for step in self.scored(task) if until is None or step <= until]
        settings = {
            "steps": scored[-1],
            "scored": scored,
            "memory": until is None,
            "lr": self.settings.rates[rate],
            "seed": seeded(cell, seed),
            "batch_size": BATCH_SIZE,
        }
        name = f"trial-{task}-{cell}-{rate}-{seed}" + (f"-{until}" if until is not None else "")
        sizes, pace = self.sizes[task], self.paces[task][cell]
        work = pace["rest"] + pace["step"] * scored[-1] + pace["scoring"] * (len(scored) + 1)
        work += pace["memory"] if until is None else 0.0
        return Job(name, "trial", (sizes[cell].contestant,), self.settings.tasks[task], settings, work)

    def work(self, task: int) -> float:
        """Return the seconds of one core that all trials of a task take, those made again for equal time included."""
        settings, total = self.settings, 0.0
        for cell in range(len(settings.cells)):
            total += settings.seeds * len(settings.rates) * self.trial(task, cell, 0, 0).work
            until = self.equal_time(task, cell)
            if until < self.steps[task]:
                total += settings.seeds * self.trial(task, cell, 0, 0, until).work
        return total

    def expected(self) -> float:
        """Return how many seconds the trials and the measurement of speed are expected to take."""
        work = sum(self.work(task) for task in range(len(self.settings.tasks)))
        return work / self.settings.processes + speed_job(self.sizes[0], self.settings.tasks[0], BATCH_SIZE).work


def equal_sizes(settings: Settings) -> list[list[Size]]:
    """Return the size of each cell for each task: all have about as many parameters as the first one."""
    sizes = []
    for named in settings.tasks:
        first, *others = settings.cells
        wanted = count(first, named.task)
        sizes.append([Size(first, wanted, None), *(equal_size(other, named.task, wanted) for other in others)])
    return sizes


def pace_jobs(settings: Settings, sizes: Sequence[Sequence[Size]]) -> list[Job]:
    """Return the measurements that the plan is made from, one for each task, of all cells in turn."""
    return [
        _pace_job(f"pace-{task}", [size.contestant for size in row], settings.tasks[task])
        for task, row in enumerate(sizes)
    ]


def pace_jobs_apart(
    settings: Settings, sizes: Sequence[Sequence[Size]], measured: Mapping[str, Result]
) -> list[list[Job]]:
    """Return, for each task whose measurement died with one of the cells, a measurement for each of them.

    Args:
        settings: of the study.
        sizes: of the cells.
        measured: the results of `pace_jobs`.
    """
    return [
        [_pace_job(f"pace-{task}-{cell}", [size.contestant], settings.tasks[task]) for cell, size in enumerate(row)]
        if measured[f"pace-{task}"]["failure"] is not None
        else []
        for task, row in enumerate(sizes)
    ]


def _pace_job(name: str, cells: Sequence[Contestant], named: NamedTask) -> Job:
    return Job(name, "pace", tuple(cells), named, {"batch_size": BATCH_SIZE}, 2.0 * len(cells))


def paces_of(settings: Settings, measured: Mapping[str, Result]) -> list[list[Pace]]:
    """Return the paces out of the results of `pace_jobs` and `pace_jobs_apart`.

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
        found = _measured(settings, measured, task)
        ended = [result for result in found if result["failure"] is None]
        if not ended:
            raise ConfigError(f"no cell can be trained on {named.label}: {found[0]['failure']}")
        slowest = max(ended, key=lambda result: result["step"])
        paces.append([result if result["failure"] is None else slowest for result in found])
    return paces


def failures_of(settings: Settings, measured: Mapping[str, Result]) -> dict[tuple[int, int], str]:
    """Return why measurements failed, by task and cell.

    Args:
        settings: of the study.
        measured: the results of `pace_jobs` and `pace_jobs_apart`.
    """
    return {
        (task, cell): result["failure"]
        for task in range(len(settings.tasks))
        for cell, result in enumerate(_measured(settings, measured, task))
        if result["failure"] is not None
    }


def _measured(settings: Settings, measured: Mapping[str, Result], task: int) -> list[Result]:
    """Return what was measured of each cell on a task."""
    found: list[Result] = measured[f"pace-{task}"].get("paces", [])
    if found:
        return found
    apart = [measured[f"pace-{task}-{cell}"] for cell in range(len(settings.cells))]
    return [result["paces"][0] if result["failure"] is None else result for result in apart]


def made(
    settings: Settings, sizes: Sequence[Sequence[Size]], paces: Sequence[Sequence[Pace]], gone: float = 0.0
) -> Plan:
    """Return the plan that fits the budget: each task gets the same time, each cell on it the same number of steps.

    A task that cannot make 50 steps in its share gets as much as it needs for them; the others share the rest.

    Args:
        settings: what is asked for.
        sizes: of the cells.
        paces: what was measured.
        gone: seconds of the budget that have passed.

    Raises:
        ConfigError: if the budget is too short for trials of 50 steps; it says which one is not.
    """
    tasks = range(len(settings.tasks))
    if settings.steps is not None:
        return Plan(settings, sizes, paces, [settings.steps for _ in tasks])
    least, more = (Plan(settings, sizes, paces, [steps for _ in tasks]) for steps in (LEAST_STEPS, 10 * LEAST_STEPS))
    works = [least.work(task) for task in tasks]
    timing = speed_job(sizes[0], settings.tasks[0], BATCH_SIZE).work
    there = _USED * (settings.budget - gone - timing) * settings.processes
    if sum(works) > there:
        needed = gone + timing + sum(works) / settings.processes / _USED
        raise ConfigError(
            f"the budget of {duration(settings.budget)} is too short for {len(least.trials())} trials of "
            f"{LEAST_STEPS} steps; give {math.ceil(1.2 * needed)}s, or fewer tasks, seeds or cells to compare with"
        )
    rest = list(tasks)
    while short := [task for task in rest if works[task] > there / len(rest)]:
        there -= sum(works[task] for task in short)
        rest = [task for task in rest if task not in short]
    steps_of_tasks = [LEAST_STEPS for _ in tasks]
    for task in rest:
        a_step = (more.work(task) - works[task]) / (9 * LEAST_STEPS)
        beyond = (there / len(rest) - works[task]) / a_step
        steps_of_tasks[task] += _TENTHS * math.floor(beyond / _TENTHS)
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
        marks = [plan.equal_time(task, cell) for cell in range(len(settings.cells))]
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
    "failures_of",
    "made",
    "pace_jobs",
    "pace_jobs_apart",
    "paces_of",
    "power_in_words",
    "size_in_words",
]
