"""Moving numbers: what differs from step to step of a loop, such as an index, written with the letter t."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core import Node
from .labels import Moving
from .loops import Loop
from .steps import integers


def moving(numbers: Sequence[int], times: Sequence[int]) -> Moving | int:
    """Return how a number depends on the time; the number itself where it does not.

    Example:
        >>> from tinygrad_rnn.viz.moving import moving
        >>> str(moving([2, 3, 4], [0, 1, 2])), str(moving([9, 8, 7], [0, 1, 2]))
        ('t + 2', '9 − t')
    """
    if len(set(numbers)) == 1:
        return numbers[0]
    slope = (numbers[1] - numbers[0]) // (times[1] - times[0])
    rest = numbers[0] - slope * times[0]
    letter = "t" if abs(slope) == 1 else f"{abs(slope)}t"
    if slope < 0:
        return Moving(f"{rest} − {letter}")
    return Moving(f"{letter} {'−' if rest < 0 else '+'} {abs(rest)}" if rest else letter)


def moving_params(loop: Loop | None, node: Node) -> dict[str, Any]:
    """Return the settings of an operation, with letters where they depend on the time."""
    if loop is None:
        return node.params
    position = loop.place[node][1]
    times = [number for number, step in zip(loop.numbers, loop.steps, strict=True) if step[position] is not None]
    params = {}
    for name, value in node.params.items():
        rows = [integers(other.params[name]) for other in loop.at(position)]
        columns = [moving(column, times) for column in zip(*rows, strict=True)]
        params[name] = _substitute(value, iter(columns))
    return params


def moving_args(nodes: Sequence[Node], node: Node) -> list[Any]:
    """Return the saved arguments of an operation, with letters for constant numbers that differ between some steps."""
    args = list(node.arguments)
    for k, arg in enumerate(args):
        is_number = node.parents[k] is None and isinstance(arg, (int, float, np.generic))
        if is_number and any(other.arguments[k] != arg for other in nodes):
            args[k] = Moving("c[t]")
    return args


def _substitute(value: Any, numbers: Iterator[Any]) -> Any:
    """Return a setting with its integers replaced, in the order in which `integers` lists them."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return next(numbers)
    if isinstance(value, slice):
        parts = [_substitute(part, numbers) for part in (value.start, value.stop, value.step)]
        return slice(*parts)
    if isinstance(value, (tuple, list)):
        return tuple([_substitute(part, numbers) for part in value])
    return value
