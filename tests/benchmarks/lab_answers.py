"""Answers of the lab to questions whose answers are known, and how often it gives them.

    python tests/benchmarks/lab_answers.py [--runs 20] [--seeds 5] [--steps 600] [--jobs N] [--out DIR]

1. The LSTM against itself under another name: "no difference" is right. Every run has seeds of its own.
2. The LSTM without a forget gate against the LSTM on the continual Reber grammar: "worse" is right.
3. A cell that ignores its state against LSTM, GRU and RNN on tasks of memory: "worse" and the last place are right.

The trials are kept in the folder, so that a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tinygrad_rnn.lab.comparison import comparisons, standings
from tinygrad_rnn.lab.contestants import contestant, distinct
from tinygrad_rnn.lab.folder import Folder
from tinygrad_rnn.lab.named_tasks import named_task
from tinygrad_rnn.lab.outcomes import PARAMETERS, Cells, at_equal_parameters
from tinygrad_rnn.lab.plan import Plan, Settings, equal_sizes
from tinygrad_rnn.lab.trials import carry_out

CELLS = Path(__file__).resolve().parents[1] / "lab" / "cells_of_users.py"
MEMORY = ("Adding(length=10)", "TemporalOrder(length=20)", "CopyMemory(delay=3,symbols=4,recall=2)", "Parity(length=4)")
# The measurements of time are left out: every trial has the same number of steps.
_PACE = {"step": 0.002, "processor": 0.002, "scoring": 0.01, "rest": 0.01, "memory": 0.0}


def study(
    cells: Sequence[str],
    tasks: Sequence[str],
    seeds: int,
    rates: Sequence[float],
    steps: int,
    options: argparse.Namespace,
) -> tuple[Settings, Cells]:
    """Train cells on tasks, and return what came of it at equal parameters."""
    first, *others = cells
    found = distinct([contestant(first, {"hidden_size": 12}), *map(contestant, others)])
    settings = Settings(tuple(found), tuple(map(named_task, tasks)), seeds, tuple(rates), 0.0, steps, options.jobs)
    paces = [[_PACE] * len(found)] * len(tasks)
    plan = Plan(settings, equal_sizes(settings), paces, [steps] * len(tasks))
    folder = Folder(Path(options.out) / f"{found[0].label}-{steps}")
    results = carry_out(plan.trials(), folder, options.jobs, f"trials of {found[0].label}", print)
    return settings, at_equal_parameters(plan, results)


def twins(options: argparse.Namespace) -> None:
    """Compare the LSTM with itself, so many times."""
    begun, seeds = time.perf_counter(), options.runs * options.seeds
    cells = [f"{CELLS}:Renamed", "lstm"]
    whole, outcomes = study(cells, ["Adding(length=10)"], seeds, (0.01, 0.03), options.steps, options)
    settings = Settings(whole.cells, whole.tasks, options.seeds, whole.rates, 0.0, options.steps, options.jobs)
    answers, ps = Counter(), []
    for run in range(options.runs):
        part = {
            (0, cell, seed): outcomes[0, cell, run * options.seeds + seed]
            for cell in range(2)
            for seed in range(options.seeds)
        }
        (found,) = comparisons(settings, part, PARAMETERS)
        answers[found.answer] += 1
        ps.append(found.p)
    print(f"LSTM against LSTM, {options.runs} runs of {options.seeds} seeds, {options.steps} steps:")
    for answer, number in answers.most_common():
        print(f"  {answer}: {number}")
    print(f"  p at most 0.05: {sum(p <= 0.05 for p in ps)}; {time.perf_counter() - begun:.0f} s")


def forget_gate(options: argparse.Namespace) -> None:
    """Take the forget gate away, on a stream that nobody resets."""
    begun = time.perf_counter()
    cells = [f"{CELLS}:WithoutForgetGate", "lstm"]
    settings, outcomes = study(cells, ["ContinualReber(window=50)"], 5, (0.01, 0.03), 2 * options.steps, options)
    (found,) = comparisons(settings, outcomes, PARAMETERS)
    print(f"LSTM without forget gate against LSTM, continual Reber, 5 seeds, {2 * options.steps} steps:")
    for one in standings(settings, outcomes, PARAMETERS):
        shown = ", ".join(f"{error:.3f}" for error in one.tests)
        print(f"  {settings.cells[one.cell].label}: share of strings wrong {shown}")
    print(f"  {found.in_words()}, p {found.p:.4f}; {time.perf_counter() - begun:.0f} s")


def stateless(options: argparse.Namespace) -> None:
    """Let a cell without memory learn tasks of memory."""
    begun = time.perf_counter()
    cells = [f"{CELLS}:Stateless", "lstm", "gru", "rnn"]
    settings, outcomes = study(cells, MEMORY, 6, (0.01, 0.03), options.steps, options)
    print(f"A cell that ignores its state, 6 seeds, {options.steps} steps:")
    found = comparisons(settings, outcomes, PARAMETERS)
    for task, named in enumerate(settings.tasks):
        (place,) = (one.place for one in standings(settings, outcomes, PARAMETERS) if (one.task, one.cell) == (task, 0))
        answers = ", ".join(f"{settings.cells[c.other].label} {c.in_words()}" for c in found if c.task == task)
        print(f"  {named.label}: place {place} of {len(settings.cells)}; than {answers}")
    print(f"  {time.perf_counter() - begun:.0f} s")


def main() -> int:
    """Print the answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", default="lab/answers")
    options = parser.parse_args()
    twins(options)
    forget_gate(options)
    stateless(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
