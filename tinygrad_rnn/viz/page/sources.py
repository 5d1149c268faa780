"""Sources: the user's line behind a node, with a path that tells nothing about the user's disk."""

from __future__ import annotations

import linecache
from functools import cache
from pathlib import Path

_MARKS = ("pyproject.toml", "setup.py", ".git")


def place(line: str) -> tuple[str, str]:
    """Return where a node was made, and the text of that line.

    Args:
        line: file and line as `Node.line` has them.

    Returns:
        The file relative to its project (the folder with a pyproject.toml, setup.py or .git above it, else the current
        folder), or its bare name if it is in neither, with the number of the line; and the line.

    Example:
        >>> from tinygrad_rnn.viz.page.sources import place
        >>> place("/home/ada/secret/cell.py:7")[0]
        'cell.py:7'
    """
    file, _, number = line.rpartition(":")
    text = linecache.getline(file, int(number)).strip() if number.isdecimal() else ""
    return f"{_relative(file)}:{number}", text[:200]


@cache
def _relative(file: str) -> str:
    path = Path(file)
    if not path.is_file():
        return path.name
    path = path.resolve()
    marked = [folder for folder in path.parents if any((folder / mark).exists() for mark in _MARKS)]
    root = marked[0] if marked else Path.cwd()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
