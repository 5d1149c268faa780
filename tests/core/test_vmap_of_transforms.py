"""Transforms inside vmap, vmap inside vmap, in every order: equal to loops over the members."""

from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import ConversionError, CotangentError, DtypeError, GraphError
from tinygrad_rnn.core.tree import tree_flatten, tree_map

MEMBERS, SHAPE = 3, (2, 3)
DIRECTIONS = np.cos(np.arange(12.0)).reshape(2, *SHAPE)
W = np.random.default_rng(7).normal(size=(3, 3))


CELL = nn.RNNCell(3, 3).astype(np.float64)

# No call on a whole stack gives what this primitive gives for its members.
whitened = tg.Primitive("whitened", lambda a: a - a.mean())
whitened.defvjp(lambda g, out, a: g - np.mean(g))
whitened.defjvp(lambda da, out, a: da - np.mean(da))

MAPS = {
    "elementwise": lambda a: np.tanh(a) * a,
    "product": lambda a: np.tanh(a @ W) @ np.transpose(a),
    "reads": lambda a: a[0] * a[1, 2] + np.stack([a[0, 1] * a[i % 2, [0, 0, 2]] for i in range(3)])[1],
    "softmax": lambda a: tg.softmax(a, axis=0) + np.max(a, axis=1, keepdims=True) ** 2,
    "one by one": lambda a: whitened(a * a) * a,
    "split": lambda a: np.concatenate(np.split(np.sin(a), 3, axis=1)[::-1]) ** 2,
    "steps": lambda a: nn.functional_call(CELL, CELL.state_dict(), a, a[0])[1],
    "checkpoint": tg.checkpoint(lambda a: np.tanh(a * a[1, 0]) @ W),
    "checkpoint of a gradient": tg.checkpoint(lambda a: a * tg.grad(lambda b: np.sum(a * np.sin(b) ** 2))(a)),
    "a gradient": lambda a: a * tg.grad(lambda b: np.sum(a * np.sin(b) ** 2))(a),
}


def scalar(function):
    return lambda a: np.sum(np.cos(function(a)) * 0.5)


TRANSFORMS = {
    "grad": lambda f: tg.grad(scalar(f)),
    "value_and_grad": lambda f: tg.value_and_grad(scalar(f)),
    "vjp": lambda f: lambda a: tg.vjp(f, a)[1](f(a))[0],
    "jvp": lambda f: lambda a: tg.jvp(f, (a,), (np.cos(a),)),
    "jvp of one direction": lambda f: lambda a: tg.jvp(f, (a,), (np.ones(SHAPE),)),
    "hvp": lambda f: lambda a: tg.hvp(scalar(f), (a,), (np.cos(a),)),
    "jacobian": tg.jacobian,
    "hessian": lambda f: tg.hessian(scalar(f)),
    "vmap of a pull": lambda f: lambda a: tg.vmap(tg.vjp(lambda b: f(b).reshape(-1)[:2], a)[1])(np.eye(2)),
    "vmap of jvp": lambda f: lambda a: tg.vmap(lambda d: tg.jvp(f, (a,), (d,))[1])(DIRECTIONS),
    "by what members share": lambda f: lambda a: tg.grad(lambda w: np.sum(f(w * a) * w[0, 0]))(np.ones(SHAPE)),
    "nothing": lambda f: f,
}


def same(found, expected, rtol=1e-12, atol=1e-12):
    ours, structure = tree_flatten(found)
    theirs, other = tree_flatten(expected)
    assert structure == other
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=rtol, atol=atol)


def loop(function, *stacks):
    """Call a function for each member and stack what it gives."""
    count = tree_flatten(stacks)[0][0].shape[0]
    nests = [function(*tree_map(lambda stack, k=k: stack[k], stacks)) for k in range(count)]
    return tree_map(lambda *parts: np.stack(parts), *nests)


def drawn(seed, *lead):
    return np.random.default_rng(seed).normal(size=(*lead, *SHAPE))


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", MAPS)
@given(seed=st.integers(0, 999))
@settings(max_examples=3)
def test_a_transform_inside_vmap_is_a_loop_over_the_members(transform, name, seed):
    function = TRANSFORMS[transform](MAPS[name])
    stack = drawn(seed, MEMBERS)
    found = tg.vmap(function)(stack)
    assert not any(part.requires_grad for part in tree_flatten(found)[0])
    same(found, loop(function, stack))


