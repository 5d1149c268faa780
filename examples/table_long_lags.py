"""Temporal order 6a and 6b, the noise-free long lag, and multiplication: sequences until they are solved.

6a: X or Y at two distant places of 100 to 110 steps, four classes; 6b: at three places, eight classes. Long lag: the
first of 101 symbols comes back as the last one. Hochreiter & Schmidhuber 1997 needed 31,390 and 571,100 sequences for
6a and 6b and 5,040 for the long lag, learnt one at a time, and report a mean squared error of 0.0223 on multiplication.
Ours are learnt in batches by Adam. Solved means: at most 1 % of a thousand sequences wrong (6a, 6b), every right symbol
with a probability of 3/4 or more (long lag), a tenth of the mean predictor's error (multiplication).

On the long lag an LSTM, even one whose forget gate starts open, stays where a predictor without memory is: what it
learns about the 99 other symbols overwrites the first one. The cell that turns its state by angles (see table_copy.py)
has no gates to close, and forgets nothing.

Source: Hochreiter & Schmidhuber 1997, *Long short-term memory*, experiments 2a, 5, 6a and 6b. The LSTM starts with
memories as long as the sequences: Tallec & Ollivier 2018, *Can recurrent neural networks warp time?*
"""

from __future__ import annotations

from checks import Checks, wants_quick
from table_copy import Turning
from trials import long_lstm, lstm, slowest, trials, worst

import tinygrad_rnn as tg
from tinygrad_rnn.data import tasks


def main() -> int:
    quick = wants_quick(__doc__)
    checks = Checks()
    seeds, length = (1, 30) if quick else (5, 100)
    make = long_lstm(32, length)
    options = {"steps": 300 if quick else 1200, "scorings": 12 if quick else 40, "lr": 0.01}

    for name, relevant, reference in (("6a", 2, 31_390), ("6b", 3, 571_100))[: 1 if quick else 2]:
        task = tasks.TemporalOrder(relevant, length)
        print(f"Experiment {name}, {length} to {length + length // 10} steps, {task.output_size} classes")
        done = trials("LSTM", task, make, seeds, **options)
        checks.at_most(f"{name}: share of sequences wrong, worst of {seeds} seeds", worst(done), task.threshold)
        checks.at_most(f"{name}: sequences to solve (reference {reference:,}, online)", slowest(done), reference)

    lag = 20 if quick else 100
    task = tasks.LongLag(lag)
    print(f"Long lag, p = {lag}")
    brief = {"steps": 300, "batch_size": 4}
    with tg.engine("numpy"):
        done = trials("Turning", task, lambda features: Turning(features, 64), seeds, **options | brief)
    checks.at_most(f"long lag: share of sequences wrong, worst of {seeds} seeds", worst(done), task.threshold)
    checks.at_most("long lag: sequences to solve (reference 5,040, online)", slowest(done), 5040)

    if not quick:
        trials("LSTM, forget bias 5", task, lstm(16, forget=5.0), 1, **options | {"steps": 2500, "batch_size": 8})
        task = tasks.Multiplication(length)
        print(f"Multiplication, T = {length}; the mean predictor errs by {task.baseline().error:.4f}")
        done = trials("LSTM", task, make, seeds, **options)
        checks.at_most(f"mean squared error, worst of {seeds} seeds (reference 0.0223)", worst(done), task.threshold)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
