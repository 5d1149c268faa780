"""How far back a cell's gradient reaches, before training and after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import viz
from ..train import TaskModel
from ..train.chance import random_numbers_of
from .contestants import Contestant
from .named_tasks import NamedTask

MOMENTS = ("at initialisation", "after training")
_STEPS, _ROWS = 100, 8


def horizons(
    contestant: Contestant, named: NamedTask, seed: int, weights: Mapping[str, NDArray[Any]] | None
) -> dict[str, dict[str, Any]]:
    """Return the memory horizon of a cell on sequences of a task: at initialisation, and with trained weights.

    Args:
        contestant: the cell.
        named: the task.
        seed: of the trial whose initial weights are taken.
        weights: of the trained model, as `Trial` has them; None leaves that moment out.

    Returns:
        By moment: "horizon", the gradient of an output by the inputs k steps before, from k = 0, relative to the
        greatest; and "reach", the last k at which it is 1 % or more, 0 where no input has a gradient.

    Example:
        >>> from tinygrad_rnn.lab.contestants import contestant
        >>> from tinygrad_rnn.lab.memory import horizons
        >>> from tinygrad_rnn.lab.named_tasks import named_task
        >>> found = horizons(contestant("rnn"), named_task("Parity(length=9)"), seed=0, weights=None)
        >>> len(found["at initialisation"]["horizon"])
        9
    """
    x = named.task.held_out("validation")[0].x[:_STEPS, :_ROWS]
    with random_numbers_of(seed):
        model = TaskModel(named.task, contestant.build)
    found = {MOMENTS[0]: _horizon(model, x)}
    if weights is not None:
        model.load_state_dict(weights)
        found[MOMENTS[1]] = _horizon(model, x)
    return found


def _horizon(model: TaskModel, x: NDArray[Any]) -> dict[str, Any]:
    (flow,) = viz.gradient_flow(model.eval().layer, x).flows.values()
    assert flow.horizon is not None
    greatest = float(np.max(flow.horizon)) or 1.0
    return {"horizon": [float(f"{value:.4g}") for value in flow.horizon / greatest], "reach": flow.reach() or 0}
