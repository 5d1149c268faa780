"""Every function that works on tensors, a line each: values and dtypes of NumPy, derivatives of central differences."""

import math
import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import Phase, assume, given, seed, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import ops
from tinygrad_rnn.core.dispatch import implementations
from tinygrad_rnn.ops import classification, comparison, indexing
from tinygrad_rnn.testing import gradcheck
from tinygrad_rnn.testing import strategies as draws
from tinygrad_rnn.testing.strategies import one, one_axis, pair, reductions, three, values

FLOATS = (np.float16, np.float32, np.float64)
fewer = settings(max_examples=max(5, settings().max_examples // 2))


@st.composite
def scattered(draw):
    index = np.array(draw(st.lists(st.integers(-3, 2), min_size=1, max_size=5)))
    return [draw(values((*index.shape, 2)))], {"index": index}


def scatter(g, index):
    index_of_array = indexing._key((indexing._ARRAY,), None)
    dtype = g.dtype
    return indexing.scatter_add(g, index, index=index_of_array, unique=False, shape=(3, 2), dtype=dtype)


def scatter_with_numpy(g, index):
    full = np.zeros((3, 2), g.dtype)
    np.add.at(full, index, g)
    return full


class Row(NamedTuple):
    name: str
    function: Callable[..., Any]
    drawn: Any
    reference: Callable[..., Any] | None = None  # where the result is only nearly NumPy's: in other words
    dtypes: tuple[Any, ...] = FLOATS


def rows(functions, drawn, nearly=False, dtypes=FLOATS):
    return [Row(f.__name__, f, drawn, f if nearly else None, dtypes) for f in functions]


def method(name):
    return Row(f".{name}", lambda a, **keywords: getattr(a, name)(**keywords), one(reductions))


def away_from_steps(drawn):
    quotient = drawn[0][0] / drawn[0][1]
    return bool((np.abs(quotient - np.rint(quotient)) > 1e-3).all())


def erf(a):
    return np.vectorize(math.erf, otypes=[float])(a)


@st.composite
def several(draw, *shapes, **keywords):
    return [draw(values(shape, i)) for i, shape in enumerate(shapes)], draw(st.fixed_dictionaries(keywords))


@st.composite
def regular(draw, *more):
    """Draw a stack of matrices far from singular, and more arrays."""
    matrix = 0.3 * draw(values((2, 3, 3))) + 2 * np.eye(3)
    return [matrix, *[draw(values(shape, 1)) for shape in more]], {}


real, positive, both, quotients = one(), one(positive=True), pair(), pair(positive=(False, True))
steps = quotients.filter(away_from_steps)
small = one().map(lambda drawn: ([0.2 * drawn[0][0]], {}))
above_one = positive.map(lambda drawn: ([1 + drawn[0][0]], {}))
line, plane = one(min_dims=1), one(min_dims=2)
diagonals, choice = st.integers(-2, 2), st.sampled_from
classes = st.lists(st.integers(0, 2), min_size=4, max_size=4)
squares, chain = several((2, 2), (2, 2)), several((2, 3), (3, 2), (2, 4))


def both_have_axes(drawn):
    return min(a.ndim for a in drawn[0]) > 0


@st.composite
def separated(draw, *shapes):
    """Draw a matrix whose singular values, and whose symmetric part's eigenvalues, are about 1, 2 and 3."""
    shape = draw(choice(shapes))
    diagonal = np.eye(*shape[-2:]) * (1 + np.arange(shape[-1]))
    return [diagonal + 0.3 * draw(values(shape))], {}


def spectrum(a):
    found, vectors = np.linalg.eigh(a + a.swapaxes(-1, -2))
    return found, vectors**2  # without their signs


def eigenvalues(a):
    return np.linalg.eigvalsh(a + a.swapaxes(-1, -2))


def singular(a):
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return u**2, s, vh**2


def positive_cholesky(a):
    return np.linalg.cholesky(a @ a.swapaxes(-1, -2))


def weights(drawn):
    return [drawn[0][0], np.abs(drawn[0][1]) + 0.3], {}


def without_equal_sums(drawn):
    return [drawn[0][0] * (1 + drawn[0][0] ** 2)], drawn[1]


TABLE = [
    *rows([np.negative, np.positive, np.square, np.absolute, np.fabs, np.exp, np.exp2, np.expm1], real),
    *rows([np.sin, np.cos, np.tanh, np.sinh, np.cosh, np.arctan, np.arcsinh, np.sinc], real),
    *rows([np.sign, np.floor, np.ceil, np.rint, np.trunc, np.deg2rad, np.radians, np.rad2deg, np.degrees], real),
    *rows([np.sqrt, np.cbrt, np.log, np.log2, np.log10, np.log1p, np.reciprocal], positive),
    *rows([np.tan, np.arcsin, np.arccos, np.arctanh], small),
    *rows([np.arccosh], above_one),
    *rows([np.add, np.subtract, np.multiply, np.maximum, np.minimum, np.fmax, np.fmin, np.copysign], both),
    *rows([np.arctan2, np.hypot, np.logaddexp, np.logaddexp2], both),
    *rows([np.divide], quotients),
    *rows([np.floor_divide, np.remainder, np.fmod], steps),
    *rows([np.power], pair(positive=(True, False))),
    *rows([np.float_power], pair(positive=(True, False)), nearly=True),
    Row("power of a number", lambda a: a**3, real),
    Row("number to the power", lambda a: 1.5**a, real),
    Row("where", lambda a, b, where: np.where(where, a, b), three(lambda a, b, c: ([a, b], {"where": c > 0}))),
    Row("select", lambda a, b: np.select([a > 0.1, b > 0], [a * b, a - b]), both),
    Row("clip", np.clip, three(lambda a, b, c: ([a, b, b + np.abs(c)], {}))),
    Row("clip from below", lambda a, b: np.clip(a, b, None), both),
    Row("clip from above", lambda a, b: np.clip(a, None, b), both),
    Row("around", np.around, real),
    Row("round", np.round, one(lambda shape: st.fixed_dictionaries({"decimals": st.integers(0, 1)}))),
    Row("astype", lambda a, dtype: a.astype(dtype), several((2, 3), dtype=choice(FLOATS))),
    *rows([np.copy, np.conjugate, np.real], real),
    Row("nan_to_num", np.nan_to_num, real),
    *rows([np.sum, np.mean, np.max, np.min, np.amax, np.amin], one(reductions)),
    *rows([np.prod, np.ptp, np.median], one(reductions), nearly=True),
    *[method(name) for name in ("sum", "mean", "max", "min")],
    *rows([np.var], one(draws.deviations)),
    *rows([np.std], one(draws.deviations), nearly=True),
    *rows([np.cumsum], one(draws.axis_or_none)),
    *rows([np.cumprod, np.linalg.norm], one(draws.axis_or_none), nearly=True),
    *[Row(f"{f.__name__}.reduce", f.reduce, one(one_axis, min_dims=1)) for f in (np.add, np.maximum, np.minimum)],
    Row("multiply.reduce", np.multiply.reduce, one(one_axis, min_dims=1), lambda a, axis: np.prod(a, axis=axis)),
    Row(
        "average",
        lambda a, b: np.average(a, 0, b),
        several((3, 2), (3,)).map(weights),
        lambda a, b: np.average(a, 0, b),
    ),
    *rows([np.matmul, np.linalg.matmul], draws.matrices()),
    *rows([np.dot], draws.matrices().filter(lambda drawn: max(a.ndim for a in drawn[0]) < 3), nearly=True),
    Row(
        "einsum",
        lambda a, b: np.einsum("...i,...i->i...", a, b),
        pair().filter(both_have_axes),
    ),
    *rows(
        [np.inner, np.vdot, np.outer, np.kron, np.tensordot, np.linalg.tensordot],
        squares,
        nearly=True,
    ),
    *rows([np.cross], several((2, 3), (3,)), nearly=True),
    *rows([np.linalg.cross], several((2, 3), (2, 3)), nearly=True),
    *rows([np.linalg.outer], several((2,), (3,))),
    *rows([np.linalg.matrix_transpose], several((2, 3, 4))),
    Row("linalg.diagonal", np.linalg.diagonal, several((2, 3, 4))),
    Row("linalg.trace", np.linalg.trace, several((2, 3, 4)), np.linalg.trace),
    Row("vecdot", np.vecdot, several((2, 2, 3), (2, 3)), lambda a, b: np.sum(a * b, axis=-1)),
    Row("linalg.vecdot", np.linalg.vecdot, several((2, 3), (2, 3)), lambda a, b: np.sum(a * b, axis=-1)),
    *rows([np.linalg.vector_norm], one(reductions), nearly=True),
    *rows([np.linalg.matrix_norm], several((2, 3, 2), keepdims=st.booleans()), nearly=True),
    *rows([np.diff], one(one_axis, min_dims=1)),
    Row("linspace", lambda a, b: np.linspace(a, b, 4), both, lambda a, b: np.linspace(a, b, 4)),
    *rows([np.linalg.inv, np.linalg.det], regular(), dtypes=FLOATS[1:]),
    *rows([np.linalg.solve], regular((2, 3, 2)), dtypes=FLOATS[1:]),
    Row("cholesky", positive_cholesky, regular(), positive_cholesky, dtypes=FLOATS[1:]),
    Row("eigh", spectrum, separated((3, 3), (2, 2, 2)), dtypes=FLOATS[1:]),
    Row("svd", singular, separated((2, 3), (2, 3, 2)), dtypes=FLOATS[1:]),
    Row("eigvalsh", eigenvalues, separated((3, 3)), eigenvalues, dtypes=FLOATS[1:]),
    *rows([np.linalg.svdvals, np.linalg.pinv], separated((2, 3), (2, 3, 2)), nearly=True, dtypes=FLOATS[1:]),
    Row("multi_dot", lambda *a: np.linalg.multi_dot(a), chain, lambda *a: np.linalg.multi_dot(a), FLOATS[1:]),
    *rows([np.linalg.matrix_power], several((2, 2), n=st.integers(0, 5)), nearly=True),
    *rows([np.gradient], several((3, 4), axis=choice([0, -1])), nearly=True),
    *rows([np.nansum, np.nanmean], one(reductions), nearly=True),
    Row("slogdet", lambda a: np.linalg.slogdet(a).logabsdet, regular(), dtypes=FLOATS[1:]),
    Row(
        "matrix norms",
        lambda a, ord: np.linalg.norm(a, ord),
        several((3, 2), ord=choice([None, "fro", 1, -1, np.inf, -np.inf])).map(without_equal_sums),
        lambda a, ord: np.linalg.norm(a, ord),
    ),
    Row(
        "norms of singular values",
        lambda a, ord: np.linalg.norm(a, ord, (-2, -1)),
        st.tuples(separated((2, 3), (2, 3, 2)), choice([2, -2, "nuc"])).map(lambda d: (d[0][0], {"ord": d[1]})),
        lambda a, ord: np.linalg.norm(a, ord, (-2, -1)),
        FLOATS[1:],
    ),
    Row(
        "vector norms",
        lambda a, ord: np.linalg.norm(a, ord),
        several((5,), ord=choice([None, 1, 2, 3, 2.5, np.inf, -np.inf])),
        lambda a, ord: np.linalg.norm(a, ord),
    ),
    *rows([np.reshape], one(draws.new_shapes)),
    *rows([np.ravel, np.squeeze, np.atleast_1d, np.atleast_2d, np.atleast_3d], real),
    *rows([np.expand_dims], one(lambda s: st.integers(-len(s) - 1, len(s)).map(lambda i: {"axis": i}))),
    *rows([np.transpose], one(draws.order_of_axes)),
    *rows([np.matrix_transpose, np.flipud, np.fliplr, np.tril, np.triu, np.diagonal, np.trace, np.rot90], plane),
    Row("swapaxes", lambda a, ends: np.swapaxes(a, *ends), one(draws.two_axes, min_dims=1)),
    Row("moveaxis", lambda a, ends: np.moveaxis(a, *ends), one(draws.two_axes, min_dims=1)),
    Row("rollaxis", lambda a, ends: np.rollaxis(a, *ends), one(draws.two_axes, min_dims=1)),
    *rows([np.broadcast_to], one(draws.wider_shapes)),
    *rows([np.flip], one(lambda shape: st.fixed_dictionaries({"axis": draws.axes(shape)}))),
    Row(
        "roll",
        lambda a, axis, by: np.roll(a, by, axis),
        several((2, 3), axis=choice([None, 0, -1]), by=st.integers(-4, 4)),
    ),
    Row(
        "repeat",
        lambda a, axis, n: np.repeat(a, n, axis),
        several((2, 3), axis=choice([None, 0, -1]), n=st.integers(0, 3)),
    ),
    Row(
        "repeat each",
        lambda a, n: np.repeat(a, n, 1),
        several((2, 3), n=st.tuples(*[st.integers(0, 2)] * 3).map(np.array)),
    ),
    Row("tile", lambda a, n: np.tile(a, n), several((2, 3), n=choice([2, (2, 1), (1, 2, 3)]))),
    *rows([np.diag], several((3,), k=diagonals)),
    Row("diag of a matrix", np.diag, several((3, 4), k=diagonals)),
    *rows([np.diagflat], several((2, 2), k=diagonals)),
    *rows([np.pad], one(draws.paddings, min_dims=1)),
    Row("concatenate", lambda *a, axis: np.concatenate(a, axis), draws.joined(same_shape=False)),
    Row("stack", lambda *a, axis: np.stack(a, axis), draws.joined(same_shape=True)),
    *[Row(f.__name__, lambda *a, f=f: f(a), several((2, 3), (2, 3))) for f in (np.vstack, np.hstack, np.dstack)],
    Row("column_stack", lambda *a: np.column_stack(a), several((2,), (2, 3))),
    *rows([np.append], several((2, 3), (1, 3), axis=choice([None, 0]))),
    Row("split", lambda a, cuts, axis: np.split(a, cuts, axis), one(draws.cuts, min_dims=1)),
    Row("array_split", lambda a, n: np.array_split(a, n), several((5, 2), n=st.integers(1, 6))),
    *[Row(f.__name__, lambda a, f=f: f(a, 2), several((2, 4, 2))) for f in (np.vsplit, np.hsplit, np.dsplit)],
    Row("iteration", lambda a: list(a), line),
    Row("getitem", lambda a, key: a[key], one(lambda shape: draws.indices(shape).map(lambda key: {"key": key}))),
    Row("scatter_add", scatter, scattered(), scatter_with_numpy),
    *rows([np.take_along_axis], one(draws.places, min_dims=1)),
    *rows([np.take], one(draws.taken, min_dims=1)),
    *rows([np.sort], one(draws.axis_or_none, min_dims=1)),
    Row("partition", lambda a, k: np.partition(a, k)[k], several((5,), k=st.integers(0, 4))),
    Row("sigmoid", tg.sigmoid, real, lambda a: 1 / (1 + np.exp(-a))),
    Row("relu", tg.relu, real, lambda a: np.where(a > 0, a, 0)),
    Row("silu", tg.silu, real, lambda a: a / (1 + np.exp(-a))),
    Row("gelu", tg.gelu, real, lambda a: a * (1 + erf(a / math.sqrt(2))) / 2),
    Row(
        "gelu with tanh",
        tg.gelu,
        one(lambda shape: st.just({"approximate": True})),
        lambda a, approximate: a * (1 + np.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a**3))) / 2,
    ),
    Row("softplus", tg.softplus, real, lambda a: np.log1p(np.exp(a))),
    Row("logsumexp", tg.logsumexp, one(reductions), lambda a, **k: np.log(np.sum(np.exp(a), **k))),
    Row(
        "softmax", tg.softmax, one(one_axis, min_dims=1), lambda a, axis: np.exp(a) / np.exp(a).sum(axis, keepdims=True)
    ),
    Row(
        "log_softmax",
        tg.log_softmax,
        one(one_axis, min_dims=1),
        lambda a, axis: a - np.log(np.exp(a).sum(axis, keepdims=True)),
    ),
    Row(
        "cross_entropy",
        lambda a, classes: classification.cross_entropy(a, np.array(classes)),
        several((4, 3), classes=classes),
        lambda a, classes: np.log(np.exp(a).sum(-1)) - a[range(4), classes],
    ),
    Row(
        "softmax_excess",
        lambda a, classes: classification.softmax_excess(a, np.array(classes)),
        several((4, 3), classes=classes),
        lambda a, classes: np.exp(a) / np.exp(a).sum(-1, keepdims=True) - np.eye(3)[classes],
    ),
]
each_row = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)


