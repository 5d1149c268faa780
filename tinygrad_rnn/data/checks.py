"""Checks of arguments that several kinds of batches share."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import ConfigError


def integer(name: str, value: Any, least: int = 0) -> int:
    """Return an argument as an int, if it is an integer from `least` to 2**64 - 1.

    Raises:
        ConfigError: if it is none.

    Example:
        >>> from tinygrad_rnn.data.checks import integer
        >>> integer("batch_size", 3, least=1)
        3
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not least <= value < 2**64:
        raise ConfigError(f"{name} is {value!r}; give an integer from {least} to 2**64 - 1")
    return int(value)
