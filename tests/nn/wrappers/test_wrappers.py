"""Wrappers compute what their papers say, in training and without, and say what they cannot wrap."""

import re
from collections import OrderedDict, defaultdict
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import CellError, ConfigError, ShapeError
from tinygrad_rnn.core.tree import tree_flatten, tree_map

seeds = st.integers(0, 9999)
rates = st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def drawn(wrapper, batch=3, seed=0):
    """Return a wrapper in float64 with random weights, an input and a state that fit it."""
    rng = np.random.default_rng(seed)
    tg.random.seed(seed)
    wrapper.astype(np.float64)
    for parameter in wrapper.parameters():
        parameter.assign(rng.normal(size=parameter.shape))
    state = tree_map(
        lambda leaf: rng.normal(size=leaf.shape) if leaf.dtype.kind == "f" else leaf.data, wrapper.initial_state(batch)
    )
    return wrapper, rng.normal(size=(batch, wrapper.input_size)), state


def affine(layer, x):
    return x @ layer.weight.data + layer.bias.data


@settings(max_examples=20)
@given(rate=rates, seed=seeds)
def test_zoneout_leaves_elements_as_they_were_or_takes_the_cells(rate, seed):
    wrapper, x, h = drawn(nn.Zoneout(nn.GRUCell(2, 4), rate), seed=seed)
    y, after = wrapper(x, h)
    moved = wrapper.cell(x, h)[1].data
    stays, moves = np.isclose(after.data, h, atol=1e-12), np.isclose(after.data, moved, atol=1e-12)
    assert (stays | moves).all()
    assert stays.all() if rate == 1 else True
    assert moves.all() if rate == 0 else True
    assert y is after
    np.testing.assert_allclose(wrapper.eval()(x, h)[0].data, rate * h + (1 - rate) * moved, atol=1e-12)


def test_zoneout_keeps_about_as_many_as_its_rates_say_of_h_and_c_apart():
    wrapper, x, (h, c) = drawn(nn.Zoneout(nn.LSTMCell(2, 500), (0.1, 0.6)), batch=20)
    y, (h_after, c_after) = wrapper(x, (h, c))
    assert 0.09 < (h_after.data == h).mean() < 0.11
    assert 0.58 < (c_after.data == c).mean() < 0.62
    np.testing.assert_array_equal(y.data, h_after.data)


class Pair(nn.FeatureCell):
    def initial_state(self, batch_size):
        zeros = super().initial_state(batch_size)
        return {"kept": zeros, "moving": zeros}

    def forward(self, x, state):
        return state["kept"], {"moving": state["moving"] + 1, "kept": state["kept"]}


def test_zoneout_of_a_state_with_keys_in_another_order_mixes_nothing():
    _, state = nn.Recurrent(nn.Zoneout(Pair(2, 3), 0.5).eval())(np.ones((4, 1, 2)))
    np.testing.assert_array_equal(state["kept"].data, np.zeros((1, 1, 3)))
    np.testing.assert_array_equal(state["moving"].data, np.full((1, 1, 3), 2.0))


def test_a_layer_takes_a_state_with_keys_in_another_order():
    layer = nn.Recurrent(Pair(2, 3))
    given_in = {"moving": np.zeros((1, 1, 3)), "kept": np.ones((1, 1, 3))}
    _, state = layer(np.ones((4, 1, 2)), given_in)
    assert list(state) == ["kept", "moving"]
    np.testing.assert_array_equal(state["kept"].data, given_in["kept"])
    assert layer.step(np.ones((1, 2)), given_in)[1]["moving"].data.max() == 1


class OfKind(Pair):
    def __init__(self, make):
        super().__init__(2, 3)
        self.make = make

    def initial_state(self, batch_size):
        return self.make(**super().initial_state(batch_size))

    def forward(self, x, state):
        y, after = super().forward(x, state)
        return y, self.make(**after)


@pytest.mark.parametrize("make", [OrderedDict, partial(defaultdict, list)])
@pytest.mark.parametrize("engine", ["eager", "numpy"])
def test_a_state_may_be_a_dict_of_another_class(make, engine):
    cell = OfKind(make)
    _, state = nn.Recurrent(cell, engine=engine)(np.ones((4, 1, 2)))
    assert type(state) is type(make()) and list(state) == ["kept", "moving"]
    np.testing.assert_array_equal(state["moving"].data, np.full((1, 1, 3), 4.0))
    assert list(cell(np.ones((1, 2)), cell.initial_state(1))[1]) == ["kept", "moving"]


