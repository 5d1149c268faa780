"""Tests of the emitted elementary functions: 4 units in the last place, against NumPy in a wider type."""

import ctypes
import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

import llvmlite.ir as ir

from tinygrad_rnn.core.errors import ConfigError, DtypeError
from tinygrad_rnn.scan.native import mathematics
from tinygrad_rnn.scan.native.emission import I64, counting, element_type, integer, load, store
from tinygrad_rnn.scan.native.target import compile_module, host

WIDTHS = tuple(width for width in (128, 256, 512) if host(width).bits == width)
DTYPES = ("float32", "float64")
# On some systems no type is wider than float64: its own functions are the reference there, an ulp off at times.
WIDER = {"float32": np.float64, "float64": np.longdouble}
SLACK = {"float32": 0, "float64": 0 if np.finfo(np.longdouble).nmant > 60 else 1.5}


def sigmoid(x):
    falling = np.exp(-abs(x))
    return np.where(x < 0, falling, 1) / (1 + falling)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))


REFERENCES = {
    "exp": np.exp,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "log": np.log,
    "log1p": np.log1p,
    "softplus": softplus,
}


@functools.cache
def compiled(dtype, width):
    """Compile all functions as loops over arrays, with whole vectors first and scalars for what is left."""
    target = host(width)
    module = ir.Module()
    element = element_type(dtype)
    kind = ir.FunctionType(ir.VoidType(), [element.as_pointer(), element.as_pointer(), I64])
    lanes = target.lanes(dtype)
    for name in REFERENCES:
        function = ir.Function(module, kind, name)
        x, y, size = function.args
        builder = ir.IRBuilder(function.append_basic_block())
        whole = builder.sub(size, builder.srem(size, integer(lanes)))
        emit = getattr(mathematics, f"emit_{name}")
        for unit, start, stop, step in (
            (ir.VectorType(element, lanes), integer(0), whole, lanes),
            (element, whole, size, 1),
        ):
            with counting(builder, start, stop, integer(step)) as index:
                value = emit(builder, load(builder, unit, builder.gep(x, [index])))
                store(builder, value, builder.gep(y, [index]))
        builder.ret_void()
    return compile_module(module, target)


def evaluate(name, x, width):
    address = compiled(x.dtype.name, width).function_address(name)
    y = np.empty_like(x)
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(address)
    function(x.ctypes.data, y.ctypes.data, x.size)
    return y


def assert_within_ulps(name, x, width, bound=4):
    found = evaluate(name, x, width)
    with np.errstate(all="ignore"):
        exact = REFERENCES[name](x.astype(WIDER[x.dtype.name]))
        expected = exact.astype(x.dtype)
        unit = np.spacing(np.minimum(abs(expected), np.finfo(x.dtype).max)).astype(exact.dtype)
        finite = np.isfinite(expected) & np.isfinite(found)
        ulps = np.where(finite, abs(found - exact) / unit, 0)
    worst = int(np.argmax(ulps))
    assert ulps[worst] <= bound + SLACK[x.dtype.name], (name, x[worst], found[worst], expected[worst])
    np.testing.assert_array_equal(found[~finite], expected[~finite])
    zero = (found == 0) & (expected == 0)
    np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(expected[zero]))


def every_binade(dtype):
    """Numbers of both signs from the least subnormal to the largest, evenly over the bit patterns, and the rest."""
    bits = np.dtype(dtype).itemsize * 8
    patterns = np.arange(100_003, dtype=np.uint64) * np.uint64(2**bits // 100_003)
    return patterns.astype(f"uint{bits}").view(dtype)


def dense(dtype):
    steps = np.linspace(-1, 1, 20_011)
    grids = [steps * scale for scale in (1e-3, 0.4, 1.1, 4, 25, 110, 760)]
    around_one = 1 + np.concatenate([steps * scale for scale in (1e-6, 1e-3, 0.6)])
    return np.concatenate([*grids, around_one, -around_one]).astype(dtype)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", REFERENCES)
def test_functions_are_within_four_ulps_over_the_whole_range(name, dtype, width):
    assert_within_ulps(name, every_binade(dtype), width)
    assert_within_ulps(name, dense(dtype), width)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", REFERENCES)
def test_special_values_are_those_of_numpy_in_vectors_and_in_scalars(name, dtype, width):
    limits = np.finfo(dtype)
    values = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, limits.max, limits.min, limits.tiny, -limits.tiny]
    values += [limits.smallest_subnormal, -limits.smallest_subnormal]
    values += [88.72283, 88.72284, -87.33655, -103.97207, -103.972084, 709.782712893384, 709.7827128933841, -745.1332]
    for value in values:
        # 33 elements: whole vectors of every width, and one scalar.
        assert_within_ulps(name, np.full(33, value, dtype), width)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", REFERENCES)
@given(data=st.data())
def test_drawn_values_are_within_four_ulps(name, dtype, data):
    numbers = st.floats(width=8 * np.dtype(dtype).itemsize)
    x = np.array(data.draw(st.lists(numbers, min_size=1, max_size=40)), dtype)
    for width in WIDTHS:
        assert_within_ulps(name, x, width)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", REFERENCES)
def test_an_element_does_not_depend_on_its_place(name, dtype):
    x = np.random.default_rng(0).standard_normal(100).astype(dtype)
    whole = evaluate(name, x, WIDTHS[-1])
    alone = np.concatenate([evaluate(name, x[i : i + 1], WIDTHS[-1]) for i in range(x.size)])
    np.testing.assert_array_equal(whole, alone)


def test_a_limit_that_is_no_width_is_refused():
    with pytest.raises(ConfigError, match="limit is 64"):
        host(64)


def test_an_integer_type_is_refused():
    with pytest.raises(DtypeError, match="not in int32"):
        element_type("int32")


def test_an_unknown_function_is_refused():
    with pytest.raises(ConfigError, match="no function 'sinh'"):
        compiled("float32", WIDTHS[0]).function_address("sinh")
