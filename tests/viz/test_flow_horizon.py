"""The memory horizon is the gradient by the input itself, in both directions; `reach` and the figure tell it."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.core.errors import ConfigError
from tinygrad_rnn.scan.engines import available
from tinygrad_rnn.viz.through_time import Flow, GradientFlow, StateGradient

LAYERS = {
    "GRU": lambda: nn.GRU(2, 3, bidirectional=True),
    "LSTM of two layers": lambda: nn.LSTM(2, 3, num_layers=2, bidirectional=True),
    "RNN, rows first": lambda: nn.RNN(2, 3, bidirectional=True, batch_first=True),
    "GRU in one direction": lambda: nn.GRU(2, 3),
}


def made(name):
    tg.random.seed(0)
    return LAYERS[name]().astype(np.float64)


def squares(y):
    return np.sum(y * y, axis=2)


def horizon_of(compute, x, time_axis, sweeps):
    """The mean size of ∂loss_t/∂x_{t-k} by k, with x a tensor that requires grad, over the steps that are asked for."""
    tensor = tg.Tensor(x, requires_grad=True)
    losses = compute(tensor)
    time = x.shape[time_axis]
    total, count = np.zeros(time), np.zeros(time)
    for t in np.unique(np.linspace(time - 1, time // 2, sweeps).round().astype(int)):
        loss = losses[:, int(t)] if time_axis else losses[int(t)]
        (slope,) = tg.gradients(np.sum(loss), [tensor], retain_graph=True)
        sizes = np.linalg.norm(np.moveaxis(slope, time_axis, 0), axis=2).mean(axis=1)
        total[: t + 1] += sizes[t::-1]
        count[: t + 1] += 1
    return total / count


@pytest.mark.parametrize("engine", available())
@pytest.mark.parametrize("name", LAYERS)
@settings(max_examples=5)
@given(time=st.integers(1, 8), rows=st.integers(1, 3), sweeps=st.integers(1, 9), padded=st.booleans(), data=st.data())
def test_the_horizon_is_the_gradient_by_the_input_in_both_directions(name, engine, time, rows, sweeps, padded, data):
    layer = made(name)
    lengths = data.draw(st.lists(st.integers(0, time), min_size=rows, max_size=rows)) if padded else None
    x = np.random.default_rng(time).normal(size=(time, rows, 2))
    x = x.swapaxes(0, 1) if layer.batch_first else x

    def losses_of(x):
        return squares(layer(x, lengths=lengths)[0])

    def by_time():
        return np.swapaxes(losses_of(x), 0, 1) if layer.batch_first else losses_of(x)

    with tg.engine(engine):
        expected = horizon_of(losses_of, x, int(layer.batch_first), sweeps)
        (flow,) = viz.gradient_flow(by_time, sweeps=sweeps).flows.values()
        found = [flow.horizon]
        if not padded:
            found += [viz.gradient_flow(layer, x, loss=squares, sweeps=sweeps).flows[type(layer).__name__].horizon]
    for horizon in found:
        np.testing.assert_allclose(horizon, expected, rtol=1e-9, atol=1e-14)


def test_the_input_of_a_second_layer_in_both_directions_is_not_that_of_the_first():
    first, second = made("GRU in one direction"), nn.GRU(3, 3, bidirectional=True).astype(np.float64)
    x = np.random.default_rng(0).normal(size=(6, 2, 2))

    def losses_of(x):
        return squares(second(first(x)[0])[0])

    (flow,) = viz.gradient_flow(lambda: losses_of(x)).flows.values()
    np.testing.assert_allclose(flow.horizon, horizon_of(losses_of, x, 0, 8), rtol=1e-9)


class Tokens(nn.Cell):
    """A cell that takes integers, whose embedding is inside of it."""

    takes_features = False

    def __init__(self):
        super().__init__()
        self.hidden_size = 3
        self.embedding, self.cell = nn.Embedding(5, 2), nn.GRUCell(2, 3)

    def forward(self, x, h):
        return self.cell(self.embedding(x), h)


def test_tokens_have_no_horizon_in_both_directions_either():
    ids = np.random.default_rng(0).integers(5, size=(6, 2))
    (flow,) = viz.gradient_flow(nn.Recurrent([(Tokens(), Tokens())]), ids).flows.values()
    assert flow.horizon is None and flow.reach() is None
    assert [part.layer for part in flow.states] == ["layer 1", "layer 1 backward"]


@pytest.mark.parametrize("sweeps", range(1, 6))
def test_every_lag_has_a_number_however_few_the_sweeps(sweeps):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (flow,) = viz.gradient_flow(made("GRU in one direction"), np.ones((9, 2, 2)), sweeps=sweeps).flows.values()
    assert np.isfinite(flow.horizon).all() and flow.horizon.shape == (9,)


def flow_of(horizon, gradient=None):
    gradient = np.ones((5, 2, 3)) if gradient is None else gradient
    return Flow(1.0, (StateGradient("layer 1", "h", gradient),), horizon)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.floats(0, 1))
def test_reach_is_the_last_lag_with_a_share_of_the_greatest(horizon, share):
    values = np.array(horizon)
    far = [k for k, value in enumerate(horizon) if value >= share * max(horizon)]
    assert flow_of(values).reach(share) == (far[-1] if any(horizon) else None)


@pytest.mark.parametrize("horizon", [[1.0, np.nan, 0.5], [np.nan, np.nan], [np.inf, 1.0], [0.0, 0.0]])
def test_there_is_no_reach_where_nothing_is_a_share(horizon):
    assert flow_of(np.array(horizon)).reach() is None


@pytest.mark.parametrize("share", ["a", None, True, -0.1, 1.5, np.nan, [0.1]])
@pytest.mark.parametrize("horizon", [None, np.ones(3)])
def test_a_share_that_is_none_is_refused_by_name(share, horizon):
    with pytest.raises(ConfigError, match=r"share is .* from 0 to 1"):
        flow_of(horizon).reach(share)


# The least number that there is, 5e-324, counts as zero: no logarithmic scale has room below it.
@pytest.mark.parametrize("value", [0.0, 5e-324, 1.0, np.nan, np.inf])
def test_a_gradient_that_is_the_same_everywhere_has_a_figure(value, tmp_path):
    found = GradientFlow({"flat": flow_of(np.full(5, value), np.full((5, 2, 3), value))})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found.save(tmp_path / "flat.svg")
    assert (tmp_path / "flat.svg").stat().st_size > 1000
    named = [text.get_text() for axes in found.figure().axes if axes.get_legend() for text in axes.get_legend().texts]
    assert named == ["flat, h", "flat, 1 % up to k = 4" if value in (1.0, 5e-324) else "flat"]


def test_steps_that_no_gradient_reaches_stand_at_the_foot_of_the_scale_of_the_others():
    gradient = np.zeros((5, 1, 1))
    gradient[3:] = 2.0
    figure = GradientFlow({"late": flow_of(None, gradient)}).figure()
    (image,) = [image for axes in figure.axes for image in axes.images]
    assert image.norm.vmax == 2.0 and image.norm.vmin == pytest.approx(0.2)
    assert [float(image.norm(value)) for value in image.get_array()[0]] == pytest.approx([0, 0, 0, 1, 1])
