"""A trained run, as pictures see it: training is on a floor above, so it says itself how its folders are opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ...core.errors import ConfigError
from ...data import CharVocabulary


class TrainedRun(Protocol):
    """A character language model with the characters that it knows; `train.Run` is one.

    Attributes:
        model: called as `model(ids)`, ids (time, batch); its recurrent layers are read.
        vocabulary: of the text.
    """

    model: Any
    vocabulary: CharVocabulary


Opener = Callable[[Path], TrainedRun]
_openers: list[Opener] = []


def opened_by(opener: Opener) -> None:
    """Have the folders of runs opened by a function, in place of an earlier one."""
    _openers[:] = [opener]


def opened(run: str | os.PathLike[str] | TrainedRun) -> TrainedRun:
    """Return a run, opened if a folder is given.

    Args:
        run: a run, or the folder of one.

    Raises:
        ConfigError: if it is neither.
        CheckpointError: if the folder is no run.

    Example:
        >>> from tinygrad_rnn.viz.through_time.runs import opened
        >>> opened("runs/1").model  # doctest: +SKIP
    """
    if isinstance(run, (str, os.PathLike)):
        if not _openers:
            raise ConfigError(f"{os.fspath(run)!r} is a folder and nothing that opens it is there; import tinygrad_rnn")
        return _openers[0](Path(run))
    if hasattr(run, "model") and hasattr(run, "vocabulary"):
        return run
    raise ConfigError(
        f"a {type(run).__name__} is no run; give the folder of one, or what train.Run.load(folder) returns, which has "
        "a model and a vocabulary"
    )


def encoded(run: TrainedRun, text: str) -> np.ndarray:
    """Return the integers of a text, as one row over time: (time, 1).

    Raises:
        ConfigError: if the text is empty or no str.
        DataError: if it has characters that the model does not know.
    """
    if not isinstance(text, str) or not text:
        raise ConfigError(f"text is {text!r}; give a str of one character or more")
    return run.vocabulary.encode(text)[:, None]
