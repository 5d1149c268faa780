"""The plan of a native loop: groups of operations in order, and where every value that outlives its group lies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ...core import Node
from ..families import is_elementwise, is_product_with_matrix, is_view
from ..passes.reassociate import is_sum_of_products
from ..passes.schedule import Schedule
from ..step import Edge, Step, spec_at
from .layout import Layout, UnsupportedError


class Array(NamedTuple):
    """An array that the code works on.

    Args:
        kind: "x", "constant" (an input, or computed once), "packed" (a weight in panels), "state" (all steps of a leaf
            of the state, or two that take turns), "stack", "scratch" (rows of one step), "sum" (a row for each thread)
            or "total" (a deferred product), "workspace" (of a thread).
        key: what it holds: a node, an edge, or the number of a leaf of the state.
        shape: of the part that does not depend on the number of steps.
        dtype: of its elements.
    """

    kind: str
    key: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Product(NamedTuple):
    """A product of rows with a packed weight.

    Args:
        left: its rows.
        packed: number of the array that holds the weight.
        depth: rows of the weight.
        out: where the result goes.
        adds: to what is there already.
    """

    left: Layout
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


class Base(NamedTuple):
    """What a view shows: some columns of a value."""

    edge: Edge
    start: int


class Plan:
    """How a step is run over time by machine code.

    Args:
        step: the step, prepared by the passes.
        time: about how many steps there are.
        reverse: the loop runs from the last step to the first.

    Attributes:
        arrays: all that the code works on.
        groups: `Product`s and `Fused` ones, in order.
        before: products of inputs, done for all steps at once before the loop.
        after: products that are results, done for all steps at once after it.
        summed: for each leaf of the state that adds up rows over time, the node of its addend.
        sums: for each node that is summed over rows and time, the number of its array.
        products: deferred products: (place in the state, left layout, right layout, depth, width, array).
        layouts: of values that lie in memory.

    Raises:
        UnsupportedError: if an operation has no native form.
    """

    def __init__(self, step: Step, time: int, reverse: bool) -> None:
        self.step, self.reverse = step, reverse
        self.schedule = Schedule(step, time, fused=True)
        self.rows = self._batch()
        self.arrays: list[Array] = []
        self.layouts: dict[Edge, Layout] = {}
        self.groups: list[Product | Fused] = []
        self.before: list[Product] = []
        self.after: list[Product] = []
        self.sums: dict[Node, int] = {}
        self._packed: dict[Edge, int] = {}
        self._order: list[Node] = []
        self._by_row = self._rowwise()
        self._bases = self._find_bases()
        self._merged: dict[Edge, Edge] = {}
        self._inputs()
        self._group()
        self._place()
        self._finish()

    # What is known of values

    def _batch(self) -> int:
        shapes = {
            node.specs[0].shape[:1]
            for k, node in enumerate(self.step.carry)
            if k not in self.schedule.deferred and self.step.addend(k) is None
        }
        shapes |= {node.specs[0].shape[:1] for node in self.step.xs}
        if len(shapes) != 1 or shapes == {()}:
            raise UnsupportedError(f"states and inputs that do not share their first axis: {sorted(shapes)}")
        return int(next(iter(shapes))[0])

    def _rowwise(self) -> set[Node]:
        """Find the nodes whose values have a row for each row of the batch; refuse what mixes rows."""
        accumulators = {node for k, node in enumerate(self.step.carry) if self.step.addend(k) is not None}
        found = ({*self.step.carry} - accumulators) | set(self.step.xs)
        for node in (*found, *accumulators):
            if node.specs[0].dtype.name not in ("float32", "float64", "bool"):
                raise UnsupportedError(f"values of dtype {node.specs[0].dtype}")
        self._adders = {edge[0] for k, edge in enumerate(self.step.next_carry) if self.step.addend(k) is not None}
        self.summed: dict[int, Node] = {}
        for k in range(len(self.step.carry)):
            addend = self.step.addend(k)
            if addend is not None and k not in self.schedule.deferred:
                self.summed[k] = addend
        for node in self.schedule.loop:
            if node in self._adders or node in self.summed.values():
                continue
            self._check(node, found)
            found.add(node)
        for addend in self.summed.values():
            if not self._sums_rows(addend) or addend.parents[0] not in found:
                raise UnsupportedError(f"a sum over time of {addend.operation}")
        return found

    def _sums_rows(self, node: Node) -> bool:
        """Whether a node adds up the rows of a value; of a single row that is the row in another shape."""
        given = node.parents[0].specs[node.slots[0]].shape if node.parents[0] is not None else ()
        if len(given) != 2 or given[0] != self.rows or node.specs[0].shape != given[1:]:
            return False
        if node.operation == "reshape":
            return self.rows == 1
        return node.operation == "sum" and node.params["axis"] == (0,)

    def _check(self, node: Node, rowwise: set[Node]) -> None:
        spec = node.specs[0]
        for part in node.specs:
            if len(part.shape) not in (1, 2) or part.shape[0] != self.rows:
                raise UnsupportedError(f"{node.operation} of shape {part.shape}")
            if part.dtype.name not in ("float32", "float64", "bool"):
                raise UnsupportedError(f"{node.operation} of dtype {part.dtype}")
        row_parents = [(p, s) for p, s in zip(node.parents, node.slots, strict=True) if p is not None and p in rowwise]
        if not row_parents:
            raise UnsupportedError(f"{node.operation} of what is no row of the batch")
        name = node.operation
        if is_elementwise(node):
            if any(len(p.specs[s].shape) != len(spec.shape) for p, s in row_parents):
                raise UnsupportedError(f"{name} that sets rows against columns")
        elif name == "matmul":
            if not is_product_with_matrix(node) or node.parents[1] not in self.schedule.constant:
                raise UnsupportedError("a product with something else than a constant matrix")
        elif name in ("sum", "mean", "max", "min"):
            if node.params["axis"] != (1,):
                raise UnsupportedError(f"{name} over axes {node.params['axis']}")
        elif name == "concatenate":
            if node.params["axis"] != 1 or any(len(p.specs[s].shape) != 2 for p, s in _edges(node)):
                raise UnsupportedError("concatenate along the batch")
        elif is_view(node):
            self._view_start(node, 0)
        else:
            raise UnsupportedError(name)

    def _view_start(self, node: Node, slot: int) -> int:
        """Return the column of its argument that a view begins at."""
        given = node.parents[0].specs[node.slots[0]].shape  # type: ignore[union-attr]
        shape = node.specs[slot].shape
        if node.operation == "split" and node.params["axis"] == 1 and len(given) == 2:
            return (0, *node.params["bounds"])[slot]  # type: ignore[no-any-return]
        if node.operation in ("reshape", "broadcast_to") and given[0] == shape[0] == self.rows:
            columns = [given[1] if len(given) == 2 else 1, shape[1] if len(shape) == 2 else 1]
            if columns[0] == columns[1] or (columns[0] == 1 and node.operation == "broadcast_to"):
                return 0
        if node.operation == "getitem":
            index = node.params["index"]
            index = index if isinstance(index, tuple) else (index,)
            if index[:1] == (Ellipsis,) and len(given) == 2:
                index = (slice(None), *index[1:])
            if index == (slice(None), None) and len(given) == 1:
                return 0
            if len(index) == 2 and index[0] == slice(None) and len(given) == 2:
                if isinstance(index[1], slice) and index[1].step in (None, 1):
                    return index[1].indices(given[1])[0]
                if isinstance(index[1], int):
                    return range(given[1])[index[1]]
        raise UnsupportedError(f"{node.operation} from shape {given} to {shape}")

    def width(self, edge: Edge) -> int:
        """Return the number of columns of a value."""
        shape = spec_at(edge).shape
        if edge[0] in self._by_row:
            return shape[1] if len(shape) == 2 else 1
        return shape[-1] if shape else 1

    def _find_bases(self) -> dict[Edge, Base]:
        found: dict[Edge, Base] = {}
        for node in self.schedule.loop:
            if is_view(node) and node in self._by_row:
                parent: Edge = (node.parents[0], node.slots[0])  # type: ignore[assignment]
                base = found.get(parent, Base(parent, 0))
                for slot in range(len(node.specs)):
                    found[node, slot] = Base(base.edge, base.start + self._view_start(node, slot))
        return found

    def base(self, edge: Edge) -> Base:
        """Return what a value is a view of; itself where it is none."""
        return self._bases.get(edge, Base(edge, 0))

    # Arrays and layouts

    def _array(self, kind: str, key: Any, shape: tuple[int, ...], dtype: Any) -> int:
        self.arrays.append(Array(kind, key, shape, np.dtype(dtype)))
        return len(self.arrays) - 1

    def _inputs(self) -> None:
        for node in self.step.xs:
            spec = node.specs[0]
            width = self.width((node, 0))
            number = self._array("x", node, spec.shape, spec.dtype)
            self.layouts[node, 0] = Layout(number, spec.dtype, width, width, self.rows * width)

    def constant(self, edge: Edge, ndim: int) -> Layout:
        """Return the layout of a constant beside values of one step with `ndim` axes."""
        spec = spec_at(edge)
        if edge not in self.layouts:
            number = self._array("constant", edge, spec.shape, spec.dtype)
            self.layouts[edge] = Layout(number, spec.dtype, 1, 0)
        number, shape = self.layouts[edge].array, spec.shape
        if spec.dtype.name not in ("float32", "float64", "bool") or len(shape) > 2:
            raise UnsupportedError(f"a constant of dtype {spec.dtype} and shape {shape}")
        if ndim == 1:  # a value for each row
            return Layout(number, spec.dtype, 1, 1 if shape and shape[0] != 1 else 0)
        width = shape[-1] if shape else 1
        own_rows = len(shape) == 2 and shape[0] != 1
        return Layout(number, spec.dtype, width, width if own_rows else 0)

    def _packing(self, edge: Edge) -> int:
        if edge not in self._packed:
            spec = spec_at(edge)
            self._packed[edge] = self._array("packed", edge, spec.shape, spec.dtype)
        return self._packed[edge]

    # Groups

    def _group(self) -> None:
        """Put the operations of the loop into groups: as many as can be in each pass over the rows."""
        loop = [node for node in self.schedule.loop if node not in self._adders]
        operations = [node for node in loop if node not in self._bases_nodes()]
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

    def _bases_nodes(self) -> set[Node]:
        return {edge[0] for edge in self._bases}

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
            if inside is None or base[0] not in inside or edge != base or base[0].operation in _REDUCES:
                return False
        return True

    def _pass_width(self, node: Node) -> int:
        if node.operation in _REDUCES or node in self.summed.values():
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
        self._order.append(node)
        return Product(blank, self._packing(weight), depth, blank, adds=False)

    # Places

    def _place(self) -> None:
        """Give a layout to every value that outlives its group."""
        step, schedule = self.step, self.schedule
        self.last: dict[int, tuple[int, bool]] = {}
        copies: list[tuple[Edge, Layout]] = []
        made = {(node, 0) for group in self.groups if isinstance(group, Fused) for node in group.nodes}
        made |= {(node, 0) for node in self._order}
        made |= {
            (n, 0) for n in schedule.loop if n.operation == "add" and is_sum_of_products(step, n) and n in self._by_row
        }
        made -= {(node, 0) for node in self.summed.values()}
        now, then = (1, 0) if self.reverse else (0, 1)
        for k, (node, edge) in enumerate(zip(step.carry, step.next_carry, strict=True)):
            if k in schedule.deferred or k in self.summed:
                continue
            spec, width = node.specs[0], self.width((node, 0))
            kept = (node, 0) in schedule.stacked or (
                edge in schedule.stacked and edge in made and edge not in self.layouts
            )
            number = self._array("state", k, spec.shape, spec.dtype)
            self.last[k] = (number, kept)
            self.layouts[node, 0] = Layout(number, spec.dtype, width, width, self.rows * width, 0, now, not kept)
            target = Layout(number, spec.dtype, width, width, self.rows * width, 0, then, not kept)
            if edge in made and edge not in self.layouts:
                self.layouts[edge] = target
            else:
                copies.append((edge, target))
        self.stacks: dict[Edge, Layout] = {
            (node, 0): self.layouts[node, 0] for node in step.carry if (node, 0) in schedule.stacked
        }
        for edge in schedule.stacked:
            if edge in self.stacks:
                continue
            if edge in self.layouts and not self.layouts[edge].turns:
                self.stacks[edge] = self.layouts[edge]
                continue
            spec, width = spec_at(edge), self.width(edge)
            layout = Layout(
                self._array("stack", edge, spec.shape, spec.dtype), spec.dtype, width, width, self.rows * width
            )
            self.stacks[edge] = layout
            if edge in made and edge not in self.layouts:
                self.layouts[edge] = layout
            else:
                copies.append((edge, layout))
        # A product whose place is among the states, or is shared, cannot be done ahead of the loop.
        self._in_place = {
            node
            for node in self._order
            if (root := self._product_root((node, 0))) in self.layouts and root != (node, 0)
        }
        self._place_parts(made)
        self._place_scratch(copies)
        self._copy(copies)

    def _scratch(self, edge: Edge) -> Layout:
        spec, width = spec_at(edge), self.width(edge)
        return Layout(self._array("scratch", edge, spec.shape, spec.dtype), spec.dtype, width, width)

    def _place_parts(self, made: set[Edge]) -> None:
        """Let the parts of a concatenation be computed in their place of the whole."""
        for node in self.schedule.loop:
            if node.operation != "concatenate":
                continue
            if (node, 0) not in self.layouts:
                self.layouts[node, 0] = self._scratch((node, 0))
            whole, start, apart = self.layouts[node, 0], 0, []
            for parent, slot in zip(node.parents, node.slots, strict=True):
                edge: Edge = (parent, slot)  # type: ignore[assignment]
                part = whole.cut(start, self.width(edge))
                if (
                    edge in made
                    and edge not in self.layouts
                    and spec_at(edge).dtype == whole.dtype
                    and edge[0].operation != "concatenate"
                ):
                    self.layouts[edge] = part
                else:
                    apart.append(Fused(part.width, copies=[(edge, part)]))
                start += part.width
            at = next(i for i, group in enumerate(self.groups) if isinstance(group, Fused) and group.nodes == [node])
            self.groups[at : at + 1] = apart

    def _place_scratch(self, copies: list[tuple[Edge, Layout]]) -> None:
        inside: dict[Node, Any] = {}
        for group in self.groups:
            if isinstance(group, Fused):
                inside |= dict.fromkeys(group.nodes, group)
        needed: list[Edge] = [edge for edge, _ in copies]
        for group in self.groups:
            if not isinstance(group, Fused):
                continue
            needed += [edge for edge, _ in group.copies]
            for node in group.nodes:
                for edge, base in self._operands(node):
                    if edge != base or inside.get(base[0]) is not group or base[0].operation in _REDUCES:
                        needed.append(base)
        for node in self._order:
            left: Edge = (node.parents[0], node.slots[0])  # type: ignore[assignment]
            needed += [self.base(left).edge, (node, 0)]
        for deferred in self.schedule.deferred.values():
            needed += [self.base(edge).edge for edge in deferred.operands]
        for edge in needed:
            edge = self.base(edge).edge
            if edge not in self.layouts and edge[0] not in self.schedule.constant:
                root = self._product_root(edge)
                if root not in self.layouts:
                    hoisted = any(self._is_hoisted(n) and self._product_root((n, 0)) == root for n in self._order)
                    self.layouts[root] = self._for_all_steps(root) if hoisted else self._scratch(root)
                self.layouts[edge] = self.layouts[root]

    def _for_all_steps(self, edge: Edge) -> Layout:
        spec, width = spec_at(edge), self.width(edge)
        number = self._array("stack", edge, spec.shape, spec.dtype)
        return Layout(number, spec.dtype, width, width, self.rows * width)

    def _is_hoisted(self, node: Node) -> bool:
        """Whether a product is done before the loop: with few rows it is far faster for all steps at once."""
        return self.rows < _FEW_ROWS and node.parents[0] in self.step.xs and node not in self._in_place

    def _is_sunk(self, node: Node) -> bool:
        """Whether a product is done after the loop: it is a result, and nothing in the loop reads it."""
        edge = (node, 0)
        left = self.base((node.parents[0], node.slots[0]))  # type: ignore[arg-type]
        return (
            self.rows < _FEW_ROWS
            and not self.step.graph.consumers[node]
            and edge not in self.step.next_carry
            and edge in self.stacks
            and (left.edge in self.stacks or left.edge[0] in self.step.xs)
            and left.edge == (node.parents[0], node.slots[0])
        )

    def _product_root(self, edge: Edge) -> Edge:
        """Return the sum whose buffer a product adds to, or the product itself."""
        node = edge[0]
        while True:
            readers = [reader for reader, _ in self.step.graph.consumers[node]]
            if len(readers) == 1 and readers[0].operation == "add" and is_sum_of_products(self.step, readers[0]):
                node = readers[0]
            else:
                return (node, 0) if node is not edge[0] else edge

    def _copy(self, copies: list[tuple[Edge, Layout]]) -> None:
        """Store values again where they are needed twice, after all groups."""
        for edge, layout in copies:
            last = self.groups[-1] if self.groups else None
            if not isinstance(last, Fused) or last.width != layout.width or last.nodes:
                last = Fused(layout.width)
                self.groups.append(last)
            last.copies.append((edge, layout))

    def layout(self, edge: Edge, ndim: int = 2) -> Layout:
        """Return where a value lies."""
        if edge[0] in self.schedule.constant:
            return self.constant(edge, ndim)
        base, start = self.base(edge)
        found = self.layouts[base]
        return found if edge == base else found.cut(start, 1 if found.width == 1 else self.width(edge))

    def _finish(self) -> None:
        """Fill in the products, now that their operands have places, and the sums over time."""
        order = iter(self._order)
        begun: set[Edge] = set()
        groups: list[Product | Fused] = []
        for group in self.groups:
            if isinstance(group, Fused):
                groups.append(group)
                continue
            node = next(order)
            left: Edge = (node.parents[0], node.slots[0])  # type: ignore[assignment]
            root = self._product_root((node, 0))
            product = group._replace(left=self.layout(left), out=self.layouts[root], adds=root in begun)
            begun.add(root)
            if self._is_hoisted(node):
                self.before.append(product)
            elif self._is_sunk(node):
                self.after.append(product)
            else:
                groups.append(product)
        self.groups = groups
        for group in self.groups:
            if isinstance(group, Fused):
                edges = [edge for node in group.nodes for edge, _ in self._operands(node)]
                for edge in (*edges, *[edge for edge, _ in group.copies]):
                    if edge[0] in self.schedule.constant:
                        self.constant(edge, 2)
        for node in self.summed.values():
            if node not in self.sums:
                spec = node.specs[0]
                self.sums[node] = self._array("sum", node, spec.shape, spec.dtype)
        self.products = []
        for k, deferred in self.schedule.deferred.items():
            a, g = [self._stacked_layout(edge) for edge in deferred.operands]
            spec = self.step.carry[k].specs[0]
            number = self._array("total", k, spec.shape, spec.dtype)
            self.products.append((k, a, g, number))
        self.workspaces = {
            dtype: self._array("workspace", dtype, (), dtype) for dtype in {a.dtype for _, a, _, _ in self.products}
        }

    def _stacked_layout(self, edge: Edge) -> Layout:
        base, start = self.base(edge)
        layout = self.stacks.get(edge) or self.stacks.get(base)
        if layout is None:
            layout = self.layouts[base]
        elif edge not in self.stacks:
            layout = layout.cut(start, self.width(edge))
        if base[0] in self.step.xs and edge != base:
            layout = layout.cut(start, self.width(edge))
        if layout.time_stride != self.rows * layout.row_stride or layout.turns:
            raise UnsupportedError("a deferred product of values that do not lie row by row")
        return layout


def _edges(node: Node) -> list[Edge]:
    return [(parent, slot) for parent, slot in zip(node.parents, node.slots, strict=True) if parent is not None]


# With fewer rows than this a product waits for its weights, which all steps can share.
_FEW_ROWS = 8
_REDUCES = frozenset({"sum", "mean", "max", "min"})
