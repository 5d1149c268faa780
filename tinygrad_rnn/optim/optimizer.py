"""Optimizer: groups of parameters, their options and what is remembered from step to step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core import Tensor
from ..core.errors import ConfigError, StateDictError
from ..nn import Module, Parameter

Array = NDArray[Any]

# Every option is a number from 0 to below this; `betas` is two of them.
_BELOW = {
    "lr": math.inf,
    "momentum": math.inf,
    "dampening": math.inf,
    "weight_decay": math.inf,
    "eps": math.inf,
    "lr_decay": math.inf,
    "initial_accumulator_value": math.inf,
    "alpha": 1.0,
}
_FLAGS = ("nesterov", "centered")


class Optimizer:
    """The base of every optimiser: a subclass writes `update` for one parameter, and names the arrays it remembers.

    Args:
        params: parameters, or dicts of them with options of their own:
            `[{"params": encoder.parameters()}, {"params": decoder.parameters(), "lr": 1e-4}]`.
        **options: the options of every group that does not say otherwise; `lr` is one of them.

    Attributes:
        param_groups: a dict per group: its `params`, a list, and its options.

    Raises:
        ConfigError: if there is no parameter, one twice, something else among them, or an option out of its range.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn, optim
        >>> class SignSGD(optim.Optimizer):
        ...     def update(self, data, gradient, state, options):
        ...         return data - options["lr"] * np.sign(gradient)
        >>> w = nn.Parameter([1.0, 2.0])
        >>> optimizer = SignSGD([w], lr=0.5)
        >>> np.sum(w * w).backward()
        >>> optimizer.step()
        >>> w.tolist()
        [0.5, 1.5]
    """

    # What `state_dict` holds for a parameter that has made a step: always, and sometimes.
    remembers: ClassVar[tuple[str, ...]] = ()
    may_remember: ClassVar[tuple[str, ...]] = ()

    def __init__(self, params: Iterable[Parameter] | Iterable[dict[str, Any]], **options: Any) -> None:
        defaults = self.check(options)
        self.param_groups: list[dict[str, Any]] = []
        for entry in _entries(params):
            unknown = sorted(entry.keys() - defaults.keys() - {"params"})
            if unknown:
                raise ConfigError(
                    f"{type(self).__name__} has no option {unknown[0]!r}; its options are {', '.join(defaults)}"
                )
            own = {name: value for name, value in entry.items() if name != "params"}
            self.param_groups.append({"params": parameters_of(entry["params"]), **self.check({**defaults, **own})})
        self._parameters: list[Parameter] = [p for group in self.param_groups for p in group["params"]]
        self._states: dict[Parameter, dict[str, Any]] = {}
        if not self._parameters:
            raise ConfigError("no parameters to optimise; write model.parameters() of a model that has some")
        for number, parameter in enumerate(self._parameters):
            if parameter in self._states:
                raise ConfigError(f"{parameter.name or f'parameter {number}'} is given twice; give each parameter once")
            self._states[parameter] = {}

    @property
    def lr(self) -> float:
        """The learning rate of the first group; setting it sets that of all groups."""
        rate: float = self.param_groups[0]["lr"]
        return rate

    @lr.setter
    def lr(self, lr: float) -> None:
        rate = _number("lr", lr, _BELOW["lr"])
        for group in self.param_groups:
            group["lr"] = rate

    def update(self, data: Array, gradient: Array, state: dict[str, Any], options: dict[str, Any]) -> Array:
        """Return the new value of one parameter.

        Args:
            data: its value; not to be written, graphs may hold it.
            gradient: its gradient, in the same shape and dtype; not to be written.
            state: what is remembered of this parameter, empty at its first step; to be written.
            options: the options of its group.

        Returns:
            A fresh array in the shape and dtype of `data`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no update(data, gradient, state, options); write it")

    def step(self) -> None:
        """Give every parameter that has a gradient its new value; the others and their state stay as they are.

        Example:
            >>> from tinygrad_rnn import nn, optim
            >>> w = nn.Parameter([1.0])
            >>> (3 * w).backward()
            >>> optim.SGD([w], lr=0.1).step()
            >>> w.tolist()
            [0.7]
        """
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is not None:
                    parameter._rebind(self.update(parameter._data, gradient, self._states[parameter], group))

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to None.

        Example:
            >>> from tinygrad_rnn import nn, optim
            >>> w = nn.Parameter([1.0])
            >>> (3 * w).backward()
            >>> optim.SGD([w], lr=0.1).zero_grad()
            >>> w.grad is None
            True
        """
        for parameter in self._parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on bit for bit.

        Returns:
            A nest of dicts (with str keys) and lists; in it numbers, strings and arrays, which are copies. Parameters
            are numbered in the order in which they were given; the names are PyTorch's.

        Example:
            >>> from tinygrad_rnn import nn, optim
            >>> w = nn.Parameter([1.0])
            >>> optimizer = optim.SGD([w], lr=0.1, momentum=0.9)
            >>> (3 * w).backward()
            >>> optimizer.step()
            >>> optimizer.state_dict()["state"]
            {'0': {'momentum_buffer': array([3.])}}
        """
        numbers = {parameter: number for number, parameter in enumerate(self._parameters)}
        groups = [
            {name: list(value) if isinstance(value, tuple) else value for name, value in group.items()}
            | {"params": [numbers[parameter] for parameter in group["params"]]}
            for group in self.param_groups
        ]
        states = {
            str(numbers[parameter]): {
                name: value.copy() if isinstance(value, np.ndarray) else value for name, value in state.items()
            }
            for parameter, state in self._states.items()
            if state
        }
        return {"optimizer": type(self).__name__, "param_groups": groups, "state": states}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned: options and everything remembered; nothing changes if it raises.

        Args:
            state: from the same kind of optimiser, over parameters of the same shapes in the same order.

        Raises:
            StateDictError: if it is from something else.
            ConfigError: if an option in it is out of its range.

        Example:
            >>> from tinygrad_rnn import nn, optim
            >>> one, two = (optim.SGD([nn.Parameter([1.0])], lr) for lr in (0.1, 0.2))
            >>> two.load_state_dict(one.state_dict())
            >>> two.lr
            0.1
        """
        try:
            groups, states = self._all_loaded(state)
        except (AttributeError, KeyError, TypeError):
            raise StateDictError(
                "this is no state of an optimiser; give what optimizer.state_dict() returned"
            ) from None
        for group, options in zip(self.param_groups, groups, strict=True):
            group.update(options)
        self._states = dict(zip(self._parameters, states, strict=True))

    def _all_loaded(self, state: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the options of each group and the state of each parameter, checked and copied."""
        kind = type(self).__name__
        if state["optimizer"] != kind:
            raise StateDictError(f"a state of {state['optimizer']} for {kind}; make the optimiser that was saved")
        own = self.state_dict()["param_groups"]
        found, expected = ([list(group["params"]) for group in groups] for groups in (state["param_groups"], own))
        if found != expected:
            raise StateDictError(
                f"groups of parameters {found} for an optimiser of {expected}; give the same parameters as when saving"
            )
        groups = []
        for saved, group in zip(state["param_groups"], own, strict=True):
            if saved.keys() != group.keys():
                raise StateDictError(f"options {sorted(saved)}, expected {sorted(group)}; give a state of this {kind}")
            groups.append(self.check({name: value for name, value in saved.items() if name != "params"}))
        states = [self._loaded(number, state["state"].get(str(number), {})) for number in range(len(self._parameters))]
        unknown = state["state"].keys() - {str(number) for number in range(len(states))}
        if unknown:
            raise StateDictError(f"a state of parameter {min(unknown)!r}, expected 0 to {len(states) - 1}")
        return groups, states

    def _loaded(self, number: int, saved: Mapping[str, Any]) -> dict[str, Any]:
        """Return one parameter's saved state, checked and copied."""
        parameter = self._parameters[number]
        label = f"the state of {parameter.name or f'parameter {number}'}"
        names = saved.keys()
        if saved and not set(self.remembers) <= names <= {*self.remembers, *self.may_remember}:
            raise StateDictError(
                f"{label} holds {sorted(names)}, expected {', '.join(self.remembers) or 'nothing'}"
                f"{''.join(f' [{name}]' for name in self.may_remember)}; give a state of this {type(self).__name__}"
            )
        loaded: dict[str, Any] = {}
        for name, value in saved.items():
            if name == "step":
                if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                    raise StateDictError(f"{label} has step {value!r}; give the number of steps made, 1 or more")
                loaded[name] = int(value)
                continue
            if np.shape(value) != parameter.shape:
                raise StateDictError(
                    f"{label} has {name} of shape {np.shape(value)}, expected {parameter.shape}; "
                    "give the parameters in the order in which they were saved"
                )
            loaded[name] = np.array(value, dtype=parameter.dtype)
        return loaded

    def check(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return options as Python numbers; a NumPy scalar would make float32 parameters float64.

        Raises:
            ConfigError: if one is out of its range.
        """
        checked: dict[str, Any] = {}
        for name, value in options.items():
            if name == "betas":
                if not isinstance(value, (tuple, list)) or len(value) != 2:
                    raise ConfigError(f"betas is {value!r}; give two numbers such as (0.9, 0.999)")
                checked[name] = (_number("betas[0]", value[0], 1.0), _number("betas[1]", value[1], 1.0))
            elif name in _BELOW:
                checked[name] = _number(name, value, _BELOW[name])
            elif name in _FLAGS and not isinstance(value, (bool, np.bool_)):
                raise ConfigError(f"{name} is {value!r}; give True or False")
            else:
                checked[name] = value
        return checked

    def __repr__(self) -> str:
        options = {name: value for name, value in self.param_groups[0].items() if name != "params"}
        shown = ", ".join(f"{name}={value!r}" for name, value in options.items())
        count = sum(parameter.size for parameter in self._parameters)
        return f"{type(self).__name__}({shown}): {len(self._parameters)} parameters, {count:,} numbers"


def parameters_of(params: Any) -> list[Parameter]:
    """Return an iterable of parameters as a list.

    Raises:
        ConfigError: if it is none.
    """
    if isinstance(params, Module):
        raise ConfigError("a module was given, expected its parameters; write module.parameters()")
    if isinstance(params, Tensor):
        raise ConfigError("one tensor was given, expected several parameters; write [parameter]")
    if not isinstance(params, Iterable):
        raise ConfigError(f"{params!r} was given, expected parameters; write model.parameters()")
    listed = list(params)
    for number, parameter in enumerate(listed):
        if not isinstance(parameter, Parameter):
            advice = "write nn.Parameter(value)" if isinstance(parameter, Tensor) else "write model.parameters()"
            raise ConfigError(f"number {number} of the parameters is a {type(parameter).__name__}; {advice}")
    return listed


def remembered(state: dict[str, Any], name: str, data: Array, start: float = 0.0) -> Array:
    """Return an array that is remembered of a parameter, in the dtype that the parameter has by now."""
    array: Array | None = state.get(name)
    if array is None or array.dtype != data.dtype:
        array = state[name] = np.full_like(data, start) if array is None else array.astype(data.dtype)
    return array


def _entries(params: Any) -> list[dict[str, Any]]:
    if isinstance(params, (Module, Tensor)) or not isinstance(params, Iterable):
        return [{"params": params}]
    entries = list(params)
    if not any(isinstance(entry, dict) for entry in entries):
        return [{"params": entries}]
    for entry in entries:
        if not isinstance(entry, dict) or "params" not in entry:
            raise ConfigError(
                'a group of parameters is a dict with "params"; write '
                '[{"params": a.parameters()}, {"params": b.parameters(), "lr": 1e-4}]'
            )
    return entries


def _number(name: str, value: Any, below: float) -> float:
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not real or not 0 <= value < below:
        limit = "a finite number" if below == math.inf else f"a number below {below:g}"
        raise ConfigError(f"{name} is {value!r}; give {limit}, 0 or more")
    return float(value)
