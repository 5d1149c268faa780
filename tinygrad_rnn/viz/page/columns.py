"""Columns: which nodes are one loop over time, at which step of it each stands, and which part it plays there."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from ...core import Graph, Node
from ...core.modes import Scope
from ..loops import find_loops


class Spot(NamedTuple):
    """Where a node stands.

    Attributes:
        band: number of the loop, or of the part outside of loops; what a band reads lies in those before it.
        time: the step of the loop; None outside of loops.
        module: the scope without the step.
        role: the same for nodes that do the same at different steps.
    """

    band: int
    time: int | None
    module: Scope
    role: Hashable


class _Loop:
    """Nodes with one scope around a time step that grows, or falls, by one."""

    def __init__(self) -> None:
        self.columns: list[tuple[int, list[Node]]] = []
        self.direction = 0
        self.interrupted = False

    def takes(self, time: int) -> bool:
        """Say whether a node of a step goes on with this loop, and note the direction."""
        last = self.columns[-1][0]
        if time == last:
            return not self.interrupted
        if abs(time - last) != 1 or self.direction not in (0, time - last):
            return False
        self.direction = time - last
        return True

    def add(self, node: Node, time: int) -> None:
        """Add a node at the end."""
        self.interrupted = False
        if not self.columns or self.columns[-1][0] != time:
            self.columns.append((time, []))
        self.columns[-1][1].append(node)

    def split(self) -> list[Node]:
        """Take away what the last step has beyond the step before: the first step of a loop that runs back."""
        if len(self.columns) < 2:
            return []
        usual, nodes = len(self.columns[-2][1]), self.columns[-1][1]
        self.columns[-1] = (self.columns[-1][0], nodes[:usual])
        return nodes[usual:]


def spots(graph: Graph) -> dict[Node, Spot]:
    """Return where each operation of a graph stands. Time steps are the whole numbers in scopes; where there are
    none, the steps that the operations repeat.

    Layers on top of each other, and the directions of a layer, are loops of their own. What stands outside of loops is
    counted to one where it lies on the way from a step to a later one.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn.viz.page.columns import spots
        >>> h = tg.Tensor([0.5], requires_grad=True)
        >>> for t in range(3):
        ...     with tg.scope("rnn"), tg.scope(t):
        ...         h = np.tanh(h)
        >>> [(spot.band, spot.time) for spot in spots(tg.Graph.of(np.sum(h))).values()]
        [(0, 0), (0, 1), (0, 2), (1, None)]
    """
    times, loops = _in_loops(graph)
    _absorb(graph, times, loops)
    levels = _levels(graph, loops)
    order = {band: i for i, band in enumerate(sorted({(levels[loop], loop) for loop in loops.values()}))}
    plain = {levels[node] for node in graph if node.primitive is not None and node not in loops}
    order = {band: i for i, band in enumerate(sorted([*order, *[(level, -1) for level in plain]]))}
    found: dict[Node, Spot] = {}
    counts: dict[Hashable, int] = {}
    for node in graph:
        if node.primitive is None:
            continue
        loop = loops.get(node)
        if loop is None:
            found[node] = Spot(order[levels[node], -1], None, node.scope, graph.number(node))
            continue
        time, module = times[node], _without(node.scope, times[node])
        key = (loop, time, module, node.operation)
        counts[key] = counts.get(key, -1) + 1
        found[node] = Spot(order[levels[loop], loop], time, module, (module, node.operation, counts[key]))
    return found


def _step(scope: Scope) -> int | None:
    """Return the place of the time step in a scope."""
    return next((i for i, part in enumerate(scope) if isinstance(part, int)), None)


def _without(scope: Scope, time: int) -> Scope:
    place = _step(scope)
    return scope if place is None or scope[place] != time else scope[:place] + scope[place + 1 :]


def _in_loops(graph: Graph) -> tuple[dict[Node, int], dict[Node, int]]:
    """Return the time step and the number of the loop of each node that is in one.

    Where no scope tells of time, as in a loop written by hand, loops are those that the operations repeat.
    """
    times, loops = _by_scopes(graph)
    if not times:
        for number, loop in enumerate(find_loops(graph).loops):
            for time, step in zip(loop.numbers, loop.steps, strict=True):
                for node in step:
                    if node is not None:
                        times[node], loops[node] = time, number
    return times, loops


def _by_scopes(graph: Graph) -> tuple[dict[Node, int], dict[Node, int]]:
    """Return the time step and the number of the loop of each node that has one in its scope."""
    running: dict[Scope, _Loop] = {}
    found: list[_Loop] = []
    for node in graph:
        if node.primitive is None:
            continue
        place = _step(node.scope)
        if place is None:
            for loop in running.values():
                loop.interrupted = True
            continue
        prefix, time = node.scope[:place], node.scope[place]
        assert isinstance(time, int)
        current = running.get(prefix)
        if current is None or not current.takes(time):
            back = current is not None and time == current.columns[-1][0] - current.direction
            moved = current.split() if current is not None and back else []
            previous, current = current, _Loop()
            running[prefix] = current
            found.append(current)
            if previous is not None:
                for early in moved:
                    current.add(early, previous.columns[-1][0])
                if moved:
                    current.takes(time)
        current.add(node, time)
    times, loops = {}, {}
    for number, loop in enumerate(found):
        for time, nodes in loop.columns:
            for node in nodes:
                times[node], loops[node] = time, number
    return times, loops


def _absorb(graph: Graph, times: dict[Node, int], loops: dict[Node, int]) -> None:
    """Make one loop of those that feed each other, and count to it what lies between two of its steps."""
    after: dict[Node, int] = {}
    for node in graph:
        own = 1 << loops[node] if node in loops else 0
        for parent in node.parents:
            if parent is not None:
                own |= after[parent]
        after[node] = own
    before: dict[Node, int] = {}
    for node in reversed(graph.nodes):
        own = 1 << loops[node] if node in loops else 0
        for reader, _ in graph.consumers[node]:
            own |= before[reader]
        before[node] = own
    reached: dict[int, int] = {}
    for node, number in loops.items():
        reached[number] = reached.get(number, 0) | after[node]
    joined = {
        number: min(other for other in reached if mask >> other & 1 and reached[other] >> number & 1)
        for number, mask in reached.items()
    }
    for node in graph:
        if node in loops:
            loops[node] = joined[loops[node]]
        elif node.primitive is not None and (both := after[node] & before[node]):
            number = joined[(both & -both).bit_length() - 1]
            steps = [times[p] for p in node.parents if p is not None and loops.get(p) == number]
            if steps:
                loops[node], times[node] = number, max(steps)


def _levels(graph: Graph, loops: dict[Node, int]) -> dict[Node | int, int]:
    """Return how high each loop, and each node outside of loops, stands above what it reads: loops at odd levels."""
    levels: dict[Node | int, int] = dict.fromkeys(loops.values(), 1)
    changed = True
    while changed:
        changed = False
        for node in graph:
            if node.primitive is None:
                continue
            band: Node | int = loops.get(node, node)
            level = levels.get(band, 0)
            for parent in node.parents:
                if parent is None or parent.primitive is None:
                    continue
                below: Node | int = loops.get(parent, parent)
                if below != band:
                    step = 2 if below in loops.values() and isinstance(band, int) else 1
                    same = not isinstance(below, int) and not isinstance(band, int)
                    level = max(level, levels.get(below, 0) + (0 if same else step))
            if level != levels.get(band):
                levels[band] = level
                changed = True
    return levels
