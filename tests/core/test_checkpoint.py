"""checkpoint: the same derivatives of every order, without what lies between."""

import gc
import tracemalloc

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import GraphError
from tinygrad_rnn.testing import gradcheck

RNG = np.random.default_rng(0)
W = RNG.normal(size=(3, 3))


def derivatives(checkpointed):
    """Return loss, gradients and second derivatives of four steps that close over a leaf and over a result."""
    w = tg.Tensor(W, requires_grad=True)
    doubled = w * 2.0
    start = tg.Tensor(np.ones((2, 3)), requires_grad=True)

    def step(h):
        return np.tanh(h @ w + np.sin(h) @ doubled)

    run = tg.checkpoint(step) if checkpointed else step
    h = start
    for _ in range(4):
        h = run(h)
    loss = np.sum(h * h)
    first = tg.gradients(loss, [start, w, doubled], record=True)
    mixed = np.sum(first[0] ** 2) + np.sum(first[1] ** 3) + np.sum(first[2])
    second = tg.gradients(mixed, [start, w], retain_graph=True)
    loss.backward()
    return [loss.item(), *[slope.data for slope in first], *second, start.grad, w.grad]


def test_checkpointing_changes_no_derivative_of_arguments_and_closed_over_tensors():
    for found, expected in zip(derivatives(True), derivatives(False), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_a_checkpointed_function_passes_gradcheck_forward_and_reverse_to_second_order():
    gradcheck(tg.checkpoint(lambda a, b: (np.tanh(a @ b), np.exp(np.sum(a)))), [W[:2], W])


def test_dropout_draws_the_same_mask_again():
    dropout = nn.Dropout(0.5)
    x = tg.Tensor(np.ones(1000), requires_grad=True)
    tg.random.seed(3)
    y = tg.checkpoint(lambda a: dropout(a) * a)(x)
    state = tg.random.get_state()
    np.sum(y).backward()
    np.testing.assert_array_equal(x.grad, 2 * y.data)
    assert tg.random.get_state() == state


def test_nothing_is_recorded_without_grad():
    assert not tg.checkpoint(np.tanh)(np.ones(3)).requires_grad
    with tg.no_grad():
        assert not tg.checkpoint(np.tanh)(tg.Tensor(1.0, requires_grad=True)).requires_grad


def test_a_function_that_changes_between_its_two_runs_is_refused():
    sizes = iter([2, 3])
    x = tg.Tensor(1.0, requires_grad=True)
    y = tg.checkpoint(lambda a: a * np.ones(next(sizes)))(x)
    with pytest.raises(GraphError, match=r"\[\(3,\)\] when it was run again"):
        np.sum(y).backward()


def test_segments_of_a_recurrent_net_hold_less_than_all_steps():
    cell = nn.LSTMCell(8, 64)
    x = np.zeros((64, 8, 8), np.float32)

    def peak(segment):
        def run(state, inputs):
            for x_t in inputs:
                _, state = cell(x_t, state)
            return state

        gc.collect()
        tracemalloc.start()
        state = cell.initial_state(8)
        for start in range(0, 64, segment):
            state = (tg.checkpoint(run) if segment < 64 else run)(state, x[start : start + segment])
        np.sum(state[0]).backward()
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    assert peak(8) < 0.45 * peak(64)


def test_a_parameter_that_changes_before_the_gradient_is_noticed():
    p, a = nn.Parameter(np.ones(2)), tg.Tensor([1.0, 2.0], requires_grad=True)
    y = np.sum(tg.checkpoint(lambda v: np.sin(v * p) ** 2)(a))
    p.assign(np.array([5.0, 5.0]))
    with pytest.raises(GraphError, match="computed other values"):
        y.backward()


class Drifting:
    """Gives a result that is a little different at each call."""

    def __init__(self, value, change, kind=None):
        self.value, self.change, self.kind, self.calls = value, change, kind, 0

    def __call__(self, x):
        self.calls += 1
        drift = np.asarray(self.value) + (self.calls - 1) * np.asarray(self.change)
        return np.sum(np.exp(x)), tg.Tensor(np.asarray(drift, self.kind))


@pytest.mark.parametrize(
    ("value", "change", "is_noticed"),
    [
        (1.0, 1e-10, False),
        (1.0, 1.6e-8, True),  # the root of the rounding of float64 is 1.5e-8
        (0.001, 1e-10, False),
        (0.001, 1.6e-8, True),
        (1000.0, 1e-6, False),
        (1000.0, 2e-5, True),
        (np.nan, 0.0, False),
        (np.inf, 0.0, False),
        ([np.inf, 1.0], [0.0, 1.0], True),
        (3, 0, False),
        (3, 1, True),
    ],
)
def test_a_second_result_may_differ_by_rounding_alone(value, change, is_noticed):
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    loss, _ = tg.checkpoint(Drifting(value, change))(x)
    if is_noticed:
        with pytest.raises(GraphError, match="again"):
            loss.backward()
    else:
        loss.backward()
        np.testing.assert_allclose(x.grad, np.exp([1.0, 2.0]))
