"""Scene: the boxes and lines of a page's picture, before anything is placed."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ...core import Array, Graph, Node
from ...core.modes import Scope
from .. import labels
from .columns import Spot, spots

KINDS = ("operation", "parameter", "input", "constant", "result")
# As many numbers can be read in one box.
IN_A_BOX = 6


class Box(NamedTuple):
    """One box of the picture.

    Attributes:
        kind: one of `KINDS`.
        node: what it shows, or what reads the constant that it shows.
        argument: which argument of `node` the constant is; None for others.
        band: as in `Spot`; so are `time`, `module` and `role`.
        title: the first line.
        note: the small line below.
        numbers: how many numbers stand in the box, 0 for none.
    """

    kind: str
    node: Node
    argument: int | None
    band: int
    time: int | None
    module: Scope
    role: Hashable
    title: str
    note: str
    numbers: int


class Line(NamedTuple):
    """A value that goes from a box to another.

    Attributes:
        tail: the box that it comes from.
        head: the box that reads it.
        slot: which output it is.
    """

    tail: int
    head: int
    slot: int


class Scene:
    """The boxes and lines of a graph.

    Args:
        graph: what to show.
        inputs: leaves that are inputs, with their names; all others are parameters, with a box beside each use.
        names: of results, by node and output.
        numbers: whether boxes have room for the numbers of small arrays.
    """

    def __init__(
        self, graph: Graph, inputs: Mapping[Node, str], names: Mapping[tuple[Node, int], str], numbers: bool
    ) -> None:
        self.graph = graph
        self.spots = spots(graph)
        self.boxes: list[Box] = []
        self.lines: list[Line] = []
        self._inputs = inputs
        self._names = names
        self._numbers = numbers
        self._places: dict[Hashable, int] = {}
        results = {node for node, _ in graph.outputs}
        for node in graph:
            if node.primitive is not None:
                self._operation(node, node in results)
            elif node in results:
                self._put(node, Box("result", node, None, 0, None, (), "leaf", *self._leaf(node), 0))

    def name(self, node: Node, slot: int) -> str:
        """Return the name of a result: the user's own, or that of the local variable it was kept in."""
        given = self._inputs.get(node) or node.name_of(slot) or self._names.get((node, slot), "")
        return labels.clean(given, 60)

    def _put(self, key: Hashable, box: Box) -> int:
        self._places[key] = len(self.boxes)
        self.boxes.append(box)
        return self._places[key]

    def _operation(self, node: Node, is_result: bool) -> None:
        spot = self.spots[node]
        tails = list(self._arguments(node, spot))
        shapes = ", ".join(dict.fromkeys(labels.shape(spec) for spec in node.specs))
        name = self.name(node, 0) if len(node.specs) == 1 else ""
        note = " ".join(filter(None, [labels.clean(name, 24), shapes]))
        kind = "result" if is_result else "operation"
        numbers = self._room(node.specs[0].shape) if len(node.specs) == 1 else 0
        title = labels.operation(node)
        head = self._put(node, Box(kind, node, None, *spot, title, note, numbers))
        self.lines += [Line(tail, head, slot) for tail, slot in tails]

    def _arguments(self, node: Node, spot: Spot) -> Iterator[tuple[int, int]]:
        args = node.arguments
        for i, (parent, slot, arg) in enumerate(zip(node.parents, node.slots, args, strict=True)):
            if parent is None:
                if not labels.is_number(arg):
                    yield self._constant(node, spot, i, arg), 0
            elif parent.primitive is not None:
                yield self._places[parent], slot
            else:
                yield self._use(node, spot, parent, i), 0

    def _use(self, node: Node, spot: Spot, leaf: Node, argument: int) -> int:
        kind = "input" if leaf in self._inputs else "parameter"
        key = (leaf, spot.band, spot.time) if kind == "input" else (leaf, node)
        if key in self._places:
            return self._places[key]
        module = () if kind == "input" else spot.module
        title, note = self._leaf(leaf)
        numbers = self._room(leaf.specs[0].shape) if kind == "input" else 0
        role = (kind, spot.role, argument)
        return self._put(key, Box(kind, leaf, None, spot.band, spot.time, module, role, title, note, numbers))

    def _leaf(self, leaf: Node) -> tuple[str, str]:
        title = labels.clean(self.name(leaf, 0).rpartition(".")[2] or "leaf", 24)
        return title, labels.shape(leaf.specs[0])

    def _constant(self, node: Node, spot: Spot, argument: int, arg: Any) -> int:
        title, note = labels.constant(arg)
        numbers = self._room(arg.shape) if isinstance(arg, np.ndarray) else 0
        role = ("constant", spot.role, argument)
        box = Box("constant", node, argument, spot.band, spot.time, spot.module, role, title, note, numbers)
        return self._put((node, argument), box)

    def _room(self, shape: tuple[int, ...]) -> int:
        size = int(np.prod(shape))
        return size if self._numbers and size <= IN_A_BOX else 0


def constant_of(box: Box) -> Array | None:
    """Return the array that the box of a constant shows, where its value is known."""
    if box.argument is None:
        return None
    arg = box.node.arguments[box.argument]
    return arg if isinstance(arg, np.ndarray) and arg.dtype.kind in "fiub" else None
