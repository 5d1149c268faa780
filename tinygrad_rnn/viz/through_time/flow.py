"""Gradients through time: how much of a loss reaches the states of earlier steps, and inputs of long ago."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core import Tensor, gradients, random
from ...core.errors import ConfigError, ShapeError
from ...nn import Cell
from ...nn.watching import layer_names
from .computed import gradients_of_states
from .flow_figure import draw_flows
from .plotting import Array, Plot, row_norms
from .probing import probed

Losses = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class StateGradient:
    """The gradient of a loss with respect to one part of a layer's state after every step.

    Args:
        layer: which layer, in words.
        name: of the part, as the cell calls it, such as "h" or "c".
        gradient: (time, batch, ...), in the time order of the input.
    """

    layer: str
    name: str
    gradient: Array

    @property
    def norms(self) -> Array:
        """|∂L/∂h_t|, the norm over batch and features, (time,)."""
        return row_norms(self.gradient, first=1)


@dataclass(frozen=True, eq=False)
class Flow:
    """How the gradient of one loss flows through one model.

    Args:
        loss: L.
        states: the gradients of all parts of all states, first layer first.
        horizon: |∂loss_t/∂x_{t-k}| for k from 0, the mean over rows and several t, (time,); x is what enters the
            first recurrent layer. None where the losses of single steps are not known, or x holds no floats.
    """

    loss: float
    states: tuple[StateGradient, ...]
    horizon: Array | None

    def reach(self, share: float = 0.01) -> int | None:
        """Return how many steps back the inputs matter: the last k whose gradient is a share of the greatest or more.

        Args:
            share: from 0 to 1.

        Returns:
            None where there is no horizon, where a number of it is not finite, and where all of it is zero.

        Raises:
            ConfigError: if the share is not a number from 0 to 1.

        Example:
            >>> import numpy as np
            >>> from tinygrad_rnn.viz.through_time import Flow
            >>> flow = Flow(1.0, (), np.array([2.0, 0.5, 0.1, 0.001]))
            >>> flow.reach(), flow.reach(share=0.1)
            (2, 1)
            >>> Flow(1.0, (), np.array([2.0, np.nan])).reach() is None
            True
        """
        if isinstance(share, bool) or not isinstance(share, (int, float, np.number)) or not 0 <= share <= 1:
            raise ConfigError(f"share is {share!r}; give a number from 0 to 1, such as 0.01 for a hundredth")
        if self.horizon is None or not np.isfinite(self.horizon).all() or not self.horizon.any():
            return None
        return int(np.flatnonzero(self.horizon >= share * self.horizon.max())[-1])


@dataclass(frozen=True, eq=False)
class GradientFlow(Plot):
    """What `gradient_flow` found; it has a figure.

    Args:
        flows: by the name of the model.
    """

    flows: dict[str, Flow]

    def _draw(self) -> Any:
        return draw_flows(self.flows)


def gradient_flow(
    what: Any,
    x: Any = None,
    *,
    loss: Losses | None = None,
    at: int | None = -1,
    sweeps: int = 8,
) -> GradientFlow:
    """Measure how gradients flow through time: |∂L/∂h_t| at every step of every layer, and the memory horizon.

    The gradient with respect to a state is the whole one: what comes from later steps, and what comes through the
    output of its own step. It is the same under every engine, and takes one backward pass for all steps and layers.

    Args:
        what: a recurrent layer, or a model with such layers in it; or a function without arguments that computes a loss
            with them, one number or the losses of all steps (time, batch); or a loss of one number that has been
            computed, as long as its graph is there. Several of them, side by side: a dict with their names, or a list;
            so a model before and after training.
        x: the input of layers and models, as they take it; leave it away for a function.
        loss: takes what the model returns (the outputs alone, where it returns a tuple) and returns the losses of all
            steps, (time, batch), such as `nn.cross_entropy(logits, targets, reduction="none")`. By default the loss of
            a step is the sum of its outputs with fixed random signs, whose gradient has the size that the Jacobian of
            the outputs has.
        at: L is the loss of this step, the mean over the batch; None takes the sum over all steps.
        sweeps: how many steps of the second half the memory horizon is measured from, a backward pass each: 1 takes the
            last step, more are spread evenly before it; 0 leaves the horizon away.

    Returns:
        The numbers, by the name of the model, and their figure.

    Raises:
        ConfigError: if there is nothing to measure, or no recurrent layer runs in it; if the steps of a computed loss
            are not alike; or if `at` or `sweeps` is out of range.
        ShapeError: if the losses are not (time, batch), or a computed loss is not one number.
        FreedGraphError: if a backward pass has freed the graph of a computed loss; `backward(retain_graph=True)` keeps
            it.
        GraphError: if a parameter was changed since a computed loss was computed, and its loop ran compiled: its steps
            are run once more. One that ran under the engine "eager" kept its values, and is measured as it was.
        CellError: if a cell draws random numbers.
        PlottingError: when drawn, if matplotlib is not installed.

    Source: Pascanu et al. 2013, *On the difficulty of training recurrent neural networks*.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn, viz
        >>> layers = {"LSTM": nn.LSTM(3, 8), "GRU": nn.GRU(3, 8)}
        >>> found = viz.gradient_flow(layers, np.ones((20, 4, 3)))
        >>> [(part.name, part.norms.shape) for part in found.flows["LSTM"].states]
        [('h', (20,)), ('c', (20,))]
        >>> found.save("flow.svg")  # doctest: +SKIP
    """
    if isinstance(sweeps, bool) or not isinstance(sweeps, int) or sweeps < 0:
        raise ConfigError(f"sweeps is {sweeps!r}; give a whole number, 0 or more")
    state = random.get_state()
    try:
        flows = {}
        for name, model in _named(what).items():
            if isinstance(model, Tensor):
                flows[name] = _flow_of(name, model, x, loss)
                continue
            compute, time_axis = _losses_of(name, model, x, loss)
            flows[name] = _flow(name, compute, time_axis, at, sweeps)
    finally:
        random.set_state(state)
    return GradientFlow(flows)


def _named(what: Any) -> dict[str, Any]:
    """Return the models by name: of a list, by their classes, numbered where one occurs again."""
    if isinstance(what, Mapping):
        found = {str(name): model for name, model in what.items()}
    elif isinstance(what, Sequence):
        found, seen = {}, Counter[str]()
        for model in what:
            name = type(model).__name__
            seen[name] += 1
            found[name if seen[name] == 1 else f"{name} {seen[name]}"] = model
    else:
        found = {type(what).__name__ if hasattr(what, "parameters") else "loss": what}
    if not found:
        raise ConfigError("there is no layer to measure; give one, or a dict of several with their names")
    return found


def _losses_of(name: str, model: Any, x: Any, loss: Losses | None) -> tuple[Callable[[], Any], int]:
    """Return the function that computes a model's losses, and which axis of them is time."""
    if not callable(model):
        raise ConfigError(
            f"{name} is a {type(model).__name__}; give a layer, a model, or a function that computes a loss"
        )
    if isinstance(model, Cell):
        raise ConfigError(f"{name} is one step of a loop; give the layer that it makes, nn.Recurrent(cell)")
    if x is None:
        if hasattr(model, "parameters"):
            raise ConfigError(
                f"{name} is a {type(model).__name__} and there is no input for it; give x, (time, batch, ...)"
            )
        return model, 0
    weighed = loss or _signed_sum

    def compute() -> Any:
        out = model(x)
        return weighed(out[0] if isinstance(out, tuple) else out)

    return compute, int(getattr(model, "batch_first", False))


