"""Clipping of gradients, by their common norm or number by number."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..core.errors import ConfigError
from ..nn import Parameter
from .optimizer import Array, parameters_of


def clip_grad_norm(params: Iterable[Parameter], max_norm: float) -> float:
    """Scale all gradients by one factor, so that their norm taken together is at most `max_norm`.

    Args:
        params: parameters; those without a gradient do not count.
        max_norm: the largest norm allowed; `math.inf` to measure only.

    Returns:
        The norm before clipping. Where it is not finite, the gradients stay as they are: test it before the step.

    Raises:
        ConfigError: if `max_norm` is negative or no number.

    Source: Pascanu et al. 2013, *On the difficulty of training recurrent neural networks*; as in PyTorch the factor is
    max_norm / (norm + 1e-6).

    Example:
        >>> from tinygrad_rnn import nn, optim
        >>> w = nn.Parameter([1.0, 1.0])
        >>> w.grad = [3.0, 4.0]
        >>> optim.clip_grad_norm([w], 1.0)
        5.0
        >>> w.grad.round(3)
        array([0.6, 0.8])
    """
    limit = _limit("max_norm", max_norm)
    clipped = [parameter for parameter in parameters_of(params) if parameter.grad is not None]
    norm = _norm([parameter.grad for parameter in clipped])
    factor = limit / (norm + 1e-6)
    if factor < 1 and math.isfinite(norm):
        for parameter in clipped:
            parameter.grad = parameter.grad * factor  # type: ignore[operator]
    return norm


def clip_grad_value(params: Iterable[Parameter], value: float) -> None:
    """Limit every number of every gradient to the range from -value to value.

    Args:
        params: parameters; those without a gradient do not count.
        value: the largest absolute value allowed.

    Raises:
        ConfigError: if `value` is negative or no number.

    Example:
        >>> from tinygrad_rnn import nn, optim
        >>> w = nn.Parameter([1.0, 1.0])
        >>> w.grad = [3.0, -0.5]
        >>> optim.clip_grad_value([w], 1.0)
        >>> w.grad
        array([ 1. , -0.5])
    """
    limit = _limit("value", value)
    for parameter in parameters_of(params):
        if parameter.grad is not None and limit < math.inf:
            largest = min(limit, float(np.finfo(parameter.dtype).max))
            parameter.grad = np.clip(parameter.grad, -largest, largest)


def _norm(gradients: list[Any]) -> float:
    with np.errstate(over="ignore", under="ignore"):
        total = sum(_square(gradient) for gradient in gradients)
    if math.isfinite(total) and total > 1e-30:
        return math.sqrt(total)
    # Squares of float32 overflow at 1e19 and vanish below 1e-23: the largest number is taken out first.
    largest = float(np.max([np.max(np.abs(gradient), initial=0) for gradient in gradients], initial=0))
    if largest == 0 or not math.isfinite(largest):
        return largest
    scaled = (np.divide(gradient, largest, dtype=np.float64) for gradient in gradients)
    return largest * math.sqrt(sum(_square(gradient) for gradient in scaled))


def _square(gradient: Array) -> float:
    flat = gradient.ravel(order="K")
    if flat.dtype == np.float16:
        flat = flat.astype(np.float32)
    return float(np.dot(flat, flat))


def _limit(name: str, value: float) -> float:
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not real or not value >= 0:
        raise ConfigError(f"{name} is {value!r}; give a number, 0 or more")
    return float(value)
