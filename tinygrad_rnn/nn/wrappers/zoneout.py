"""Zoneout: parts of the state that a step leaves as they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...core import errors
from ...core.tree import tree_flatten, tree_unflatten
from ..cells import Cell
from ..containers import ModuleList
from ..layers import Dropout
from .base import WrappedCell


class Zoneout(WrappedCell):
    """A cell each element of whose state a step leaves, at a rate, as it was (Krueger et al. 2017).

    While training, s' = m s + (1 - m) s̃', where s̃' is what the cell makes of s, and m is 1 at the rate, drawn anew for
    every element and step; otherwise s' = rate s + (1 - rate) s̃', the mean. An output that is one of the states, such
    as the h' of an LSTM, goes out as it is after that. Integers and bools in the state, such as a time, always move.

    Args:
        cell: any cell.
        rate: the probability to stay, from 0 to 1; or one for each floating array of the state, in the order of its
            nest: (0.05, 0.5) for the h and c of an LSTM.

    Raises:
        CellError: if `cell` is no cell.
        ConfigError: if a rate is outside that range, or there are too few or too many.

    Source: Krueger et al. 2017, *Zoneout: regularizing RNNs by randomly preserving hidden activations*.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> layer = nn.Recurrent(nn.Zoneout(nn.LSTMCell(3, 4), (0.05, 0.5)))
        >>> y, (h, c) = layer(np.ones((5, 2, 3)))
        >>> bool((y[-1] == h[0]).all())
        True
    """

    def __init__(self, cell: Cell, rate: float | Sequence[float] = 0.1) -> None:
        super().__init__(cell)
        count = sum(leaf.dtype.kind == "f" for leaf in tree_flatten(cell.initial_state(1))[0])
        rates: list[Any] = list(rate) if isinstance(rate, (list, tuple)) else [rate] * count
        if len(rates) != count:
            raise errors.ConfigError(
                f"{len(rates)} rates for the state of {type(cell).__name__}, which has {count} floating arrays; give "
                "one for each, or one number"
            )
        self.drops = ModuleList([Dropout(rate) for rate in rates])

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step, with what the cell inside takes and gives."""
        y, after = self.cell(x, state)
        drops = iter(self.drops)
        (before, _), (leaves, treedef) = tree_flatten(state), tree_flatten(after)
        zoned = list(leaves)
        for i, (old, new) in enumerate(zip(before, leaves, strict=True)):
            if new.dtype.kind == "f":
                drop = next(drops)
                # Dropout divides what it keeps by 1 - rate, and without it this is the mean.
                zoned[i] = old + (1 - drop.rate) * drop(new - old)
            if new is y:
                y = zoned[i]
        return y, tree_unflatten(treedef, zoned)