def drawings(row, count):
    """Return as many draws of a row's arguments in float64, the same at every call."""
    found = []

    @seed(0)
    @settings(max_examples=count + 1, database=None, deadline=None, phases=[Phase.generate])
    @given(row.drawn.filter(lambda drawn: drawn[1].get("dtype") in (None, np.float64)))
    def collect(drawn):
        found.append(drawn)

    collect()
    return found[-count:]  # the first one is the simplest that there is, an array of one element mostly


def parts(result):
    return list(result) if isinstance(result, (tuple, list)) else [result]


def flat(row, keywords):
    """Return the function of a row with its results in one array, for transforms of one result."""
    return lambda *args: np.concatenate([part.reshape(-1) for part in parts(row.function(*args, **keywords))])


@each_row
@given(data=st.data())
@fewer
def test_values_and_dtypes_are_those_of_numpy(row, data):
    arrays, keywords = data.draw(row.drawn)
    arrays = [array.astype(data.draw(st.sampled_from(row.dtypes))) for array in arrays]
    tensors = [tg.Tensor(array, requires_grad=True) for array in arrays]
    found = parts(row.function(*tensors, **keywords))
    bare = [np.asarray(part) for part in parts(row.function(*arrays, **keywords))]
    exact = bare
    if row.reference is not None:
        exact = parts(row.reference(*[array.astype(np.float64) for array in arrays], **keywords))
    assert len(found) == len(bare) == len(exact)
    for result, same, right in zip(found, bare, exact, strict=True):
        assert type(result) is tg.Tensor and result.requires_grad
        assert (result.shape, result.dtype) == (same.shape, same.dtype)
        assert result.shape == np.shape(right)
        eps = 0 if row.reference is None else 30 * max(float(np.finfo(array.dtype).eps) for array in arrays)
        np.testing.assert_allclose(result.data, np.asarray(right, result.dtype), rtol=eps, atol=eps)
    for array, tensor, gradient in zip(arrays, tensors, gradients_of(found, tensors), strict=True):
        assert type(gradient) is np.ndarray
        assert (gradient.shape, gradient.dtype) == (array.shape, array.dtype)
        np.testing.assert_array_equal(tensor.data, array)


