"""Matrix products, emitted as LLVM IR: the loops over blocks, panels and tiles.

The operands are cut into blocks that stay in the caches, and those into tiles whose sums stay in registers. This is
the scheme of Goto and van de Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34 (2008).

Every element of a result is summed over k in the same order, whatever the number of rows and their place in a tile: so
slices of the rows, computed by several threads, give the same bits as the whole.

Names in what is emitted: product (M, N) = left (M, K) @ right (K, N). Strides are in elements.
"""

from __future__ import annotations

import llvmlite.ir as ir
import numpy as np
from numpy.typing import DTypeLike

from .emission import I64, counting, integer
from .target import Target
from .tiles import Tiles

# A block of a panel of this many steps of k stays in the first-level cache while the tiles of a block of rows pass by.
_DEPTH = 256
# The copy of a block of rows of the left operand, in bytes: it stays in the second-level cache, and fits a small stack.
_BLOCK = 112 * 1024
# So many such blocks share a panel that is packed as it is needed; the workspace of the caller holds their copies.
_LARGER = 5
# A wide product reads each row of the left operand so often that copying it into tiles pays.
_WIDE = 1024


def emit_product(module: ir.Module, dtype: DTypeLike, target: Target) -> ir.Function:
    """Emit the function that multiplies by a packed right operand.

    Its IR name is `product_f32` or `product_f64`, its arguments
    `(M, N, K, left, row_stride, k_stride, packed, product, product_stride, accumulate)`: all int64 but the pointers
    left, packed and product. It adds to the product where accumulate is not 0, and overwrites it else. `row_stride` and
    `k_stride` are the left operand's: (K, 1) for a contiguous (M, K), (1, M) for the transpose of a stored (K, M).
    Sizes of 0 are allowed. Nothing is read or written outside the operands.

    Args:
        module: Where to add the function; the same call again returns the function that is there.
        dtype: float32 or float64.
        target: The machine.

    Returns:
        The function.
    """
    return _product(module, dtype, target, packed=True)


def emit_product_unpacked(module: ir.Module, dtype: DTypeLike, target: Target) -> ir.Function:
    """Emit the function that multiplies by a right operand as it lies in memory.

    It packs what it needs once for every large block of rows: right for operands that are used once and have many rows
    of the left operand to serve, such as the gradient of a weight. Its IR name is `product_unpacked_f32` or `_f64`, its
    arguments `(M, N, K, left, row_stride, k_stride, right, right_row_stride, right_column_stride, product,
    product_stride, accumulate, workspace)`, where workspace points to `workspace_size(dtype, target)` elements that
    are no other thread's; the rest is as in `emit_product`, and so are the bits of the result.

    Args:
        module: Where to add the function; the same call again returns the function that is there.
        dtype: float32 or float64.
        target: The machine.

    Returns:
        The function.
    """
    return _product(module, dtype, target, packed=False)


def workspace_size(dtype: DTypeLike, target: Target) -> int:
    """Return how many elements `product_unpacked` works on beside its operands."""
    return _tiles_at_once(dtype, target) * _LARGER * target.rows * _DEPTH


