"""The states in the graph of a loss that has been computed, and the gradients that reach them by one backward pass.

A state is what one step of a loop computes and the next one reads. Loops that ran compiled are opened into their steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ...core import Graph, Node, Tensor
from ...core.backward import sweep
from ...core.errors import ConfigError
from ...core.tensor import cotangent_of
from ...nn.watching import Loop, layer_names
from ..loops import find_loops
from ..opened import opened
from .plotting import Array

Edge = tuple[Node, int]
Scope = tuple["str | int", ...]


class Unrolled(NamedTuple):
    """A loop in a graph, step by step.

    Args:
        steps: the operations of each step, in the order in which they ran.
        scope: of what the loop stands in.
        reverse: it ran from the last step to the first.
    """

    steps: list[list[Node]]
    scope: Scope
    reverse: bool


class Reached(NamedTuple):
    """The gradient of a loss with respect to one part of a loop's state.

    Args:
        layer: which layer, in words.
        name: that the state was given, or its number.
        gradient: (time, ...), in the time order of the input.
    """

    layer: str
    name: str
    gradient: Array


def gradients_of_states(name: str, loss: Tensor) -> list[Reached]:
    """Return the gradients of a loss with respect to all states that it was computed through.

    Args:
        name: of the loss, for errors.
        loss: a tensor of one element.

    Raises:
        ConfigError: if there is no loop in its graph, or one whose steps are not alike.
        FreedGraphError: if an earlier backward pass has freed the graph.
        GraphError: if a parameter was changed since a compiled loop ran.
    """
    graph = opened(Graph.of(loss))
    loops = [(loop, _states(name, loop)) for loop in unrolled(graph)]
    loops = [(loop, states) for loop, states in loops if states]
    if not loops:
        raise ConfigError(
            f"{name} is a loss without a loop over time in its graph; give one that was computed through a recurrent "
            "layer, of two steps or more"
        )
    ((root, slot),) = graph.outputs
    edges = [edge for _, states in loops for state in states for edge in state if edge is not None]
    found = dict(zip(edges, sweep([(root, slot, cotangent_of(loss, None))], edges, None, True), strict=True))
    reached = []
    for layer, (loop, states) in zip(_layers([loop for loop, _ in loops]), loops, strict=True):
        for number, state in enumerate(states):
            spec = next(edge[0].specs[edge[1]] for edge in state if edge is not None)
            zeros = np.zeros(spec.shape, spec.dtype)
            rows = [g if edge is not None and (g := found[edge]) is not None else zeros for edge in state]
            given = next((edge[0].name_of(edge[1]) for edge in state if edge is not None), None)
            called = given or ("state" if len(states) == 1 else f"state {number + 1}")
            reached.append(Reached(layer, called, np.stack(rows[::-1] if loop.reverse else rows)))
    return reached


def _layers(loops: Sequence[Unrolled]) -> list[str]:
    """Return the name of each loop: the layers of a module are those that ran in it, one after the other."""
    seen: Counter[tuple[Scope, bool]] = Counter()
    told = []
    for loop in loops:
        told.append(Loop(None, None, None, None, loop.reverse, None, seen[loop.scope, loop.reverse], loop.scope))
        seen[loop.scope, loop.reverse] += 1
    return [name.strip() for name in layer_names(told)]


def unrolled(graph: Graph) -> list[Unrolled]:
    """Return the loops of a graph: by the time steps in its scopes; where there are none, by what it repeats.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn import nn
        >>> from tinygrad_rnn.viz.through_time.computed import unrolled
        >>> with tg.engine("eager"):
        ...     y, h = nn.GRU(3, 4, bidirectional=True)(np.ones((5, 1, 3)))
        >>> [(len(loop.steps), loop.scope, loop.reverse) for loop in unrolled(tg.Graph.of(np.sum(y)))]
        [(5, ('GRU',), False), (5, ('GRU',), True)]
    """
    times = {node: place for node in graph if node.primitive is not None and (place := _time(node.scope))}
    if not times:
        loops = [loop for loop in find_loops(graph).loops if loop.is_chained]
        return [
            Unrolled([[node for node in step if node is not None] for step in loop.steps], loop.scope, False)
            for loop in loops
        ]
    groups, direction = _connected(times)
    found = []
    for group in sorted(groups, key=lambda group: group[0].sequence):
        by_time: dict[int, list[Node]] = {}
        for node in group:
            by_time.setdefault(times[node][1], []).append(node)
        reverse = direction[group[0]] < 0
        steps = [by_time[t] for t in sorted(by_time, reverse=reverse)]
        found.append(Unrolled(steps, times[group[0]][0], reverse))
    return found


def _time(scope: Scope) -> tuple[Scope, int] | None:
    """Return the time step in a scope, and what stands before it."""
    for i, part in enumerate(scope):
        if isinstance(part, int):
            return scope[:i], part
    return None


def _connected(times: dict[Node, tuple[Scope, int]]) -> tuple[list[list[Node]], dict[Node, int]]:
    """Return the operations of each loop, those that read one another within a step or from one to the next.

    Also, for the first operation of each, whether time goes up (1) or down (-1) along the loop.
    """
    owner = {node: node for node in times}

    def root(node: Node) -> Node:
        while owner[node] is not node:
            owner[node] = owner[owner[node]]
            node = owner[node]
        return node

    moves: list[tuple[Node, int]] = []
    for node, (scope, t) in times.items():
        for parent in node.parents:
            if parent in times and times[parent][0] == scope and abs(lag := t - times[parent][1]) <= 1:
                owner[root(parent)] = root(node)
                if lag:
                    moves.append((node, lag))
    groups: dict[Node, list[Node]] = {}
    for node in times:
        groups.setdefault(root(node), []).append(node)
    direction = {root(node): lag for node, lag in moves}
    return list(groups.values()), {group[0]: direction.get(top, 1) for top, group in groups.items()}


def _states(name: str, loop: Unrolled) -> list[list[Edge | None]]:
    """Return the parts of the state that a loop hands from step to step, each as its values after every step.

    None stands where the loss does not depend on the part any more.
    """
    steps = loop.steps
    handed = [_handed(before, after) for before, after in pairwise(steps)]
    while handed and not handed[-1]:
        handed.pop()
    if not handed:
        return []
    if len({len(edges) for edges in handed}) > 1 or any(not edges for edges in handed):
        raise _unlike(name, loop)
    last = len(handed)
    ends = _same_in(handed[-1], steps[last - 1], steps[last])
    if ends is None:
        raise _unlike(name, loop)
    rest: list[Edge | None] = [None] * (len(steps) - last - 1)
    return [[*[edges[k] for edges in handed], ends[k], *rest] for k in range(len(handed[0]))]


def _unlike(name: str, loop: Unrolled) -> ConfigError:
    where = ".".join(map(str, loop.scope)) or "a loop"
    return ConfigError(
        f"{name} was computed by {where}, whose steps are not alike, so that its graph does not tell which values are "
        "states; give the function that computes it: viz.gradient_flow(lambda: loss_of(batch))"
    )


def _handed(before: list[Node], after: list[Node]) -> list[Edge]:
    """Return what one step computes and the next one reads, floats alone, in the order in which it is computed."""
    own = set(before)
    edges = {
        (parent, slot)
        for node in after
        for parent, slot in zip(node.parents, node.slots, strict=True)
        if parent in own and parent.specs[slot].dtype.kind == "f"
    }
    return sorted(edges, key=lambda edge: (edge[0].sequence, edge[1]))


def _same_in(edges: Sequence[Edge], step: list[Node], last: list[Node]) -> list[Edge | None] | None:
    """Return where in the last step the values of the step before are; None if the steps are not alike."""
    numbers: dict[Any, int] = {}
    mine, theirs = _forms(step, numbers), _forms(last, numbers)
    kinds = Counter(mine.values())
    if any(count > kinds[form] for form, count in Counter(theirs.values()).items()):
        return None
    by_form: dict[Any, list[Node]] = {}
    for node, form in theirs.items():
        by_form.setdefault(form, []).append(node)
    found: list[Edge | None] = []
    for node, slot in edges:
        of_form = [other for other, form in mine.items() if form == mine[node]]
        here = by_form.get(mine[node], [])
        at = of_form.index(node)
        found.append((here[at], slot) if at < len(here) else None)
    return found


def _forms(step: list[Node], numbers: dict[Any, int]) -> dict[Node, int]:
    """Return a number for each operation of a step, the same for those that do the same to the same.

    Args:
        step: the operations.
        numbers: those that were given out before, to which new ones are added.
    """
    inside: dict[Node, int] = {}
    for node in step:
        key: list[Any] = [node.operation, *[(spec.shape, spec.dtype) for spec in node.specs]]
        for parent, slot in zip(node.parents, node.slots, strict=True):
            if parent in inside:
                key.append((inside[parent], slot))
            else:
                key.append(parent if parent is not None and parent.primitive is None else None)
        inside[node] = numbers.setdefault(tuple(key), len(numbers))
    return inside
