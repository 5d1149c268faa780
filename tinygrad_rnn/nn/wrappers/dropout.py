"""Dropout inside a step: of input and state by masks that last for a sequence, of what is written, and of weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ...core import Tensor, errors, random
from ...core.node import Array
from ..cells import Cell
from ..functional import altered
from ..layers import Dropout
from .base import WrappedCell, call_with, recurrent_parts


class _Masked(Dropout):
    """Dropout by a mask that is drawn beforehand, of which True is kept."""

    def draw(self, shape: tuple[int, ...]) -> Array:
        """Return a mask; where nothing is to be dropped, of True alone."""
        if not self.training or self.rate == 0:
            return np.ones(shape, bool)
        return np.asarray(random.uniform(shape) >= self.rate)

    def masked(self, x: Any, kept: Any) -> Any:
        """Drop elements of x (...), and divide the others by 1 - rate."""
        if not self.training or self.rate == 0:
            return x
        return np.where(kept, x / (1 - self.rate) if self.rate < 1 else x, 0)


class VariationalDropout(WrappedCell):
    """A cell whose input and state are dropped by the same masks at every step of a sequence (Gal & Ghahramani 2016).

    While training, the masks of x and of what the linear maps of the state get to see are drawn for every row when its
    sequence starts; they are part of the state, so that windows with the state carried over have the same. The state
    itself is not touched: h' = z h + … of a GRU keeps all of h.

    Args:
        cell: any cell with `input_size`.
        rate: of dropping an element of x, from 0 to 1.
        state_rate: of dropping an element of the state; as `rate` by default.
        parts: dotted names of the `nn.Linear` inside the cell that get the state; by default all that are called
            `from_state` or `from_reset`, as in the cells of this package.

    Raises:
        CellError: if `cell` is no cell, or the parts are never called.
        ConfigError: if a rate is outside that range, or there is no such part, or no `input_size`.

    Source: Gal & Ghahramani 2016, *A theoretically grounded application of dropout in recurrent neural networks*, with
        the same masks for all gates.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> layer = nn.Recurrent(nn.VariationalDropout(nn.RNNCell(3, 4), 0.5, state_rate=0))
        >>> y, (h, (of_input,)) = layer(np.ones((5, 2, 3)))
        >>> of_input.dtype, of_input.shape
        (dtype('bool'), (1, 2, 3))
    """

    def __init__(
        self, cell: Cell, rate: float = 0.25, state_rate: float | None = None, parts: Iterable[str] | None = None
    ) -> None:
        super().__init__(cell)
        self.input_mask = _Masked(rate)
        self.state_mask = _Masked(rate if state_rate is None else state_rate)
        if self.input_mask.rate and not hasattr(cell, "input_size"):
            raise errors.ConfigError(
                f"{type(cell).__name__} has no input_size, so its input cannot be masked; set self.input_size in its "
                "__init__, or give rate=0 and a state_rate"
            )
        self.parts: list[str] = []
        if self.state_mask.rate:
            advice = "name those that get the state as parts=[...], or give state_rate=0"
            self.parts = recurrent_parts(cell, parts, advice)

    def initial_state(self, batch_size: int) -> Any:
        """Return the initial state of the cell inside, and a tuple of new masks: of the input, and of each part."""
        modules: dict[str, Any] = dict(self.cell.named_modules())
        masks = [self.input_mask.draw((batch_size, self.input_size))] if self.input_mask.rate else []
        masks += [self.state_mask.draw((batch_size, modules[part].in_features)) for part in self.parts]
        return self.cell.initial_state(batch_size), tuple([Tensor(mask) for mask in masks])

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step, with the input of the cell inside, and the pair of its state and the masks."""
        inner, masks = state
        of_parts = masks[len(masks) - len(self.parts) :]
        if self.input_mask.rate:
            x = self.input_mask.masked(x, masks[0])
        if not self.parts:
            y, after = self.cell(x, inner)
            return y, (after, masks)
        modules: dict[str, Any] = dict(self.cell.named_modules())
        replaced = {
            f"{part}.forward": self._masked(modules[part].forward, kept)
            for part, kept in zip(self.parts, of_parts, strict=True)
        }
        y, after = call_with(self.cell, replaced, "call them in its forward, or name others as parts", x, inner)
        return y, (after, masks)

    def _masked(self, function: Callable[[Any], Any], kept: Any) -> Callable[[Any], Any]:
        return lambda h: function(self.state_mask.masked(h, kept))


