"""Karpathy's char-rnn: two layers of 128 LSTM units learn to write Shakespeare, a character at a time.

One learns what a character model is trained by (50 streams read side by side in windows of 50 characters, the state
carried from window to window and its gradient cut there), how its loss falls epoch by epoch, and what its samples look
like meanwhile: first the lengths of words, then words, then the layout of a play.

Source: A. Karpathy, "The Unreasonable Effectiveness of Recurrent Neural Networks", 2015, and its program char-rnn,
whose defaults these are: 2 x 128 LSTM, batch 50, length 50, RMSProp 2e-3 with decay 0.95, the rate x 0.97 an epoch
after epoch 10, every gradient clipped to ±5, the last 5 % of each of the 50 streams held out. The reference was
measured with PyTorch, one seed: nats a character on the held-out part after epochs 1, 3, 6, 7 and 12.

    python examples/char_rnn.py          # tiny Shakespeare, three seeds: some twenty minutes on two cores
    python examples/char_rnn.py --quick  # seconds, on a piece of the Python manual
"""

from __future__ import annotations

import time

import numpy as np
from checks import Checks, wants_quick

import tinygrad_rnn as tg
from tinygrad_rnn import data, nn, optim
from tinygrad_rnn.interop import torch_state_dict

REFERENCE = {1: 2.146, 3: 1.693, 6: 1.500, 7: 1.472, 12: 1.410}
TOLERANCE, SEEDS, EPOCHS = 0.03, 3, 12
BATCH, LENGTH, HELD_OUT = 50, 50, 0.05


class CharRNN(nn.Module):
    """Characters one-hot, layers of LSTM, a score for each character."""

    def __init__(self, symbols: int, hidden: int = 128, layers: int = 2) -> None:
        super().__init__()
        self.symbols = symbols
        self.lstm = nn.LSTM(symbols, hidden, num_layers=layers)
        self.scores = nn.Linear(hidden, symbols)

    def forward(self, ids, state=None):
        """Return the scores (time, batch, symbols) of what follows `ids` (time, batch), and the state."""
        y, state = self.lstm(np.eye(self.symbols, dtype=self.scores.weight.dtype)[ids], state)
        return self.scores(y), state


def windows(text: str, vocabulary: data.CharVocabulary, batch: int, length: int):
    """Return the windows to train on and those held out: the end of every stream."""
    streams = list(data.Streams(vocabulary.encode(text), batch, length))
    first = int(len(streams) * (1 - HELD_OUT))
    return streams[:first], streams[first:]


def losses_of(model: CharRNN, optimizer: optim.RMSprop, training) -> list[float]:
    """Train on every window once; return the losses."""
    state, losses = None, []
    for x, y in training:
        scores, state = model(x, state)
        loss = nn.cross_entropy(scores, y)
        optimizer.zero_grad()
        loss.backward()
        optim.clip_grad_value(model.parameters(), 5.0)
        optimizer.step()
        state = tuple(part.detach() for part in state)
        losses.append(loss.item())
    return losses


def held_out_loss(model: CharRNN, held_out) -> float:
    """Return the loss on the windows held out, nats a character."""
    state, total = None, 0.0
    with tg.no_grad():
        for x, y in held_out:
            scores, state = model(x, state)
            total += nn.cross_entropy(scores, y).item()
    return total / len(held_out)


def sample(model: CharRNN, vocabulary: data.CharVocabulary, start: str, length: int, temperature: float) -> str:
    """Go on from `start`: feed it in, then draw each character by its probability, sharpened by the temperature."""
    rng, ids = np.random.default_rng(0), list(vocabulary.encode(start))
    with tg.no_grad():
        scores, state = model(np.array(ids)[:, None])
        while len(ids) < length:
            p = tg.softmax(scores[-1, 0].astype(np.float64) / temperature).data
            ids.append(rng.choice(len(p), p=p / p.sum()))
            scores, state = model(np.array(ids[-1:])[:, None], state)
    return vocabulary.decode(ids)


