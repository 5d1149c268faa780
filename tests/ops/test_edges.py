"""Empty axes, infinite elements, unequal parts and positions of arguments: as NumPy does, or refused."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.dispatch import implementations
from tinygrad_rnn.core.errors import ShapeError
from tinygrad_rnn.core.explain import rules
from tinygrad_rnn.core.node import Spec


def leaf(*shape):
    return tg.Tensor(np.linspace(0.3, 1.7, int(np.prod(shape))).reshape(shape), requires_grad=True)


def positional(function):
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [name for name, parameter in inspect.signature(function).parameters.items() if parameter.kind in kinds]


# Their names differ from NumPy's, their places do not; or NumPy itself refuses what comes behind the first.
OTHER_NAMES = {"real", "matrix_transpose", "outer", "tensordot", "cross", "vecdot", "diagonal", "trace", "vector_norm"}
OTHER_NAMES |= {"matrix_norm", "pad"}


def test_an_argument_by_position_is_the_one_that_numpy_has_there():
    for function, ours in implementations.items():
        if isinstance(function, np.ufunc | tuple) or not getattr(function, "__module__", "").startswith("numpy"):
            continue
        try:
            theirs = positional(function)
        except ValueError:  # some of NumPy's functions do not tell
            continue
        if theirs and function.__name__ not in OTHER_NAMES:
            mine = positional(ours)
            assert mine == theirs[: len(mine)] or mine == ["self"], function


@pytest.mark.parametrize(
    "run",
    [
        lambda x: np.nansum(x, 0, np.float32),
        lambda x: np.nanmean(x, 0, np.float32),
        lambda x: np.average(x, 0, np.ones(4), True),
        lambda x: np.linspace(x, x, 3, True, True),
        lambda x: np.ptp(x, 0, None),
        lambda x: np.median(x, 0, None),
        lambda x: np.sort(x, -1, None, None),
        lambda x: np.nan_to_num(x, True),
    ],
)
def test_an_argument_by_position_that_has_no_rule_is_refused(run):
    with pytest.raises(TypeError, match="positional"):
        run(leaf(4))


EMPTY = {
    "median": lambda a: np.median(a, axis=1),
    "vector norm": lambda a: np.linalg.vector_norm(a, axis=(1,)),
    "dot": lambda a: np.dot(np.transpose(a), np.zeros((2, 0, 3))),
    "take_along_axis": lambda a: np.take_along_axis(a, np.zeros((0, 1), int), 1),
    "split": lambda a: np.split(a, 2)[1],
    "split at": lambda a: np.split(a, [-1, 1])[1],
    "diagonal": lambda a: np.diagonal(a),
    "roll": lambda a: np.roll(a, 1, 0),
}


@pytest.mark.parametrize("name", EMPTY)
def test_empty_axes_are_what_they_are_for_numpy(name):
    array = np.zeros((0, 3))
    found, expected = EMPTY[name](tg.Tensor(array, requires_grad=True)), EMPTY[name](array)
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found.data, expected)


@pytest.mark.parametrize("offset", range(-5, 6))
def test_a_diagonal_beyond_the_corner_is_empty(offset):
    x = leaf(3, 4)
    np.testing.assert_array_equal(np.diagonal(x, offset).data, np.diagonal(np.array(x.data), offset))


@given(st.lists(st.integers(-6, 6), max_size=3))
def test_a_cut_is_where_numpy_cuts(cuts):
    x = leaf(4)
    for part, expected in zip(np.split(x, cuts), np.split(np.array(x.data), cuts), strict=True):
        np.testing.assert_array_equal(part.data, expected)


def test_a_cut_from_the_end_is_recorded_like_one_from_the_start():
    x = leaf(4)
    assert np.split(x, [-1])[0].node.params == np.split(x, [3])[0].node.params


def test_an_average_takes_infinite_elements_as_numpy_does():
    array, weights = np.array([[1.0, np.inf], [2.0, 3.0]]), np.array([1.0, 3.0])
    for axis in (0, 1, -1):
        found = np.average(tg.Tensor(array, requires_grad=True), axis=axis, weights=weights)
        np.testing.assert_array_equal(found.data, np.average(array, axis=axis, weights=weights))


@pytest.mark.parametrize("exponent", [0, np.zeros(5), np.array(0.0)])
def test_the_power_of_0_is_flat_wherever_it_is_taken(exponent):
    x = tg.Tensor([0.0, -2.0, 3.0, np.inf, -np.inf], requires_grad=True)
    with np.errstate(all="ignore"):
        np.sum(x**exponent).backward()
    np.testing.assert_array_equal(x.grad, np.zeros(5))


@given(st.floats(-1e6, 1e6))
def test_a_shift_of_all_scores_does_not_change_their_cross_entropy(shift):
    scores, classes = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]]), np.array([2, 0])
    plain, moved = [tg.value_and_grad(nn.cross_entropy)(tg.Tensor(s), classes) for s in (scores, scores + shift)]
    for found, expected in zip(moved, plain, strict=True):
        np.testing.assert_allclose(found.data, expected.data, rtol=1e-9, atol=1e-9)


def test_the_second_derivative_of_a_norm_at_0_is_that_of_half_its_square():
    np.testing.assert_array_equal(tg.hessian(np.linalg.norm)(np.zeros(2)).data, np.eye(2))


def test_the_fifth_derivative_of_sinc_near_0_is_that_of_its_series():
    function = np.sinc
    for _ in range(5):
        function = (lambda f: lambda t: tg.jvp(f, (t,), (1.0,))[1])(function)
    x = 0.0199
    terms = [
        (-1) ** k * np.pi ** (2 * k) / (2 * k + 1) / math.factorial(2 * k - 5) * x ** (2 * k - 5) for k in range(3, 12)
    ]
    np.testing.assert_allclose(function(tg.Tensor(x)).item(), math.fsum(terms), rtol=1e-10)


def test_a_running_sum_takes_one_axis():
    with pytest.raises(TypeError):
        np.cumsum(leaf(2, 2), axis=(0, 1))


@pytest.mark.parametrize(
    ("run", "error", "message"),
    [
        (lambda: np.hstack([leaf(2), leaf(2, 2)]), ShapeError, "axis=0"),
        (lambda: np.concatenate([leaf(2), leaf(2, 2)], axis=1), np.exceptions.AxisError, "axis 1"),
        (lambda: np.concatenate([leaf(2), leaf(2, 2)], axis=-1), ShapeError, "axis=0"),
        (lambda: np.concatenate([leaf(2), leaf()]), ValueError, r"np\.stack"),
        (lambda: np.concatenate([leaf(), leaf(2)]), ValueError, r"np\.stack"),
        (lambda: np.stack([leaf(2), leaf(2, 2)], axis=2), np.exceptions.AxisError, "axis 2"),
    ],
)
def test_parts_of_unequal_axes_are_refused_by_the_first(run, error, message):
    with pytest.raises(error, match=message):
        run()


INDICES = [np.array(1), np.array(-1), np.array(True), np.array(False), [True, False, True], [0, 2], [], [[0], [2]]]


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_a_number_a_mask_or_a_list_reads_what_it_reads_of_an_array(index):
    x = leaf(3, 2)
    np.testing.assert_array_equal(x[index].data, np.array(x.data)[index])


def test_a_list_of_floats_is_no_index():
    with pytest.raises(IndexError, match="float64"):
        leaf(3)[[0.5, 1.0]]


def test_an_array_of_one_integer_is_recorded_as_an_integer():
    x = leaf(3)
    assert x[np.array(1)].node.params == x[1].node.params


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ((3,), (3,), ["g[..., None] * b", "g * a"]),
        ((2, 3), (3,), ["g[..., None] * b", "reshape(a, (2, 3)).T @ reshape(g, (2,))"]),
        ((3,), (3, 4), ["reshape(b @ g[..., None], (3,))", "a[:, None] * g[..., None, :]"]),
        ((2, 3), (3, 4), ["g @ b.T", "a.T @ g"]),
        (
            (5, 2, 3),
            (3, 4),
            ["reshape(reshape(g, (10, 4)) @ b.T, (5, 2, 3))", "reshape(a, (10, 3)).T @ reshape(g, (10, 4))"],
        ),
        ((5, 2, 3), (3,), ["g[..., None] * b", "reshape(a, (10, 3)).T @ reshape(g, (10,))"]),
        ((3,), (5, 3, 4), ["sum(reshape(b @ g[..., None], (5, 3)), axis=0)", "a[:, None] * g[..., None, :]"]),
        ((2, 3), (5, 3, 4), ["sum(g @ b.mT, axis=0)", "a.T @ g"]),
        ((5, 2, 3), (5, 3, 4), ["g @ b.mT", "a.mT @ g"]),
    ],
)
def test_the_gradient_of_a_matrix_product_takes_as_few_products_as_it_can(left, right, expected):
    assert [text for _, _, text in rules((leaf(*left) @ leaf(*right)).node).cotangents] == expected


@pytest.mark.parametrize(
    ("subscripts", "shapes", "expected"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)], ["einsum('ik,jk->ij', g, b)", "einsum('ik,ij->jk', g, a)"]),
        ("i,i->i", [(1,), (4,)], ["reshape(sum(einsum('i,i->i', g, b)), (1,))", "einsum('i,i->i', g, a)"]),
        ("ij->i", [(2, 3)], ["einsum('i,j->ij', g, ones((3,)))"]),
    ],
)
def test_the_gradient_of_an_einsum_has_no_factor_that_it_does_not_need(subscripts, shapes, expected):
    made = np.einsum(subscripts, *[leaf(*shape) for shape in shapes])
    assert [text for _, _, text in rules(made.node).cotangents] == expected


def test_the_sign_of_a_copied_sign_is_a_factor():
    assert rules(np.copysign(leaf(2), leaf(2)).node).cotangents[0][2] == "g * sign(a) * copysign(1, b)"


MATRICES = np.random.default_rng(0).normal(size=(2, 3, 3)) + 4 * np.eye(3)
AS_NUMPY = {
    "solve of a stack and a vector": lambda a: np.linalg.solve(a, np.ones(3)),
    "vecdot of a stack": lambda a: np.linalg.vecdot(a, np.arange(3.0)),
    "vecdot of vectors": lambda a: np.linalg.vecdot(a[0, 0], np.arange(3.0)),
    "vector norm over two of four axes": lambda a: np.linalg.vector_norm(a[:, :, :, None], axis=(1, 2)),
    "vector norm over everything": lambda a: np.linalg.vector_norm(a),
    "nuclear norm": lambda a: np.linalg.norm(a[0], "nuc"),
    "smallest singular value": lambda a: np.linalg.norm(a[0], -2),
    "greatest singular value": lambda a: np.linalg.norm(a[0], 2),
    "inverse power": lambda a: np.linalg.matrix_power(a, -3),
    "power of 0": lambda a: np.linalg.matrix_power(a, 0),
    "slopes of steps": lambda a: np.stack(np.gradient(a[0], 0.5)),
    "slopes of steps of 1": lambda a: np.stack(np.gradient(a)),
    "slopes along one axis": lambda a: np.gradient(a, axis=1),
    "mean without NaN": lambda a: np.nanmean(np.where(a > 4, np.nan, a), axis=1),
    "sum without NaN": lambda a: np.nansum(np.where(a > 4, np.nan, a), axis=1),
    "median": lambda a: np.median(a, axis=1),
    "median of everything, kept": lambda a: np.median(a, keepdims=True),
    "sorted as a line": lambda a: np.sort(a, axis=None),
    "partitioned as a line": lambda a: np.sort(np.partition(a, 4, axis=None)[:4]),
    "picked from a line": lambda a: np.take_along_axis(a, np.array([5, 0, 17]), axis=None),
    "repeated as a line": lambda a: np.repeat(a, 2),
    "running product of a line": lambda a: np.cumprod(a),
    "running sum of a line": lambda a: np.cumsum(a),
    "rolled as a line": lambda a: np.roll(a, 2),
    "joined as a line": lambda a: np.concatenate([a, a], axis=None),
    "NaN replaced": lambda a: np.nan_to_num(np.where(a > 4, np.nan, a), nan=2.0),
    "parts, as many as an integer of NumPy says": lambda a: np.stack(np.split(a, np.int64(2))),
    "line": lambda a: np.linspace(a, 2 * a, 3),
    "line with an open end": lambda a: np.linspace(a, 2 * a, 4, endpoint=False, axis=-1),
    "spread": lambda a: np.ptp(a, axis=-1),
    "spread, kept": lambda a: np.ptp(a, axis=0, keepdims=True),
    "columns of a matrix and a vector": lambda a: np.column_stack([a[0], a[1, 0]]),
    "at least one axis": lambda a: np.atleast_1d(a[0, 0, 0]),
    "at least one axis of one": lambda a: np.atleast_1d(a[0, 0]),
    "at least three axes": lambda a: np.atleast_3d(a),
    "at least three axes of two": lambda a: np.atleast_3d(a[0]),
    "at least three axes of four": lambda a: np.atleast_3d(a[None]),
    "number of elements that are not 0": lambda a: np.linalg.norm(a[0, 0], 0),
}


@pytest.mark.parametrize("name", AS_NUMPY)
def test_a_composition_is_what_it_is_for_numpy(name):
    found, expected = AS_NUMPY[name](tg.Tensor(MATRICES, requires_grad=True)), AS_NUMPY[name](MATRICES)
    assert found.shape == expected.shape
    np.testing.assert_allclose(np.asarray(getattr(found, "data", found)), expected, rtol=1e-10, atol=1e-12)


def test_the_cross_entropy_is_minus_the_logarithm_of_the_softmax():
    scores, classes = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]]), np.array([2, 0])
    weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    loss, slope = tg.value_and_grad(nn.cross_entropy)(tg.Tensor(scores), classes)
    np.testing.assert_allclose(loss.item(), -np.log(weights[[0, 1], classes]).mean())
    np.testing.assert_allclose(slope.data, (weights - np.eye(3)[classes]) / 2)


def test_the_slope_of_a_logarithm_of_a_determinant_is_the_transposed_inverse():
    slope = tg.grad(lambda a: np.linalg.slogdet(a)[1])(MATRICES[0])
    np.testing.assert_allclose(slope.data, np.linalg.inv(MATRICES[0]).T)


def test_an_index_of_as_many_arrays_as_numpy_takes_has_its_gradient():
    x = leaf(*[1] * 64)
    np.sum(x[(np.array([0]),) * 63]).backward()
    np.testing.assert_array_equal(x.grad, np.ones(x.shape))


def test_an_array_that_is_indexed_is_not_kept():
    assert isinstance(leaf(3)[np.array([0, 2])].node.args[0], Spec)


def test_scores_of_several_axes_have_the_cross_entropy_of_their_rows():
    scores, classes = np.sin(np.arange(24.0)).reshape(2, 4, 3), np.array([[0, 1, 2, 1], [2, 2, 0, 1]])
    found, expected = nn.cross_entropy(scores, classes), nn.cross_entropy(scores.reshape(8, 3), classes.reshape(8))
    np.testing.assert_allclose(found.item(), expected.item(), rtol=1e-14)


@pytest.mark.parametrize("shape", [(3,), (1, 3), (3, 1), (2, 3)])
@pytest.mark.parametrize("n", [-1, 0, 1, 2])
def test_only_square_matrices_have_powers(shape, n):
    for a in (np.ones(shape), tg.Tensor(np.ones(shape), requires_grad=True)):
        with pytest.raises(np.linalg.LinAlgError):
            np.linalg.matrix_power(a, n)


def test_an_infinity_in_a_matrix_does_not_spoil_its_lowest_powers():
    a = np.array([[np.inf, 2.0], [3.0, np.nan]])
    for n in (0, 1):
        found = np.linalg.matrix_power(tg.Tensor(a, requires_grad=True), n)
        np.testing.assert_array_equal(found.data, np.linalg.matrix_power(a, n))
        assert found.requires_grad


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_a_count_of_what_is_not_zero_has_the_dtype_of_a_norm(dtype):
    a = np.array([[0, 2], [3, 0], [0, 5]], dtype)
    found = np.linalg.norm(tg.Tensor(a), 0, axis=0)
    expected = np.linalg.norm(a, 0, axis=0)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_a_part_without_an_axis_is_named():
    joined = [np.ones(2), tg.Tensor(1.0, name="last")]
    for call in (lambda: np.concatenate(joined), lambda: np.append(*joined, 0)):
        with pytest.raises(ValueError, match=r"part 1 'last' has no axis.*write part\.reshape\(1\)"):
            call()
