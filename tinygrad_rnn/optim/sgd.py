"""SGD: stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..core.errors import ConfigError
from ..nn import Parameter
from .optimizer import Array, Optimizer, remembered


class SGD(Optimizer):
    """Stochastic gradient descent, plain, with momentum or with Nesterov's.

    Args:
        params: parameters, or dicts of them with options of their own.
        lr: the learning rate.
        momentum: how much of the last step goes into this one; 0 for plain descent.
        nesterov: look ahead along the momentum.
        weight_decay: adds weight_decay * parameter to the gradient.
        dampening: how much of the gradient is left out of the momentum, after the first step.

    Raises:
        ConfigError: if a value is out of its range, or Nesterov's comes without momentum or with dampening.

    Source: Sutskever et al. 2013, *On the importance of initialization and momentum in deep learning*, in PyTorch's
    form.

    Example:
        >>> from tinygrad_rnn import nn, optim
        >>> w = nn.Parameter([1.0])
        >>> optimizer = optim.SGD([w], lr=0.25, momentum=0.5)
        >>> for _ in range(2):
        ...     optimizer.zero_grad()
        ...     (3 * w).backward()
        ...     optimizer.step()
        >>> w.tolist()
        [-0.875]
    """

    may_remember = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        momentum: float = 0.0,
        *,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        dampening: float = 0.0,
    ) -> None:
        super().__init__(
            params, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, dampening=dampening
        )

    def check(self, options: Any) -> dict[str, Any]:
        """Return options as Python numbers.

        Raises:
            ConfigError: if one is out of its range.
        """
        checked = super().check(options)
        if checked["nesterov"] and (not checked["momentum"] or checked["dampening"]):
            raise ConfigError(
                f"nesterov=True with momentum={checked['momentum']} and dampening={checked['dampening']}; "
                "give a momentum above 0, such as 0.9, and leave dampening away"
            )
        return checked

    def update(self, data: Array, gradient: Array, state: dict[str, Any], options: dict[str, Any]) -> Array:
        """Return data - lr * (gradient, or what momentum makes of it)."""
        if options["weight_decay"]:
            gradient = gradient + options["weight_decay"] * data
        if momentum := options["momentum"]:
            if "momentum_buffer" in state:
                velocity = remembered(state, "momentum_buffer", data)
                velocity *= momentum
                velocity += gradient if not options["dampening"] else (1 - options["dampening"]) * gradient
            else:
                velocity = state["momentum_buffer"] = np.array(gradient, dtype=data.dtype)
            gradient = gradient + momentum * velocity if options["nesterov"] else velocity
        fresh = np.empty_like(data)
        np.multiply(gradient, options["lr"], out=fresh)
        return np.subtract(data, fresh, out=fresh)
