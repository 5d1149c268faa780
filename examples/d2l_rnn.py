"""Dive into Deep Learning's lesson "RNN from scratch", in both its settings, beside the same program in PyTorch.

One learns the whole of a character model from its parts: three weights and two biases, a step of algebra, perplexity,
and why gradients are clipped. The step is written as the book writes it; the loop over it is compiled here and runs in
Python there. Both start from the same weights and read the same batches, so that they can be compared epoch by epoch.

Source: A. Zhang, Z. Lipton, M. Li, A. Smola, "Dive into Deep Learning", "Recurrent Neural Network Implementation from
Scratch". First edition: 10,000 letters, 512 units, batch 32, 35 steps, learning rate 1, clipping to norm 1, 500 epochs,
the state carried on: perplexity 1.0 (1.1 with random windows). Second edition: 10,000 windows of 32 letters to train on
and 5,000 to validate, 32 units, batch 1,024, 100 epochs: perplexity 7.4. Its text, "The Time Machine", is not here:
tiny Shakespeare is, cut to the same size and cleaned in the same way. So the reference is PyTorch's perplexity.
"""

from __future__ import annotations

import re
import time
from typing import Any, NamedTuple

import numpy as np
from checks import Checks, wants_quick

import tinygrad_rnn as tg
from tinygrad_rnn import data, nn
from tinygrad_rnn.scan import scan

LETTERS = " abcdefghijklmnopqrstuvwxyz"
TIME_MACHINE = 173_428  # letters of the book's text
TOLERANCE = 0.03


class Setting(NamedTuple):
    """A way to train: sizes, and how the text becomes batches."""

    name: str
    hidden: int
    epochs: int
    carried: bool
    training: list[Any]
    validation: list[Any]


def letters(text: str, count: int) -> np.ndarray:
    """Return the text's letters as numbers, all else made one space."""
    cleaned = re.sub("[^a-z]+", " ", text.lower())[:count]
    return np.array([LETTERS.index(letter) for letter in cleaned])


def first_edition(corpus, hidden: int = 512, epochs: int = 500) -> Setting:
    """Return the setting of the first edition: streams that are read on from batch to batch; it reports on them."""
    streams = list(data.Streams(corpus[:10_001], batch_size=32, seq_len=35))
    return Setting("first edition", hidden, epochs, True, streams, streams)


