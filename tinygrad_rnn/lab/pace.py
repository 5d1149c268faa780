"""The pace of a cell on a task: how long steps, scorings and the rest of a trial take."""

from __future__ import annotations

import math
import time

import numpy as np

from ..core.errors import CellError
from ..train import Trial, solve
from .contestants import Contestant
from .memory import horizons
from .named_tasks import NamedTask

# A part of a measurement: that many seconds at least, and so many parts in each.
_PART, _PARTS = 0.03, 4
_LEAST = 1e-6  # seconds: what a difference of two measurements is at least


class Clock:
    """Measures a cell on a task, again and again.

    Args:
        cell: with the size that it is trained with.
        named: the task.
        batch_size: of training.

    Example:
        >>> from tinygrad_rnn.lab.contestants import contestant
        >>> from tinygrad_rnn.lab.named_tasks import named_task
        >>> from tinygrad_rnn.lab.pace import Clock
        >>> clock = Clock(contestant("gru", {"hidden_size": 4}), named_task("Parity(length=3)"), batch_size=4)
        >>> clock.measure()
        >>> sorted(clock.pace())
        ['memory', 'processor', 'rest', 'scoring', 'step']
    """

    def __init__(self, cell: Contestant, named: NamedTask, batch_size: int) -> None:
        self._cell, self._named, self._batch_size = cell, named, batch_size
        self._steps = 0  # of a part
        self._walls: list[float] = []  # seconds of a step by the clock
        self._processors: list[float] = []  # and of the processor
        self._scorings: list[float] = []
        self._rests: list[float] = []
        self._memory = 0.0

    def measure(self) -> None:
        """Measure once more.

        Raises:
            CellError: if the trial fails; and whatever the cell raises.
        """
        if not self._steps:
            self._begin()
        marks = [1 + part * self._steps for part in range(_PARTS + 1)]
        trial, beside = self._timed(marks)
        _, least = self._timed([1])
        for before, after in zip(trial.curve, trial.curve[1:], strict=False):
            self._walls.append((after.seconds - before.seconds) / self._steps)
            self._processors.append((after.processor - before.processor) / self._steps)
        # A trial scores validation at each mark, and the test at the end.
        scoring = max((beside - least) / _PARTS, _LEAST)
        self._scorings.append(scoring)
        self._rests.append(max(least - 2 * scoring, 0.0))

    def pace(self) -> dict[str, float]:
        """Return the seconds of a "step" and of a "scoring", those of the "processor" that a step takes, and those of
        the "rest" of a trial and of measuring its "memory"."""
        return {
            "step": max(float(np.median(self._walls)), _LEAST),
            # What other programs do makes a step take longer, never shorter.
            "processor": max(min(self._processors), _LEAST),
            "scoring": float(np.median(self._scorings)),
            "rest": float(np.median(self._rests)),
            "memory": 2 * self._memory,
        }

    def _begin(self) -> None:
        self._timed([1])  # compiles
        trial, _ = self._timed([2])
        self._steps = math.ceil(_PART / max(trial.seconds / 2, _LEAST))
        horizons(self._cell, self._named, 0, None)  # compiles
        begun = time.perf_counter()
        horizons(self._cell, self._named, 0, None)
        self._memory = time.perf_counter() - begun

    def _timed(self, scorings: list[int]) -> tuple[Trial, float]:
        """Return a trial, and how many seconds it took beside its steps."""
        begun = time.perf_counter()
        trial = solve(
            self._named.task,
            self._cell.build,
            steps=scorings[-1],
            scorings=scorings,
            lr=1e-4,
            batch_size=self._batch_size,
        )
        if trial.failure is not None:
            raise CellError(trial.failure)
        return trial, time.perf_counter() - begun - trial.seconds
