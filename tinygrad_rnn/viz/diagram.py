"""Diagram: what a drawing shows, before anything is laid out: items in boxes, and edges between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ..core import Node

Kind = Literal[
    "operation",
    "parameter",
    "input",
    "state",
    "constant",
    "output",
    "loss",
    "module",
    "ellipsis",
    "gradient",
]
EdgeKind = Literal["flow", "side", "loop", "gradient", "gradient loop"]


class Repeat(NamedTuple):
    """A part of a scope that stands for all steps of a loop: the box around the one that is drawn."""

    number: int
    title: str


Scope = tuple["str | int | Repeat", ...]


@dataclass
class Item:
    """One thing in a drawing.

    Attributes:
        key: its id, the same for the same graph.
        kind: which decides how it looks.
        title: the symbol or name in it.
        scope: the boxes around it, outermost first.
        name: what the user calls its result.
        notes: small print below, a line each.
        fields: for several results, the name of each, "" where it has none.
        tooltip: more, in lines.
        ordered: its arguments are not alike, and are drawn from left to right.
        is_shared: a parameter that stands in other places too.
        nodes: what it stands for: the same operation at every step of a loop, or all of a module.
        loop: number of steps that it stands for; 1 outside of loops.
        fill: a colour that means something, in place of the usual one.
        is_faint: drawn in grey: no gradient reaches it.
    """

    key: str
    kind: Kind
    title: str
    scope: Scope = ()
    name: str = ""
    notes: list[str] = field(default_factory=list)
    fields: tuple[str, ...] = ()
    tooltip: str = ""
    ordered: bool = False
    is_shared: bool = False
    nodes: tuple[Node, ...] = ()
    loop: int = 1
    fill: str | None = None
    is_faint: bool = False


@dataclass
class Edge:
    """An arrow from one item to another.

    Attributes:
        tail: key of the item that it leaves.
        head: key of the item that it reaches.
        slot: which of several results of the tail; None where it has one.
        kind: which decides how it looks.
        label: which steps it belongs to, where that is not plain.
    """

    tail: str
    head: str
    slot: int | None = None
    kind: EdgeKind = "flow"
    label: str = ""


@dataclass
class Diagram:
    """Items by key, in the order in which they are written, and edges."""

    items: dict[str, Item] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)

    def add(self, item: Item) -> str:
        """Put an item in and return its key."""
        self.items[item.key] = item
        return item.key
