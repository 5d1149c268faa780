"""Layers without a state: what they compute, against PyTorch, and their gradients, against central differences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import ConfigError, DataError, DtypeError, ShapeError
from tinygrad_rnn.testing import gradcheck

leads = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
some_leads = hnp.array_shapes(min_dims=0, max_dims=2, min_side=1, max_side=3)
sizes = st.integers(1, 5)
seeds = st.integers(0, 2**32 - 1)


def randomised(module, seed=0):
    """Return the module in float64, with random numbers for parameters."""
    rng = np.random.default_rng(seed)
    for parameter in module.astype(np.float64).parameters():
        parameter.assign(rng.normal(size=parameter.shape))
    return module


def check_gradients(module, x):
    """Compare gradients with respect to the input, where it is floating, and every parameter."""
    places = [(owner, key) for _, owner in module.named_modules() for key, _ in owner._members()]
    places = [(owner, key) for owner, key in places if isinstance(getattr(owner, key), nn.Parameter)]
    values = [getattr(owner, key).data for owner, key in places]

    def run(x, *parameters):
        tg.random.seed(0)
        for (owner, key), parameter in zip(places, parameters, strict=True):
            vars(owner)[key] = parameter
        return module(x)

    gradcheck(run, [x, *values])


def check_against_torch(module, torch_module, x, seed):
    """Compare output and all gradients with those of a PyTorch module that has the same parameters."""
    torch = pytest.importorskip("torch")
    torch_module = torch_module.double()
    with torch.no_grad():
        for ours, theirs in zip(module.parameters(), torch_module.parameters(), strict=True):
            array = ours.data.copy()
            theirs.copy_(torch.tensor(array.T if isinstance(module, nn.Linear) else array))
    floating = x.dtype.kind == "f"
    mine, other = tg.Tensor(x, requires_grad=floating), torch.tensor(x, requires_grad=floating)
    y, expected = module(mine), torch_module(other)
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    g = np.random.default_rng(seed).normal(size=y.shape)
    y.backward(g)
    expected.backward(torch.tensor(g))
    if floating:
        np.testing.assert_allclose(mine.grad, other.grad.numpy(), rtol=1e-8, atol=1e-10)
    for ours, theirs in zip(module.parameters(), torch_module.parameters(), strict=True):
        grad = theirs.grad.numpy()
        grad = grad.T if isinstance(module, nn.Linear) else grad
        np.testing.assert_allclose(ours.grad, grad, rtol=1e-8, atol=1e-10)


@given(leads, sizes, sizes, st.booleans(), seeds)
@settings(deadline=None)
def test_linear_equals_pytorch(lead, inputs, outputs, bias, seed):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(seed).normal(size=(*lead, inputs))
    check_against_torch(
        randomised(nn.Linear(inputs, outputs, bias), seed), torch.nn.Linear(inputs, outputs, bias), x, seed
    )


@given(some_leads, sizes, sizes, st.booleans(), seeds)
@settings(max_examples=20, deadline=None)
def test_gradients_of_linear_equal_central_differences(lead, inputs, outputs, bias, seed):
    x = np.random.default_rng(seed).normal(size=(*lead, inputs))
    check_gradients(randomised(nn.Linear(inputs, outputs, bias), seed), x)


def test_linear_starts_uniform_between_plus_and_minus_one_over_the_root_of_its_inputs():
    layer = nn.Linear(16, 4000)
    for values in (layer.weight.data, layer.bias.data):
        assert values.dtype == np.float32
        assert np.abs(values).max() <= 0.25
        assert abs(values.std() - 0.25 / 3**0.5) < 0.01
    assert nn.Linear(2, 3, bias=False).bias is None


def test_linear_names_its_weight_where_the_input_does_not_fit():
    model = nn.Sequential(nn.Linear(3, 2))
    with pytest.raises(ShapeError, match=r"\(5, 4\).*0\.weight.*\(3, 2\)"):
        model(tg.Tensor(np.ones((5, 4))))


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "3"])
def test_a_size_that_is_no_positive_integer_is_refused(size):
    for make in (
        lambda: nn.Linear(size, 1),
        lambda: nn.Linear(1, size),
        lambda: nn.Embedding(size, 1),
        lambda: nn.Embedding(1, size),
        lambda: nn.LayerNorm((2, size)),
    ):
        with pytest.raises(ConfigError, match="integer of at least 1"):
            make()


@given(leads, sizes, sizes, seeds, st.sampled_from([np.int64, np.int32, np.uint8]))
@settings(deadline=None)
def test_an_embedding_equals_pytorch(lead, count, size, seed, dtype):
    torch = pytest.importorskip("torch")
    ids = np.random.default_rng(seed).integers(0, count, lead).astype(np.int64)
    module = randomised(nn.Embedding(count, size), seed)
    check_against_torch(module, torch.nn.Embedding(count, size), ids, seed)
    np.testing.assert_array_equal(module(ids.astype(dtype)).data, module.weight.data[ids])
    np.testing.assert_array_equal(module(tg.Tensor(ids)).data, module.weight.data[ids])


@given(some_leads, sizes, sizes, seeds)
@settings(max_examples=20, deadline=None)
def test_gradients_of_an_embedding_equal_central_differences(lead, count, size, seed):
    ids = np.random.default_rng(seed).integers(0, count, lead)
    check_gradients(randomised(nn.Embedding(count, size), seed), ids)


def test_an_embedding_starts_standard_normal():
    weight = nn.Embedding(100, 100).weight.data
    assert weight.dtype == np.float32
    assert abs(weight.std() - 1) < 0.05
    assert abs(weight.mean()) < 0.05


@pytest.mark.parametrize("index", [-1, 4])
def test_an_index_outside_the_table_is_named(index):
    with pytest.raises(DataError, match=f"{index} .* 4 vectors.* 0 to 3"):
        nn.Embedding(4, 2)(np.array([index, index]))


@pytest.mark.parametrize("ids", [np.array([1.0]), np.array([True])])
def test_an_embedding_is_read_by_integers_only(ids):
    with pytest.raises(DtypeError, match="integers"):
        nn.Embedding(4, 2)(ids)


@given(leads, st.floats(0, 0.95), seeds)
@settings(deadline=None)
def test_dropout_keeps_an_element_divided_or_sets_it_to_zero(shape, rate, seed):
    tg.random.seed(seed)
    x = tg.Tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)
    y = nn.Dropout(rate)(x)
    kept = y.data != 0
    np.testing.assert_allclose(y.data[kept], x.data[kept] / (1 - rate), rtol=1e-6)
    y.backward(np.ones(shape))
    np.testing.assert_allclose(x.grad, kept / (1 - rate), rtol=1e-6)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_at_its_rate_and_keeps_the_mean(rate):
    tg.random.seed(0)
    y = nn.Dropout(rate)(tg.Tensor(np.ones(100_000))).data
    assert abs((y == 0).mean() - rate) < 0.01
    assert abs(y.mean() - 1) < 0.03


def test_dropout_draws_anew_at_every_call_and_repeats_with_the_seed():
    layer, x = nn.Dropout(0.5), tg.Tensor(np.ones(100))
    tg.random.seed(1)
    first, second = layer(x).tolist(), layer(x).tolist()
    assert first != second
    tg.random.seed(1)
    assert layer(x).tolist() == first


def test_dropout_does_nothing_unless_training():
    x = tg.Tensor(np.ones(100))
    assert nn.Dropout(0.5).eval()(x) is x
    assert nn.Dropout(0)(x) is x
    model = nn.Sequential(nn.Dropout(0.5))
    assert model.eval()(x) is x
    assert model.train()(x) is not x


def test_dropout_of_everything_is_zero():
    assert not nn.Dropout(1)(tg.Tensor(np.ones(100))).data.any()


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_dropout_rate_outside_its_range_is_refused(rate):
    with pytest.raises(ConfigError, match="0 to 1"):
        nn.Dropout(rate)


@given(st.sampled_from([np.float16, np.float32, np.float64]))
@settings(deadline=None)
def test_layers_keep_the_dtype_of_input_and_parameters(dtype):
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Dropout(0.3), np.tanh).astype(dtype)
    assert model(np.ones((2, 3), dtype)).dtype == dtype
    assert nn.Sequential(nn.Embedding(3, 2)).astype(dtype)(np.array([1])).dtype == dtype


normalized = st.one_of(st.integers(2, 5), st.tuples(st.integers(2, 3)), st.tuples(st.integers(1, 3), st.integers(2, 3)))


@given(leads, normalized, st.sampled_from([1e-5, 1e-1]), seeds)
@settings(deadline=None)
def test_layer_norm_equals_pytorch(lead, shape, eps, seed):
    torch = pytest.importorskip("torch")
    last = (shape,) if isinstance(shape, int) else shape
    x = np.random.default_rng(seed).normal(size=(*lead, *last)) + 3
    module = randomised(nn.LayerNorm(shape, eps), seed)
    check_against_torch(module, torch.nn.LayerNorm(shape, eps), x, seed)


@given(some_leads, st.integers(3, 5), seeds)
@settings(max_examples=20, deadline=None)
def test_gradients_of_layer_norm_equal_central_differences(lead, size, seed):
    x = np.random.default_rng(seed).normal(size=(*lead, size))
    check_gradients(randomised(nn.LayerNorm(size, eps=0.1), seed), x)


@given(st.floats(-1e3, 1e3), seeds)
@settings(deadline=None)
def test_layer_norm_starts_with_mean_zero_and_variance_one_wherever_the_input_is(shift, seed):
    x = np.random.default_rng(seed).normal(size=(4, 50)) + shift
    y = nn.LayerNorm(50).astype(np.float64)(x).data
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-9)
    np.testing.assert_allclose(y.var(-1), 1, atol=1e-3)


def test_layer_norm_of_equal_elements_is_its_bias_and_has_a_finite_gradient():
    x = tg.Tensor(np.full((2, 3), 7.0), requires_grad=True)
    y = nn.LayerNorm(3)(x)
    assert not y.data.any()
    y.backward(np.ones((2, 3)))
    assert np.isfinite(x.grad).all()


@pytest.mark.parametrize("shape", [(3, 4), (5,), ()])
def test_layer_norm_refuses_other_last_axes(shape):
    with pytest.raises(ShapeError, match=r"LayerNorm\(3\)"):
        nn.LayerNorm(3)(np.ones(shape))


@given(st.lists(sizes, min_size=2, max_size=4), seeds)
@settings(max_examples=10, deadline=None)
def test_gradients_of_a_chain_equal_central_differences(widths, seed):
    parts = []
    for inputs, outputs in itertools.pairwise(widths):
        parts += [nn.Linear(inputs, outputs), np.tanh, nn.Dropout(0.3)]
    x = np.random.default_rng(seed).normal(size=(2, widths[0]))
    check_gradients(randomised(nn.Sequential(*parts), seed), x)


def test_a_chain_runs_its_parts_in_order():
    model = nn.Sequential(lambda x: x + 1, lambda x: x * 2)
    model.append(lambda x: x - 3)
    assert model(5) == 9
    assert nn.Sequential()(5) == 5
    assert len(model) == 3
    model[0] = np.negative
    assert model(5) == -13
    with pytest.raises(ConfigError, match="modules or functions"):
        nn.Sequential(3)


def test_a_chain_shows_and_names_its_parts_by_place():
    model = nn.Sequential(nn.Linear(3, 2), np.tanh, nn.Linear(2, 1))
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    shown = [line.strip().split("(")[0] for line in repr(model).splitlines()]
    assert shown == ["Sequential, 11 parameters", "0: Linear", "1: tanh", "2: Linear"]


def test_a_chain_inside_a_module_is_a_part_of_the_scope_of_its_own():
    outer = nn.Sequential(nn.Sequential(nn.Linear(1, 1)))
    outer[0].append(nn.Linear(1, 1))
    x = np.ones((1, 1))
    assert outer(x).node.scope == ("Sequential", "0", "1")
    assert outer[0][0](x).node.scope == ("0",)


def test_a_chain_of_many_kinds_learns_what_a_linear_map_cannot():
    tg.random.seed(0)
    model = nn.Sequential(nn.Linear(2, 8), np.tanh, nn.LayerNorm(8), nn.Linear(8, 1))
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    y = np.array([[0], [1], [1], [0]], np.float32)
    for _ in range(300):
        loss = nn.binary_cross_entropy_with_logits(model(x), y)
        model.zero_grad()
        loss.backward()
        for parameter in model.parameters():
            parameter.assign(parameter.data - 0.3 * parameter.grad)
    assert loss.item() < 0.05
