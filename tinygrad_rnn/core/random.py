"""Random numbers by counter: call k of seed s gives the same numbers wherever and whenever it runs."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from threading import Lock
from typing import Any

import numpy as np

from .errors import ConfigError

_lock = Lock()
# What a tracer calls in place of a draw: with the shape of uniform numbers, or None where a generator is asked for.
Draw = Callable[[tuple[int, ...] | None], Any]
instead: ContextVar[Draw | None] = ContextVar("tinygrad_rnn_instead", default=None)
_state = {"seed": 0, "call": 0}


def seed(number: int) -> None:
    """Start again from call 0 of a seed.

    Args:
        number: 0 to 2**64 - 1.

    Raises:
        ConfigError: if the number is not an integer in that range.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.random.seed(1)
        >>> a = tg.random.generator().random()
        >>> tg.random.seed(1)
        >>> a == tg.random.generator().random()
        True
    """
    set_state({"seed": number, "call": 0})


def generator() -> np.random.Generator:
    """Return the generator of the next call: Philox keyed by (seed, call), independent of every other call's.

    Source: Salmon et al. 2011, *Parallel random numbers: as easy as 1, 2, 3*.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.random.seed(0)
        >>> tg.random.generator().random() != tg.random.generator().random()
        True
    """
    if (traced := instead.get()) is not None:
        traced(None)
    with _lock:
        key = np.array([_state["seed"], _state["call"]], dtype=np.uint64)
        _state["call"] += 1
    return np.random.Generator(np.random.Philox(key=key))


def uniform(shape: tuple[int, ...]) -> Any:
    """Return float32 numbers, uniform in [0, 1), from the generator of the next call.

    In a step that is traced for a compiled loop they are drawn anew for every time step, as the eager loop draws them.

    Args:
        shape: of the result.

    Returns:
        An array; a traced tensor while a step is traced.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.random.seed(0)
        >>> tg.random.uniform((2, 3)).shape
        (2, 3)
    """
    if (traced := instead.get()) is not None:
        return traced(shape)
    return generator().random(shape, np.float32)


def get_state() -> dict[str, int]:
    """Return seed and number of calls so far, ready for JSON; `set_state` continues from there.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.random.seed(3)
        >>> tg.random.get_state()
        {'seed': 3, 'call': 0}
    """
    with _lock:
        return dict(_state)


def set_state(state: dict[str, Any]) -> None:
    """Continue from what `get_state` returned.

    Raises:
        ConfigError: if seed or call is missing or not an integer from 0 to 2**64 - 1.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.random.set_state({"seed": 3, "call": 7})
        >>> tg.random.get_state()
        {'seed': 3, 'call': 7}
    """
    for key in ("seed", "call"):
        number = state.get(key)
        if not isinstance(number, (int, np.integer)) or isinstance(number, bool) or not 0 <= number < 2**64:
            raise ConfigError(f"random state: {key} is {number!r}; give an integer from 0 to 2**64 - 1")
    with _lock:
        _state.update(seed=int(state["seed"]), call=int(state["call"]))
