"""Random numbers that start from a seed for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..core import random


@contextmanager
def random_numbers_of(seed: int) -> Iterator[None]:
    """Start `tg.random` from a seed inside the block, and hand back what it was.

    Args:
        seed: 0 to 2**64 - 1.

    Example:
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn.train.chance import random_numbers_of
        >>> drawn = []
        >>> for _ in range(2):
        ...     with random_numbers_of(3):
        ...         drawn.append(float(tg.random.uniform(())))
        >>> drawn[0] == drawn[1]
        True
    """
    before = random.get_state()
    random.seed(seed)
    try:
        yield
    finally:
        random.set_state(before)
