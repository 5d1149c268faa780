"""Terms: what is written for operations that no rule of ours combines, and what traces say in their order."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.core.algebra import Algebra, shared
from tinygrad_rnn.core.explain import rules
from tinygrad_rnn.core.node import Spec
from tinygrad_rnn.core.notation import PYTHON, setting
from tinygrad_rnn.core.trace import Captured, Trace, freeze
from tinygrad_rnn.ops.indexing import _ARRAY, getitem

VECTOR, BOOLS, INTEGERS = [Spec((3,), np.dtype(kind)) for kind in (float, bool, int)]
ALGEBRA = Algebra()
NAMES = {
    name: ALGEBRA.name(name, spec)
    for names, spec in (("abc", VECTOR), ("pqr", BOOLS), ("ijk", INTEGERS))
    for name in names
}


def call(operation, *operands, **params):
    like = next(operand.spec for operand in operands if not operand.is_number)
    return ALGEBRA.call(operation, operands, like, freeze(params) if params else ())


def number(value, kind=None):
    return ALGEBRA.number(value, Spec((), np.dtype(kind or type(value))))


a, b, c, p, q, r, i, j, k = NAMES.values()


@pytest.mark.parametrize(
    ("term", "text"),
    [
        (lambda: call("power", a, call("negative", b)), "a ** -b"),
        (lambda: call("power", a, call("negative", call("power", b, c))), "a ** -b ** c"),
        (lambda: call("power", a, call("negative", call("multiply", b, c))), "a ** (-b * c)"),
        (lambda: call("power", a, number(1)), "a"),
        (lambda: call("power", i, number(1)), "i ** 1"),
        (lambda: call("power", i, number(1.0)), "i ** 1.0"),
        (lambda: call("add", a, a), "a + a"),
        (lambda: call("add", call("multiply", a, b), call("multiply", a, c)), "a * (b + c)"),
        (lambda: call("add", call("multiply", i, j), call("multiply", i, k)), "i * j + i * k"),
        (lambda: call("add", i, i), "i + i"),
        (lambda: call("subtract", a, call("negative", b)), "a + b"),
        (lambda: call("subtract", a, call("subtract", b, c)), "a - (b - c)"),
        (lambda: call("negative", call("negative", a)), "a"),
        (lambda: call("divide", call("negative", a), call("negative", b)), "a / b"),
        (lambda: call("multiply", number(2), call("multiply", number(3), a)), "6 * a"),
        (lambda: call("multiply", call("multiply", number(2), a), call("multiply", number(3), b)), "6 * a * b"),
        (lambda: call("multiply", a, call("matmul", b, c)), "a * (b @ c)"),
        (lambda: call("logical_and", p, call("logical_and", q, r)), "p & (q & r)"),
        (lambda: call("logical_or", p, call("logical_or", q, r)), "p | (q | r)"),
        (lambda: call("logical_xor", p, call("logical_xor", q, r)), "p ^ (q ^ r)"),
        (lambda: call("logical_or", p, call("logical_xor", q, r)), "p | q ^ r"),
        (lambda: call("logical_xor", p, call("logical_and", q, r)), "p ^ q & r"),
        (lambda: call("var", a, axis=(0,), ddof=0, keepdims=False), "var(a)"),
        (lambda: call("var", a, axis=(0,), ddof=1, keepdims=False), "var(a, ddof=1)"),
    ],
)
def test_a_term_is_written_with_the_brackets_that_it_needs_and_no_others(term, text):
    assert PYTHON.text(term()) == text


def test_a_product_of_numbers_is_their_product():
    assert ALGEBRA.call("multiply", (number(2), number(3)), Spec((), np.dtype(int))).symbol == 6


def test_a_term_is_shown_by_its_operation_or_by_what_it_stands_for():
    assert (repr(call("multiply", a, b)), repr(a), repr(number(2))) == ("<multiply>", "<a>", "<2>")


@pytest.mark.parametrize(("outer", "named"), [(6, 1), (7, 2)])
def test_what_has_a_name_costs_nothing_where_it_stands_in_something_else(outer, named):
    inner = a
    for _ in range(7):
        inner = call("sin", inner)
    term = inner
    for _ in range(outer):
        term = call("cos", term)
    assert len(shared([inner, inner, term, term])) == named


def test_a_number_of_numpy_is_written_like_one_of_python():
    assert [setting(np.float64(x)) for x in (2.0, np.inf, -np.inf)] == ["2.0", "inf", "-inf"]


def test_a_comparison_is_traced_in_the_order_in_which_it_is_written():
    trace = Trace()
    x, y = trace.input(VECTOR), trace.input(VECTOR)
    assert [x == y, x != y] and [traced.operands for traced in trace.calls] == [(0, 1), (0, 1)]


def test_a_tensor_of_another_trace_is_captured():
    outer, inner = Trace(), Trace()
    outer.input(VECTOR)
    x = outer.input(VECTOR)
    _ = inner.input(VECTOR) * x
    assert inner.calls[0].operands == (0, Captured(0))
    assert inner.captured[0] is x


def test_a_mask_and_an_integer_pick_together_while_tracing():
    x = Trace().input(Spec((3, 2), np.dtype(float)))
    assert x[np.array([True, False, True]), 1].shape == (2,)


def test_a_mask_whose_value_is_known_picks_as_many_as_it_says():
    trace = Trace()
    x, mask = trace.input(VECTOR), trace.input(BOOLS)
    trace.known[mask._value] = np.array([True, False, True])
    assert getitem(x, mask, index=(_ARRAY,), unique=True).shape == (2,)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (5, 3, 2, 2)])
def test_a_function_of_positive_definite_matrices_can_be_traced(shape):
    assert np.linalg.cholesky(Trace().input(Spec(shape, np.dtype(float)))).shape == shape


@pytest.mark.parametrize("recording", [True, False])
def test_what_is_traced_under_no_grad_is_stopped_where_gradients_are_recorded(recording):
    def calls():
        trace = Trace()
        x = trace.input(VECTOR)
        with tg.no_grad():
            np.tanh(x)
        return [traced.primitive.name for traced in trace.calls]

    if recording:
        assert calls() == ["tanh", "stop"]
    else:
        with tg.no_grad():
            assert calls() == ["tanh"]


def leaf(value):
    return tg.Tensor(value, requires_grad=True)


def test_explain_follows_the_second_derivative_of_what_a_mask_picks():
    x = leaf([1.0, 2.0, 3.0])
    (slope,) = tg.gradients(np.sum(x[np.array([True, False, True])] ** 3), [x], record=True)
    assert "    cotangent of a: g[b,]" in tg.Graph.of(slope).explain().splitlines()


def test_explain_tells_steps_of_one_kind_apart_whose_rules_read_values():
    regular, singular = leaf([[2.0, 1.0], [1.0, 3.0]]), leaf([[1.0, 1.0], [1.0, 1.0]])
    text = tg.Graph.of(np.linalg.det(regular) + np.linalg.det(singular)).explain()
    of_dets = text.split("= det(")[1:]
    assert ["inv(" in part for part in of_dets] == [True, False]


def test_explain_tells_steps_of_one_kind_apart_whose_rules_read_integers():
    times = tg.Primitive("times", lambda a, k: a * k.max())
    times.defvjp(lambda g, out, a, k: g * int(np.asarray(k).max()), lambda g, out, a, k: None)
    x = leaf([1.0])
    text = tg.Graph.of(times(x, np.array([2])) + times(x, np.array([3]))).explain()
    assert "cotangent of a: 2 * g" in text
    assert "cotangent of a: 3 * g" in text


def test_explain_runs_the_rules_of_equal_steps_once():
    run = []
    noted = tg.Primitive("noted", lambda a: a)
    noted.defvjp(lambda g, out, a: run.append(1) or g)
    y = leaf([1.0])
    for _ in range(5):
        y = noted(y)
    tg.Graph.of(y).explain()
    assert len(run) == 1


def test_explain_takes_parameters_that_cannot_be_hashed():
    weighted = tg.Primitive("weighted", lambda a, weights: a * sum(weights))
    weighted.defvjp(lambda g, out, a, weights: g * sum(weights))
    assert "cotangent of a: 3 * g" in tg.Graph.of(weighted(leaf([1.0]), weights=[1, 2])).explain()


def test_a_rule_has_names_for_as_much_as_it_repeats():
    def deep(t):
        for function in (np.tanh, np.cos, np.sin, np.exp, np.tanh, np.cos, np.sin):
            t = function(t)
        return t * t

    def rule(g, out, a):
        return g * deep(deep(deep(deep(deep(a)))))

    primitive = tg.Primitive("deep", lambda a: a)
    primitive.defvjp(rule)
    assert [name for name, _ in rules(primitive(leaf([1.0])).node).where] == ["u", "v", "w", "u1", "u2"]


def test_explain_numbers_the_results_of_a_step_of_two():
    first, second = np.split(leaf([1.0, 2.0]), 2)
    y = np.sum(first * second)
    y.backward(retain_graph=True)
    lines = tg.Graph.of(y).explain().splitlines()
    assert {"    out0 = 1", "    out1 = 2", "    g0 = 2", "    g1 = 1"} <= {
        line.replace("[", "").replace("]", "") for line in lines
    }


def test_a_line_of_its_own_has_no_room_for_what_is_not_there():
    y = np.exp(leaf([1.0]))
    y.name = "named"
    assert tg.Graph.of(y).line(y.node) == "%1 = exp(%0)                float64[1]  # named"


@pytest.mark.parametrize(("length", "grows"), [(39, True), (40, True), (41, False)])
def test_a_column_of_scopes_grows_to_forty_letters(length, grows):
    x = leaf([1.0])
    with tg.scope("s" * length):
        y = np.exp(x)
    z = np.exp(y)
    z.name = "named"
    assert str(tg.Graph.of(z)).splitlines()[2].endswith(" " * (length + 2) + "# named") is grows


@pytest.mark.parametrize(("shape", "grows"), [((10, 1, 1, 1, 1, 1, 1, 1), True), ((10, 10, 1, 1, 1, 1, 1, 1), False)])
def test_a_column_of_shapes_grows_to_32_letters(shape, grows):
    assert len(repr(Spec(shape, np.dtype(float)))) == 33 - grows
    x = leaf(np.ones(shape))
    with tg.scope("s"):
        y = np.sum(x)
    assert str(tg.Graph.of(y)).splitlines()[1].endswith("float64[]" + " " * 23 * grows + "  s")


@pytest.mark.parametrize(("length", "grows"), [(64, True), (65, False)])
def test_a_column_of_calls_grows_to_64_letters(length, grows):
    x = tg.Tensor([1.0], requires_grad=True, name="x" * (length - len("%0 = leaf ")))
    line = str(tg.Graph.of(np.exp(x))).splitlines()[1]
    assert line.index("float64") == (65 if grows else 28)
