"""Colah's "Understanding LSTM Networks": every cell that it draws or names, as algebra, as a picture, and in one table.

One learns that these cells are variations of a few lines: the table has for each the lines of Python that a step runs,
the operations of its graph and their products of numbers, its parameters at one hidden size, and what it makes of one
small task, the adding problem, at equal parameters. Then the choice between them is a measurement and no matter of
taste. The pictures are drawn from the graph of a step, by a program that knows none of the cells.

The article's sentence to check is its last but one: that popular variants are all about the same (Greff et al. 2015),
and that a plain RNN is another thing. Values uniform in [0, 1], two of them marked, their sum asked for at the end: who
always says the mean errs by 1/6.

Source: C. Olah, "Understanding LSTM Networks", 2015, which gives no figures. It draws the RNN, the LSTM, peepholes,
coupled gates and the GRU, and names depth-gated RNNs, clockwork RNNs, grid LSTMs and attention.

    python examples/understanding_lstms.py          # three seeds, some minutes; writes docs/pictures/lessons
    python examples/understanding_lstms.py --quick  # seconds, a shorter task
"""

from __future__ import annotations

import inspect
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from checks import Checks, wants_quick
from trials import trials

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.data import tasks
from tinygrad_rnn.lab.counting import counts

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures" / "lessons"
LINES = 15
FEATURES, HIDDEN = 3, 4  # of what is drawn and counted


def attentive(input_size: int, hidden_size: int) -> nn.Cell:
    """Return a GRU that reads a memory of four rows before every step."""
    return nn.AttentionCell(nn.GRUCell(input_size + 4, hidden_size), memory_size=4, slots=4)


CELLS = {
    "rnn": ("RNN", nn.RNNCell),
    "lstm": ("LSTM", nn.LSTMCell),
    "peepholes": ("LSTM with peepholes", nn.PeepholeLSTMCell),
    "coupled": ("LSTM with coupled gates", nn.CoupledLSTMCell),
    "gru": ("GRU", nn.GRUCell),
    "depth_gated": ("depth-gated LSTM", nn.DepthGatedLSTMCell),
    "clockwork": ("clockwork RNN", nn.ClockworkCell),
    "grid": ("grid LSTM", nn.GridLSTMCell),
    "lstmn": ("LSTM, attention to its past", nn.LSTMNCell),
    "attention": ("GRU, attention to a memory", attentive),
}


def lines_of(cell: nn.Cell) -> int:
    """Return how many lines of the file that the cell's class is in one step runs."""
    file, lines = inspect.getfile(type(cell)), set()

    def note(frame, event, _):
        if frame.f_code.co_filename != file:
            return None
        if event == "line":
            lines.add(frame.f_lineno)
        return note

    x, state = np.ones((1, FEATURES), np.float32), cell.initial_state(1)
    before = sys.gettrace()
    sys.settrace(note)
    try:
        cell(x, state)
    finally:
        sys.settrace(before)
    return len(lines)


def parameters(cell: nn.Cell) -> int:
    return sum(parameter.size for parameter in cell.parameters())


def hidden_for(make, features: int, wanted: int) -> int:
    """Return the hidden size with which a cell has as many parameters as is wanted, or nearly."""
    return min(range(4, 64), key=lambda hidden: abs(parameters(make(features, hidden)) - wanted))


def anatomy(checks: Checks, folder: Path, drawn) -> None:
    """Count what every cell is made of, and draw those named."""
    print(f"      {'one step':28}{'lines':>7}{'operations':>12}{'products':>10}{'parameters':>12}   picture")
    for name, (title, make) in CELLS.items():
        tg.random.seed(0)
        cell = make(FEATURES, HIDDEN)
        found, lines = counts(cell, FEATURES), lines_of(cell)
        size = ""
        if name in drawn:
            picture = viz.draw_cell(cell)
            picture.save(folder / f"{name}.svg")
            size = f"{picture.figure.width:.0f} × {picture.figure.height:.0f} mm"
        print(
            f"      {title:28}{lines:7}{sum(found.operations.values()):12}{found.multiplications:10}"
            f"{found.parameters:12}   {size}",
            flush=True,
        )
        checks.at_most(f"{title}, lines of algebra", lines, LINES)
    checks.same("pictures", sorted(path.stem for path in folder.glob("*.svg")), sorted(drawn))


def measured(checks: Checks, names, task: tasks.Task, wanted: int, seeds: int, options, limit: float) -> None:
    """Try every cell on the task, with as many parameters as the others."""
    mean, found = task.baseline().error, {}
    print(f"\n{task!r}: who says the mean errs by {mean:.4f}; about {wanted:,} parameters each")
    for name in names:
        title, make = CELLS[name]
        hidden = hidden_for(make, task.input_size, wanted)
        done = trials(f"{title}, {hidden}", task, partial(make, hidden_size=hidden), seeds, **options)
        found[name] = [trial.test.error for trial in done]
    for name, errors in found.items():
        title = CELLS[name][0]
        if name == "rnn":
            checks.at_least(f"{title}, best of {seeds} seeds, which is another thing", min(errors), 10 * limit)
        elif name == "clockwork":
            checks.at_most(f"{title}, worst of {seeds} seeds, beside the mean", max(errors), mean)
        else:
            checks.at_most(f"{title}, worst of {seeds} seeds", max(errors), limit)


def main() -> int:
    quick = wants_quick(__doc__)
    checks = Checks()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if quick else PICTURES / "cells"
        folder.mkdir(parents=True, exist_ok=True)
        anatomy(checks, folder, ("rnn", "gru") if quick else tuple(CELLS))
    names = ("lstm", "gru") if quick else tuple(CELLS)
    options = {"steps": 250, "batch_size": 32, "lr": 0.02} if quick else {"steps": 2000, "batch_size": 64, "lr": 0.01}
    if quick:
        measured(checks, names, tasks.Adding(8), 600, 1, options, 0.05)
    else:
        measured(checks, names, tasks.Adding(50), 2000, 3, options, 0.01)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