class RecurrentDropout(WrappedCell):
    """A gated cell that drops elements of what it writes into its memory, never of the memory (Semeniuta et al. 2016).

    While training, c' = f c + i d(g) in an LSTM, h' = z h + (1 - z) d(n) in a GRU, where d is dropout with a new mask
    at every step. In a cell of your own, write `self.cell_update(g)` for g where it is added to the memory.

    Args:
        cell: a cell that calls `cell_update`, as the gated cells of this package do.
        rate: of dropping an element, from 0 to 1.

    Raises:
        CellError: if `cell` is no cell, or, from a call, if it never calls `cell_update`.
        ConfigError: if the rate is outside that range.

    Source: Semeniuta et al. 2016, *Recurrent dropout without memory loss*.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> layer = nn.Recurrent(nn.RecurrentDropout(nn.GRUCell(3, 4), 0.25))
        >>> y, h = layer(np.ones((5, 2, 3)))
        >>> y.shape
        (5, 2, 4)
    """

    def __init__(self, cell: Cell, rate: float = 0.25) -> None:
        super().__init__(cell)
        self.drop = Dropout(rate)
        owners = [name for name, part in cell.named_modules() if isinstance(part, Cell)]
        self.places = [f"{name}.cell_update" if name else "cell_update" for name in owners]

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step, with what the cell inside takes and gives."""
        advice = "write self.cell_update(g) in its forward for what is added to its memory, g"
        y, after = call_with(self.cell, dict.fromkeys(self.places, self.drop), advice, x, state)
        return y, after


class WeightDrop(WrappedCell):
    """A cell whose weights of the state are dropped, the same ones at every step and in every row (Merity et al. 2018).

    While training, `initial_state` draws new masks, which a layer calls once whenever it is called itself: so call the
    same layer from one thread at a time. A weight that is kept is divided by 1 - rate.

    Args:
        cell: any cell.
        rate: of dropping a weight, from 0 to 1.
        weights: dotted names of the parameters; by default the weights of all `nn.Linear` inside the cell that are
            called `from_state` or `from_reset`, as in the cells of this package.

    Raises:
        CellError: if `cell` is no cell.
        ConfigError: if the rate is outside that range, or there is no such parameter.

    Source: Merity et al. 2018, *Regularizing and optimizing LSTM language models*; Wan et al. 2013, *Regularization of
        neural networks using DropConnect*.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> layer = nn.Recurrent(nn.WeightDrop(nn.LSTMCell(3, 4), 0.5))
        >>> x = np.ones((5, 2, 3))
        >>> np.allclose(layer(x)[0].data, layer(x)[0].data), np.allclose(layer.eval()(x)[0].data, layer(x)[0].data)
        (False, True)
    """

    def __init__(self, cell: Cell, rate: float = 0.5, weights: Iterable[str] | None = None) -> None:
        super().__init__(cell)
        self.mask = _Masked(rate)
        if weights is None:
            parts = recurrent_parts(cell, None, "name the parameters to drop from as weights=[...]")
            weights = [f"{part}.weight" for part in parts]
        self.weights = list(weights)
        known = dict(cell.named_parameters())
        if unknown := [name for name in self.weights if name not in known]:
            raise errors.ConfigError(
                f"{type(cell).__name__} has no parameter {', '.join(unknown)}; its parameters are {', '.join(known)}"
            )
        self._kept: dict[str, Array] = {}
        self._draw()

    def initial_state(self, batch_size: int) -> Any:
        """Draw new masks, and return the initial state of the cell inside."""
        self._draw()
        return self.cell.initial_state(batch_size)

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step, with what the cell inside takes and gives."""
        dropped = {name: self.mask.masked(self._weight(name), kept) for name, kept in self._kept.items()}
        y, after = altered(self.cell, dropped)(x, state)
        return y, after

    def _draw(self) -> None:
        # New arrays each time: graphs that were made before keep the old ones.
        self._kept.update({name: self.mask.draw(self._weight(name).shape) for name in self.weights})

    def _weight(self, name: str) -> Any:
        owner, _, last = name.rpartition(".")
        return getattr(dict(self.cell.named_modules())[owner], last)
