"""Recorded sweeps over many reads of one tensor: they cost what the reads cost, and lose nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.ops import indexing

SHAPE = (4, 3)
KEYS = [0, -1, (1, 2), slice(1, 3), (slice(None), 1), ..., [0, 2, 0], ([1, 1], [2, 2]), (slice(None, None, -2), [0, 0])]
PLACES = np.arange(12).reshape(SHAPE)
keys = st.lists(st.sampled_from(KEYS), min_size=1, max_size=6)


def by_index(x, key):
    return x[key]


def by_product(x, key):
    """Read the same elements by a product with zeros and ones, whose gradient is dense."""
    places = PLACES[key]
    return np.reshape(np.eye(12)[places.reshape(-1)] @ np.reshape(x, -1), places.shape)


def loss(read, keys):
    def function(x):
        h = np.sum(x) * 0.1
        for i, key in enumerate(keys):
            h = np.tanh(h + np.sum(read(x, key) ** 2 * (0.2 + 0.1 * i)))
        return h + np.sum(x**3) * h

    return function


def third(function):
    return tg.grad(lambda x: np.sum(tg.grad(lambda y: np.sum(tg.grad(function)(y) ** 2))(x) ** 2))


def along(function):
    return lambda x: tg.jvp(function, (x,), (np.cos(PLACES),))[1]


WAYS = {
    "reverse over reverse": tg.hessian,
    "third order": third,
    "forward over reverse": lambda f: along(tg.grad(f)),
    "forward over forward over reverse": lambda f: along(along(tg.grad(f))),
    "reverse over forward over reverse": lambda f: tg.grad(lambda x: np.sum(along(tg.grad(f))(x) ** 2)),
}


@pytest.mark.parametrize("way", WAYS)
@given(keys=keys, seed=st.integers(0, 99))
def test_higher_derivatives_over_reads_agree_with_products(way, keys, seed):
    x = np.random.default_rng(seed).normal(size=SHAPE) * 0.3
    found, expected = [WAYS[way](loss(read, keys))(x).data for read in (by_index, by_product)]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@given(keys=keys)
def test_a_recorded_gradient_is_the_plain_one_and_sees_hooks_and_all_targets(keys):
    x = tg.Tensor(np.cos(PLACES), requires_grad=True)
    y = np.sin(x)
    seen = []
    y.register_hook(lambda g: seen.append(g) or 2 * g)
    total = loss(by_index, keys)(y) + loss(by_index, keys[::-1])(x)
    plain = tg.gradients(total, [x, y], retain_graph=True)
    recorded = tg.gradients(total, [x, y], record=True)
    for a, b in zip(plain, recorded, strict=True):
        np.testing.assert_allclose(b.data, a, rtol=1e-12, atol=1e-14)
    assert len(seen) == 2 and isinstance(seen[1], tg.Tensor)
    np.testing.assert_allclose(seen[0], recorded[1].data / 2, rtol=1e-12, atol=1e-14)


def test_float32_stays_float32_through_recorded_reads():
    x = tg.Tensor(np.ones(SHAPE, np.float32), requires_grad=True)
    (slope,) = tg.gradients(loss(by_index, KEYS)(x), [x], record=True)
    assert slope.dtype == np.float32 and tg.gradients(np.sum(slope), [x])[0].dtype == np.float32


def recurrence(x):
    h = 0.0
    for t in range(x.shape[0]):
        h = np.tanh(0.5 * h + x[t] * x[t])
    return np.sum(h)


def elements(tensor):
    """Count the elements of everything recorded."""
    return sum([spec.size for node in tg.Graph.of(tensor) for spec in node.specs])


def twice_recorded(x):
    (slope,) = tg.gradients(recurrence(x), [x], record=True)
    return tg.gradients(np.sum(slope**2), [x], record=True)[0]


def forward_over_reverse(x):
    return tg.jvp(tg.grad(recurrence), (x,), (np.ones(x.shape),))[1]


@pytest.mark.parametrize("way", [twice_recorded, forward_over_reverse])
def test_what_higher_derivatives_over_time_record_grows_linearly(way):
    sizes = [elements(way(tg.Tensor(np.ones((steps, 3)), requires_grad=True))) for steps in (20, 40, 80)]
    assert sizes[2] - sizes[1] == 2 * (sizes[1] - sizes[0])


def test_a_recorded_sweep_fills_one_buffer_for_all_reads():
    x = tg.Tensor(np.ones((50, 2)), requires_grad=True)
    total = recurrence(x)

    def full(*args, **params):
        raise AssertionError("a whole array was made for one time step")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexing.scatter_add, "forward", full)
        (slope,) = tg.gradients(total, [x], record=True)
        (bend,) = tg.gradients(np.sum(slope**2), [x], record=True)
        tg.gradients(np.sum(bend), [x])
    (sums,) = [node for node in tg.Graph.of(slope) if node.operation == "add_up"]
    assert len(sums.params["parts"]) == 100


def test_addends_of_several_primitives_go_into_one_buffer():
    def accumulate(buffer, g, shape):
        buffer[:] += g

    spread = tg.Primitive("spread", lambda g, shape: np.broadcast_to(g, shape).copy(), accumulate=accumulate)
    spread.defvjp(lambda g, out, a, shape: np.sum(g))
    spread.defjvp(lambda da, out, a, shape: spread(da, shape=shape))
    summed = tg.Primitive("summed", np.sum, saves=("specs",))
    summed.defvjp(lambda g, out, a: tg.core.Addend(spread, g, shape=a.shape))
    summed.defjvp(lambda da, out, a: np.sum(da))
    direction = np.array([1.0, -1.0, 0.5])

    for total in (summed, np.sum):
        function = lambda x, total=total: total(x) ** 2 * x[1] + total(x * x) * x[2]
        x = np.array([0.3, 1.0, -2.0])
        found = [tg.hessian(function)(x), tg.hvp(function, (x,), (direction,))[0], third(function)(x)]
        if total is summed:
            ours = found
    for a, b in zip(ours, found, strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-12)
