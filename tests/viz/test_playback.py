"""Playback shows every value and every cotangent, as the sweep itself computes them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import CotangentError, FreedGraphError
from tinygrad_rnn.scan.engines import available
from tinygrad_rnn.viz.playback import Playback

X = np.random.default_rng(0).standard_normal((5, 2, 3))


def small_model():
    tg.random.seed(0)
    return nn.LSTM(3, 4).astype(np.float64)


def loss_of(layer, x=X):
    y, _ = layer(x)
    return np.mean(y[-1] ** 2) + np.sum(np.exp(y[0]))


def sums(playback):
    """Add the contributions up in float64, in another way than the class does."""
    found = {}
    for part in playback.contributions:
        found.setdefault((part.parent, part.slot), []).append(part.array.astype(np.float64))
    return {edge: np.sum(arrays, axis=0) for edge, arrays in found.items()}


@pytest.mark.parametrize("engine", available())
def test_contributions_add_up_to_the_gradients_of_every_parameter(engine):
    layer = small_model()
    with tg.engine(engine):
        loss = loss_of(layer)
    playback = Playback(loss)
    totals = sums(playback)
    loss.backward()
    for name, parameter in layer.named_parameters():
        np.testing.assert_allclose(totals[parameter.node, 0], parameter.grad, rtol=1e-11, atol=1e-14, err_msg=name)
        np.testing.assert_allclose(playback.cotangent(parameter.node, 0), parameter.grad, rtol=1e-11, atol=1e-14)
    weight = next(parameter for name, parameter in layer.named_parameters() if name.endswith("from_state.weight"))
    assert sum(part.parent is weight.node for part in playback.contributions) == 5


def test_the_cotangents_of_an_eager_graph_are_the_gradients_to_the_bit():
    layer = small_model()
    with tg.engine("eager"):
        loss = loss_of(layer)
    playback = Playback(loss)
    loss.backward()
    for parameter in layer.parameters():
        np.testing.assert_array_equal(playback.cotangent(parameter.node, 0), parameter.grad)


@pytest.mark.parametrize("engine", available())
def test_all_values_are_known(engine):
    with tg.engine(engine), tg.keep_values():
        playback = Playback(loss_of(small_model()))
    for node in playback.graph:
        for slot, spec in enumerate(node.specs):
            value = playback.value(node, slot)
            assert value is not None, node
            assert (value.shape, value.dtype) == (spec.shape, spec.dtype)
        for i in range(len(node.parents)):
            assert playback.argument(node, i) is not None


def test_what_was_not_kept_is_computed_again_or_unknown():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    playback = Playback(np.sum(w + 1.0))
    add = playback.graph.nodes[1]
    np.testing.assert_array_equal(playback.value(add, 0), [2.0, 3.0])
    playback = Playback(np.sum(w + np.array([1.0, 5.0])))
    assert playback.value(playback.graph.nodes[1], 0) is None
    with tg.keep_values():
        playback = Playback(np.sum(w + np.array([1.0, 5.0])))
    np.testing.assert_array_equal(playback.value(playback.graph.nodes[1], 0), [2.0, 7.0])


def test_a_parameter_that_was_given_another_value_since_is_not_shown_with_it():
    weight = nn.Parameter([1.0, 2.0])
    loss = np.sum(weight + 1.0)
    assert Playback(loss).value(weight.node, 0) is not None
    weight.assign([5.0, 6.0])
    assert Playback(loss).value(weight.node, 0) is None


def test_a_freed_graph_is_refused():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    loss = np.sum(np.exp(w))
    loss.backward()
    with pytest.raises(FreedGraphError, match="retain_graph"):
        Playback(loss)


def test_several_elements_need_a_cotangent():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(CotangentError):
        Playback(2 * w)
    np.testing.assert_array_equal(Playback(2 * w, np.array([1.0, 10.0])).cotangent(w.node, 0), [2.0, 20.0])


def test_hooks_change_what_is_handed_on():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    y = 3 * w
    y.register_hook(lambda g: 10 * g)
    np.testing.assert_array_equal(Playback(np.sum(y)).cotangent(w.node, 0), [30.0, 30.0])


@given(rows=st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_rows_read_by_index_add_up(rows):
    x = tg.Tensor(np.arange(10.0).reshape(5, 2), requires_grad=True)
    loss = sum(np.sum(x[i] ** 2) for i in rows)
    playback = Playback(loss)
    loss.backward()
    assert sum(part.parent is x.node for part in playback.contributions) == len(rows)
    np.testing.assert_array_equal(playback.cotangent(x.node, 0), x.grad)


@given(st.sampled_from(["eager", "numpy"]), st.integers(1, 4))
def test_inputs_get_their_cotangents_through_opened_loops(engine, time):
    x = tg.Tensor(X[:time], requires_grad=True)
    layer = small_model()
    with tg.engine(engine):
        loss = loss_of(layer, x)
    playback = Playback(loss)
    loss.backward()
    np.testing.assert_allclose(playback.cotangent(x.node, 0), x.grad, rtol=1e-11, atol=1e-14)
