"""A run: a trained character language model in its folder, ready to be sampled, or to be trained further."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..core import random
from ..core.errors import CheckpointError, ConfigError
from ..data import CharVocabulary
from ..viz.through_time.runs import opened_by
from . import sampling
from .cells import BUILT_IN, CellClass
from .checkpoint import Checkpoint, CheckpointFolder
from .config import Config
from .loop import Row, Trainer
from .model import CharModel


class Source(NamedTuple):
    """Where the text of a run came from.

    Args:
        file: its path; None is the manual that comes with Python.
        sha256: of its UTF-8 bytes.
        characters: how many.
    """

    file: str | None
    sha256: str
    characters: int


class Run:
    """A model, its vocabulary and its settings, in a folder.

    Args:
        folder: of the run.
        config: the settings.
        vocabulary: the characters that the model knows.
        source: of the text.
        model: with the weights of the newest checkpoint; in evaluation mode after `load`.

    Example:
        >>> from tinygrad_rnn import train
        >>> run = train.Run.load("runs/1")  # doctest: +SKIP
        >>> print(run.sample("The ", temperature=0.7, length=200))  # doctest: +SKIP
    """

    def __init__(
        self, folder: Path, config: Config, vocabulary: CharVocabulary, source: Source, model: CharModel
    ) -> None:
        self.folder = folder
        self.config = config
        self.vocabulary = vocabulary
        self.source = source
        self.model = model
        self.checkpoints = CheckpointFolder(folder)
        self.step = 0
        self.history: list[Row] = []

    @classmethod
    def load(cls, folder: str | Path, cell: CellClass | None = None) -> Run:
        """Open a run's folder; nothing that it names is executed.

        Args:
            folder: that a training run has written.
            cell: the class of the cell, needed if it is not one of this package's.

        Raises:
            CheckpointError: if the folder is no run, or every checkpoint in it is damaged.
            ConfigError: if the cell's class is needed and not given.
            StateDictError: if the weights do not fit the cell.
        """
        run, _ = open_run(Path(folder), cell)
        run.model.eval()
        return run

    def save(self, trainer: Trainer) -> None:
        """Write a checkpoint of the run and of its training."""
        record = {
            "config": self.config.to_dict(),
            "symbols": self.vocabulary.symbols,
            "text": self.source._asdict(),
            "training": trainer.state_dict(),
        }
        self.checkpoints.save(Checkpoint(trainer.step, self.model.state_dict(), record))
        self.step, self.history = trainer.step, list(trainer.history)

    def sample(
        self,
        prime: str = "",
        *,
        temperature: float = 0.7,
        length: int = 500,
        rng: np.random.Generator | None = None,
    ) -> str:
        """Return the text that the model writes after a prime.

        Args:
            prime: what the model reads first; empty stands for the start of a line.
            temperature: 1 draws as the model expects, less draws safer characters, 0 takes the best one always.
            length: how many characters.
            rng: where chance comes from; None takes a fresh one.

        Raises:
            ConfigError: if temperature or length is negative or not a number.
            DataError: if the prime has characters that the model does not know.
        """
        return "".join(self.stream(prime, temperature=temperature, length=length, rng=rng))

    def stream(
        self,
        prime: str = "",
        *,
        temperature: float = 0.7,
        length: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Iterator[str]:
        """Return the same text a character at a time; without a length it goes on for ever.

        Raises:
            ConfigError: as `sample`.
            DataError: as `sample`.
        """
        return sampling.stream(self.model, self.vocabulary, prime, temperature, length, rng)


def open_run(folder: Path, cell: CellClass | None) -> tuple[Run, dict[str, Any]]:
    """Return a run as its newest good checkpoint has it, and what that holds of its training."""
    checkpoints = CheckpointFolder(folder)
    checkpoint = checkpoints.load()
    record = checkpoint.record
    try:
        config = Config.from_dict(record["config"])
        vocabulary = CharVocabulary(record["symbols"])
        source = Source(**record["text"])
        training: dict[str, Any] = record["training"]
        history = [dict(row) for row in training["history"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{folder} is no run of this version: {type(error).__name__}: {error}") from error
    if config.own_cell and cell is None:
        raise ConfigError(
            f"{folder} uses the cell {config.cell}, and opening a run executes nothing that its folder names: "
            f"give --cell {config.cell} (in Python: cell=CLASS) if you trust that file"
        )
    if not config.own_cell and cell not in (None, BUILT_IN[config.cell]):
        raise ConfigError(f"{folder} uses the cell {config.cell}; open it without another cell")
    run = Run(folder, config, vocabulary, source, build_model(config, len(vocabulary), cell))
    run.model.load_state_dict(checkpoint.weights)
    run.checkpoints, run.step, run.history = checkpoints, checkpoint.step, history
    return run, training


def build_model(config: Config, symbols: int, cell: CellClass | None) -> CharModel:
    """Return a model whose weights are yet to be loaded: nobody's random numbers are used up for it."""
    state = random.get_state()
    try:
        return CharModel(symbols, cell or BUILT_IN[config.cell], config)
    finally:
        random.set_state(state)


# The pictures of a run know no training; they are told here how to open a folder.
opened_by(Run.load)
