"""What was chosen where mathematics or NumPy leaves a choice: kinks, ties, zeros, bounds, modes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import NoRuleError
from tinygrad_rnn.testing import gradcheck
from tinygrad_rnn.testing.strategies import values


def slopes(function, *arrays, cotangent=None):
    """Return the gradients by the reverse sweep, after comparing them with tangents pushed forward."""
    tensors = [tg.Tensor(np.array(array, float), requires_grad=True) for array in arrays]
    y = function(*tensors)
    cotangent = np.ones(y.shape) if cotangent is None else cotangent
    found = tg.gradients(y, tensors, cotangent)
    for i, slope in enumerate(found):
        for place in np.ndindex(slope.shape):
            along = [np.zeros_like(slope) for slope in found]
            along[i][place] = 1
            pushed = tg.jvp(function, [tensor.data for tensor in tensors], along)[1]
            np.testing.assert_array_equal(np.sum(pushed.data * cotangent), slope[place])
    return [slope.tolist() for slope in found]


AT_A_KINK = {
    "relu at 0": (tg.relu, [0.0], 0.0),
    "abs at 0": (np.abs, [0.0, -2.0], [0.0, -1.0]),
    "fabs at 0": (np.fabs, [0.0, -2.0], [0.0, -1.0]),
    "norm at 0": (np.linalg.norm, [0.0, 0.0], [0.0, 0.0]),
    "hypot at 0": (lambda x: np.hypot(x, 0.0), [0.0], 0.0),
    "sign": (np.sign, [0.0, 3.0], [0.0, 0.0]),
    "floor": (np.floor, [1.0, 1.5], [0.0, 0.0]),
    "round": (np.round, [0.5, 1.4], [0.0, 0.0]),
    "max of three, two tied": (np.max, [2.0, 1.0, 2.0], [0.5, 0.0, 0.5]),
    "min of three equal": (np.min, [1.0, 1.0, 1.0], [1 / 3] * 3),
    "max by rows": (lambda x: x.max(axis=1), [[1.0, 1.0], [0.0, 4.0]], [[0.5, 0.5], [0.0, 1.0]]),
    "clip at its bounds": (lambda x: np.clip(x, -1, 1), [-1.0, 1.0, 1.5, -2.0], [1.0, 1.0, 0.0, 0.0]),
    "clip between equal bounds": (lambda x: np.clip(x, 1, 1), [1.0, 2.0], [1.0, 0.0]),
    "maximum with itself": (lambda x: np.maximum(x, x), [1.0], 1.0),
    "zero to the zero": (lambda x: x**0, [0.0], 0.0),
    "zero to the one": (lambda x: x**1, [0.0], 1.0),
    "zero to powers": (lambda x: x ** np.array([0.0, 1.0, 2.0, 3.0]), [0.0] * 4, [0.0, 1.0, 0.0, 0.0]),
    "zero as base, to the zero": (lambda x: np.power(0.0, x), [0.0], 0.0),
    "zero as base": (lambda x: np.power(0.0, x), [2.0], 0.0),
}


@pytest.mark.parametrize(("function", "at", "slope"), AT_A_KINK.values(), ids=AT_A_KINK)
def test_the_derivative_at_a_kink_is_the_documented_one(function, at, slope):
    at = at[0] if np.ndim(slope) == 0 else at
    assert slopes(function, at) == [slope]


def test_ties_of_maximum_and_minimum_share_equally():
    for function in (np.maximum, np.minimum):
        assert slopes(function, [1.0, 2.0], [1.0, 2.0]) == [[0.5, 0.5], [0.5, 0.5]]
    assert slopes(np.maximum, [1.0, 5.0], [3.0, 4.0]) == [[0.0, 1.0], [1.0, 0.0]]


def test_bounds_of_clip_get_the_gradient_of_what_they_replaced():
    x, low, high = [-3.0, -1.0, 0.0, 1.0, 4.0], [-1.0] * 5, [1.0] * 5
    assert slopes(np.clip, x, low, high) == [[0, 1, 1, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]]


def test_clip_between_bounds_in_the_wrong_order_gives_the_upper_one_as_numpy_does():
    x = np.array([-2.0, 0.0, 2.0])
    np.testing.assert_array_equal(np.clip(tg.Tensor(x), 1.0, -1.0).data, np.clip(x, 1.0, -1.0))
    assert slopes(np.clip, x, [1.0] * 3, [-1.0] * 3) == [[0, 0, 0], [0, 0, 0], [1, 1, 1]]


def test_the_square_root_of_zero_has_an_infinite_slope():
    x = tg.Tensor([0.0, 4.0], requires_grad=True)
    with np.errstate(divide="ignore"):
        np.sqrt(x).sum().backward()
    np.testing.assert_array_equal(x.grad, [np.inf, 0.25])


@pytest.mark.parametrize("function", [np.isnan, np.isfinite, np.signbit, lambda x: x > 0, lambda x: x == 1.0])
def test_comparisons_and_tests_give_bool_arrays(function):
    found = function(tg.Tensor([1.0, -1.0], requires_grad=True))
    assert type(found) is np.ndarray and found.dtype == bool


@pytest.mark.parametrize("zeros", [[], [0], [1], [0, 2], [0, 1, 2]])
def test_a_product_has_the_right_gradient_where_factors_are_zero(zeros):
    array = np.array([[2.0, 3.0], [4.0, 5.0], [6.0, 7.0]])
    array[zeros, 0] = 0
    for keywords in ({}, {"axis": 0}, {"axis": (0, 1), "keepdims": True}, {"axis": 1}):
        np.testing.assert_allclose(np.prod(tg.Tensor(array), **keywords).data, np.prod(array, **keywords))
        gradcheck(lambda x, keywords=keywords: np.prod(x, **keywords), [array], atol=1e-4)
    gradcheck(lambda x: np.cumprod(x, axis=0), [array], atol=1e-4)


def test_the_product_of_nothing_is_one_and_is_still_recorded():
    x = tg.Tensor(np.ones((0, 3)), requires_grad=True)
    y = np.prod(x, axis=0)
    np.testing.assert_array_equal(y.data, [1, 1, 1])
    y.sum().backward()
    assert x.grad.shape == (0, 3)


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.int32, np.uint8, np.int64])
@pytest.mark.parametrize(
    "function",
    [np.sum, np.prod, np.max, np.mean, np.cumsum, lambda x: np.clip(x, 0, None), lambda x: np.clip(x, None, 1)],
)
def test_integer_tensors_compute_as_integer_arrays_do(function, dtype):
    array = np.array([1, 0, 1], dtype)
    found = function(tg.Tensor(array))
    assert found.dtype == function(array).dtype
    np.testing.assert_array_equal(found.data, function(array))


@pytest.mark.parametrize("function", [np.add, np.maximum, np.minimum, np.multiply])
def test_reducing_with_a_ufunc_goes_along_the_first_axis(function):
    array = np.arange(1.0, 7.0).reshape(2, 3)
    np.testing.assert_array_equal(function.reduce(tg.Tensor(array)).data, function.reduce(array))
    np.testing.assert_array_equal(function.reduce(tg.Tensor(array), axis=None).data, function.reduce(array, axis=None))


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("width", [1, (2, 1), ((0, 2), (1, 0)), {1: 2}, {-1: (0, 3), 0: (1, 1)}])
@given(data=st.data())
def test_padding_in_every_mode(mode, width, data):
    array = data.draw(values((2, 3)))
    np.testing.assert_array_equal(np.pad(tg.Tensor(array), width, mode).data, np.pad(array, width, mode))
    cotangent = data.draw(values(np.pad(array, width, mode).shape))
    places = np.pad(np.arange(6).reshape(2, 3), width, mode, **({"constant_values": 6} if mode == "constant" else {}))
    expected = np.bincount(places.ravel(), cotangent.ravel(), 7)[:6].reshape(2, 3)
    x = tg.Tensor(array, requires_grad=True)
    np.pad(x, width, mode).backward(cotangent)
    np.testing.assert_allclose(x.grad, expected, rtol=1e-12, atol=1e-15)


def test_padding_with_other_values_is_numpys_and_other_modes_are_refused_by_name():
    array = np.arange(3, dtype=np.float32)
    for constant in (1.5, -np.inf, (4, 5)):
        found = np.pad(tg.Tensor(array), 1, constant_values=constant)
        np.testing.assert_array_equal(found.data, np.pad(array, 1, constant_values=constant))
        assert found.dtype == np.float32
    gradcheck(lambda x: np.pad(x, 1, constant_values=2.0), [array])
    with pytest.raises(NoRuleError, match=r"np\.pad with mode='mean' has no rule"):
        np.pad(tg.Tensor(array), 1, mode="mean")


@pytest.mark.parametrize("where", [2, [1, 3], [3, 1], [-1], [0, 0, 9], np.array([2]), np.int64(4), []])
def test_split_gives_numpys_parts_and_counts_what_was_cut_out_twice(where):
    array = np.arange(4.0)
    found = np.split(tg.Tensor(array), where)
    for part, expected in zip(found, np.split(array, where), strict=True):
        np.testing.assert_array_equal(part.data, expected)
    gradcheck(lambda x: np.split(x, where), [array])


def test_split_is_one_node_and_needs_a_cotangent_of_one_part_only():
    x = tg.Tensor(np.arange(4.0), requires_grad=True)
    parts = np.split(x, 2)
    assert len({part.node for part in parts}) == 1
    parts[1].sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 0, 1, 1])
    with pytest.raises(ValueError, match="axis 0 of length 4 into 3 equal parts; give a divisor of 4"):
        np.split(x, 3)


def test_joining_takes_tensors_arrays_numbers_and_a_tensor_of_rows():
    x = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    np.testing.assert_array_equal(np.concatenate([x, np.zeros((1, 2))], axis=None).data, [1, 2, 3, 4, 0, 0])
    np.testing.assert_array_equal(np.concatenate(x).data, [1, 2, 3, 4])
    np.testing.assert_array_equal(np.stack([x[0, 0], 7.0]).data, [1, 7])
    np.testing.assert_array_equal(np.concatenate([x, [[5.0, 6.0]]]).data, [[1, 2], [3, 4], [5, 6]])
    assert np.concatenate([x.astype(np.float32), np.zeros((1, 2), np.float64)]).dtype == np.float64
    gradcheck(lambda a, b: np.concatenate([a, np.ones((1, 2)), b], axis=None), [x.data, x.data + 4])
    with pytest.raises(ValueError, match=r"np\.stack"):
        np.concatenate([tg.Tensor(1.0), tg.Tensor(2.0)])
    with pytest.raises(ValueError, match="part 1 has no axis"):
        np.concatenate([tg.Tensor([1.0]), np.array(2.0)])


def test_the_variance_of_one_element_with_one_degree_of_freedom_is_nan_and_so_is_its_gradient():
    x = tg.Tensor([1.0], requires_grad=True)
    with pytest.warns(RuntimeWarning):
        y = np.var(x, ddof=1)
    with np.errstate(all="ignore"):
        y.backward()
    assert np.isnan(y.item()) and np.isnan(x.grad).all()


def test_copysign_is_flat_at_zero():
    a = tg.Tensor([0.0, -2.0, 3.0], requires_grad=True)
    np.sum(np.copysign(a, np.array([-1.0, 1.0, -1.0]))).backward()
    np.testing.assert_array_equal(a.grad, [0, -1, -1])


def test_the_sigmoid_of_a_number_is_a_number():
    assert tg.sigmoid(0.0) == 0.5
    assert tg.sigmoid(np.float32(0.0)) == 0.5


def test_a_cut_behind_either_end_leaves_an_empty_part():
    v = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    for cuts in ([-1], [-10], [-3], [10], [-2, 2]):
        found, expected = np.split(v, cuts), np.split(v.data, cuts)
        assert [part.shape for part in found] == [part.shape for part in expected]
        for part, array in zip(found, expected, strict=True):
            np.testing.assert_array_equal(part.data, array)


def test_full_matrices_of_a_stack_of_oblong_ones_are_refused():
    for shape in ((3, 4), (2, 3, 4), (2, 4, 3)):
        with pytest.raises(NoRuleError, match="full_matrices=False"):
            np.linalg.svd(tg.Tensor(np.ones(shape), requires_grad=True), full_matrices=True)


def test_cross_entropy_over_time_has_right_derivatives_of_both_orders():
    scores = np.random.default_rng(0).normal(size=(2, 3, 4))
    classes = np.array([[0, 1, 3], [2, 2, 0]])
    gradcheck(lambda s: nn.cross_entropy(s, classes, reduction="none"), [scores], order=2)
