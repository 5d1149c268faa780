"""The loop over time: order, lengths, nests, and steps that break the protocol."""

from collections import OrderedDict, namedtuple
from time import process_time

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.core import errors
from tinygrad_rnn.scan import scan

floats = st.floats(-2, 2)


def add(x, total):
    return total + x, total + x


def leaky(x, h):
    h = np.tanh(0.5 * h + x)
    return h * x, h


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5), elements=floats))
def test_a_scan_of_sums_is_cumsum(x):
    sums, last = scan(add, np.zeros(x.shape[1:]), x)
    np.testing.assert_allclose(sums.data, np.cumsum(x, axis=0), atol=1e-12)
    np.testing.assert_allclose(last.data, x.sum(axis=0), atol=1e-12)


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=5), elements=floats))
def test_a_reverse_scan_answers_in_the_time_order_of_its_input(x):
    sums, last, states = scan(add, np.zeros(x.shape[1:]), x, reverse=True, return_states=True)
    np.testing.assert_allclose(sums.data, np.cumsum(x[::-1], axis=0)[::-1], atol=1e-12)
    np.testing.assert_array_equal(states.data, sums.data)
    np.testing.assert_array_equal(last.data, sums.data[0])


@st.composite
def ragged(draw):
    time, batch = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    lengths = draw(st.lists(st.integers(0, time), min_size=batch, max_size=batch))
    x = np.random.default_rng(draw(st.integers(0, 9999))).normal(size=(time, batch, 2))
    return x, np.array(lengths)


@given(ragged(), st.booleans())
def test_a_ragged_batch_equals_its_rows_one_by_one(batch, reverse):
    x, lengths = batch
    init = np.linspace(-1, 1, x[0].size).reshape(x.shape[1:])
    x[np.arange(len(x))[:, None] >= lengths] = np.nan
    ys, final, states = scan(leaky, init, x, lengths, reverse=reverse, return_states=True)
    assert ys.shape == states.shape == x.shape
    for row, n in enumerate(lengths):
        assert not ys.data[n:, row].any()
        assert not states.data[n:, row].any()
        if n == 0:
            np.testing.assert_array_equal(final.data[row], init[row])
            continue
        alone = scan(leaky, init[row], x[:n, row], reverse=reverse, return_states=True)
        for whole, part in zip((ys.data[:n, row], final.data[row], states.data[:n, row]), alone, strict=True):
            np.testing.assert_array_equal(whole, part.data)


@given(ragged(), st.booleans())
def test_gradients_of_a_ragged_batch_equal_those_of_its_rows(batch, reverse):
    values, lengths = batch
    values[np.arange(len(values))[:, None] >= lengths] = np.inf
    x, init = tg.Tensor(values, requires_grad=True), tg.Tensor(np.full(values.shape[1:], 0.3), requires_grad=True)
    ys, final = scan(leaky, init, x, lengths, reverse=reverse)
    (np.sum(ys * ys) + np.sum(np.sin(final))).backward()
    for row, n in enumerate(lengths):
        assert not x.grad[n:, row].any()
        if n == 0:
            np.testing.assert_allclose(init.grad[row], np.cos(0.3), atol=1e-12)
            continue
        x_row, init_row = tg.Tensor(values[:n, row], requires_grad=True), tg.Tensor([0.3, 0.3], requires_grad=True)
        ys_row, final_row = scan(leaky, init_row, x_row, reverse=reverse)
        (np.sum(ys_row * ys_row) + np.sum(np.sin(final_row))).backward()
        np.testing.assert_allclose(x.grad[:n, row], x_row.grad, atol=1e-12)
        np.testing.assert_allclose(init.grad[row], init_row.grad, atol=1e-12)


def test_inputs_outputs_and_states_may_be_nests():
    State = namedtuple("State", ["total", "seen"])

    def step(x, state):
        total = state.total + x["a"] * x["b"][:, None]
        return (total, {"seen": state.seen}), State(total, state.seen + 1)

    a, b = np.arange(12.0).reshape(3, 2, 2), np.arange(6.0).reshape(3, 2)
    init = State(np.zeros((2, 2)), np.zeros(2, dtype=int))
    (totals, others), final, states = scan(step, init, {"a": a, "b": b}, [3, 1], return_states=True)
    expected = a * b[:, :, None]
    np.testing.assert_array_equal(final.total.data, [expected[:, 0].sum(0), expected[0, 1]])
    np.testing.assert_array_equal(final.seen.data, [3, 1])
    np.testing.assert_array_equal(others["seen"].data, [[0, 0], [1, 0], [2, 0]])
    np.testing.assert_array_equal(states.seen.data, [[1, 1], [2, 0], [3, 0]])
    assert totals.shape == (3, 2, 2)
    assert final.seen.dtype == np.int_


