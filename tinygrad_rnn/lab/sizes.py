"""Equal parameters: the hidden size with which a cell and its read-out have as many as another cell's."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..core.errors import CellError, ConfigError
from ..data.tasks import Task
from ..scan import engine
from ..train import TaskModel
from .contestants import Contestant

_TRIED = 16


@dataclass(frozen=True)
class Size:
    """The size of a cell for a task.

    Args:
        contestant: with the options that it takes part with.
        parameters: of cell and read-out.
        beside: (hidden_size, parameters) of the next size on the other side of what was wanted; None without one.
    """

    contestant: Contestant
    parameters: int
    beside: tuple[int, int] | None


def count(contestant: Contestant, task: Task) -> int:
    """Return how many parameters a cell and its read-out have for a task.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> from tinygrad_rnn.lab.contestants import contestant
        >>> from tinygrad_rnn.lab.sizes import count
        >>> count(contestant("rnn", {"hidden_size": 10}), tasks.Adding())  # 2·10 + 10 + 10·10 + 10, and 10 + 1
        151
    """
    with engine("eager"), np.errstate(all="ignore"):
        return sum(parameter.size for parameter in TaskModel(task, contestant.build).parameters())


def equal_size(contestant: Contestant, task: Task, wanted: int) -> Size:
    """Return a cell with the hidden size whose number of parameters is nearest to what is wanted.

    The number grows with the hidden size, so that halving finds the two sizes between which the wanted number lies;
    the nearer one is taken, the smaller one of two that are as near. A size that the class refuses is passed over.

    Args:
        contestant: has the option `hidden_size`.
        task: says how many features come in and go out.
        wanted: number of parameters.

    Raises:
        ConfigError: if the class takes no `hidden_size`, or has no more parameters with a greater one.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> from tinygrad_rnn.lab.contestants import contestant
        >>> from tinygrad_rnn.lab.sizes import equal_size
        >>> size = equal_size(contestant("lstm"), tasks.Adding(), wanted=1000)
        >>> size.contestant.options, size.parameters, size.beside
        ({'hidden_size': 14}, 1023, (13, 898))
    """
    if "hidden_size" not in contestant.options:
        raise ConfigError(
            f"{contestant.label} takes no hidden_size, so no number of parameters can be chosen for it; write "
            "def __init__(self, input_size, hidden_size)"
        )
    low, high = _allowed(contestant, task, 1), _allowed(contestant, task, 2)
    while high[1] < wanted:
        low, high = high, _allowed(contestant, task, 2 * high[0])
        if high[1] <= low[1]:
            raise ConfigError(
                f"{contestant.label} has {high[1]:,} parameters with hidden_size {low[0]} and with {high[0]}, so none "
                f"can be chosen to have {wanted:,}; let the number grow with hidden_size"
            )
    while high[0] - low[0] > 1:
        middle = _allowed(contestant, task, (low[0] + high[0]) // 2)
        if middle[0] >= high[0]:
            break
        low, high = (middle, high) if middle[1] < wanted else (low, middle)
    nearest, other = sorted((low, high), key=lambda size: (abs(size[1] - wanted), size[0]))
    return Size(_sized(contestant, nearest[0]), nearest[1], other)


def _sized(contestant: Contestant, size: int) -> Contestant:
    return replace(contestant, options={**contestant.options, "hidden_size": size})


def _allowed(contestant: Contestant, task: Task, size: int) -> tuple[int, int]:
    """Return the first size from one on that the class takes, and its number of parameters."""
    for tried in range(size, size + _TRIED):
        try:
            return tried, count(_sized(contestant, tried), task)
        except CellError:
            if tried == size + _TRIED - 1:
                raise
    raise AssertionError
