"""Steps in which a compiler may go wrong in silence: each gives under every engine what the recorded loop gives."""

import random

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import TraceError
from tinygrad_rnn.scan import scan
from tinygrad_rnn.scan.engines import available

COMPILED = [name for name in available() if name != "eager"]


def product_that_is_a_result(x, h, p, q):
    a = x @ p
    return a, np.tanh(a + h @ q)


def product_of_the_state_that_is_a_result(x, h, p, q):
    a = h @ p
    return a, np.tanh(x @ q + a)


def products_of_two_widths(x, h, p, q):
    h = np.tanh(x @ p[:, :1] + h @ q)
    return h, h


def product_of_the_state_first(x, h, p, q):
    h = np.tanh(h @ p + x @ q)
    return h, h


def products_side_by_side(x, h, p, q):
    h = np.tanh(np.concatenate([x @ p[:, :2], h @ q[:, :2]], axis=-1))
    return h, h


def product_of_later_columns(x, h, p, q):
    h = np.tanh(h[:, 2:] @ p[2:] + x)
    return h, h


def products_of_later_columns_of_both(x, h, p, q):
    return h[:, 1:] @ p[1:], np.tanh(x[:, 1:] @ q[1:] + h)


def product_that_is_the_next_state(x, h, p, q):
    return np.tanh(h @ q), x @ p


def extremes_with_a_number(x, h, p, q):
    h = np.fmin(0.9, np.fmax(x + h @ q, -0.3))
    return np.clip(h, -0.2, 0.5), h


def part_without_a_gradient(x, h, p, q):
    with tg.no_grad():
        s = x @ p
    return s + x @ p * h, np.tanh(x + h @ q)


def loop_in_a_loop(x, h, p, q):
    _, inner = scan(lambda v, s: (s, np.tanh(s @ p + v)), h, np.stack([x, 2 * x]))
    return inner, inner @ q


STEPS = [
    product_that_is_a_result,
    product_of_the_state_that_is_a_result,
    products_of_two_widths,
    product_of_the_state_first,
    products_side_by_side,
    product_of_later_columns,
    products_of_later_columns_of_both,
    product_that_is_the_next_state,
    extremes_with_a_number,
    part_without_a_gradient,
    loop_in_a_loop,
]


def outcome(step, arrays, engine):
    """Return outputs, last state, gradients, and tangents along ones."""
    x, h, p, q = [tg.Tensor(array, requires_grad=True) for array in arrays]
    ys, last = scan(lambda a, b: step(a, b, p, q), h, x, engine=engine)
    slopes = tg.gradients(np.sum(np.sin(ys)) + np.sum(last**2), [x, h, p, q])

    def run(x, h, p, q):
        return scan(lambda a, b: step(a, b, p, q), h, x, engine=engine)

    tangents = tg.jvp(run, arrays, [np.ones(array.shape) for array in arrays])[1]
    return [ys.data, last.data, *slopes, *[tangent.data for tangent in tangents]]


@pytest.mark.parametrize("engine", COMPILED)
@pytest.mark.parametrize("batch", [1, 3, 9])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_a_step_gives_the_same_under_every_engine(step, batch, engine):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in ((4, batch, 4), (batch, 4), (4, 4), (4, 4))]
    for found, expected in zip(outcome(step, arrays, engine), outcome(step, arrays, "eager"), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("make", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("engine", COMPILED)
@pytest.mark.parametrize("dtype", ["float32", ">f4", ">f8"])
def test_an_input_of_another_dtype_or_order_of_bytes_changes_no_gradient(make, engine, dtype):
    layer = make(4, 3).astype(np.float64)
    x = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(dtype)
    found = {}
    for name in ("eager", engine):
        layer.zero_grad()
        with tg.engine(name):
            np.sum(np.sin(layer(x)[0])).backward()
        found[name] = [parameter.grad for parameter in layer.parameters()]
    for ours, expected in zip(found[engine], found["eager"], strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("engine", COMPILED)
def test_a_derivative_inside_a_step_is_refused_by_compiled_engines_and_right_by_default(engine):
    p = np.random.default_rng(0).normal(size=(4, 4))

    def step(x, h):
        h = h + x - 0.1 * tg.grad(lambda z: np.sum(np.sin(z @ p)))(h)
        return h, h

    x, h = np.ones((3, 2, 4)), np.full((2, 4), 0.5)
    with pytest.raises(TraceError, match="a derivative is taken inside a step"):
        scan(step, h, x, engine=engine)
    np.testing.assert_array_equal(scan(step, h, x)[0].data, scan(step, h, x, engine="eager")[0].data)


@pytest.mark.parametrize("engine", COMPILED)
def test_a_step_that_draws_from_the_random_module_of_python_is_refused_by_compiled_engines(engine):
    def step(x, h):
        h = h + x + (1.0 if random.random() < 0.5 else 0.0)
        return h, h

    x, h = np.zeros((40, 1, 1)), np.zeros((1, 1))
    for _ in range(3):
        with pytest.raises(TraceError, match="random module"):
            scan(step, h, x, engine=engine)
    assert 0 < scan(step, h, x)[1].item() < 40
