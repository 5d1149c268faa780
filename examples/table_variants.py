"""The LSTM with peepholes (V) and its eight variants of Greff et al., on two tasks.

Without input, forget or output gate (NIG, NFG, NOG), without input or output activation (NIAF, NOAF), with a forget
gate that is one minus the input gate (CIFG), without peepholes (NP), with gates that see all gates of the step before
(FGR). On continual Reber the share of strings wrong, on JSB chorales the nats a frame (see `table_chorales.py`). All
cells have the same hidden size, weights that start uniform in ±1/√hidden, but those of the input normal with a
deviation of 1, and Adam; the learning rate of each cell on each task is, of two, that with the better validation score
of a seed that does not count.

The paper found no variant significantly better than V, CIFG and NP about as good, and the forget gate and the output
activation to be what an LSTM cannot do without. "Worse" and "better" are an exact rank test of the test errors against
those of V with p at most 0.05 after Holm's correction for the comparisons of a task. That a test tells nothing is no
proof of being as good: CIFG and NP are claimed to be worse by no more than a margin, 1 % of the strings or 0.1 nats, by
the upper end of the interval of the shift, 95 % for one comparison. There are sixteen seeds: with five no comparison of
eight could be told, since the least p is 8 · 2/252 = 0.063, and with six that with NFG on the chorales was not. Where
nothing is told there may still be a difference, and about how many seeds would tell one as large as the one that was
seen is printed beside.

With Adam and clipped gradients three of the ten claims do not hold, and are printed as FAIL: nothing is told of NOAF on
either task, and NP is better on the chorales. The paper trains otherwise, and then all hold on the chorales, one of its
own tasks; on continual Reber nothing is told of NOAF either way. It draws learning rate, hidden size and momentum at
random, two hundred times for each variant, trains with Nesterov's momentum, and compares the best tenth of the trials.
The first part here does that for V and the four variants of the claims: forty trials each, nothing clipped, weights
from a normal distribution with a deviation of 0.1, the ten best by validation compared by their test.

The short form runs a smaller network on the pieces that `table_chorales.py` makes up, which need no file, and claims
that every variant learns.

Source: Greff et al. 2015, *LSTM: a search space odyssey*.
"""

from __future__ import annotations

import math
import time

import numpy as np
from checks import Checks, wants_quick
from table_chorales import made_up

from tinygrad_rnn import nn, optim, train
from tinygrad_rnn.data import tasks
from tinygrad_rnn.lab.statistics import LEVEL, holm, rank_test, ranks, seeds_to_tell, shift

WORSE, BETTER, NEITHER = "worse", "better", "no difference told"
SEEDS = 16
CLAIMED = ("V", "CIFG", "NP", "NFG", "NOAF")
TRIALS, BEST = 40, 10


def maker(kind: type[nn.Cell], hidden: int):
    """Return a maker of cells that hear their input from the start: its weights have a deviation of 1."""

    def make(features: int) -> nn.Cell:
        cell = kind(features, hidden)
        cell.from_input.weight.assign(nn.init.normal(cell.from_input.weight.shape, 1.0))
        return cell

    return make


def test_errors(
    task: tasks.Task, kind: type[nn.Cell], hidden: int, seeds: int, rates, **options
) -> tuple[float, list[float]]:
    """Return the learning rate of the best validation score with a seed of its own, and a test error for each seed."""

    def trial(lr: float, seed: int) -> train.Trial:
        return train.solve(task, maker(kind, hidden), lr=lr, seed=seed, **options)

    scores = {rate: trial(rate, seed=1000).validation for rate in rates} if len(rates) > 1 else {}
    lr = min(rates, key=lambda rate: (scores[rate].error, scores[rate].loss) if scores else rate)
    return lr, [trial(lr, seed).test.error for seed in range(seeds)]


def study(task: tasks.Task, hidden: int, seeds: int, rates, **options) -> dict[str, list[float]]:
    """Return the test errors of all variants, a line printed for each as it is done."""
    print(f"{task.name}: {task.measures}; {hidden} hidden units, {options['steps']} steps")
    found = {}
    for name, kind in nn.GREFF_VARIANTS.items():
        started = time.perf_counter()
        lr, found[name] = test_errors(task, kind, hidden, seeds, rates, **options)
        print(
            f"      {name:4} learning rate {lr:<6} {' '.join(f'{error:8.4f}' for error in found[name])}  "
            f"{time.perf_counter() - started:.0f} s",
            flush=True,
        )
    return found