def test_the_input_may_change_after_the_scan():
    x = np.ones((3, 1))
    w = tg.Tensor(2.0, requires_grad=True)
    ys, _ = scan(lambda x, s: (x * w, s), np.zeros(1), x)
    x[:] = 100.0
    np.sum(ys).backward()
    assert w.grad == 3.0


@tg.engine("eager")
def test_nodes_carry_the_number_of_their_time_step():
    x = tg.Tensor(np.ones((3, 1)), requires_grad=True)
    for reverse in False, True:
        with tg.scope("loop"):
            ys, _, _ = scan(lambda x, s: (np.exp(x), s), np.zeros(1), x, reverse=reverse, return_states=True)
        made = [node.scope for node in _ancestors(ys) if node.operation == "exp"]
        assert sorted(made) == [("loop", 0), ("loop", 1), ("loop", 2)]


def _ancestors(tensor):
    seen, todo = set(), [tensor.node]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo.extend(node.parents)
    return seen


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("time", "lengths"), [(0, None), (0, [0, 0]), (4, [0, 0])])
def test_no_step_at_all_gives_the_initial_state_and_zeros_of_the_right_shape(time, lengths, reverse):
    init = tg.Tensor(np.full((2, 3), 7.0), requires_grad=True)
    x = np.full((time, 2, 3), np.nan, dtype=np.float32)

    def step(x, state):
        return np.sum(x / x, axis=1), state

    ys, final, states = scan(step, init, x, lengths, reverse=reverse, return_states=True)
    assert ys.shape == (time, 2)
    assert ys.dtype == np.float32
    assert states.shape == (time, 2, 3)
    assert not ys.data.any()
    np.testing.assert_array_equal(final.data, init.data)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("time", [0, 4])
def test_a_batch_of_empty_rows_still_has_gradients_and_they_are_zero(time, reverse):
    x, w = tg.Tensor(np.full((time, 2, 3), np.inf), requires_grad=True), tg.Tensor(np.ones(3), requires_grad=True)
    init = tg.Tensor(np.zeros((2, 3)), requires_grad=True)
    ys, final = scan(lambda x, h: (w * x * h, h), init, x, [0, 0], reverse=reverse)
    (np.sum(ys) + np.sum(final)).backward()
    np.testing.assert_array_equal(x.grad, np.zeros((time, 2, 3)))
    np.testing.assert_array_equal(w.grad, np.zeros(3))
    np.testing.assert_array_equal(init.grad, np.ones((2, 3)))


def test_a_batch_without_rows_is_scanned():
    ys, final = scan(leaky, np.zeros((0, 2)), np.zeros((3, 0, 2)), np.zeros(0, dtype=int))
    assert ys.shape == (3, 0, 2)
    assert final.shape == (0, 2)
    assert scan(leaky, np.zeros((0, 2)), np.zeros((3, 0, 2)), [])[0].shape == (3, 0, 2)


def test_ten_thousand_steps_take_no_recursion_and_no_quadratic_time():
    # A gradient of x[t] as large as x would move 10,000 x 10,000 x 512 numbers: minutes, not seconds.
    start = process_time()
    x = tg.Tensor(np.full((10_000, 1, 512), 0.01), requires_grad=True)
    ys, _ = scan(leaky, np.zeros((1, 512)), x, [9_999], return_states=False)
    np.sum(ys).backward()
    assert np.isfinite(x.grad).all()
    assert not x.grad[-1].any()
    assert process_time() - start < 30


def test_padding_that_a_step_cannot_take_raises_no_warning_and_leaves_the_gradient_clean():
    def direction(x, h):
        h = h + x / np.sqrt(np.sum(x * x, axis=-1, keepdims=True))
        return h, h

    values = np.ones((4, 2, 3))
    values[2:, 0] = 0
    for reverse in False, True:
        x = tg.Tensor(values, requires_grad=True)
        ys, final = scan(direction, np.zeros((2, 3)), x, [2, 4], reverse=reverse)
        (np.sum(ys) + np.sum(final * final)).backward()
        assert np.isfinite(x.grad).all()
        assert not x.grad[2:, 0].any()


def test_padding_of_the_reverse_direction_repeats_the_last_valid_step():
    def step(x, h):
        return np.sqrt(x - h), 0 * h - 5

    x = tg.Tensor([[-3.0, -3.0], [1.0, -3.0], [7.0, 1.0]], requires_grad=True)
    ys, _ = scan(step, np.zeros(2), x, [2, 3], reverse=True)
    np.sum(ys).backward()
    np.testing.assert_allclose(ys.data, [[2**0.5, 2**0.5], [1, 2**0.5], [0, 1]])
    np.testing.assert_allclose(x.grad, [[8**-0.5, 8**-0.5], [0.5, 8**-0.5], [0, 0.5]])


