"""The main job put together: a character language model trained on a text, begun or resumed in a run's folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import optim
from ..core import random
from ..core.errors import ConfigError, DataError
from ..data import CharVocabulary, Streams, python_manual, read_text, split_text
from .callbacks import Evaluate, Metrics, OneThread, Sample, SaveCheckpoint, Say
from .cells import BUILT_IN, CellClass
from .config import Config
from .loop import Callback, Trainer
from .model import CharModel
from .run import Run, Source, open_run

_VALIDATION_STREAMS = 16
_OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "sgd": optim.SGD,
    "rmsprop": optim.RMSprop,
    "adagrad": optim.Adagrad,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
}


def begin(
    folder: str | Path,
    config: Config | None = None,
    *,
    file: str | Path | None = None,
    cell: CellClass | None = None,
    seconds: float = 10.0,
    callbacks: Sequence[Callback] = (),
    say: Say | None = None,
) -> tuple[Run, Trainer]:
    """Return a new run and the trainer whose `fit()` trains it.

    Args:
        folder: of the run; made if it is not there.
        config: the settings.
        file: the text, in UTF-8; None takes the manual that comes with Python.
        cell: the class of the cell, if the settings name one of your own.
        seconds: between two checkpoints; 0 writes one after every step.
        callbacks: called besides the usual ones.
        say: told the figures of every evaluation, and a sample.

    Raises:
        ConfigError: if the folder holds a run already, or the class of a cell of your own is not given.
        DataError: if the text cannot be used, or is shorter than one window.

    Example:
        >>> from tinygrad_rnn import train
        >>> run, trainer = train.begin("runs/mine", train.Config(hidden=64), file="my.txt")  # doctest: +SKIP
        >>> trainer.fit()  # doctest: +SKIP
    """
    folder, config = Path(folder), config or Config()
    if not isinstance(config, Config):
        raise ConfigError(f"config is {config!r}; give train.Config(hidden=128), with the settings that you want")
    text, source = _read(file)
    config = _fit_batch(config, split_text(text)[0], source)
    if config.own_cell and cell is None:
        raise ConfigError(f"the settings name the cell {config.cell}; give its class too, as cell=")
    vocabulary = CharVocabulary.from_text(text)
    random.seed(config.seed)
    model = CharModel(len(vocabulary), cell or BUILT_IN[config.cell], config)
    run = Run(folder, config, vocabulary, source, model)
    _take(folder, run)
    return run, _trainer(run, text, seconds, callbacks, say)


def resume(
    folder: str | Path,
    *,
    file: str | Path | None = None,
    cell: CellClass | None = None,
    epochs: int | None = None,
    seconds: float = 10.0,
    callbacks: Sequence[Callback] = (),
    say: Say | None = None,
) -> tuple[Run, Trainer]:
    """Return a run and a trainer that goes on where its newest checkpoint stands, bit for bit.

    Args:
        folder: of the run.
        file: where the text is now, if it has moved.
        cell: the class of the cell, if it is one of your own.
        epochs: passes over the text in all, if there are to be more than planned.
        seconds: between two checkpoints; 0 writes one after every step.
        callbacks: called besides the usual ones.
        say: told the figures of every evaluation, and a sample.

    Raises:
        CheckpointError: if the folder is no run, or every checkpoint in it is damaged.
        ConfigError: if the cell's class is needed and not given.
        DataError: if the text is not the one that the run began with.

    Example:
        >>> from tinygrad_rnn import train
        >>> run, trainer = train.resume("runs/mine", epochs=20)  # doctest: +SKIP
        >>> trainer.fit()  # doctest: +SKIP
    """
    run, training = open_run(Path(folder), cell)
    text, source = _read(file if file is not None else run.source.file)
    if source.sha256 != run.source.sha256:
        raise DataError(
            f"{source.file or 'the manual of this Python'} is not the text that {folder} was trained on "
            f"({source.characters:,} characters, it had {run.source.characters:,}): give that one with --text"
        )
    run.source = source
    if epochs is not None:
        run.config = replace(run.config, epochs=epochs)
    trainer = _trainer(run, text, seconds, callbacks, say)
    trainer.load_state_dict(training)
    return run, trainer


def _read(file: str | Path | None) -> tuple[str, Source]:
    text = python_manual() if file is None else read_text(file)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return text, Source(None if file is None else str(Path(file).resolve()), digest, len(text))


def _fit_batch(config: Config, training_text: str, source: Source) -> Config:
    """Take fewer streams where a text is too short for all of them; it must fill one window."""
    room = (len(training_text) - 1) // config.seq
    if room < 1:
        raise DataError(
            f"{source.file}: {source.characters} characters, of which {len(training_text)} to train on, do not fill "
            f"one window of {config.seq} + 1; give a longer text or a smaller seq"
        )
    return replace(config, batch=min(config.batch, room))


def _take(folder: Path, run: Run) -> None:
    """Make the folder, or take one that no run has used."""
    if run.checkpoints:
        raise ConfigError(f"{folder} holds a run already; go on with it by --resume {folder}, or give another folder")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; give a folder that is new or empty")
    folder.mkdir(parents=True, exist_ok=True)
    if strange := sorted(path.name for path in folder.iterdir() if path != run.checkpoints.path):
        raise ConfigError(f"{folder} is not empty, it holds {strange[0]}; give a folder that is new or empty")


def _trainer(run: Run, text: str, seconds: float, callbacks: Sequence[Callback], say: Say | None) -> Trainer:
    config = run.config
    training, validation = (run.vocabulary.encode(part) for part in split_text(text))
    streams = Streams(training, config.batch, config.seq)
    optimizer = _OPTIMIZERS[config.optimizer](run.model.parameters(), lr=config.learning_rate)
    cosine = config.schedule == "cosine"
    schedule = optim.CosineLR(optimizer, total=config.epochs * len(streams)) if cosine else None
    usual: list[Callback] = [
        OneThread(4 * config.batch * config.hidden * max(config.hidden, config.embedding)),
        Evaluate(_validation(validation, config.seq), config.evaluate, say),
        Metrics(run.folder),
    ]
    if say is not None:
        usual.append(Sample(lambda step: run.sample(length=200, rng=np.random.default_rng([config.seed, step])), say))
    # The checkpoint comes last, so that it holds what the others have gathered in the same step.
    return Trainer(
        run.model,
        streams,
        optimizer,
        schedule=schedule,
        clip=config.clip,
        epochs=config.epochs,
        callbacks=[*callbacks, *usual, SaveCheckpoint(run.save, seconds)],
    )


def _validation(ids: np.ndarray, seq: int) -> Streams:
    if ids.size < 2:
        raise DataError(
            "the last tenth of the text, kept for validation, has fewer than two characters; give a longer text"
        )
    seq = min(seq, ids.size - 1)
    return Streams(ids, min(_VALIDATION_STREAMS, (ids.size - 1) // seq), seq)
