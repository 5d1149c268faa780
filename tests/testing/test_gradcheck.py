"""gradcheck passes right gradients and says what is wrong with others."""

import re
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import ConfigError, DtypeError, GradcheckError, NoRuleError
from tinygrad_rnn.testing import NotDifferentiableError, dot_product_check, gradcheck

RNG = np.random.default_rng(0)
VECTOR = RNG.normal(size=3)


class Pair(NamedTuple):
    left: object
    right: object


def primitive(vjp=lambda g, out, a: g * (1 - out * out), jvp=None, name="squash"):
    """Return tanh with rules of one's own."""
    made = tg.Primitive(name, np.tanh)
    made.defvjp(vjp)
    made.defjvp(jvp or (lambda g, out, a: g * (1 - out * out)))
    return made


def refused(function, *inputs, error=GradcheckError, **options):
    with pytest.raises(error) as caught:
        gradcheck(function, inputs, **options)
    return str(caught.value)


# What passes


def test_nests_of_inputs_and_results_are_checked():
    def function(p, pair, n):
        h = np.tanh(pair.left @ p["w"] + p["b"][0])
        return {"h": h, "all": [h.sum() * n, (h * pair.right,)], "count": 3, "none": None}

    inputs = [{"w": RNG.normal(size=(3, 2)), "b": [0.5]}, Pair(VECTOR, tg.Tensor([1.0, 2.0])), 2]
    gradcheck(function, inputs)
    dot_product_check(function, inputs)


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1.0, 1e6])
@pytest.mark.parametrize(
    "function", [np.log, np.sqrt, lambda a: a**3, lambda a: 1 / a], ids=["log", "sqrt", "a³", "1/a"]
)
def test_the_step_fits_the_scale_of_the_input(function, scale):
    gradcheck(function, [scale * np.array([0.5, 1.0, 3.0])])


@given(exponents=st.lists(st.integers(-9, 6), min_size=1, max_size=4))
def test_the_step_fits_each_element_by_itself(exponents):
    gradcheck(np.log, [10.0 ** np.array(exponents)])


def test_fast_functions_get_smaller_steps():
    gradcheck(lambda a: np.sin(1000 * a), [VECTOR])


def test_functions_of_float32_are_differentiated_in_float64():
    weight = tg.Tensor(RNG.normal(size=(3, 3)), requires_grad=True, dtype=np.float32)
    seen = set()

    def function(a):
        seen.add(a.dtype)
        return np.tanh(a @ weight)

    gradcheck(function, [VECTOR.astype(np.float32)], rtol=1e-7)
    assert seen == {np.dtype(np.float64)}


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_functions_that_compute_coarsely_get_tolerances_that_fit(dtype):
    gradcheck(lambda a: np.tanh(a.astype(dtype) * 2), [VECTOR])


def test_a_function_that_refuses_float64_is_checked_in_its_own_dtype():
    def single(rule):
        squash = primitive(rule)

        def function(a):
            if a.dtype != np.float32:
                raise DtypeError("float32 only")
            return squash(a)

        return function

    gradcheck(single(lambda g, out, a: g * (1 - out * out)), [VECTOR.astype(np.float32)])
    refused(single(lambda g, out, a: 1.02 * g * (1 - out * out)), VECTOR.astype(np.float32))
    refused(single(lambda g, out, a: g), VECTOR, error=DtypeError)


def test_large_inputs_and_results_are_checked_along_random_directions():
    calls = []

    def function(a):
        calls.append(a)
        return np.tanh(a) * a

    gradcheck(function, [RNG.normal(size=(50, 40))])
    assert len(calls) < 40


def test_random_numbers_of_the_package_are_the_same_in_every_call():
    drop = nn.Dropout(0.5)
    gradcheck(lambda a: drop(a) * tg.random.generator().normal(size=8), [np.ones(8)])


def test_integers_are_passed_on_and_nothing_is_to_do_for_empty_inputs():
    gradcheck(lambda a, i, flag: a[i] if flag else a, [VECTOR, np.array([0, 0, 2]), True])
    gradcheck(lambda a: np.exp(a), [np.zeros((0, 3))])
    gradcheck(lambda a: a[:0], [VECTOR])


def test_results_that_do_not_depend_on_an_input_have_derivative_zero():
    gradcheck(lambda a, b: (np.exp(b), np.ones(2), 1.0), [VECTOR, 0.5])


def test_every_cell_of_a_layer_passes_in_all_its_parameters():
    layer = nn.GRU(2, 3)
    gradcheck(lambda p, x: nn.functional_call(layer, p, x), [layer.state_dict(), RNG.normal(size=(2, 2, 2))])