def drawn(task: tasks.Task, number: int, name: str, trial: int, **options) -> train.Trial:
    """Train a variant once as the paper does, with a learning rate, a hidden size and a momentum drawn at random."""
    rng = np.random.default_rng([number, trial])
    rate, hidden, rest = 10 ** rng.uniform(-2, 1), round(20 * 10 ** rng.uniform(0, 1)), 10 ** rng.uniform(-2, 0)

    def make(features: int) -> nn.Cell:
        cell = nn.GREFF_VARIANTS[name](features, hidden)
        for parameter in cell.parameters():
            parameter.assign(nn.init.normal(parameter.shape, 0.1))
        return cell

    def nesterov(parameters, lr):
        return optim.SGD(parameters, lr, momentum=1 - rest, nesterov=True)

    # A momentum of 1 - r makes a step 1 / r times as long.
    return train.solve(task, make, lr=rate * rest, seed=trial, clip=math.inf, optimizer=nesterov, **options)


def search(task: tasks.Task, **options) -> dict[str, list[float]]:
    """Return the test errors of the best trials of a random search, a line printed for each variant as it is done."""
    print(f"{task.name}, {TRIALS} trials drawn at random, the best {BEST} by validation: {task.measures}")
    found = {}
    for number, name in enumerate(CLAIMED):
        started = time.perf_counter()
        trials = [drawn(task, number, name, trial, **options) for trial in range(TRIALS)]
        best = sorted(trials, key=lambda trial: (trial.validation.error, trial.validation.loss))[:BEST]
        found[name] = [trial.test.error for trial in best]
        errors = " ".join(f"{error:8.4f}" for error in found[name])
        print(f"      {name:4} {errors}  {time.perf_counter() - started:.0f} s", flush=True)
    return found


def claim(checks: Checks, task: tasks.Task, found: dict[str, list[float]], margin: float, how: str) -> None:
    """Check what the paper found."""
    told = answers(found)
    for name in ("CIFG", "NP"):
        checks.at_most(f"{task.name}, {how}: {name} above V, at most", shift(found[name], found["V"]).high, margin)
    for name in ("NFG", "NOAF"):
        checks.same(f"{task.name}, {how}: {name} beside V", told[name], WORSE)
    checks.same(f"{task.name}, {how}: variants better than V", [n for n in told if told[n] == BETTER], [])


def answers(found: dict[str, list[float]]) -> dict[str, str]:
    """Print a ranking with the comparisons of all variants with V, and return what the rank test tells about each."""
    others = [name for name in found if name != "V"]
    ps = dict(zip(others, holm([rank_test(found["V"], found[name]) for name in others]), strict=True))
    places = ranks([error for errors in found.values() for error in errors]).reshape(len(found), -1).mean(1)
    told = {}
    for place, name in sorted(zip(places, found, strict=True)):
        line = f"      {name:4} mean rank {place:4.1f}  median {np.median(found[name]):8.4f}"
        if name != "V":
            moved = shift(found[name], found["V"])
            told[name] = NEITHER if ps[name] > LEVEL else BETTER if moved.probability > 0.5 else WORSE
            line += f"  above V by {moved.low:.4f} to {moved.high:.4f}  p {ps[name]:.4f}  {told[name]}"
            if told[name] == NEITHER and moved.probability != 0.5:
                seeds = seeds_to_tell(moved, len(found[name]), 0.0, len(others))
                line += f"; if the difference is as seen, about {seeds} seeds would tell it"
        print(line)
    return told


def main() -> int:
    quick = wants_quick(__doc__)
    checks = Checks()
    if quick:
        task = made_up()
        found = study(task, 32, 1, (0.01,), steps=100, batch_size=8)
        answers(found)
        for name, errors in found.items():
            checks.at_most(f"{name}: nats a frame", max(errors), 0.9 * task.baseline().error)
        return checks.finish()

    reber, chorales = tasks.ContinualReber(), tasks.JSBChorales()
    claim(checks, reber, search(reber, steps=400, batch_size=16, scorings=8), 0.01, "as the paper trains")
    claim(checks, chorales, search(chorales, steps=450, batch_size=8, scorings=15), 0.1, "as the paper trains")
    found = study(reber, 16, SEEDS, (0.01, 0.03), steps=400, batch_size=16, scorings=8)
    claim(checks, reber, found, 0.01, "by Adam")
    found = study(chorales, 64, SEEDS, (0.01, 0.02), steps=450, batch_size=8, scorings=15, patience=3)
    claim(checks, chorales, found, 0.1, "by Adam")
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
