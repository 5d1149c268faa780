"""The plan of a native loop: groups of operations in order, and where every value that outlives its group lies."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...core import Node
from ..passes.reassociate import is_sum_of_products
from ..passes.schedule import Schedule
from ..step import Edge, Step, spec_at
from .groups import REDUCES, Fused, Groups, Product
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


class Plan(Groups):
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
        super().__init__(step, Schedule(step, time, fused=True))
        self.reverse = reverse
        self.arrays: list[Array] = []
        self.layouts: dict[Edge, Layout] = {}
        self.before: list[Product] = []
        self.after: list[Product] = []
        self.sums: dict[Node, int] = {}
        self._packed: dict[Edge, int] = {}
        self._inputs()
        self._place()
        self._finish()

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

    # Places

    def _place(self) -> None:
        """Give a layout to every value that outlives its group."""
        step, schedule = self.step, self.schedule
        self.last: dict[int, tuple[int, bool]] = {}
        copies: list[tuple[Edge, Layout]] = []
        made = {(node, 0) for group in self.groups if isinstance(group, Fused) for node in group.nodes}
        made |= {(node, 0) for node in self.order}
        made |= {
            (n, 0) for n in schedule.loop if n.operation == "add" and is_sum_of_products(step, n) and n in self.by_row
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
        self._place_parts(made)
        self._hoisted = {node for node in self.order if self._can_hoist(node)}
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
                    if edge != base or inside.get(base[0]) is not group or base[0].operation in REDUCES:
                        needed.append(base)
        for node in self.order:
            left: Edge = (node.parents[0], node.slots[0])  # type: ignore[assignment]
            needed += [self.base(left).edge, (node, 0)]
        for deferred in self.schedule.deferred.values():
            needed += [self.base(edge).edge for edge in deferred.operands]
        for edge in needed:
            edge = self.base(edge).edge
            if edge not in self.layouts and edge[0] not in self.schedule.constant:
                root = self._product_root(edge)
                if root not in self.layouts:
                    hoisted = any(n in self._hoisted and self._product_root((n, 0)) == root for n in self.order)
                    self.layouts[root] = self._for_all_steps(root) if hoisted else self._scratch(root)
                self.layouts[edge] = self.layouts[root]

    def _for_all_steps(self, edge: Edge) -> Layout:
        spec, width = spec_at(edge), self.width(edge)
        number = self._array("stack", edge, spec.shape, spec.dtype)
        return Layout(number, spec.dtype, width, width, self.rows * width)

    def _can_hoist(self, node: Node) -> bool:
        """Whether a product is done before the loop: with few rows it is far faster for all steps at once.

        It needs a place for every step: one of its own, or a stack that is there anyway. That of a state, or of a part
        of another value, holds a step or two.
        """
        place = self.layouts.get(self._product_root((node, 0)))
        whole = place is None or (self.arrays[place.array].kind == "stack" and place.width == place.row_stride)
        return whole and self.rows < _FEW_ROWS and node.parents[0] in self.step.xs

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
        base, start, columns = self.base(edge)
        found = self.layouts[base]
        return found if edge == base else found.cut(start, columns)

    def _finish(self) -> None:
        """Fill in the products, now that their operands have places, and the sums over time."""
        # What is done before the loop begins a sum of products, wherever it stands among them.
        nodes = iter(self.order)
        products = [(group, next(nodes)) if isinstance(group, Product) else (group, None) for group in self.groups]
        begun = {self._product_root((node, 0)) for _, node in products if node in self._hoisted}
        hoisted: set[Edge] = set()
        groups: list[Product | Fused] = []
        for group, node in products:
            if isinstance(group, Fused) or node is None:
                groups.append(group)
                continue
            left: Edge = (node.parents[0], node.slots[0])  # type: ignore[assignment]
            if self.base(left).columns != group.depth:
                raise UnsupportedError("a product of a column that is broadcast")
            root, early = self._product_root((node, 0)), node in self._hoisted
            product = group._replace(
                left=self.layout(left),
                packed=self._packing(group.weight),
                out=self.layouts[root],
                adds=root in (hoisted if early else begun),
            )
            if early:
                self.before.append(product)
                hoisted.add(root)
                continue
            begun.add(root)
            if self._is_sunk(node):
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
            if not a.dtype == g.dtype == spec.dtype:
                raise UnsupportedError("a product of two dtypes")
            number = self._array("total", k, spec.shape, spec.dtype)
            self.products.append((k, a, g, number))
        self.workspaces = {
            dtype: self._array("workspace", dtype, (), dtype) for dtype in {a.dtype for _, a, _, _ in self.products}
        }

    def _stacked_layout(self, edge: Edge) -> Layout:
        base, start, columns = self.base(edge)
        layout = self.stacks.get(edge)
        if layout is None:
            layout = self.stacks.get(base) or self.layouts[base]
            layout = layout if edge == base else layout.cut(start, columns)
        if layout.width != self.width(edge):
            raise UnsupportedError("a deferred product of a column that is broadcast")
        if layout.time_stride != self.rows * layout.row_stride or layout.turns:
            raise UnsupportedError("a deferred product of values that do not lie row by row")
        return layout

    def __str__(self) -> str:
        lines = ["arrays:"]
        for number, array in enumerate(self.arrays):
            over = {"x": "time, ", "stack": "time, ", "state": "time + 1, "}.get(array.kind, "")
            if array.kind == "state" and not self.last[array.key][1]:
                over = "2, "
            shape = ", ".join(map(str, array.shape))
            lines.append(f"    {f'#{number} = {array.kind}':<18} {array.dtype}[{over}{shape}]{self._holds(array)}")
        for title, groups in (
            ("before the loop, for all steps", self.before),
            ("at every step", self.groups),
            ("after the loop, for all steps", self.after),
        ):
            if groups:
                lines += [f"{title}:", *[f"    {self._group_line(group)}" for group in groups]]
        if self.products:
            lines.append("after the loop, sums over time:")
            lines += [f"    #{n} = {_place(a)}.T @ {_place(g)}" for _, a, g, n in self.products]
        return "\n".join(lines)

    def _holds(self, array: Array) -> str:
        key = array.key
        if array.kind == "state":
            key = (self.step.carry[key], 0)
        elif isinstance(key, Node):
            key = (key, 0)
        return f"  {self.step.graph.reference(*key)}" if isinstance(key, tuple) else ""

    def _group_line(self, group: Product | Fused) -> str:
        if isinstance(group, Product):
            sign = "+=" if group.adds else "="
            return f"{_place(group.out)} {sign} {_place(group.left)} @ #{group.packed}"
        reference = self.step.graph.reference
        done = [f"{reference(node, 0)} = {node.operation}" for node in group.nodes]
        done += [f"copy {reference(*edge)} to {_place(layout)}" for edge, layout in group.copies]
        return f"one pass, {group.width} columns: {', '.join(done)}"


def _place(layout: Layout) -> str:
    columns = f", {layout.offset}:{layout.offset + layout.width}" if layout.offset else ""
    time = f"[t + {layout.shift}{columns}]" if layout.shift else f"[t{columns}]" if layout.time_stride else ""
    return f"#{layout.array}{time or (f'[{columns[2:]}]' if columns else '')}"


# With fewer rows than this a product waits for its weights, which all steps can share.
_FEW_ROWS = 8