def test_one_mode_alone_can_be_checked():
    no_vjp = tg.Primitive("no_vjp", np.tanh)
    no_vjp.defjvp(lambda g, out, a: g * (1 - out * out))
    gradcheck(lambda a: no_vjp(a), [VECTOR], modes=("forward",))
    with pytest.raises(NoRuleError, match=r"no_vjp has no vjp rule.*leave out the mode"):
        gradcheck(lambda a: no_vjp(a), [VECTOR])


# What does not


@pytest.mark.parametrize("mode", ["reverse", "forward"])
@given(place=st.integers(0, 1999), factor=st.sampled_from([0.0, -1.0, 1.5]))
@settings(max_examples=5)
def test_the_entry_that_is_off_is_found_among_thousands(mode, place, factor):
    rule = lambda g, out, a: g * (1 - out * out) * np.where(np.arange(2000) == place, factor, 1)
    wrong = primitive(rule) if mode == "reverse" else primitive(jvp=rule)
    message = refused(lambda a: 3 * wrong(a), np.linspace(-1, 1, 2000))
    assert f"{mode} mode, worst for the result[{place}] by input 0[{place}]: the graph gives" in message
    assert f"ratio {factor:g}" in message.replace("-0", "0")


def test_the_entry_that_is_off_is_found_among_many_results_of_few_inputs():
    wrong = primitive(lambda g, out, a: g * (1 - out * out) * np.where(np.arange(300) == 7, 1.5, 1)[:, None])
    message = refused(lambda a: wrong(np.broadcast_to(a, (300, 3))), VECTOR)
    assert re.search(r"worst for the result\[7, \d\] by input 0\[\d\]: .* ratio 1\.5", message)


def test_nan_of_a_branch_that_is_not_taken_is_told_from_other_mistakes():
    for size in (3, 3000):
        message = refused(lambda a: np.where(a > 0, np.sqrt(a), 0.0), np.linspace(-1.0, 1.1, size))
        assert "the graph gives nan" in message and "np.where that is not taken" in message
        assert "primitive sqrt" in message
    gradcheck(lambda a: np.where(a > 0, np.sqrt(np.where(a > 0, a, 1)), 0.0), [np.linspace(-1.0, 1.1, 3)])


def test_a_failure_names_the_worst_entry_both_values_the_ratio_and_the_primitive():
    wrong = primitive(lambda g, out, a: g * (1 - out * out) * np.array([1, 1, 1.25]))
    message = refused(lambda p: {"y": np.exp(wrong(p["x"]))}, {"x": VECTOR})
    slope = np.exp(np.tanh(VECTOR[2])) * (1 - np.tanh(VECTOR[2]) ** 2)
    said = re.search(r"the graph gives (\S+), central differences (\S+), ratio (\S+)\. To blame", message)
    assert [float(number) for number in said.groups()] == pytest.approx([1.25 * slope, slope, 1.25], rel=1e-6)
    for part in (
        "order 1: reverse mode",
        "worst for the result['y'][2] by input 0['x'][2]",
        "To blame is primitive squash (float64[3]): its vjp rule disagrees",
    ):
        assert part in message


def test_a_wrong_jvp_rule_is_told_from_a_wrong_vjp_rule():
    wrong = primitive(jvp=lambda g, out, a: 1.001 * g * (1 - out * out))
    message = refused(lambda a: np.exp(wrong(np.sin(a))), VECTOR)
    assert "forward mode" in message and "primitive squash" in message and "its jvp rule" in message
    gradcheck(lambda a: wrong(a), [VECTOR], modes=("reverse",))


def test_a_rule_that_leaves_the_graph_is_found_at_the_second_order_only():
    hidden = primitive(lambda g, out, a: g * (1 - (out.detach() if isinstance(out, tg.Tensor) else out) ** 2))
    gradcheck(lambda a: hidden(a), [VECTOR], order=1)
    message = refused(lambda a: np.exp(hidden(a)), VECTOR)
    assert "order 2: reverse over reverse" in message and "primitive squash (" in message


def test_a_wrong_rule_inside_the_rule_of_another_primitive_is_found():
    wrong = primitive(lambda g, out, a: 1.001 * g * (1 - out * out), name="inner")
    outer = primitive(lambda g, out, a: g * (1 - wrong(a) * out), name="outer")
    message = refused(lambda a: np.exp(outer(a)), VECTOR)
    assert "To blame is primitive inner in the rules of outer" in message


