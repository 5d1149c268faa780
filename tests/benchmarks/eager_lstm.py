"""Time one training step of an LSTM composed of operations against hand-written NumPy BPTT and other autograds.

Forward and full backward (all weights and x) over T steps, float64, the contenders taking turns. Prints milliseconds
and the ratio of each contender to the hand-written gradients: the median over rounds of the ratios within a round.

    python -m tests.benchmarks.eager_lstm [--rounds N] [--steps T]
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_rnn as tg

Weights = tuple[Any, Any, Any]
Case = tuple[Any, Weights]
SIZES = ((1, 8), (16, 64), (64, 256))
ASKED = {(1, 8): 4.0, (16, 64): 2.0, (64, 256): 1.3}


def make_case(steps: int, batch: int, hidden: int) -> Case:
    """Return x (steps, batch, hidden) and the weights (hidden, 4 hidden) twice and (4 hidden)."""
    rng = np.random.default_rng(0)
    scale = 1 / np.sqrt(hidden)
    weights = tuple(rng.uniform(-scale, scale, shape) for shape in ((hidden, 4 * hidden), (hidden, 4 * hidden), 4 * hidden))
    return rng.standard_normal((steps, batch, hidden)), weights  # type: ignore[return-value]


def by_hand(x: Any, w_x: Any, w_h: Any, b: Any) -> list[Any]:
    """Backpropagation through time as one writes it in NumPy; the loss is the sum of all outputs."""
    steps, batch, hidden = x.shape
    h = np.zeros((batch, hidden))
    c = np.zeros((batch, hidden))
    saved = []
    loss = 0.0
    for t in range(steps):
        z = x[t] @ w_x + h @ w_h + b
        gates = 1 / (1 + np.exp(-z[:, : 3 * hidden]))
        i, f, o = gates[:, :hidden], gates[:, hidden : 2 * hidden], gates[:, 2 * hidden :]
        g = np.tanh(z[:, 3 * hidden :])
        h_before, c_before = h, c
        c = f * c + i * g
        squashed = np.tanh(c)
        h = o * squashed
        loss += h.sum()
        saved.append((h_before, c_before, gates, i, f, o, g, squashed))
    dx = np.empty_like(x)
    dw_x, dw_h, db = np.zeros_like(w_x), np.zeros_like(w_h), np.zeros_like(b)
    dh, dc = np.zeros((batch, hidden)), np.zeros((batch, hidden))
    dz = np.empty((batch, 4 * hidden))
    for t in reversed(range(steps)):
        h_before, c_before, gates, i, f, o, g, squashed = saved[t]
        dh = dh + 1
        dc = dc + dh * o * (1 - squashed * squashed)
        dz[:, :hidden] = dc * g
        dz[:, hidden : 2 * hidden] = dc * c_before
        dz[:, 2 * hidden : 3 * hidden] = dh * squashed
        dz[:, : 3 * hidden] *= gates * (1 - gates)
        dz[:, 3 * hidden :] = dc * i * (1 - g * g)
        dx[t] = dz @ w_x.T
        dw_x += x[t].T @ dz
        dw_h += h_before.T @ dz
        db += dz.sum(0)
        dh = dz @ w_h.T
        dc = dc * f
    return [loss, dx, dw_x, dw_h, db]


def composed(np: Any, sigmoid: Callable[[Any], Any], split: Callable[[Any], Any], x: Any, w_x: Any, w_h: Any, b: Any) -> Any:
    """The same LSTM as operations of any library that has NumPy's functions."""
    steps, batch, hidden = x.shape
    h = c = np.zeros((batch, hidden))
    outputs = []
    for t in range(steps):
        gates, g = split(x[t] @ w_x + h @ w_h + b)
        i, f, o = split(sigmoid(gates))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        outputs.append(h)
    return np.sum(np.stack(outputs))
