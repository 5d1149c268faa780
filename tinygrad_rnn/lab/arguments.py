"""Lists and arguments as they are written on a command line."""

from __future__ import annotations

import ast
from typing import Any

from ..core.errors import ConfigError


def keywords(text: str) -> dict[str, Any]:
    """Return the values of "name=value,…"; values are Python literals, or else text.

    Raises:
        ConfigError: if a part is not of that form.

    Example:
        >>> from tinygrad_rnn.lab.arguments import keywords
        >>> keywords("hidden_size=64,bias=False,nonlinearity=relu")
        {'hidden_size': 64, 'bias': False, 'nonlinearity': 'relu'}
    """
    found: dict[str, Any] = {}
    for part in split_at_commas(text):
        name, equals, value = part.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ConfigError(f"{part!r} is no argument; write name=value, such as hidden_size=64")
        try:
            found[name.strip()] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            found[name.strip()] = value.strip()
    return found


def split_at_commas(text: str) -> list[str]:
    """Return the parts of a list, in which a comma inside brackets parts nothing.

    Example:
        >>> from tinygrad_rnn.lab.arguments import split_at_commas
        >>> split_at_commas("adding, CopyMemory(delay=5,symbols=3)")
        ['adding', 'CopyMemory(delay=5,symbols=3)']
    """
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]
