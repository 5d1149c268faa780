"""One step of a cell, taken once more on its own and recorded: its states by name, and the gates in its graph."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from ...core import Graph, Node, Tensor, enable_grad, random
from ...core.errors import CellError
from ...core.names import LocalNames
from ...core.tree import TreeDef, tree_flatten, tree_unflatten
from ...nn.watching import watching
from ...scan import engine
from .plotting import Array

_GATE, _PARTS = "sigmoid", "split"


class RecordedStep:
    """A step whose inputs all require grad, so that its whole graph is there.

    Args:
        cell: the step, `(x, state) -> (y, state)`.
        x: (batch, ...).
        before: the leaves of the state, each (batch, ...).
        structure: the nest of the state.
        named: find out under which names the cell keeps what it computes.

    Attributes:
        y: the output.
        after: the leaves of the state after it.

    Raises:
        CellError: if the cell returns no pair.
    """

    def __init__(self, cell: Any, x: Array, before: list[Array], structure: TreeDef, named: bool = False) -> None:
        inputs = [Tensor(np.array(value), requires_grad=value.dtype.kind == "f") for value in (x, *before)]
        self._names: dict[tuple[Node, int], str] = {}
        # The numbers that a cell draws here are nobody's: training goes on as if there had been no picture.
        state = random.get_state()
        try:
            with watching(None), enable_grad(), engine("eager"):
                if named:
                    with LocalNames() as names:
                        out = cell(inputs[0], tree_unflatten(structure, inputs[1:]))
                    self._names = names.of_nodes()
                else:
                    out = cell(inputs[0], tree_unflatten(structure, inputs[1:]))
        finally:
            random.set_state(state)
        if not isinstance(out, tuple) or len(out) != 2:
            raise CellError(f"{type(cell).__name__} returned {type(out).__name__}; return a pair: return y, state")
        self.y, self.after = out[0], tree_flatten(out[1])[0]

    def state_names(self) -> list[str]:
        """Return what the cell calls the leaves of its state; "h", or "h0", "h1", … where it has no names for them."""
        count = len(self.after)
        plain = ["h"] if count == 1 else [f"h{number}" for number in range(count)]
        found = [
            self._names.get((leaf.node, leaf._index)) if isinstance(leaf, Tensor) and leaf.node is not None else None
            for leaf in self.after
        ]
        return _distinct([name or other for name, other in zip(found, plain, strict=True)])

    def gate_names(self) -> list[str]:
        """Return the names of the gates: their own, or that of what goes into the sigmoid."""
        names = []
        for number, (gate, parts) in enumerate(self._gates()):
            if parts is None:
                name = self._names.get((gate, 0)) or self._name_of_argument(gate)
                names.append(name or f"gate {number + 1}")
            else:
                whole = self._names.get((gate, 0)) or f"gate {number + 1}"
                names += [self._names.get((parts, slot)) or f"{whole}.{slot}" for slot in range(len(parts.specs))]
        return _distinct(names)

    def _name_of_argument(self, node: Node) -> str | None:
        parent = node.parents[0]
        return None if parent is None else self._names.get((parent, node.slots[0]))

    def gate_values(self) -> list[Array]:
        """Return the values of the gates, each (batch, ...), in the order in which the step computes them."""
        values: list[Array] = []
        for gate, parts in self._gates():
            assert gate.outs is not None
            value = np.asarray(gate.outs[0])
            if parts is None or parts.primitive is None:
                values.append(value)
            else:
                values += [np.asarray(part) for part in parts.primitive(value, **parts.params)]
        return values

    def _gates(self) -> list[tuple[Node, Node | None]]:
        """Return every sigmoid in the graph; with the operation that cuts its result, where that is all it is used for.

        Several gates are often computed as one array.
        """
        results = [leaf for leaf in tree_flatten((self.y, self.after))[0] if isinstance(leaf, Tensor)]
        recorded = [leaf for leaf in results if leaf.requires_grad]
        if not recorded:
            return []
        graph = Graph.of(*recorded)
        found: list[tuple[Node, Node | None]] = []
        for node in graph:
            if node.operation == _GATE:
                readers = {reader for reader, _ in graph.consumers[node]}
                cut = next(iter(readers)) if len(readers) == 1 else None
                found.append((node, cut if cut is not None and cut.operation == _PARTS else None))
        return found


def _distinct(names: list[str]) -> list[str]:
    """Return names of which none occurs twice."""
    seen: Counter[str] = Counter()
    answer = []
    for name in names:
        seen[name] += 1
        answer.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return answer
