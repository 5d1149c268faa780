"""A graph whose compiled loops are opened into the operations of their steps, as the engine "eager" records them."""

from __future__ import annotations

from ..core import Graph, Node
from ..core.node import ancestors, next_sequence

Edge = tuple[Node, int]


def opened(graph: Graph) -> Graph:
    """Return a graph in which each loop that ran compiled stands as the operations of its steps.

    Scopes and time steps are those that the engine "eager" writes. The operations keep all their values, unless a
    backward pass has freed those of the loop. A loop that no step of a user's belongs to, such as one that a recorded
    backward pass ran, stays one operation.

    Args:
        graph: what was recorded.

    Returns:
        The graph itself where nothing is to be opened.

    Raises:
        GraphError: if a step does something else now than when its loop ran.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn import nn
        >>> from tinygrad_rnn.viz.opened import opened
        >>> with tg.engine("numpy"):
        ...     y, h = nn.RNN(3, 4)(np.ones((5, 2, 3)))
        >>> graph = tg.Graph.of(y)
        >>> [sum(node.operation == "tanh" for node in g) for g in (graph, opened(graph))]
        [0, 5]
    """
    if not any(_is_loop(node) for node in graph):
        return graph
    now: dict[Edge, Edge | None] = {}
    for node in graph:
        moved = _moved(node, now)
        if _is_loop(node):
            start = next_sequence()
            found = dict(node.params["origin"].run(moved))
            if node.args is None:
                _free(start, [edge[0] for edge in found.values() if edge is not None])
            now |= {(node, slot): edge for slot, edge in found.items()}
        elif moved is not node:
            now |= {(node, slot): (moved, slot) for slot in range(len(node.specs))}
    outputs = [now.get(edge, edge) for edge in graph.outputs]
    return Graph([edge for edge in outputs if edge is not None])


def _is_loop(node: Node) -> bool:
    return node.params.get("origin") is not None


def _moved(node: Node, now: dict[Edge, Edge | None]) -> Node:
    """Return a node whose arguments come from where they are now; the node itself where all are where they were."""
    before = [(p, slot) if p is not None else None for p, slot in zip(node.parents, node.slots, strict=True)]
    after = [now.get(edge, edge) if edge is not None else None for edge in before]
    if after == before:
        return node
    parents = [None if edge is None else edge[0] for edge in after]
    slots = [0 if edge is None else edge[1] for edge in after]
    moved = Node(node.primitive, parents, slots, node.args, node.params, node.outs, node.specs, node.modes)
    moved.watches, moved.numbers = node.watches, node.numbers
    return moved


def _free(start: int, ends: list[Node]) -> None:
    """Take away the values of operations, made since `start`, that stand for a loop without values."""
    for node in ancestors(ends, start):
        if node.sequence > start and node.primitive is not None:
            node.free()
