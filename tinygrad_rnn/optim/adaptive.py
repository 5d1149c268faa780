"""Optimisers that give every number a step size of its own: Adagrad, RMSprop, Adam and AdamW."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..nn import Parameter
from .optimizer import Array, Optimizer, remembered

Params = Iterable[Parameter] | Iterable[dict[str, Any]]


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients so far.

    Args:
        params: parameters, or dicts of them with options of their own.
        lr: the learning rate.
        lr_decay: the learning rate of step n is lr / (1 + (n - 1) * lr_decay).
        weight_decay: adds weight_decay * parameter to the gradient.
        initial_accumulator_value: what the sum begins with.
        eps: added to the root.

    Raises:
        ConfigError: if a value is out of its range.

    Source: Duchi et al. 2011, *Adaptive subgradient methods for online learning and stochastic optimization*.

    Example:
        >>> from tinygrad_rnn import nn, optim
        >>> w = nn.Parameter([1.0])
        >>> (3 * w).backward()
        >>> optim.Adagrad([w], lr=0.25, eps=0).step()
        >>> w.tolist()
        [0.75]
    """

    remembers = ("step", "sum")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )

    def update(self, data: Array, gradient: Array, state: dict[str, Any], options: dict[str, Any]) -> Array:
        """Return data - lr / (1 + (step - 1) * lr_decay) * gradient / (sqrt(sum of squares) + eps)."""
        state["step"] = step = state.get("step", 0) + 1
        if options["weight_decay"]:
            gradient = gradient + options["weight_decay"] * data
        total = remembered(state, "sum", data, options["initial_accumulator_value"])
        fresh = np.empty_like(data)
        np.multiply(gradient, gradient, out=fresh)
        total += fresh
        np.sqrt(total, out=fresh)
        fresh += options["eps"]
        np.divide(gradient, fresh, out=fresh)
        fresh *= options["lr"] / (1 + (step - 1) * options["lr_decay"])
        return np.subtract(data, fresh, out=fresh)


class RMSprop(Optimizer):
    """Steps divided by the root of a moving average of squared gradients.

    Args:
        params: parameters, or dicts of them with options of their own.
        lr: the learning rate.
        alpha: how much of the average stays at each step.
        eps: added to the root.
        weight_decay: adds weight_decay * parameter to the gradient.
        momentum: how much of the last step goes into this one.
        centered: divide by the standard deviation, the average gradient taken out. Where rounding makes its square
            negative, it counts as 0.

    Raises:
        ConfigError: if a value is out of its range.

    Source: Hinton 2012, *Neural networks for machine learning*, lecture 6; centered: Graves 2013, *Generating sequences
    with recurrent neural networks*; in PyTorch's form, with eps outside the root.

    Example:
        >>> from tinygrad_rnn import nn, optim
        >>> w = nn.Parameter([1.0])
        >>> (3 * w).backward()
        >>> optim.RMSprop([w], lr=0.25, alpha=0.75, eps=0).step()
        >>> w.tolist()
        [0.5]
    """

    remembers = ("square_avg",)
    may_remember = ("grad_avg", "momentum_buffer")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered
        )

    def update(self, data: Array, gradient: Array, state: dict[str, Any], options: dict[str, Any]) -> Array:
        """Return data - lr * gradient / (root of the average square + eps), or what momentum makes of it."""
        alpha = options["alpha"]
        if options["weight_decay"]:
            gradient = gradient + options["weight_decay"] * data
        square = remembered(state, "square_avg", data)
        fresh = np.empty_like(data)
        np.multiply(gradient, gradient, out=fresh)
        fresh *= 1 - alpha
        square *= alpha
        square += fresh
        if options["centered"]:
            mean = remembered(state, "grad_avg", data)
            mean += (1 - alpha) * (gradient - mean)
            np.multiply(mean, mean, out=fresh)
            np.subtract(square, fresh, out=fresh)
            np.maximum(fresh, 0, out=fresh)
            np.sqrt(fresh, out=fresh)
        else:
            np.sqrt(square, out=fresh)
        fresh += options["eps"]
        np.divide(gradient, fresh, out=fresh)
        if options["momentum"]:
            velocity = remembered(state, "momentum_buffer", data)
            velocity *= options["momentum"]
            velocity += fresh
            np.multiply(velocity, options["lr"], out=fresh)
        else:
            fresh *= options["lr"]
        return np.subtract(data, fresh, out=fresh)


class Adam(Optimizer):
    """Steps of the moving average of gradients over the root of that of their squares, both freed of their start at 0.

    Args:
        params: parameters, or dicts of them with options of their own.
        lr: the learning rate.
        betas: how much of the two averages stays at each step.
        eps: added to the root.
        weight_decay: adds weight_decay * parameter to the gradient.

    Raises:
        ConfigError: if a value is out of its range.

    Source: Kingma and Ba 2015, *Adam: a method for stochastic optimization*, algorithm 1.

    Example:
        >>> from tinygrad_rnn import nn, optim
        >>> w = nn.Parameter([1.0])
        >>> (3 * w).backward()
        >>> optim.Adam([w], lr=0.25, eps=0).step()
        >>> w.tolist()
        [0.75]
    """

    remembers = ("step", "exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def update(self, data: Array, gradient: Array, state: dict[str, Any], options: dict[str, Any]) -> Array:
        """Return data - lr * average / (root of the average square + eps), both averages corrected for their start."""
        if options["weight_decay"]:
            gradient = gradient + options["weight_decay"] * data
        return _adam(data, gradient, state, options)


class AdamW(Optimizer):
    """Adam whose weight decay shrinks the parameters themselves and stays out of the averages.

    Args:
        params: parameters, or dicts of them with options of their own.
        lr: the learning rate.
        betas: how much of the two averages stays at each step.
        eps: added to the root.
        weight_decay: each step first multiplies the parameters by 1 - lr * weight_decay.

    Raises:
        ConfigError: if a value is out of its range.

    Source: Loshchilov and Hutter 2019, *Decoupled weight decay regularization*, in PyTorch's form (decay times lr).

    Example:
        >>> from tinygrad_rnn import nn, optim
        >>> w = nn.Parameter([1.0])
        >>> (3 * w).backward()
        >>> optim.AdamW([w], lr=0.25, eps=0, weight_decay=1).step()
        >>> w.tolist()
        [0.5]
    """

    remembers = ("step", "exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def update(self, data: Array, gradient: Array, state: dict[str, Any], options: dict[str, Any]) -> Array:
        """Return Adam's step from data * (1 - lr * weight_decay)."""
        if options["weight_decay"]:
            data = data * (1 - options["lr"] * options["weight_decay"])
        return _adam(data, gradient, state, options)


def _adam(data: Array, gradient: Array, state: dict[str, Any], options: dict[str, Any]) -> Array:
    beta1, beta2 = options["betas"]
    state["step"] = step = state.get("step", 0) + 1
    mean, square = remembered(state, "exp_avg", data), remembered(state, "exp_avg_sq", data)
    fresh = np.empty_like(data)
    np.subtract(gradient, mean, out=fresh)
    fresh *= 1 - beta1
    mean += fresh
    np.multiply(gradient, gradient, out=fresh)
    fresh *= 1 - beta2
    square *= beta2
    square += fresh
    # m / c1 / (sqrt(v / c2) + eps), both sides times sqrt(c2): one pass over memory less.
    root = math.sqrt(1 - beta2**step)
    np.sqrt(square, out=fresh)
    fresh += options["eps"] * root
    np.divide(mean, fresh, out=fresh)
    fresh *= options["lr"] * root / (1 - beta1**step)
    return np.subtract(data, fresh, out=fresh)
