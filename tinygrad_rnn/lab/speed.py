"""The speed of the cells on every engine, beside those that everybody knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..scan.engines import available
from .contestants import contestant, distinct
from .jobs import Job
from .named_tasks import NamedTask
from .sizes import Size, equal_size

_SECONDS = 0.8  # that a cell on an engine takes to be timed, its compilation included
_KNOWN = ("lstm", "gru", "rnn")


def speed_job(sizes: Sequence[Size], named: NamedTask, batch_size: int) -> Job:
    """Return the job that times a cell, what it is compared with, and LSTM, GRU and RNN, all of equal parameters.

    Args:
        sizes: of the cells for a task.
        named: the task, of which a training batch is taken.
        batch_size: its sequences.
    """
    cells = [size.contestant for size in sizes]
    known = [contestant(name) for name in _KNOWN]
    there = {cell.source for cell in cells}
    cells += [equal_size(one, named.task, sizes[0].parameters).contestant for one in known if one.source not in there]
    cells = distinct(cells)
    settings = {"engines": available(), "batch_size": batch_size}
    return Job("speed", "speed", tuple(cells), named, settings, _SECONDS * len(cells) * len(available()))


def apart(job: Job) -> list[Job]:
    """Return the measurements of each cell of a speed job by itself."""
    return [
        replace(job, name=f"{job.name}-{number}", cells=(cell,), work=job.work / len(job.cells))
        for number, cell in enumerate(job.cells)
    ]
