"""A stepper gives, step by step, what the loop over time gives, and keeps what it was made with."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import CellError, ConfigError, ShapeError, TraceError
from tinygrad_rnn.scan import Stepper, scan
from tinygrad_rnn.scan.engines import EngineWarning, available

each_engine = pytest.mark.parametrize("engine", available())
CELLS = {
    "rnn": nn.RNNCell(3, 5),
    "lstm": nn.LSTMCell(3, 5),
    "gru": nn.GRUCell(3, 5, reset_after=False),
}
for cell in CELLS.values():
    cell.astype(np.float64)


def inputs(time, rows, seed):
    return np.random.default_rng(seed).normal(size=(time, rows, 3))


def leaves(nest):
    return tg.core.tree.tree_flatten(nest)[0]


@each_engine
@given(st.sampled_from(sorted(CELLS)), st.integers(1, 9), st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_steps_one_by_one_are_the_loop(engine, name, rows, time, seed):
    cell, x = CELLS[name], inputs(time, rows, seed)
    wanted, last = scan(cell, cell.initial_state(rows), x, engine="eager")
    stepper = Stepper(cell, cell.initial_state(rows), x[0], engine=engine)
    for x_t, y_t in zip(x, wanted.data, strict=True):
        np.testing.assert_allclose(stepper(x_t), y_t, rtol=1e-12, atol=1e-12)
    for found, expected in zip(leaves(stepper.state), leaves(last), strict=True):
        np.testing.assert_allclose(found, expected.data, rtol=1e-12, atol=1e-12)


@each_engine
def test_nests_of_inputs_states_and_outputs_keep_their_form(engine):
    def step(x, state):
        total = state["total"] + x["a"] * x["b"]
        seen = np.maximum(state["seen"], x["a"])
        return {"both": (total, np.tanh(seen)), "one": 2 * x["b"]}, {"total": total, "seen": seen}

    rng = np.random.default_rng(0)
    xs = [{"a": rng.normal(size=(2, 4)), "b": rng.normal(size=(2, 4))} for _ in range(3)]
    stepper = Stepper(step, {"total": np.zeros((2, 4)), "seen": np.zeros((2, 4))}, xs[0], engine=engine)
    total = sum(x["a"] * x["b"] for x in xs)
    y = [stepper(x) for x in xs][-1]
    assert list(y) == ["both", "one"] and list(stepper.state) == ["total", "seen"]
    np.testing.assert_allclose(y["both"][0], total)
    np.testing.assert_allclose(y["one"], 2 * xs[-1]["b"])
    np.testing.assert_allclose(np.tanh(stepper.state["seen"]), y["both"][1])


@each_engine
def test_what_was_handed_out_is_not_overwritten_and_two_steppers_share_nothing(engine):
    cell, x = CELLS["lstm"], inputs(4, 2, 0)
    first, second = [Stepper(cell, cell.initial_state(2), x[0], engine=engine) for _ in range(2)]
    kept, state = first(x[0]), first.state
    copies = kept.copy(), [leaf.copy() for leaf in leaves(state)]
    for x_t in x[1:]:
        first(x_t)
    np.testing.assert_array_equal(kept, copies[0])
    for found, expected in zip(leaves(state), copies[1], strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(second(x[0]), kept)


@pytest.mark.parametrize("engine", [name for name in available() if name != "eager"])
def test_later_values_of_a_weight_do_not_reach_a_compiled_stepper(engine):
    cell, x = nn.GRUCell(3, 4).astype(np.float64), inputs(1, 2, 1)[0]
    before = Stepper(cell, cell.initial_state(2), x, engine=engine)
    wanted = cell(x, cell.initial_state(2))[0].data
    for parameter in cell.parameters():
        parameter.assign(parameter.data + 1)
    np.testing.assert_allclose(before(x), wanted, rtol=1e-12)
    after = Stepper(cell, cell.initial_state(2), x, engine=engine)(x)
    np.testing.assert_allclose(after, cell(x, cell.initial_state(2))[0].data, rtol=1e-12)


def asks(x, h):
    h = h + x if float(np.sum(x)) > 0 else h - x
    return h, h


def draws(x, h):
    h = h + tg.random.uniform(h.shape)
    return h, h


def counts():
    calls = []

    def step(x, h):
        calls.append(x)
        h = h + len(calls)
        return h, h

    return step


@pytest.mark.parametrize("step", [asks, draws, counts()], ids=["asks", "draws", "counts"])
def test_a_step_that_cannot_be_traced_is_taken_as_it_is_or_refused_by_name(step):
    x = np.ones((2, 3))
    with pytest.warns(EngineWarning, match="step by step"):
        stepper = Stepper(step, np.zeros((2, 3)), x, engine="auto")
    y = stepper(x)
    np.testing.assert_array_equal(stepper.state, y)
    with pytest.raises(TraceError, match="engine='eager'"):
        Stepper(step, np.zeros((2, 3)), x, engine="numpy")


@each_engine
def test_the_keys_of_an_input_may_come_in_any_order_but_its_nest_is_kept(engine):
    a, b = np.ones(2), np.full(2, 3.0)
    stepper = Stepper(lambda x, h: (x["a"] - x["b"], h + 1), np.zeros(2), {"a": a, "b": b}, engine=engine)
    for x in ({"a": a, "b": b}, {"b": b, "a": tg.Tensor(a)}):
        np.testing.assert_array_equal(stepper(x), [-2, -2])
    for wrong in ((a, b), {"a": a, "c": b}, a):
        with pytest.raises(ShapeError, match=r"expected \{'a': \*, 'b': \*\}"):
            stepper(wrong)


@each_engine
def test_an_input_of_another_shape_or_dtype_is_refused(engine):
    cell = CELLS["gru"]
    stepper = Stepper(cell, cell.initial_state(2), np.zeros((2, 3)), engine=engine)
    for wrong in (np.zeros((1, 3)), np.zeros((2, 3), np.float32)):
        with pytest.raises(ShapeError, match="another stepper"):
            stepper(wrong)


@each_engine
def test_a_step_that_returns_no_pair_is_refused(engine):
    with pytest.raises(CellError, match="return a pair"):
        Stepper(lambda x, h: h + x, np.zeros((2, 3)), np.zeros((2, 3)), engine=engine)(np.zeros((2, 3)))
    with pytest.raises(ConfigError, match="no engine"):
        Stepper(CELLS["gru"], np.zeros((2, 5)), np.zeros((2, 3)), engine="quick")
