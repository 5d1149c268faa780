"""The gradients of a character RNN written by hand in NumPy, beside those of the graph: equal to 1e-10.

One learns what backpropagation through time is (the loop in `by_hand`, twenty lines to get right), and that the graph
finds the same numbers from the forward pass alone: `forward` is written once, and runs on arrays and on tensors. A
third column has the library's own layers with the same weights. Then the network trains on the manual that comes with
Python, once with each gradient.

Source: A. Karpathy, "min-char-rnn.py", 2015: hidden 100, windows of 25 letters with the state carried from one to the
next, weights 0.01 randn, gradients clipped to ±5, Adagrad 0.1. Written anew; the text is another one.
"""

from __future__ import annotations

import math
import time
from pydoc_data.topics import topics

import numpy as np
from checks import Checks, wants_quick

import tinygrad_rnn as tg
from tinygrad_rnn import nn

HIDDEN, WINDOW = 100, 25
NAMES = ("w_x", "w_h", "w_y", "b_h", "b_y")


def initial_weights(symbols: int, seed: int) -> list[np.ndarray]:
    """Return w_x (symbols, hidden), w_h (hidden, hidden), w_y (hidden, symbols), b_h and b_y."""
    rng = np.random.default_rng(seed)
    shapes = (symbols, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, symbols)
    return [0.01 * rng.standard_normal(shape) for shape in shapes] + [np.zeros(HIDDEN), np.zeros(symbols)]


def forward(weights, inputs, targets, h):
    """Return the loss of a window, summed over its letters in nats, and the state after it."""
    w_x, w_h, w_y, b_h, b_y = weights
    loss = 0.0
    for x, y in zip(inputs, targets, strict=True):
        h = np.tanh(w_x[x] + h @ w_h + b_h)
        scores = h @ w_y + b_y
        loss = loss + tg.logsumexp(scores) - scores[y]
    return loss, h


def by_hand(weights, inputs, targets, h):
    """Return the loss, its gradient for each of the weights, and the state after the window."""
    w_x, w_h, w_y, b_h, b_y = weights
    states, probabilities, loss = [h], [], 0.0
    for x, y in zip(inputs, targets, strict=True):
        h = np.tanh(w_x[x] + h @ w_h + b_h)
        scores = h @ w_y + b_y
        exponentials = np.exp(scores - scores.max())
        p = exponentials / exponentials.sum()
        loss -= math.log(p[y])
        states.append(h)
        probabilities.append(p)

    dw_x, dw_h, dw_y, db_h, db_y = gradients = [np.zeros_like(w) for w in weights]
    dh_from_later = np.zeros(HIDDEN)
    for t in reversed(range(len(inputs))):
        dscores = probabilities[t].copy()
        dscores[targets[t]] -= 1
        dw_y += np.outer(states[t + 1], dscores)
        db_y += dscores
        dh = w_y @ dscores + dh_from_later
        dz = (1 - states[t + 1] ** 2) * dh
        dw_x[inputs[t]] += dz
        dw_h += np.outer(states[t], dz)
        db_h += dz
        dh_from_later = w_h @ dz
    return loss, gradients, h


def by_graph(weights, inputs, targets, h):
    """Return the same as `by_hand`, with no gradient written by anybody."""
    tensors = [tg.Tensor(w, requires_grad=True) for w in weights]
    loss, h = forward(tensors, inputs, targets, h)
    loss.backward()
    return loss.item(), [tensor.grad for tensor in tensors], h.data


def by_layers(weights, inputs, targets, h):
    """Return the same as `by_hand`, from `nn.RNN` and `nn.Linear` with these weights."""
    symbols = len(weights[0])
    layer = nn.RNN(symbols, HIDDEN).astype(np.float64)
    to_scores = nn.Linear(HIDDEN, symbols).astype(np.float64)
    cell = layer.cells[0]
    # The cell has a bias with each of its products; this network has one.
    matrices = [cell.from_input.weight, cell.from_state.weight, to_scores.weight]
    parameters = [*matrices, cell.from_input.bias, to_scores.bias]
    for parameter, w in zip(parameters, weights, strict=True):
        parameter.assign(w)
    cell.from_state.bias.assign(np.zeros(HIDDEN))
    one_hot = np.eye(symbols)[inputs][:, None]
    y, state = layer(one_hot, h[None, None])
    loss = nn.cross_entropy(to_scores(y), targets[:, None], reduction="sum")
    loss.backward()
    return loss.item(), [parameter.grad for parameter in parameters], state.data[0, 0]