def _flow_of(name: str, loss: Tensor, x: Any, losses: Any) -> Flow:
    """Return how the gradient flows that a loss of one element, which has been computed, has in its own graph."""
    if x is not None or losses is not None:
        raise ConfigError(f"{name} is a loss that has been computed; leave x and loss away, they belong to a model")
    if loss.size != 1:
        raise ShapeError(
            f"{name} is a tensor of shape {loss.shape}; give the loss, one number such as the mean of it, or the "
            "function that computes the losses of all steps"
        )
    found = gradients_of_states(name, loss)
    return Flow(loss.item(), tuple([StateGradient(*state) for state in found]), None)


def _signed_sum(y: Any) -> Any:
    """Return the sum of the outputs of every step, (time, batch), with signs that are random and always the same.

    Its gradient squared is on average the squared Frobenius norm of the Jacobian (Hutchinson 1989).
    """
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=y.shape[2:]).astype(y.dtype)
    return np.sum(y * signs, axis=tuple(range(2, y.ndim)))


def _flow(name: str, compute: Callable[[], Any], time_axis: int, at: int | None, sweeps: int) -> Flow:
    losses, probes = probed(compute)
    if not probes:
        raise ConfigError(f"no recurrent layer ran in {name}; give a layer that nn.Recurrent made, or a model with one")
    if not isinstance(losses, Tensor) or not losses.requires_grad:
        raise ConfigError(
            f"{name} gave {losses!r}, which depends on no state; return a tensor computed from the outputs"
        )
    by_step = _by_step(name, losses, time_axis, probes[0].time)
    whole = losses if by_step is None else _at(by_step, at)
    zeros = [zeros for probe in probes for zeros in probe.zeros]
    measured = by_step is not None and sweeps > 0 and probes[0].at_input is not None
    arrived = iter(gradients(whole, zeros, retain_graph=measured))
    states = []
    for probe, layer in zip(probes, layer_names([probe.loop for probe in probes]), strict=True):
        totals = probe.total([next(arrived) for _ in probe.zeros])
        states += [
            StateGradient(layer, part, total)
            for part, total in zip(probe.names, totals, strict=True)
            if total is not None
        ]
    horizon = _horizon(by_step, probes[0].at_input, sweeps) if measured else None
    return Flow(whole.item(), tuple(states), horizon)


