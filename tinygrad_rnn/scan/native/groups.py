"""Fuse: the operations of a step in groups, each a product or one pass over the rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from ...core import Node
from ..passes.reassociate import is_sum_of_products
from ..passes.schedule import Schedule
from ..step import Edge, Step, spec_at
from .layout import Layout, UnsupportedError
from .rows import Rows

# Reductions along a row: their result is there when the pass over the row is done.
REDUCES = frozenset({"sum", "mean", "max", "min"})


class Product(NamedTuple):
    """A product of rows with a packed weight.

    Args:
        left: its rows.
        weight: the matrix.
        packed: number of the array that holds the weight.
        depth: rows of the weight.
        out: where the result goes.
        adds: to what is there already.
    """

    left: Layout
    weight: Edge
    packed: int
    depth: int
    out: Layout
    adds: bool


@dataclass
class Fused:
    """Operations done in one pass over rows of one width.

    Args:
        width: elements of a row.
        nodes: the operations in order.
        copies: values to store again elsewhere: (edge, layout).
    """

    width: int
    nodes: list[Node] = field(default_factory=list)
    copies: list[tuple[Edge, Layout]] = field(default_factory=list)


class Groups(Rows):
    """The operations of a loop in as few passes over the rows as can be.

    Attributes:
        groups: `Product`s and `Fused` ones, in order; those of products have no places yet.
        order: the nodes of the products, in the same order.
    """

    def __init__(self, step: Step, schedule: Schedule) -> None:
        super().__init__(step, schedule)
        self.groups: list[Product | Fused] = []
        self.order: list[Node] = []
        self._group()

    def _group(self) -> None:
        """Put the operations of the loop into groups: as many as can be in each pass over the rows."""
        loop = [node for node in self.schedule.loop if node not in self.adders]
        operations = [node for node in loop if node not in {edge[0] for edge in self.bases}]
        finished: set[Node] = {*self.step.carry, *self.step.xs, *self.schedule.constant}
        pending = [node for node in operations if not (node.operation == "add" and is_sum_of_products(self.step, node))]
        sums = {node for node in operations if node not in pending}
        while pending:
            # A sum of products is there as soon as its products are.
            while done := {n for n in sums if n not in finished and all(p in finished for p in n.parents)}:
                finished |= done
            start = next(node for node in pending if self._ready(node, finished, None))
            soft = [n for n in pending if n.operation != "matmul" and self._ready(n, finished, None)]
            start = soft[0] if soft else start
            if start.operation == "matmul":
                self.groups.append(self._product(start))
                chosen = [start]
            else:
                chosen = self._fused(start, pending, finished)
            finished |= set(chosen)
            pending = [node for node in pending if node not in chosen]

    def _operands(self, node: Node) -> Iterable[tuple[Edge, Edge]]:
        """Yield for each argument that is no number the value and what it is a view of."""
        for parent, slot in zip(node.parents, node.slots, strict=True):
            if parent is not None:
                yield (parent, slot), self.base((parent, slot)).edge

    def _ready(self, node: Node, finished: set[Node], inside: set[Node] | None) -> bool:
        for edge, base in self._operands(node):
            if base[0] in finished:
                continue
            # Inside a group a value is in a register, which no other column can look at.
            if inside is None or base[0] not in inside or edge != base or base[0].operation in REDUCES:
                return False
        return True

    def _pass_width(self, node: Node) -> int:
        if node.operation in REDUCES or node in self.summed.values():
            return self.width((node.parents[0], node.slots[0]))  # type: ignore[arg-type]
        return self.width((node, 0))

    def _fused(self, start: Node, pending: list[Node], finished: set[Node]) -> list[Node]:
        group = Fused(self._pass_width(start))
        chosen: set[Node] = set()
        while True:
            added = [
                node
                for node in pending
                if node not in chosen
                and node.operation not in ("matmul", "concatenate")
                and self._pass_width(node) == group.width
                and self._ready(node, finished, chosen)
            ]
            if not added:
                break
            chosen |= set(added[:1])
            group.nodes.append(added[0])
        if not chosen:  # a concatenation: its parts are put into place where they cannot be computed there
            chosen.add(start)
            group.nodes.append(start)
        self.groups.append(group)
        return list(chosen)

    def _product(self, node: Node) -> Product:
        weight: Edge = (node.parents[1], node.slots[1])  # type: ignore[assignment]
        depth = spec_at(weight).shape[0]
        blank = Layout(-1, node.specs[0].dtype, self.width((node, 0)), 0)
        left: Edge = (node.parents[0], node.slots[0])  # type: ignore[assignment]
        if spec_at(left).dtype != node.specs[0].dtype or spec_at(weight).dtype != node.specs[0].dtype:
            raise UnsupportedError("a product of two dtypes")
        self.order.append(node)
        return Product(blank, weight, -1, depth, blank, adds=False)