@pytest.mark.parametrize("transform", TRANSFORMS)
@given(name=st.sampled_from(sorted(MAPS)), seed=st.integers(0, 999))
@settings(max_examples=5)
def test_a_transform_inside_two_vmaps_is_a_loop_of_loops(transform, name, seed):
    function = TRANSFORMS[transform](MAPS[name])
    stacks = drawn(seed, 2, MEMBERS)
    same(tg.vmap(tg.vmap(function))(stacks), loop(lambda stack: loop(function, stack), stacks))


@pytest.mark.parametrize("outer", ["grad", "jvp", "hvp"])
@given(name=st.sampled_from(sorted(MAPS)), inner=st.sampled_from(sorted(TRANSFORMS)), seed=st.integers(0, 999))
@settings(max_examples=12)
def test_a_transform_of_a_vmap_of_a_transform_is_one_of_a_loop(outer, name, inner, seed):
    function = TRANSFORMS[inner](MAPS[name])
    stack = drawn(seed, MEMBERS)

    def total(run):
        return lambda stack: sum([np.sum(part * part) for part in tree_flatten(run(stack))[0]])

    around = {
        "grad": tg.grad,
        "jvp": lambda f: lambda a: tg.jvp(f, (a,), (np.cos(a),))[1],
        "hvp": lambda f: lambda a: tg.hvp(f, (a,), (np.cos(a),)),
    }[outer]
    together = around(total(tg.vmap(function)))(stack)
    same(together, around(total(lambda stack: loop(function, stack)))(stack), rtol=1e-9, atol=1e-9)


@given(seed=st.integers(0, 999), across=st.booleans())
@settings(max_examples=10)
def test_stacks_of_two_levels_meet_in_one_operation_in_any_order(seed, across):
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=(2, 3)), rng.normal(size=(4, 3)), rng.normal(size=(2, 3))

    def inner(x, z):
        def function(y):
            index = np.argmax(x * y)
            parts = [x * y, np.where(x > y, z, y)[index], np.concatenate([z, y, x]), np.einsum("i,i->", y, x)]
            return parts[::-1] if across else parts

        return function

    found = tg.vmap(lambda x, z: tg.vmap(inner(x, z))(b))(a, c)
    same(found, loop(lambda x, z: loop(inner(x, z), tg.Tensor(b)), tg.Tensor(a), tg.Tensor(c)))


LAYERS = {
    "LSTM": lambda: nn.LSTM(3, 2, bidirectional=True),
    "GRU": lambda: nn.GRU(3, 2, num_layers=2, learned_state=True),
    "normalised": lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)),
}


@pytest.mark.parametrize(
    ("name", "lengths"), [*[(name, None) for name in LAYERS], ("LSTM", [4, 0, 2]), ("GRU", [4, 0, 2])]
)
def test_gradients_of_layers_inside_vmap_by_parameters_and_by_inputs(name, lengths):
    layer = LAYERS[name]().astype(np.float64)
    rng = np.random.default_rng(3)
    keywords = {} if lengths is None else {"lengths": lengths}
    stacks = {key: rng.normal(size=(2, *value.shape)) for key, value in layer.state_dict().items()}
    x = rng.normal(size=(2, 4, 3, 3))

    def loss(parameters, sample):
        return np.sum(tree_flatten(nn.functional_call(layer, parameters, sample, **keywords))[0][0] ** 2)

    def curvature(parameters, sample):
        return tg.hvp(lambda s: loss(parameters, s), (sample,), (np.cos(sample),))[0]

    for function in (tg.value_and_grad(loss, (0, 1)), curvature):
        same(tg.vmap(function)(stacks, x), loop(function, stacks, x), rtol=1e-11)
    shared = {key: value[0] for key, value in stacks.items()}
    together = tg.vmap(tg.grad(loss), (None, 0))(shared, x)
    same(together, loop(lambda sample: tg.grad(loss)(shared, sample), x), rtol=1e-11)


