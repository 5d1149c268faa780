"""grad, vjp, jvp, hvp, jacobian and hessian: over nests, in one another, inside no_grad, and against torch.func."""

from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import ConfigError, CotangentError, DtypeError
from tinygrad_rnn.core.tree import tree_flatten, tree_map
from tinygrad_rnn.testing import gradcheck
from tinygrad_rnn.testing.strategies import shapes, values

RNG = np.random.default_rng(0)
X = np.array([0.5, -1.0, 2.0])


class Line(NamedTuple):
    slope: object
    offset: object


def close(found, expected, tolerance=1e-11):
    """Compare nests of numbers, and see that no graph hangs on what was found."""
    leaves, structure = tree_flatten(found)
    right, same = tree_flatten(expected)
    assert structure == same
    for leaf, number in zip(leaves, right, strict=True):
        assert isinstance(leaf, tg.Tensor) and not leaf.requires_grad
        number = np.asarray(getattr(number, "data", number) if isinstance(number, tg.Tensor) else number)
        assert leaf.shape == number.shape
        np.testing.assert_allclose(leaf.data, number, rtol=tolerance, atol=tolerance)


# Nests


def model(p, x):
    """A function of a nest whose gradient is known: sum of (slope x + offset)²."""
    return np.sum((p["line"].slope * x[0] + p["line"].offset) ** 2) + p["more"][0] * 3.0


def nest(slope, offset, more):
    return {"line": Line(slope, offset), "more": [more, None]}


P = nest(2.0, np.array([1.0, 0.0, -1.0]), 7.0)


def residual(p):
    return p["line"].slope * X + p["line"].offset


def test_a_gradient_is_a_nest_like_the_argument():
    expected = nest(np.sum(2 * residual(P) * X), 2 * residual(P), 3.0)
    close(tg.grad(model)(P, (X,)), expected)
    value, slopes = tg.value_and_grad(model, (1, 0))(P, (X,))
    close(value, model(P, (X,)))
    close(slopes, ((2 * residual(P) * 2.0,), expected))


@pytest.mark.parametrize("argnums", [0, 1, 2, -1, (0, 2), (2, 0), (1,), (-1, 0)])
def test_argnums_choose_arguments_in_their_order(argnums):
    found = tg.grad(lambda a, b, c: a * b * b * c**3, argnums)(2.0, 3.0, 5.0)
    slopes = [9 * 125.0, 2 * 6 * 125.0, 2 * 9 * 75.0]
    close(found, tuple(slopes[i] for i in argnums) if isinstance(argnums, tuple) else slopes[argnums])


@pytest.mark.parametrize("argnums", [2, -3, (0, 2), (0, 0), (1, -1), [0], "x", 1.0])
def test_argnums_that_are_no_positions_are_refused(argnums):
    for transform in (tg.grad, tg.value_and_grad, tg.jacobian, tg.hessian):
        with pytest.raises(ConfigError, match="argnums"):
            transform(lambda a, b: a * b, argnums)(2.0, 3.0)


def test_vjp_and_jvp_are_maps_between_nests():
    def function(p, x):
        return {"r": p.slope * x + p.offset, "both": (p.slope * p.offset, None)}

    line, along = Line(2.0, 3.0), Line(0.5, -1.0)
    value, tangent = tg.jvp(function, (line, X), (along, None))
    close(value, {"r": 2 * X + 3, "both": (6.0, None)})
    close(tangent, {"r": 0.5 * X - 1, "both": (0.5 * 3 - 2.0, None)})
    value, pull = tg.vjp(function, line, X)
    close(pull({"r": np.ones(3), "both": (10.0, None)}), (Line(np.sum(X) + 30, 3 + 20.0), 2 * np.ones(3)))


def test_a_vjp_can_be_pulled_many_times():
    _, pull = tg.vjp(lambda a: np.exp(a), X)
    for k in range(3):
        close(pull(k * np.ones(3)), (k * np.exp(X),))


