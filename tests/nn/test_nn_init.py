"""Initialisers: the distributions they promise, float32, and numbers that repeat with the seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import ShapeError

RANDOM = [
    lambda shape, rng=None: nn.init.uniform(shape, 0.3, rng),
    lambda shape, rng=None: nn.init.normal(shape, 0.3, rng),
    lambda shape, rng=None: nn.init.glorot_uniform(shape, rng=rng),
    lambda shape, rng=None: nn.init.glorot_normal(shape, rng=rng),
    lambda shape, rng=None: nn.init.orthogonal(shape, rng=rng),
]


@pytest.mark.parametrize("draw", RANDOM)
def test_numbers_come_from_the_seed_or_from_the_given_generator(draw):
    def seeded():
        tg.random.seed(5)
        return draw((3, 4))

    assert np.array_equal(seeded(), seeded())
    assert not np.array_equal(seeded(), draw((3, 4)))
    state = tg.random.get_state()
    a, b = [draw((3, 4), np.random.default_rng(0)) for _ in range(2)]
    assert np.array_equal(a, b)
    assert tg.random.get_state() == state
    assert a.dtype == np.float32
    assert a.shape == (3, 4)


def test_zeros_and_ones_are_float32():
    assert nn.init.zeros((2, 1)).tolist() == [[0], [0]]
    assert nn.init.ones((2,)).tolist() == [1, 1]
    assert nn.init.zeros((2,)).dtype == nn.init.ones((2,)).dtype == np.float32


def test_uniform_fills_its_range_and_normal_has_its_deviation():
    u = nn.init.uniform((100, 100), 0.3)
    assert u.min() == pytest.approx(-0.3, abs=1e-3)
    assert u.max() == pytest.approx(0.3, abs=1e-3)
    assert abs(u.mean()) < 0.01
    n = nn.init.normal((100, 100), 0.3)
    assert n.std() == pytest.approx(0.3, rel=0.05)
    assert abs(n).max() > 0.8


@pytest.mark.parametrize("draw", [nn.init.glorot_uniform, nn.init.glorot_normal])
@pytest.mark.parametrize("shape", [(300, 100), (100, 300), (3, 100, 100)])
@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_glorot_has_the_variance_of_its_paper(draw, shape, gain):
    *field, fan_in, fan_out = shape
    expected = gain * np.sqrt(2 / (np.prod(field) * (fan_in + fan_out)))
    values = draw(shape, gain)
    assert values.std() == pytest.approx(expected, rel=0.05)
    if draw is nn.init.glorot_uniform:
        assert abs(values).max() <= expected * np.sqrt(3)
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        draw((3,))


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0.5, 3), st.integers(0, 99))
@settings(deadline=None)
def test_orthogonal_rows_or_columns_are_orthonormal_times_gain(rows, columns, gain, seed):
    q = nn.init.orthogonal((rows, columns), gain, np.random.default_rng(seed)).astype(np.float64)
    assert q.shape == (rows, columns)
    product = q @ q.T if rows <= columns else q.T @ q
    np.testing.assert_allclose(product, gain**2 * np.eye(min(rows, columns)), atol=1e-5)


def test_orthogonal_matrices_are_uniform():
    rng = np.random.default_rng(0)
    matrices = np.stack([nn.init.orthogonal((2, 2), rng=rng) for _ in range(4000)])
    assert abs((np.linalg.det(matrices) > 0).mean() - 0.5) < 0.03
    assert abs(matrices.mean(0)).max() < 0.05


def test_orthogonal_needs_two_axes():
    with pytest.raises(ShapeError, match="rows, columns"):
        nn.init.orthogonal((3,))


@given(st.integers(1, 5), st.floats(-3, 3, width=32))
@settings(deadline=None)
def test_the_forget_gate_bias_opens_the_second_gate_of_four(size, value):
    i, f, g, o = nn.init.forget_gate_bias(size, value).reshape(4, size)
    assert not (i.any() or g.any() or o.any())
    assert (f == np.float32(value)).all()


def test_the_forget_gate_bias_opens_the_forget_gate_of_the_lstm():
    cell = nn.LSTMCell(2, 3)
    for parameter in cell.parameters():
        parameter.assign(np.zeros(parameter.shape))
    cell.from_input.bias.assign(nn.init.forget_gate_bias(3, 100.0))
    state = (np.zeros((1, 3), np.float32), np.full((1, 3), 0.7, np.float32))
    _, (_, c) = cell(np.zeros((1, 2), np.float32), state)
    np.testing.assert_allclose(c.data, 0.7)
