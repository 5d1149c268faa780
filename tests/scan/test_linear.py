"""The linear recurrence: equal to the loop, in chunks or not, with derivatives of every order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.core import errors
from tinygrad_rnn.scan import linear
from tinygrad_rnn.testing import gradcheck

# Rows on both sides of the size where chunks stop being worth while, and times on both sides of where they start.
TIMES, ROWS = [0, 1, 2, 31, 32, 33, 48, 100, 300], [(), (1,), (3,), (0,), (2, 3), (2, 65), (2, 150)]


def loop(a, b, h0=None, reverse=False):
    """The recurrence on arrays, or recorded on tensors, one step at a time."""
    shape = np.broadcast_shapes(np.shape(a), np.shape(b))
    a, b = np.broadcast_to(a, shape), np.broadcast_to(b, shape)
    h = np.zeros(shape[1:]) if h0 is None else h0
    states = []
    for t in range(shape[0])[:: -1 if reverse else 1]:
        h = a[t] * h + b[t]
        states.append(h)
    return np.stack(states[:: -1 if reverse else 1]) if states else np.zeros(shape)


@st.composite
def recurrences(draw, times=TIMES, rows=ROWS):
    time, row = draw(st.sampled_from(times)), draw(st.sampled_from(rows))
    ones = (1,) * len(row)
    of_a = draw(st.sampled_from([(time, *row), (time, *ones), (1, *row), row, ()]))
    of_b = (time, *row) if of_a != (time, *row) else draw(st.sampled_from([(time, *row), (time, *ones), row]))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    a, b = rng.uniform(-1, 1, of_a), rng.normal(size=of_b)
    a = np.asarray(np.where(rng.random(of_a) < draw(st.sampled_from([0, 0.1])), 0, a))
    h0 = draw(st.sampled_from([None, rng.normal(size=row), rng.normal(size=row[1:])]))
    return (a, b, h0), draw(st.booleans())


@given(recurrences())
@settings(max_examples=300)
def test_the_states_are_those_of_the_loop(drawn):
    args, reverse = drawn
    before = [None if arg is None else arg.copy() for arg in args]
    np.testing.assert_allclose(tg.linear_recurrence(*args, reverse), loop(*args, reverse), rtol=0, atol=1e-12)
    for arg, copy in zip(args, before, strict=True):
        np.testing.assert_array_equal(arg, copy)


@given(st.sampled_from([(), (3,), (200,)]), st.floats(1, 1.05), st.integers(0, 9999))
def test_growing_states_are_those_of_the_loop(row, largest, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(2 - largest, largest, (300, *row)), rng.normal(size=(300, *row))
    for factor in a, largest:
        expected = loop(factor, b)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(tg.linear_recurrence(factor, b) / scale, expected / scale, rtol=0, atol=1e-10)


@pytest.mark.parametrize("row", [(3,), (200,)])
def test_products_that_overflow_leave_finite_states_as_they_are(row):
    time = 400
    a, b = np.full((time, *row), 1e200), np.zeros((time, *row))
    np.testing.assert_array_equal(tg.linear_recurrence(a, b), 0)
    a[::3], b[1::3] = 0, 1e-300
    np.testing.assert_allclose(tg.linear_recurrence(a, b), loop(a, b), rtol=1e-12)
    assert not tg.linear_recurrence(a, b)[::3].any()


@pytest.mark.parametrize("row", [(3,), (200,)])
def test_nan_reaches_the_later_states_of_its_own_element_alone(row):
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 1, (50, *row)), rng.normal(size=(50, *row))
    b[20, 1] = np.nan
    np.testing.assert_allclose(tg.linear_recurrence(a, b), loop(a, b), atol=1e-12)


@pytest.mark.parametrize("time", [3, 50])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_dtype_is_kept_on_arrays_and_tensors_and_in_gradients(dtype, time):
    a, b, h0 = np.full((time, 2), 0.5, dtype), np.ones((time, 2), dtype), np.ones(2, dtype)
    assert tg.linear_recurrence(a, b).dtype == tg.linear_recurrence(0.5, b, 1).dtype == dtype
    tensors = [tg.Tensor(array, requires_grad=True) for array in (a, b, h0)]
    h = tg.linear_recurrence(*tensors)
    assert h.dtype == dtype
    np.testing.assert_array_equal(h.data, tg.linear_recurrence(a, b, h0))
    assert [slope.dtype for slope in tg.gradients(np.sum(h), tensors)] == [dtype] * 3
    assert tg.linear_recurrence(a, b.astype(np.float64)).dtype == np.float64


@given(recurrences(times=[0, 1, 2, 4], rows=[(), (2,), (2, 2)]))
def test_derivatives_are_those_of_central_differences(drawn):
    args, reverse = drawn
    gradcheck(
        lambda *tensors: tg.linear_recurrence(*tensors, reverse=reverse), [arg for arg in args if arg is not None]
    )


@given(recurrences(times=[1, 2, 33, 40], rows=[(), (2,), (2, 2)]), st.data())
def test_derivatives_to_second_order_are_those_of_the_recorded_loop(drawn, data):
    args, reverse = drawn
    args = [arg for arg in args if arg is not None]
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    along, across = ([rng.normal(size=arg.shape) for arg in args] for _ in range(2))
    weights = rng.normal(size=loop(*args, reverse=reverse).shape)

    def derivatives(function):
        def total(*tensors):
            return np.sum(np.sin(function(*tensors, reverse=reverse)) * weights)

        def slope(*tensors):
            return tg.jvp(total, tensors, along)[1]

        value, pushed = tg.jvp(total, args, along)
        reverse_over_forward = tg.vjp(slope, *args)[1](1.0)
        forward_over_forward = tg.jvp(slope, args, across)[1]
        return [value, pushed, *tg.vjp(total, *args)[1](1.0), *reverse_over_forward, forward_over_forward]

    for found, expected in zip(derivatives(tg.linear_recurrence), derivatives(loop), strict=True):
        np.testing.assert_allclose(found.data, expected.data, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("moving", [(0,), (1,), (2,)])
@pytest.mark.parametrize("of_a", [(), (5, 1)])
def test_a_tangent_of_one_argument_alone_is_pushed(moving, of_a):
    rng = np.random.default_rng(0)
    args = [rng.uniform(-1, 1, of_a), rng.normal(size=(5, 1)), rng.normal(size=3)]

    def function(*moved):
        every = list(args)
        for place, value in zip(moving, moved, strict=True):
            every[place] = value
        return tg.linear_recurrence(*every)

    gradcheck(function, [args[place] for place in moving])


@given(st.integers(1, 3), st.sampled_from([1, 5, 40]), st.booleans(), st.booleans())
def test_members_of_a_stack_are_those_of_single_calls(count, time, shared, reverse):
    rng = np.random.default_rng(time)
    a = rng.uniform(-1, 1, (time, 2) if shared else (count, time, 2))
    b, h0 = rng.normal(size=(count, time, 2)), rng.normal(size=(count, 2))
    axes = (None if shared else 0, 0, 0)
    found = tg.vmap(lambda a, b, h0: tg.linear_recurrence(a, b, h0, reverse), axes)(a, b, h0)
    for k in range(count):
        expected = tg.linear_recurrence(a if shared else a[k], b[k], h0[k], reverse)
        np.testing.assert_allclose(found.data[k], expected, atol=1e-12)


def test_narrow_rows_are_taken_in_chunks_and_wide_ones_step_by_step(monkeypatch):
    lengths = []

    def noting(a, b, h, out, one_by_one=linear._one_by_one):
        lengths.append(len(b))
        one_by_one(a, b, h, out)

    monkeypatch.setattr(linear, "_one_by_one", noting)
    tg.linear_recurrence(0.5, np.ones((10_000, 3)))
    assert max(lengths) == 99
    lengths.clear()
    tg.linear_recurrence(0.5, np.ones((100, 3000)))
    assert lengths == [100]


def test_the_result_may_be_written_to_and_the_arguments_may_change_after_the_call():
    a, b = np.full((40, 2), 0.5), np.ones((40, 2))
    tensor = tg.Tensor(b, requires_grad=True)
    h = tg.linear_recurrence(a, tensor)
    a[:] = 7.0
    np.sum(h).backward()
    np.testing.assert_allclose(tensor.grad, loop(0.5, np.ones((40, 2)), reverse=True))
    result = tg.linear_recurrence(0.5, b)
    result[:] = 0.0
    np.testing.assert_array_equal(b, 1.0)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((0.5, 2.0), "no time"),
        ((np.ones((3, 2)), np.ones((3, 2)), np.ones((3, 2))), "an initial state of shape (3, 2)"),
        ((np.ones((3, 2)), np.ones((4, 2))), "linear_recurrence of shapes (3, 2) and (4, 2)"),
        ((np.ones((3, 2)), np.ones((3, 2)), np.ones(5)), "linear_recurrence of shapes"),
    ],
)
def test_shapes_that_do_not_belong_together_are_refused(args, words):
    with pytest.raises(errors.ShapeError) as error:
        tg.linear_recurrence(*args)
    assert words in str(error.value)
