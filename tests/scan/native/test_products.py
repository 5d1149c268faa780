"""Tests of the emitted matrix products, against NumPy."""

import ctypes
import functools
import itertools
import mmap
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

import llvmlite.ir as ir

from tinygrad_rnn.scan.native import products, tiles
from tinygrad_rnn.scan.native.target import compile_module, host

WIDTHS = tuple(width for width in (128, 256, 512) if host(width).bits == width)
DTYPES = ("float32", "float64")
SIZES = st.one_of(st.sampled_from([0, 1, 2, 3, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65]), st.integers(0, 140))
DEPTHS = st.one_of(SIZES, st.sampled_from([255, 256, 257, 520]))
GUARD = 17


@functools.cache
def compiled(dtype, width):
    """Compile pack, product and product_unpacked for the machine limited to a width."""
    target, module = host(width), ir.Module()
    emitters = (tiles.emit_pack, products.emit_product, products.emit_product_unpacked)
    emitted = [emit(module, dtype, target) for emit in emitters]
    engine = compile_module(module, target, optimize=False)
    return engine, [
        ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * len(function.args))(engine.function_address(function.name))
        for function in emitted
    ]


def functions(dtype, width):
    """Return pack, product and product_unpacked, whose engine is kept."""
    return compiled(np.dtype(dtype).name, width)[1]