def gradients_of(results, tensors):
    total = sum([np.sum(result.astype(np.float64)) for result in results], start=0.0)
    return tg.gradients(total, tensors)


@each_row
@given(data=st.data())
@fewer
def test_derivatives_are_those_of_central_differences(row, data):
    arrays, keywords = data.draw(row.drawn)
    assume(keywords.get("dtype") in (None, np.float64))
    gradcheck(lambda *args: row.function(*args, **keywords), arrays)


@each_row
@given(data=st.data())
@fewer
def test_forward_and_reverse_are_adjoint_at_first_and_second_order(row, data):
    arrays, keywords = data.draw(row.drawn)
    assume(keywords.get("dtype") in (None, np.float64))
    function = flat(row, keywords)
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    along, across = ([rng.normal(size=array.shape) for array in arrays] for _ in range(2))

    value, pushed = tg.jvp(function, arrays, along)
    cotangent = rng.normal(size=value.shape)
    pull = tg.vjp(function, *arrays)[1]
    agree(vdot([cotangent], [pushed]), vdot(pull(cotangent), along))

    def slopes(*args):
        return np.concatenate([slope.reshape(-1) for slope in tg.vjp(function, *args)[1](cotangent)])

    def slope_along(*args):
        return np.sum(tg.jvp(function, args, along)[1] * cotangent)

    forward_over_reverse = tg.jvp(slopes, arrays, across)[1]
    reverse_over_forward = tg.vjp(slope_along, *arrays)[1](1.0)
    every = np.concatenate([direction.reshape(-1) for direction in along])
    agree(vdot([forward_over_reverse], [every]), vdot(reverse_over_forward, across))


