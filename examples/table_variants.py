"""The LSTM with peepholes (V) and its eight variants of Greff et al., on two tasks.

Without input, forget or output gate (NIG, NFG, NOG), without input or output activation (NIAF, NOAF), with a forget
gate that is one minus the input gate (CIFG), without peepholes (NP), with gates that see all gates of the step before
(FGR). On continual Reber the share of strings wrong, on JSB chorales the nats a frame (see `table_chorales.py`). All
cells have the same hidden size, weights that start uniform in ±1/√hidden, but those of the input normal with a
deviation of 1, and Adam; the learning rate of each cell on each task is, of two, that with the better validation score
of a seed that does not count.

The paper found no variant significantly better than V, CIFG and NP about as good, and the forget gate and the output
activation to be what an LSTM cannot do without. Each of these is a claim here, on each task. "Worse" and "better" are
an exact rank test of the test errors against those of V with p at most 0.05 after Holm's correction for the eight
comparisons of a task. That a test tells nothing is no proof of being as good: CIFG and NP are claimed to be worse by no
more than a margin, 1 % of the strings or 0.1 nats, by the upper end of the interval of the shift, 95 % for one
comparison. There are sixteen seeds: with five no comparison of eight could be told, since the least p is
8 · 2/252 = 0.063, and with six that with NFG on the chorales was not. Where nothing is told there may still be a
difference, and about how many seeds would tell one as large as the one that was seen is printed beside.

Three of the ten claims do not hold here, and are printed as FAIL. Without output activation some seeds fail on
continual Reber and the others hardly make an error, which is not told from V, and on the chorales there is nothing to
be seen of it. Without peepholes the chorales get better, by less than 0.1 nats, but reliably. The paper compares the
best twenty of two hundred trials each of a random search, trained with Nesterov's momentum.

The short form runs a smaller network on the pieces that `table_chorales.py` makes up, which need no file, and claims
that every variant learns.

Source: Greff et al. 2015, *LSTM: a search space odyssey*.
"""

from __future__ import annotations

import time

import numpy as np
from checks import Checks, wants_quick
from table_chorales import made_up

from tinygrad_rnn import nn, train
from tinygrad_rnn.data import tasks
from tinygrad_rnn.lab.statistics import LEVEL, holm, rank_test, ranks, seeds_to_tell, shift

WORSE, BETTER, NEITHER = "worse", "better", "no difference told"
SEEDS = 16


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
    for task, margin, found in (
        (reber, 0.01, study(reber, 16, SEEDS, (0.01, 0.03), steps=400, batch_size=16, scorings=8)),
        (chorales, 0.1, study(chorales, 64, SEEDS, (0.01, 0.02), steps=450, batch_size=8, scorings=15, patience=3)),
    ):
        told = answers(found)
        for name in ("CIFG", "NP"):
            checks.at_most(f"{task.name}: {name} above V, at most", shift(found[name], found["V"]).high, margin)
        for name in ("NFG", "NOAF"):
            checks.same(f"{task.name}: {name} beside V", told[name], WORSE)
        checks.same(f"{task.name}: variants better than V", [n for n in told if told[n] == BETTER], [])
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
