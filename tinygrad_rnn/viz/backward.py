"""The backward pass in a diagram: a gradient for every item that one reaches, and arrows the other way."""

from __future__ import annotations

from dataclasses import replace

from ..core import Graph
from .diagram import Diagram, Edge, Item

# The box around the gradients, beside the forward pass.
BOX = "gradients"


def gradients_of(diagram: Diagram, graph: Graph, reached: set[str], beside: bool) -> Diagram:
    """Return the diagram of the backward pass: the mirror image of that of the forward pass.

    Args:
        diagram: of the forward pass.
        graph: that it shows.
        reached: keys of the items that a gradient reaches.
        beside: put a box around it, to stand beside the forward pass.
    """
    mirror = Diagram()
    for item in diagram.items.values():
        if item.key in reached or item.kind == "ellipsis":
            scope = (BOX, *item.scope) if beside else item.scope
            mirror.add(_gradient(item, graph, scope))
    for edge in diagram.edges:
        if f"d{edge.tail}" in mirror.items and f"d{edge.head}" in mirror.items:
            label = edge.label
            if edge.kind == "loop":
                state, _, steps = label.partition(": ")
                label = f"∂{state}: {' → '.join(reversed(steps.split(' → ')))}"
            kind = "gradient loop" if edge.kind == "loop" else "gradient"
            mirror.edges.append(Edge(f"d{edge.head}", f"d{edge.tail}", None, kind, label))  # type: ignore[arg-type]
    return mirror


def _gradient(item: Item, graph: Graph, scope: tuple) -> Item:  # type: ignore[type-arg]
    if item.kind == "ellipsis":
        return replace(item, key=f"d{item.key}", scope=scope, notes=list(item.notes), nodes=())
    title = f"∂{item.name or item.title}"
    notes = item.notes[:1]
    if item.kind == "parameter" and len(uses := graph.consumers[item.nodes[0]]) > 1:
        notes = [*notes, f"sum of {len(uses):,}"]
    tip = f"gradient of {item.tooltip}"
    return Item(f"d{item.key}", "gradient", title, scope, notes=notes, tooltip=tip, nodes=item.nodes, loop=item.loop)
