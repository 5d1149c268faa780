"""Handwritten digits, read pixel by pixel."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ConfigError, DataError
from ..splits import shuffled
from .base import Array, Batch, Score, Split
from .finite import FiniteTask
from .kinds import Classification

_ENDS = {"train": (0, 1297), "validation": (1297, 1547), "test": (1547, 1797)}


@lru_cache(maxsize=1)
def _images() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return images (1797, 64), 0 to 1, and digits (1797,), in an order that mixes the writers."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise DataError(
            "the handwritten digits come with scikit-learn, which is not installed; "
            "write pip install 'tinygrad_rnn[tasks]'"
        ) from None
    images, digits = load_digits(return_X_y=True)
    order = shuffled(len(digits), seed=0)
    return (images[order] / 16).astype(np.float32), digits[order].astype(np.int64)


class SequentialDigits(FiniteTask, Classification):
    """Images of 8 × 8 pixels, some pixels a step, row after row; at the end, which digit it is.

    1,297 images to train on, 250 each for validation and test. Who has seen nothing says how often each digit occurs in
    training: the cross entropy of that with the digits of the test, and all wrong but the most frequent one.

    References: none with these splits. (The same task with 28 × 28 pixels: Le et al. 2015.)

    Args:
        pixels: pixels a step, 1 (64 steps), 2, 4, 8 (8 steps, a row each) and so on up to 64.

    Raises:
        ConfigError: if 64 is not a multiple of `pixels`.
        DataError: if scikit-learn is not installed.

    Source: images by Alpaydin & Kaynak 1998, in scikit-learn; the task by Le et al. 2015, *A simple way to initialize
        recurrent networks of rectified linear units*.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> task = tasks.SequentialDigits(pixels=8)  # doctest: +SKIP
        >>> next(task.batches(size=32)).x.shape  # doctest: +SKIP
        (8, 32, 8)
    """

    output_size = 10
    threshold = 0.1
    source = "Alpaydin & Kaynak 1998; Le et al. 2015"

    def __init__(self, pixels: int = 1) -> None:
        if pixels not in (1, 2, 4, 8, 16, 32, 64):
            raise ConfigError(f"pixels is {pixels!r}; give the pixels of a step: 1, 2, 4, 8, 16, 32 or 64")
        self.pixels = self.input_size = int(pixels)
        self._images, self._digits = _images()

    def lengths_of(self, split: Split) -> NDArray[np.intp]:
        """Return the steps of each image, all the same."""
        first, end = _ENDS[split]
        return np.full(end - first, 64 // self.pixels)

    def select(self, split: Split, rows: NDArray[np.intp]) -> Batch:
        """Return images (64 / pixels, rows, pixels) and digits (rows,)."""
        places = _ENDS[split][0] + rows
        x = self._images[places].reshape(len(rows), -1, self.pixels)
        return Batch(np.ascontiguousarray(x.swapaxes(0, 1)), self._digits[places])

    def baseline(self) -> Score:
        """Return the cross entropy of the frequencies in training, and the share of all other digits, both in test."""
        known, asked = (np.bincount(self._digits[slice(*_ENDS[split])], minlength=10) for split in ("train", "test"))
        return frequencies_score(known, asked)


def frequencies_score(known: Array, asked: Any) -> Score:
    """Return what the frequencies of classes in training get elsewhere: cross entropy and share of errors.

    Args:
        known: (classes,), how often each class occurs in training; one occurrence more is added to each.
        asked: (classes,), how often it is asked for.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.data.tasks.digits import frequencies_score
        >>> frequencies_score(np.array([1, 5]), np.array([1, 3])).error
        0.25
    """
    p, weights = (known + 1) / (known + 1).sum(), asked / asked.sum()
    return Score(float(-(weights * np.log(p)).sum()), float(1 - weights[known.argmax()]))
