"""Schedules: the learning rate as a function of the number of steps, or of how the score goes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.errors import ConfigError, StateDictError
from .optimizer import Optimizer


class Schedule:
    """The base of every schedule: a subclass writes `value`.

    Making a schedule sets the learning rate of step 0; each `step()` sets that of the next one. A step is whatever the
    caller counts: an optimiser's step or an epoch.

    Args:
        optimizer: whose learning rate is set, each group's from the one it has now.

    Attributes:
        base_lrs: the learning rate of each group when the schedule was made.
        count: how often `step()` was called.

    Raises:
        ConfigError: if that is no optimiser.

    Example:
        >>> from tinygrad_rnn import nn, optim
        >>> class Inverse(optim.Schedule):
        ...     def value(self, count, base):
        ...         return base / (1 + count)
        >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=0.6)
        >>> schedule = Inverse(optimizer)
        >>> schedule.step()
        >>> optimizer.lr
        0.3
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise ConfigError(f"a schedule for {optimizer!r}; give an optimiser such as optim.Adam(model.parameters())")
        self.optimizer = optimizer
        self.base_lrs: list[float] = [group["lr"] for group in optimizer.param_groups]
        self.count = 0
        self._apply()

    def value(self, count: int, base: float) -> float:
        """Return the learning rate after `count` steps, of a group that began with `base`."""
        raise NotImplementedError(f"{type(self).__name__} has no value(count, base); write it")

    def step(self) -> None:
        """Set the next learning rate.

        Example:
            >>> from tinygrad_rnn import nn, optim
            >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=0.5)
            >>> optim.ExponentialLR(optimizer, 0.5).step()
            >>> optimizer.lr
            0.25
        """
        self.count += 1
        self._apply()

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on, ready for JSON.

        Example:
            >>> from tinygrad_rnn import nn, optim
            >>> optim.ExponentialLR(optim.SGD([nn.Parameter([1.0])], lr=0.5), 0.9).state_dict()
            {'schedule': 'ExponentialLR', 'count': 0, 'base_lrs': [0.5]}
        """
        return {"schedule": type(self).__name__, "count": self.count, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned, and set the optimiser's learning rate accordingly.

        Raises:
            StateDictError: if it is from another kind of schedule, or for another number of groups.

        Example:
            >>> from tinygrad_rnn import nn, optim
            >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=0.5)
            >>> schedule = optim.ExponentialLR(optimizer, 0.5)
            >>> schedule.load_state_dict({"schedule": "ExponentialLR", "count": 2, "base_lrs": [0.8]})
            >>> optimizer.lr
            0.2
        """
        kind = type(self).__name__
        if not isinstance(state, Mapping) or {"schedule", "count", "base_lrs"} - state.keys():
            raise StateDictError("this is no state of a schedule; give what schedule.state_dict() returned")
        if state["schedule"] != kind:
            raise StateDictError(f"a state of {state['schedule']} for {kind}; make the schedule that was saved")
        if len(state["base_lrs"]) != len(self.base_lrs):
            raise StateDictError(
                f"a schedule of {len(state['base_lrs'])} groups for an optimiser of {len(self.base_lrs)}; "
                "give the same groups as when saving"
            )
        self.count, self.base_lrs = int(state["count"]), [float(rate) for rate in state["base_lrs"]]
        self._apply()

    def _apply(self) -> None:
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = float(self.value(self.count, base))


