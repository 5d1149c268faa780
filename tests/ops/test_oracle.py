"""PyTorch as a second opinion: the same values and gradients over drawn shapes, to 1e-12 in float64."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import tinygrad_rnn as tg
from tinygrad_rnn.testing.strategies import shapes, values

torch = pytest.importorskip("torch")
F = torch.nn.functional
fewer = settings(max_examples=max(5, settings().max_examples // 2))


def compare(ours, theirs, arrays, cotangent_of=lambda shape: 1.0 + np.arange(math.prod(shape)).reshape(shape)):
    """Compare value, gradients, and the gradients of the gradients' sum of squares."""
    tensors = [tg.Tensor(array, requires_grad=True) for array in arrays]
    others = [torch.tensor(array, requires_grad=True) for array in arrays]
    y, other = ours(*tensors), theirs(*others)
    close(y.data, other)
    cotangent = cotangent_of(y.shape)
    slopes = tg.gradients(y, tensors, cotangent, record=True)
    other_slopes = torch.autograd.grad(other, others, torch.tensor(cotangent), create_graph=True)
    total, other_total = 0.0, torch.zeros(())
    for slope, other_slope in zip(slopes, other_slopes, strict=True):
        close(slope.data, other_slope)
        total = total + np.sum(slope * slope)
        other_total = other_total + (other_slope * other_slope).sum()
    if not isinstance(total, tg.Tensor) or not total.requires_grad or not other_total.requires_grad:
        return
    second = tg.gradients(total, tensors)
    other_second = torch.autograd.grad(other_total, others, allow_unused=True)
    for found, expected in zip(second, other_second, strict=True):
        close(found, torch.zeros(found.shape) if expected is None else expected)


def close(found, expected):
    expected = expected.numpy(force=True)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


ELEMENTWISE = {
    "exp": (np.exp, torch.exp),
    "expm1": (np.expm1, torch.expm1),
    "tanh": (np.tanh, torch.tanh),
    "sin": (np.sin, torch.sin),
    "sigmoid": (tg.sigmoid, torch.sigmoid),
    "relu": (tg.relu, torch.relu),
    "silu": (tg.silu, F.silu),
    "gelu": (tg.gelu, F.gelu),
    "gelu with tanh": (lambda x: tg.gelu(x, approximate=True), lambda x: F.gelu(x, approximate="tanh")),
    "softplus": (tg.softplus, F.softplus),
    "abs": (np.abs, torch.abs),
    "square": (np.square, torch.square),
    "clip": (lambda x: np.clip(x, -0.2, 0.3), lambda x: torch.clamp(x, -0.2, 0.3)),
    "power": (lambda x: x**3, lambda x: x**3),
    "sum": (np.sum, torch.sum),
    "mean": (np.mean, torch.mean),
    "max": (np.max, torch.max),
    "prod": (np.prod, torch.prod),
    "norm": (lambda x: np.linalg.norm(x.reshape(-1)), lambda x: torch.linalg.norm(x.reshape(-1))),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
@given(data=st.data())
@fewer
def test_functions_of_one_argument_agree_with_pytorch(name, data):
    compare(*ELEMENTWISE[name], [data.draw(values(data.draw(shapes())))])


POSITIVE = {
    "log": (np.log, torch.log),
    "log1p": (np.log1p, torch.log1p),
    "sqrt": (np.sqrt, torch.sqrt),
    "reciprocal": (np.reciprocal, torch.reciprocal),
    "fractional power": (lambda x: x**1.5, lambda x: x**1.5),
}


@pytest.mark.parametrize("name", POSITIVE)
@given(data=st.data())
@fewer
def test_functions_of_positive_numbers_agree_with_pytorch(name, data):
    compare(*POSITIVE[name], [data.draw(values(data.draw(shapes()), positive=True))])


PAIRS = {
    "add": (np.add, torch.add),
    "subtract": (np.subtract, torch.subtract),
    "multiply": (np.multiply, torch.multiply),
    "divide": (np.divide, torch.divide),
    "maximum": (np.maximum, torch.maximum),
    "minimum": (np.minimum, torch.minimum),
    "power": (np.power, torch.pow),
    "logaddexp": (np.logaddexp, torch.logaddexp),
    "arctan2": (np.arctan2, torch.arctan2),
    "where": (lambda a, b: np.where(a > b, a * b, a - b), lambda a, b: torch.where(a > b, a * b, a - b)),
}


@pytest.mark.parametrize("name", PAIRS)
@given(data=st.data())
@fewer
def test_functions_of_two_arguments_that_broadcast_agree_with_pytorch(name, data):
    both = data.draw(mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3)).input_shapes
    compare(*PAIRS[name], [data.draw(values(shape, i, positive=True)) for i, shape in enumerate(both)])


