"""Reading by index: NumPy's every form, and gradients that accumulate where an element was read twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.core.errors import ShapeError
from tinygrad_rnn.ops import indexing
from tinygrad_rnn.testing import gradcheck
from tinygrad_rnn.testing.strategies import indices, shapes

MASK = np.array([[True, False, True], [False, False, True]])
KEYS = {
    "integer": 1,
    "negative integer": -1,
    "integer of numpy": np.int64(1),
    "integer array of no axes": np.array(1),
    "integer tensor": tg.Tensor(1),
    "slice": slice(0, 1),
    "backwards": slice(None, None, -1),
    "backwards by two": (slice(None), slice(None, None, -2)),
    "empty": slice(2, 2),
    "ellipsis": (..., 0),
    "new axis": (None, 0, None),
    "nothing": (),
    "everything": ...,
    "repeated list": [0, 0, 1, 0],
    "empty list": [],
    "list of lists": [[0, 1], [1, 1]],
    "repeated tuple in a tuple": ((0, 0, 1),),
    "range over both ends": range(-1, 2),
    "array of two axes": np.array([[0, 1], [1, 0]]),
    "unsigned array": np.array([1, 1], np.uint8),
    "repeated tensor": tg.Tensor([1, 1]),
    "pairs": ([0, 1, 0], [2, 0, 2]),
    "pairs that broadcast": (np.array([[0], [1]]), np.array([0, 0, 2])),
    "array and slice": ([1, 1], slice(1, None)),
    "array and integer": ([0, 0], 1),
    "slice and array": (slice(None), [2, 2, 0]),
    "arrays apart": ([0, 1], None, [2, 2]),
    "mask": MASK,
    "mask tensor": tg.Tensor(MASK),
    "mask of nothing": np.zeros((2, 3), bool),
    "mask of one axis": (slice(None), np.array([True, False, True])),
    "list of bools": [True, False],
    "mask and array": (np.array([True, True]), [2, 2]),
    "mask and integer": (np.array([True, False]), 1),
    "bool of no axes": True,
    "bool array of no axes": np.array(False),
}


def plain(key):
    """Return an index as NumPy takes it."""
    parts = [np.asarray(k.data) if isinstance(k, tg.Tensor) else k for k in (key if isinstance(key, tuple) else (key,))]
    return tuple(parts) if isinstance(key, tuple) else parts[0]


def check(array, key):
    tensor = tg.Tensor(array, requires_grad=True)
    found, expected = tensor[key], array[plain(key)]
    np.testing.assert_array_equal(found.data, expected)
    cotangent = 1.0 + np.arange(expected.size).reshape(expected.shape)
    full = np.zeros_like(array)
    np.add.at(full, plain(key), cotangent)
    found.backward(cotangent)
    np.testing.assert_array_equal(tensor.grad, full)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_every_form_of_index_reads_and_accumulates_as_numpy_does(key):
    array = np.arange(6.0).reshape(2, 3)
    check(array, key)
    gradcheck(lambda tensor: tensor[key], [array])


@given(data=st.data())
def test_drawn_indices_read_and_accumulate_as_numpy_does(data):
    shape = data.draw(shapes())
    array = np.arange(float(np.prod(shape))).reshape(shape)
    check(array, data.draw(indices(shape)))


def test_changing_an_index_array_afterwards_does_not_change_the_gradient():
    x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    index = np.array([0, 0])
    y = x[index]
    index[:] = 2
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 0, 0])


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (5, r"index 5 of tensor h with shape \(2, 3\)"),
        ((0, 0, 0), "too many indices"),
        ([0, 7], "with shape"),
        (1.5, "an index of dtype float64; give integers"),
        ("a", "an index of dtype <U1; give integers"),
        (np.ones((2, 2), bool), "with shape"),
    ],
    ids=str,
)
def test_an_index_that_does_not_fit_is_an_index_error(key, message):
    with pytest.raises(IndexError, match=message):
        tg.Tensor(np.ones((2, 3)), name="h")[key]


def test_reading_every_time_step_adds_into_one_buffer():
    steps = 50
    x = tg.Tensor(np.ones((steps, 2)), requires_grad=True)
    total = sum([(t + 1) * x[t].sum() for t in range(steps)], start=0.0)
    buffers = []

    def adding(buffer, *args, **params):
        buffers.append(buffer)
        return indexing._scatter(buffer, *args, **params)

    def full(*args, **params):
        raise AssertionError("a whole array was made for one time step")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexing.scatter_add, "accumulate", adding)
        patch.setattr(indexing.scatter_add, "forward", full)
        total.backward()
    assert len(buffers) == steps
    assert all(buffer is buffers[0] for buffer in buffers)
    np.testing.assert_array_equal(x.grad, np.repeat(np.arange(1.0, steps + 1)[:, None], 2, axis=1))


def test_an_addend_goes_on_top_of_a_cotangent_that_another_tensor_shares():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    y = tg.Tensor([1.0, 2.0], requires_grad=True)
    first = x[0]
    (first + (x + y).sum()).backward()
    np.testing.assert_array_equal(x.grad, [2, 1])
    np.testing.assert_array_equal(y.grad, [1, 1])


TAKEN = [
    (np.array([[0, 0, 2]]), 1),
    (np.array([[1, 1, 0]]), 0),
    (np.array([[-1], [0]]), -1),
    (np.array([[-1]]), 0),
    (np.array([5, 5, 0]), None),
    (tg.Tensor([[0, 1, 0]]), 0),
]


@pytest.mark.parametrize(("places", "axis"), TAKEN)
def test_take_along_axis_accumulates(places, axis):
    array = np.arange(6.0).reshape(2, 3)
    found = np.take_along_axis(tg.Tensor(array), places, axis)
    np.testing.assert_array_equal(found.data, np.take_along_axis(array, plain(places), axis))
    gradcheck(lambda tensor: np.take_along_axis(tensor, places, axis), [array])


def test_take_along_axis_refuses_other_shapes_and_dtypes():
    x = tg.Tensor(np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"indices of shape \(4, 1\) for a tensor of shape \(2, 3\)"):
        np.take_along_axis(x, np.zeros((4, 1), int), 1)
    with pytest.raises(IndexError, match="give integers with as many axes"):
        np.take_along_axis(x, np.zeros(3, int), 1)
    with pytest.raises(IndexError, match="indices of dtype float64"):
        np.take_along_axis(x, np.zeros((2, 1)), 1)


@given(ids=st.lists(st.integers(0, 4), min_size=1))
def test_one_hot_times_a_matrix_is_the_lookup_of_an_embedding(ids):
    table = np.arange(10.0).reshape(5, 2)
    by_product = gradients_of(lambda weights: tg.one_hot(ids, 5, dtype=float) @ weights, table)
    by_index = gradients_of(lambda weights: weights[np.array(ids)], table)
    for one, other in zip(by_product, by_index, strict=True):
        np.testing.assert_array_equal(one, other)


def gradients_of(function, array):
    tensor = tg.Tensor(array, requires_grad=True)
    y = function(tensor)
    cotangent = 1.0 + np.arange(y.size).reshape(y.shape)
    return y.data, tg.gradients(y, [tensor], cotangent)[0]


def test_one_hot_refuses_an_index_out_of_range():
    with pytest.raises(IndexError, match="indices from 0 to 3; give integers from 0 to 2"):
        tg.one_hot([0, 3], 3)
    with pytest.raises(IndexError, match="indices from -1 to 0"):
        tg.one_hot([-1, 0], 3)
