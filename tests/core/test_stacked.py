"""vmap, per-sample gradients and ensembles: equal to a Python loop over the members."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import ConfigError, ConversionError, GraphError, ShapeError

MEMBERS = 4
FUNCTIONS = {
    "elementwise": lambda a: np.tanh(a) * a + 2.0,
    "sum of an axis": lambda a: np.sum(a, axis=0),
    "sum of all": lambda a: np.sum(a),
    "mean, kept": lambda a: a - np.mean(a, axis=-1, keepdims=True),
    "matmul": lambda a: a @ np.transpose(a),
    "vector times matrix": lambda a: a[0] @ np.transpose(a),
    "reshape": lambda a: np.reshape(a, (-1,)),
    "split and stack": lambda a: np.stack(np.split(a, 2, axis=1)[::-1]),
    "concatenate with a constant": lambda a: np.concatenate([a, np.ones((1, 4))], axis=0),
    "broadcast": lambda a: np.broadcast_to(a[0], (3, 4)),
    "index": lambda a: a[1:, [0, 2]],
    "mask": lambda a: np.where(a > 0, a, 0.1 * a),
    "einsum": lambda a: np.einsum("ij,kj->ik", a, a),
    "softmax": lambda a: tg.softmax(a, axis=0),
    "logsumexp": lambda a: tg.logsumexp(a, axis=1),
    "maximum along": lambda a: np.max(a, axis=0),
    "pad": lambda a: np.pad(a, 1),
    "cumulative sum": lambda a: np.cumsum(a, axis=1),
    "iteration": lambda a: sum(row * i for i, row in enumerate(a)),
    "argmax": lambda a: np.take_along_axis(a, np.expand_dims(np.argmax(a, axis=1), 1), 1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_vmap_gives_value_and_gradient_of_a_loop(name):
    function = FUNCTIONS[name]
    x = np.random.default_rng(0).normal(size=(MEMBERS, 3, 4))

    def total(stack):
        return np.sum(tg.vmap(function)(stack) ** 2)

    expected = np.stack([function(tg.Tensor(member)).data for member in x])
    np.testing.assert_allclose(tg.vmap(function)(x).data, expected, rtol=1e-13, atol=1e-14)
    slopes = np.stack([tg.grad(lambda a: np.sum(function(a) ** 2))(member).data for member in x])
    np.testing.assert_allclose(tg.grad(total)(x).data, slopes, rtol=1e-12, atol=1e-13)


def test_a_function_of_whole_arrays_is_not_mixed_across_equal_members():
    whitened = tg.Primitive("whitened", lambda a: a - a.mean())
    whitened.defvjp(lambda g, out, a: g - np.mean(g))
    stack = np.ones((3, 2))
    slopes = tg.grad(lambda s: np.sum(tg.vmap(lambda a: whitened(a)[0])(s) * np.array([1.0, 0.0, 0.0])))(stack)
    np.testing.assert_array_equal(slopes.data, [[0.5, -0.5], [0.0, 0.0], [0.0, 0.0]])


class Minimal(nn.Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(input_size, 2 * hidden_size)
        self.from_state = nn.Linear(hidden_size, 2 * hidden_size, bias=False)
        self.norm = nn.LayerNorm(hidden_size)

    def forward(self, x, h):
        z, n = np.split(self.from_input(x) + self.from_state(h), 2, axis=-1)
        z = tg.sigmoid(z)
        h = self.norm((1 - z) * h + z * np.tanh(n))
        return h, h


LAYERS = {
    "RNN": lambda: nn.RNN(3, 4, learned_state=True),
    "LSTM": lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True),
    "GRU": lambda: nn.GRU(3, 4),
    "GRU of the paper": lambda: nn.GRU(3, 4, reset_after=False),
    "a cell of one's own": lambda: nn.Recurrent(Minimal(3, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("lengths", [None, [5, 0, 2]])
def test_an_ensemble_of_layers_is_a_loop_over_its_members(name, lengths):
    layer = LAYERS[name]().astype(np.float64)
    rng = np.random.default_rng(1)
    stacks = {key: rng.normal(size=(MEMBERS, *value.shape)) for key, value in layer.state_dict().items()}
    x = rng.normal(size=(5, 3, 3))

    def run(parameters):
        return nn.functional_call(layer, parameters, x, lengths=lengths)[0]

    together = tg.vmap(run)(stacks)
    for k in range(MEMBERS):
        alone = run({key: value[k] for key, value in stacks.items()})
        np.testing.assert_allclose(together.data[k], alone.data, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", LAYERS)
def test_per_sample_gradients_of_layers_are_a_loop_over_the_samples(name):
    layer = LAYERS[name]().astype(np.float64)
    x = np.random.default_rng(2).normal(size=(MEMBERS, 6, 1, 3))

    def loss(parameters, sample):
        return np.sum(nn.functional_call(layer, parameters, sample)[0] ** 2)

    parameters = layer.state_dict()
    together = tg.per_sample_grad(loss)(parameters, x)
    for k in range(MEMBERS):
        for key, slope in tg.grad(loss)(parameters, x[k]).items():
            np.testing.assert_allclose(together[key].data[k], slope.data, rtol=1e-12, atol=1e-12)


@given(seed=st.integers(0, 99), ignored=st.integers(0, 6))
def test_per_sample_gradients_of_a_classifier_with_ignored_targets(seed, ignored):
    rng = np.random.default_rng(seed)
    model = nn.Sequential(nn.Embedding(7, 4), nn.LayerNorm(4), nn.Linear(4, 5)).astype(np.float64)
    ids, targets = rng.integers(0, 7, (3, 2)), rng.integers(0, 5, (3, 2))
    targets.reshape(-1)[:ignored] = -100

    def loss(parameters, x, y):
        return nn.cross_entropy(nn.functional_call(model, parameters, x), y)

    together = tg.per_sample_grad(loss)(model.state_dict(), ids, targets)
    for k in range(3):
        for key, slope in tg.grad(loss)(model.state_dict(), ids[k], targets[k]).items():
            np.testing.assert_allclose(together[key].data[k], slope.data, rtol=1e-12, atol=1e-12)


def test_one_call_records_no_more_for_more_members():
    sizes = []
    for members in (2, 50):
        x = tg.Tensor(np.ones((members, 3)), requires_grad=True)
        sizes.append(len(tg.Graph.of(tg.vmap(lambda a: tg.softmax(np.tanh(a) + 1))(x))))
    assert sizes[0] == sizes[1]


def test_results_that_do_not_depend_on_the_members_are_repeated():
    np.testing.assert_array_equal(tg.vmap(lambda a: np.ones(2))(np.zeros((3, 1))).data, np.ones((3, 2)))


def test_asking_a_member_for_its_value_is_refused_by_name():
    with pytest.raises(ConversionError, match="inside vmap"):
        tg.vmap(lambda a: a if np.sum(a) > 0 else -a)(np.ones((2, 3)))


def test_gradients_inside_vmap_are_refused_by_name():
    with pytest.raises(GraphError, match="take gradients outside"):
        tg.vmap(lambda a: np.sum(a).backward())(tg.Tensor(np.ones((2, 3)), requires_grad=True))


def test_stacks_of_unequal_length_and_wrong_in_axes_are_refused():
    with pytest.raises(ShapeError, match=r"\[2, 3\] members"):
        tg.vmap(lambda a, b: a + b)(np.ones(2), np.ones(3))
    with pytest.raises(ConfigError, match="in_axes"):
        tg.vmap(lambda a: a, in_axes=(0, 0))(np.ones(2))
    with pytest.raises(ShapeError, match="over a number"):
        tg.vmap(lambda a: a)(1.0)


def test_comparisons_of_members_combine_as_bool_arrays_do():
    x = np.random.default_rng(0).normal(size=(3, 4))
    found = tg.vmap(lambda v: np.where((v > 0) & (v < 1) | ~(v > -1), v, 0.0))(x)
    np.testing.assert_array_equal(found.data, np.where((x > 0) & (x < 1) | ~(x > -1), x, 0.0))
