"""Recurrent: any cell, or several, as a layer over time."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import Tensor, errors, no_grad
from ..core.modes import current
from ..core.tree import tree_map
from ..scan import scan, source
from ..scan.checks import check_lengths, checked_step, describe, matcher
from ..scan.engines import checked
from ..scan.source import joined_sources
from .cells import Cell
from .containers import ModuleList
from .layers import Dropout
from .module import Module
from .states import LearnedState, own_state, stacked, unstacked
from .watching import Loop, watcher


class Recurrent(Module):
    """A layer over time made of cells: several on top of each other, in one direction or in both.

    The cells stand in `cells`, layer after layer, the forward cell of a layer before its backward cell. The state of
    all of them is the nest of one cell with every leaf stacked in that order: (layers * directions, batch, ...), as in
    PyTorch. Where the cells have states of different nests or shapes, which cannot be stacked, it is a tuple with one
    nest, leaves (batch, ...), for each of them.

    Args:
        cells: a cell; or a list with one entry a layer: a cell, or a pair (forward cell, backward cell) in all entries.
        dropout: rate of the dropout between layers, none after the last, in training only.
        batch_first: inputs, outputs and states of all steps are (batch, time, ...); the state stays as it is.
        learned_state: the state before the first step is a parameter of each cell, in place of its `initial_state`.
        engine: what runs the loop: "auto", "eager", "numpy" or "native"; None leaves it to `with tg.engine(...)`.

    Raises:
        CellError: if an entry is neither a cell nor a pair of cells.
        ConfigError: if there is no cell, or if some layers have one direction and some have two.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> layer = nn.Recurrent([nn.GRUCell(8, 16), nn.LSTMCell(16, 4)])
        >>> y, (h_of_gru, (h, c)) = layer(np.ones((5, 2, 8)))
        >>> y.shape, h_of_gru.shape, h.shape
        ((5, 2, 4), (2, 16), (2, 4))
    """

    def __init__(
        self,
        cells: Cell | Sequence[Cell | tuple[Cell, Cell]],
        *,
        dropout: float = 0.0,
        batch_first: bool = False,
        learned_state: bool = False,
        engine: str | None = None,
    ) -> None:
        super().__init__()
        entries = cells if isinstance(cells, (list, tuple, ModuleList)) else [cells]
        layers = [_directions(entry) for entry in entries]
        if len({len(layer) for layer in layers}) != 1:
            raise errors.ConfigError(
                f"layers with {[len(layer) for layer in layers]} directions; give one layer or more, all of them with "
                "a cell, or all with a pair (forward cell, backward cell)"
            )
        self.num_layers, self.num_directions = len(layers), len(layers[0])
        self.batch_first = batch_first
        self.engine = None if engine is None else checked(engine)
        self.cells = ModuleList([cell for layer in layers for cell in layer])
        self.dropout = Dropout(dropout) if dropout else None
        if dropout and self.num_layers == 1:
            warnings.warn("dropout acts between layers, and there is one layer: it has no effect", stacklevel=2)
        self.learned = ModuleList([LearnedState(cell) for cell in self.cells]) if learned_state else None

    def extra_repr(self) -> str:
        """Return what is not to be seen from the cells."""
        directions = f", {self.num_directions} directions" * (self.num_directions > 1)
        return f"{self.num_layers} layer{'s' * (self.num_layers > 1)}{directions}{', batch_first' * self.batch_first}"

    def forward(
        self, x: Any, state: Any = None, lengths: Any = None, *, return_states: bool = False
    ) -> tuple[Any, ...]:
        """Run over a batch of sequences.

        A row with a length takes part for that many steps, and the backward direction starts at its own end. What
        stands behind changes no output, state or gradient, be it NaN.

        Args:
            x: (time, batch, features), or integer tokens (time, batch) for cells that take them.
            state: the state before the first step, stacked as the class says; None for the cells' own.
            lengths: (batch,) integers from 0 to time; None where every row has all steps.
            return_states: return the states after every step too.

        Returns:
            `(y, state)`, or `(y, state, states)`: y, the outputs of the last layer, (time, batch, features), those of
            both directions side by side, 0 at padded positions; the state after each row's last step; the states
            after every step, leaves (layers * directions, time, batch, ...), in the time order of x, 0 at padded ones.

        Raises:
            ShapeError: if x, the state or the lengths do not fit the cells or each other.
            DtypeError, DataError: if the lengths are no integers, or negative, or greater than the time.
            CellError: if a cell returns no pair, or another kind of state than it was given.

        Example:
            >>> import numpy as np
            >>> from tinygrad_rnn import nn
            >>> layer = nn.LSTM(3, 4, num_layers=2, bidirectional=True)
            >>> y, (h, c), states = layer(np.ones((7, 2, 3)), lengths=[7, 5], return_states=True)
            >>> y.shape, h.shape, states[0].shape
            ((7, 2, 8), (4, 2, 4), (4, 7, 2, 4))
        """
        x = self._checked(x, 2, "(batch, time" if self.batch_first else "(time, batch")
        batch, time = x.shape[:2] if self.batch_first else x.shape[1::-1]
        if lengths is not None:
            lengths = check_lengths(lengths, time, batch)
            x = self._without_padding(x, np.arange(time)[:, None] < lengths)
        if self.batch_first:
            x = np.swapaxes(x, 0, 1)
        initial = self._initial(state, batch, x.dtype)
        if time == 0 and lengths is None:
            lengths = np.zeros(batch, dtype=int)
        results, watch = [], watcher()
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(self.num_directions):
                i = layer * self.num_directions + direction
                cell, reverse = self.cells[i], direction == 1
                if watch is not None:
                    y, *result = watch(Loop(cell, initial[i], x, lengths, reverse, self.engine, layer, current().scope))
                else:
                    y, *result = self._over_time(cell, initial[i], x, lengths, reverse, return_states)
                outputs.append(_checked_output(cell, y, batch))
                results.append(result)
            x = outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=-1)
            if self.dropout is not None and layer < self.num_layers - 1:
                x = self.dropout(x)
        final = stacked([result[0] for result in results])
        if self.batch_first:
            x = np.swapaxes(x, 0, 1)
        if not return_states:
            return x, final
        states = [result[1] for result in results]
        if self.batch_first:
            states = [tree_map(lambda leaf: np.swapaxes(leaf, 0, 1), nest) for nest in states]
        return x, final, stacked(states)

    def step(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        """Take one step without recording it, for instance to sample.

        Args:
            x: the input of one step, (batch, features), or integer tokens (batch,).
            state: as `forward` takes and returns it.

        Returns:
            The output (batch, features) and the next state.

        Raises:
            ConfigError: if the layer has a backward direction, which starts at an end that is not there yet.

        Example:
            >>> import numpy as np
            >>> from tinygrad_rnn import nn
            >>> layer = nn.GRU(3, 4)
            >>> y, h = layer.step(np.ones((1, 3)))
            >>> y, h = layer.step(np.ones((1, 3)), h)
            >>> y.shape, h.shape
            ((1, 4), (1, 1, 4))
        """
        if self.num_directions != 1:
            raise errors.ConfigError(
                "step() of a layer with two directions: the backward one needs the whole input; call the layer"
            )
        with no_grad():
            x = self._checked(x, 1, "(batch")
            state = self._initial(state, x.shape[0], x.dtype)
            x, states = self.advance(x, state)
            return x, stacked(states)

    def advance(self, x: Any, states: Sequence[Any]) -> tuple[Any, list[Any]]:
        """Take one step of all cells, one after another: the step that `Stepper` compiles.

        Args:
            x: the input of one step, (batch, features).
            states: the state of each cell, leaves (batch, ...).

        Returns:
            The output (batch, features) and the next state of each cell.

        Example:
            >>> import numpy as np
            >>> from tinygrad_rnn import nn
            >>> layer = nn.GRU(3, 4, num_layers=2)
            >>> y, states = layer.advance(np.ones((1, 3)), [np.zeros((1, 4)), np.zeros((1, 4))])
            >>> y.shape, len(states)
            ((1, 4), 2)
        """
        after = []
        for i, (cell, before) in enumerate(zip(self.cells, states, strict=True)):
            x, state = checked_step(cell, cell(x, before), before, matcher(before), 0)
            after.append(state)
            if self.dropout is not None and i < self.num_layers - 1:
                x = self.dropout(x)
        return x, after

    def source(self, x: Any, state: Any = None) -> str:
        """Return NumPy source that does what the engine `numpy` does with an input, forward and backward.

        It defines `forward` and `backward`, and says in their docstrings what they take and return; of a layer with
        several cells, a pair for each of them, `forward_0`, `backward_0` and so on, in the order of `cells`.

        Args:
            x: an input, as `forward` takes it; its shape and dtype count.
            state: the state before the first step, as `forward` takes it; None for the cells' own.

        Returns:
            The text, which runs by itself. In it `i` is a value of one step under the name that the cell gives it,
            `i_all` the same for all steps, `d_i` the gradient of i, and each line of the cell stands above what is done
            for it.

        Raises:
            ShapeError: if x or the state do not fit the cells.
            TraceError: if a cell cannot be traced.

        Example:
            >>> import numpy as np
            >>> from tinygrad_rnn import nn
            >>> found = {}
            >>> exec(nn.LSTM(3, 4).source(np.ones((5, 2, 3))), found)
            >>> sorted(found)[1:]
            ['backward', 'forward', 'np']
        """
        x = self._checked(x, 2, "(batch, time" if self.batch_first else "(time, batch")
        x = np.swapaxes(x, 0, 1) if self.batch_first else x
        batch = x.shape[1]
        initial = self._initial(state, batch, x.dtype)
        texts = []
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(self.num_directions):
                i = layer * self.num_directions + direction
                suffix = f"_{i}" if len(self.cells) > 1 else ""
                texts.append(source(self.cells[i], initial[i], x, reverse=direction == 1, suffix=suffix))
                y, _ = self._over_time(self.cells[i], initial[i], x, None, direction == 1, False)
                outputs.append(_checked_output(self.cells[i], y, batch))
            x = np.concatenate(outputs, axis=-1)
        return joined_sources(texts)

    def _over_time(
        self, cell: Any, init: Any, x: Any, lengths: NDArray[np.intp] | None, reverse: bool, return_states: bool
    ) -> tuple[Any, ...]:
        """Run one cell over all steps in one direction: what `scan` takes and gives."""
        return scan(cell, init, x, lengths, reverse=reverse, return_states=return_states, engine=self.engine)

    def _checked(self, x: Any, lead: int, words: str) -> Any:
        """Return the input as a tensor: `lead` axes, then features unless it holds tokens for cells that take them."""
        x = x if isinstance(x, Tensor) else Tensor(x)
        first, is_float = self.cells[0], x.dtype.kind == "f"
        size = getattr(first, "input_size", None)
        # A row of integers times a weight would broadcast against the state without a word.
        has_features = is_float or first.takes_features
        if x.ndim < lead + has_features or (has_features and size is not None and x.shape[-1] != size):
            features = "features" if size is None else size
            raise errors.ShapeError(
                f"an input of {x.dtype} and shape {x.shape}; give {words}, {features}), or integer tokens {words}) to "
                "cells that take them"
            )
        return x.astype(np.result_type(x.dtype, np.float16)) if has_features and not is_float else x

    def _without_padding(self, x: Any, valid: NDArray[np.bool_]) -> Any:
        """Return the input with zeros behind the end of each row: debug mode is to find no NaN that does not count."""
        if valid.all():
            return x
        mask = valid.T if self.batch_first else valid
        return np.where(mask.reshape(mask.shape + (1,) * (x.ndim - 2)), x, 0)

    def _initial(self, state: Any, batch: int, dtype: np.dtype[Any]) -> list[Any]:
        """Return the state of each cell before the first step, in the dtype that its first step will give it.

        That is NumPy's promotion of its own dtype, the parameters' (which is that of the cell's own initial state) and
        that of an input of features.
        """
        own = [own_state(cell, batch) for cell in self.cells]
        nests = own
        if state is not None:
            nests = unstacked(state, own)
        elif self.learned is not None:
            nests = [learned(nest) for learned, nest in zip(self.learned, own, strict=True)]

        def promoted(leaf: Tensor, like: Tensor) -> Tensor:
            if leaf.dtype.kind != "f":
                return leaf
            if leaf.dtype == like.dtype == dtype:
                return leaf
            wanted = np.result_type(leaf.dtype, like.dtype, *([dtype] if dtype.kind == "f" else []))
            return leaf if leaf.dtype == wanted else leaf.astype(wanted)

        return [tree_map(promoted, nest, like) for nest, like in zip(nests, own, strict=True)]


def _checked_output(cell: Cell, y: Any, batch: int) -> Any:
    """Return the outputs of all steps, which must be one array, with the batch for its second axis."""
    if isinstance(y, Tensor) and y.shape[1:2] == (batch,):
        return y
    raise errors.CellError(
        f"{type(cell).__name__}: the output of all steps together is {describe(y)}; return one array (batch, ...), "
        f"here ({batch}, ...), as the output of a step, and everything else in the state"
    )


def _directions(entry: Any) -> tuple[Cell, ...]:
    """Return the cells of a layer: one, or forward and backward."""
    cells = tuple(entry) if isinstance(entry, (tuple, list)) else (entry,)
    if 1 <= len(cells) <= 2 and all(isinstance(cell, Cell) for cell in cells):
        return cells
    raise errors.CellError(
        f"a {type(entry).__name__} is neither a cell nor a pair of cells; derive from nn.Cell and give an instance, as "
        "in nn.Recurrent(MyCell(8, 16)), or in two directions nn.Recurrent([(MyCell(8, 16), MyCell(8, 16))])"
    )