def windows(ids: np.ndarray, number: int):
    """Yield inputs and targets one after the other, and whether the state is to start anew."""
    for i in range(number):
        start = i * WINDOW % (len(ids) - WINDOW)
        yield ids[start : start + WINDOW], ids[start + 1 : start + WINDOW + 1], start < WINDOW


def train(weights, ids, number, also=None, every=10):
    """Train with the gradients written by hand; `also` is another way to them, tried on the way.

    Returns:
        The loss of each window a letter, the weights, the state, and the largest difference between the two ways, at
        every tenth window, relative to the largest element of a gradient. The two ways are compared on the same
        weights: a training with such steps is chaotic, so that two trainings part however small the differences are.
    """
    weights = [w.copy() for w in weights]
    squares = [np.zeros_like(w) for w in weights]
    losses, difference = [], 0.0
    for i, (inputs, targets, anew) in enumerate(windows(ids, number)):
        if anew:
            h = np.zeros(HIDDEN)
        loss, gradients, next_h = by_hand(weights, inputs, targets, h)
        if also is not None and i % every == 0:
            other_loss, others, _ = also(weights, inputs, targets, h)
            pairs = [(loss, other_loss), *zip(gradients, others, strict=True)]
            difference = np.max([difference] + [np.abs(a - b).max() / np.abs(a).max() for a, b in pairs])
        losses.append(loss / WINDOW)
        h = next_h
        for w, gradient, square in zip(weights, gradients, squares, strict=True):
            gradient = np.clip(gradient, -5, 5)
            square += gradient**2
            w -= 0.1 * gradient / np.sqrt(square + 1e-8)
    return np.array(losses), weights, h, difference


def sample(weights, symbols, h, first, length, rng):
    """Return text: each letter is drawn from what the network thinks comes next, and is fed back."""
    w_x, w_h, w_y, b_h, b_y = weights
    x, text = symbols.index(first), first
    for _ in range(length):
        h = np.tanh(w_x[x] + h @ w_h + b_h)
        x = rng.choice(len(symbols), p=tg.softmax(h @ w_y + b_y).data)
        text += symbols[x]
    return text


def seconds(gradient_of, weights, inputs, targets):
    """Return the median time of twenty calls."""
    times = []
    for _ in range(20):
        start = time.perf_counter()
        gradient_of(weights, inputs, targets, np.zeros(HIDDEN))
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main() -> int:
    quick = wants_quick(__doc__)
    checks = Checks()
    text = "\n".join(topics[name] for name in sorted(topics))
    symbols = sorted(set(text))
    ids = np.array([symbols.index(letter) for letter in text[:100_000]])
    weights = initial_weights(len(symbols), seed=0)
    print(
        f"{len(ids):,} letters of the Python manual, {len(symbols)} symbols, hidden {HIDDEN}, window {WINDOW}, seed 0\n"
    )

    print("One window, before training and after 200 windows of it (largest difference of any element)")
    trained = train(weights, ids, 200)[1]
    inputs, targets, _ = next(windows(ids, 1))
    h = np.random.default_rng(1).uniform(-1, 1, HIDDEN)
    for when, current in (("before", weights), ("after", trained)):
        loss, gradients, last = by_hand(current, inputs, targets, h)
        for who, function in (("graph", by_graph), ("layers", by_layers)):
            other_loss, others, other_last = function(current, inputs, targets, h)
            checks.close(f"{when}, {who} beside hand, loss", other_loss, loss, 1e-10)
            checks.close(f"{when}, {who} beside hand, state", other_last, last, 1e-10)
            for name, ours, theirs in zip(NAMES, others, gradients, strict=True):
                checks.close(f"{when}, {who} beside hand, d{name}", ours, theirs, 1e-10)

    number = 300 if quick else 4000
    print(f"\nTraining for {number} windows; at every tenth, the graph's gradients beside the hand-written ones")
    losses, trained, h, difference = train(weights, ids, number, also=by_graph)
    checks.at_most("largest relative difference of loss and gradients", difference, 1e-10)
    checks.close("loss at the start beside ln(symbols)", losses[0], math.log(len(symbols)), 0.01)
    checks.at_most("mean loss of the last 100 windows, nats a letter", losses[-100:].mean(), 3.2 if quick else 2.4)

    hand, graph = (seconds(function, weights, inputs, targets) for function in (by_hand, by_graph))
    print(f"\nmilliseconds a window: {hand * 1e3:.2f} by hand, {graph * 1e3:.2f} by the graph")
    print(f"\nWhat it writes now:\n{sample(trained, symbols, h, ' ', 200, np.random.default_rng(0))}")
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
