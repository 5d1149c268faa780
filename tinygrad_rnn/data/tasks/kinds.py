"""The kinds of tasks: what the read-out's numbers mean, the loss, and what counts as an error."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import nn
from ...core import Tensor
from .base import Array, Batch, Task


class Classification(Task):
    """A class for each sequence, or for each step: cross entropy; a sequence with any class wrong is an error.

    Where the batch says what is legal, a step is right if the k classes that may come have the k greatest scores.

    Source: Fahlman 1991, *The recurrent cascade-correlation architecture* (the criterion for legal symbols).

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.data import tasks
        >>> batch = tasks.Batch(np.zeros((4, 2, 1), np.float32), np.array([0, 1]))
        >>> tasks.Classification().errors(np.array([[2.0, 1.0], [2.0, 1.0]]), batch)
        array([0., 1.])
    """

    measures = "share of sequences wrong"

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross entropy of all targets that count, in nats."""
        return nn.cross_entropy(outputs, _targets(batch))

    def errors(self, outputs: Array, batch: Batch) -> Array:
        """Return 1 for each sequence with a wrong class, 0 for the others."""
        if batch.legal is None:
            wrong = outputs.argmax(-1) != batch.target
        else:
            wrong = misses_legal(outputs, batch.legal)
        return any_step(wrong, batch)


class NextSymbol(Classification):
    """A class for each step, of which none is certain: the error is the cross entropy itself, in nats a symbol."""

    measures = "nats a symbol"
    every_step = True

    def errors(self, outputs: Array, batch: Batch) -> Array:
        """Return the cross entropy of every target that counts."""
        losses = nn.cross_entropy(outputs, batch.target.astype(np.int64), reduction="none").data
        return of_steps_that_count(losses, batch)


class Regression(Task):
    """Numbers for each sequence, or for each step: the mean squared error is loss and error.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.data import tasks
        >>> batch = tasks.Batch(np.zeros((4, 2, 1), np.float32), np.array([[1.0], [3.0]]))
        >>> tasks.Regression().errors(np.array([[1.0], [1.0]]), batch)
        array([0., 4.])
    """

    measures = "mean squared error"

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the mean squared error over all targets that count."""
        return _mean(nn.mse_loss(outputs, batch.target, reduction="none"), batch, per_step=False)

    def errors(self, outputs: Array, batch: Batch) -> Array:
        """Return the squared error of each target that counts."""
        return of_steps_that_count(np.square(outputs - batch.target).mean(-1), batch)


class MultiLabel(Task):
    """Several labels at every step, each on or off: binary cross entropy, summed over the labels, is loss and error.

    Source: Boulanger-Lewandowski et al. 2012, *Modeling temporal dependencies in high-dimensional sequences* (for
    the negative log-likelihood of a frame).
    """

    measures = "nats a frame"
    every_step = True

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the negative log-likelihood of a step, in nats: the labels' summed, the mean over steps that count."""
        losses = nn.binary_cross_entropy_with_logits(outputs, batch.target, reduction="none")
        return _mean(losses, batch, per_step=True)

    def errors(self, outputs: Array, batch: Batch) -> Array:
        """Return the negative log-likelihood of each step that counts."""
        losses = nn.binary_cross_entropy_with_logits(outputs, batch.target, reduction="none").data
        return of_steps_that_count(losses.sum(-1), batch)


class LegalSymbols(MultiLabel):
    """All symbols that may come next, at every step: a string with a symbol missing or one too many is an error.

    A symbol counts as predicted where its probability is above one half.
    """

    measures = "share of strings wrong"

    def errors(self, outputs: Array, batch: Batch) -> Array:
        """Return 1 for each string with a wrong prediction, 0 for the others."""
        return any_step(((outputs > 0) != (batch.target > 0.5)).any(-1), batch)


def misses_legal(outputs: Array, legal: Array) -> Array:
    """Return, for each step, whether a symbol that may not come scores as much as one that may; NaN does too."""
    worst_legal = np.where(legal, outputs, np.inf).min(-1)
    right = worst_legal > np.where(legal, -np.inf, outputs).max(-1)
    return np.asarray(~right)


def any_step(wrong: Array, batch: Batch) -> Array:
    """Return, for each row, 1.0 if any step that counts is wrong; of (batch,) each row as it is."""
    if wrong.ndim == 1:
        return wrong.astype(np.float64)
    counted = batch.steps_that_count()
    return np.asarray((wrong if counted is None else wrong & counted).any(0), np.float64)


def of_steps_that_count(values: Array, batch: Batch) -> Array:
    """Return the values (time, batch) of the steps that count, as one row of numbers."""
    counted = batch.steps_that_count() if values.ndim == 2 else None
    return values.ravel() if counted is None else values[counted]


def _targets(batch: Batch) -> Array:
    target = batch.target.astype(np.int64, copy=False)
    if target.ndim == 1:
        return target
    counted = batch.steps_that_count()
    return target if counted is None else np.where(counted, target, -100)


def _mean(losses: Any, batch: Batch, per_step: bool) -> Tensor:
    """Return the mean over all elements that count, or the sum of a step's elements, meant over the steps."""
    counted = batch.steps_that_count() if losses.ndim == 3 else None
    number = losses.size // losses.shape[-1] if counted is None else int(np.count_nonzero(counted))
    if not per_step:
        number *= losses.shape[-1]
    if counted is not None:
        losses = np.where(counted[..., None], losses, 0)
    mean: Tensor = np.sum(losses) * (1 / max(number, 1))
    return mean
