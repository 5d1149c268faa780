"""Copy memory, T = 100 and T = 1,000: solved by a cell of ten lines.

Ten of eight symbols are said, T steps later they are to be said again. Without memory 10 ln 8 / (T + 20) nats a step
are left, 0.173 and 0.0204; under a tenth of that a cell counts as one that solves the task. Bai et al. 2018 report RNN,
LSTM and GRU at the level without memory at T = 1,000: failed.

What has to be remembered here must neither fade nor grow. A cell that turns each pair of its numbers by an angle does
neither, whatever the angles are: its transition is unitary. It is written below as a user would write it, in place of
a cell of the library, which gets nowhere in as many steps.

Source: Arjovsky et al. 2016, *Unitary evolution recurrent neural networks*, for the task in this form and for unitary
transitions (theirs has more factors); Bai et al. 2018, *An empirical evaluation of generic convolutional and recurrent
networks for sequence modeling*, for the reference.
"""

from __future__ import annotations

import numpy as np
from checks import Checks, wants_quick
from trials import trials, worst

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.data import tasks


class Turning(nn.Cell):
    """(u', v') = (u, v) turned by the angle of each pair, plus x W; the output is both."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.angle = nn.Parameter(nn.init.uniform((hidden_size,), np.pi))
        self.from_input = nn.Linear(input_size, 2 * hidden_size, bias=False)

    def initial_state(self, batch_size: int):
        """Return zeros for both."""
        zero = super().initial_state(batch_size)
        return zero, zero

    def forward(self, x, state):
        """Take one step."""
        u, v = state
        c, s = np.cos(self.angle), np.sin(self.angle)
        a, b = np.split(self.from_input(x), 2, axis=-1)
        u, v = c * u - s * v + a, s * u + c * v + b
        return np.concatenate([u, v], axis=-1), (u, v)


def main() -> int:
    quick = wants_quick(__doc__)
    checks = Checks()
    for delay, hidden, steps, seeds in ((20, 64, 150, 1),) if quick else ((100, 128, 300, 5), (1000, 128, 300, 1)):
        task = tasks.CopyMemory(delay)
        baseline = task.baseline().error
        print(f"Copy memory, T = {delay}; without memory {baseline:.4f} nats a step")
        with tg.engine("numpy"):
            done = trials("Turning", task, lambda n, h=hidden: Turning(n, h), seeds, steps=steps, lr=0.005)
        checks.at_most(f"T = {delay}, worst of {seeds} seeds, nats a step", worst(done), baseline / 10)
        if not quick and delay == 100:
            trials("LSTM, as many steps", task, lambda n: nn.LSTMCell(n, 128), 1, steps=steps, lr=0.005)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
