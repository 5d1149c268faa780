"""What came of the trials: for each cell, task and seed the learning rate that validation chose, and its test error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .jobs import Job, Result
from .plan import Plan

# The two questions that a study answers.
PARAMETERS, TIME = "equal parameters", "equal time"
QUESTIONS = (PARAMETERS, TIME)


@dataclass(frozen=True)
class Outcome:
    """One cell on one task with one seed: learning rates tried, the best one chosen, the test taken once.

    Args:
        rate: the learning rate that had the least validation error; None where all trials failed.
        steps: after how many steps the weights were the best.
        validation: the error on validation.
        test: the error on test; infinite where all trials failed.
        curve: (steps, validation error) of the trial that was chosen.
        memory: what `memory.horizons` found of that trial; None where all trials failed.
    """

    rate: float | None
    steps: int | None
    validation: float
    test: float
    curve: tuple[tuple[int, float], ...]
    memory: Mapping[str, Any] | None


FAILED = Outcome(None, None, math.inf, math.inf, (), None)
Cells = dict[tuple[int, int, int], Outcome]


def at_equal_parameters(plan: Plan, results: Mapping[str, Result]) -> Cells:
    """Return the outcome of each (task, cell, seed) when every cell makes all of its steps."""
    return {place: _chosen(plan, results, place, plan.steps[place[0]], {}) for place in _places(plan)}


def beginnings(plan: Plan, results: Mapping[str, Result]) -> list[Job]:
    """Return the trials that are to be made again up to the equal time: those that were better later.

    The test is taken with the best weights of a whole trial. Where these came after the equal time was over, the trial
    is made again that far; its seed gives the same numbers.
    """
    jobs = []
    for task, cell, seed in _places(plan):
        until = plan.equal_time(task, cell)
        rate = _best_rate(plan, results, (task, cell, seed), until)
        if rate is not None:
            result = results[plan.trial(task, cell, rate, seed).name]
            if result["failure"] is not None or result["best_step"] > until:
                jobs.append(plan.trial(task, cell, rate, seed, until))
    return jobs


def at_equal_time(plan: Plan, results: Mapping[str, Result], again: Mapping[str, Result]) -> Cells:
    """Return the outcome of each (task, cell, seed) when every cell gets as much time as the fastest one needs.

    Args:
        plan: of the trials.
        results: of the trials.
        again: those of the `beginnings`.
    """
    return {place: _chosen(plan, results, place, plan.equal_time(*place[:2]), again) for place in _places(plan)}


def _places(plan: Plan) -> list[tuple[int, int, int]]:
    settings = plan.settings
    return [
        (task, cell, seed)
        for task in range(len(settings.tasks))
        for cell in range(len(settings.cells))
        for seed in range(settings.seeds)
    ]


def _chosen(
    plan: Plan, results: Mapping[str, Result], place: tuple[int, int, int], until: int, again: Mapping[str, Result]
) -> Outcome:
    task, cell, seed = place
    rate = _best_rate(plan, results, place, until)
    if rate is None:
        return FAILED
    result = results[plan.trial(task, cell, rate, seed).name]
    curve = _points(result, until)
    memory = result["memory"]
    result = again.get(plan.trial(task, cell, rate, seed, until).name, result)
    if result["failure"] is not None:
        return FAILED
    return Outcome(
        plan.settings.rates[rate],
        result["best_step"],
        number(result["validation"]["error"]),
        number(result["test"]["error"]),
        tuple((point["step"], number(point["error"])) for point in curve),
        memory,
    )


def _best_rate(plan: Plan, results: Mapping[str, Result], place: tuple[int, int, int], until: int) -> int | None:
    """Return the number of the learning rate with the least validation error up to a step; None if all failed."""
    task, cell, seed = place
    best: tuple[float, float, int] | None = None
    for rate in range(len(plan.settings.rates)):
        points = _points(results[plan.trial(task, cell, rate, seed).name], until)
        if points and points[-1]["step"] == until:
            scored = [(number(point["error"]), number(point["loss"]), rate) for point in points]
            best = min([*scored, *([best] if best else [])])
    return best[2] if best else None


def _points(result: Result, until: int) -> list[dict[str, Any]]:
    """Return the scorings of a trial up to a step; those of one that failed end with a number, or it is left out."""
    points = [point for point in result.get("curve", ()) if point["step"] <= until]
    if result["failure"] is not None and points and (points[-1]["error"] is None or points[-1]["loss"] is None):
        points.pop()
    return points


def number(value: Any) -> float:
    """Return a number as results hold it: infinity stands as null."""
    return math.inf if value is None else float(value)
