"""Chorales and folk tunes: RNN, GRU and LSTM predict the keys that sound in the next frame.

The negative log-likelihood of a frame of 88 keys, in nats, the first frame of a piece unscored, on the test pieces with
the weights that were best on the validation pieces. JSB chorales at 300,000 parameters, Nottingham at 1,000,000, those
of the read-out included. Bai et al. 2018 report LSTM 8.45, GRU 8.43, RNN 8.91 and LSTM 3.29, GRU 3.46, RNN 4.05; ours:
the worst of the seeds within 0.1 or better.

Adam starts at 0.001 and goes on at a tenth of it after each plateau, some epochs in a row without a better validation
score; the third plateau ends a trial, as the last epoch does. Choices of ours are minibatches of pieces of like length,
a gradient clipped to the norm 1, and dropout: of the state before its linear maps, the same for all steps of a piece
(Gal & Ghahramani 2016), and of what the read-out gets. Weights start uniform in ±1/√hidden, as in PyTorch, but those of
the input normal with a deviation of 1 or 0.5: the three or four keys of a frame are to be heard from the start.

A minibatch with lengths is the same as one piece at a time: the summed likelihood and its gradients agree to 1e-10 in
float64.

The short form runs on pieces that it makes up: a cadence of four chords, of which the next or the one after that
follows, each piece transposed by 0, 1 or 2 keys. The read-out takes the keys of the piano for independent, so that each
key in which the two chords differ costs ln 2; these are 5.5 on average, 3.812 nats a frame. The full form needs SciPy
and the two files, which are fetched.

Source: Boulanger-Lewandowski et al. 2012, *Modeling temporal dependencies in high-dimensional sequences*, for the data
and the score; Bai et al. 2018, *An empirical evaluation of generic convolutional and recurrent networks for sequence
modeling*, for the set-up and the references.
"""

from __future__ import annotations

import time

import numpy as np
from checks import Checks, wants_quick
from trials import trials, worst

import tinygrad_rnn as tg
from tinygrad_rnn import nn, train
from tinygrad_rnn.data import tasks
from tinygrad_rnn.lab.contestants import contestant
from tinygrad_rnn.lab.sizes import equal_size

DEVIATIONS = {"lstm": 1.0, "gru": 1.0, "rnn": 0.5}


class MusicLayer(nn.Module):
    """A layer over time whose state and output are dropped in training, with input weights of a given deviation."""

    def __init__(self, cell: nn.Cell, dropout: tuple[float, float], deviation: float) -> None:
        super().__init__()
        of_state, of_output = dropout
        weight = cell.from_input.weight
        weight.assign(nn.init.normal(weight.shape, deviation))
        self.layer = nn.Recurrent(nn.VariationalDropout(cell, 0, state_rate=of_state) if of_state else cell)
        self.drop = nn.Dropout(of_output)

    def forward(self, x, state, lengths):
        """Return the outputs (time, batch, hidden) and the state after each piece."""
        y, state = self.layer(x, state, lengths)
        return self.drop(y), state


def made_up() -> tasks.PianoRolls:
    """Return a task of the same form as the chorales, of pieces that need no file."""
    rng = np.random.default_rng(0)
    cadence = np.array([[0, 4, 7, 12], [0, 5, 9, 12], [-1, 2, 7, 11], [0, 4, 9, 12]])

    def piece() -> np.ndarray:
        frames = rng.integers(12, 30)
        chords = 40 + rng.integers(0, 3) + cadence[np.cumsum(rng.integers(1, 3, frames)) % 4]
        roll = np.zeros((frames, 88), np.float32)
        np.put_along_axis(roll, chords, 1, axis=1)
        return roll

    counts = {"train": 80, "validation": 20, "test": 20}
    return tasks.PianoRolls({split: [piece() for _ in range(n)] for split, n in counts.items()}, threshold=4.0)


def likelihood(task: tasks.PianoRolls, model: train.TaskModel, rows: list[int]) -> float:
    """Return the summed negative log-likelihood of all frames of some pieces, and add its gradients to the weights'."""
    batch = task.select("train", np.array(rows))
    batch = batch._replace(x=batch.x.astype(np.float64))
    loss = task.loss(model(batch)[0], batch) * float(batch.lengths.sum())
    loss.backward()
    return loss.item()


def one_by_one(checks: Checks, task: tasks.PianoRolls, name: str, make) -> None:
    """Claim that a minibatch with lengths gives what its pieces give one at a time."""
    tg.random.seed(0)
    model = train.TaskModel(task, make).astype(np.float64)
    pieces = list(range(8))
    found = []
    for batches in ([pieces], [[piece] for piece in pieces]):
        model.zero_grad()
        total = sum(likelihood(task, model, rows) for rows in batches)
        found.append(np.concatenate([[total], *(parameter.grad.ravel() for parameter in model.parameters())]))
    checks.close(f"{name}: 8 pieces in a minibatch and one by one, likelihood and gradients", *found, 1e-10)


def row(
    checks: Checks,
    task: tasks.PianoRolls,
    parameters: int,
    references: dict[str, float],
    *,
    epochs: int,
    seeds: int,
    tolerance: float = 0.1,
    lr: float = 0.001,
    batch_size: int = 8,
    patience: int = 3,
    dropout: tuple[float, float] = (0.25, 0.5),
) -> None:
    """Train the cells at equal parameters, and hold them to their references."""
    started = time.perf_counter()
    options = {"lr": lr, "batch_size": batch_size, "patience": patience, "scorings": epochs}
    options["steps"] = epochs * len(task.lengths_of("train")) // batch_size
    print(
        f"{task.name}, {parameters:,} parameters, at most {epochs} epochs in minibatches of {batch_size}, dropout of "
        f"{dropout[0]} and {dropout[1]}; the frequencies of the keys get {task.baseline().error:.3f}"
    )
    for name, reference in references.items():
        cell = equal_size(contestant(name), task, parameters).contestant
        label = f"{cell.label}({cell.options['hidden_size']})"
        one_by_one(checks, task, label, cell.build)

        def make(keys: int, cell=cell, deviation: float = DEVIATIONS[name]) -> nn.Module:
            return MusicLayer(cell.build(keys), dropout, deviation)

        done = trials(label, task, make, seeds, **options)
        what = f"{label}: nats a frame, worst of {seeds} seed{'s' * (seeds > 1)} (reference {reference})"
        checks.at_most(what, worst(done), reference + tolerance)
    print(f"      {(time.perf_counter() - started) / 60:.1f} minutes")


def main() -> int:
    checks = Checks()
    if wants_quick(__doc__):
        references = dict.fromkeys(("lstm", "gru", "rnn"), 3.812)
        row(checks, made_up(), 20_000, references, epochs=40, seeds=1, tolerance=0.5, lr=0.02, dropout=(0.0, 0.0))
        return checks.finish()
    references = {"lstm": 8.45, "gru": 8.43, "rnn": 8.91}
    row(checks, tasks.JSBChorales(), 300_000, references, epochs=60, seeds=3)
    references = {"lstm": 3.29, "gru": 3.46, "rnn": 4.05}
    options = {"epochs": 20, "seeds": 1, "batch_size": 4, "patience": 2, "dropout": (0.0, 0.2)}
    row(checks, tasks.Nottingham(), 1_000_000, references, **options)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
