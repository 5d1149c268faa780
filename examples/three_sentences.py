"""FloydHub's guide: a recurrent network of twelve units learns three sentences by heart.

One learns a whole little language model (letters one-hot, a layer, scores, cross entropy, Adam), and two things about
it. Sentences of different length are padded with spaces in the guide, and the network has to learn the spaces too;
with `lengths` the padding is not there for it. And to go on from "good", the guide runs over all letters again
for each new one; with the state carried from step to step, one step a letter is enough.

Source: G. Loye, "A Beginner's Guide on Recurrent Neural Networks with PyTorch", FloydHub, 2019: sentences, 12 hidden
units, Adam 0.01, 100 epochs; it prints the losses 2.4076 ... 0.1561, or 2.4176 ... 0.1690 in another copy, seed
unknown. From the same initial weights PyTorch and this print the same digits.
"""

from __future__ import annotations

import numpy as np
from checks import Checks, wants_quick

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim
from tinygrad_rnn.interop import torch_state_dict

SENTENCES = ("hey how are you", "good i am fine", "have a nice day")
SYMBOLS = sorted(set("".join(SENTENCES)))
HIDDEN, EPOCHS, SEEDS = 12, 100, 20
# After epochs 10, 20, ..., 100, as the guide prints them.
GUIDE = (2.4076, 2.1100, 1.6700, 1.2411, 0.8873, 0.6129, 0.4116, 0.2827, 0.2038, 0.1561)


class Network(nn.Module):
    """Letters one-hot, a recurrent layer, a score for each letter."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(len(SYMBOLS), HIDDEN)
        self.fc = nn.Linear(HIDDEN, len(SYMBOLS))

    def forward(self, ids, state=None, lengths=None):
        """Return the scores (time, batch, symbols) of the letters after `ids` (time, batch), and the state."""
        one_hot = np.eye(len(SYMBOLS), dtype=self.fc.weight.dtype)[ids]
        y, state = self.rnn(one_hot, state, lengths)
        return self.fc(y), state


def encode(sentences, filler: str = " ") -> np.ndarray:
    """Return the letters' numbers (time, batch), short sentences filled up."""
    longest = max(map(len, sentences))
    return np.array([[SYMBOLS.index(letter) for letter in text.ljust(longest, filler)] for text in sentences]).T


def train(model: Network, padding_counts: bool, filler: str = " ") -> list[float]:
    """Return the losses before each of the epochs, in nats a letter."""
    ids = encode(SENTENCES, filler)
    inputs, targets, lengths = ids[:-1], ids[1:], None
    if not padding_counts:
        lengths = np.array([len(sentence) - 1 for sentence in SENTENCES])
        targets = np.where(np.arange(len(targets))[:, None] < lengths, targets, -100)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        scores, _ = model(inputs, lengths=lengths)
        loss = nn.cross_entropy(scores, targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def train_with_pytorch(model: Network):
    """Return the losses of the guide's own program from the weights of `model`; None without PyTorch."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    rnn, fc = torch.nn.RNN(len(SYMBOLS), HIDDEN), torch.nn.Linear(HIDDEN, len(SYMBOLS))
    rnn.load_state_dict({name: torch.tensor(array) for name, array in torch_state_dict(model.rnn).items()})
    weight, bias = torch.tensor(model.fc.weight.data.T.copy()), torch.tensor(model.fc.bias.data.copy())
    fc.load_state_dict({"weight": weight, "bias": bias})
    rnn.to(weight.dtype)
    fc.to(weight.dtype)
    ids = torch.from_numpy(encode(SENTENCES))
    one_hot = torch.nn.functional.one_hot(ids[:-1], len(SYMBOLS)).to(weight.dtype)
    optimizer = torch.optim.Adam([*rnn.parameters(), *fc.parameters()], lr=0.01)
    losses = []
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        scores = fc(rnn(one_hot)[0])
        loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), ids[1:].flatten())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def go_on(model: Network, start: str, length: int) -> str:
    """Return `start` and what the network thinks comes next, one step a letter, the state carried along."""
    with tg.no_grad():
        text = start
        scores, state = model(encode([start]))
        while len(text) < length:
            text += SYMBOLS[int(np.argmax(scores.data[-1, 0]))]
            scores, state = model(encode([text[-1]]), state)
    return text


def go_on_from_all_letters(model: Network, start: str, length: int) -> str:
    """Return the same in the guide's way: all letters again for each new one."""
    with tg.no_grad():
        text = start
        while len(text) < length:
            text += SYMBOLS[int(np.argmax(model(encode([text]))[0].data[-1, 0]))]
    return text


def new_network(seed: int, dtype=np.float32) -> Network:
    tg.random.seed(seed)
    return Network().astype(dtype)


def main() -> int:
    wants_quick(__doc__)
    checks = Checks()

    print("The same losses as PyTorch from the same initial weights, at all 100 epochs; seed 0")
    for dtype, tolerance in ((np.float64, 1e-10), (np.float32, 1e-4)):
        model = new_network(0, dtype)
        theirs = train_with_pytorch(model)
        ours = train(model, padding_counts=True)
        if theirs is None:
            print("      PyTorch is not installed: nothing to compare with (pip install tinygrad_rnn[oracle])")
            break
        checks.close(f"losses, {np.dtype(dtype).name}", ours, theirs, tolerance)
        digits, their_digits = ([f"{loss:.4f}" for loss in losses[9::10]] for losses in (ours, theirs))
        if dtype is np.float64:
            checks.same("printed digits at epochs 10, 20, ... 100", digits, their_digits)

    print(f"\nThe guide's losses (its seed is unknown) among those of {SEEDS} seeds of ours")
    models = [new_network(seed) for seed in range(SEEDS)]
    curves = np.array([train(model, padding_counts=True)[9::10] for model in models])
    for i, printed in enumerate(GUIDE):
        checks.inside(f"epoch {10 * (i + 1)}", printed, curves[:, i])

    print("\nWhat comes after 'good', padded with spaces: fifteen letters, the last of them a space")
    padded = models[0]
    text = go_on(padded, "good", 15)
    checks.same("one step a letter, the state carried", text, "good i am fine ")
    checks.same("all letters again for each new one", go_on_from_all_letters(padded, "good", 15), text)
    right = sum(go_on(model, "good", 15) == text for model in models)
    checks.at_least(f"how many of {SEEDS} seeds say it", right, 19)

    print("\nThe same with lengths: a sentence ends where it ends")
    masked = new_network(0)
    losses = train(masked, padding_counts=False)
    print("      epochs  " + "".join(f"{epoch:7}" for epoch in range(10, EPOCHS + 1, 10)))
    print("      padded  " + "".join(f" {loss:.4f}" for loss in curves[0]))
    print("      masked  " + "".join(f" {loss:.4f}" for loss in losses[9::10]))
    checks.same("one step a letter, the state carried", go_on(masked, "good", 14), "good i am fine")
    others = train(new_network(0), padding_counts=False, filler="y")
    checks.close("losses with y for padding in place of spaces", others, losses, 0.0)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