def second_edition(corpus, hidden: int = 32, epochs: int = 100, windows: int = 10_000) -> Setting:
    """Return the setting of the second edition: overlapping windows, half as many more to validate on."""
    places = np.arange(windows * 3 // 2)[None] + np.arange(33)[:, None]
    x, y = corpus[places[:-1]], corpus[places[1:]]
    batches = [(x[:, i : i + 1024], y[:, i : i + 1024]) for i in range(0, x.shape[1], 1024)]
    first = windows // 1024 + 1
    return Setting("second edition", hidden, epochs, False, batches[:first], batches[first:])


def first_weights(hidden: int, seed: int = 0) -> list[np.ndarray]:
    """Return W_xh, W_hh, b_h, W_hq, b_q as the book starts them: 0.01 times normal numbers, biases 0."""
    rng, n = np.random.default_rng(seed), len(LETTERS)
    shapes = [(n, hidden), (hidden, hidden), (hidden,), (hidden, n), (n,)]
    return [
        np.zeros(shape, np.float32) if len(shape) == 1 else (0.01 * rng.standard_normal(shape)).astype(np.float32)
        for shape in shapes
    ]


class Ours:
    """The lesson in this framework."""

    name = "tinygrad_rnn"

    def __init__(self, weights: list[np.ndarray]) -> None:
        self.weights = [nn.Parameter(weight) for weight in weights]

    def loss(self, x, y, state):
        """Return the mean loss of a batch (time, batch) and the state after it."""
        w_xh, w_hh, b_h, w_hq, b_q = self.weights

        def step(x_t, h):
            h = np.tanh(x_t @ w_xh + h @ w_hh + b_h)
            return h, h

        one_hot = np.eye(len(LETTERS), dtype=np.float32)[x]
        state = np.zeros((x.shape[1], w_hh.shape[0]), np.float32) if state is None else state
        states, state = scan(step, state, one_hot)
        return nn.cross_entropy(states @ w_hq + b_q, y), state.detach()

    def train(self, x, y, state):
        """Take one step of gradient descent, the rate 1 and the gradient clipped to norm 1; return loss and state."""
        loss, state = self.loss(x, y, state)
        gradients = tg.gradients(loss, self.weights)
        norm = np.sqrt(sum(np.vdot(g, g) for g in gradients))
        scale = np.float32(min(1.0, 1.0 / norm))
        for weight, gradient in zip(self.weights, gradients, strict=True):
            weight.assign(weight.data - scale * gradient)
        return loss.item(), state

    def test(self, x, y, state):
        """Return loss and state."""
        with tg.no_grad():
            loss, state = self.loss(x, y, state)
        return loss.item(), state


class PyTorch:
    """The lesson as the book has it."""

    name = "PyTorch"

    def __init__(self, weights: list[np.ndarray]) -> None:
        import torch

        torch.set_num_threads(1)
        self.torch = torch
        self.weights = [torch.tensor(weight, requires_grad=True) for weight in weights]

    def loss(self, x, y, state):
        """Return the mean loss of a batch (time, batch) and the state after it."""
        torch = self.torch
        w_xh, w_hh, b_h, w_hq, b_q = self.weights
        x, y = torch.from_numpy(x), torch.from_numpy(y)
        one_hot = torch.nn.functional.one_hot(x, len(LETTERS)).float()
        h = torch.zeros(x.shape[1], w_hh.shape[0]) if state is None else state
        outputs = []
        for x_t in one_hot:
            h = torch.tanh(x_t @ w_xh + h @ w_hh + b_h)
            outputs.append(h @ w_hq + b_q)
        scores = torch.stack(outputs).flatten(0, 1)
        return torch.nn.functional.cross_entropy(scores, y.flatten()), h.detach()

    def train(self, x, y, state):
        """Take one step of gradient descent, the rate 1 and the gradient clipped to norm 1; return loss and state."""
        torch = self.torch
        loss, state = self.loss(x, y, state)
        gradients = torch.autograd.grad(loss, self.weights)
        norm = torch.sqrt(sum((g * g).sum() for g in gradients))
        with torch.no_grad():
            for weight, gradient in zip(self.weights, gradients, strict=True):
                weight -= gradient * min(1.0, 1.0 / norm.item())
        return loss.item(), state

    def test(self, x, y, state):
        """Return loss and state."""
        with self.torch.no_grad():
            loss, state = self.loss(x, y, state)
        return loss.item(), state


def passed(setting: Setting, batches, work) -> float:
    """Do something to every batch in turn; return the perplexity."""
    state, total, count = None, 0.0, 0
    for x, y in batches:
        loss, after = work(x, y, state)
        state = after if setting.carried else None
        total, count = total + loss * y.size, count + y.size
    return float(np.exp(total / count))


def run(setting: Setting, makers) -> dict[str, tuple[float, float]]:
    """Train by each maker, epoch by epoch in turns; return the last perplexity of each and its tokens a second."""
    models = [maker(first_weights(setting.hidden)) for maker in makers]
    seconds = dict.fromkeys([model.name for model in models], 0.0)
    found = {}
    tokens = setting.epochs * sum(y.size for _, y in setting.training)
    for epoch in range(1, setting.epochs + 1):
        for model in models:
            started = time.perf_counter()
            trained = passed(setting, setting.training, model.train)
            seconds[model.name] += time.perf_counter() - started
            if epoch == setting.epochs:
                last = trained if setting.carried else passed(setting, setting.validation, model.test)
                found[model.name] = last, tokens / seconds[model.name]
            elif epoch % max(setting.epochs // 5, 1) == 0:
                print(f"      epoch {epoch:3}  {model.name:12}  perplexity {trained:7.3f}", flush=True)
    return found


def main() -> int:
    checks = Checks()
    makers: list[Any] = [Ours]
    try:
        import torch  # noqa: F401

        makers.append(PyTorch)
    except ImportError:
        print("PyTorch is not installed: nothing to compare with (pip install tinygrad_rnn[oracle])")
    if wants_quick(__doc__):
        corpus = letters(data.python_manual(), 20_000)
        settings = [first_edition(corpus, hidden=64, epochs=4), second_edition(corpus, epochs=4, windows=1500)]
    else:
        corpus = letters(data.read_text(data.fetch("tinyshakespeare.txt")), TIME_MACHINE)
        settings = [first_edition(corpus), second_edition(corpus)]
    for setting in settings:
        print(f"{setting.name}: {setting.hidden} units, {setting.epochs} epochs, seed 0")
        found = run(setting, makers)
        for name, (perplexity, speed) in found.items():
            print(f"      {name:12}  perplexity {perplexity:7.3f}  {speed:10,.0f} tokens/s")
        ours = found["tinygrad_rnn"][0]
        checks.at_most(f"{setting.name}, perplexity below that of guessing", ours, len(LETTERS))
        if "PyTorch" in found:
            reference = found["PyTorch"][0]
            checks.close(f"{setting.name}, perplexity and PyTorch's", ours, reference, TOLERANCE * reference)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
