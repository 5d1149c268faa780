"""A diagram as source in Graphviz' language DOT: items in the boxes of their modules and time steps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import graphviz

from . import labels, looks
from .diagram import Diagram, Edge, Item, Repeat, Scope

Direction = Literal["TB", "BT", "LR", "RL"]


def dot(diagram: Diagram, direction: Direction = "TB", legend: bool = False) -> str:
    """Write a diagram as DOT source, the same text for the same diagram.

    Args:
        diagram: what to draw.
        direction: from top to bottom, bottom to top, left to right or right to left.
        legend: add samples of the kinds of things that are drawn.

    Example:
        >>> from tinygrad_rnn.viz.diagram import Diagram, Item
        >>> from tinygrad_rnn.viz.dot import dot
        >>> print(dot(Diagram({"n0": Item("n0", "input", "x")})).splitlines()[0])
        digraph {
    """
    settings = looks.GRAPH | ({"rankdir": direction} if direction != "TB" else {})
    whole = graphviz.Digraph(graph_attr=settings, node_attr=looks.NODE, edge_attr=looks.EDGE)
    boxes: dict[Scope, list[Item]] = {(): []}
    for item in diagram.items.values():
        for depth in range(len(item.scope)):
            boxes.setdefault(item.scope[: depth + 1], [])
        boxes[item.scope].append(item)
    children: dict[Scope, list[Scope]] = {}
    for scope in boxes:
        if scope:
            children.setdefault(scope[:-1], []).append(scope)
    numbers = {scope: i for i, scope in enumerate(boxes)}
    _write(whole, (), boxes, children, numbers)
    for edge in diagram.edges:
        _edge(whole, edge)
    if legend:
        _legend(whole, diagram)
    text: str = whole.source
    return text


def _write(
    into: Any,
    scope: Scope,
    boxes: dict[Scope, list[Item]],
    children: dict[Scope, list[Scope]],
    numbers: dict[Scope, int],
) -> None:
    for item in boxes[scope]:
        into.node(item.key, **_look(item))
    for child in children.get(scope, ()):
        inner = child
        # A box around nothing but a box says nothing that one label cannot say; that of a loop stands for itself.
        while not boxes[inner] and len(children.get(inner, ())) == 1 and not isinstance(inner[-1], Repeat):
            deeper = children[inner][0]
            if isinstance(deeper[-1], Repeat):
                break
            inner = deeper
        parts = inner[len(scope) :]
        title = labels.markup(labels.clean(labels.path(parts)))
        with into.subgraph(name=f"cluster_{numbers[child]}") as box:
            tip = graphviz.escape(labels.clean(labels.path(inner), 200))
            box.attr(**looks.BOX, label=title, tooltip=tip)
            if isinstance(parts[-1], int):
                box.attr(**looks.STEP)
            elif isinstance(parts[-1], Repeat):
                box.attr(**looks.REPEAT)
            _write(box, inner, boxes, children, numbers)


def _look(item: Item) -> looks.Attributes:
    look = dict(looks.KINDS[item.kind])
    if item.is_shared:
        look |= looks.SHARED
    if item.fields:
        look |= looks.PORTS | {"label": labels.ports(item.title, item.fields, item.notes)}
    else:
        shade = looks.FAINT["fontcolor"] if item.is_faint else looks.INK if item.fill else looks.GREY
        look["label"] = labels.markup(item.title, item.name, item.notes, shade)
    if item.ordered:
        look["ordering"] = "in"
    if item.fill is not None:
        look |= {"fillcolor": item.fill, "style": look["style"] or "filled"}
    if item.is_faint:
        look |= looks.FAINT
    look["tooltip"] = graphviz.escape(item.tooltip)
    return look


def _edge(into: Any, edge: Edge) -> None:
    look = dict(looks.EDGES[edge.kind])
    if edge.label:
        # Spaces keep the text from the line.
        look["label"] = f"<&#160; {labels.escaped(edge.label)} &#160;>"
    port = "" if edge.slot is None else f":s{edge.slot}:s"
    if edge.kind in ("loop", "gradient"):
        # Written the other way round, so that a step is laid out from its states downwards, and gradients run upwards.
        if "arrowhead" in look:
            look["arrowtail"] = look.pop("arrowhead")
        into.edge(edge.head, f"{edge.tail}{port}", dir="back", **look)
    else:
        into.edge(f"{edge.tail}{port}", edge.head, **look)


def _legend(into: Any, diagram: Diagram) -> None:
    """Add a sample of each kind of item and edge that occurs."""
    kinds = {item.kind: None for item in diagram.items.values()}
    with into.subgraph(name="cluster_legend") as box:
        box.attr(**looks.BOX, label=labels.markup("legend"))
        samples = [kind for kind in looks.LEGEND if kind in kinds]
        shown: dict[str, Item] = {kind: Item("", kind, looks.LEGEND[kind]) for kind in samples}
        if any(item.fill for item in diagram.items.values()):
            shown["small"] = Item("", "operation", "small gradient", fill=looks.SMALLEST)
            shown["large"] = Item("", "operation", "large gradient", fill=looks.LARGEST)
        if any(item.is_faint for item in diagram.items.values()):
            shown["none"] = Item("", "operation", "no gradient", is_faint=True)
        for name, sample in shown.items():
            box.node(f"legend_{name}", **_look(sample))
        edges = [kind for kind in looks.EDGE_LEGEND if any(edge.kind == kind for edge in diagram.edges)]
        for kind in edges:
            key = f"legend_{kind.replace(' ', '_')}"
            box.node(f"{key}_text", shape="plain", fontsize="10", label=labels.markup(looks.EDGE_LEGEND[kind]))
            box.node(f"{key}_end", shape="point", style="invis", width="0.6", label="")
            with box.subgraph() as row:
                row.attr(rank="same")
                row.edge(f"{key}_end", f"{key}_text", **looks.EDGES[kind])
        column = [f"legend_{name}" for name in shown] + [f"legend_{kind.replace(' ', '_')}_text" for kind in edges]
        for above, below in pairwise(column):
            box.edge(above, below, style="invis")
