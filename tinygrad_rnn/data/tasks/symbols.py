"""Symbols as vectors: one-hot rows, all batches at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def one_hot(symbols: NDArray[Any], count: int) -> NDArray[np.float32]:
    """Return vectors with a 1 at each symbol's place.

    Args:
        symbols: integers (...), 0 to count - 1.
        count: how many symbols there are.

    Returns:
        (..., count), float32.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.data.tasks.symbols import one_hot
        >>> one_hot(np.array([2, 0]), 3)
        array([[0., 0., 1.],
               [1., 0., 0.]], dtype=float32)
    """
    vectors = np.zeros((symbols.size, count), np.float32)
    vectors[np.arange(symbols.size), symbols.ravel()] = 1
    return vectors.reshape(*symbols.shape, count)


def binary_entropy(p: Any) -> Any:
    """Return -p log p - (1 - p) log(1 - p), in nats, 0 at both ends.

    Example:
        >>> from tinygrad_rnn.data.tasks.symbols import binary_entropy
        >>> round(float(binary_entropy(0.5)), 4)
        0.6931
    """
    return entropy(np.stack([p, 1 - np.asarray(p)], -1))


def entropy(probabilities: Any) -> Any:
    """Return -Σ p log p over the last axis, in nats.

    Example:
        >>> from tinygrad_rnn.data.tasks.symbols import entropy
        >>> round(float(entropy([0.25] * 4)), 4)
        1.3863
    """
    p = np.asarray(probabilities, np.float64)
    return -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=-1)
