"""WildML's tutorial: a word language model whose gradient goes back four steps from every word, and no further.

One learns what "truncated" means to the letter. The tutorial's hand-written `bptt` sends the error of each word back
through at most five steps, each error through a window of its own. Here that is nothing but the model on windows: one
row a word, its first state taken as a constant, all rows at once. The graph's gradients are those of the tutorial to
1e-10, with no backward code, and whole sentences, without truncation, are one call more.

Source: D. Britz, "Recurrent Neural Networks Tutorial, Part 2", WildML, 2015: vocabulary 8,000, hidden 100, truncation
4, learning rate 0.005, weights uniform in ±1/√(number of inputs), no biases. Its figures: the loss at the start is
log 8000 = 8.987, a step takes 350 ms in its NumPy and 70 ms in Theano, on its machine. Its comments from Reddit are not
here: the words are those of the Python manual, of which there are enough.
"""

from __future__ import annotations

import time

import numpy as np
from checks import Checks, wants_quick

import tinygrad_rnn as tg
from tinygrad_rnn import data, nn

VOCABULARY, HIDDEN, TRUNCATE, RATE = 8000, 100, 4, 0.005
START, END, UNKNOWN = "SENTENCE_START", "SENTENCE_END", "UNKNOWN_TOKEN"


def sentences(text: str, vocabulary: int) -> list[np.ndarray]:
    """Return the sentences of a text as numbers of words, the rare words made one."""
    words = [[START, *sentence.lower().split(), END] for sentence in text.replace("\n\n", ". ").split(". ")]
    words = [sentence for sentence in words if len(sentence) > 3]
    known, counts = np.unique([word for sentence in words for word in sentence], return_counts=True)
    frequent = known[np.argsort(-counts, kind="stable")][: vocabulary - 1]
    numbers = {word: i for i, word in enumerate([*frequent, UNKNOWN])}
    return [np.array([numbers.get(word, len(numbers) - 1) for word in sentence]) for sentence in words]