def test_parameters_closed_over_get_the_gradient_of_all_members():
    w = tg.Tensor(np.ones(3), requires_grad=True)
    x = drawn(0)
    norms = tg.vmap(lambda a: np.sum(tg.grad(lambda b: np.sum(np.tanh(w * b) ** 2))(a) ** 2))(x)
    np.sum(norms).backward()
    together, w.grad = w.grad, None
    for row in x:
        np.sum(tg.grad(lambda b: np.sum(np.tanh(w * b) ** 2))(row) ** 2).backward()
    np.testing.assert_allclose(together, w.grad, rtol=1e-12)


def test_a_pull_made_outside_takes_a_stack_of_cotangents():
    function = lambda a: (np.tanh(a) * a[0], np.sum(a))
    (outs, pull), eye = tg.vjp(function, np.array([0.5, -1.0, 2.0])), np.eye(3)
    rows = tg.vmap(pull)((eye, np.zeros(3)))[0]
    expected = tg.jacobian(lambda a: function(a)[0])(np.array([0.5, -1.0, 2.0]))
    np.testing.assert_allclose(rows.data, expected.data, rtol=1e-13)
    assert not rows.requires_grad and outs[0].shape == (3,)


def test_what_no_member_moves_has_zeros_for_derivatives_and_no_grad_changes_nothing():
    stack = drawn(1)
    with tg.no_grad():
        np.testing.assert_array_equal(tg.vmap(tg.grad(lambda a: tg.Tensor(1.0)))(stack).data, np.zeros(SHAPE))
        slopes = tg.vmap(tg.grad(lambda a: np.sum(a * a)))(stack)
    np.testing.assert_array_equal(slopes.data, 2 * stack)
    _, moved = tg.vmap(lambda a: tg.jvp(np.sign, (a,), (a,)))(stack)
    np.testing.assert_array_equal(moved.data, np.zeros(SHAPE))


def test_no_work_is_added_for_more_members():
    counts = []
    for members in (2, 30):
        x = tg.Tensor(np.ones((members, 3)), requires_grad=True)
        counts.append(len(tg.Graph.of(tg.vmap(tg.grad(lambda a: np.sum(np.tanh(a) ** 2)))(x))))
    assert counts[0] == counts[1]


def test_what_cannot_be_done_inside_vmap_is_refused_by_name():
    stack = np.ones((2, 3))
    with pytest.raises(GraphError, match=r"write tg.grad\(function\)"):
        tg.vmap(lambda a: tg.gradients(np.sum(a), [a])[0])(tg.Tensor(stack, requires_grad=True))
    with pytest.raises(ConversionError, match="inside vmap"):
        tg.vmap(tg.grad(lambda a: a[0] if np.sum(a) > 0 else a[1]))(stack)
    with pytest.raises(CotangentError, match=r"shape \(3,\): only a tensor of one element"):
        tg.vmap(tg.grad(lambda a: a * a))(stack)
    with pytest.raises(DtypeError, match="int64 to differentiate by"):
        tg.vmap(tg.grad(lambda a: np.sum(a)))(stack.astype(np.int64))
    with pytest.raises(DtypeError, match="a tangent of 0"):
        tg.vmap(lambda a: tg.jvp(np.sum, (a,), (a,)))(stack.astype(np.int64))


def test_a_stack_that_left_its_vmap_is_refused_by_name():
    kept = []

    def leaking(a):
        kept.append(a)
        return a

    stack = np.ones((2, 3))
    tg.vmap(leaking)(stack)
    with pytest.raises(GraphError, match="a vmap that has ended"):
        tg.grad(lambda a: np.sum(a))(kept[0])
    with pytest.raises(GraphError, match="a vmap that has ended"):
        tg.grad(lambda a: np.sum(a * kept[0]))(np.ones(3))
    with pytest.raises(GraphError, match="a vmap that has ended"):
        tg.vmap(lambda a: (tg.vmap(leaking)(a), kept[-1])[1])(np.ones((2, 2, 3)))
    np.testing.assert_array_equal(tg.vmap(tg.grad(np.sum))(stack).data, stack)


def test_a_thread_started_inside_vmap_is_refused_by_name():
    errors = []

    def elsewhere(a):
        def run():
            try:
                tg.grad(np.sum)(a)
            except GraphError as error:
                errors.append(str(error))

        thread = Thread(target=run)
        thread.start()
        thread.join()
        return a

    tg.vmap(elsewhere)(np.ones((2, 3)))
    assert "in another thread" in errors[0]