@pytest.mark.parametrize(
    ("lengths", "error", "words"),
    [
        ([1, 5], errors.DataError, "row 1 is 5.*0 to 4"),
        ([-1, 2], errors.DataError, "row 0 is -1"),
        ([1.0, 2.0], errors.DtypeError, "float64"),
        ([True, False], errors.DtypeError, "bool"),
        ([1, 2, 3], errors.ShapeError, r"\(3,\).*batch of 2"),
        ([[1, 2]], errors.ShapeError, r"\(1, 2\)"),
        (3, errors.ShapeError, r"\(\)"),
    ],
)
def test_lengths_that_do_not_fit_are_named(lengths, error, words):
    with pytest.raises(error, match=words):
        scan(leaky, np.zeros((2, 3)), np.ones((4, 2, 3)), lengths)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda x, h: h, "return a pair"),
        (lambda x, h: [h, h], "return a pair"),
        (lambda x, h: (h, h, h), "return a pair"),
        (lambda x, h: None, "return a pair"),
        (lambda x, h: (h, (h, h)), r"given the state float64\[2, 3\] and returned the state \(float64\[2, 3\], "),
        (lambda x, h: (h, h[:1]), r"returned the state float64\[1, 3\]"),
        (lambda x, h: (h, h.astype(np.float32)), r"returned the state float32\[2, 3\]"),
        (lambda x, h: (h, None), "returned the state None"),
        (lambda x, h: (h, 0.0), "returned the state float 0.0"),
        (lambda x, h: (0.0, h), "the output is float 0.0"),
    ],
)
def test_a_step_that_breaks_the_protocol_is_named(step, words):
    with pytest.raises(errors.CellError, match=words):
        scan(step, np.zeros((2, 3)), np.ones((4, 2, 3)))


def test_a_tensor_of_two_rows_is_no_pair():
    with pytest.raises(errors.CellError, match="return a pair"):
        scan(lambda x, h: np.stack([h, h]), np.zeros(3), np.ones((4, 3)))


@pytest.mark.parametrize("changed", ["state", "output"])
@tg.engine("eager")
def test_a_change_between_later_steps_is_named_with_its_step(changed):
    def step(x, h):
        count.append(1)
        late = len(count) == 3
        return (h[:1] if changed == "output" and late else h), (h[:1] if changed == "state" and late else h)

    count = []
    with pytest.raises(errors.CellError, match="step 2:"):
        scan(step, np.zeros((2, 3)), np.ones((4, 2, 3)))


@pytest.mark.parametrize("init", [{"a": np.zeros(2)}, [np.zeros(2)], (np.zeros(2),), (np.zeros(2),) * 3])
def test_states_of_every_nest_are_handed_on_and_compared(init):
    def rename(state):
        return {"b": state["a"]} if isinstance(state, dict) else (*state, state[0])

    _, final = scan(lambda x, s: (x, s), init, np.ones((3, 2)))
    assert type(final) is type(init)
    with pytest.raises(errors.CellError, match="same nest"):
        scan(lambda x, s: (x, rename(s)), init, np.ones((3, 2)))


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize("wrong", [lambda h: [h, h], lambda h: Pair(h, h), lambda h: (h[:1], h), lambda h: (h, h[:1])])
def test_a_pair_of_states_stays_that_pair(wrong):
    init = (np.zeros(2), np.zeros(2))
    assert type(scan(lambda x, s: (x, s), init, np.ones((3, 2)))[1]) is tuple
    with pytest.raises(errors.CellError, match=r"step 0.*same nest"):
        scan(lambda x, s: (x, wrong(s[0])), init, np.ones((3, 2)))


def test_a_dict_of_states_stays_of_its_class():
    with pytest.raises(errors.CellError, match="same nest"):
        scan(lambda x, s: (x, OrderedDict(s)), {"a": np.zeros(2)}, np.ones((3, 2)))


def test_inputs_without_a_common_time_are_named():
    with pytest.raises(errors.ShapeError, match="share their first axis"):
        scan(leaky, np.zeros(2), (np.zeros((3, 2)), np.zeros((4, 2))))
    with pytest.raises(errors.ShapeError, match="none at all"):
        scan(leaky, np.zeros(2), ())
    with pytest.raises(errors.ShapeError, match="share their first two axes"):
        scan(leaky, np.zeros(2), np.zeros(3), [1, 1, 1])
    with pytest.raises(errors.ShapeError, match="batch of 2"):
        scan(leaky, np.zeros(3), np.zeros((4, 2, 3)), [1, 1])
