"""The continual Reber grammar, with and without a forget gate; and one string at a time.

The next symbol of an endless stream of strings is to be predicted, and nobody resets the state. Without a forget gate
an LSTM's cell grows from string to string; a NumPy reproduction reports 0.997 right with the gate and 0.55 without.
Here a string is right if every prediction in it is: all symbols that may follow have the greatest scores. The grammar
alone, without memory of the string's second symbol, gets half of the strings right.

The cell without a forget gate is written here, as a user would write it. Given many more windows it does learn the
stream with some seeds: its input gate and candidate learn to empty the cell.

Source: Gers et al. 2000, *Learning to forget: continual prediction with LSTM*; Hochreiter & Schmidhuber 1997, *Long
short-term memory*, experiment 1, for single strings.
"""

from __future__ import annotations

import numpy as np
from checks import Checks, wants_quick
from trials import slowest, trials, worst

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.data import tasks


class NoForgetGate(nn.Cell):
    """i, g, o = the three parts of x W + b + h U; c' = c + σ(i) tanh(g); h' = σ(o) tanh(c')."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(input_size, 3 * hidden_size)
        self.from_state = nn.Linear(hidden_size, 3 * hidden_size, bias=False)

    def initial_state(self, batch_size: int):
        """Return zeros for both."""
        zero = super().initial_state(batch_size)
        return zero, zero

    def forward(self, x, state):
        """Take one step."""
        h, c = state
        i, g, o = np.split(self.from_input(x) + self.from_state(h), 3, axis=-1)
        c = c + tg.sigmoid(i) * np.tanh(g)
        h = tg.sigmoid(o) * np.tanh(c)
        return h, (h, c)


def main() -> int:
    quick = wants_quick(__doc__)
    checks = Checks()
    seeds, steps = (1, 300) if quick else (5, 600)
    options = {"steps": steps, "batch_size": 16, "lr": 0.02, "scorings": 6}
    stream = tasks.ContinualReber()
    print(f"Continual Reber: {steps} windows of {stream.window} steps, 16 streams; the grammar alone gets one half")
    right = {}
    for name, cell in (("with forget gate", nn.LSTMCell), ("without", NoForgetGate)):
        done = trials(name, stream, lambda features, c=cell: c(features, 16), seeds, **options)
        right[name] = [1 - trial.test.error for trial in done]
    least = min(right["with forget gate"])
    checks.at_least(f"with forget gate, worst of {seeds} seeds (reference 0.997)", least, 0.95 if quick else 0.997)
    middle = float(np.median(right["without"]))
    checks.at_most(f"without, median of {seeds} seeds (reference 0.55)", middle, 0.75)
    if not quick:
        trials("without, longer", stream, lambda features: NoForgetGate(features, 16), 2, **options | {"steps": 1500})

    string = tasks.EmbeddedReber()
    print("Embedded Reber: one string at a time")
    options = {"steps": 500 if quick else 1200, "batch_size": 32, "lr": 0.02, "scorings": 10 if quick else 24}
    done = trials("LSTM", string, lambda n: nn.LSTMCell(n, 16), seeds, **options)
    checks.at_most(f"share of strings wrong, worst of {seeds} seeds", worst(done), string.threshold)
    checks.at_most(f"sequences to solve, worst of {seeds} seeds", slowest(done), 32 * options["steps"])
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