def test_zoneout_lets_a_time_go_on():
    layer = nn.Recurrent(nn.Zoneout(nn.ClockworkCell(2, 4), 1.0))
    y, (h, t) = layer(np.ones((5, 2, 2)))
    assert t.tolist() == [[5, 5]] and not h.data.any() and not y.data.any()


@settings(max_examples=20)
@given(rate=st.sampled_from([0.25, 0.9]), state_rate=st.sampled_from([0.5, 0.1]), seed=seeds)
def test_variational_dropout_masks_input_and_state_by_what_the_state_holds(rate, state_rate, seed):
    wrapper, x, (h, (of_x, of_h)) = drawn(nn.VariationalDropout(nn.RNNCell(4, 5), rate, state_rate), seed=seed)
    y, (_, after) = wrapper(x, (h, (of_x, of_h)))
    cell = wrapper.cell
    expected = np.tanh(
        affine(cell.from_input, x * of_x / (1 - rate)) + affine(cell.from_state, h * of_h / (1 - state_rate))
    )
    np.testing.assert_allclose(y.data, expected, atol=1e-12)
    assert after[0] is of_x and after[1] is of_h
    np.testing.assert_array_equal(wrapper.eval()(x, (h, (of_x, of_h)))[0].data, cell(x, h)[0].data)


def test_variational_dropout_does_not_touch_the_memory_that_a_gru_keeps():
    wrapper, x, (h, masks) = drawn(nn.VariationalDropout(nn.GRUCell(2, 4, reset_after=False), 0.0, 0.5))
    cell, (of_h, of_reset) = wrapper.cell, masks
    r_x, z_x, n_x = np.split(affine(cell.from_input, x), 3, axis=-1)
    r_h, z_h = np.split(affine(cell.from_state, h * of_h * 2), 2, axis=-1)
    r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
    expected = (1 - z) * np.tanh(n_x + affine(cell.from_reset, r * h * of_reset * 2)) + z * h
    np.testing.assert_allclose(wrapper(x, (h, masks))[0].data, expected, atol=1e-12)


def test_variational_masks_differ_by_row_and_call_and_last_for_a_sequence():
    layer, x = nn.Recurrent(nn.VariationalDropout(nn.LSTMCell(6, 8), 0.5)), np.ones((6, 4, 6))
    whole, (_, masks) = layer(x)
    assert len(np.unique(masks[1].data[0], axis=0)) == 4
    assert (layer(x)[1][1][1].data != masks[1].data).any()
    start = tree_map(lambda leaf: leaf * 0 if leaf.dtype.kind == "f" else leaf, layer(x[:0])[1])
    first, state = layer(x[:3], start)
    second, _ = layer(x[3:], state)
    np.testing.assert_allclose(np.concatenate([first, second]).data, layer(x, start)[0].data, atol=1e-6)
    assert (whole.data != layer(x, start)[0].data).any()


@settings(max_examples=20)
@given(rate=rates, seed=seeds)
def test_recurrent_dropout_drops_from_what_an_lstm_writes_and_from_nothing_else(rate, seed):
    wrapper, x, (h, c) = drawn(nn.RecurrentDropout(nn.LSTMCell(2, 4), rate), seed=seed)
    i, f, g, o = np.split(affine(wrapper.cell.from_input, x) + affine(wrapper.cell.from_state, h), 4, axis=-1)
    written = sigmoid(i) * np.tanh(g)
    y, (_, after) = wrapper(x, (h, c))
    found = after.data - sigmoid(f) * c
    dropped = np.isclose(found, 0, atol=1e-12)
    assert (dropped | np.isclose(found, written / (1 - rate + (rate == 1)), atol=1e-12)).all()
    assert dropped.all() if rate == 1 else True
    assert not dropped.any() if rate == 0 else True
    np.testing.assert_allclose(y.data, sigmoid(o) * np.tanh(after.data), atol=1e-12)
    np.testing.assert_array_equal(wrapper.eval()(x, (h, c))[0].data, wrapper.cell(x, (h, c))[0].data)


