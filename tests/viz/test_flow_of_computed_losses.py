"""Which loops and states the graph of a computed loss tells of: those that the function that computes it has."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.core.errors import ConfigError, GraphError
from tinygrad_rnn.core.tree import tree_flatten
from tinygrad_rnn.scan.engines import available

X = np.random.default_rng(0).normal(size=(10, 3, 2))


def flow_of(what):
    (flow,) = viz.gradient_flow(what).flows.values()
    return flow


def in_chunks(layer):
    y, state = layer(X[:6])
    return np.sum(y) + np.sum(layer(X[6:], state)[0])


class Chunked(nn.Module):
    """Two modules of two layers, each run in two chunks."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.LSTM(2, 3, num_layers=2), nn.GRU(2, 3, num_layers=2, bidirectional=True)

    def forward(self, _):
        return in_chunks(self.encoder) + in_chunks(self.decoder)


CHUNKED = {
    "one layer": lambda: nn.GRU(2, 3),
    "two layers": lambda: nn.LSTM(2, 3, num_layers=2),
    "both directions": lambda: nn.GRU(2, 3, num_layers=2, bidirectional=True),
    "several modules": lambda: Chunked(),
}


@pytest.mark.parametrize("engine", available())
@pytest.mark.parametrize("name", CHUNKED)
def test_a_layer_that_runs_in_chunks_is_the_same_layer_in_each(name, engine):
    tg.random.seed(0)
    layer = CHUNKED[name]().astype(np.float64)

    def compute():
        with tg.engine(engine):
            return layer(X) if isinstance(layer, Chunked) else in_chunks(layer)

    expected, flow = flow_of(compute), flow_of(compute())
    assert [part.layer for part in flow.states] == [part.layer for part in expected.states]
    rest = list(expected.states)
    for part in flow.states:  # an LSTM hands on (h, c), and computes c first
        number = next(
            i
            for i, other in enumerate(rest)
            if other.layer == part.layer
            and other.gradient.shape == part.gradient.shape
            and np.allclose(other.gradient, part.gradient, rtol=1e-9, atol=1e-12)
        )
        del rest[number]


GRID_LOSSES = {
    "all outputs": lambda y, state: np.mean(y * y),
    "the last output": lambda y, state: np.sum(y[-1]),
    "an output in the middle": lambda y, state: np.sum(y[4]),
    "the last state": lambda y, state: sum([np.sum(leaf * leaf) for leaf in tree_flatten(state)[0]]),
}


@pytest.mark.parametrize("engine", available())
@pytest.mark.parametrize("loss", GRID_LOSSES)
def test_the_last_step_may_read_fewer_parts_of_the_state_than_the_others(loss, engine):
    tg.random.seed(0)
    layer = nn.Recurrent(nn.GridLSTMCell(2, 3)).astype(np.float64)

    def compute():
        with tg.engine(engine):
            return GRID_LOSSES[loss](*layer(X))

    expected, found = flow_of(compute).states, flow_of(compute()).states
    assert len(found) == len(expected) == 4
    for part in expected:
        assert sum(np.allclose(part.gradient, other.gradient, rtol=1e-9, atol=1e-13) for other in found) == 1


class Ladder(nn.Cell):
    """Three states of the same algebra, each above another; the last is put out, so that the others end earlier."""

    def initial_state(self, batch_size):
        return tuple([tg.Tensor(np.zeros((batch_size, 2)))] * 3)

    def forward(self, x, state):
        a, b, c = state
        return np.tanh(c), (np.tanh(x + a * a), np.tanh(x + b * a), np.tanh(x + c * b))


@pytest.mark.parametrize("engine", available())
def test_parts_that_end_one_after_the_other_keep_their_places(engine):
    x = tg.Tensor(X, requires_grad=True)

    def compute():
        with tg.engine(engine):
            return np.sum(nn.Recurrent(Ladder())(x)[0])

    expected, found = flow_of(compute).states, flow_of(compute()).states
    for part, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(part.gradient, other.gradient, rtol=1e-9, atol=1e-13)
    assert [int(np.flatnonzero(part.norms)[-1]) for part in found] == [6, 7, 8]


def hidden():
    """The states of a hand-written loop."""
    weights = [tg.Tensor(np.random.default_rng(i).normal(size=(n, 4)), requires_grad=True) for i, n in ((0, 2), (1, 4))]
    h = np.zeros((3, 4))
    for x in X:
        h = np.tanh(x @ weights[0] + h @ weights[1])
        yield h


def added_within(loop, add):
    total = 0.0
    for h in loop:
        total = add(total, np.sum(h))
    return total


