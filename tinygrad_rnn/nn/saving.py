"""Setting the arrays of a module from saved ones: everything is checked before anything is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..core.errors import StateDictError
from ..core.node import Array
from .parameter import array_of, misfit

Target = tuple[Any, Callable[[Array], None]]


def load(
    owner: str, targets: Mapping[str, Target], state: Mapping[str, Any], strict: bool
) -> tuple[list[str], list[str]]:
    """Hand each array of `state` to the target of its name.

    Args:
        owner: what the arrays belong to, for the error.
        targets: name to (what the array must fit, the function that takes it).
        state: name to array or tensor.
        strict: refuse missing and unexpected names.

    Returns:
        The names missing in `state`, and those in it that no target has.

    Raises:
        StateDictError: naming everything that does not fit; then nothing was handed over.
    """
    missing = [name for name in targets if name not in state]
    unexpected = [name for name in state if name not in targets]
    arrays = {name: array_of(state[name]) for name in targets if name in state}
    problems = []
    if strict and missing:
        problems.append(f"missing: {', '.join(missing)}")
    if strict and unexpected:
        problems.append(f"unexpected: {', '.join(unexpected)}")
    for name, array in arrays.items():
        problem = misfit(array, targets[name][0])
        if problem is not None:
            problems.append(f"{name} {problem[1]}")
    if problems:
        raise StateDictError(
            f"the arrays do not fit {owner}: {'; '.join(problems)}. Give what its state_dict() has, or strict=False to "
            "pass over missing and unexpected names"
        )
    for name, array in arrays.items():
        fit, take = targets[name]
        take(np.asarray(array, dtype=fit.dtype))
    return missing, unexpected