def test_recurrent_dropout_reaches_the_cell_inside_other_wrappers():
    wrapper = nn.RecurrentDropout(nn.Residual(nn.Zoneout(nn.MGUCell(3, 3), 0.0)), 1.0)
    state = wrapper.initial_state(2)
    y, h = wrapper(np.ones((2, 3), np.float32), state)
    np.testing.assert_array_equal(h.data, 0)
    np.testing.assert_array_equal(y.data, 1)


def weights_of_state(wrapper):
    """Return U of a wrapped RNN cell as a step shows it, with unit vectors for states."""
    eye, x = np.eye(wrapper.hidden_size), np.zeros((wrapper.hidden_size, wrapper.input_size))
    y, _ = wrapper(x, eye)
    return np.arctanh(y.data) - affine(wrapper.cell.from_input, x) - wrapper.cell.from_state.bias.data


def test_weight_drop_drops_the_same_weights_until_the_next_sequence_starts():
    tg.random.seed(0)
    wrapper = nn.WeightDrop(nn.RNNCell(2, 30), 0.25).astype(np.float64)
    whole = wrapper.cell.from_state.weight.data
    first, again = weights_of_state(wrapper), weights_of_state(wrapper)
    wrapper.initial_state(3)
    other = weights_of_state(wrapper)
    np.testing.assert_array_equal(first, again)
    kept = ~np.isclose(first, 0, atol=1e-12)
    np.testing.assert_allclose(first[kept], whole[kept] / 0.75, atol=1e-12)
    assert 0.7 < kept.mean() < 0.8
    assert (first != other).any()
    np.testing.assert_allclose(weights_of_state(wrapper.eval()), whole, atol=1e-12)


def test_weight_drop_of_named_parameters_drops_from_those():
    wrapper, x, h = drawn(nn.WeightDrop(nn.IndRNNCell(2, 4), 1.0, weights=["u"]))
    np.testing.assert_allclose(wrapper(x, h)[0].data, np.maximum(affine(wrapper.cell.from_input, x), 0))


def test_gradients_of_dropped_weights_are_those_of_the_kept_ones():
    wrapper, x, h = drawn(nn.WeightDrop(nn.RNNCell(2, 6), 0.5))
    kept = ~np.isclose(weights_of_state(wrapper), 0, atol=1e-12)
    np.sum(wrapper(x, h)[0]).backward()
    gradient = wrapper.cell.from_state.weight.grad
    assert gradient[kept].all() and not gradient[~kept].any()


def test_a_residual_adds_the_input_and_leaves_the_state():
    wrapper, x, h = drawn(nn.Residual(nn.GRUCell(3, 3)))
    y, after = wrapper(x, h)
    expected, state = wrapper.cell(x, h)
    np.testing.assert_array_equal(y.data, x + expected.data)
    np.testing.assert_array_equal(after.data, state.data)


def test_a_projection_maps_the_output_and_leaves_the_state():
    wrapper, x, state = drawn(nn.Projection(nn.ProjectedLSTMCell(3, 5, proj_size=4), 2))
    y, after = wrapper(x, state)
    expected, _ = wrapper.cell(x, state)
    np.testing.assert_allclose(y.data, affine(wrapper.projection, expected.data))
    assert [leaf.shape for leaf in tree_flatten(after)[0]] == [(3, 4), (3, 5)]


def test_a_projection_that_is_made_draws_no_more_than_its_own_weights():
    tg.random.seed(0)
    nn.Projection(nn.RNNCell(2, 3), 4)
    plain = tg.random.get_state()
    tg.random.seed(0)
    nn.Projection(nn.Zoneout(nn.RNNCell(2, 3)), 4)
    assert tg.random.get_state() == plain


@pytest.mark.parametrize("engine", ["eager", "numpy"])
def test_a_cell_that_is_reset_at_steps_gives_what_separate_runs_give(engine):
    cell, x = nn.LSTMCell(2, 3), np.random.default_rng(0).normal(size=(9, 2, 2))
    start = tuple(np.random.default_rng(k).normal(size=(1, 2, 3)) for k in range(2))
    count = np.zeros((1, 2), np.int64)
    inputs = tg.Tensor(x, requires_grad=True)
    y, _ = nn.Recurrent(nn.ResetAt(cell, [3, 7]), engine=engine)(inputs, (start, start, count))
    parts = [nn.Recurrent(cell)(part, start)[0] for part in (x[:3], x[3:7], x[7:])]
    np.testing.assert_allclose(y.data, np.concatenate(parts).data, atol=1e-6)
    np.sum(y[7:]).backward()
    assert not inputs.grad[:7].any() and inputs.grad[7:].all()


