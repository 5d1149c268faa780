"""The ranking: the first cell compared with each other one on each task, and what can be told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .named_tasks import NamedTask
from .outcomes import QUESTIONS, Cells
from .plan import Settings
from .statistics import LEVEL, Shift, holm, median_interval, rank_test, ranks, seeds_to_tell, shift

BETTER, WORSE, SAME, UNKNOWN, NEITHER = "better", "worse", "no difference", "cannot tell", "both failed"
LITTLE = "by less than counts"
_MARGIN = 0.1
MANY_SEEDS = 1000


@dataclass(frozen=True)
class Standing:
    """How a cell stands on a task.

    Args:
        question: one of `QUESTIONS`.
        task: the task's number.
        cell: the cell's number.
        tests: the test error of each seed.
        median: of them.
        low: they hold the median of all seeds that there could be between this one
        high: and this one,
        chance: with this chance.
        rank: the mean rank of its seeds among those of all cells.
        place: from 1, by that rank.
        failed: seeds with which all trials failed.
    """

    question: str
    task: int
    cell: int
    tests: tuple[float, ...]
    median: float
    low: float
    high: float
    chance: float
    rank: float
    place: int
    failed: int


@dataclass(frozen=True)
class Comparison:
    """The first cell beside another one on a task.

    Args:
        question: one of `QUESTIONS`.
        task: the task's number.
        other: the other cell's number.
        shift: by how much the first cell's test error lies above the other's.
        p: of the exact rank test.
        corrected: by Holm's method, among all comparisons of the question.
        margin: the shift from which on a difference counts.
        answer: "better", "worse", "no difference", "cannot tell" or "both failed".
        seeds: about how many would tell; None where it is told.
    """

    question: str
    task: int
    other: int
    shift: Shift
    p: float
    corrected: float
    margin: float
    answer: str
    seeds: int | None

    @property
    def counts(self) -> bool:
        """Whether the shift may be as large as the margin."""
        return not (-self.margin <= self.shift.low and self.shift.high <= self.margin)

    def in_words(self) -> str:
        """Return the answer, whether a difference is smaller than counts, and how many seeds would tell."""
        if self.seeds is None:
            return self.answer if self.counts or self.answer not in (BETTER, WORSE) else f"{self.answer}, {LITTLE}"
        many = self.seeds > MANY_SEEDS
        return f"{self.answer}, needs {'more than' if many else 'about'} {min(self.seeds, MANY_SEEDS):,} seeds"


def standings(settings: Settings, cells: Cells, question: str) -> list[Standing]:
    """Return how every cell stands on every task.

    Args:
        settings: of the study.
        cells: the outcomes.
        question: that they answer.
    """
    found = []
    for task in range(len(settings.tasks)):
        tests = _tests(settings, cells, task)
        means = ranks([error for row in tests for error in row]).reshape(len(tests), -1).mean(1)
        places = [1 + int(np.sum(means < mean - 1e-9)) for mean in means]
        for cell, row in enumerate(tests):
            found.append(
                Standing(
                    question,
                    task,
                    cell,
                    tuple(row),
                    _median(row),
                    *median_interval(row),
                    float(means[cell]),
                    places[cell],
                    sum(error == math.inf for error in row),
                )
            )
    return found


def comparisons(settings: Settings, cells: Cells, question: str) -> list[Comparison]:
    """Return the first cell's comparisons with the others.

    A difference is told where the p-value, corrected for all comparisons of the question, is at most 0.05. "No
    difference" is told where it is not, and the 95 % interval of the shift lies within the margin: a tenth of the
    error of the task's baseline. Otherwise it cannot be told. A difference whose interval lies within the margin is
    less than counts.

    Args:
        settings: of the study.
        cells: the outcomes.
        question: that they answer.
    """
    places = [(task, other) for task in range(len(settings.tasks)) for other in range(1, len(settings.cells))]
    tests = {task: _tests(settings, cells, task) for task, _ in places}
    ps = [rank_test(tests[task][0], tests[task][other]) for task, other in places]
    found = []
    for (task, other), p, corrected in zip(places, ps, holm(ps), strict=True):
        first, second = tests[task][0], tests[task][other]
        moved = shift(first, second)
        margin = margin_of(settings.tasks[task], second)
        answer = NEITHER if min(*first, *second) == math.inf else _answer(moved, corrected, margin)
        seeds = seeds_to_tell(moved, settings.seeds, margin, len(places)) if answer == UNKNOWN else None
        found.append(Comparison(question, task, other, moved, p, corrected, margin, answer, seeds))
    return found


def overall(found: Sequence[Standing], cells: int) -> list[float]:
    """Return the mean place of each cell over the tasks.

    Args:
        found: standings of one question.
        cells: how many cells there are.
    """
    return [float(np.mean([one.place for one in found if one.cell == cell])) for cell in range(cells)]


def margin_of(named: NamedTask, errors: Sequence[float]) -> float:
    """Return from where on a shift of the error counts: a tenth of the baseline's error.

    Args:
        named: the task; one without a baseline has a tenth of the other cell's median error.
        errors: of the other cell.
    """
    try:
        base = named.task.baseline().error
    except NotImplementedError:
        base = _median(errors)
    return _MARGIN * base if math.isfinite(base) else 0.0


def _answer(moved: Shift, corrected: float, margin: float) -> str:
    if corrected <= LEVEL:
        return BETTER if moved.probability > 0.5 else WORSE
    return SAME if -margin <= moved.low and moved.high <= margin else UNKNOWN


def _tests(settings: Settings, cells: Cells, task: int) -> list[list[float]]:
    return [[cells[task, cell, seed].test for seed in range(settings.seeds)] for cell in range(len(settings.cells))]


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return low if low == high else (low + high) / 2


__all__ = ["QUESTIONS", "Comparison", "Standing", "comparisons", "margin_of", "overall", "standings"]
