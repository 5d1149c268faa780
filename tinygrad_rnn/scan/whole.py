"""What is traced of a step: the step with its checks, what goes before it and what comes out beside its results."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..core.tree import tree_map
from .checks import checked_step, is_arrays, matcher, name_of, refuse_output
from .eager import choose


def whole_step(step: Any, init: Any, states_too: bool, masked: bool) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Return a step as the compiled engines run it.

    Args:
        step: one step, `(x, state) -> (y, state)`.
        init: the state before the first step.
        states_too: the state after the step is handed out beside the output.
        masked: x is a pair with a mask behind it, and rows go back to the initial state where it is False.
    """
    state_matches = matcher(init)

    def whole(x: Any, state: Any) -> tuple[Any, Any]:
        if masked:
            x, mask = x
            state = tree_map(partial(choose, mask), state, init)
        y, after = checked_step(step, step(x, state), init, state_matches, 0)
        if not is_arrays(y):
            refuse_output(step, y, [], 0)
        return ((y, after), after) if states_too else (y, after)

    whole.__qualname__ = name_of(step)
    return whole
