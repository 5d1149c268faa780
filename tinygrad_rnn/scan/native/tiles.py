"""Tiles of matrix products, and the packing of operands in the order in which tiles read them, as LLVM IR.

A tile is `target.rows` rows of a product and one panel of its columns, `target.columns` vectors wide. Its sums stay in
registers while k runs; the right operand lies in memory in panels, in the order in which that loop reads it.

Names in what is emitted: product (M, N) = left (M, K) @ right (K, N). Strides are in elements.
"""

from __future__ import annotations

from collections.abc import Callable

import llvmlite.ir as ir
import numpy as np
from numpy.typing import DTypeLike

from .emission import I64, counting, element_type, integer, intrinsic, load, prefetch, splat, store, suffix
from .target import Target

# With few rows the right operand streams from the outer caches, in bytes: how far ahead a line is asked for.
_AHEAD = 2048
_LINE = 64


def panel_width(dtype: DTypeLike, target: Target) -> int:
    """Return how many columns of the right operand a panel holds."""
    return target.columns * target.lanes(dtype)


def packed_size(K: int, N: int, dtype: DTypeLike, target: Target) -> int:
    """Return how many elements a packed right operand (K, N) takes; the last panel is padded with zeros."""
    width = panel_width(dtype, target)
    return -(-N // width) * width * K


def emit_pack(module: ir.Module, dtype: DTypeLike, target: Target) -> ir.Function:
    """Emit the function that lays out a right operand in panels.

    Its IR name is `pack_f32` or `pack_f64`, its arguments `(source, row_stride, column_stride, K, N, packed)`: all
    int64 but the pointers source and packed. Element `(k, p * width + j)` goes to `packed[p, k, j]`, where width
    is `panel_width(dtype, target)`. With row_stride 1 and column_stride K the transpose of a stored (N, K) is packed.

    Args:
        module: Where to add the function; the same call again returns the function that is there.
        dtype: float32 or float64.
        target: The machine.

    Returns:
        The function.
    """
    return Tiles(module, dtype, target).pack()


class Tiles:
    """The emitter of tiles and of what is packed for them, for one module, element type and target."""

    def __init__(self, module: ir.Module, dtype: DTypeLike, target: Target) -> None:
        self.module = module
        self.element = element_type(dtype)
        self.name = suffix(self.element)
        self.pointer = self.element.as_pointer()
        self.rows = target.rows
        self.columns = target.columns
        self.lanes = target.lanes(dtype)
        self.width = panel_width(dtype, target)
        self.vector = ir.VectorType(self.element, self.lanes)
        # With few rows a tile has too few sums to hide the latency of the additions: it takes several panels then.
        self.groups = {rows: 8 // (rows * self.columns) for rows in range(1, 4) if rows * self.columns <= 4}
        size = np.dtype(dtype).itemsize
        self.line = _LINE // size
        self.ahead = _AHEAD // size
        self.tile_type = ir.FunctionType(
            ir.VoidType(), [I64, self.pointer, I64, I64, self.pointer, I64, self.pointer, I64, I64, self.pointer, I64]
        )

    def function(self, name: str, kind: ir.FunctionType, emit: Callable[[ir.Function], None]) -> ir.Function:
        """Return the module's function of that name, emitted at the first request."""
        name = f"{name}_{self.name}"
        found = self.module.globals.get(name)
        if found is None:
            found = ir.Function(self.module, kind, name)
            found.attributes.add("noinline")
            found.attributes.add("nounwind")
            emit(found)
        return found

    def tile(self, rows: int, panels: int) -> ir.Function:
        """Emit a tile: rows of the left operand times panels of the right one, over K >= 1 steps.

        Arguments: K, left, row_stride, k_stride, packed, panel_stride, product, product_stride, accumulate, coming,
        coming_step. A tile of one panel asks at each step for a piece of the panel that comes next, from `coming` on,
        so that the outer caches deliver while all tiles of a panel are computed and not only during the first.
        """

        def emit(function: ir.Function) -> None:
            K, left, row_stride, k_stride, packed, panel_stride, product, product_stride = function.args[:8]
            accumulate, coming, coming_step = function.args[8:]
            function.linkage = "internal"
            for argument in (left, packed, product):
                argument.add_attribute("noalias")
            builder = ir.IRBuilder(function.append_basic_block("start"))
            # Three rows share one pointer, so that all pointers and strides fit the general registers.
            lefts = [builder.gep(left, [builder.mul(row_stride, integer(row))]) for row in range(0, rows, 3)]
            rights = [builder.gep(packed, [builder.mul(panel_stride, integer(panel))]) for panel in range(panels)]
            offsets = [integer(0), row_stride, builder.mul(row_stride, integer(2))]
            for row in range(rows):
                start = builder.gep(product, [builder.mul(product_stride, integer(row))])
                for column in range(0, panels * self.width, self.line):
                    prefetch(builder, builder.gep(start, [integer(column)]), writes=True)
            zeros = [splat(self.vector, 0.0)] * (rows * panels * self.columns)
            before = builder.block
            body = builder.append_basic_block("sum")
            adding = builder.append_basic_block("add")
            storing = builder.append_basic_block("store")
            builder.branch(body)
            builder.position_at_end(body)
            entered = [K, coming, *lefts, *rights, *zeros]
            carried = [builder.phi(value.type) for value in entered]
            count = carried[0]
            coming = carried[1]
            lefts = carried[2 : 2 + len(lefts)]
            rights = carried[2 + len(lefts) : 2 + len(lefts) + panels]
            sums = carried[2 + len(lefts) + panels :]
            vectors = [
                load(builder, self.vector, builder.gep(right, [integer(i * self.lanes)]))
                for right in rights
                for i in range(self.columns)
            ]
            if panels > 1:
                for right in rights:
                    for column in range(0, self.width, self.line):
                        prefetch(builder, builder.gep(right, [integer(self.ahead + column)]))
            else:
                for column in range(0, self.width, self.line):
                    prefetch(builder, builder.gep(coming, [integer(column)]), level=2)
            after: list[ir.Value] = []
            for row in range(rows):
                scalar = builder.load(builder.gep(lefts[row // 3], [offsets[row % 3]]))
                factor = self.broadcast(builder, scalar)
                for vector in vectors:
                    after.append(intrinsic(builder, "llvm.fmuladd", [factor, vector, sums[len(after)]]))
            remaining = builder.sub(count, integer(1))
            left_steps = [builder.gep(pointer, [k_stride]) for pointer in lefts]
            right_steps = [builder.gep(pointer, [integer(self.width)]) for pointer in rights]
            for phi, first, following in zip(
                carried,
                entered,
                [remaining, builder.gep(coming, [coming_step]), *left_steps, *right_steps, *after],
                strict=True,
            ):
                phi.add_incoming(first, before)
                phi.add_incoming(following, body)
            summed = builder.append_basic_block("summed")
            builder.cbranch(builder.icmp_signed(">", remaining, integer(0)), body, summed)
            builder.position_at_end(summed)
            builder.cbranch(builder.icmp_signed("!=", accumulate, integer(0)), adding, storing)
            for block in (adding, storing):
                builder.position_at_end(block)
                values = iter(after)
                for row in range(rows):
                    start = builder.gep(product, [builder.mul(product_stride, integer(row))])
                    for i in range(panels * self.columns):
                        at = builder.gep(start, [integer(i * self.lanes)])
                        value = next(values)
                        if block is adding:
                            value = builder.fadd(load(builder, self.vector, at), value)
                        store(builder, value, at)
                builder.ret_void()

        return self.function(f"tile_{rows}x{panels}", self.tile_type, emit)

    def broadcast(self, builder: ir.IRBuilder, scalar: ir.Value) -> ir.Value:
        """Fill a vector with a scalar."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(
            first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        )

    def table(self) -> ir.GlobalVariable:
        """Return the tiles of one panel by their number of rows, an array of pointers to functions."""
        name = f"tiles_{self.name}"
        found = self.module.globals.get(name)
        if found is None:
            tiles = [self.tile(max(rows, 1), 1) for rows in range(self.rows + 1)]
            kind = ir.ArrayType(self.tile_type.as_pointer(), len(tiles))
            found = ir.GlobalVariable(self.module, kind, name)
            found.global_constant = True
            found.linkage = "internal"
            found.initializer = ir.Constant(kind, tiles)
        return found

    def pack(self) -> ir.Function:
        """Emit the packing of all panels."""
        kind = ir.FunctionType(ir.VoidType(), [self.pointer, I64, I64, I64, I64, self.pointer])

        def emit(function: ir.Function) -> None:
            source, row_stride, column_stride, K, N, packed = function.args
            builder = ir.IRBuilder(function.append_basic_block("start"))
            with counting(builder, integer(0), N, integer(self.width)) as column:
                builder.call(
                    self.pack_panel(),
                    [
                        builder.gep(source, [builder.mul(column, column_stride)]),
                        row_stride,
                        column_stride,
                        K,
                        builder.sub(N, column),
                        builder.gep(packed, [builder.mul(column, K)]),
                    ],
                )
            builder.ret_void()

        return self.function("pack", kind, emit)

    def pack_panel(self) -> ir.Function:
        """Emit the packing of one panel: min(N, width) columns of the source, the others zero."""
        kind = ir.FunctionType(ir.VoidType(), [self.pointer, I64, I64, I64, I64, self.pointer])

        def emit(function: ir.Function) -> None:
            source, row_stride, column_stride, K, N, packed = function.args
            function.linkage = "internal"
            source.add_attribute("noalias")
            packed.add_attribute("noalias")
            builder = ir.IRBuilder(function.append_basic_block("start"))
            whole = builder.icmp_signed(">=", N, integer(self.width))
            columns = builder.select(whole, integer(self.width), N)
            rows_lie = builder.and_(whole, builder.icmp_signed("==", column_stride, integer(1)))
            columns_lie = builder.and_(whole, builder.icmp_signed("==", row_stride, integer(1)))
            with builder.if_then(rows_lie):
                with counting(builder, integer(0), K, integer(1)) as k:
                    row = builder.gep(source, [builder.mul(k, row_stride)])
                    to = builder.gep(packed, [builder.mul(k, integer(self.width))])
                    for i in range(self.columns):
                        vector = load(builder, self.vector, builder.gep(row, [integer(i * self.lanes)]))
                        store(builder, vector, builder.gep(to, [integer(i * self.lanes)]))
                builder.ret_void()
            blocks = builder.sub(K, builder.srem(K, integer(self.lanes)))
            turned = builder.select(columns_lie, blocks, integer(0))
            with (
                counting(builder, integer(0), turned, integer(self.lanes)) as k,
                counting(builder, integer(0), integer(self.width), integer(self.lanes)) as column,
            ):
                start = builder.gep(source, [builder.add(k, builder.mul(column, column_stride))])
                to = builder.gep(packed, [builder.add(column, builder.mul(k, integer(self.width)))])
                vectors = [
                    load(builder, self.vector, builder.gep(start, [builder.mul(column_stride, integer(i))]))
                    for i in range(self.lanes)
                ]
                for i, vector in enumerate(self.transposed(builder, vectors)):
                    store(builder, vector, builder.gep(to, [integer(i * self.width)]))
            with counting(builder, turned, K, integer(1)) as k:
                row = builder.gep(source, [builder.mul(k, row_stride)])
                to = builder.gep(packed, [builder.mul(k, integer(self.width))])
                with counting(builder, integer(0), columns, integer(1)) as column:
                    value = builder.load(builder.gep(row, [builder.mul(column, column_stride)]))
                    builder.store(value, builder.gep(to, [column]))
                with counting(builder, columns, integer(self.width), integer(1)) as column:
                    builder.store(ir.Constant(self.element, 0.0), builder.gep(to, [column]))
            builder.ret_void()

        return self.function("pack_panel", kind, emit)

    def transposed(self, builder: ir.IRBuilder, vectors: list[ir.Value]) -> list[ir.Value]:
        """Transpose a square of vectors: interleaving the first half with the second turns one bit of the index."""
        half = self.lanes // 2
        mask_type = ir.VectorType(ir.IntType(32), self.lanes)
        low, high = (
            ir.Constant(mask_type, [start + i // 2 + self.lanes * (i % 2) for i in range(self.lanes)])
            for start in (0, half)
        )
        for _ in range(self.lanes.bit_length() - 1):
            vectors = [
                builder.shuffle_vector(first, second, mask)
                for first, second in zip(vectors[:half], vectors[half:], strict=True)
                for mask in (low, high)
            ]
        return vectors

    def pack_left(self) -> ir.Function:
        """Emit the packing of one tile of the left operand.

        Arguments: rows, K, left, row_stride, k_stride, readable, packed. Element (row, k) goes to
        packed[k * self.rows + row]. Where readable is not 0, a whole tile's rows may be read.
        """
        kind = ir.FunctionType(ir.VoidType(), [I64, I64, self.pointer, I64, I64, I64, self.pointer])

        def emit(function: ir.Function) -> None:
            rows, K, left, row_stride, k_stride, readable, packed = function.args
            function.linkage = "internal"
            left.add_attribute("noalias")
            packed.add_attribute("noalias")
            builder = ir.IRBuilder(function.append_basic_block("start"))
            lies = builder.and_(
                builder.icmp_signed("!=", readable, integer(0)), builder.icmp_signed("==", row_stride, integer(1))
            )
            tile = ir.VectorType(self.element, self.rows)
            with builder.if_then(lies):
                with counting(builder, integer(0), K, integer(1)) as k:
                    vector = load(builder, tile, builder.gep(left, [builder.mul(k, k_stride)]))
                    store(builder, vector, builder.gep(packed, [builder.mul(k, integer(self.rows))]))
                builder.ret_void()
            with counting(builder, integer(0), rows, integer(1)) as row:
                start = builder.gep(left, [builder.mul(row, row_stride)])
                to = builder.gep(packed, [row])
                with counting(builder, integer(0), K, integer(1)) as k:
                    value = builder.load(builder.gep(start, [builder.mul(k, k_stride)]))
                    builder.store(value, builder.gep(to, [builder.mul(k, integer(self.rows))]))
            builder.ret_void()

        return self.function("pack_left", kind, emit)

    def copy_tile(self) -> ir.Function:
        """Emit the copy of the first columns of a tile: rows, columns, tile, product, product_stride, accumulate."""
        kind = ir.FunctionType(ir.VoidType(), [I64, I64, self.pointer, self.pointer, I64, I64])

        def emit(function: ir.Function) -> None:
            rows, columns, tile, product, product_stride, accumulate = function.args
            function.linkage = "internal"
            tile.add_attribute("noalias")
            product.add_attribute("noalias")
            builder = ir.IRBuilder(function.append_basic_block("start"))
            adds = builder.icmp_signed("!=", accumulate, integer(0))
            vectors = builder.sub(columns, builder.srem(columns, integer(self.lanes)))
            with counting(builder, integer(0), rows, integer(1)) as row:
                source = builder.gep(tile, [builder.mul(row, integer(self.width))])
                to = builder.gep(product, [builder.mul(row, product_stride)])
                for kind, start, stop, step in (
                    (self.vector, integer(0), vectors, integer(self.lanes)),
                    (self.element, vectors, columns, integer(1)),
                ):
                    with counting(builder, start, stop, step) as column:
                        at = builder.gep(to, [column])
                        value = load(builder, kind, builder.gep(source, [column]))
                        with builder.if_else(adds) as (adding, storing):
                            with adding:
                                store(builder, builder.fadd(load(builder, kind, at), value), at)
                            with storing:
                                store(builder, value, at)
            builder.ret_void()

        return self.function("copy_tile", kind, emit)
