"""The loops in a graph, unrolled into steps, with what tells which layers they are."""

from __future__ import annotations

from typing import NamedTuple

from ...core import Graph, Node
from ..loops import find_loops

Scope = tuple["str | int", ...]


class Unrolled(NamedTuple):
    """A loop in a graph, step by step.

    Args:
        steps: the operations of each step, in the order in which they ran.
        scope: of what the loop stands in.
        reverse: it ran from the last step to the first.
        cell: the name that the step has in the module around it, or "".
        is_timed: its operations say which step they belong to, as those of layers do.
    """

    steps: list[list[Node]]
    scope: Scope
    reverse: bool
    cell: str
    is_timed: bool


def unrolled(graph: Graph) -> list[Unrolled]:
    """Return the loops of a graph: by the time steps in its scopes; where there are none, by what it repeats.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn import nn
        >>> from tinygrad_rnn.viz.through_time.unrolling import unrolled
        >>> with tg.engine("eager"):
        ...     y, h = nn.GRU(3, 4, bidirectional=True)(np.ones((5, 1, 3)))
        >>> [(len(loop.steps), loop.scope, loop.reverse) for loop in unrolled(tg.Graph.of(np.sum(y)))]
        [(5, ('GRU',), False), (5, ('GRU',), True)]
    """
    times = {node: place for node in graph if node.primitive is not None and (place := _time(node.scope))}
    if not times:
        loops = [loop for loop in find_loops(graph).loops if loop.is_chained]
        return [
            Unrolled([[node for node in step if node is not None] for step in loop.steps], loop.scope, False, "", False)
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
        scope = times[group[0]][0]
        found.append(Unrolled(steps, scope, reverse, _cell(group, len(scope)), True))
    return found


def _time(scope: Scope) -> tuple[Scope, int] | None:
    """Return the time step in a scope, and what stands before it."""
    for i, part in enumerate(scope):
        if isinstance(part, int):
            return scope[:i], part
    return None


def _cell(operations: list[Node], depth: int) -> str:
    """Return the name of the module that a step is, "" where it is none or no module holds it.

    Args:
        operations: of the loop.
        depth: how many names stand before the time step in their scopes; without any, the name is that of a class.
    """
    names = {node.scope[depth + 1] for node in operations if len(node.scope) > depth + 1}
    return str(names.pop()) if depth and len(names) == 1 else ""


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
