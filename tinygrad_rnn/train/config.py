"""The settings of a run: what they are, what they may be, and what they are when nobody says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..core.errors import ConfigError
from .cells import BUILT_IN, built_in

SCHEDULES = ("constant", "cosine")
LEARNING_RATES = {"sgd": 1.0, "rmsprop": 2e-3, "adagrad": 2e-2, "adam": 8e-3, "adamw": 8e-3}


@dataclass(frozen=True)
class Config:
    """The settings of a character language model and its training.

    Args:
        cell: a cell of `nn` by its name, such as "lstm", "peephole-lstm" or "PeepholeLSTMCell", or "FILE.py:CLASS" or
            "MODULE:CLASS" for a cell of one's own.
        hidden: size of the state.
        layers: cells on top of each other.
        embedding: size of the vector that stands for a character.
        dropout: share of the values between layers, and before the output, that is dropped in training.
        seq: steps of time in a window of truncated backpropagation.
        batch: streams of text that are read side by side.
        optimizer: "sgd", "rmsprop", "adagrad", "adam" or "adamw".
        lr: learning rate; None takes the usual one of the optimizer.
        schedule: "constant", or "cosine" (down to 0 at the end of the run).
        clip: greatest norm of the gradient; 0 does not clip.
        epochs: passes over the training text.
        evaluate: evaluations in one pass, a row of metrics.csv each.
        seed: of everything random.

    Raises:
        ConfigError: if a value is of another type or outside its range.

    Example:
        >>> from tinygrad_rnn.train import Config
        >>> Config(hidden=64).learning_rate
        0.008
        >>> Config(hidden=0)
        Traceback (most recent call last):
            ...
        tinygrad_rnn.core.errors.ConfigError: hidden is 0; give a whole number of at least 1
    """

    cell: str = "lstm"
    hidden: int = 256
    layers: int = 1
    embedding: int = 64
    dropout: float = 0.3
    seq: int = 48
    batch: int = 24
    optimizer: str = "adam"
    lr: float | None = None
    schedule: str = "cosine"
    clip: float = 1.0
    epochs: int = 5
    evaluate: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "cell", _cell(self.cell))
        _choice("optimizer", self.optimizer, tuple(LEARNING_RATES))
        _choice("schedule", self.schedule, SCHEDULES)
        for name in ("hidden", "layers", "embedding", "seq", "batch", "epochs", "evaluate"):
            _whole(name, getattr(self, name), 1)
        _whole("seed", self.seed, 0)
        _number("clip", self.clip)
        _number("dropout", self.dropout)
        _number("lr", self.learning_rate)
        if self.dropout >= 1:
            raise ConfigError(f"dropout is {self.dropout}; give a number from 0 up to, but not including, 1")
        if self.learning_rate == 0:
            raise ConfigError(f"lr is {self.lr}, so nothing would be learnt; give a number above 0")

    @property
    def learning_rate(self) -> float:
        """The learning rate at the start: `lr`, or the usual one of the optimizer."""
        return LEARNING_RATES[self.optimizer] if self.lr is None else self.lr

    @property
    def own_cell(self) -> bool:
        """Whether the cell is a class in somebody's file or module."""
        return self.cell not in BUILT_IN

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a dict that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Config:
        """Return the settings that `to_dict` has written.

        Raises:
            ConfigError: if there is a setting that this version does not know, or a value outside its range.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(settings) - known):
            raise ConfigError(f"unknown settings {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        return cls(**settings)


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{name} is {value!r}; give a whole number of at least {least}")
    if value >= 2**63:
        raise ConfigError(f"{name} is {value}; give a number below 2**63")


def _number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise ConfigError(f"{name} is {value!r}; give a number of at least 0")


def _cell(value: object) -> str:
    """Return the one name that a cell of `nn` has, or that of a cell of one's own as it is."""
    if isinstance(value, str):
        known = built_in(value)
        if known is not None or ":" in value.strip(":"):
            return known or value
    raise ConfigError(f"cell is {value!r}; give one of {', '.join(BUILT_IN)}, FILE.py:CLASS or MODULE:CLASS")


def _choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{name} is {value!r}; give one of {', '.join(choices)}")
