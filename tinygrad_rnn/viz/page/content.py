"""Content: all that a page shows, as one nest of lists, texts and whole numbers that JSON can hold."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from ...core import Graph, Node
from .. import labels
from ..playback import Playback
from .arrays import Arrays, statistics
from .places import places
from .rules import key, rules
from .scene import KINDS, Scene, constant_of
from .sources import place


class Content:
    """What a page shows of a graph.

    Args:
        graph: the graph, loops opened.
        playback: all values and cotangents; None leaves them out.
        inputs: leaves that are inputs, with their names.
        names: of results, by node and output.
        captions: what to write above the columns of steps, by step.
    """

    def __init__(
        self,
        graph: Graph,
        playback: Playback | None,
        inputs: Mapping[Node, str],
        names: Mapping[tuple[Node, int], str],
        captions: Mapping[int, str],
    ) -> None:
        self.graph = graph
        self._playback = playback
        self._captions = captions
        self._arrays = Arrays()
        self._texts: dict[str, int] = {}
        self._modules: dict[tuple[Any, ...], int] = {(): 0}
        self._rules: dict[Hashable, int] = {}
        self._lines: list[Any] = []
        self.scene = Scene(graph, inputs, names, numbers=playback is not None)
        self.places = places(self.scene)
        self._kinds = {box.node: box.kind for box in self.scene.boxes if box.kind != "constant"}

    def as_json(self) -> dict[str, Any]:
        """Return everything; floating point numbers stand in it as base64, so that NaN does no harm."""
        found: dict[str, Any] = {
            "nodes": [self._node(node) for node in self.graph],
            "boxes": [self._box(box) for box in self.scene.boxes],
            "lines": [list(line) for line in self.scene.lines],
            "bands": self._bands(),
            "captions": {str(time): labels.clean(text, 40) for time, text in self._captions.items()},
            "results": [self.graph.number(node) for node, _ in self.graph.outputs],
            "backward": self._backward(),
            "values": self._playback is not None,
        }
        found["rules"] = self._lines
        found["modules"] = [[self._text(str(path[-1]) if path else ""), self._parent(path)] for path in self._modules]
        found["arrays"] = self._arrays.encoded()
        found["texts"] = list(self._texts)
        return found

    def _text(self, text: str) -> int:
        return self._texts.setdefault(labels.clean(text, 300), len(self._texts))

    def _module(self, path: tuple[Any, ...]) -> int:
        if path not in self._modules:
            self._module(path[:-1])
            self._modules[path] = len(self._modules)
        return self._modules[path]

    def _parent(self, path: tuple[Any, ...]) -> int:
        return self._modules[path[:-1]] if path else -1

    def _array(self, array: Any) -> int:
        return -1 if array is None else self._arrays.add(array)

    def _value(self, node: Node, slot: int) -> int:
        return -1 if self._playback is None else self._array(self._playback.value(node, slot))

    def _node(self, node: Node) -> dict[str, Any]:
        slots = range(len(node.specs))
        spot = self.scene.spots.get(node)
        found: dict[str, Any] = {
            "operation": self._text(node.operation),
            "symbol": self._text(labels.operation(node) if node.primitive is not None else "leaf"),
            "kind": KINDS.index(self._kinds.get(node, "parameter")),
            "names": [self._text(self.scene.name(node, slot)) for slot in slots],
            "types": [self._text(labels.typed(node.specs[slot])) for slot in slots],
            "size": node.specs[0].size,
            "values": [self._value(node, slot) for slot in slots],
            "module": self._module(spot.module if spot is not None else ()),
            "time": -1 if spot is None or spot.time is None else spot.time,
        }
        if node.primitive is not None:
            found["details"] = self._text(labels.details(node).replace("\n", ", "))
            found["rules"] = self._rule(node)
            found["arguments"] = self._arguments(node)
        if node.line is not None:
            found["line"] = [self._text(text) for text in place(node.line)]
        return found

    def _arguments(self, node: Node) -> list[Any]:
        found: list[Any] = []
        args = node.arguments
        for parent, slot, arg in zip(node.parents, node.slots, args, strict=True):
            if parent is not None:
                found.append([self.graph.number(parent), slot])
            elif labels.is_number(arg):
                found.append([-1, self._text(labels.number(arg))])
            else:
                known = self._playback is not None and isinstance(arg, np.ndarray) and arg.dtype.kind in "fiub"
                found.append([-2, self._array(arg) if known else -1, self._text(_constant(arg))])
        return found

    def _rule(self, node: Node) -> int:
        same = key(node)
        if same not in self._rules:
            value, cotangents = rules(node)
            self._rules[same] = len(self._lines)
            lines = [[i, self._text(formula.text), int(formula.elementwise)] for i, formula in cotangents]
            self._lines.append([self._text(value.text), int(value.elementwise), lines])
        return self._rules[same]

    def _box(self, box: Any) -> list[int]:
        array = self._array(constant_of(box)) if self._playback is not None else -1
        return [
            KINDS.index(box.kind),
            self.graph.number(box.node),
            -1 if box.argument is None else box.argument,
            box.band,
            -1 if box.time is None else box.time,
            self._module(box.module),
            self.places[box.band].roles[box.role],
            self._text(box.title),
            self._text(box.note),
            box.numbers,
            array,
        ]

    @property
    def modules(self) -> list[tuple[Any, ...]]:
        """The paths of all modules, the number of each its place."""
        return list(self._modules)

    def _bands(self) -> list[Any]:
        found = []
        for number, band in enumerate(self.places):
            times = sorted({box.time for box in self.scene.boxes if box.band == number and box.time is not None})
            found.append({"boxes": band.boxes, "paths": band.paths, "size": band.size, "times": times})
        return found

    def _backward(self) -> dict[str, Any]:
        """Return the reverse sweep: contributions in order, with the running sum where the page cannot add up."""
        playback = self._playback
        if playback is None:
            return {"contributions": [], "totals": []}
        sums: dict[tuple[Node, int], Any] = {}
        counts: dict[tuple[Node, int], int] = {}
        contributions = []
        for node, argument, parent, slot, array in playback.contributions:
            edge = (parent, slot)
            sums[edge] = np.asarray(array, np.float64) + sums.get(edge, 0.0)
            counts[edge] = counts.get(edge, 0) + 1
            running = self._array(statistics(sums[edge])) if counts[edge] > 1 else -1
            numbers = [self.graph.number(node), argument, self.graph.number(parent), slot]
            contributions.append([*numbers, self._array(array), running])
        totals = []
        for node in self.graph:
            for slot in range(len(node.specs)):
                cotangent = playback.cotangent(node, slot)
                if cotangent is not None:
                    total = sums.get((node, slot))
                    off = -1 if total is None else self._array([_distance(total, cotangent)])
                    hooked = bool(node.watches and slot in node.watches and node.watches[slot].hooks)
                    totals.append([self.graph.number(node), slot, self._array(cotangent), off, int(hooked)])
        return {"contributions": contributions, "totals": totals}


def _distance(a: Any, b: Any) -> float:
    """Return the greatest difference between two arrays; equal infinities differ by nothing, and so do NaN and NaN."""
    with np.errstate(invalid="ignore"):
        apart = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    return float(apart.max(initial=0.0))


def _constant(arg: Any) -> str:
    """Return how a formula calls a constant."""
    title, shape = labels.constant(arg)
    return f"{title if title in ('zeros', 'ones') else 'array'}{shape}"
