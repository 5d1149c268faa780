"""The engine `numpy`: it writes NumPy source for the whole loop and runs that."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.node import Array
from .compiled import Program
from .loop_text import LoopText
from .passes.factor import factor
from .passes.simplify import simplify
from .step import Step


def numpy_engine(step: Step) -> Program:
    """Return the program that runs a step over time as NumPy source.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.core.node import Spec
        >>> from tinygrad_rnn.scan.numpy_engine import numpy_engine
        >>> from tinygrad_rnn.scan.step import traced
        >>> row = Spec((2,), np.dtype(float))
        >>> found = traced(lambda x, h: (h + x, h + x), (row,), (row,))
        >>> ys, last = numpy_engine(found.step)([np.zeros(2), np.ones((3, 2))], 3, False)
        >>> last
        array([3., 3.])
    """

    def program(arrays: Sequence[Array], time: int, reverse: bool) -> list[Array]:
        key = ("numpy", time.bit_length(), reverse)
        found = step.cache.get(key)
        if found is None:
            found = step.cache[key] = LoopText(simplified(step), time, reverse).function()
        return found(*arrays, time)  # type: ignore[no-any-return]

    return program


def simplified(step: Step) -> Step:
    """Return the simplified step, made once."""
    if "simplified" not in step.cache:
        step.cache["simplified"] = simplify(factor(simplify(step)))
    return step.cache["simplified"]  # type: ignore[no-any-return]