class StepLR(Schedule):
    """Multiply the learning rate by gamma every `step_size` steps.

    Args:
        optimizer: whose learning rate is set.
        step_size: 1 or more.
        gamma: above 0.

    Raises:
        ConfigError: if a value is out of its range.

    Example:
        >>> from tinygrad_rnn import nn, optim
        >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=0.5)
        >>> schedule = optim.StepLR(optimizer, 2, gamma=0.5)
        >>> [schedule.value(count, 0.5) for count in range(5)]
        [0.5, 0.5, 0.25, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = _steps("step_size", step_size)
        self.gamma = _above_zero("gamma", gamma)
        super().__init__(optimizer)

    def value(self, count: int, base: float) -> float:
        """Return base * gamma ** (count // step_size)."""
        return float(base * self.gamma ** (count // self.step_size))


class ExponentialLR(Schedule):
    """Multiply the learning rate by gamma every step.

    Args:
        optimizer: whose learning rate is set.
        gamma: above 0.

    Raises:
        ConfigError: if gamma is out of its range.

    Example:
        >>> from tinygrad_rnn import nn, optim
        >>> schedule = optim.ExponentialLR(optim.SGD([nn.Parameter([1.0])], lr=0.5), 0.5)
        >>> [schedule.value(count, 0.5) for count in range(4)]
        [0.5, 0.25, 0.125, 0.0625]
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = _above_zero("gamma", gamma)
        super().__init__(optimizer)

    def value(self, count: int, base: float) -> float:
        """Return base * gamma ** count."""
        return float(base * self.gamma**count)


class CosineLR(Schedule):
    """Lower the learning rate along half a cosine to `minimum`, where it stays.

    Args:
        optimizer: whose learning rate is set.
        total: the number of steps until the minimum.
        minimum: 0 or more.

    Raises:
        ConfigError: if a value is out of its range.

    Source: Loshchilov and Hutter 2017, *SGDR: stochastic gradient descent with warm restarts*, equation 5, one period.

    Example:
        >>> from tinygrad_rnn import nn, optim
        >>> schedule = optim.CosineLR(optim.SGD([nn.Parameter([1.0])], lr=0.5), total=2, minimum=0.1)
        >>> [round(schedule.value(count, 0.5), 3) for count in range(4)]
        [0.5, 0.3, 0.1, 0.1]
    """

    def __init__(self, optimizer: Optimizer, total: int, minimum: float = 0.0) -> None:
        self.total = _steps("total", total)
        self.minimum = _finite("minimum", minimum)
        super().__init__(optimizer)

    def value(self, count: int, base: float) -> float:
        """Return minimum + (base - minimum) * (1 + cos(pi * count / total)) / 2."""
        if count >= self.total:
            return self.minimum
        return self.minimum + (base - self.minimum) * (1 + math.cos(math.pi * count / self.total)) / 2


class PlateauLR(Schedule):
    """Multiply the learning rate by gamma each time that a score has not become better for a while; less is better.

    In place of `step()`, call `observe(score)`, for instance with a validation loss after each epoch. The attribute
    `count` is how often the rate has been lowered.

    Args:
        optimizer: whose learning rate is set.
        patience: so many scores in a row without a better one lower the rate, 1 or more.
        gamma: above 0.

    Raises:
        ConfigError: if a value is out of its range.

    Example:
        >>> from tinygrad_rnn import nn, optim
        >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=0.5)
        >>> schedule = optim.PlateauLR(optimizer, patience=2, gamma=0.5)
        >>> for score in (3.0, 2.0, 2.5, 2.0, 1.9):
        ...     schedule.observe(score)
        ...     print(optimizer.lr)
        0.5
        0.5
        0.5
        0.25
        0.25
    """

    def __init__(self, optimizer: Optimizer, patience: int, gamma: float = 0.1) -> None:
        self.patience = _steps("patience", patience)
        self.gamma = _above_zero("gamma", gamma)
        self.best: float | None = None
        self.waited = 0
        super().__init__(optimizer)

    def value(self, count: int, base: float) -> float:
        """Return base * gamma ** count, `count` being how often the score has stood still."""
        return float(base * self.gamma**count)

    def observe(self, score: float) -> None:
        """Take note of a score, and lower the learning rate if none of the last `patience` scores was the best so far.

        Args:
            score: NaN is never the best.

        Example:
            >>> from tinygrad_rnn import nn, optim
            >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=0.5)
            >>> schedule = optim.PlateauLR(optimizer, patience=1)
            >>> schedule.observe(2.0)
            >>> schedule.observe(2.0)
            >>> schedule.count, optimizer.lr
            (1, 0.05)
        """
        if score < (math.inf if self.best is None else self.best):
            self.best, self.waited = float(score), 0
            return
        self.waited += 1
        if self.waited == self.patience:
            self.waited = 0
            self.step()

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on, ready for JSON."""
        return {**super().state_dict(), "best": self.best, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned, and set the optimiser's learning rate accordingly.

        Raises:
            StateDictError: if it is from another kind of schedule, or for another number of groups.
        """
        super().load_state_dict(state)
        self.best, self.waited = state["best"], int(state["waited"])


class WarmUp(Schedule):
    """Raise the learning rate in equal parts to its full value, then keep it or follow another schedule.

    Args:
        optimizer: whose learning rate is set.
        steps: the first step has 1 / steps of the full rate, step number `steps` all of it.
        after: a schedule of the same optimiser whose step 0 comes then; only `step()` this one.

    Raises:
        ConfigError: if a value is out of its range, or `after` is for another optimiser.

    Example:
        >>> from tinygrad_rnn import nn, optim
        >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=0.5)
        >>> schedule = optim.WarmUp(optimizer, 2, after=optim.ExponentialLR(optimizer, 0.5))
        >>> [schedule.value(count, 0.5) for count in range(5)]
        [0.25, 0.5, 0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, steps: int, after: Schedule | None = None) -> None:
        self.steps = _steps("steps", steps)
        self.after = after
        if after is not None:
            if not isinstance(after, Schedule) or after.optimizer is not optimizer:
                raise ConfigError(f"after={after!r} is no schedule of this optimiser; give both the same optimiser")
            # `after` may have lowered the rates already, as a warm-up within a warm-up does.
            for group, base in zip(optimizer.param_groups, after.base_lrs, strict=True):
                group["lr"] = base
        super().__init__(optimizer)

    def value(self, count: int, base: float) -> float:
        """Return base * ((count + 1) / steps) up to the full rate, then what `after` says."""
        if count < self.steps:
            return base * ((count + 1) / self.steps)
        return base if self.after is None else self.after.value(count - self.steps, base)


def _steps(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ConfigError(f"{name} is {value!r}; give a number of steps, an integer of 1 or more")
    return int(value)


def _finite(name: str, value: float) -> float:
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not real or not 0 <= value < math.inf:
        raise ConfigError(f"{name} is {value!r}; give a finite number, 0 or more")
    return float(value)


def _above_zero(name: str, value: float) -> float:
    number = _finite(name, value)
    if number == 0:
        raise ConfigError(f"{name} is 0, which would stop all learning; give a number above 0, such as 0.5")
    return number
