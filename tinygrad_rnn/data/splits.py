"""Orders and parts: shuffling that a seed decides, what to train on and what to validate on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ConfigError, DataError
from .checks import integer

Item = TypeVar("Item")


def shuffled(n: int, seed: int, epoch: int = 0) -> NDArray[np.int64]:
    """Return the order in which an epoch sees n things: a permutation that seed and epoch decide, whatever ran before.

    Args:
        n: how many things, 0 or more.
        seed: 0 to 2**64 - 1.
        epoch: 0 to 2**64 - 1; another epoch has another order.

    Returns:
        int64 (n,), each of 0 to n - 1 once.

    Raises:
        ConfigError: if an argument is not such an integer.

    Source: Philox, Salmon et al. 2011, *Parallel random numbers: as easy as 1, 2, 3*.

    Example:
        >>> from tinygrad_rnn import data
        >>> sorted(data.shuffled(5, seed=1, epoch=2).tolist())
        [0, 1, 2, 3, 4]
        >>> bool((data.shuffled(5, 1, 2) == data.shuffled(5, 1, 2)).all())
        True
    """
    key = np.array([integer("seed", seed), integer("epoch", epoch)], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(integer("n", n))


def train_validation_split(
    sequences: Iterable[Item], validation: float = 0.1, seed: int = 0
) -> tuple[list[Item], list[Item]]:
    """Split things at random into a part to train on and a part to validate on; each keeps their order.

    Args:
        sequences: two things or more.
        validation: the part that is held out, between 0 and 1.
        seed: decides which ones; 0 to 2**64 - 1.

    Returns:
        The two parts; each thing is in exactly one of them.

    Raises:
        ConfigError: if `validation` is not between 0 and 1, or the seed no such integer.
        DataError: if a part would be empty.

    Example:
        >>> from tinygrad_rnn import data
        >>> train, validation = data.train_validation_split("abcdefghij", validation=0.2)
        >>> len(train), len(validation), sorted(train + validation) == list("abcdefghij")
        (8, 2, True)
    """
    items = list(sequences)
    size = _held_out(len(items), validation, "sequences")
    chosen = set(shuffled(len(items), seed)[:size].tolist())
    train = [item for row, item in enumerate(items) if row not in chosen]
    return train, [item for row, item in enumerate(items) if row in chosen]


def split_text(text: str, validation: float = 0.1) -> tuple[str, str]:
    """Cut a text in two: the beginning to train on, the end to validate on.

    Args:
        text: the whole text.
        validation: the part of its characters that goes to the end, between 0 and 1.

    Returns:
        The two parts; together they are the text.

    Raises:
        ConfigError: if `validation` is not between 0 and 1.
        DataError: if the text is so short that a part would be empty.

    Example:
        >>> from tinygrad_rnn import data
        >>> data.split_text("abcdefghij", validation=0.2)
        ('abcdefgh', 'ij')
    """
    cut = len(text) - _held_out(len(text), validation, "characters")
    return text[:cut], text[cut:]


def _held_out(count: int, validation: float, things: str) -> int:
    """Return how many of `count` things go to the validation part; neither part may be empty."""
    if not 0 < validation < 1:
        raise ConfigError(f"validation is {validation!r}; give a part between 0 and 1, such as 0.1 for the last tenth")
    size = round(count * validation)
    if not 0 < size < count:
        raise DataError(
            f"{count} {things} with validation={validation} would leave one part empty; "
            f"give more {things} or another part"
        )
    return size