@pytest.mark.parametrize(
    "call",
    [
        lambda: tg.vjp(lambda a: (a, a), X)[1](X),
        lambda: tg.vjp(lambda a: a, X)[1](X[:2]),
        lambda: tg.jvp(lambda a: a, (X,), (X[:2],)),
        lambda: tg.jvp(lambda a: a, (X,), ((X,),)),
        lambda: tg.jvp(lambda a: a, (X,), (X, X)),
        lambda: tg.grad(lambda a: a)(X),
        lambda: tg.grad(lambda a: (a[0], a[1]))(X),
        lambda: tg.grad(lambda a: 1.0)(X),
    ],
)
def test_cotangents_and_tangents_that_do_not_fit_are_refused(call):
    with pytest.raises(CotangentError):
        call()


# Jacobians and Hessians


@pytest.mark.parametrize("wide", [False, True])
def test_a_jacobian_of_nests_is_that_of_differences_in_both_modes(wide):
    rows = RNG.normal(size=(7 if wide else 1, 3))

    def function(p):
        return {"y": np.tanh(rows @ p["x"]) * p["s"], "sum": np.sum(p["x"])}

    point = {"x": X, "s": 2.0}
    found = tg.jacobian(function)(point)
    slope = (1 - np.tanh(rows @ X) ** 2)[:, None] * rows
    close(found, {"y": {"x": 2 * slope, "s": np.tanh(rows @ X)}, "sum": {"x": np.ones(3), "s": 0.0}})


@pytest.mark.parametrize(("inputs", "outputs", "runs"), [(2, 9, "push"), (9, 2, "pull"), (3, 3, "pull")])
def test_a_jacobian_goes_the_way_with_fewer_sweeps(inputs, outputs, runs):
    counts = {"push": 0, "pull": 0}
    probe = tg.Primitive("probe", lambda a: np.array(a))

    def rule(kind):
        def call(g, out, a):
            counts[kind] += 1
            return g

        return call

    probe.defvjp(rule("pull"))
    probe.defjvp(rule("push"))
    matrix = RNG.normal(size=(outputs, inputs))
    close(tg.jacobian(lambda a: matrix @ probe(a))(np.ones(inputs)), matrix)
    assert counts == {"push": 0, "pull": 0} | {runs: min(inputs, outputs)}


@given(data=st.data(), argnums=st.sampled_from([0, 1, (0, 1), (1, 0)]))
def test_jacobians_forward_and_in_reverse_are_equal(data, argnums):
    a, b = (data.draw(values(data.draw(shapes(max_dims=2)), i)) for i in range(2))
    few = lambda a, b: np.tanh(np.sum(a) * np.sum(b * b)).reshape(1)
    many = lambda a, b: np.concatenate([few(a, b)] * 30)
    small, large = tg.jacobian(few, argnums)(a, b), tg.jacobian(many, argnums)(a, b)
    close(tree_map(lambda t: t[-1], large), tree_map(lambda t: t.data[0], small))


def test_a_hessian_of_a_nest_has_a_block_for_each_pair():
    found = tg.hessian(lambda p: p["a"] ** 2 * np.sum(p["b"] ** 3))({"a": 2.0, "b": X})
    mixed = 4 * 3 * X**2
    expected = {
        "a": {"a": 2 * np.sum(X**3), "b": mixed},
        "b": {"a": mixed, "b": np.diag(4 * 6 * X)},
    }
    close(found, expected)
    close(
        tg.hessian(lambda a, b: a**2 * np.sum(b), (1, 0))(2.0, X),
        ((np.zeros((3, 3)), 4 * np.ones(3)), (4 * np.ones(3), 2 * np.sum(X))),
    )


@given(data=st.data())
def test_a_hessian_times_a_direction_is_hvp_in_every_order_of_modes(data):
    x = data.draw(values((3,)))
    v = RNG.normal(size=3)
    function = lambda a: np.sum(np.sin(a) * np.exp(a[0]) + a[1] * a[2] ** 2)
    expected = tg.hessian(function)(x).data @ v
    close(tg.hvp(function, (x,), (v,)), (expected,))
    close(tg.grad(lambda a: tg.jvp(function, (a,), (v,))[1])(x), expected)
    close(tg.grad(lambda a: np.sum(tg.grad(function)(a) * v))(x), expected)
    close(tg.jvp(lambda a: tg.vjp(function, a)[1](1.0)[0], (x,), (v,))[1], expected)


