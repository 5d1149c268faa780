"""The character language model: embedding, recurrent layer, output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import nn
from ..core import Tensor, no_grad
from ..core.errors import CellError, ConfigError
from ..nn.states import own_state
from ..scan import Stepper
from .cells import CellClass
from .config import Config


class CharModel(nn.Module):
    """Scores the next character at every step.

    Args:
        symbols: number of characters in the vocabulary.
        cell: class of the cell; it is made with (input size, hidden size).
        config: the settings.

    Raises:
        CellError: if a cell of the class cannot be made, or cannot take a step.
        ConfigError: if `symbols` is no positive integer.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn, train
        >>> model = train.CharModel(10, nn.GRUCell, train.Config(hidden=8, embedding=4))
        >>> logits, state = model(np.zeros((5, 2), dtype=np.int64))
        >>> logits.shape
        (5, 2, 10)
    """

    def __init__(self, symbols: int, cell: CellClass, config: Config) -> None:
        super().__init__()
        if isinstance(symbols, bool) or not isinstance(symbols, (int, np.integer)) or symbols < 1:
            raise ConfigError(f"symbols is {symbols!r}; give the number of characters, len(vocabulary)")
        self.embedding = nn.Embedding(symbols, config.embedding)
        cells, size = [], config.embedding
        for _ in range(config.layers):
            cells.append(make_cell(cell, size, config.hidden))
            size = _output_size(cells[-1], size)
        self.layer = nn.Recurrent(cells, dropout=config.dropout if config.layers > 1 else 0.0)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(size, symbols)

    def forward(self, ids: np.ndarray, state: Any = None) -> tuple[Tensor, Any]:
        """Return the scores of the characters that may follow each one, and the state to go on from.

        Args:
            ids: (time, batch), integers.
            state: what an earlier call returned, or None to start from nothing.

        Returns:
            Logits (time, batch, symbols), and the state after the last step.
        """
        outputs, state = self.layer(self.embedding(ids), state)
        return self.head(self.dropout(outputs)), state

    def step(self, ids: np.ndarray, state: Any = None) -> tuple[np.ndarray, Any]:
        """Take one step without recording it, as in evaluation.

        Args:
            ids: (batch,), integers.
            state: what an earlier call returned, or None.

        Returns:
            Logits (batch, symbols) and the state after the step.
        """
        with self._evaluating(), no_grad():
            output, state = self.layer.step(self.embedding(ids), state)
            return self.head(output).data, state

    def stepper(self, engine: str | None = None) -> Callable[[int], np.ndarray]:
        """Return a function that reads one character after another, compiled, as in evaluation.

        Compiled, it keeps the weights as they are now (see `Stepper`). It begins with no character read.

        Args:
            engine: as `scan` takes it.

        Returns:
            A function from the number of a character to the logits (symbols,) of the one after it.

        Example:
            >>> from tinygrad_rnn import nn, train
            >>> model = train.CharModel(10, nn.GRUCell, train.Config(hidden=8, embedding=4))
            >>> read = model.stepper()
            >>> read(3).shape
            (10,)
        """

        def step(x: Any, states: Any) -> tuple[Any, Any]:
            with self._evaluating():
                output, states = self.layer.advance(x, states)
                return self.head(output), states

        vectors = self.embedding.weight.data
        states = [own_state(cell, 1) for cell in self.layer.cells]
        take = Stepper(step, states, vectors[:1], engine=engine)
        return lambda number: take(vectors[number : number + 1])[0]

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        training = self.training
        if training:
            self.eval()
        try:
            yield
        finally:
            if training:
                self.train()


def make_cell(cell: CellClass, input_size: int, hidden_size: int) -> nn.Cell:
    """Make a cell; a class that does not take the two sizes is told what to take."""
    try:
        made = cell(input_size, hidden_size)
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            raise  # It arose inside.
        raise CellError(
            f"{error}; write def __init__(self, input_size, hidden_size) in the class of the cell"
        ) from None
    if not isinstance(made, nn.Cell):
        raise CellError(f"cell makes a {type(made).__name__}; give a class derived from nn.Cell, such as nn.LSTMCell")
    return made


def _output_size(cell: nn.Cell, input_size: int) -> int:
    """Run a cell once: its output need not be as wide as its state."""
    try:
        with no_grad():
            answer = cell(Tensor(np.zeros((1, input_size), dtype=np.float32)), cell.initial_state(1))
    except NotImplementedError as error:
        raise CellError(str(error)) from None
    if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], Tensor) and answer[0].ndim == 2):
        raise CellError(
            f"{type(cell).__name__}.forward returned {type(answer).__name__}; return (y, state), y: (batch, size)"
        )
    return int(answer[0].shape[-1])
