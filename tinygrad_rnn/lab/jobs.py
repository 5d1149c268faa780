"""What a process is given to do: a trial, and the measurements of time that plan and report rest on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .. import nn
from ..core.errors import CellError
from ..scan import engine
from ..train import Point, Trial, solve
from ..train.user_files import where
from .contestants import Contestant, contestant
from .memory import horizons
from .named_tasks import NamedTask, named_task

Result = dict[str, Any]
Progress = Callable[[float], None]
# How often a whole trial scores the validation sequences.
SCORINGS = 10
_MEASURED = 0.15  # seconds that a measurement takes, at least
_ROUNDS = 3


@dataclass(frozen=True)
class Job:
    """A piece of work, which may be done in another process.

    Args:
        name: of the file that its result is kept in; no two have the same.
        kind: "trial", "pace" or "speed".
        cells: that take part.
        task: that is learnt; None for "speed".
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
        >>> settings = {"steps": 20, "scorings": 2, "lr": 0.01, "seed": 0, "batch_size": 4}
        >>> job = Job("a", "trial", (contestant("gru", {"hidden_size": 4}),), named_task("Parity(length=3)"), settings)
        >>> result = perform(job)
        >>> result["failure"], [point["step"] for point in result["curve"]]
        (None, [10, 20])
    """
    try:
        return {"failure": None, **_KINDS[job.kind](job, progress, **job.settings)}
    except Exception as error:
        sources = [cell.source for cell in job.cells] + ([job.task.source] if job.task else [])
        files = [Path(source.rpartition(":")[0]) for source in sources]
        told = [where(error, file) for file in files]
        return {"failure": next((text for text in told if text.startswith("line ")), told[0])}


def _trial(job: Job, progress: Progress, *, steps: int, scorings: int, lr: float, seed: int, batch_size: int) -> Result:
    """Train a cell on a task."""
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
        scorings=scorings,
        progress=passed,
    )
    ended = trial.failure is None
    return {
        "failure": trial.failure,
        "memory": horizons(job.cells[0], job.task, seed, trial.weights) if ended and scorings == SCORINGS else None,
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
    """Measure how long a step of training takes, by the clock and of the processor, and what a trial needs beside."""
    assert job.task is not None
    learn = {"lr": 1e-4, "batch_size": batch_size, "scorings": 1}

    def timed(steps: int) -> tuple[float, float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        trial = solve(job.task.task, job.cells[0].build, steps=steps, **learn)  # type: ignore[union-attr, arg-type]
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if trial.failure is not None:
            raise CellError(trial.failure)
        return wall, cpu, trial.seconds / steps

    timed(1)  # compiles
    steps = 2 + math.ceil(_MEASURED / timed(2)[2])
    walls, cpus, rests = [], [], []
    for _ in range(_ROUNDS):
        short, long = timed(1), timed(1 + steps)
        walls.append((long[0] - short[0]) / steps)
        cpus.append((long[1] - short[1]) / steps)
        rests.append(short[0])
    wall, cpu = max(float(np.median(walls)), 1e-6), max(float(np.median(cpus)), 1e-6)
    horizons(job.cells[0], job.task, 0, None)  # compiles
    begun = time.perf_counter()
    horizons(job.cells[0], job.task, 0, None)
    # Beside its steps a trial draws the held-out sequences, and scores two sets of them: half of it is one scoring.
    return {
        "step": wall,
        "processor": cpu,
        "scoring": float(np.median(rests)) / 2,
        "memory": 2 * (time.perf_counter() - begun),
    }


def _speed(job: Job, progress: Progress, *, engines: list[str], shape: list[int]) -> Result:
    """Time forward and backward over a sequence, every cell on every engine in turn."""
    length, batch, features = shape
    x = np.random.default_rng(0).standard_normal((length, batch, features), np.float32)
    runs: dict[tuple[str, str], Callable[[], None]] = {}
    for cell in job.cells:
        layer = nn.Recurrent(cell.build(features))
        for name in engines:
            runs[cell.label, name] = _forward_and_backward(layer, x, name)
    found: dict[str, dict[str, Any]] = {cell.label: {} for cell in job.cells}
    times: dict[tuple[str, str], list[float]] = {}
    for turn in range(_ROUNDS + 1):
        for number, (key, run) in enumerate(runs.items()):
            if key in times or turn == 0:
                try:
                    times.setdefault(key, []).append(_seconds(run))
                except Exception as error:
                    times.pop(key, None)
                    found[key[0]][key[1]] = {"failure": where(error, Path(job.cells[0].source.rpartition(":")[0]))}
            progress((turn + (number + 1) / len(runs)) / (_ROUNDS + 1))
    for (label, name), seconds in times.items():
        found[label][name] = {"seconds": min(seconds[1:])}  # The first one compiles.
    return {"speed": found}


def _forward_and_backward(layer: nn.Module, x: Any, name: str) -> Callable[[], None]:
    def run() -> None:
        with engine(name):
            y, _ = layer(x)
            np.sum(y * y).backward()

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