ALONG_AN_AXIS = {
    "sum": (lambda x, axis: x.sum(axis=axis), lambda x, axis: x.sum(axis)),
    "mean, kept": (lambda x, axis: x.mean(axis=axis, keepdims=True), lambda x, axis: x.mean(axis, keepdim=True)),
    "max": (lambda x, axis: x.max(axis=axis), lambda x, axis: x.amax(axis)),
    "var": (lambda x, axis: x.var(axis=axis), lambda x, axis: x.var(axis, correction=0)),
    "prod": (lambda x, axis: x.prod(axis=axis), lambda x, axis: x.prod(axis)),
    "cumsum": (lambda x, axis: x.cumsum(axis=axis), lambda x, axis: x.cumsum(axis)),
    "logsumexp": (lambda x, axis: tg.logsumexp(x, axis=axis), lambda x, axis: torch.logsumexp(x, axis)),
    "softmax": (tg.softmax, torch.softmax),
    "log_softmax": (tg.log_softmax, torch.log_softmax),
    "flip": (lambda x, axis: np.flip(x, axis), lambda x, axis: torch.flip(x, (axis,))),
    "sort": (lambda x, axis: np.sort(x, axis), lambda x, axis: torch.sort(x, dim=axis).values),
}


@pytest.mark.parametrize("name", ALONG_AN_AXIS)
@given(data=st.data())
@fewer
def test_functions_along_an_axis_agree_with_pytorch(name, data):
    shape = data.draw(shapes(min_dims=1))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    ours, theirs = ALONG_AN_AXIS[name]
    compare(lambda x: ours(x, axis), lambda x: theirs(x, axis), [data.draw(values(shape))])


@given(data=st.data())
@fewer
def test_a_small_network_of_everything_agrees_with_pytorch(data):
    n, m, k = data.draw(st.tuples(*[st.integers(1, 4)] * 3))
    ids = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=5))
    arrays = [data.draw(values(shape, i)) for i, shape in enumerate([(n, m), (m, 2 * k), (2 * k,), (k, 3)])]

    def ours(table, weight, bias, last):
        z, h = np.split(table[np.array(ids)] @ weight + bias, 2, axis=-1)
        h = tg.sigmoid(z) * np.tanh(h)
        h = np.concatenate([h[::-1], np.stack([h, h], axis=1).mean(axis=1)])
        return np.take_along_axis(tg.log_softmax(np.einsum("bk,kc->bc", h, last)), np.zeros((len(h), 1), int), 1)

    def theirs(table, weight, bias, last):
        z, h = torch.chunk(table[torch.tensor(ids)] @ weight + bias, 2, dim=-1)
        h = torch.sigmoid(z) * torch.tanh(h)
        h = torch.cat([h.flip(0), torch.stack([h, h], dim=1).mean(dim=1)])
        scores = torch.log_softmax(torch.einsum("bk,kc->bc", h, last), -1)
        return torch.gather(scores, 1, torch.zeros((len(h), 1), dtype=torch.int64))

    compare(ours, theirs, arrays)


@given(data=st.data())
@fewer
def test_indexing_with_repeats_agrees_with_pytorch(data):
    array = data.draw(values((3, 4)))
    rows = data.draw(st.lists(st.integers(-3, 2), min_size=1, max_size=5))
    columns = data.draw(st.lists(st.integers(-4, 3), min_size=len(rows), max_size=len(rows)))
    compare(lambda x: x[rows, columns] ** 2, lambda x: x[rows, columns] ** 2, [array])
    compare(lambda x: x[:, columns, None] ** 2, lambda x: x[:, columns, None] ** 2, [array])
    compare(lambda x: x[1:, 2:] ** 2, lambda x: x[1:, 2:] ** 2, [array])
