"""Temporal order, 6a and 6b, and the multiplication problem: sequences until they are solved.

6a: X or Y at two distant places of 100 to 110 steps, four classes; 6b: at three places, eight classes. Hochreiter &
Schmidhuber 1997 needed 31,390 and 571,100 sequences, learnt one at a time, and report a mean squared error of 0.0223 on
the multiplication problem. Ours are learnt in batches of 32 by Adam; solved means at most 1 % of a thousand test
sequences wrong, and a tenth of the baseline's error on multiplication.

Source: Hochreiter & Schmidhuber 1997, *Long short-term memory*, experiments 5, 6a and 6b. The LSTM starts with memories
as long as the sequences: Tallec & Ollivier 2018, *Can recurrent neural networks warp time?*
"""

from __future__ import annotations

from checks import Checks, wants_quick
from trials import long_lstm, slowest, trials, worst

from tinygrad_rnn.data import tasks


def main() -> int:
    quick = wants_quick(__doc__)
    checks = Checks()
    seeds, length = (1, 30) if quick else (5, 100)
    make = long_lstm(32, length)
    options = {"steps": 600 if quick else 3000, "scorings": 24 if quick else 60, "until_solved": True, "lr": 0.01}

    for name, relevant, reference in (("6a", 2, 31_390), ("6b", 3, 571_100))[: 1 if quick else 2]:
        task = tasks.TemporalOrder(relevant, length)
        print(f"Experiment {name}, {length} to {length + length // 10} steps, {task.output_size} classes")
        done = trials("LSTM", task, make, seeds, **options)
        checks.at_most(f"{name}: share of sequences wrong, worst of {seeds} seeds", worst(done), task.threshold)
        checks.at_most(f"{name}: sequences to solve (reference {reference:,}, online)", slowest(done), reference)

    if not quick:
        task = tasks.Multiplication(length)
        print(f"Multiplication, T = {length}; the mean predictor errs by {task.baseline().error:.4f}")
        done = trials("LSTM", task, make, seeds, **options)
        checks.at_most(f"mean squared error, worst of {seeds} seeds (reference 0.0223)", worst(done), task.threshold)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