def test_a_rule_that_raises_is_named():
    wrong = primitive(lambda g, out, a: (g * (1 - out * out))[:, None] * np.ones(2))
    message = refused(lambda a: np.exp(wrong(a)), VECTOR)
    assert "primitive squash" in message and "ShapeError" in message


def test_a_rule_that_reads_what_is_not_saved_is_named_even_inside_the_rule_of_another():
    forgets = tg.Primitive("forgets", np.tanh, saves=())
    forgets.defvjp(lambda g, out, a: g * (1 - out * out))
    outer = tg.Primitive("outer", lambda a: np.log(np.cosh(a)), saves=(0,))
    outer.defvjp(lambda g, out, a: g * forgets(a))
    for function, order in (forgets, 1), (outer, 2):
        message = refused(lambda a: np.exp(function(a)), VECTOR, modes=("reverse",))  # noqa: B023
        assert f"order {order}: To blame is primitive forgets (float64[3]): its rules read an argument" in message


def test_an_error_of_the_function_itself_is_shown_as_it_is():
    def raises(a):
        if a.requires_grad:
            a.register_hook(lambda g: g["wrong"])
        return a * 1.0

    refused(raises, VECTOR, error=IndexError)


def test_a_rule_that_cannot_be_recorded_is_named():
    bare = primitive(lambda g, out, a: g * np.vectorize(lambda t: 1 - t * t)(out))
    gradcheck(bare, [VECTOR], order=1)
    message = refused(bare, VECTOR)
    assert "order 2: To blame is primitive squash (float64[3]): a rule of it raises ConversionError" in message


@pytest.mark.parametrize("size", [3, 100])
def test_results_are_left_out_in_turn_so_that_joint_rules_have_to_bear_none(size):
    both = tg.Primitive("both", lambda a: (np.sin(a), np.cos(a)), saves=("out",))
    both.defvjp_joint(lambda gs, outs, args, needs: [gs[0] * outs[1] - (0.0 if gs[1] is None else gs[1] * outs[0])])
    both.defjvp_joint(lambda tangents, outs, args: (tangents[0] * outs[1], -tangents[0] * outs[0]))
    message = refused(both, np.linspace(-1, 1, size))
    assert f"To blame is primitive both (float64[{size}], float64[{size}]): a rule of it raises TypeError" in message


def constant(part):
    return part.detach() if isinstance(part, tg.Tensor) else part


@pytest.mark.parametrize("kind", ["vjp", "jvp"])
@pytest.mark.parametrize("function", [lambda p: p, lambda p: lambda a: np.exp(p(np.sin(a)))], ids=["alone", "composed"])
def test_a_rule_that_takes_its_cotangent_or_tangent_for_a_constant_is_found_and_named(kind, function):
    wrong = primitive(**{kind: lambda g, out, a: constant(g) * (1 - out * out)})
    gradcheck(function(wrong), [VECTOR], order=1)
    message = refused(function(wrong), VECTOR)
    assert "order 2" in message and "To blame is primitive squash" in message and f"its {kind} rule" in message


def test_arrays_written_in_place_are_found():
    def grows(a):
        a += 1
        return a * a

    grown = tg.Primitive("grows", grows)
    grown.defvjp(lambda g, out, a: g * 2 * a)
    assert "the function changed input 0 in place" in refused(lambda a: grown(a), VECTOR)

    def doubles(g, out, a):
        g *= 2
        return g * a

    message = refused(primitive(doubles), VECTOR)
    assert (
        "To blame is primitive squash" in message
        and "a rule of it raises ValueError: output array is read-only" in message
    )


def test_scopes_say_which_of_several_calls_is_meant():
    wrong = primitive(lambda g, out, a: 2 * g * (1 - out * out))
    with tg.scope("encoder"):
        assert "float64[3] in encoder" in refused(lambda a: wrong(a), VECTOR)


def test_a_function_that_leaves_the_graph_is_not_blamed_on_a_primitive():
    for function in (lambda a: a * a.data, lambda a: a.data * 2, lambda a: np.sum(a) * float(a.data.sum())):
        message = refused(function, VECTOR)
        assert "Each primitive is right by itself" in message and ".detach()" in message.replace(
            "detach()", ".detach()"
        )


def test_blaming_leaves_what_primitives_save_as_it_was():
    before = tg.ops.arithmetic.add._saves, tg.ops.elementwise.tanh._saves
    refused(lambda a: np.tanh(a + 1) * a.data, VECTOR)
    assert (tg.ops.arithmetic.add._saves, tg.ops.elementwise.tanh._saves) == before


