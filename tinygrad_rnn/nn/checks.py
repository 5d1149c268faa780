"""The check of sizes that layers and cells share."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import ConfigError


def positive(name: str, value: Any) -> int:
    """Return an argument as an int, if it is an integer of at least 1.

    Args:
        name: of the argument, as the user wrote it.
        value: of the argument.

    Raises:
        ConfigError: if it is none.

    Example:
        >>> from tinygrad_rnn.nn.checks import positive
        >>> positive("hidden_size", 3)
        3
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ConfigError(f"{name} is {value!r}; give an integer of at least 1")
    return int(value)
