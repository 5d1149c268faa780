"""Lists, calls and arguments as they are written on a command line."""

from __future__ import annotations

import ast
import re
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
        if name.strip() in found:
            raise ConfigError(f"{name.strip()} is given twice; leave one of them out")
        try:
            found[name.strip()] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            found[name.strip()] = value.strip()
    return found


def called(text: str) -> tuple[str, dict[str, Any]] | None:
    """Return the name and the arguments of "NAME", "NAME(name=value,…)" or "FILE.py:NAME(name=value,…)".

    Returns:
        None where the text is of no such form.

    Raises:
        ConfigError: if an argument is not of the form name=value.

    Example:
        >>> from tinygrad_rnn.lab.arguments import called
        >>> called("my_cell.py:Mine(bias=False)"), called("lstm"), called("(")
        (('my_cell.py:Mine', {'bias': False}), ('lstm', {}), None)
    """
    matched = re.fullmatch(r"(?P<name>(?:[^()]+:)?[\w-]+)(?:\((?P<arguments>.*)\))?", text)
    if matched is None or _parts(matched["arguments"] or "")[1]:
        return None
    return matched["name"], keywords(matched["arguments"] or "")


def numbers(text: str) -> list[float]:
    """Return the numbers of "0.01,0.1".

    Raises:
        ConfigError: if a part is no number.

    Example:
        >>> from tinygrad_rnn.lab.arguments import numbers
        >>> numbers("0.003, 1e-2")
        [0.003, 0.01]
    """
    try:
        return [float(part) for part in split_at_commas(text)]
    except ValueError:
        raise ConfigError(f"{text!r} are no numbers; write them with commas between, such as 0.003,0.01") from None


def split_at_commas(text: str) -> list[str]:
    """Return the parts of a list, in which a comma inside brackets or quotes parts nothing.

    Example:
        >>> from tinygrad_rnn.lab.arguments import split_at_commas
        >>> split_at_commas("adding, CopyMemory(delay=5,symbols=3)")
        ['adding', 'CopyMemory(delay=5,symbols=3)']
    """
    return [part.strip() for part in _parts(text)[0] if part.strip()]


def _parts(text: str) -> tuple[list[str], bool]:
    """Return the parts of a list, and whether a bracket or a quote in it lacks its partner."""
    parts, depth, quote, lacking = [""], 0, "", False
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            depth += (character in "([{") - (character in ")]}")
            lacking |= depth < 0
        if character == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts, lacking or depth != 0 or bool(quote)