def vdot(left, right):
    return sum([float(np.vdot(np.asarray(a.data), np.asarray(b.data))) for a, b in zip(left, right, strict=True)])


def agree(a, b):
    assert a == pytest.approx(b, rel=1e-10, abs=1e-10)


@given(data=st.data())
@settings(max_examples=1, phases=[Phase.generate])
def test_no_primitive_and_no_function_of_numpy_is_forgotten_in_the_table(data):
    defined = set()
    for info in pkgutil.iter_modules(ops.__path__):
        module = import_module(f"{ops.__name__}.{info.name}")
        defined |= {value.name for value in vars(module).values() if isinstance(value, tg.Primitive)}
    recorded, called = set(), set()

    def noting(function, implementation):
        def call(*args, **keywords):
            called.add(function)
            return implementation(*args, **keywords)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for function, implementation in implementations.items():
            patch.setitem(implementations, function, noting(function, implementation))
        for row in TABLE:
            arrays, keywords = data.draw(row.drawn)
            if row.name == "astype":  # which records nothing where the dtype is that of the tensor
                keywords["dtype"] = np.float32
            tensors = [tg.Tensor(array, requires_grad=True) for array in arrays]
            results = [part for part in parts(row.function(*tensors, **keywords)) if part.requires_grad]
            recorded |= {node.operation for node in tg.Graph.of(*results)}
    assert defined - recorded == set()
    without_gradient = {*comparison._FUNCTIONS, *comparison._OF_SPECS}
    assert set(implementations) - called - without_gradient == set()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("scalar", [2, 2.0, True, np.float64(2), np.float32(2), np.int64(2), np.array(2.0), np.int8(2)])
@pytest.mark.parametrize(
    "function",
    [np.add, np.subtract, np.multiply, np.divide, np.power, np.maximum, np.minimum, np.remainder, np.floor_divide],
)
def test_scalars_promote_as_in_numpy(function, dtype, scalar):
    array = np.array([0.5, 1.5], dtype)
    for args in ((array, scalar), (scalar, array)):
        tensors = [tg.Tensor(arg, requires_grad=True) if arg is array else arg for arg in args]
        result, expected = function(*tensors), function(*args)
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result.data, expected)
        tensor = tensors[0] if isinstance(tensors[0], tg.Tensor) else tensors[1]
        (gradient,) = tg.gradients(np.sum(result), [tensor])
        assert gradient.dtype == dtype
