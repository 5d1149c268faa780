"""The course of a training: loss, gradients, updates and activations, as `train.Recorder` has recorded them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import ConfigError
from .plotting import Plot
from .progress_figure import draw_training
from .recording import Recording


@dataclass(frozen=True, eq=False)
class Training(Plot):
    """What `training` found; it has a figure.

    Args:
        recording: the rows.
    """

    recording: Recording

    def _draw(self) -> Any:
        return draw_training(self.recording)


def training(run: str | os.PathLike[str] | Any) -> Training:
    """Show how a training went: loss, gradient norms, update-to-weight ratios, and histograms of the states over time.

    Args:
        run: the folder of a run that was trained with the callback `train.Recorder`, or a run with such a `folder`.

    Returns:
        The recorded numbers and their figure.

    Raises:
        ConfigError: if `run` is neither.
        DataError: if it is no folder, nothing was recorded there, or the file is damaged.
        PlottingError: when drawn, if matplotlib is not installed.

    Example:
        >>> from tinygrad_rnn import viz
        >>> viz.training("runs/1").save("training.svg")  # doctest: +SKIP
    """
    folder = run if isinstance(run, (str, os.PathLike)) else getattr(run, "folder", None)
    if not isinstance(folder, (str, os.PathLike)):
        raise ConfigError(f"a {type(run).__name__} is no run; give the folder of one, or train.Run.load(folder)")
    return Training(Recording.read(Path(folder)))
