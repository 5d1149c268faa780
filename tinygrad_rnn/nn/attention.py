"""Additive attention, a cell that reads a memory by it, and sequence to sequence made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import Tensor, errors, no_grad
from ..ops import softmax
from ..scan import scan
from ..scan.checks import check_lengths
from . import init
from .cells import Cell, GRUCell
from .checks import positive
from .layers import Embedding, Linear
from .module import Module
from .parameter import Parameter
from .recurrent import Recurrent
from .wrappers import WrappedCell
from .wrappers.base import output_size


class AdditiveAttention(Module):
    """The mean of the rows of a memory, weighted by how well each fits a query (Bahdanau et al. 2015).

    s_k = v · tanh(q A + b + m_k B); the weights are softmax(s); the answer is Σ weight_k m_k.

    Args:
        query_size: features of the query.
        memory_size: features of a row of the memory.
        hidden_size: features of the sum inside tanh.

    Raises:
        ConfigError: if a size is no positive integer.

    Source: Bahdanau et al. 2015, *Neural machine translation by jointly learning to align and translate*, A.1.2.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> answer, weights = nn.AdditiveAttention(3, 4, 5)(np.ones((2, 3)), np.ones((2, 6, 4)))
        >>> answer.shape, weights.data[0].round(3).tolist()
        ((2, 4), [0.167, 0.167, 0.167, 0.167, 0.167, 0.167])
    """

    def __init__(self, query_size: int, memory_size: int, hidden_size: int) -> None:
        super().__init__()
        self.from_query = Linear(positive("query_size", query_size), positive("hidden_size", hidden_size))
        self.from_memory = Linear(positive("memory_size", memory_size), hidden_size, bias=False)
        self.score = Linear(hidden_size, 1, bias=False)

    def forward(self, query: Any, memory: Any, valid: Any = None) -> tuple[Tensor, Tensor]:
        """Look a batch of queries up.

        Args:
            query: (batch, query_size).
            memory: (batch, rows, memory_size).
            valid: (batch, rows) bools, True in one row at least: rows that count; None for all.

        Returns:
            The answers (batch, memory_size), and the weights (batch, rows).
        """
        sums = self.from_query(query)[:, None] + self.from_memory(memory)
        scores = self.score(np.tanh(sums))[:, :, 0]
        if valid is not None:
            scores = np.where(valid, scores, -np.inf)
        weights = softmax(scores, axis=-1)
        return np.sum(weights[:, :, None] * memory, axis=1), weights


class AttentionCell(WrappedCell):
    """A cell that reads a memory by attention before every step (Bahdanau et al. 2015).

    The query is the output ỹ of the step before. With the answer a, (ỹ', s') = cell([x a], s); the output is [ỹ' a].
    The memory is part of the state: (state of the cell, ỹ, memory, valid). `start` makes it of any memory; the cell's
    own initial state has a memory of `slots` rows that are parameters.

    Args:
        cell: a cell that takes the features of x and of a row of the memory.
        memory_size: features of a row.
        slots: rows of the cell's own memory; 0 for none.
        hidden_size: of the attention; as many as ỹ by default.

    Raises:
        CellError: if `cell` is no cell, or has no `input_size`, or, from `initial_state`, if there are no slots.
        ConfigError: if a size is no positive integer, or the cell takes too few features.

    Source: Bahdanau et al. 2015, *Neural machine translation by jointly learning to align and translate*.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> from tinygrad_rnn.scan import scan
        >>> cell = nn.AttentionCell(nn.GRUCell(3 + 6, 4), memory_size=6)
        >>> y, _ = scan(cell, cell.start(np.ones((2, 7, 6), np.float32)), np.ones((5, 2, 3), np.float32))
        >>> y.shape
        (5, 2, 10)
    """

    def __init__(self, cell: Cell, memory_size: int, slots: int = 0, hidden_size: int | None = None) -> None:
        super().__init__(cell)
        self.memory_size, self.output_size = positive("memory_size", memory_size), output_size(cell)
        both = self.input_size
        self.input_size = both - self.memory_size
        if self.input_size < 1:
            raise errors.ConfigError(
                f"{type(cell).__name__} takes {both} features, of which {memory_size} come from the memory; "
                f"make it with input_size {memory_size} + the features of x"
            )
        self.attention = AdditiveAttention(self.output_size, memory_size, hidden_size or self.output_size)
        self.rows = Parameter(init.normal((positive("slots", slots), memory_size))) if slots else None

    def start(self, memory: Any, lengths: Any = None) -> Any:
        """Return the state before the first step, with a memory to read.

        Args:
            memory: (batch, rows, memory_size).
            lengths: (batch,) integers of at least 1: how many rows count; None for all.

        Raises:
            ShapeError: if the memory has another shape.
            DataError: if a length is 0 or greater than the number of rows.
        """
        memory = memory if isinstance(memory, Tensor) else Tensor(memory)
        if memory.ndim != 3 or memory.shape[2] != self.memory_size or not memory.shape[1]:
            raise errors.ShapeError(
                f"a memory of shape {memory.shape}; give (batch, rows, {self.memory_size}), one row or more"
            )
        batch, rows, _ = memory.shape
        counts = np.full(batch, rows) if lengths is None else check_lengths(lengths, rows, batch)
        if (counts == 0).any():
            raise errors.DataError("a memory of no rows; give lengths of at least 1")
        y = Tensor(np.zeros((batch, self.output_size), self._parameter_dtype()))
        return self.cell.initial_state(batch), y, memory, Tensor(np.arange(rows) < counts[:, None])

    def initial_state(self, batch_size: int) -> Any:
        """Return the state before the first step, with the cell's own memory in every row of the batch."""
        if self.rows is None:
            raise errors.CellError("an AttentionCell without slots has no memory to begin with; use cell.start(memory)")
        return self.start(np.broadcast_to(self.rows, (batch_size, *self.rows.shape)))

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step.

        Args:
            x: (batch, features).
            state: what `start` or an earlier step returned.

        Returns:
            [ỹ' a], (batch, output_size + memory_size), and the state after the step.
        """
        inner, y, memory, valid = state
        answer, _ = self.attention(y, memory, valid)
        y, inner = self.cell(np.concatenate([x, answer], axis=-1), inner)
        return np.concatenate([y, answer], axis=-1), (inner, y, memory, valid)


class Seq2Seq(Module):
    """One sequence of symbols to another: an encoder in both directions, a decoder that attends to all it put out.

    Args:
        source_symbols: symbols that may come in.
        target_symbols: symbols that may come out.
        embedding_size: features of a symbol.
        hidden_size: features of each cell's state.
        cell: class of the cells; they are made with (input_size, hidden_size).

    Raises:
        ConfigError: if a size is no positive integer.

    Source: Bahdanau et al. 2015, *Neural machine translation by jointly learning to align and translate*; the decoder
        starts from its cell's initial state.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> model = nn.Seq2Seq(10, 12, embedding_size=8, hidden_size=16)
        >>> logits = model(np.zeros((7, 2), int), np.zeros((5, 2), int), source_lengths=[7, 3])
        >>> logits.shape
        (5, 2, 12)
    """

    def __init__(
        self,
        source_symbols: int,
        target_symbols: int,
        embedding_size: int,
        hidden_size: int,
        cell: Callable[[int, int], Cell] = GRUCell,
    ) -> None:
        super().__init__()
        self.of_source = Embedding(source_symbols, embedding_size)
        self.of_target = Embedding(target_symbols, embedding_size)
        pair = cell(embedding_size, hidden_size), cell(embedding_size, hidden_size)
        self.encoder = Recurrent([pair])
        memory_size = 2 * output_size(pair[0])
        self.decoder = AttentionCell(cell(embedding_size + memory_size, hidden_size), memory_size)
        self.head = Linear(self.decoder.output_size + memory_size, target_symbols)

    def encode(self, source: ArrayLike, source_lengths: Any = None) -> Any:
        """Return the state that the decoder starts from.

        Args:
            source: (source time, batch), integers.
            source_lengths: (batch,) integers of at least 1; None where every row has all steps.
        """
        rows, _ = self.encoder(self.of_source(source), lengths=source_lengths)
        return self.decoder.start(np.swapaxes(rows, 0, 1), source_lengths)

    def forward(self, source: ArrayLike, target: ArrayLike, source_lengths: Any = None) -> Tensor:
        """Return the scores of the symbol that comes after each symbol of the target.

        Args:
            source: (source time, batch), integers.
            target: (time, batch), integers: what is known of the answer, a symbol for its start first.
            source_lengths: (batch,) integers of at least 1; None where every row has all steps.

        Returns:
            Logits (time, batch, target_symbols).
        """
        y, _ = scan(self.decoder, self.encode(source, source_lengths), self.of_target(target))
        logits: Tensor = self.head(y)
        return logits

    def greedy(
        self, source: ArrayLike, start: int, end: int, limit: int, source_lengths: Any = None
    ) -> list[list[int]]:
        """Return the answers whose every symbol is the best after those before it.

        Args:
            source: (source time, batch), integers.
            start: the symbol that an answer starts after.
            end: the symbol that ends an answer, which it does not contain.
            limit: of symbols in an answer.
            source_lengths: (batch,) integers of at least 1; None where every row has all steps.

        Returns:
            A list of symbols for each row.

        Example:
            >>> import numpy as np
            >>> from tinygrad_rnn import nn
            >>> model = nn.Seq2Seq(4, 4, embedding_size=3, hidden_size=5)
            >>> [len(answer) <= 6 for answer in model.greedy(np.zeros((3, 2), int), start=0, end=1, limit=6)]
            [True, True]
        """
        with no_grad():
            state = self.encode(source, source_lengths)
            symbols = np.full(len(state[1]), start)
            steps: list[Any] = []
            while len(steps) < limit and not (steps and np.any(np.stack(steps) == end, axis=0).all()):
                y, state = self.decoder(self.of_target(symbols), state)
                symbols = np.argmax(self.head(y).data, axis=-1)
                steps.append(symbols)
        answers = [[int(symbols[row]) for symbols in steps] for row in range(len(state[1]))]
        return [answer[: answer.index(end)] if end in answer else answer for answer in answers]
