"""The cells: equal to their formulas, with gradients equal to central differences."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core import errors
from tinygrad_rnn.core.tree import tree_flatten, tree_map


class Minimal(nn.Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(input_size, 2 * hidden_size)
        self.from_state = nn.Linear(hidden_size, 2 * hidden_size, bias=False)

    def forward(self, x, h):
        z, n = np.split(self.from_input(x) + self.from_state(h), 2, axis=-1)
        z = tg.sigmoid(z)
        h = (1 - z) * h + z * np.tanh(n)
        return h, h


KINDS = {
    "tanh": nn.RNNCell,
    "relu": lambda i, h, **options: nn.RNNCell(i, h, nonlinearity="relu", **options),
    "lstm": nn.LSTMCell,
    "gru": nn.GRUCell,
    "gru, reset before": lambda i, h, **options: nn.GRUCell(i, h, reset_after=False, **options),
    "minimal": lambda i, h, bias=True: Minimal(i, h),
}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn(x, h, w, u, b, c, kind):
    h = np.tanh(x @ w + b + h @ u + c) if kind == "tanh" else np.maximum(x @ w + b + h @ u + c, 0)
    return h, h


def lstm(x, state, w, u, b, d):
    h, c = state
    n = h.shape[-1]
    a = x @ w + b + h @ u + d
    c = sigmoid(a[:, n : 2 * n]) * c + sigmoid(a[:, :n]) * np.tanh(a[:, 2 * n : 3 * n])
    h = sigmoid(a[:, 3 * n :]) * np.tanh(c)
    return h, (h, c)


def gru(x, h, w, u, b, d, candidate):
    n = h.shape[-1]
    a, r_z = x @ w + b, h @ u[:, : 2 * n] + d[: 2 * n]
    r, z = sigmoid(a[:, :n] + r_z[:, :n]), sigmoid(a[:, n : 2 * n] + r_z[:, n:])
    h = (1 - z) * np.tanh(a[:, 2 * n :] + candidate(r, h)) + z * h
    return h, h


def arrays_of(cell):
    return [
        cell.from_input.weight.data,
        cell.from_state.weight.data,
        cell.from_input.bias.data,
        cell.from_state.bias.data,
    ]


FORMULAS = {
    "tanh": lambda cell, x, s: rnn(x, s, *arrays_of(cell), "tanh"),
    "relu": lambda cell, x, s: rnn(x, s, *arrays_of(cell), "relu"),
    "lstm": lambda cell, x, s: lstm(x, s, *arrays_of(cell)),
    "gru": lambda cell, x, s: gru(
        x,
        s,
        *arrays_of(cell),
        lambda r, h: (
            r * (h @ cell.from_state.weight.data[:, 2 * h.shape[1] :] + cell.from_state.bias.data[2 * h.shape[1] :])
        ),
    ),
    "gru, reset before": lambda cell, x, s: gru(
        x, s, *arrays_of(cell), lambda r, h: (r * h) @ cell.from_reset.weight.data + cell.from_reset.bias.data
    ),
}

sizes = st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 3))


def drawn(kind, batch, inputs, hidden, seed, **options):
    """Return a cell, an input and a state in float64 with random values of about unit size."""
    rng = np.random.default_rng(seed)
    cell = KINDS[kind](inputs, hidden, **options).astype(np.float64)
    for parameter in cell.parameters():
        parameter.assign(rng.normal(size=parameter.shape))
    state = tree_map(lambda leaf: rng.normal(size=leaf.shape), cell.initial_state(batch))
    return cell, rng.normal(size=(batch, inputs)), state, rng


@pytest.mark.parametrize("kind", FORMULAS)
@given(sizes=sizes, seed=st.integers(0, 9999))
def test_a_cell_computes_its_formula(kind, sizes, seed):
    cell, x, state, _ = drawn(kind, *sizes, seed)
    ours, formula = cell(x, tree_map(tg.Tensor, state)), FORMULAS[kind](cell, x, state)
    for a, b in zip(tree_flatten(ours)[0], tree_flatten(formula)[0], strict=True):
        np.testing.assert_allclose(a.data, b, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, deadline=None)
@given(sizes=sizes, seed=st.integers(0, 9999))
def test_gradients_of_a_cell_equal_central_differences(kind, bias, sizes, seed):
    cell, x, state, rng = drawn(kind, *sizes, seed, bias=bias)
    leaves = [tg.Tensor(x), *[tg.Tensor(leaf) for leaf in tree_flatten(state)[0]], *cell.parameters()]
    outputs = [rng.normal(size=np.shape(leaf)) for leaf in tree_flatten(cell(x, state))[0]]
    structure = (x, state)

    def loss():
        count = len(tree_flatten(structure)[0])
        given_x, *given_state = leaves[:count]
        results = cell(given_x, tuple(given_state) if len(given_state) > 1 else given_state[0])
        return sum(np.sum(c * leaf) for c, leaf in zip(outputs, tree_flatten(results)[0], strict=True))

    for leaf in leaves:
        leaf.requires_grad_()
    loss().backward()
    for leaf in leaves:
        # One random direction for each argument: a wrong element shows up in it with probability one.
        direction, value, step = rng.normal(size=leaf.shape), leaf.data.copy(), 1e-6
        analytic = 0.0 if leaf.grad is None else np.sum(leaf.grad * direction)
        moved = []
        for sign in 1, -1:
            leaf._rebind(value + sign * step * direction)
            moved.append(loss().item())
        leaf._rebind(value)
        np.testing.assert_allclose((moved[0] - moved[1]) / (2 * step), analytic, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_starts_from_zeros_in_the_dtype_of_its_parameters(kind):
    cell = KINDS[kind](2, 3)
    for dtype in np.float32, np.float64:
        leaves, _ = tree_flatten(cell.astype(dtype).initial_state(4))
        assert len(leaves) == 1 + (kind == "lstm")
        for leaf in leaves:
            assert leaf.shape == (4, 3)
            assert leaf.dtype == dtype
            assert not leaf.data.any()


@pytest.mark.parametrize("kind", ["tanh", "relu", "lstm", "gru", "gru, reset before"])
def test_weights_start_uniform_between_plus_and_minus_one_over_the_root_of_hidden_size(kind):
    tg.random.seed(0)
    cell = KINDS[kind](200, 16)
    for parameter in cell.parameters():
        assert parameter.dtype == np.float32
        assert np.abs(parameter.data).max() <= 0.25
        assert np.abs(parameter.data).max() > 0.15
        np.testing.assert_allclose(parameter.data.mean(), 0, atol=0.15)


@pytest.mark.parametrize("kind", ["tanh", "relu", "lstm", "gru", "gru, reset before"])
def test_the_same_seed_gives_the_same_cell(kind):
    def weights():
        tg.random.seed(7)
        return KINDS[kind](3, 4).state_dict()

    first, second = weights(), weights()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


def test_a_cell_without_bias_has_no_bias():
    for make in nn.RNNCell, nn.LSTMCell, nn.GRUCell, partial(nn.GRUCell, reset_after=False):
        assert not [name for name, _ in make(2, 3, bias=False).named_parameters() if "bias" in name]


def test_a_cell_without_hidden_size_and_without_initial_state_is_named():
    class Nameless(nn.Cell):
        def forward(self, x, h):
            return h, h

    with pytest.raises(errors.CellError, match=r"Nameless has no hidden_size.*write initial_state"):
        Nameless().initial_state(2)
    with pytest.raises(errors.CellError, match="Nameless"):
        nn.Recurrent(Nameless())(np.ones((2, 2, 2)))


def test_a_cell_without_parameters_starts_in_float32():
    class Sum(nn.Cell):
        hidden_size = 2

        def forward(self, x, h):
            return h + x, h + x

    assert Sum().initial_state(3).dtype == np.float32


def test_an_unknown_nonlinearity_is_named():
    with pytest.raises(errors.ConfigError, match="'tanh', 'relu'"):
        nn.RNNCell(2, 3, nonlinearity="sine")


def test_saturated_gates_raise_no_warning():
    for make in nn.LSTMCell, nn.GRUCell, lambda i, h: nn.GRUCell(i, h, reset_after=False):
        cell = make(1, 2)
        y, _ = cell(tg.Tensor([[1e6], [-1e6]], dtype=np.float32), cell.initial_state(2))
        np.sum(y).backward()
        assert all(np.isfinite(parameter.grad).all() for parameter in cell.parameters())
