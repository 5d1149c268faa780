"""Transforms inside transforms: no perturbation is taken for another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg

numbers = st.floats(-2, 2)


def derivative(function):
    """Differentiate forward."""
    return lambda x: tg.jvp(function, (x,), (1.0,))[1]


def pulled(function):
    """Differentiate by vjp."""
    return lambda x: tg.vjp(function, x)[1](1.0)[0]


WAYS = {"grad": tg.grad, "jvp": derivative, "vjp": pulled}
both_ways = pytest.mark.parametrize(("outer", "inner"), [(a, b) for a in WAYS for b in WAYS])


@both_ways
@given(x=numbers)
def test_the_inner_derivative_does_not_see_the_outer_perturbation(outer, inner, x):
    # d/dx [x * d/dy (x + y)] is 1; a confused engine says 2 (Siskind and Pearlmutter 2005).
    found = WAYS[outer](lambda x: x * WAYS[inner](lambda y: x + y)(1.0))(x)
    assert float(found) == 1.0


@both_ways
@given(x=numbers)
def test_the_same_variable_at_two_levels_is_told_apart(outer, inner, x):
    found = WAYS[outer](lambda x: x * WAYS[inner](lambda y: x * y * y)(x))(x)
    assert float(found) == pytest.approx(6 * x**2, abs=1e-12)


@both_ways
@given(x=numbers)
def test_second_derivatives_by_every_pair_of_ways(outer, inner, x):
    found = WAYS[outer](WAYS[inner](lambda x: np.sin(x) * x**3))(x)
    expected = -np.sin(x) * x**3 + 6 * np.cos(x) * x**2 + 6 * np.sin(x) * x
    assert float(found) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("ways", [("grad", "jvp", "vjp"), ("jvp", "jvp", "jvp"), ("vjp", "grad", "jvp")])
def test_third_derivatives(ways):
    function = lambda x: np.exp(2 * x)
    for way in ways:
        function = WAYS[way](function)
    assert float(function(0.5)) == pytest.approx(8 * np.exp(1))


@pytest.mark.parametrize("way", WAYS)
def test_a_transform_differentiates_inside_no_grad_and_leaves_leaves_alone(way):
    x = tg.Tensor(3.0, requires_grad=True)
    with tg.no_grad():
        assert float(WAYS[way](lambda y: y * y)(2.0)) == 4.0
    assert WAYS[way](lambda y: x * y * y)(2.0).item() == 12.0
    assert x.grad is None


@pytest.mark.parametrize("way", WAYS)
def test_a_tensor_closed_over_keeps_its_gradient(way):
    w = tg.Tensor(3.0, requires_grad=True)
    slope = WAYS[way](lambda x: w * x * x)(2.0)
    slope.backward()
    assert slope.item() == 12.0 and w.grad == 4.0


def test_a_function_of_several_arguments_and_a_result_that_depends_on_none():
    value, pull = tg.vjp(lambda a, b: a * a, 3.0, 5.0)
    assert value.item() == 9.0
    assert [float(slope) for slope in pull(1.0)] == [6.0, 0.0]
    value, tangent = tg.jvp(lambda a: 2.0 * np.sign(a), (3.0,), (1.0,))
    assert (float(value), float(tangent)) == (2.0, 0.0)
    assert float(tg.grad(lambda a: tg.Tensor(1.0))(3.0)) == 0.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tangents_and_slopes_have_the_dtype_of_their_primals(dtype):
    x = np.ones((2, 3), dtype)
    function = lambda a: np.tanh(a * 2.0).sum(axis=0)
    value, tangent = tg.jvp(function, (x,), (x,))
    assert tangent.dtype == value.dtype == dtype and tangent.shape == (3,)
    (slope,) = tg.vjp(function, x)[1](np.ones(3, dtype))
    assert slope.dtype == dtype and slope.shape == (2, 3)
