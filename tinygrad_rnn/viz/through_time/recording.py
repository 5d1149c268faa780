"""What is kept of a training for pictures of it: a few hundred rows, whatever the number of steps, in one file."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from ...core.errors import DataError
from .plotting import Array

FILE = "recording.npz"


@dataclass(frozen=True, eq=False)
class Recording:
    """Rows in the order of the steps that they were taken after.

    Args:
        steps: numbers of the training steps, (rows,).
        loss: mean training loss of the steps since the row before, (rows,); all else is as the row's own step left it.
        seen: how many steps that is the mean of, (rows,): all since the row before, but for steps that were trained
            without the recorder.
        gradient: norm of the whole gradient before it was clipped, (rows,).
        clip: greatest norm of the gradient; 0 where it is not clipped.
        parameters: names.
        gradients: norm of the gradient by parameter, before it was clipped, (rows, parameters).
        ratios: norm of the step's change over norm of the weights by parameter, (rows, parameters); NaN at weights 0.
        activations: names of the parts of the state.
        counts: how many numbers of each part of the state fell into each bin, (rows, parts, bins).
        ranges: the bins of a part divide the range from -r to r evenly, (parts,).
    """

    steps: Array
    loss: Array
    seen: Array
    gradient: Array
    clip: Array
    parameters: Array
    gradients: Array
    ratios: Array
    activations: Array
    counts: Array
    ranges: Array

    def to_bytes(self) -> bytes:
        """Return the contents of the file."""
        file = io.BytesIO()
        np.savez_compressed(file, **{field.name: getattr(self, field.name) for field in fields(self)})
        return file.getvalue()

    @classmethod
    def read(cls, folder: Path) -> Recording:
        """Read the file in the folder of a run.

        Raises:
            DataError: if the folder is none, there is no such file in it, or it is damaged.
        """
        path = folder / FILE
        if not folder.is_dir():
            raise DataError(
                f"{folder} is no run: it is {'a file' if folder.exists() else 'not there'}; give the folder of a run "
                "that was trained with callbacks=[train.Recorder(folder)]"
            )
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                found = {"seen": steps_between(file["steps"]), **file}
                return cls(**{field.name: found[field.name] for field in fields(cls)})
        except FileNotFoundError:
            raise DataError(
                f"{folder} holds no {FILE}; train with callbacks=[train.Recorder(folder)], which writes it once a "
                "step is done"
            ) from None
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} is damaged ({type(error).__name__}: {error}); record the training anew") from None


def steps_between(steps: Array) -> Array:
    """Return how many steps lie between each row and the one before it, its own included.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.viz.through_time.recording import steps_between
        >>> steps_between(np.array([2, 4, 8]))
        array([2, 2, 4])
    """
    between: Array = np.diff(steps, prepend=0)
    return between


def histogram(values: Array, reach: float, bins: int) -> Array:
    """Count values in even bins from -reach to reach; what lies outside is counted in the outermost bins, NaN nowhere.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.viz.through_time.recording import histogram
        >>> histogram(np.array([-1.0, -0.1, 0.3, 0.4]), 1.0, 4)
        array([1, 1, 2, 0])
    """
    values = values[~np.isnan(values)]
    places = np.floor(values / reach * (bins // 2)) + bins // 2
    counts: Array = np.bincount(np.clip(places, 0, bins - 1).astype(int), minlength=bins)
    return counts


def widened(counts: Array) -> Array:
    """Return histograms over a range of twice the width: each pair of bins becomes one, and the outer half is empty.

    Args:
        counts: (..., bins), bins a multiple of 4.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.viz.through_time.recording import widened
        >>> widened(np.array([1, 2, 3, 4]))
        array([0, 3, 7, 0])
    """
    bins = counts.shape[-1]
    pairs = counts.reshape(*counts.shape[:-1], bins // 2, 2).sum(axis=-1)
    edge = [(0, 0)] * (counts.ndim - 1) + [(bins // 4, bins // 4)]
    wide: Array = np.pad(pairs, edge)
    return wide