def test_a_cell_that_is_reset_where_the_input_says_starts_each_row_by_itself():
    cell, x = nn.GRUCell(2, 3), np.random.default_rng(0).normal(size=(6, 2, 2))
    first = np.zeros((6, 2, 1))
    first[2, 0] = first[5, 1] = 1
    y, _ = nn.Recurrent(nn.ResetWhere(cell))(np.concatenate([x, first], axis=-1))
    for row, at in (0, 2), (1, 5):
        parts = [nn.Recurrent(cell)(part[:, row : row + 1])[0].data for part in (x[:at], x[at:])]
        np.testing.assert_allclose(y.data[:, row : row + 1], np.concatenate(parts), atol=1e-6)


class Nothing(nn.Cell):
    """A cell that has a linear map of the state and does not use it, and no input_size."""

    def __init__(self):
        super().__init__()
        self.hidden_size = 3
        self.from_state = nn.Linear(3, 3)

    def forward(self, x, h):
        return h, h


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Zoneout(nn.LSTM(2, 3)), CellError, "Zoneout of a LSTM; give an instance of a class derived"),
        (lambda: nn.Residual(nn.GRUCell), CellError, "Residual of a type; give an instance"),
        (lambda: nn.Zoneout(nn.LSTMCell(2, 3), [0.1]), ConfigError, "1 rates for the state of LSTMCell, which has 2"),
        (lambda: nn.Zoneout(nn.GRUCell(2, 3), 1.5), ConfigError, "dropout at a rate of 1.5"),
        (lambda: nn.RecurrentDropout(nn.GRUCell(2, 3), "a"), ConfigError, "dropout at a rate of 'a'"),
        (
            lambda: nn.VariationalDropout(nn.IndRNNCell(2, 3)),
            ConfigError,
            "IndRNNCell has no nn.Linear called from_state or from_reset; it has from_input: name those",
        ),
        (
            lambda: nn.VariationalDropout(nn.GRUCell(2, 3), parts=["u"]),
            ConfigError,
            "GRUCell has no nn.Linear for each of u; it has from_input, from_state",
        ),
        (lambda: nn.VariationalDropout(Nothing()), ConfigError, "Nothing has no input_size, so its input cannot"),
        (lambda: nn.WeightDrop(nn.IndRNNCell(2, 3)), ConfigError, "IndRNNCell has no nn.Linear called from_state"),
        (
            lambda: nn.WeightDrop(nn.IndRNNCell(2, 3), weights=["v"]),
            ConfigError,
            "IndRNNCell has no parameter v; its parameters are from_input.weight, from_input.bias, u",
        ),
        (lambda: nn.Projection(Nothing(), 2), CellError, "Nothing has no input_size; set"),
        (lambda: nn.Projection(nn.GRUCell(2, 3), 0), ConfigError, "output_size is 0; give an integer"),
        (lambda: nn.ResetAt(nn.GRUCell(2, 3), []), ConfigError, "steps are []; give one integer or more"),
        (lambda: nn.ResetAt(nn.GRUCell(2, 3), [1, -2]), ConfigError, "steps are [1, -2]; give one integer or more"),
    ],
)
def test_what_cannot_be_wrapped_is_refused(make, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        make()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.RecurrentDropout(nn.RNNCell(2, 3)), CellError, "RNNCell never calls cell_update; write"),
        (lambda: nn.VariationalDropout(Nothing(), 0, 0.5), CellError, "Nothing never calls from_state.forward; call"),
        (lambda: nn.Residual(nn.RNNCell(2, 3)), ShapeError, r"Residual of RNNCell adds an input of shape \(1, 2\) to"),
    ],
)
def test_a_wrapper_without_effect_or_sense_is_refused_when_it_is_called(make, error, message):
    wrapper = make()
    with pytest.raises(error, match=message):
        wrapper(np.ones((1, 2), np.float32), wrapper.initial_state(1))
