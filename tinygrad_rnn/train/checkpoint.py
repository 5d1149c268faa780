"""Checkpoints: weights as safetensors, the rest as JSON, complete or absent whenever the process dies.

A checkpoint is a folder `checkpoints/step-00001200` that is written under a temporary name and renamed when every byte
of it is on the disk. The last two are kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import CheckpointError
from ..interop import safetensors
from .files import sync_folder, write_synced

FORMAT = 1
KEPT = 2
WEIGHTS = "weights.safetensors"
TRAINING = "training.safetensors"
RECORD = "checkpoint.json"

_NAME = re.compile(r"step-(\d{8,})")
_SEAL_START = b'{\n "sha256": "'
_SEAL = slice(len(_SEAL_START), len(_SEAL_START) + 64)
_BLANK = b"0" * 64
_ARRAY = "$array"


class CheckpointWarning(UserWarning):
    """A checkpoint was found damaged and an earlier one is used."""


@dataclass(frozen=True)
class Checkpoint:
    """What one checkpoint holds.

    Args:
        step: the training step after which it was written.
        weights: the model's parameters and buffers by name.
        record: everything else: a nest of dicts (with str keys), lists, JSON scalars and arrays.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import train
        >>> train.Checkpoint(3, {"w": np.ones(2)}, {"lr": 0.1}).step
        3
    """

    step: int
    weights: dict[str, np.ndarray]
    record: dict[str, Any]


class CheckpointFolder:
    """The checkpoints of one run.

    Args:
        folder: the run's folder; they lie in its subfolder `checkpoints`.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> checkpoints = CheckpointFolder(Path(tempfile.mkdtemp()))
        >>> checkpoints.save(Checkpoint(3, {"w": np.ones(2)}, {"lr": 0.1, "moments": [np.zeros(2)]}))
        >>> checkpoints.load().record
        {'lr': 0.1, 'moments': [array([0., 0.])]}
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "checkpoints"
        self._good: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._names())

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then remove all but it and the good one before it.

        Raises:
            CheckpointError: if the record holds something that neither JSON nor safetensors can.
            OSError: if the disk refuses; the earlier checkpoints are then untouched.
        """
        name = f"step-{checkpoint.step:08d}"
        if name in self._good:
            return
        files = _to_files(checkpoint)
        final, temporary = self.path / name, self.path / f".{name}.tmp"
        if not self.path.is_dir():
            self.path.mkdir(parents=True)
            sync_folder(self.folder)
        for leftover in (temporary, final):
            if leftover.exists():
                shutil.rmtree(leftover)
        temporary.mkdir()
        for file_name, data in files.items():
            write_synced(temporary / file_name, data)
        sync_folder(temporary)
        os.rename(temporary, final)
        sync_folder(self.path)
        self._good = [*self._good, name][-KEPT:]
        self._prune()

    def load(self) -> Checkpoint:
        """Read the newest checkpoint that is undamaged; a damaged one is passed over with a `CheckpointWarning`.

        Raises:
            CheckpointError: if there is none, or none that is undamaged.
        """
        names = self._names()
        if not names:
            raise CheckpointError(
                f"{self.folder} is no run: it holds no checkpoint; give a folder that a training run has written"
            )
        damage: list[str] = []
        for name in names:
            try:
                checkpoint = _read(self.path / name)
            except CheckpointError as error:
                damage.append(str(error))
                continue
            for message in damage:
                warnings.warn(f"{message}; going on from {name}", CheckpointWarning, stacklevel=2)
            self._good = [name]
            return checkpoint
        if self._names() != names:  # A run that is being trained has replaced them meanwhile.
            return self.load()
        raise CheckpointError(f"{self.folder}: every checkpoint is damaged: " + "; ".join(damage))

    def _names(self) -> list[str]:
        """Names of the checkpoints, newest first."""
        found = (_NAME.fullmatch(path.name) for path in self.path.iterdir()) if self.path.is_dir() else ()
        return [match[0] for match in sorted(filter(None, found), key=lambda match: int(match[1]), reverse=True)]

    def _prune(self) -> None:
        for path in self.path.iterdir():
            if path.name not in self._good and _NAME.fullmatch(path.name.removeprefix(".").removesuffix(".tmp")):
                shutil.rmtree(path)


def _to_files(checkpoint: Checkpoint) -> dict[str, bytes]:
    arrays: dict[str, np.ndarray] = {}
    record = _pack(checkpoint.record, arrays, "")
    files = {WEIGHTS: safetensors.dumps(checkpoint.weights), TRAINING: safetensors.dumps(arrays)}
    content = {
        "sha256": _BLANK.decode(),
        "format": FORMAT,
        "step": checkpoint.step,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        "record": record,
    }
    try:
        text = json.dumps(content, indent=1, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"the record of step {checkpoint.step} cannot be written as JSON: {error}") from None
    files[RECORD] = text[: _SEAL.start] + _digest(text) + text[_SEAL.stop :]
    return files


def _digest(text: bytes) -> bytes:
    """SHA-256 over the JSON itself, its own place blanked."""
    return hashlib.sha256(text[: _SEAL.start] + _BLANK + text[_SEAL.stop :]).hexdigest().encode()


def _read(path: Path) -> Checkpoint:
    """Read one checkpoint; whatever is wrong with its files is a `CheckpointError` that names the file."""
    text = _read_file(path / RECORD)
    if text[: _SEAL.start] != _SEAL_START or text[_SEAL] != _digest(text):
        raise CheckpointError(f"{path / RECORD} is damaged: its SHA-256 differs from the one written in it")
    try:
        content = json.loads(text)
        if content["format"] != FORMAT:
            raise CheckpointError(
                f"{path / RECORD} has format {content['format']!r}; this version reads {FORMAT}: update tinygrad_rnn"
            )
        arrays = {}
        for name in (WEIGHTS, TRAINING):
            data = _read_file(path / name)
            if hashlib.sha256(data).hexdigest() != content["files"][name]:
                raise CheckpointError(f"{path / name} is damaged: its SHA-256 differs from the one in {RECORD}")
            arrays[name] = safetensors.loads(data)
        return Checkpoint(int(content["step"]), arrays[WEIGHTS], _unpack(content["record"], arrays[TRAINING]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path} is no checkpoint of a run: {type(error).__name__}: {error}") from None


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None


def _pack(nest: Any, arrays: dict[str, np.ndarray], path: str) -> Any:
    """Take the arrays out of a nest, leaving their names in their places."""
    if isinstance(nest, np.ndarray):
        name = path if path not in arrays else f"{path}#{len(arrays)}"
        arrays[name] = nest
        return {_ARRAY: name}
    if isinstance(nest, np.generic):
        return nest.item()
    if isinstance(nest, dict):
        if not all(isinstance(key, str) and key != _ARRAY for key in nest):
            raise CheckpointError(f"the record has the keys {list(nest)} at {path or 'its top'}; give str keys")
        return {key: _pack(value, arrays, f"{path}.{key}" if path else key) for key, value in nest.items()}
    if isinstance(nest, (list, tuple)):
        return [_pack(value, arrays, f"{path}.{number}") for number, value in enumerate(nest)]
    return nest


def _unpack(nest: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(nest, dict):
        return arrays[nest[_ARRAY]] if _ARRAY in nest else {key: _unpack(value, arrays) for key, value in nest.items()}
    if isinstance(nest, list):
        return [_unpack(value, arrays) for value in nest]
    return nest