KINKS = {
    "absolute": (np.abs, 0.0),
    "relu": (tg.relu, 0.0),
    "floor": (np.floor, 2.0),
    "sqrt": (np.sqrt, 0.0),
    "cbrt": (np.cbrt, 0.0),
    "maximum": (lambda a: np.maximum(a, 0.25), 0.25),
    "clip": (lambda a: np.clip(a, -1, 1), 1.0),
    "arccosh": (np.arccosh, 1.0),
    "log": (np.log, 0.0),
}


@pytest.mark.parametrize("name", KINKS)
def test_a_point_without_a_derivative_is_called_that_and_the_primitive_named(name):
    function, place = KINKS[name]
    message = refused(lambda a: function(a[0]) + a[1], np.array([place, 1.0]), error=NotDifferentiableError)
    assert name in message and "kink" in message


@given(distance=st.floats(1e-6, 1e-2), side=st.sampled_from([-1, 1]))
def test_a_kink_close_by_is_none_at_the_point(distance, side):
    gradcheck(np.abs, [np.array([side * distance, 1.0])])


def test_a_kink_of_the_gradient_is_found_at_the_second_order():
    smooth_once = lambda a: np.where(a > 0, a * a, 0)
    gradcheck(smooth_once, [np.array([0.0, 1.0])], order=1)
    message = refused(smooth_once, np.array([0.0, 1.0]), error=NotDifferentiableError)
    assert "order 2: the gradient of input 0[0] is not differentiable" in message


def test_a_steep_bend_is_no_kink():
    gradcheck(lambda a: tg.softplus(200 * a) / 200, [np.array([0.0, 0.01])])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_result_that_is_not_finite_is_said(bad):
    message = refused(lambda a: a * bad, np.ones(2), error=NotDifferentiableError)
    assert "at the point itself" in message


def test_functions_that_change_between_calls_are_refused():
    rng = np.random.default_rng(0)
    assert "called again" in refused(lambda a: a * rng.normal(), VECTOR)


def test_functions_whose_shapes_depend_on_values_are_refused():
    assert "shapes" in refused(lambda a: a[a.data >= 1.0], np.array([1.0, 2.0]))


@pytest.mark.parametrize(
    "options", [{"order": 3}, {"order": 0}, {"modes": ()}, {"modes": ("backward",)}, {"modes": "reverse"}]
)
def test_options_out_of_range_are_refused(options):
    refused(np.exp, VECTOR, error=ConfigError, **options)


@pytest.mark.parametrize("options", [{"eps": 0.0}, {"eps": -1e-3}, {"rtol": -1.0}, {"atol": np.nan}])
def test_steps_and_tolerances_that_mean_nothing_are_refused(options):
    assert "give a step above 0" in refused(np.exp, VECTOR, error=ConfigError, **options)


@pytest.mark.parametrize("check", [gradcheck, dot_product_check])
@pytest.mark.parametrize(
    ("function", "inputs", "words"),
    [
        (lambda a: a, [np.arange(3)], "no floating input"),
        (np.exp, VECTOR, "give a list with one entry for each argument"),
        (np.exp, {"a": VECTOR}, "inputs is a dict"),
        (
            lambda p: np.exp(p["a"]),
            [{"a": np.array([1.0, np.nan])}],
            r"input 0\['a'\]\[1\] is nan, where nothing has a derivative",
        ),
        (lambda a: None, [VECTOR], "returned nothing that holds floats"),
        (lambda a: np.argmax(a.data), [VECTOR], "returned nothing that holds floats"),
    ],
    ids=["integers", "bare array", "bare dict", "nan", "no return", "integer result"],
)
def test_what_cannot_be_differentiated_is_refused_with_the_reason(check, function, inputs, words):
    with pytest.raises(ConfigError, match=words):
        check(function, inputs)


def test_tolerances_and_step_can_be_set():
    wrong = primitive(lambda g, out, a: 1.001 * g * (1 - out * out))
    gradcheck(lambda a: wrong(a), [VECTOR], order=1, rtol=1e-2)
    gradcheck(lambda a: wrong(a), [VECTOR], order=1, atol=1e-2)
    refused(lambda a: wrong(a), VECTOR, order=1, eps=1e-4)


@given(size=st.floats(1e-12, 1e12))
def test_small_and_large_functions_are_checked_as_strictly(size):
    refused(lambda a: primitive(lambda g, out, a: 1.001 * g * (1 - out * out))(a) * size, VECTOR)
    gradcheck(lambda a: np.tanh(a) * size, [VECTOR])
