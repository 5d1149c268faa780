"""The cells that take part, by name, file or class."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import CellError, ConfigError
from ..nn import Cell
from ..train.cells import BUILT_IN, built_in
from ..train.user_files import CELL, import_class, where
from .arguments import called


def _arguments(made: Callable[..., Any]) -> list[str]:
    """Return the names of the arguments of a class."""
    try:
        return list(inspect.signature(made).parameters)
    except (TypeError, ValueError):
        return []


_CHOICE = f"one of {', '.join(BUILT_IN)}"
_SIZE, _DEFAULT_SIZE = "hidden_size", 32


@dataclass(frozen=True)
class Contestant:
    """A cell that takes part.

    Args:
        label: its name in the report.
        source: the name of a cell of `nn`, "FILE.py:CLASS" or "MODULE:CLASS"; the label again where the class lives
            in this process alone.
        make: the class, called with the number of input features and the options.
        options: all arguments of the class but the first.
        own: whether it is the user's, so that it has to pass the checks.
    """

    label: str
    source: str
    make: Callable[..., Cell] = field(compare=False, repr=False)
    options: Mapping[str, Any]
    own: bool

    @property
    def is_importable(self) -> bool:
        """Whether another process finds the class by its source."""
        return self.source in BUILT_IN or ":" in self.source

    def build(self, features: int, **other: Any) -> Cell:
        """Return a cell.

        Args:
            features: of its input.
            other: options in place of its own.

        Raises:
            CellError: if its class cannot be called like this, or returns no cell; with file and line.
        """
        options = {**self.options, **other}
        try:
            cell = self.make(features, **options)
        except Exception as error:
            file = Path(self.source.rpartition(":")[0])
            given = ", ".join([str(features), *(f"{name}={value!r}" for name, value in options.items())])
            raise CellError(
                f"{self.make.__name__}({given}) failed: {where(error, file)}; it takes "
                f"{', '.join(_arguments(self.make))}, of which the first is the input size; the others are given by "
                "their names, as FILE.py:CLASS(name=value)"
            ) from error
        if not isinstance(cell, Cell):
            raise CellError(f"{self.label} made a {type(cell).__name__}; write `class {self.label}(nn.Cell)`")
        return cell


def contestant(cell: str | type[Cell], options: Mapping[str, Any] | None = None) -> Contestant:
    """Return a cell that takes part, by its name or class.

    Args:
        cell: a cell of `nn` such as "lstm" or "peephole-lstm", "FILE.py:CLASS", "MODULE:CLASS", each with arguments
            or without, as "rnn(nonlinearity=relu)"; or a class of `nn.Cell`.
        options: more arguments of the class; a `hidden_size` that is missing is 32.

    Raises:
        ConfigError, CellError: if there is no such cell, or an argument is given twice.

    Example:
        >>> from tinygrad_rnn.lab.contestants import contestant
        >>> contestant("gru", {"hidden_size": 8})
        Contestant(label='GRU', source='gru', options={'hidden_size': 8}, own=False)
    """
    name, written = (called(cell) or (cell, {})) if isinstance(cell, str) else (cell, {})
    twice = written.keys() & (options or {}).keys()
    if twice:
        raise ConfigError(f"{', '.join(sorted(twice))} of {cell} is given twice; leave one of them out")
    made, source = _found(name)
    own = source not in BUILT_IN
    label = made.__name__ if own else made.__name__.removesuffix("Cell")
    shown = ", ".join(f"{key}={value}" for key, value in written.items() if key != _SIZE)
    given = {name: _plain(name, value) for name, value in {**written, **(options or {})}.items()}
    if _SIZE not in given and _SIZE in _arguments(made):
        given[_SIZE] = _DEFAULT_SIZE
    return Contestant(f"{label}({shown})" if shown else label, source, made, given, own)


def _plain(name: str, value: Any) -> Any:
    """Return an argument as it is written down for other processes."""
    value = value.item() if isinstance(value, np.generic) else value
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError):
        raise ConfigError(
            f"the argument {name} is {value!r}; give numbers, text, None, or lists of them, which can be written down"
        ) from None


def rival(cell: str | type[Cell]) -> Contestant:
    """Return a cell that another one is compared with, whose size is yet to be chosen.

    Args:
        cell: as `contestant` takes it.

    Raises:
        ConfigError, CellError: as `contestant` does, and if the cell comes with a size.
    """
    parts = called(cell) if isinstance(cell, str) else None
    if parts and _SIZE in parts[1]:
        raise ConfigError(
            f"{cell} has a {_SIZE}, but that of a cell to compare with is chosen, so that it has as many parameters as "
            "the first one; leave it out"
        )
    return contestant(cell)


def _found(cell: Any) -> tuple[type[Cell], str]:
    """Return the class of a cell, and the source by which it is found again."""
    known = built_in(cell) if isinstance(cell, str) else None
    if known is not None:
        return BUILT_IN[known], known
    if isinstance(cell, str):
        file, _, name = cell.rpartition(":")
        return import_class(CELL, cell, _CHOICE), f"{Path(file).resolve()}:{name}" if file.endswith(".py") else cell
    if isinstance(cell, type) and issubclass(cell, Cell):
        return cell, _source_of(cell)
    raise CellError(f"a cell is {cell!r}; give {_CHOICE}, FILE.py:CLASS, or a class derived from nn.Cell")


def distinct(contestants: Sequence[Contestant]) -> list[Contestant]:
    """Return the contestants with labels that differ: LSTM, LSTM 2."""
    found: list[Contestant] = []
    for one in contestants:
        label, number = one.label, 2
        while label in {other.label for other in found}:
            label, number = f"{one.label} {number}", number + 1
        source = one.source if one.is_importable else label
        found.append(Contestant(label, source, one.make, one.options, one.own))
    return found


def _source_of(cell: type[Cell]) -> str:
    """Return FILE.py:CLASS of a class, or its name where no file has it at the top."""
    if cell in BUILT_IN.values():
        return next(name for name, known in BUILT_IN.items() if known is cell)
    module = sys.modules.get(cell.__module__)
    file = getattr(module, "__file__", None)
    if file is None or not file.endswith(".py") or getattr(module, cell.__qualname__, None) is not cell:
        return cell.__name__
    return f"{Path(file).resolve()}:{cell.__qualname__}"
