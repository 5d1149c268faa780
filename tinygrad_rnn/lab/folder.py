"""The folder of a study: the plan and the result of every job, each written as soon as it is there."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from ..core.errors import CheckpointError, ConfigError
from ..train.files import replace
from .contestants import Contestant
from .jobs import Job, Result
from .plan import Settings, duration

_PLAN, _FILES = "plan.json", "files"


class Folder:
    """Where a study keeps what it has, so that it can go on after it was stopped.

    Args:
        path: of the folder; it is made when the first file is written.

    Raises:
        ConfigError: if it is no folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and not path.is_dir():
            raise ConfigError(f"{path} is a file; give a folder for the report")

    def plan(self, asked: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the plan of an earlier run with these settings; None where there is none yet.

        Args:
            asked: the `fingerprint` of what is asked for.

        Raises:
            ConfigError: if the folder holds a study with other settings, or of files that have changed, or other files.
        """
        found = self._read(self.path / _PLAN)
        if found is None:
            if self.path.is_dir() and any(self.path.iterdir()):
                raise ConfigError(f"{self.path} holds files that are no study; give a new folder, or that of a study")
            return None
        begun = found["settings"]
        if begun.keys() != asked.keys():
            raise ConfigError(f"{self.path} holds a study of another version of the lab; give another folder")
        for name, value in asked.items():
            if name != _FILES and begun[name] != value:
                raise ConfigError(
                    f"{self.path} holds another study: its {name} are {begun[name]}, not {value}; "
                    "give another folder, or what it was begun with"
                )
        changed = files_that_differ(begun, asked)
        if changed:
            raise ConfigError(
                f"{self.path} holds a study of {', '.join(changed)} as it was before it was changed; give another "
                "folder, so that the study begins anew"
            )
        plan: dict[str, Any] = found["plan"]
        return plan

    def keep_plan(self, asked: Mapping[str, Any], plan: Mapping[str, Any]) -> None:
        """Write the plan down, and the fingerprint of what was asked for."""
        self.write(_PLAN, as_bytes({"settings": asked, "plan": plan}))

    def result(self, job: Job) -> Result | None:
        """Return what came of a job in an earlier run; None where it was not done, or something else was asked for."""
        found = self._read(self._file(job))
        if found is None or found["job"] != json.loads(as_bytes(job.message())):
            return None
        result: Result = found["result"]
        return result

    def keep(self, job: Job, result: Result) -> None:
        """Write the result of a job down."""
        self._write(self._file(job), as_bytes({"job": job.message(), "result": result}))

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the report."""
        self._write(self.path / name, data)

    def _write(self, path: Path, data: bytes) -> None:
        with _writable(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace(path, data)

    def _file(self, job: Job) -> Path:
        return self.path / "results" / f"{job.name}.json"

    def _read(self, path: Path) -> Any:
        try:
            return json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise CheckpointError(f"{path} is damaged: {error}; remove it, and that part is done again") from error


def fingerprint(settings: Settings) -> dict[str, Any]:
    """Return what decides the results of a study, in words, and digests of the user's files."""
    cells = [f"{cell.label} ({', '.join(_in_words(cell))})" for cell in settings.cells]
    steps = f"as many as fit {duration(settings.budget)}" if settings.steps is None else str(settings.steps)
    return {
        "cells": ", ".join(cells),
        "tasks": ", ".join(task.source for task in settings.tasks),
        "seeds": str(settings.seeds),
        "learning rates": ", ".join(map(str, settings.rates)),
        "steps": steps,
        _FILES: {
            **{cell.source: _digest(cell.make) for cell in settings.cells if cell.own},
            **{named.source: _digest(type(named.task)) for named in settings.tasks},
        },
    }


def files_that_differ(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the files of a user that had other texts when the first fingerprint was taken than at the second."""
    return [file for file, digest in after[_FILES].items() if before[_FILES].get(file) != digest]


@contextmanager
def claimed(out: str | os.PathLike[str] | None) -> Iterator[Path]:
    """Give the folder of a study; one that was made for it goes again if the study leaves nothing in it.

    Args:
        out: the folder; None for the first of lab/1, lab/2, … that comes after all that are there, which no other
            study gets then.
    """
    if out is not None:
        yield Path(out)
        return
    path = _next_folder(Path("lab"))
    try:
        yield path
    finally:
        with suppress(OSError):  # They stay if there is something in them.
            path.rmdir()
            path.parent.rmdir()


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written to: {error.strerror}; give another folder") from error


def _next_folder(studies: Path) -> Path:
    with _writable(studies):
        studies.mkdir(exist_ok=True)
    while True:
        numbers = [int(path.name) for path in studies.iterdir() if path.name.isdecimal()]
        path = studies / str(max(numbers, default=0) + 1)
        with suppress(FileExistsError):  # Another study was faster.
            path.mkdir()
            return path


def _in_words(cell: Contestant) -> list[str]:
    return [cell.source, *(f"{name}={value!r}" for name, value in cell.options.items())]


def as_bytes(value: Any) -> bytes:
    """Return JSON, in which what is not finite is null.

    Example:
        >>> from tinygrad_rnn.lab.folder import as_bytes
        >>> as_bytes({"a": [1.5, float("inf")]})
        b'{"a": [1.5, null]}'
    """
    return json.dumps(_finite(value), allow_nan=False).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return value


def _digest(made: Any) -> str | None:
    """Return a digest of the file that a class comes from, or of its source; None for one of this package."""
    if made.__module__.startswith(f"{__package__.partition('.')[0]}."):
        return None
    try:
        file = inspect.getsourcefile(made)
        text = Path(file).read_bytes() if file and Path(file).is_file() else inspect.getsource(made).encode()
    except (OSError, TypeError):
        text = _mark(made)
    return hashlib.sha256(text).hexdigest()[:12]


@cache
def _mark(made: Any) -> bytes:
    """Return what stands for a class without a source: another process cannot tell that its own is the same."""
    return os.urandom(16)
