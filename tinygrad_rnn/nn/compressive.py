"""The Compressive Transformer: attention over a segment, the ones before it, and a summary of those further back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import Tensor, errors
from ..core.node import Array
from ..ops import relu, softmax
from . import init
from .checks import positive
from .containers import ModuleList
from .layers import Embedding, LayerNorm, Linear, Sequential
from .module import Module
from .parameter import Parameter

# Of one layer: the compressed memory and the memory, (rows, batch, size) each, oldest row first.
Memory = tuple[Any, Any]


class CompressiveTransformer(Module):
    """A Transformer over segments of a sequence that keeps its past in two memories a layer (Rae et al. 2020).

    Each layer attends to its compressed memory, its memory and the segment up to the symbol itself, at relative
    positions. Then what it was given for the segment becomes memory; of what no longer fits there, every `rate` rows
    become one row of the compressed memory by a linear map, and what no longer fits there is forgotten. No gradient
    goes into a memory: the linear map learns by a loss of its own, which asks that attention to its rows give what
    attention to the rows they stand for gives.

    Args:
        symbols: how many there are.
        size: features of a symbol in every layer; even.
        heads: of the attention; they share the features evenly.
        layers: on top of each other.
        memory: rows of the memory, a multiple of the rate.
        compressed: rows of the compressed memory.
        rate: rows that become one.

    Raises:
        ConfigError: if a size is no positive integer, or is no multiple of what it must be one of.

    Source: Rae et al. 2020, *Compressive transformers for long-range sequence modelling*, algorithms 1 and 2; relative
        positions as in Dai et al. 2019, *Transformer-XL*.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> model = nn.CompressiveTransformer(10, size=8, heads=2, layers=2, memory=4, compressed=4, rate=2)
        >>> memories = None
        >>> for segment in np.zeros((3, 4, 1), int):
        ...     logits, memories, compression_loss = model(segment, memories)
        >>> logits.shape, [rows.shape for rows in memories[0]]
        ((4, 1, 10), [(4, 1, 8), (4, 1, 8)])
    """

    def __init__(
        self, symbols: int, size: int, heads: int, layers: int, memory: int, compressed: int, rate: int = 2
    ) -> None:
        super().__init__()
        self.rate, self.memory = positive("rate", rate), positive("memory", memory)
        self.compressed = positive("compressed", compressed)
        for name, value, of in ("size", size, 2), ("size", size, heads), ("memory", memory, rate):
            if positive(name, value) % positive("heads", of):
                raise errors.ConfigError(f"{name} is {value}; give a multiple of {of}")
        self.embedding = Embedding(symbols, size)
        self.layers = ModuleList([_Layer(size, heads, rate) for _ in range(positive("layers", layers))])
        self.head = Linear(size, symbols)

    def forward(self, ids: ArrayLike, memories: list[Memory] | None = None) -> tuple[Tensor, list[Memory], Tensor]:
        """Read a segment.

        Args:
            ids: (time, batch), integers; time is a multiple of the rate.
            memories: what the call for the segment before returned; None at the start of a sequence.

        Returns:
            The scores of the symbol after each one, (time, batch, symbols); the memories for the next segment; and the
            loss of the compression, to be added to that of the scores.

        Raises:
            ShapeError: if the time is no multiple of the rate, or the memories belong to another batch.
        """
        h: Any = self.embedding(ids)
        time, batch, size = h.shape if h.ndim == 3 else (0, 0, 0)
        if not time or time % self.rate:
            shape = h.shape[:-1]
            raise errors.ShapeError(f"ids of shape {shape}; give (time, batch), the time a multiple of {self.rate}")
        nothing = Tensor(np.zeros((0, batch, size), h.dtype))
        memories = [(nothing, nothing)] * len(self.layers) if memories is None else memories
        if any(rows.shape[1:] != (batch, size) for pair in memories for rows in pair):
            raise errors.ShapeError(f"memories {memories[0][1].shape} for a batch of {batch}; give those of these rows")
        after, loss = [], Tensor(np.zeros((), h.dtype))
        for layer, (compressed, memory) in zip(self.layers, memories, strict=True):
            pair, missed = self._remember(layer, h.detach(), compressed, memory)
            after.append(pair)
            loss = loss + missed
            h = layer(h, np.concatenate([compressed, memory]))
        return self.head(h), after, loss

    def _remember(self, layer: Any, h: Any, compressed: Any, memory: Any) -> tuple[Memory, Any]:
        """Return the memories of a layer after a segment h, and how much their compression misses."""
        past = np.concatenate([memory, h])
        memory, leaving = past[-self.memory :], past[: max(0, len(past) - self.memory)]
        if not len(leaving):
            return (compressed, memory), 0.0
        rows = layer.compress(leaving)
        compressed = np.concatenate([compressed, rows.detach()])[-self.compressed :]
        return (compressed, memory), layer.reconstruction(h, leaving, rows)


class _Layer(Module):
    """Attention at relative positions and a map of each row by itself, each added to what came in, and normalised."""

    def __init__(self, size: int, heads: int, rate: int) -> None:
        super().__init__()
        self.heads, self.rate = heads, rate
        self.query, self.key, self.value = (Linear(size, size, bias=False) for _ in "qkv")
        self.position, self.out = Linear(size, size, bias=False), Linear(size, size)
        self.content_bias = Parameter(init.zeros((heads, size // heads)))
        self.position_bias = Parameter(init.zeros((heads, size // heads)))
        self.forth = Sequential(Linear(size, 4 * size), relu, Linear(4 * size, size))
        self.after_attention, self.after_forth = LayerNorm(size), LayerNorm(size)
        self.shrink = Linear(rate * size, size)

    def forward(self, h: Any, past: Any) -> Any:
        """Map h (time, batch, size) to what the layer above gets, with rows (rows, batch, size) of the past."""
        seen = np.concatenate([past, h])
        # How far each row lies behind each symbol; below 0, it is still to come.
        behind = np.arange(len(past), len(seen))[:, None] - np.arange(len(seen))
        query, key, value = self._split(self.query(h)), self._split(self.key(seen)), self._split(self.value(seen))
        positions = self._split(self.position(_waves(len(seen), h.shape[-1], h.dtype)))
        scores = np.einsum("tbhe,rbhe->bhtr", query + self.content_bias, key)
        by_distance = np.einsum("tbhe,rhe->bhtr", query + self.position_bias, positions)
        scores = scores + by_distance[:, :, np.arange(len(h))[:, None], np.maximum(behind, 0)]
        answer = _mean(np.where(behind >= 0, scores, -np.inf), value)
        h = self.after_attention(h + self.out(answer.reshape(h.shape)))
        return self.after_forth(h + self.forth(h))

    def compress(self, rows: Any) -> Any:
        """Return one row for every `rate` of (rows, batch, size)."""
        count, batch, size = rows.shape
        groups = rows.reshape((count // self.rate, self.rate, batch, size))
        return self.shrink(np.swapaxes(groups, 1, 2).reshape((count // self.rate, batch, self.rate * size)))

    def reconstruction(self, h: Any, rows: Any, compressed: Any) -> Any:
        """Return the mean square by which attention to compressed rows misses that to the rows; weights stand still."""
        query, key, value = [linear.weight.detach() for linear in (self.query, self.key, self.value)]

        def attended(memory: Any) -> Any:
            scores = np.einsum("tbhe,rbhe->bhtr", self._split(h @ query), self._split(memory @ key))
            return _mean(scores, self._split(memory @ value))

        return np.mean(np.square(attended(rows) - attended(compressed)))

    def _split(self, a: Any) -> Any:
        return a.reshape((*a.shape[:-1], self.heads, a.shape[-1] // self.heads))


def _mean(scores: Any, value: Any) -> Any:
    """Return the means of values (rows, batch, heads, features) by scores (batch, heads, time, rows), time first."""
    weights = softmax(scores / np.sqrt(value.shape[-1]).astype(value.dtype), axis=-1)
    return np.einsum("bhtr,rbhe->tbhe", weights, value)


def _waves(count: int, size: int, dtype: Any) -> Array:
    """Return a row for each distance: sines and cosines of frequencies from 1 to 1 / 10,000."""
    angles = np.arange(count)[:, None] / 10_000 ** (np.arange(0, size, 2) / size)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1).astype(dtype)