def strides(array):
    return [stride // array.itemsize for stride in array.strides]


def packed(right, width):
    """Pack a matrix, and check that nothing is written beyond the packed size."""
    pack = functions(right.dtype, width)[0]
    size = tiles.packed_size(*right.shape, right.dtype, host(width))
    buffer = np.full(size + GUARD, 9, right.dtype)
    pack(right.ctypes.data, *strides(right), *right.shape, buffer.ctypes.data)
    assert (buffer[size:] == 9).all()
    return buffer[:size]


def multiply(left, right, out, accumulate, width, before=True):
    """Compute out (+)= left @ right from a packed right operand, or from one as it lies."""
    _, product, product_unpacked = functions(left.dtype, width)
    shape = (*out.shape, left.shape[1])
    result = (out.ctypes.data, strides(out)[0], int(accumulate))
    if before:
        panels = packed(right, width)
        product(*shape, left.ctypes.data, *strides(left), panels.ctypes.data, *result)
    else:
        workspace = np.empty(products.workspace_size(left.dtype, host(width)), left.dtype)
        operands = (left.ctypes.data, *strides(left), right.ctypes.data, *strides(right))
        product_unpacked(*shape, *operands, *result, workspace.ctypes.data)


def laid_out(rng, rows, columns, dtype, transposed, gap):
    """Draw a matrix in rows or in columns, with a gap between them that holds NaN."""
    shape = (columns, rows + gap) if transposed else (rows, columns + gap)
    storage = np.full(shape, np.nan, dtype)
    matrix = storage[:, :rows].T if transposed else storage[:, :columns]
    matrix[...] = rng.standard_normal((rows, columns))
    return matrix


def guarded(rng, rows, columns, dtype):
    """Return a matrix and the storage around it, whose other elements are 9."""
    storage = np.full((rows + 2, columns + GUARD), 9, dtype)
    matrix = storage[1:-1, :columns]
    matrix[...] = rng.standard_normal((rows, columns))
    return storage, matrix


def assert_close(found, expected, left, right):
    """Compare with a bound that grows as the sum of magnitudes and the length of the sum do."""
    depth = max(1, left.shape[1])
    scale = abs(left).astype(np.float64) @ abs(right).astype(np.float64) + abs(expected)
    assert (abs(found - expected) <= (depth + 2) * np.finfo(found.dtype).eps * scale).all()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", DTYPES)
@given(
    rows=SIZES,
    columns=SIZES,
    depth=DEPTHS,
    turned=st.tuples(st.booleans(), st.booleans()),
    gap=st.sampled_from([0, 1, 5]),
    accumulate=st.booleans(),
    before=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_product_is_numpys_and_writes_nothing_else(
    dtype, width, rows, columns, depth, turned, gap, accumulate, before, seed
):
    rng = np.random.default_rng(seed)
    left = laid_out(rng, rows, depth, dtype, turned[0], gap)
    right = laid_out(rng, depth, columns, dtype, turned[1], gap)
    storage, out = guarded(rng, rows, columns, dtype)
    expected = left.astype(np.float64) @ right.astype(np.float64) + accumulate * out
    multiply(left, right, out, accumulate, width, before)
    assert_close(out, expected, left, right)
    out[...] = 9
    assert (storage == 9).all()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", DTYPES)
@given(depth=SIZES, columns=SIZES, turned=st.booleans(), gap=st.sampled_from([0, 3]))
def test_packing_lays_out_panels_padded_with_zeros(dtype, width, depth, columns, turned, gap):
    matrix = laid_out(np.random.default_rng(0), depth, columns, dtype, turned, gap)
    panel = tiles.panel_width(dtype, host(width))
    panels = packed(matrix, width).reshape(-(-columns // panel), depth, panel)
    wide = np.zeros((depth, panels.shape[0] * panel), dtype)
    wide[:, :columns] = matrix
    np.testing.assert_array_equal(panels, wide.reshape(depth, panels.shape[0], panel).transpose(1, 0, 2))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", range(1, 18))
def test_every_number_of_rows_gives_the_same_bits(rows, dtype, width):
    rng = np.random.default_rng(rows)
    left, right = rng.standard_normal((17, 300)).astype(dtype), rng.standard_normal((300, 1100)).astype(dtype)
    whole, part, unpacked = np.empty((17, 1100), dtype), np.empty((rows, 1100), dtype), np.empty((rows, 1100), dtype)
    multiply(left, right, whole, False, width)
    multiply(left[:rows], right, part, False, width)
    multiply(np.asfortranarray(left)[:rows], right, unpacked, False, width, before=False)
    np.testing.assert_array_equal(part, whole[:rows])
    np.testing.assert_array_equal(unpacked, whole[:rows])


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_large_product_runs_through_all_blocks(dtype, before):
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((700, 390)).astype(dtype).T, rng.standard_normal((700, 1050)).astype(dtype)
    _, out = guarded(rng, 390, 1050, dtype)
    expected = out + left.astype(np.float64) @ right.astype(np.float64)
    multiply(left, right, out, True, WIDTHS[-1], before)
    assert_close(out, expected, left, right)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_and_infinity_stay_in_their_rows_and_columns(dtype):
    left, right = np.ones((9, 40), dtype), np.ones((40, 40), dtype)
    left[3, 5], right[7, 34] = np.nan, np.inf
    out = np.empty((9, 40), dtype)
    multiply(left, right, out, False, WIDTHS[-1])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(out, left @ right)


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_on_slices_of_the_rows_give_the_bits_of_the_whole(dtype):
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((77, 300)).astype(dtype), rng.standard_normal((300, 130)).astype(dtype)
    whole, parts = np.empty((77, 130), dtype), np.empty((77, 130), dtype)
    multiply(left, right, whole, False, WIDTHS[-1])
    cuts = [0, 1, 10, 43, 77]
    with ThreadPoolExecutor(4) as pool:
        work = [
            pool.submit(multiply, left[start:stop], right, parts[start:stop], False, WIDTHS[-1])
            for start, stop in itertools.pairwise(cuts)
        ]
        for future in work:
            future.result()
    np.testing.assert_array_equal(parts, whole)


@pytest.fixture
def before_forbidden_memory():
    """Give a function that copies a matrix to where the next byte after it cannot be read."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    kept = []

    def place(matrix):
        size = -(-matrix.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
        area = np.frombuffer(mmap.mmap(-1, size + mmap.PAGESIZE), np.uint8)
        kept.append(area)
        assert libc.mprotect(area.ctypes.data + size, mmap.PAGESIZE, 0) == 0
        flat = area[size - matrix.nbytes : size].view(matrix.dtype)
        order = "C" if matrix.flags.c_contiguous else "F"
        placed = flat.reshape(matrix.shape, order=order)
        placed[...] = matrix
        return placed

    yield place
    for area in kept:
        libc.mprotect(area.ctypes.data + len(area) - mmap.PAGESIZE, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE)


@pytest.mark.skipif(sys.platform != "linux", reason="protects memory by Linux's mprotect")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 5, 8, 23])
def test_nothing_is_read_beyond_the_operands(before_forbidden_memory, rows, turned, dtype, width):
    rng = np.random.default_rng(0)
    # 1030 columns: the left operand is copied into tiles in either order.
    for columns in (3, 35, 1030):
        left, right = (rng.standard_normal(shape).astype(dtype) for shape in ((rows, 19), (19, columns)))
        if turned:
            left, right = np.asfortranarray(left), np.asfortranarray(right)
        left, right = before_forbidden_memory(left), before_forbidden_memory(right)
        for before in (True, False):
            out = before_forbidden_memory(np.empty((rows, columns), dtype))
            multiply(left, right, out, False, width, before)
            assert_close(out, left.astype(np.float64) @ right.astype(np.float64), left, right)


def test_another_emitted_function_can_call_the_products():
    target, module = host(), ir.Module()
    pack, product = (emit(module, "float32", target) for emit in (tiles.emit_pack, products.emit_product))
    pointer = ir.FloatType().as_pointer()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer] * 3), "square")
    matrix, panels, out = function.args
    builder = ir.IRBuilder(function.append_basic_block())
    zero, one, eight = (ir.Constant(ir.IntType(64), value) for value in (0, 1, 8))
    builder.call(pack, [matrix, eight, one, eight, eight, panels])
    builder.call(product, [eight, eight, eight, matrix, eight, one, panels, out, eight, zero])
    builder.ret_void()
    engine = compile_module(module, target)
    square = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(engine.function_address("square"))
    x = np.random.default_rng(0).standard_normal((8, 8)).astype("float32")
    packed_x, found = np.empty(tiles.packed_size(8, 8, "float32", target), "float32"), np.empty_like(x)
    square(x.ctypes.data, packed_x.ctypes.data, found.ctypes.data)
    np.testing.assert_allclose(found, x @ x, rtol=1e-5, atol=1e-5)


def test_emitting_twice_gives_the_same_function():
    module = ir.Module()
    assert products.emit_product(module, "float64", host()) is products.emit_product(module, "float64", host())
