"""Names: what the user calls the inputs and results of a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core import Array, Node
from . import labels


class Names:
    """What the user calls things: given names first, then those of local variables.

    Args:
        locals_: names of results, by node and output.
        inputs: leaves that are inputs, and their names.
        arrays: names and values of inputs that no gradient is taken of, such as integer tokens. Which of two equal ones
            an operation reads cannot be told, so they become one by the name "a = b".
    """

    def __init__(
        self,
        locals_: Mapping[tuple[Node, int], str] | None = None,
        inputs: Mapping[Node, str] | None = None,
        arrays: Sequence[tuple[str, Array]] = (),
    ) -> None:
        self._locals = locals_ or {}
        self.inputs = inputs or {}
        self.arrays: list[tuple[str, Array]] = []
        for name, array in arrays:
            same = next((i for i, (_, other) in enumerate(self.arrays) if _are_equal(array, other)), None)
            if same is None:
                self.arrays.append((name, array))
            else:
                self.arrays[same] = (f"{self.arrays[same][0]} = {name}", array)

    def of(self, nodes: Sequence[Node], slot: int) -> str:
        """Return the name of a result, found at any of the steps that it is computed at; "" where it has none."""
        for node in nodes:
            watch = node.watches.get(slot) if node.watches else None
            name = (watch and watch.name) or self._locals.get((node, slot), "")
            if name:
                return labels.clean(name, 24)
        return ""

    def array(self, value: Any) -> str | None:
        """Return the name of the input that a constant is."""
        for name, array in self.arrays:
            if isinstance(value, np.ndarray) and _are_equal(value, array):
                return name
        return None


def _are_equal(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and np.array_equal(a, b)