class Step(nn.Cell):
    """s_t = tanh(U[x_t] + s_(t-1) W)."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.input_size = self.hidden_size = hidden_size
        self.W = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, x, s):
        """Take one step; x is the vector of a word."""
        s = np.tanh(x + self.W(s))
        return s, s


class WordModel(nn.Module):
    """Words to vectors, the cell over time, a score for every word."""

    def __init__(self, vocabulary: int, hidden: int) -> None:
        super().__init__()
        self.U = nn.Embedding(vocabulary, hidden)
        self.U.weight.assign(tg.random.generator().uniform(-1, 1, (vocabulary, hidden)) / np.sqrt(vocabulary))
        self.over_time = nn.Recurrent(Step(hidden))
        self.V = nn.Linear(hidden, vocabulary, bias=False)

    def forward(self, words):
        """Return the scores (time, vocabulary) of what follows each of the words (time,)."""
        states, _ = self.over_time(self.U(words)[:, None])
        return self.V(states[:, 0])

    def truncated(self, words, steps: int):
        """Return the same scores, each with a gradient through its last `steps` steps only."""
        with tg.no_grad():
            states, _ = self.over_time(self.U(words)[:, None])
        ends = np.arange(len(words))
        starts = np.maximum(ends - steps + 1, 0)
        before = np.concatenate([np.zeros_like(states.data[:1, 0]), states.data[:, 0]])[starts]
        windows = np.minimum(starts + np.arange(steps)[:, None], len(words) - 1)
        _, last = self.over_time(self.U(words[windows]), before[None], lengths=ends - starts + 1)
        return self.V(last[0])


def by_graph(model: WordModel, x, y, steps: int | None):
    """Return the loss of a sentence, summed over its words, and its gradients in U, W and V."""
    scores = model(x) if steps is None else model.truncated(x, steps)
    loss = nn.cross_entropy(scores, y) * len(y)
    return loss.item(), tg.gradients(loss, parameters(model))


def parameters(model: WordModel) -> list[nn.Parameter]:
    return [model.U.weight, model.over_time.cells[0].W.weight, model.V.weight]


def by_hand(weights, x, y, steps: int):
    """Return the same as the tutorial computes it: forward in a loop, then `bptt` with a loop in a loop."""
    u, w, v = weights
    time_steps = len(x)
    s = np.zeros((time_steps + 1, len(w)), u.dtype)
    o = np.zeros((time_steps, v.shape[1]), u.dtype)
    for t in range(time_steps):
        s[t] = np.tanh(u[x[t]] + s[t - 1] @ w)
        scores = s[t] @ v
        exponentials = np.exp(scores - scores.max())
        o[t] = exponentials / exponentials.sum()
    loss = -np.sum(np.log(o[np.arange(time_steps), y]))
    du, dw, dv = np.zeros_like(u), np.zeros_like(w), np.zeros_like(v)
    delta_o = o
    delta_o[np.arange(time_steps), y] -= 1
    for t in reversed(range(time_steps)):
        dv += np.outer(s[t], delta_o[t])
        delta = (v @ delta_o[t]) * (1 - s[t] ** 2)
        for step in range(t, max(t - steps, -1), -1):
            dw += np.outer(s[step - 1], delta)
            du[x[step]] += delta
            delta = (w @ delta) * (1 - s[step - 1] ** 2)
    return loss, [du, dw, dv]


def mean_loss(model: WordModel, corpus) -> float:
    """Return the loss, nats a word."""
    with tg.no_grad():
        total = sum(nn.cross_entropy(model(words[:-1]), words[1:]).item() * (len(words) - 1) for words in corpus)
    return total / sum(len(words) - 1 for words in corpus)


def sgd_step(model: WordModel, words, steps: int | None) -> None:
    """Take one step of stochastic gradient descent on one sentence."""
    _, gradients = by_graph(model, words[:-1], words[1:], steps)
    for parameter, gradient in zip(parameters(model), gradients, strict=True):
        parameter.assign(parameter.data - RATE * gradient)


def sgd_step_by_hand(weights, words, steps: int) -> None:
    """Take the same step by hand, in place."""
    _, gradients = by_hand(weights, words[:-1], words[1:], steps)
    for weight, gradient in zip(weights, gradients, strict=True):
        weight -= RATE * gradient


def timed(functions, rounds: int) -> list[float]:
    """Return the median time of each of some functions, milliseconds; they take turns."""
    times = [[] for _ in functions]
    for _ in range(rounds):
        for function, found in zip(functions, times, strict=True):
            started = time.perf_counter()
            function()
            found.append(1e3 * (time.perf_counter() - started))
    return [float(np.median(found)) for found in times]


def main() -> int:
    quick = wants_quick(__doc__)
    checks = Checks()
    vocabulary, hidden = (300, 20) if quick else (VOCABULARY, HIDDEN)
    corpus = sentences(data.python_manual()[: 20_000 if quick else None], vocabulary)
    tg.random.seed(10)
    model = WordModel(vocabulary, hidden).astype(np.float64)
    words = corpus[10]
    x, y = words[:-1], words[1:]
    print(f"{len(corpus):,} sentences, {vocabulary:,} words, seed 10; gradients on a sentence of {len(y)} words")

    start = mean_loss(model, corpus[:100])
    checks.close("loss at the start and log of the vocabulary", start, np.log(vocabulary), 0.02)
    weights = [parameter.data for parameter in parameters(model)]
    steps = TRUNCATE + 1
    for title, theirs, ours in (
        ("truncated", by_hand(weights, x, y, steps), by_graph(model, x, y, steps)),
        ("whole sentence", by_hand(weights, x, y, len(x)), by_graph(model, x, y, None)),
    ):
        checks.close(f"loss, {title}, and by hand", ours[0], theirs[0], 1e-9)
        for name, a, b in zip(("U", "W", "V"), ours[1], theirs[1], strict=True):
            checks.close(f"gradient of {name}, {title}, and by hand", a, b, 1e-10)

    copies = [np.array(weight) for weight in weights]
    ways = {
        "by hand in NumPy, truncated": lambda: sgd_step_by_hand(copies, words, steps),
        "the graph, truncated": lambda: sgd_step(model, words, steps),
        "the graph, whole sentence": lambda: sgd_step(model, words, None),
    }
    print("\nMilliseconds for one step of gradient descent on that sentence (the tutorial: NumPy 350, Theano 70)")
    for name, milliseconds in zip(ways, timed(ways.values(), 3 if quick else 30), strict=True):
        print(f"      {name:30} {milliseconds:8.2f}")

    tg.random.seed(10)
    model = WordModel(vocabulary, hidden)
    train, held_out = corpus[: 300 if quick else 2500], corpus[-100:]
    before = mean_loss(model, held_out)
    for sentence in train:
        sgd_step(model, sentence, steps)
    after = mean_loss(model, held_out)
    print(
        f"\nOne pass over {len(train):,} sentences: {before:.3f} to {after:.3f} nats a word on {len(held_out)} others"
    )
    checks.at_most("held-out loss after one pass, below that at the start", after, before - 0.5)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
