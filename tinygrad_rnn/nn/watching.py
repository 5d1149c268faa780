"""Watching the loops of recurrent layers: a reader runs each of them in its own way, wherever the layer stands."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

from numpy.typing import NDArray


class Loop(NamedTuple):
    """One cell on its way over time, as `Recurrent` is about to run it.

    Args:
        cell: the step, `(x, state) -> (y, state)`.
        init: the state before the first step, a nest of tensors (batch, ...).
        x: the inputs of all steps, (time, batch, ...).
        lengths: (batch,), or None where every row has all steps.
        reverse: from the last step to the first.
        engine: of the layer, as `scan` takes it.
        layer: the layer that it belongs to, from 0.
        scope: names of the modules around it.
    """

    cell: Any
    init: Any
    x: Any
    lengths: NDArray[Any] | None
    reverse: bool
    engine: str | None
    layer: int
    scope: tuple[str | int, ...]


# Takes a loop and returns the outputs, the last state and the states of all steps, as `scan` does.
Watcher = Callable[[Loop], tuple[Any, Any, Any]]
_watcher: ContextVar[Watcher | None] = ContextVar("tinygrad_rnn_watcher", default=None)
watcher = _watcher.get


class watching(ContextDecorator):
    """Inside the block, have every loop of a recurrent layer run by a function.

    Args:
        run: takes the loop; None runs loops as usual again.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> from tinygrad_rnn.nn.watching import watching
        >>> from tinygrad_rnn.scan import scan
        >>> def run(loop):
        ...     print(type(loop.cell).__name__, loop.x.shape)
        ...     return scan(loop.cell, loop.init, loop.x, return_states=True)
        >>> with watching(run):
        ...     y, h = nn.GRU(3, 4)(np.ones((5, 2, 3)))
        GRUCell (5, 2, 3)
    """

    def __init__(self, run: Watcher | None) -> None:
        self._run = run
        self._tokens: list[Token[Watcher | None]] = []

    def _recreate_cm(self) -> watching:
        return watching(self._run)

    def __enter__(self) -> None:
        self._tokens.append(_watcher.set(self._run))

    def __exit__(self, *details: Any) -> None:
        _watcher.reset(self._tokens.pop())


def layer_names(loops: list[Loop]) -> list[str]:
    """Return which layer each loop belongs to, in words; with the name of its module where there are several.

    Example:
        >>> from tinygrad_rnn.nn.watching import Loop, layer_names
        >>> layer_names([Loop(None, None, None, None, reverse, None, 0, ("GRU",)) for reverse in (False, True)])
        ['layer 1', 'layer 1 backward']
    """
    several = len({loop.scope for loop in loops}) > 1
    names = []
    for loop in loops:
        module = ".".join(map(str, loop.scope[1:] or loop.scope)) + " " if several else ""
        names.append(f"{module}layer {loop.layer + 1}" + " backward" * loop.reverse)
    return names