def _by_step(name: str, losses: Tensor, time_axis: int, time: int) -> Any:
    """Return the losses as (time, batch), or None where there is one number for all."""
    if losses.size == 1 and losses.ndim < 2:
        return None
    if losses.ndim == 2:
        turned = np.swapaxes(losses, 0, 1) if time_axis else losses
        if turned.shape[0] == time:
            return turned
    raise ShapeError(
        f"{name} has losses of shape {losses.shape} over {time} steps; return the loss of every step and row, "
        "(time, batch): the losses of nn take reduction='none'"
    )


def _at(by_step: Any, at: int | None) -> Any:
    time = by_step.shape[0]
    if at is None:
        return np.sum(np.mean(by_step, axis=1))
    if isinstance(at, bool) or not isinstance(at, (int, np.integer)) or not -time <= at < time:
        raise ConfigError(f"at is {at!r} of {time} steps; give a number from 0 to {time - 1}, or None for all steps")
    return np.mean(by_step[int(at)])


def _horizon(by_step: Any, at_input: Any, sweeps: int) -> Array:
    """Return the mean size of ∂loss_t/∂x_{t-k} by k, over rows and several steps t of the second half."""
    time = by_step.shape[0]
    total, count = np.zeros(time), np.zeros(time)
    # The last step is always among them, for only that one has inputs at every lag.
    for t in np.unique(np.linspace(time - 1, time // 2, sweeps).round().astype(int)):
        (slope,) = gradients(np.sum(by_step[int(t)]), [at_input], retain_graph=True)
        sizes = row_norms(slope, first=2).mean(axis=1)
        total[: t + 1] += sizes[t::-1]
        count[: t + 1] += 1
    return total / count
