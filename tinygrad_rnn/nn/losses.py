"""Losses: functions of predictions and targets that give one number, or one for each element.

Each takes `reduction`: "mean" over all elements that count, "sum", or "none". A mean over no element at all is 0 with a
gradient of zeros, never NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor, errors
from ..core.primitive import as_operand, constant, every_value
from ..ops import classification, softplus


def cross_entropy(logits: Any, targets: Any, ignore_index: int = -100, reduction: str = "mean") -> Tensor:
    """Return -log softmax(logits)[target], in nats.

    Args:
        logits: (..., classes).
        targets: integers (...), each from 0 to classes - 1, or `ignore_index`.
        ignore_index: a target that stands for none: its logits, be they NaN, change neither loss nor gradient. Where
            every target is ignored, the mean is 0.
        reduction: "mean" over the targets that are not ignored, "sum", or "none" for one loss per target.

    Returns:
        A number, or (...) with "none", in the dtype of the logits.

    Raises:
        ShapeError: if the targets do not have the shape of the logits without the last axis.
        DtypeError: if the targets are no integers.
        DataError: if a target is no class.
        ConfigError: if the reduction is none of the three.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn import nn
        >>> logits = tg.Tensor([[0.0, 0.0], [1e4, 0.0]], requires_grad=True)
        >>> nn.cross_entropy(logits, np.array([0, 0]), reduction="none").data.round(4)
        array([0.6931, 0.    ])
    """
    logits = as_operand(logits)
    ids, counted = _classes("cross_entropy", logits, targets, ignore_index)
    if counted is not None:
        logits = np.where(counted[..., None], logits, 0)
    if logits.dtype.kind != "f":
        logits = logits.astype(np.float64)
    return _of_those_that_count(classification.cross_entropy(logits, ids), counted, reduction)


def nll_loss(log_probabilities: Any, targets: Any, ignore_index: int = -100, reduction: str = "mean") -> Tensor:
    """Return -log_probabilities[target]: cross entropy for what `tg.log_softmax` gives.

    Args:
        log_probabilities: (..., classes).
        targets: integers (...), each from 0 to classes - 1, or `ignore_index`.
        ignore_index: a target that stands for none, as in `cross_entropy`.
        reduction: "mean" over the targets that are not ignored, "sum", or "none" for one loss per target.

    Returns:
        A number, or (...) with "none", in the dtype of the log-probabilities.

    Raises:
        ShapeError, DtypeError, DataError, ConfigError: as `cross_entropy`.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> round(nn.nll_loss(np.log([[0.25, 0.75]]), np.array([0])).item(), 4)
        1.3863
    """
    log_probabilities = as_operand(log_probabilities)
    ids, counted = _classes("nll_loss", log_probabilities, targets, ignore_index)
    return _picked(log_probabilities, ids, counted, reduction)


def mse_loss(prediction: Any, target: Any, reduction: str = "mean") -> Tensor:
    """Return (prediction - target)².

    Args:
        prediction: any shape.
        target: the same shape; nothing is broadcast, since (n, 1) against (n,) is a mistake.
        reduction: "mean", "sum", or "none" for one loss per element.

    Returns:
        A number, or the shape of the prediction with "none".

    Raises:
        ShapeError: if the shapes differ.
        ConfigError: if the reduction is none of the three.

    Example:
        >>> from tinygrad_rnn import nn
        >>> nn.mse_loss([1.0, 2.0], [1.0, 4.0])
        Tensor(2.)
    """
    prediction, target = _same_shape("mse_loss", prediction, target)
    return _reduced(np.square(prediction - target), reduction)


def binary_cross_entropy_with_logits(logits: Any, targets: Any, reduction: str = "mean") -> Tensor:
    """Return -t log σ(x) - (1 - t) log(1 - σ(x)), in nats, exact where σ is 0 or 1 in floating point.

    Args:
        logits: x, any shape.
        targets: t from 0 to 1, the same shape; bools and integers are taken as numbers of the logits' dtype.
        reduction: "mean", "sum", or "none" for one loss per element.

    Returns:
        A number, or the shape of the logits with "none".

    Raises:
        ShapeError: if the shapes differ.
        ConfigError: if the reduction is none of the three.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> nn.binary_cross_entropy_with_logits([1e4, -1e4], [1, 1], reduction="none")
        Tensor([    0., 10000.])
    """
    logits, targets = _same_shape("binary_cross_entropy_with_logits", logits, targets)
    if targets.dtype.kind != "f":
        targets = targets.astype(logits.dtype)
    # Both terms are positive, so nothing cancels at either end.
    return _reduced(targets * softplus(-logits) + (1 - targets) * softplus(logits), reduction)


def _classes(loss: str, scores: Any, targets: Any, ignore_index: int) -> tuple[Any, Any]:
    """Return the targets with class 0 for the ignored ones, and the mask of the others; None where all count."""
    ids, every = constant(targets), every_value(targets)
    if ids.dtype.kind not in "iu":
        raise errors.DtypeError(f"{loss}: targets of dtype {ids.dtype}; give integers, the numbers of the classes")
    if scores.ndim == 0 or ids.shape != scores.shape[:-1]:
        raise errors.ShapeError(
            f"{loss}: targets of shape {ids.shape} for scores of shape {scores.shape}; give scores (..., classes) and "
            "targets (...)"
        )
    classes, counted = scores.shape[-1], None
    if (every == ignore_index).any():
        counted = ids != ignore_index
        ids = np.where(counted, ids, 0)
        every = np.where(every != ignore_index, every, 0)
    if every.size and (every.min() < 0 or every.max() >= classes):
        raise errors.DataError(
            f"{loss}: targets from {every.min()} to {every.max()} for {classes} classes; give integers from 0 to "
            f"{classes - 1}, or {ignore_index} for a target to ignore"
        )
    return ids, counted


def _picked(log_probabilities: Any, ids: Any, counted: Any, reduction: str) -> Tensor:
    # 0 - x rather than -x, which makes -0.0 of a certain prediction.
    losses = 0 - np.take_along_axis(log_probabilities, ids[..., None], -1).reshape(ids.shape)
    return _of_those_that_count(losses, counted, reduction)


def _of_those_that_count(losses: Any, counted: Any, reduction: str) -> Tensor:
    if counted is not None:
        losses = np.where(counted, losses, 0)
    return _reduced(losses, reduction, counted)


def _same_shape(loss: str, prediction: Any, target: Any) -> tuple[Any, Any]:
    prediction, target = [x if isinstance(x, Tensor) else np.asarray(as_operand(x)) for x in (prediction, target)]
    if prediction.shape != target.shape:
        raise errors.ShapeError(
            f"{loss}: shapes {prediction.shape} and {target.shape}; give the same shape, nothing is broadcast here"
        )
    return prediction, target


def _reduced(losses: Any, reduction: str, counted: Any = None) -> Tensor:
    if reduction == "none":
        out = losses
    elif reduction == "sum":
        out = np.sum(losses)
    elif reduction == "mean":
        if counted is None:
            out = np.sum(losses) * (1 / max(losses.size, 1))
        else:
            number = np.maximum(np.sum(np.where(counted, 1, 0)), 1)
            out = np.sum(losses) / number.astype(losses.dtype)
    else:
        raise errors.ConfigError(f'reduction is {reduction!r}; give "mean", "sum" or "none"')
    return out if isinstance(out, Tensor) else Tensor(out)
