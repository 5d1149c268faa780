"""A graph as DOT source: operations, parameters, constants and results in the boxes of their modules and time steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import graphviz
import numpy as np

from ..core import Array, Graph, Node
from ..core.errors import TinygradRNNError
from . import labels

Scope = tuple[str | int, ...]
Attributes = dict[str, str]
LIMIT = 2000

# The colours are Okabe and Ito's, which every kind of colour vision tells apart; outlines differ as well, for print.
# The letters of these two are equally wide, so that a file laid out with one fits where it is shown with the other.
_FONT = "Verdana,DejaVu Sans,sans-serif"
_GRAPH = {"bgcolor": "white", "fontname": _FONT, "fontsize": "10", "nodesep": "0.22", "ranksep": "0.28", "pad": "0.1"}
_NODE = {"fontname": _FONT, "fontsize": "13", "margin": "0.09,0.04", "height": "0.3", "width": "0.46"}
_EDGE = {"arrowsize": "0.55", "color": "#333333", "fontname": _FONT, "fontsize": "8"}
_OPERATION = {"shape": "box", "style": "rounded,filled", "fillcolor": "white", "color": "#444444"}
_PARAMETER = {"shape": "box", "style": "filled", "fillcolor": "#d7e9f7", "color": "#0072b2", "fontsize": "10"}
_SHARED = {"style": "filled,dashed"}
_INPUT = {"shape": "ellipse", "style": "filled", "fillcolor": "#d9f2e8", "color": "#009e73", "penwidth": "1.5"}
_CONSTANT = {"shape": "box", "style": "dotted", "color": "#666666", "fontcolor": "#444444", "fontsize": "9"}
_OUTPUT = {"peripheries": "2", "color": "#d55e00", "fillcolor": "#fdebdc", "penwidth": "1.5"}
_PORTS = {"shape": "plain", "style": ""}
_SIDE = {"color": "#999999", "arrowsize": "0.4"}
_BOX = {
    "style": "rounded",
    "penwidth": "1",
    "color": "#aaaaaa",
    "fontcolor": "#555555",
    "labeljust": "l",
    "margin": "8",
}
_STEP = {"penwidth": "2", "style": "rounded,dashed"}


class TooLargeError(TinygradRNNError, ValueError):
    """A graph of more nodes than a picture can show."""


def dot(
    graph: Graph,
    inputs: Mapping[Node, str] | None = None,
    arrays: Sequence[tuple[str, Array]] = (),
    names: Mapping[tuple[Node, int], str] | None = None,
) -> str:
    """Write a graph as DOT source, the same text for the same graph.

    Args:
        graph: what to draw.
        inputs: leaves that are inputs, and their names; all other leaves are drawn as parameters, a copy for each use.
        arrays: names and values of inputs that no gradient is taken of, such as integer tokens.
        names: names of results, by node and output.

    Raises:
        TooLargeError: if the graph has more than 2,000 nodes.

    Example:
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn.viz.dot import dot
        >>> print(dot(tg.Graph.of(tg.sigmoid(tg.Tensor(0.0, requires_grad=True)))).splitlines()[0])
        digraph {
    """
    if len(graph) > LIMIT:
        raise TooLargeError(
            f"a graph of {len(graph):,} nodes; a picture of more than {LIMIT:,} cannot be read: draw one time step, "
            "by calling the cell, or the model on a sequence of length 1; print(graph) lists all of it"
        )
    return _Drawing(graph, inputs or {}, arrays, names or {}).text()


class _Drawing:
    """The nodes of a drawing by scope, and its edges, in the order in which they are written."""

    def __init__(
        self,
        graph: Graph,
        inputs: Mapping[Node, str],
        arrays: Sequence[tuple[str, Array]],
        names: Mapping[tuple[Node, int], str],
    ) -> None:
        self._graph = graph
        self._arrays = arrays
        self._names = names
        self._drawn_arrays: set[str] = set()
        self._boxes: dict[Scope, list[tuple[str, Attributes]]] = {(): []}
        self._edges: list[tuple[str, str, Attributes]] = []
        self._leaves: dict[Node, str] = {}
        results = {node for node, _ in graph.outputs}
        for node in graph:
            if node.primitive is not None:
                self._operation(node, node in results)
            elif node in inputs:
                self._leaves[node] = self._id(node)
                self._put((), self._id(node), _INPUT | self._leaf(node, inputs[node], ""))
            elif not graph.consumers[node]:
                self._put((), self._id(node), _PARAMETER | _OUTPUT | self._leaf(node, node.name or "", ""))

    def _id(self, node: Node) -> str:
        return f"n{self._graph.number(node)}"

    def _put(self, scope: Scope, name: str, attributes: Attributes) -> None:
        for depth in range(len(scope)):
            self._boxes.setdefault(scope[: depth + 1], [])
        self._boxes[scope].append((name, attributes))

    def _operation(self, node: Node, is_result: bool) -> None:
        name = self._id(node)
        title = labels.operation(node)
        given = [self._name(node, slot) for slot in range(len(node.specs))]
        attributes = dict(_OPERATION)
        if len(node.specs) == 1:
            attributes["label"] = labels.markup(title, given[0], labels.shape(node.specs[0]))
        else:
            shapes = {labels.shape(spec): None for spec in node.specs}
            attributes |= _PORTS | {"label": labels.ports(title, given, " ".join(shapes))}
        if node.operation in labels.ORDERED:
            attributes["ordering"] = "in"
        if is_result:
            attributes |= _OUTPUT
        attributes["tooltip"] = graphviz.escape(labels.details(node))
        self._arguments(node, name)
        self._put(node.scope, name, attributes)

    def _arguments(self, node: Node, name: str) -> None:
        args = node.args or (None,) * len(node.parents)
        for i, (parent, slot, arg) in enumerate(zip(node.parents, node.slots, args, strict=True)):
            if parent is None:
                if not labels.is_number(arg):
                    self._constant(node, name, i, arg)
            elif parent.primitive is not None:
                tail = self._id(parent) + (f":s{slot}:s" if len(parent.specs) > 1 else "")
                self._edges.append((tail, name, {}))
            else:
                self._use(node, name, parent)

    def _constant(self, node: Node, name: str, argument: int, arg: Any) -> None:
        for given, array in self._arrays:
            if isinstance(arg, np.ndarray) and arg.dtype == array.dtype and np.array_equal(arg, array):
                if given not in self._drawn_arrays:
                    self._drawn_arrays.add(given)
                    label = labels.markup(labels.clean(given), small=labels.shape(array))
                    tip = graphviz.escape(f"input {labels.clean(given)}\n{labels.typed(array)}")
                    self._put((), f"a{len(self._drawn_arrays)}", _INPUT | {"label": label, "tooltip": tip})
                place = [drawn for drawn, _ in self._arrays if drawn in self._drawn_arrays].index(given) + 1
                self._edges.append((f"a{place}", name, {}))
                return
        title, small = labels.constant(arg)
        attributes = _CONSTANT | {"label": labels.markup(title, small=small), "tooltip": "a constant"}
        self._put(node.scope, f"{name}c{argument}", attributes)
        self._edges.append((f"{name}c{argument}", name, _SIDE))

    def _use(self, node: Node, name: str, leaf: Node) -> None:
        """Draw the edge from a leaf: a parameter stands beside each of its uses, or the layout falls to pieces."""
        if leaf in self._leaves:
            self._edges.append((self._leaves[leaf], name, {}))
            return
        uses = len({consumer for consumer, _ in self._graph.consumers[leaf]})
        copy = self._id(leaf) if uses == 1 else f"{self._id(leaf)}u{self._graph.number(node)}"
        if not any(copy == drawn for drawn, _ in self._boxes.get(node.scope, ())):
            shared = f"shared ×{uses}" if uses > 1 else ""
            text = labels.short(leaf.name or self._name(leaf, 0), node.scope)
            self._put(node.scope, copy, _PARAMETER | self._leaf(leaf, text, shared) | (_SHARED if shared else {}))
        self._edges.append((copy, name, _SIDE))

    def _leaf(self, node: Node, title: str, note: str) -> Attributes:
        small = " ".join([labels.shape(node.specs[0]), note]).strip()
        tip = [labels.clean(node.name or title or "leaf", 200), labels.typed(node.specs[0]), note]
        return {
            "label": labels.markup(labels.clean(title) or "leaf", small=small),
            "tooltip": graphviz.escape("\n".join(filter(None, tip))),
        }

    def _name(self, node: Node, slot: int) -> str:
        watch = node.watches.get(slot) if node.watches else None
        return labels.clean((watch and watch.name) or self._names.get((node, slot), ""), 24)

    def text(self) -> str:
        """Return the source."""
        whole = graphviz.Digraph(graph_attr=_GRAPH, node_attr=_NODE, edge_attr=_EDGE)
        children: dict[Scope, list[Scope]] = {}
        for scope in self._boxes:
            if scope:
                children.setdefault(scope[:-1], []).append(scope)
        numbers = {scope: i for i, scope in enumerate(self._boxes)}
        self._write(whole, (), children, numbers)
        for tail, head, attributes in self._edges:
            whole.edge(tail, head, **attributes)
        text: str = whole.source
        return text

    def _write(self, into: Any, scope: Scope, children: dict[Scope, list[Scope]], numbers: dict[Scope, int]) -> None:
        for name, attributes in self._boxes[scope]:
            into.node(name, **attributes)
        for child in children.get(scope, ()):
            inner = child
            # A box around nothing but a box says nothing that one label cannot say.
            while not self._boxes[inner] and len(children.get(inner, ())) == 1:
                inner = children[inner][0]
            parts = inner[len(scope) :]
            is_step = isinstance(parts[-1], int)
            title = labels.markup(labels.clean(labels.path(parts)))
            with into.subgraph(name=f"cluster_{numbers[child]}") as box:
                box.attr(**_BOX, label=title, tooltip=graphviz.escape(labels.clean(labels.path(inner), 200)))
                if is_step:
                    box.attr(**_STEP)
                self._write(box, inner, children, numbers)
