"""What a process is given to do: a trial, and the measurements of time that plan and report rest on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ..data.tasks import Batch, Task
from ..scan import engine
from ..train import Point, TaskModel, Trial, solve
from ..train.chance import random_numbers_of
from ..train.user_files import where
from .contestants import Contestant, contestant
from .memory import horizons
from .named_tasks import NamedTask, named_task
from .pace import Clock

Result = dict[str, Any]
Progress = Callable[[float], None]
_MEASURED = 0.08  # seconds that a measurement takes, at least
_ROUNDS = 3
_TURNS = 6


@dataclass(frozen=True)
class Job:
    """A piece of work, which may be done in another process.

    Args:
        name: of the file that its result is kept in; no two have the same.
        kind: "trial", "pace" or "speed".
        cells: that take part.
        task: that is learnt.
        settings: what else the function of that kind takes.
        work: seconds of one core that it is expected to take.
    """

    name: str
    kind: str
    cells: tuple[Contestant, ...]
    task: NamedTask | None
    settings: Mapping[str, Any] = field(default_factory=dict)
    work: float = 0.0

    @property
    def are_importable(self) -> bool:
        """Whether another process finds cells and task by their names."""
        return all(cell.is_importable for cell in self.cells) and (self.task is None or self.task.is_importable)

    def message(self) -> dict[str, Any]:
        """Return what another process makes the job of, as JSON holds it; it tells what was asked for, too."""
        return {
            "kind": self.kind,
            "cells": [[cell.label, cell.source, dict(cell.options)] for cell in self.cells],
            "task": self.task and self.task.source,
            "settings": dict(self.settings),
        }


def job_of(message: Mapping[str, Any]) -> Job:
    """Return the job that `Job.message` tells of; classes are imported once.

    Example:
        >>> from tinygrad_rnn.lab.jobs import Job, job_of
        >>> from tinygrad_rnn.lab.contestants import contestant
        >>> from tinygrad_rnn.lab.named_tasks import named_task
        >>> job = Job("", "pace", (contestant("gru"),), named_task("adding"), {"batch_size": 4})
        >>> job_of(job.message()) == job
        True
    """
    cells = []
    for label, source, options in message["cells"]:
        found = _imported(source)
        cells.append(Contestant(label, source, found.make, options, found.own))
    task = _task(message["task"]) if message["task"] is not None else None
    return Job("", message["kind"], tuple(cells), task, message["settings"])


_imported = cache(contestant)
_task = cache(named_task)


def perform(job: Job, progress: Progress = lambda share: None) -> Result:
    """Do a job; an exception is a result too: {"failure": what happened and where}.

    Args:
        job: what is to be done.
        progress: called with the share that is done.

    Example:
        >>> from tinygrad_rnn.lab.jobs import Job, perform
        >>> from tinygrad_rnn.lab.contestants import contestant
        >>> from tinygrad_rnn.lab.named_tasks import named_task
        >>> settings = {"steps": 20, "scored": [10, 20], "memory": False, "lr": 0.01, "seed": 0, "batch_size": 4}
        >>> job = Job("a", "trial", (contestant("gru", {"hidden_size": 4}),), named_task("Parity(length=3)"), settings)
        >>> result = perform(job)
        >>> result["failure"], [point["step"] for point in result["curve"]]
        (None, [10, 20])
    """
    try:
        return {"failure": None, **_KINDS[job.kind](job, progress, **job.settings)}
    except Exception as error:
        return {"failure": _told(error, *job.cells, *filter(None, [job.task]))}


def _told(error: Exception, *whose: Contestant | NamedTask) -> str:
    """Return an error in one line, with the line of a file of one of these that it passed through."""
    told = [where(error, Path(one.source.partition("(")[0].rpartition(":")[0])) for one in whose]
    return next((text for text in told if text.startswith("line ")), told[0])


def _trial(
    job: Job,
    progress: Progress,
    *,
    steps: int,
    scored: Sequence[int],
    memory: bool,
    lr: float,
    seed: int,
    batch_size: int,
) -> Result:
    """Train a cell on a task; score it after these steps, and measure its memory if that is asked for."""
    assert job.task is not None

    def passed(point: Point) -> None:
        progress(point.step / steps)

    trial = solve(
        job.task.task,
        job.cells[0].build,
        steps=steps,
        lr=lr,
        seed=seed,
        batch_size=batch_size,
        scorings=scored,
        progress=passed,
    )
    ended = trial.failure is None
    return {
        "failure": trial.failure,
        "memory": horizons(job.cells[0], job.task, seed, trial.weights) if ended and memory else None,
        "parameters": trial.parameters,
        "seconds": trial.seconds,
        "best_step": _best_step(trial),
        "validation": trial.validation._asdict(),
        "test": trial.test._asdict(),
        "solved": trial.solved,
        "curve": [
            {"step": point.step, "sequences": point.sequences, **point.validation._asdict()} for point in trial.curve
        ],
    }


def _best_step(trial: Trial) -> int | None:
    """Return the step after which the weights were those that the test was taken with."""
    return next((point.step for point in trial.curve if point.validation == trial.validation), None)


def _pace(job: Job, progress: Progress, *, batch_size: int) -> Result:
    """Measure what a trial of each cell on a task takes, the cells in turn, so that what disturbs one disturbs all."""
    assert job.task is not None
    clocks = [Clock(cell, job.task, batch_size) for cell in job.cells]
    failures: dict[int, str] = {}
    for turn in range(_TURNS):
        for number, clock in enumerate(clocks):
            if number not in failures:
                try:
                    clock.measure()
                except Exception as error:
                    failures[number] = _told(error, job.cells[number], job.task)
            progress((turn + (number + 1) / len(clocks)) / _TURNS)
    paces: list[Mapping[str, float]] = [
        {} if number in failures else clock.pace() for number, clock in enumerate(clocks)
    ]
    return {"paces": [{"failure": failures.get(number), **pace} for number, pace in enumerate(paces)]}


def _speed(job: Job, progress: Progress, *, engines: list[str], batch_size: int) -> Result:
    """Time forward and backward of what is trained on a task, every cell on every engine in turn."""
    assert job.task is not None
    batch = next(job.task.task.batches(batch_size, 0))
    runs: dict[tuple[int, str], Callable[[], None]] = {}
    for number, cell in enumerate(job.cells):
        with random_numbers_of(0):
            model = TaskModel(job.task.task, cell.build)
        for name in engines:
            runs[number, name] = _forward_and_backward(job.task.task, model, batch, name)
    found: dict[str, dict[str, Any]] = {cell.label: {} for cell in job.cells}
    times: dict[tuple[int, str], list[float]] = {}
    for turn in range(_ROUNDS + 1):
        for done, (key, run) in enumerate(runs.items(), start=1):
            if key in times or turn == 0:
                try:
                    times.setdefault(key, []).append(_seconds(run))
                except Exception as error:
                    times.pop(key, None)
                    cell = job.cells[key[0]]
                    found[cell.label][key[1]] = {"failure": _told(error, cell, job.task)}
            progress((turn + done / len(runs)) / (_ROUNDS + 1))
    for (number, name), seconds in times.items():
        found[job.cells[number].label][name] = {"seconds": min(seconds[1:])}  # The first one compiles.
    return {"speed": found, "sequences": batch.rows, "steps": len(batch.x)}


def _forward_and_backward(task: Task, model: TaskModel, batch: Batch, name: str) -> Callable[[], None]:
    def run() -> None:
        model.zero_grad()
        with engine(name):
            task.loss(model(batch)[0], batch).backward()

    return run


def _seconds(run: Callable[[], None]) -> float:
    """Return the seconds of a run: the mean of as many as take a twentieth of a second, and of one at least."""
    begun, count = time.process_time(), 0
    while True:
        run()
        count += 1
        passed = time.process_time() - begun
        if passed > _MEASURED / 3:
            return passed / count


_KINDS: dict[str, Callable[..., Result]] = {"trial": _trial, "pace": _pace, "speed": _speed}


def seeded(number: int, seed: int) -> int:
    """Return the seed of a contestant's trial: no two contestants share random numbers, so samples are independent.

    Args:
        number: of the contestant.
        seed: of the trial.
    """
    return number * 1_000_000 + seed


__all__ = ["Job", "Progress", "Result", "job_of", "perform", "seeded"]
