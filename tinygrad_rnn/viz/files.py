"""Files: where a picture or a page is written."""

from __future__ import annotations

import os
from pathlib import Path

from ..core.errors import ConfigError


def file_at(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that can be written.

    Args:
        path: of the file, in a folder that is there.

    Raises:
        ConfigError: if it is no path, the folder is not there, or the path is one itself.

    Example:
        >>> from tinygrad_rnn.viz.files import file_at
        >>> file_at("no such folder/cell.svg")
        Traceback (most recent call last):
        ...
        tinygrad_rnn.core.errors.ConfigError: there is no folder 'no such folder' for 'cell.svg'; make it first, ...
    """
    try:
        path = Path(path)
    except TypeError:
        raise ConfigError(f"path is {path!r}; give the name of a file as a str, such as 'picture.svg'") from None
    if not path.parent.is_dir():
        folder = str(path.parent)
        raise ConfigError(
            f"there is no folder {folder!r} for {path.name!r}; make it first, with os.makedirs({folder!r}), or save "
            "the file elsewhere"
        )
    if path.is_dir():
        raise ConfigError(f"{str(path)!r} is a folder; give the name of a file in it")
    return path
