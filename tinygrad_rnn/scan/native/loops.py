"""The machine code of a plan: one function for the loop over time, one for the sums that leave it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import llvmlite.ir as ir
import numpy as np

from ...core import Node
from ..step import Edge, spec_at
from . import arithmetic
from .emission import I64, counting, element_type, integer, intrinsic, load, splat, store
from .groups import REDUCES, Fused, Product
from .layout import Layout
from .library import library
from .plan import Plan
from .products import workspace_size
from .target import CONTRACT, Target
from .tiles import panel_width

_BYTE = ir.IntType(8)
_MATHS = {"arrays": ir.PointerType(ir.PointerType(_BYTE))}


def emit_loop(module: ir.Module, plan: Plan, target: Target) -> None:
    """Emit `loop(arrays, time, first_row, last_row, thread)`: all steps, for some rows of the batch.

    Args:
        module: where to add it.
        plan: what it does.
        target: the machine.
    """
    _Loop(module, plan, target).emit()


def emit_sums(module: ir.Module, plan: Plan, target: Target) -> None:
    """Emit `sums(arrays, time, part, parts)`: a part of every deferred product."""
    kind = ir.FunctionType(ir.VoidType(), [_MATHS["arrays"], I64, I64, I64])
    function = ir.Function(module, kind, "sums")
    builder = ir.IRBuilder(function.append_basic_block("start"))
    arrays, time, part, parts = function.args
    for k, a, g, number in plan.products:
        adds = int(plan.step.carry[k] not in plan.step.zeros)
        product = library(a.dtype.name, target).product_unpacked(builder)
        element = element_type(a.dtype)
        lefts, rights, out = [_array(builder, arrays, n, element) for n in (a.array, g.array, number)]
        left = builder.gep(lefts, [integer(a.shift * a.time_stride + a.offset)])
        right = builder.gep(rights, [integer(g.shift * g.time_stride + g.offset)])
        tile = panel_width(a.dtype, target)
        by_columns = g.width >= 4 * tile
        extent, unit = (g.width, tile) if by_columns else (a.width, target.rows)
        first, count = _share(builder, extent, unit, part, parts)
        if by_columns:
            right, out = builder.gep(right, [first]), builder.gep(out, [first])
            extents = [integer(a.width), count]
        else:
            left, out = builder.gep(left, [first]), builder.gep(out, [builder.mul(first, integer(g.width))])
            extents = [count, integer(g.width)]
        depth = builder.mul(time, integer(plan.rows))
        size = workspace_size(a.dtype, target)
        workspaces = _array(builder, arrays, plan.workspaces[a.dtype], element)
        workspace = builder.gep(workspaces, [builder.mul(part, integer(size))])
        builder.call(
            product,
            [
                *[*extents, depth],
                *[left, integer(1), integer(a.row_stride)],
                *[right, integer(g.row_stride), integer(1)],
                *[out, integer(g.width), integer(adds), workspace],
            ],
        )
    builder.ret_void()


def _share(builder: ir.IRBuilder, extent: int, unit: int, part: ir.Value, parts: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Return the first and the number of what one of several threads does, in whole units but for the end."""
    units = integer(-(-extent // unit))

    def bound(index: ir.Value) -> ir.Value:
        at = builder.mul(builder.sdiv(builder.mul(units, index), parts), integer(unit))
        return builder.select(builder.icmp_signed("<", at, integer(extent)), at, integer(extent))

    first = bound(part)
    return first, builder.sub(bound(builder.add(part, integer(1))), first)


def _array(builder: ir.IRBuilder, arrays: ir.Value, number: int, element: ir.Type) -> ir.Value:
    return builder.bitcast(builder.load(builder.gep(arrays, [integer(number)])), element.as_pointer())


class _Loop:
    """The emitter of one loop."""

    def __init__(self, module: ir.Module, plan: Plan, target: Target) -> None:
        self.module, self.plan, self.target = module, plan, target
        floats = [array.dtype for array in plan.arrays if array.dtype.kind == "f"]
        self.lanes = target.lanes(min(floats, key=lambda dtype: dtype.itemsize))

    def emit(self) -> None:
        kind = ir.FunctionType(ir.VoidType(), [_MATHS["arrays"], I64, I64, I64, I64])
        function = ir.Function(self.module, kind, "loop")
        function.attributes.add("nounwind")
        arrays, time, self.first, self.last, self.thread = function.args
        self.builder = builder = ir.IRBuilder(function.append_basic_block("start"))
        self.pointers = [
            _array(builder, arrays, i, _BYTE if array.dtype.kind == "b" else element_type(array.dtype))
            for i, array in enumerate(self.plan.arrays)
        ]
        self.count = builder.sub(self.last, self.first)
        self.time = integer(0)
        for product in self.plan.before:
            self.product(product, builder.mul(time, integer(self.plan.rows)))
        with counting(builder, integer(0), time, integer(1)) as step:
            reverse = self.plan.reverse
            self.time = builder.sub(builder.sub(time, integer(1)), step) if reverse else step
            for group in self.plan.groups:
                if isinstance(group, Product):
                    self.product(group, self.count)
                else:
                    self.fused(group)
        self.time = integer(0)
        for product in self.plan.after:
            self.product(product, builder.mul(time, integer(self.plan.rows)))
        builder.ret_void()

    def base(self, layout: Layout) -> ir.Value:
        """Return the pointer to the first row of a value at the time of the loop."""
        builder = self.builder
        pointer = self.pointers[layout.array]
        if layout.time_stride:
            at = builder.add(self.time, integer(layout.shift))
            if layout.turns:
                at = builder.and_(at, integer(1))
            pointer = builder.gep(pointer, [builder.mul(at, integer(layout.time_stride))])
        return builder.gep(pointer, [integer(layout.offset)]) if layout.offset else pointer

    def product(self, product: Product, count: ir.Value) -> None:
        """Call the kernel for a number of rows."""
        builder, left, out = self.builder, product.left, product.out
        function = library(out.dtype.name, self.target).product(builder)
        builder.call(
            function,
            [
                *[count, integer(out.width), integer(product.depth)],
                builder.gep(self.base(left), [builder.mul(self.first, integer(left.row_stride))]),
                *[integer(left.row_stride), integer(1)],
                self.pointers[product.packed],
                builder.gep(self.base(out), [builder.mul(self.first, integer(out.row_stride))]),
                *[integer(out.row_stride), integer(int(product.adds))],
            ],
        )

    def fused(self, group: Fused) -> None:
        """Emit one pass over the rows of this thread."""
        _Pass(self, group).emit()


class _Pass:
    """The emitter of one pass: rows outside, columns inside, as vectors and then one by one."""

    def __init__(self, loop: _Loop, group: Fused) -> None:
        self.loop, self.group = loop, group
        self.builder = loop.builder
        self.plan = loop.plan
        self.inside = {(node, 0) for node in group.nodes}
        self.reads: dict[Layout, ir.Value] = {}
        self.writes: list[tuple[Edge, Layout]] = []
        for node in group.nodes:
            edge = (node, 0)
            if edge in self.plan.layouts and node.operation not in REDUCES:
                self.writes.append((edge, self.plan.layouts[edge]))
        self.writes += group.copies

    def layout_of(self, edge: Edge, node: Node | None) -> Layout:
        ndim = len(node.specs[0].shape) if node is not None else 2
        if node is not None and (node.operation in REDUCES or node in self.plan.sums):
            ndim = len(spec_at(edge).shape)
        return self.plan.layout(edge, ndim)

    def emit(self) -> None:
        builder, group, loop = self.builder, self.group, self.loop
        layouts = {layout for _, layout in self.writes}
        for node in group.nodes:
            for parent, slot in zip(node.parents, node.slots, strict=True):
                if parent is not None and (parent, slot) not in self.inside:
                    layouts.add(self.layout_of((parent, slot), node))
        for edge, _ in group.copies:
            if edge not in self.inside:
                layouts.add(self.layout_of(edge, None))
        self.bases = {layout: loop.base(layout) for layout in sorted(layouts, key=str)}
        sums = [node for node in group.nodes if node in self.plan.sums]
        along = [node for node in group.nodes if node.operation in REDUCES and node not in self.plan.sums]
        self.totals = {
            node: builder.gep(
                loop.pointers[self.plan.sums[node]], [builder.mul(loop.thread, integer(node.specs[0].shape[0]))]
            )
            for node in sums
        }
        with counting(builder, loop.first, loop.last, integer(1)) as row:
            self.rows = {
                layout: builder.gep(base, [builder.mul(row, integer(layout.row_stride))]) if layout.row_stride else base
                for layout, base in self.bases.items()
            }
            self.single = {
                layout: self.read(self.rows[layout], layout, 1) for layout in self.rows if self.is_single(layout)
            }
            lanes, whole = loop.lanes, group.width - group.width % loop.lanes
            if group.width == 1 or not whole:
                lanes, whole = 1, group.width
            results = dict.fromkeys(along)
            self.columns(0, whole, lanes, along, results)
            if whole < group.width:
                self.columns(whole, group.width, 1, along, results)
            for node in along:
                value: Any = results[node]
                if node.operation == "mean":
                    value = builder.fdiv(value, ir.Constant(value.type, float(group.width)))
                layout = self.plan.layouts[node, 0]
                pointer = builder.gep(self.bases_of(layout), [builder.mul(row, integer(layout.row_stride))])
                builder.store(value, pointer)

    def bases_of(self, layout: Layout) -> ir.Value:
        return self.bases[layout] if layout in self.bases else self.loop.base(layout)

    def is_single(self, layout: Layout) -> bool:
        """Whether a value that is read is the same along the row, in a pass over more than one column."""
        return layout.width == 1 and self.group.width != 1 and all(layout != written for _, written in self.writes)

    def columns(self, start: int, stop: int, lanes: int, along: list[Node], results: dict[Node, Any]) -> None:
        """Emit the operations for some columns; `results` are the values of reductions along the row so far."""
        if start == stop:
            return
        builder = self.builder
        with self.counted(start, stop, lanes, along, results) as (j, phis):
            values: dict[Edge, ir.Value] = {}
            after = {}
            for node in self.group.nodes:
                args = self.arguments(node, values, j, lanes)
                if node in self.totals:
                    at = builder.gep(self.totals[node], [j])
                    total = load(builder, args[0].type, at)
                    store(builder, builder.fadd(total, args[0], flags=CONTRACT), at)
                elif node in phis:
                    after[node] = _combine(builder, node.operation, phis[node], args[0])
                else:
                    values[node, 0] = arithmetic.emit(builder, node, args, lanes)
            for edge, layout in self.writes:
                value = values[edge] if edge in values else self.value(edge, None, values, j, lanes)
                self.write(value, layout, j)
            self.after = after

    @contextmanager
    def counted(
        self, start: int, stop: int, lanes: int, along: list[Node], results: dict[Node, Any]
    ) -> Iterator[tuple[ir.Value, dict[Node, ir.Value]]]:
        """Loop over columns; reductions along the row are carried from one turn to the next."""
        builder = self.builder
        entry = builder.block
        head = builder.append_basic_block("columns")
        builder.branch(head)
        builder.position_at_end(head)
        j = builder.phi(I64)
        j.add_incoming(integer(start), entry)
        phis = {}
        for node in along:
            dtype = node.specs[0].dtype
            phi = builder.phi(arithmetic.vector_type(dtype, lanes))
            first = {"max": -np.inf, "min": np.inf}.get(node.operation, 0.0)
            phi.add_incoming(splat(phi.type, first), entry)
            phis[node] = phi
        yield j, phis
        following = builder.add(j, integer(lanes))
        j.add_incoming(following, builder.block)
        for node, phi in phis.items():
            phi.add_incoming(self.after[node], builder.block)
        done = builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed("<", following, integer(stop)), head, done)
        builder.position_at_end(done)
        for node in along:
            value = _along(builder, node.operation, self.after[node])
            before = results[node]
            results[node] = value if before is None else _combine(builder, node.operation, before, value)

    def arguments(self, node: Node, values: dict[Edge, ir.Value], j: ir.Value, lanes: int) -> list[ir.Value]:
        found = []
        for parent, slot, arg in zip(node.parents, node.slots, node.args or (), strict=True):
            if parent is None:
                dtype = node.specs[0].dtype
                if dtype.kind == "b":
                    others = [p.specs[s].dtype for p, s in zip(node.parents, node.slots, strict=True) if p is not None]
                    dtype = np.result_type(*others, np.float32) if any(o.kind == "f" for o in others) else others[0]
                found.append(arithmetic.constant(arg, dtype, lanes))
            else:
                found.append(self.value((parent, slot), node, values, j, lanes))
        return found

    def value(self, edge: Edge, node: Node | None, values: dict[Edge, ir.Value], j: ir.Value, lanes: int) -> ir.Value:
        """Return a value at some columns, read where it is not at hand."""
        if edge in values:
            return values[edge]
        layout = self.layout_of(edge, node)
        if layout in self.single:
            values[edge] = _spread(self.builder, self.single[layout], lanes)
        else:
            values[edge] = self.read(self.builder.gep(self.rows[layout], [j]), layout, lanes)
        return values[edge]

    def read(self, pointer: ir.Value, layout: Layout, lanes: int) -> ir.Value:
        builder = self.builder
        if layout.dtype.kind == "b":
            kind = ir.VectorType(_BYTE, lanes)
            given = builder.load(builder.bitcast(pointer, kind.as_pointer()), align=1)
            return builder.icmp_unsigned("!=", given, ir.Constant(kind, [ir.Constant(_BYTE, 0)] * lanes))
        return load(builder, arithmetic.vector_type(layout.dtype, lanes), pointer)

    def write(self, value: ir.Value, layout: Layout, j: ir.Value) -> None:
        builder = self.builder
        pointer = builder.gep(self.rows[layout], [j])
        value = arithmetic.converted(builder, value, layout.dtype)
        if layout.dtype.kind == "b":
            kind = ir.VectorType(_BYTE, value.type.count)
            builder.store(builder.zext(value, kind), builder.bitcast(pointer, kind.as_pointer()), align=1)
        else:
            store(builder, value, pointer)


def _spread(builder: ir.IRBuilder, one: ir.Value, lanes: int) -> ir.Value:
    """Return a vector filled with the element of a vector of one."""
    if lanes == 1:
        return one
    undefined = ir.Constant(one.type, ir.Undefined)
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))


def _combine(builder: ir.IRBuilder, operation: str, a: ir.Value, b: ir.Value) -> ir.Value:
    if operation == "max":
        return arithmetic.maximum(builder, a, b)
    if operation == "min":
        return arithmetic.minimum(builder, a, b)
    return builder.fadd(a, b)


def _along(builder: ir.IRBuilder, operation: str, vector: ir.Value) -> ir.Value:
    """Return the reduction of a vector's elements, by halves."""
    count = vector.type.count
    while count > 1:
        half = count // 2
        index = ir.VectorType(ir.IntType(32), half)
        low, high = [ir.Constant(index, list(range(start, start + half))) for start in (0, half)]
        vector = _combine(
            builder,
            operation,
            builder.shuffle_vector(vector, vector, low),
            builder.shuffle_vector(vector, vector, high),
        )
        count = half
    return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))


__all__ = ["emit_loop", "emit_sums", "intrinsic"]
