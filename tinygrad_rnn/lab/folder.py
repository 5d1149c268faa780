"""The folder of a study: the plan and the result of every job, each written as soon as it is there."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import CheckpointError, ConfigError
from ..train.files import replace
from .jobs import Job, Result
from .plan import Settings

_PLAN = "plan.json"


class Folder:
    """Where a study keeps what it has, so that it can go on after it was stopped.

    Args:
        path: of the folder; it is made where it is missing.

    Raises:
        ConfigError: if it is no folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and not path.is_dir():
            raise ConfigError(f"{path} is a file; give a folder for the report")
        (path / "results").mkdir(parents=True, exist_ok=True)

    def plan(self, settings: Settings) -> dict[str, Any] | None:
        """Return the plan of an earlier run with these settings; None where there is none yet.

        Raises:
            ConfigError: if the folder holds a study with other settings.
        """
        found = self._read(self.path / _PLAN)
        if found is None:
            return None
        asked = fingerprint(settings)
        for name, value in asked.items():
            if found["settings"].get(name) != value:
                raise ConfigError(
                    f"{self.path} holds another study: its {name} are {found['settings'].get(name)}, not {value}; "
                    "give another folder, or what it was begun with"
                )
        plan: dict[str, Any] = found["plan"]
        return plan

    def keep_plan(self, settings: Settings, plan: Mapping[str, Any]) -> None:
        """Write the plan down."""
        self.write(_PLAN, as_bytes({"settings": fingerprint(settings), "plan": plan}))

    def result(self, job: Job) -> Result | None:
        """Return what came of a job in an earlier run; None where it was not done, or something else was asked for."""
        found = self._read(self._file(job))
        if found is None or found["job"] != json.loads(json.dumps(job.message())):
            return None
        result: Result = found["result"]
        return result

    def keep(self, job: Job, result: Result) -> None:
        """Write the result of a job down."""
        replace(self._file(job), as_bytes({"job": job.message(), "result": result}))

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the report."""
        replace(self.path / name, data)

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
    """Return what decides the results of a study, the text of the user's files included."""
    found = {
        "cells": [[cell.label, cell.source, dict(cell.options), _digest(cell.source)] for cell in settings.cells],
        "tasks": [[named.source, _digest(named.source.partition("(")[0])] for named in settings.tasks],
        "seeds": settings.seeds,
        "learning rates": list(settings.rates),
        "budget": settings.budget if settings.steps is None else None,
        "steps": settings.steps,
    }
    loaded: dict[str, Any] = json.loads(json.dumps(found))
    return loaded


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


def _digest(source: str) -> str | None:
    """Return a digest of the file that a class comes from."""
    file = Path(source.rpartition(":")[0])
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12] if file.suffix == ".py" and file.is_file() else None