SUMS = {
    "sum of a list": lambda: sum([np.sum(h) for h in hidden()]),
    "within the loop": lambda: added_within(hidden(), lambda total, loss: total + loss),
    "the other way round": lambda: added_within(hidden(), lambda total, loss: loss + total),
    "subtracted": lambda: -added_within(hidden(), lambda total, loss: total - loss),
    "in parts": lambda: added_within(hidden(), lambda total, loss: total + loss / 2 + loss / 2),
    "of rows": lambda: np.sum(sum([np.sum(h, axis=1) for h in hidden()])),
    "of elements": lambda: np.sum(sum(list(hidden()))),
}


@pytest.mark.parametrize("name", SUMS)
def test_a_sum_of_losses_is_no_layer_and_no_state(name):
    loop = list(hidden())
    expected = tg.gradients(sum([np.sum(h) for h in loop]), loop)
    (part,) = flow_of(SUMS[name]()).states
    assert (part.layer, part.name) == ("layer 1", "state")
    np.testing.assert_allclose(part.gradient, np.stack(expected), rtol=1e-12)


def test_a_sum_of_losses_in_the_steps_of_a_module_is_no_state_either():
    cell, h, total = nn.GRUCell(2, 4).astype(np.float64), np.zeros((3, 4)), 0.0
    for t, x in enumerate(X):
        with tg.scope(t):
            y, h = cell(x, h)
            total = total + np.sum(y)
    (part,) = flow_of(total).states
    assert part.gradient.shape == (10, 3, 4)


def test_a_loss_that_is_a_sum_and_nothing_else_has_no_loop():
    w = tg.Tensor(np.ones((2, 4)), requires_grad=True)
    with pytest.raises(ConfigError, match="without a loop over time"):
        viz.gradient_flow(sum([np.sum(np.tanh(x @ w)) for x in X]))


@pytest.mark.parametrize(
    "step",
    [
        lambda h, x, w: h + np.tanh(x @ w + h),  # what reads it is more than the addition
        lambda h, x, w: 0.9 * h + x @ w,  # fades
        lambda h, x, w: x @ w - h,  # turns round
        lambda h, x, w: h + h + x @ w,  # doubles
    ],
)
def test_a_state_that_is_more_than_a_sum_is_a_state(step):
    w, h, hs = tg.Tensor(np.ones((2, 4)), requires_grad=True), np.zeros((3, 4)), []
    for x in X:
        h = step(h, x, w)
        hs.append(h)
    (part,) = flow_of(np.sum(h)).states
    np.testing.assert_allclose(part.gradient, np.stack(tg.gradients(np.sum(h), hs)), rtol=1e-12)


class Adds(nn.Cell):
    def __init__(self):
        super().__init__()
        self.hidden_size = 3
        self.into = nn.Linear(2, 3)

    def forward(self, x, h):
        h = h + self.into(x)
        return h, h


@pytest.mark.parametrize("engine", available())
def test_a_layer_whose_state_is_a_sum_is_a_layer(engine):
    layer = nn.Recurrent(Adds()).astype(np.float64)
    with tg.engine(engine):
        (part,) = flow_of(np.sum(layer(X)[1])).states
    np.testing.assert_array_equal(part.gradient, np.ones((10, 3, 3)))


@pytest.mark.parametrize("steps", [2, 5])
def test_leaves_that_belong_to_one_step_are_no_weights(steps):
    cell = nn.GRUCell(2, 4).astype(np.float64)
    h, hs = tg.Tensor(np.ones((3, 4)), requires_grad=True), []
    for t in range(steps):
        with tg.scope(t):
            _, h = cell(tg.Tensor(X[t], requires_grad=True), h)
            hs.append(h)
    (part,) = flow_of(np.sum(h)).states
    np.testing.assert_allclose(part.gradient, np.stack(tg.gradients(np.sum(h), hs)), rtol=1e-12)


def test_a_number_that_one_step_hands_to_the_last_is_a_state():
    w, h = tg.Tensor(0.5, requires_grad=True), tg.Tensor(1.0)
    for t in range(2):
        with tg.scope(t):
            y = w * h
            h = np.tanh(y)
    (part,) = flow_of(y).states
    np.testing.assert_array_equal(part.gradient, [0.5, 0])


@pytest.mark.parametrize("engine", available())
def test_a_loss_is_measured_as_it_was_computed_or_not_at_all_once_parameters_have_changed(engine):
    layer = nn.GRU(2, 3).astype(np.float64)
    with tg.engine(engine):
        loss = np.sum(layer(X)[0])
    (before,) = flow_of(loss).states
    for parameter in layer.parameters():
        parameter.assign(parameter.data + 1)
    if engine == "eager":
        np.testing.assert_array_equal(flow_of(loss).states[0].gradient, before.gradient)
    else:
        with pytest.raises(GraphError, match="changed in between"):
            viz.gradient_flow(loss)
