"""Karpathy's four-letter network: it reads h, e, l, l and learns to say e, l, l, o.

One learns what the state of a recurrent network is for. After the first l comes an l, after the second an o: the same
input with two answers, so a network without memory has to guess between the two and cannot get below a loss of
(ln 2) / 2 = 0.347 nats a letter. The recurrent one does, since its state tells which l it was.

Source: A. Karpathy, "The Unreasonable Effectiveness of Recurrent Neural Networks", 2015 (vocabulary h, e, l, o; three
hidden units; the loss and the seed are not given there).
"""

from __future__ import annotations

import math

import numpy as np
from checks import Checks, wants_quick

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim

LETTERS = "helo"
SEEDS = range(5)


class Network(nn.Module):
    """Letters one-hot, a recurrent layer of three units, a score for each letter."""

    def __init__(self, remembers: bool = True) -> None:
        super().__init__()
        self.remembers = remembers
        self.layer = nn.RNN(len(LETTERS), 3)
        self.to_scores = nn.Linear(3, len(LETTERS))

    def forward(self, ids, state=None):
        """Return the scores of the next letter (time, batch, 4) and the state; `ids` are (time, batch)."""
        x = tg.one_hot(ids, len(LETTERS))
        if self.remembers:
            y, state = self.layer(x, state)
        else:
            y = np.concatenate([self.layer(x[t : t + 1])[0] for t in range(len(x))])
        return self.to_scores(y), state


def encode(text: str) -> np.ndarray:
    return np.array([[LETTERS.index(letter)] for letter in text])


def say(model: Network, letter: str, length: int) -> str:
    """Feed a letter, then again and again the letter that the network thinks comes next."""
    text, state = "", None
    with tg.no_grad():
        for _ in range(length):
            scores, state = model(encode(letter), state)
            letter = LETTERS[int(np.argmax(scores.data[-1, 0]))]
            text += letter
    return text


def train(model: Network, steps: int) -> list[float]:
    """Return the loss before every step, in nats a letter."""
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(steps):
        scores, _ = model(encode("hell"))
        loss = nn.cross_entropy(scores, encode("ello"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main() -> int:
    wants_quick(__doc__)
    checks = Checks()
    at_start = []
    for seed in SEEDS:
        tg.random.seed(seed)
        model = Network()
        before = say(model, "h", 4)
        losses = train(model, 200)
        said = say(model, "h", 4)
        print(f"seed {seed}: before training h -> {before!r}, after 200 steps h -> {said!r}, loss {losses[-1]:.4f}")
        checks.same("what it says after h", said, "ello")
        at_start.append(losses[0])
        checks.at_most("loss at the end, below what is possible without memory", losses[-1], 0.1)

    checks.close("mean loss at the start, beside ln 4 (all letters alike)", np.mean(at_start), math.log(4), 0.2)

    print("\nThe same network, its state thrown away before each letter: it cannot tell the first l from the second")
    tg.random.seed(0)
    forgetful = Network(remembers=False)
    checks.close("loss after 1,000 steps", train(forgetful, 1000)[-1], math.log(2) / 2, 0.01)

    print("\nThe scores of the trained network, as in the article's figure (columns are letters read)")
    scores = model(encode("hell"))[0].data[:, 0]
    print("      " + "".join(f"{letter:>8}" for letter in "hell"))
    for i, letter in enumerate(LETTERS):
        print(f"    {letter} " + "".join(f"{score:8.1f}" for score in scores[:, i]))
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
