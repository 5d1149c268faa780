"""Draw recurrent nets so that they stay readable: time folded or unrolled, modules collapsed, gradients beside.

    python examples/drawings.py [FOLDER]

The pictures go into FOLDER, docs/pictures/drawings if none is given.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz


def folded():
    """An LSTM over 700 steps: 10,000 operations, drawn once."""
    return viz.draw(nn.LSTM(28, 64), np.ones((700, 8, 28), np.float32), legend=True)


def unrolled():
    """The same for a GRU that reads in both directions, step by step and a cell in a box."""
    layer = nn.GRU(28, 64, bidirectional=True)
    return viz.draw(layer, np.ones((50, 8, 28), np.float32), time="unroll", depth=2, direction="LR")


def modules():
    """A character model and its loss: a box for each module, with the number of its parameters."""
    embedding, layer, head = nn.Embedding(100, 32), nn.LSTM(32, 64), nn.Linear(64, 100)

    def loss(text, targets):
        return nn.cross_entropy(head(layer(embedding(text))[0]), targets)

    text = np.arange(51)[:, None] % 100
    return viz.draw(loss, text[:-1], text[1:], depth=1)


def gradients():
    """A plain recurrent net with its gradients beside it."""
    layer = nn.RNN(28, 64)
    x = np.random.default_rng(0).standard_normal((50, 8, 28)).astype(np.float32)
    return viz.draw(lambda x: np.mean(layer(x)[1] ** 2), x, backward=True)


def vanishing():
    """The norms of gradients over the steps that they belong to: small at the first, larger at the last."""
    rng = np.random.default_rng(0)
    weight = tg.Tensor(0.4 * rng.standard_normal((8, 8)) / np.sqrt(8), requires_grad=True, name="weight")

    def loss(x, h):
        for t in range(10):
            h = np.tanh(x[t] + h @ weight)
        return np.sum(h**2)

    show = ("shapes", "grads", "saved")
    return viz.draw(loss, rng.standard_normal((10, 1, 8)), np.zeros((1, 8)), time="unroll", show=show, direction="LR")


def alternating():
    """A loop in plain Python, without modules, in which two weights take turns."""
    one, other = [tg.Tensor(np.eye(8), requires_grad=True, name=name) for name in ("one", "other")]

    def turns(h):
        for _ in range(20):
            h = np.tanh(h @ one)
            h = tg.sigmoid(h @ other)
        return h

    return viz.draw(turns, np.ones((1, 8)))


PICTURES = {
    "folded": (folded, ["× 700", "h: t − 1 → t", "c: t − 1 → t"]),
    "unrolled": (unrolled, ["t = 49", "t = 2 … 48", "t = 47 … 1", "cells.1"]),
    "modules": (
        modules,
        ["text", "targets", "3,200 parameters", "25,088 parameters", "× 50 steps", "6,500 parameters"],
    ),
    "gradients": (gradients, ["∂state: t → t − 1", "sum of 50", "saved"]),
    "vanishing": (vanishing, ["‖∂‖", "t = 2 … 8"]),
    "alternating": (alternating, ["× 20", "one", "other"]),
}


def main(folder="docs/pictures/drawings", quick=False):
    """Draw all, check that the pictures show what they are to show, and save them."""
    for name, (make, labels) in PICTURES.items():
        tg.random.seed(0)
        picture = make()
        for label in labels:
            assert label in picture.source, (name, label)
        if not quick:
            Path(folder).mkdir(parents=True, exist_ok=True)
            picture.save(Path(folder) / f"{name}.svg")
        print(f"{name}: {make.__doc__}")


if __name__ == "__main__":
    main(*[argument for argument in sys.argv[1:] if argument != "--quick"][:1], quick="--quick" in sys.argv)