def train(text: str, vocabulary: data.CharVocabulary, seed: int, epochs: int, show: int | None = None):
    """Return the losses on the part held out, before the training and after each epoch."""
    tg.random.seed(seed)
    training, held_out = windows(text, vocabulary, BATCH, LENGTH)
    model = CharRNN(len(vocabulary))
    optimizer = optim.RMSprop(model.parameters(), lr=2e-3, alpha=0.95)
    losses, started = [held_out_loss(model, held_out)], time.perf_counter()
    for number in range(1, epochs + 1):
        if number > 10:
            optimizer.param_groups[0]["lr"] *= 0.97
        shown = np.mean(losses_of(model, optimizer, training))
        losses.append(held_out_loss(model, held_out))
        spent = time.perf_counter() - started
        print(
            f"      seed {seed}, epoch {number:2}: training {shown:.3f}, held out {losses[-1]:.3f}, {spent:.0f} s",
            flush=True,
        )
        if show is not None and number in (1, 2, 4, 8, 12):
            written = sample(model, vocabulary, "ROMEO:\n", show, 0.7)
            print("\n".join([f"            | {line}" for line in written.splitlines()]), flush=True)
    return losses


def losses_of_pytorch(model: CharRNN, training) -> list[float] | None:
    """Return what `losses_of` returns, by PyTorch from the same weights; None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    sizes = model.symbols, model.lstm.cells[0].hidden_size, model.lstm.num_layers
    lstm, scores = torch.nn.LSTM(*sizes).double(), torch.nn.Linear(sizes[1], sizes[0]).double()
    lstm.load_state_dict({name: torch.tensor(array) for name, array in torch_state_dict(model.lstm).items()})
    scores.load_state_dict({name: torch.tensor(part.data.T.copy()) for name, part in model.scores.named_parameters()})
    parameters = [*lstm.parameters(), *scores.parameters()]
    optimizer = torch.optim.RMSprop(parameters, lr=2e-3, alpha=0.95)
    state, losses = None, []
    for x, y in training:
        one_hot = torch.nn.functional.one_hot(torch.from_numpy(x), sizes[0]).double()
        out, state = lstm(one_hot, state)
        loss = torch.nn.functional.cross_entropy(scores(out).flatten(0, 1), torch.from_numpy(y).flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(parameters, 5.0)
        optimizer.step()
        state = tuple(part.detach() for part in state)
        losses.append(loss.item())
    return losses


def quick(checks: Checks) -> None:
    """Hold the training step by step against PyTorch, and learn something."""
    text = data.python_manual()[:20_000]
    vocabulary = data.CharVocabulary.from_text(text)
    training, held_out = windows(text, vocabulary, 10, 20)
    tg.random.seed(0)
    model = CharRNN(len(vocabulary), hidden=16).astype(np.float64)
    theirs = losses_of_pytorch(model, training[:20])
    before = held_out_loss(model, held_out)
    optimizer = optim.RMSprop(model.parameters(), lr=2e-3, alpha=0.95)
    ours = losses_of(model, optimizer, training[:20])
    print("The training of char-rnn, small, on 20,000 characters of the Python manual")
    checks.close("loss before training and log(symbols)", before, np.log(len(vocabulary)), 0.1)
    if theirs is None:
        print("      PyTorch is not installed: nothing to compare with (pip install tinygrad_rnn[oracle])")
    else:
        checks.close("losses of 20 steps, PyTorch", ours, theirs, 1e-9)
    for _ in range(2):
        losses_of(model, optimizer, training)
    frequencies = np.bincount(vocabulary.encode(text)) / len(text)
    entropy = -float(np.sum(frequencies * np.log(frequencies)))
    checks.at_most(
        "loss after two epochs, below the entropy of single characters", held_out_loss(model, held_out), entropy
    )
    checks.same("a sample goes on from its start", sample(model, vocabulary, "The ", 20, 0.7)[:4], "The ")


def main() -> int:
    checks = Checks()
    if wants_quick(__doc__):
        quick(checks)
        return checks.finish()
    text = data.read_text(data.fetch("tinyshakespeare.txt"))
    vocabulary = data.CharVocabulary.from_text(text)
    print(f"{len(text):,} characters, {len(vocabulary)} different ones; {SEEDS} seeds, {EPOCHS} epochs")
    curves = [train(text, vocabulary, seed, EPOCHS, 200 if seed == 0 else None) for seed in range(SEEDS)]
    for number, reference in REFERENCE.items():
        for seed, curve in enumerate(curves):
            checks.close(f"seed {seed}, held out after epoch {number}", curve[number], reference, TOLERANCE)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
