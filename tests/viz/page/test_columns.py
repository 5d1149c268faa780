"""Which loop and which time step a node stands in, told from scopes, or else from the operations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.viz.opened import opened
from tinygrad_rnn.viz.page.columns import spots


def placed(tensor):
    graph = opened(tg.Graph.of(tensor))
    return graph, spots(graph)


def steps_of_bands(found):
    """For each band the time steps in it, in order; None outside of loops."""
    bands = {}
    for spot in found.values():
        bands.setdefault(spot.band, {})[spot.time] = None
    return [list(bands[band]) for band in sorted(bands)]


@given(st.integers(1, 6), st.integers(1, 3), st.booleans(), st.sampled_from(["eager", "numpy"]))
def test_layers_and_directions_are_loops_of_their_own_with_every_step_once(steps, layers, bidirectional, engine):
    with tg.engine(engine):
        layer = nn.LSTM(2, 2, num_layers=layers, bidirectional=bidirectional)
        y, _ = layer(np.ones((steps, 1, 2), np.float32))
        graph, found = placed(np.sum(y))
    loops = [times for times in steps_of_bands(found) if times != [None]]
    assert len(loops) == layers * (1 + bidirectional)
    assert all(sorted(times) == list(range(steps)) for times in loops)
    assert len(found) == sum(node.primitive is not None for node in graph)


@given(st.integers(2, 6))
def test_what_does_the_same_at_every_step_has_one_role(steps):
    with tg.engine("eager"):
        _, found = placed(nn.GRU(2, 3)(np.ones((steps, 1, 2), np.float32))[0])
    roles = {}
    for spot in found.values():
        if spot.time is not None:
            roles.setdefault(spot.time, set()).add(spot.role)
    assert len(roles) == steps and all(found == roles[0] for found in roles.values())


def test_bands_stand_in_the_order_in_which_they_read_each_other():
    with tg.engine("eager"):
        model = nn.Sequential(nn.Linear(2, 2), nn.Recurrent([nn.RNNCell(2, 2), nn.RNNCell(2, 2)]))
        _, found = placed(np.sum(model(np.ones((3, 1, 2), np.float32))[0]))
    for node, spot in found.items():
        for parent in node.parents:
            if parent in found:
                assert found[parent].band <= spot.band
    assert steps_of_bands(found) == [[None], [0, 1, 2], [None], [0, 1, 2], [None]]


def test_what_lies_between_two_steps_outside_of_scopes_belongs_to_the_loop():
    h = tg.Tensor([0.5], requires_grad=True)
    for t in range(3):
        with tg.scope(t):
            h = np.tanh(h)
        h = h * 2.0
    _, found = placed(np.sum(h))
    assert [(spot.band, spot.time) for spot in found.values()] == [
        (0, 0), (0, 0), (0, 1), (0, 1), (0, 2), (1, None), (1, None),
    ]  # fmt: skip


def test_a_sum_that_grows_from_step_to_step_does_not_cut_the_loop():
    h, total = tg.Tensor([0.5], requires_grad=True), 0.0
    for t in range(3):
        with tg.scope(t):
            h = np.tanh(h)
        total = total + h
    _, found = placed(np.sum(total))
    assert steps_of_bands(found) == [[0, 1, 2], [None]]


def test_loops_that_feed_each_other_are_one():
    a = b = tg.Tensor([0.5], requires_grad=True)
    for t in range(2):
        with tg.scope("first"), tg.scope(t):
            a = np.tanh(a * b)
        with tg.scope("second"), tg.scope(t):
            b = np.sin(a + b)
    _, found = placed(b)
    assert {spot.band for spot in found.values()} == {0}
    assert [spot.time for spot in found.values()] == [0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("again", [(0, 1, 2), (2, 1, 0)])
def test_a_second_loop_under_the_same_scope_is_another_one(again):
    h = tg.Tensor([0.5], requires_grad=True)
    for times in ((0, 1, 2), again):
        for t in times:
            with tg.scope("loop"), tg.scope(t):
                h = np.tanh(h)
    _, found = placed(h)
    assert steps_of_bands(found) == [[0, 1, 2], list(again)]


@given(st.integers(3, 8))
def test_a_loop_written_by_hand_has_columns_without_any_scope(steps):
    w, h = tg.Tensor(np.eye(3), requires_grad=True, name="w"), np.ones((2, 3))
    for _ in range(steps):
        h = np.tanh(h @ w + 0.1)
    _, found = placed(np.sum(h * h))
    assert steps_of_bands(found) == [list(range(steps)), [None]]
