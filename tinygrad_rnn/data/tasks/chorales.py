"""Polyphonic music: which of 88 keys sound in the next frame."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import DataError
from ..datasets import fetch
from ..sequences import pad
from .base import SPLITS, Batch, Score, Split
from .finite import FiniteTask
from .kinds import MultiLabel

_FIELDS = dict(zip(SPLITS, ("traindata", "validdata", "testdata"), strict=True))
Rolls = dict[Split, list[NDArray[np.float32]]]


@lru_cache(maxsize=2)
def _rolls(file: str) -> Rolls:
    """Return the piano rolls (frames, 88) of each split of a file."""
    try:
        from scipy.io import loadmat
    except ImportError:
        raise DataError(
            f"{file} is read by SciPy, which is not installed; write pip install 'tinygrad_rnn[tasks]'"
        ) from None
    content: dict[str, Any] = loadmat(fetch(file))
    return {split: [roll.astype(np.float32) for roll in content[field].ravel()] for split, field in _FIELDS.items()}


class PianoRolls(FiniteTask, MultiLabel):
    """The next frame of piano rolls: which of the keys sound.

    Each frame but the first is predicted from those before it; the score is the negative log-likelihood of a frame, all
    keys summed. Pieces of like length are trained on together. The baseline knows how often each key sounds in training
    and takes the keys for independent.

    Args:
        rolls: for each of "train", "validation" and "test" a list of arrays (frames, keys), 0 or 1, of two frames or
            more.
        threshold: the nats a frame at which the task counts as solved.

    Raises:
        DataError: if a split is missing or empty, or a roll has another shape.

    Source: Boulanger-Lewandowski et al. 2012, *Modeling temporal dependencies in high-dimensional sequences*.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.data import tasks
        >>> scale = np.eye(5)
        >>> task = tasks.PianoRolls({"train": [scale, scale], "validation": [scale], "test": [scale]}, threshold=0.1)
        >>> next(task.batches(size=2)).x.shape
        (4, 2, 5)
    """

    source = "Boulanger-Lewandowski et al. 2012; Bai et al. 2018"
    by_length = True

    def __init__(self, rolls: Rolls, threshold: float) -> None:
        for split in SPLITS:
            shapes = [np.shape(roll) for roll in rolls.get(split, [])]
            keys = np.shape(rolls["train"][0])[1:] if rolls.get("train") else ()
            if not shapes or any(len(shape) != 2 or shape[0] < 2 or shape[1:] != keys for shape in shapes):
                raise DataError(
                    f"rolls of {split} have the shapes {sorted(set(shapes))[:5]}; give one or more (frames, keys) with "
                    "the same keys and two frames at least"
                )
        self._rolls = {split: [np.asarray(roll, np.float32) for roll in rolls[split]] for split in SPLITS}
        self.input_size = self.output_size = keys[0]
        self.threshold = float(threshold)

    def lengths_of(self, split: Split) -> NDArray[np.intp]:
        """Return how many frames of each roll are to be predicted."""
        return np.array([len(roll) - 1 for roll in self._rolls[split]])

    def select(self, split: Split, rows: NDArray[np.intp]) -> Batch:
        """Return frames (time, rows, keys), the next ones, and the lengths."""
        frames, lengths = pad([self._rolls[split][row] for row in rows])
        return Batch(frames[:-1], frames[1:], lengths - 1)

    def baseline(self) -> Score:
        """Return the cross entropy of a frame under the frequencies of keys in training, over the test."""
        known, asked = (np.concatenate([roll[1:] for roll in self._rolls[split]]) for split in ("train", "test"))
        p = (known.sum(0, dtype=np.float64) + 1) / (len(known) + 2)
        q = asked.mean(0, dtype=np.float64)
        nats = float(-(q * np.log(p) + (1 - q) * np.log(1 - p)).sum())
        return Score(nats, nats)


class JSBChorales(PianoRolls):
    """382 chorales by Bach, as `PianoRolls`: solved within 0.1 of the best published plain recurrent network.

    References: Bai et al. 2018 report LSTM 8.45, GRU 8.43, RNN 8.91 nats a frame at 300,000 parameters.

    Raises:
        DataError: if SciPy is not installed or the file cannot be fetched.

    Source: Boulanger-Lewandowski et al. 2012; Bai et al. 2018, *An empirical evaluation of generic convolutional and
        recurrent networks for sequence modeling*.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> tasks.JSBChorales().input_size  # doctest: +SKIP
        88
    """

    def __init__(self) -> None:
        super().__init__(_rolls("JSB_Chorales.mat"), threshold=8.53)


class Nottingham(PianoRolls):
    """1,037 folk tunes, as `PianoRolls`: solved within 0.1 of the best published plain recurrent network.

    References: Bai et al. 2018 report LSTM 3.29, GRU 3.46, RNN 4.05 nats a frame at 1,000,000 parameters.

    Raises:
        DataError: if SciPy is not installed or the file cannot be fetched.

    Source: Boulanger-Lewandowski et al. 2012; Bai et al. 2018.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> tasks.Nottingham().input_size  # doctest: +SKIP
        88
    """

    def __init__(self) -> None:
        super().__init__(_rolls("Nottingham.mat"), threshold=3.39)