def _tiles_at_once(dtype: DTypeLike, target: Target) -> int:
    return max(1, _BLOCK // (_DEPTH * target.rows * np.dtype(dtype).itemsize))


def _product(module: ir.Module, dtype: DTypeLike, target: Target, packed: bool) -> ir.Function:
    """Emit the loops over blocks of k, blocks of rows, panels and tiles."""
    tiles = Tiles(module, dtype, target)
    right_type = [tiles.pointer] if packed else [tiles.pointer, I64, I64]
    kind = ir.FunctionType(
        ir.VoidType(), [I64, I64, I64, tiles.pointer, I64, I64, *right_type, tiles.pointer, I64, I64]
    )
    if not packed:
        kind = ir.FunctionType(ir.VoidType(), [*kind.args, tiles.pointer])

    def emit(function: ir.Function) -> None:
        M, N, K, left, row_stride, k_stride, right = function.args[:7]
        product, product_stride, accumulate = function.args[len(kind.args) - 3 - (not packed) :][:3]
        builder = ir.IRBuilder(function.append_basic_block("start"))
        edge = _reserve(builder, tiles.element, tiles.rows * tiles.width)
        at_once = _tiles_at_once(dtype, target) * (1 if packed else _LARGER)
        left_block = _reserve(builder, tiles.element, at_once * tiles.rows * _DEPTH) if packed else function.args[-1]
        right_block = None if packed else _reserve(builder, tiles.element, _DEPTH * tiles.width)
        no_sum = builder.icmp_signed("<", K, integer(1))
        with builder.if_then(builder.or_(no_sum, builder.icmp_signed("<", M, integer(1)))):
            overwrites = builder.icmp_signed("==", accumulate, integer(0))
            with builder.if_then(overwrites), counting(builder, integer(0), M, integer(1)) as row:
                start = builder.gep(product, [builder.mul(row, product_stride)])
                with counting(builder, integer(0), N, integer(1)) as column:
                    builder.store(ir.Constant(tiles.element, 0.0), builder.gep(start, [column]))
            builder.ret_void()
        blocks = builder.sdiv(builder.add(K, integer(_DEPTH - 1)), integer(_DEPTH))
        count = builder.sdiv(builder.add(M, integer(tiles.rows - 1)), integer(tiles.rows))
        fewest = builder.sdiv(M, count)
        fuller = builder.srem(M, count)
        copies = builder.or_(
            builder.icmp_signed("!=", k_stride, integer(1)), builder.icmp_signed(">=", N, integer(_WIDE))
        )
        table = tiles.table()
        smaller = builder.load(builder.gep(table, [integer(0), fewest]))
        more = builder.add(fewest, builder.zext(builder.icmp_signed(">", fuller, integer(0)), I64))
        larger = builder.load(builder.gep(table, [integer(0), more]))

        def tile_at(index: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
            """Return first row, number of rows and function of a tile; tiles differ by at most one row."""
            full = builder.icmp_signed("<", index, fuller)
            first = builder.add(builder.mul(index, fewest), builder.select(full, index, fuller))
            return first, builder.select(full, more, fewest), builder.select(full, larger, smaller)

        with counting(builder, integer(0), blocks, integer(1)) as block:
            k = builder.sdiv(builder.mul(K, block), blocks)
            following = builder.sdiv(builder.mul(K, builder.add(block, integer(1))), blocks)
            depth = builder.sub(following, k)
            adds = builder.or_(accumulate, block)
            left_now = builder.gep(left, [builder.mul(k, k_stride)])
            done = integer(0)
            if packed:
                panels_now = builder.gep(right, [builder.mul(k, integer(tiles.width))])
                for rows, panels in tiles.groups.items():
                    step = integer(panels * tiles.width)
                    few = builder.icmp_signed("==", M, integer(rows))
                    stop = builder.select(few, builder.sub(N, builder.srem(N, step)), integer(0))
                    with counting(builder, integer(0), stop, step) as column:
                        panel = builder.gep(panels_now, [builder.mul(column, K)])
                        out = builder.gep(product, [column])
                        stride = builder.mul(K, integer(tiles.width))
                        builder.call(
                            tiles.tile(rows, panels),
                            [
                                *[depth, left_now, row_stride, k_stride, panel, stride],
                                *[out, product_stride, adds, panel, integer(0)],
                            ],
                        )
                    done = builder.add(done, stop)
            with counting(builder, integer(0), count, integer(at_once)) as first_tile:
                end = builder.add(first_tile, integer(at_once))
                end = builder.select(builder.icmp_signed("<", end, count), end, count)

                def copy_of(tile: ir.Value) -> ir.Value:
                    size = integer(tiles.rows * _DEPTH)
                    return builder.gep(left_block, [builder.mul(builder.sub(tile, first_tile), size)])

                last = builder.select(copies, end, integer(0))
                with counting(builder, first_tile, last, integer(1)) as tile:
                    row, rows_now, _ = tile_at(tile)
                    start = builder.gep(left_now, [builder.mul(row, row_stride)])
                    readable = builder.icmp_signed("<=", builder.add(row, integer(tiles.rows)), M)
                    builder.call(
                        tiles.pack_left(),
                        [rows_now, depth, start, row_stride, k_stride, builder.zext(readable, I64), copy_of(tile)],
                    )
                with counting(builder, done, N, integer(tiles.width)) as column:
                    if packed:
                        panel = builder.gep(panels_now, [builder.mul(column, K)])
                    else:
                        right_row_stride, right_column_stride = function.args[7:9]
                        offset = builder.add(builder.mul(k, right_row_stride), builder.mul(column, right_column_stride))
                        panel = right_block
                        builder.call(
                            tiles.pack_panel(),
                            [
                                builder.gep(right, [offset]),
                                right_row_stride,
                                right_column_stride,
                                depth,
                                builder.sub(N, column),
                                panel,
                            ],
                        )
                    columns = builder.sub(N, column)
                    whole = builder.icmp_signed(">=", columns, integer(tiles.width))
                    # The tiles of a panel ask for the next one, each for its share.
                    sharing = builder.sub(end, first_tile)
                    share = builder.sdiv(builder.add(sharing, integer(tiles.width - 1)), sharing)
                    share = share if packed else integer(0)
                    coming = builder.gep(panel, [builder.mul(K, integer(tiles.width))]) if packed else panel
                    with counting(builder, first_tile, end, integer(1)) as tile:
                        row, rows_now, compute = tile_at(tile)
                        before = builder.mul(builder.mul(depth, share), builder.sub(tile, first_tile))
                        asks = [builder.gep(coming, [before]), share]
                        start = builder.gep(left_now, [builder.mul(row, row_stride)])
                        source = [
                            depth,
                            builder.select(copies, copy_of(tile), start),
                            builder.select(copies, integer(1), row_stride),
                            builder.select(copies, integer(tiles.rows), k_stride),
                            panel,
                            integer(0),
                        ]
                        out = builder.gep(product, [builder.add(builder.mul(row, product_stride), column)])
                        with builder.if_else(whole) as (inside, across):
                            with inside:
                                builder.call(compute, [*source, out, product_stride, adds, *asks])
                            with across:
                                builder.call(compute, [*source, edge, integer(tiles.width), integer(0), *asks])
                                builder.call(tiles.copy_tile(), [rows_now, columns, edge, out, product_stride, adds])
        builder.ret_void()

    return tiles.function("product" if packed else "product_unpacked", kind, emit)


def _reserve(builder: ir.IRBuilder, element: ir.Type, size: int) -> ir.Value:
    """Return a pointer to that many elements on the stack."""
    array = builder.alloca(ir.ArrayType(element, size))
    array.align = 64
    return builder.gep(array, [integer(0), integer(0)])
