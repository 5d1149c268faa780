"""Probes: what a neuron may know of a text, as a number for every character."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core.errors import ConfigError, DataError, ShapeError
from .plotting import Array

Probe = Callable[[str], Any]


def inside_quotes(text: str) -> Array:
    """Return 1 where a quotation in double quotes is open once the character is read, 0 elsewhere.

    Example:
        >>> from tinygrad_rnn.viz.through_time.probes import inside_quotes
        >>> inside_quotes('a "b" c')
        array([0., 0., 1., 1., 0., 0., 0.])
    """
    is_open, values = False, []
    for character in text:
        is_open = {'"': not is_open, "“": True, "”": False}.get(character, is_open)
        values.append(is_open)
    return np.array(values, float)


def inside_brackets(text: str) -> Array:
    """Return 1 where a bracket of any kind is open once the character is read, 0 elsewhere.

    Example:
        >>> from tinygrad_rnn.viz.through_time.probes import inside_brackets
        >>> inside_brackets("f(a[0])+b")
        array([0., 1., 1., 1., 1., 1., 0., 0., 0.])
    """
    depth, values = 0, []
    for character in text:
        depth = max(0, depth + (character in "([{") - (character in ")]}"))
        values.append(depth > 0)
    return np.array(values, float)


def place_in_line(text: str) -> Array:
    """Return how many characters of its line have been read once the character is; 0 after the end of a line.

    Example:
        >>> from tinygrad_rnn.viz.through_time.probes import place_in_line
        >>> place_in_line("ab\\nc")
        array([1., 2., 0., 1.])
    """
    place, values = 0, []
    for character in text:
        place = 0 if character == "\n" else place + 1
        values.append(place)
    return np.array(values, float)


PROBES: dict[str, tuple[str, Probe]] = {
    "quotes": ("inside quotes", inside_quotes),
    "line": ("position in the line", place_in_line),
    "brackets": ("inside brackets", inside_brackets),
}


def probe_values(probe: str | Probe, text: str) -> tuple[str, Array]:
    """Return what a probe is called, and its number for every character.

    Args:
        probe: "quotes", "line", "brackets", or a function from the text to numbers (characters,).
        text: what was read.

    Raises:
        ConfigError: if there is no such probe.
        ShapeError: if the function returns another number of numbers.
        DataError: if what it returns is no real number, or not finite.
    """
    if callable(probe):
        name, function = getattr(probe, "__name__", type(probe).__name__), probe
    elif isinstance(probe, str) and probe in PROBES:
        name, function = PROBES[probe]
    else:
        raise ConfigError(
            f"probe is {probe!r}; give one of {', '.join(map(repr, PROBES))}, or a function from a text to an array"
        )
    try:
        found = np.asarray(function(text))
        with warnings.catch_warnings():
            # NumPy would warn and drop the imaginary part.
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            values: Array = found.astype(float)
    except np.exceptions.ComplexWarning:
        raise DataError(
            f"the probe {name} returned complex numbers, and a correlation is with real ones; return one of them a "
            "character, such as the real part"
        ) from None
    except (TypeError, ValueError) as error:
        raise DataError(f"the probe {name} returned no numbers ({error}); return one number a character") from None
    if values.shape != (len(text),):
        raise ShapeError(f"the probe {name} returned shape {values.shape} for {len(text)} characters; return one each")
    if not np.isfinite(values).all():
        raise DataError(f"the probe {name} returned NaN or an infinity; return finite numbers")
    return name, values