def test_functions_that_do_not_depend_on_an_input_have_derivative_zero():
    close(tg.grad(lambda a, b: np.sum(b), 0)(X, tg.Tensor(X)), np.zeros(3))
    close(tg.jacobian(lambda a: (np.ones(2), 1.0, a))(X), (np.zeros((2, 3)), np.zeros(3), np.eye(3)))
    close(tg.jacobian(lambda a: np.ones(5))(2.0), np.zeros(5))
    close(tg.hessian(lambda a: np.sum(3 * a))(X), np.zeros((3, 3)))
    close(tg.hvp(lambda a: np.sum(a), (X,), (X,)), (np.zeros(3),))
    close(tg.jvp(lambda a: np.ones(2), (X,), (X,)), (np.ones(2), np.zeros(2)))
    close(tg.vjp(lambda a, b: a, X, X)[1](X), (X, np.zeros(3)))


def test_an_input_returned_as_it_is_has_derivative_one():
    close(tg.grad(lambda a: a)(2.0), 1.0)
    close(tg.jacobian(lambda a: (a, a))(X), (np.eye(3), np.eye(3)))
    close(tg.jvp(lambda a: a, (X,), (2 * X,)), (X, 2 * X))


@pytest.mark.parametrize("shape", [(0,), (2, 0)])
def test_empty_arrays_have_empty_derivatives(shape):
    close(tg.grad(lambda a: np.sum(a * 2))(np.zeros(shape)), np.zeros(shape))
    close(tg.jacobian(lambda a: a * 2)(np.zeros(shape)), np.zeros(shape + shape))
    close(tg.jacobian(lambda a: a[:0])(X), np.zeros((0, 3)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_transform_keeps_the_dtype(dtype):
    x = X.astype(dtype)
    function = lambda a: np.sum(a**3 * 0.5)
    found = [tg.grad(function)(x), tg.hessian(function)(x), *tg.hvp(function, (x,), (x,)), tg.jacobian(np.sin)(x)]
    found += [*tg.jvp(np.sin, (x,), (X,)), *tg.vjp(np.sin, x)[1](X)]
    assert {tensor.dtype for tensor in found} == {np.dtype(dtype)}


# Integers


def test_integers_among_the_arguments_are_constants():
    take = lambda p: np.sum(p["x"][p["i"]] ** 2)
    given_nest = {"x": X, "i": np.array([0, 2, 2])}
    slope = np.array([1.0, 0.0, 8.0])
    close(tg.grad(lambda x, i: take({"x": x, "i": i}))(X, given_nest["i"]), slope)
    close(tg.vjp(take, given_nest)[1](1.0), ({"x": slope, "i": np.zeros(3)},))
    close(tg.jvp(take, (given_nest,), ({"x": X, "i": np.zeros(3)},))[1], float(slope @ X))
    close(tg.jvp(lambda x, i: take({"x": x, "i": i}), (X, given_nest["i"]), (X, None))[1], float(slope @ X))


@pytest.mark.parametrize("integers", [np.arange(3), tg.Tensor([1, 2, 3]), np.array([True, False, True])])
def test_differentiating_by_integers_is_refused(integers):
    total = lambda a: np.sum(a * 1.5)
    for call in (tg.grad(total), tg.jacobian(total), tg.hessian(total), lambda a: tg.jvp(total, (a,), (np.ones(3),))):
        with pytest.raises(DtypeError, match="give floats"):
            call(integers)


def test_python_numbers_count_as_floats():
    close(tg.grad(lambda a: a**3)(2), 12.0)
    close(tg.grad(lambda p: p[0] * p[1])([np.int64(2), 3]), [3.0, 2.0])


# In one another


def forward(function):
    return lambda x: tg.jvp(function, (x,), (np.ones(np.shape(x)),))[1]


def reverse(function):
    return lambda x: tg.grad(lambda y: np.sum(function(y)))(x)


def pulled(function):
    return lambda x: tg.vjp(function, x)[1](np.ones(np.shape(x)))[0]


def diagonal(function):
    return lambda x: np.sum(tg.jacobian(function)(x), axis=-1) if np.ndim(x) else tg.jacobian(function)(x)


WAYS = {"jvp": forward, "grad": reverse, "vjp": pulled, "jacobian": diagonal}
FUNCTIONS = {
    "polynomial": (lambda x: x**4 + 2 * x**3, lambda x: 24 * x + 12),
    "exponential": (lambda x: np.exp(2 * x), lambda x: 8 * np.exp(2 * x)),
    "composed": (lambda x: np.sin(x) * x, lambda x: -x * np.cos(x) - 3 * np.sin(x)),
    "checkpointed": (tg.checkpoint(lambda x: x**4), lambda x: 24 * x),
    "cut and joined": (lambda x: np.stack([part**3 for part in x]) if np.ndim(x) else x**3, lambda x: 6 + 0 * x),
}


@pytest.mark.parametrize("ways", list(product(WAYS, repeat=3)), ids="-".join)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_third_derivatives_by_every_combination_of_ways(ways, name):
    function, third = FUNCTIONS[name]
    for way in ways:
        function = WAYS[way](function)
    for x in (0.7, X):
        close(function(x), third(x), 1e-10)


@pytest.mark.parametrize("ways", list(product(WAYS, repeat=2)), ids="-".join)
@pytest.mark.parametrize("checkpointed", [False, True])
def test_perturbations_are_not_confused(ways, checkpointed):
    outer, inner = (WAYS[way] for way in ways)
    keep = tg.checkpoint if checkpointed else lambda function: function
    close(outer(lambda x: x * inner(keep(lambda y: x + y))(1.0))(3.0), 1.0)
    close(outer(lambda x: x * inner(keep(lambda y: x * y * y))(x))(3.0), 6 * 9.0)
    close(outer(lambda x: inner(keep(lambda y: x * x * y * y))(5.0) * x)(3.0), 27 * 10.0)


def test_three_levels_of_the_same_variable():
    # d/dx of x · d/dy (y · d/dz (x y z²) at z=y) at y=x is that of x · 6 x² · x = 6 x⁴: the inner two give 2xy³.
    for ways in product(WAYS, repeat=3):
        outer, middle, inner = (WAYS[way] for way in ways)
        function = lambda x, middle=middle, inner=inner: x * middle(lambda y: y * inner(lambda z: x * y * z * z)(y))(x)
        close(outer(function)(2.0), 24 * 8.0)


def test_results_of_nested_transforms_hold_no_graph():
    for outer, inner in product((tg.grad, forward, pulled), repeat=2):
        assert not outer(lambda b, inner=inner: inner(lambda a: a * a * b)(3.0) * b)(5.0).requires_grad


# no_grad and tensors from outside


@pytest.mark.parametrize("way", WAYS)
def test_transforms_differentiate_inside_no_grad_and_record_nothing_outside(way):
    w = tg.Tensor(3.0, requires_grad=True)
    with tg.no_grad():
        close(WAYS[way](WAYS[way](lambda x: w * x**3))(2.0), 36.0)
        close(tg.grad(lambda x: tg.no_grad()(lambda y: y * y)(x) * x)(2.0), 4.0)
    assert w.grad is None


@pytest.mark.parametrize("ways", list(product(WAYS, repeat=2)), ids="-".join)
def test_tensors_closed_over_keep_their_gradients(ways):
    w = tg.Tensor(3.0, requires_grad=True)
    h = np.sin(w)
    function = lambda x: h * x**3
    for way in ways:
        function = WAYS[way](function)
    found = function(2.0)
    assert found.requires_grad
    assert tg.gradients(found, [w])[0] == pytest.approx(12 * np.cos(3.0))


@pytest.mark.parametrize("way", WAYS)
def test_an_argument_that_requires_grad_keeps_it(way):
    x = tg.Tensor(X, requires_grad=True)
    slope = WAYS[way](lambda a: a**3)(x)
    np.testing.assert_allclose(tg.gradients(np.sum(slope), [x])[0], 6 * X)


def test_cotangents_and_tangents_can_be_differentiated_by():
    v = tg.Tensor(np.ones(3), requires_grad=True)
    pulled = tg.vjp(np.sin, X)[1](v)[0]
    pushed = tg.jvp(np.sin, (X,), (v,))[1]
    for found in (pulled, pushed):
        np.testing.assert_allclose(tg.gradients(np.sum(found), [v])[0], np.cos(X))


def test_a_result_that_is_a_tensor_from_outside_has_derivative_zero():
    w = tg.Tensor(2.0, requires_grad=True)
    assert tg.grad(lambda a: w * 1.0)(1.0).item() == 0.0
    value, tangent = tg.jvp(lambda a: (w, a * w), (3.0,), (1.0,))
    assert [t.item() for t in (*value, *tangent)] == [2.0, 6.0, 0.0, 2.0]


def test_transforms_over_the_parameters_of_a_layer_in_any_order():
    layer = nn.GRU(2, 2).astype(np.float64)
    x = RNG.normal(size=(3, 2, 2))
    parameters = layer.state_dict()
    loss = lambda p: np.sum(nn.functional_call(layer, p, x)[0] ** 2)
    along = {key: RNG.normal(size=value.shape) for key, value in parameters.items()}
    over_reverse = tg.hvp(loss, (parameters,), (along,))[0]
    close(tg.grad(lambda p: tg.jvp(loss, (p,), (along,))[1])(parameters), over_reverse, 1e-10)
    gradcheck(tg.grad(loss), [parameters], order=1)
    assert all(parameter.grad is None for parameter in layer.parameters())


# torch.func

TORCH = {
    "tanh of a product": (lambda np, a, b: np.tanh(a @ b), [(2, 3), (3,)]),
    "quotient": (lambda np, a, b: np.sin(a) / (1 + b * b), [(3,), (3,)]),
    "power of sums": (lambda np, a, b: (a * b).sum() ** 3 + a.sum(), [(2, 2), (2, 2)]),
    "softmax": (lambda np, a, b: np.exp(a - b * b) / np.exp(a - b * b).sum(), [(4,), (1,)]),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", TORCH)
@given(seed=st.integers(0, 1000))
def test_transforms_agree_with_torch(name, seed):
    torch = pytest.importorskip("torch")
    function, sizes = TORCH[name]
    rng = np.random.default_rng(seed)
    args = [rng.normal(size=size) for size in sizes]
    along = [rng.normal(size=size) for size in sizes]
    ours, theirs = (lambda a, b: function(np, a, b)), (lambda a, b: function(torch, a, b))
    total = lambda f: lambda a, b: f(a, b).sum()
    tensors, directions = (tuple(map(torch.tensor, arrays)) for arrays in (args, along))
    func = torch.func
    numbers = lambda nest: tree_map(lambda t: t.detach().numpy(), nest)

    close(tg.jvp(ours, args, along), numbers(func.jvp(theirs, tensors, directions)))
    close(tg.jacobian(ours, (0, 1))(*args), numbers(func.jacrev(theirs, (0, 1))(*tensors)))
    close(tg.grad(total(ours), (1, 0))(*args), numbers(func.grad(total(theirs), (1, 0))(*tensors)))
    close(tg.hessian(total(ours), (0, 1))(*args), numbers(func.hessian(total(theirs), (0, 1))(*tensors)), 1e-9)
    third = lambda lib, f, d: lib.jvp(lib.grad(lambda a: lib.grad(lambda c: f(c, d[0]))(a).sum()), (d[1],), (d[2],))[1]
    close(
        third(tg, total(ours), (args[1], args[0], along[0])),
        third(func, total(theirs), (tensors[1], tensors[0], directions[0])).numpy(),
        1e-9,
    )


def test_vmap_does_not_mix_members_in_a_function_that_is_the_identity_for_small_numbers():
    clipped = tg.Primitive("clipped", lambda a: a * np.minimum(1, 2 / np.sqrt(np.sum(a * a) + 1e-12)))
    stack = np.stack([X / 10, X, 10 * X])
    close(tg.vmap(lambda a: clipped(a))(stack), np.stack([clipped(row) for row in stack]))
