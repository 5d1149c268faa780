"""Graph.explain: the gradient rules of every step as algebra, and the numbers that go through them."""

import numpy as np
import pytest
from hypothesis import given

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.explain import Numbers, in_numbers
from tinygrad_rnn.scan import scan
from tinygrad_rnn.scan.engines import available
from tinygrad_rnn.testing.strategies import values


def test_explain_writes_the_gradient_rules_of_every_step_as_algebra():
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    text = tg.Graph.of(np.sum(np.sin(x) * x)).explain()
    assert text.splitlines() == [
        "%0 = leaf x                             float64[2]",
        "%1 = sin(%0)                            float64[2]",
        "    cotangent of a: g * cos(a)",
        "%2 = multiply(%1, %0)                   float64[2]",
        "    cotangent of a: g * b",
        "    cotangent of b: g * a",
        "%3 = sum(%2, axis=(0,), keepdims=False) float64[]",
        "    cotangent of a: broadcast_to(g, (2,))",
        "return %3",
    ]


def test_explain_shows_joint_rules_addends_sums_over_broadcast_axes_and_rules_that_give_nothing():
    x = tg.Tensor(np.ones((2, 4)), requires_grad=True)
    row = tg.Tensor(np.ones(2), requires_grad=True)
    first, second = np.split(x[np.array([0, 0])], 2, axis=1)
    text = tg.Graph.of(np.sign(first) * second + row).explain()
    assert "cotangent of a: scatter_add(g, s_[b,], shape=(2, 4))" in text
    assert "cotangent of a: concatenate([g0, g1], axis=1)" in text
    assert "cotangent of b: sum(g, axis=0)" in text
    assert "cotangent of a: zeros((2, 2))" in text


def test_explain_gives_names_to_what_it_would_write_again_and_again():
    text = tg.Graph.of(np.sinc(tg.Tensor([0.5], requires_grad=True))).explain()
    assert "    u = " in text and text.count("cos(u)") == 1


def test_explain_follows_a_rule_that_looks_at_values():
    regular = tg.Tensor(np.eye(2) + 0.1, requires_grad=True)
    singular = tg.Tensor(np.ones((2, 2)), requires_grad=True)
    assert "inv(a)" in tg.Graph.of(np.linalg.det(regular)).explain()
    assert "inv(a)" not in tg.Graph.of(np.linalg.det(singular)).explain()


def test_a_loop_that_a_recorded_backward_pass_ran_is_told_as_one_operation():
    def twice(x, h):
        h = 2 * h + x
        return h, h

    x = tg.Tensor(np.ones((3, 2)), requires_grad=True)
    with tg.engine("numpy"):
        y, _ = scan(twice, tg.Tensor(np.ones(2), requires_grad=True), x)
    (gradient,) = tg.gradients(np.sum(y**3), [x], record=True)
    text = tg.Graph.of(gradient).explain()
    assert "cotangent of b: scan(" in text and "time=3, reverse=False" in text
    assert " at 0x" not in text


def test_explain_says_so_where_a_rule_cannot_be_written_as_algebra():
    scaled = tg.Primitive("scaled", lambda a: a * np.sum(a))
    scaled.defvjp(lambda g, out, a: g * float(np.sum(a * a)))
    text = tg.Graph.of(scaled(tg.Tensor([1.0, 2.0], requires_grad=True))).explain()
    assert "cotangents: by the rule of scaled, which cannot be written as algebra" in text


def test_explain_has_no_numbers_before_a_backward_pass_and_those_of_the_sweep_behind_it():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    y = np.sum(np.exp(x) * x)
    assert "out = " not in tg.Graph.of(y).explain()
    y.backward(retain_graph=True)
    text = tg.Graph.of(y).explain()
    assert "    value = [1, 2]" in text and "    gradient = [5.437, 22.17]" in text
    assert "    cotangent of a: g * b = [1, 2]" in text and "    cotangent of b: g * a = [2.718, 7.389]" in text
    assert "    out = 17.5" in text
    np.testing.assert_array_equal(x.grad, np.exp([1.0, 2.0]) * [2.0, 3.0])


@given(values((3, 4)))
def test_the_contributions_that_explain_shows_add_up_to_the_gradient(array):
    x = tg.Tensor(array, requires_grad=True)
    y = np.sum(np.tanh(x) * np.exp(x) + x)
    y.backward(retain_graph=True)
    numbers = Numbers(tg.Graph.of(y).nodes, tg.Graph.of(y).outputs)
    passed = [
        numbers.passed(node)[i] for node in tg.Graph.of(y) for i, parent in enumerate(node.parents) if parent is x.node
    ]
    assert len(passed) == 3
    np.testing.assert_allclose(np.sum(passed, axis=0), x.grad)


def test_explain_tells_large_tensors_by_norm_and_extremes_and_shows_what_is_not_finite():
    assert in_numbers(np.arange(12.0)) == "shape (12,), norm 22.49, min 0, mean 5.5, max 11"
    assert in_numbers(np.array([np.inf, np.nan])) == "[inf, nan]"
    assert "max nan" in in_numbers(np.full(100, np.nan))
    assert in_numbers(np.zeros((3, 0))) == "[[], [], []]"


def test_explain_says_what_numbers_a_backward_pass_has_freed_or_lacked():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    y = np.sum(np.exp(x))
    y.backward()
    with tg.no_grad():
        text = tg.Graph.of(y).explain()
    assert "cotangent of a: g * out\n" in text and "gradient = [2.718, 7.389]" in text
    assert text.endswith("# numbers were freed by backward(); backward(retain_graph=True) keeps them")
    several = tg.Graph.of(np.exp(x)).explain()
    assert several.endswith("# cotangents have numbers in a graph with one result of one element")


def test_the_numbers_in_a_formula_outlive_the_backward_pass():
    x = tg.Tensor([0.5, 2.0], requires_grad=True, name="x")
    y = np.sum((1 - x) * 3 + x**2)
    graph = tg.Graph.of(y)
    before, rules, picture = str(graph), graph.explain(), tg.viz.draw(y).source
    latex = graph.latex()
    y.backward()
    assert all(node.args is None for node in graph if node.primitive is not None)
    assert "subtract(1, %0)" in before
    assert str(graph) == before
    assert [line for line in rules.splitlines() if "cotangent" in line] == [
        line for line in graph.explain().splitlines() if "cotangent" in line
    ]
    assert graph.latex() == latex
    assert "1 −" in picture and tg.viz.draw(y).source == picture


def test_explain_says_what_rules_a_backward_pass_has_taken_away():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    y = np.sum(x * np.array([2.0, 3.0]))
    y.backward()
    assert "cotangents: freed by an earlier backward pass" in tg.Graph.of(y).explain()


def squared(x):
    return np.sum(x * x)


ELSEWHERE = {
    "another loss": (lambda x: np.sum(3 * x).backward(), "[3, 3]"),
    "another loss too": (lambda x: (np.sum(3 * x) + squared(x)).backward(), "[5, 7]"),
    "two passes": (lambda x: [squared(x).backward() for _ in range(2)], "[4, 8]"),
    "a cotangent": (lambda x: squared(x).backward(0.5), "[1, 2]"),
    "a change": (lambda x: setattr(x, "grad", [2.0, 4.01]), "[2, 4.01]"),
    "a loss that is not finite": (lambda x: np.sum(x * [np.nan, 4.0]).backward(), "[nan, 4]"),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_gradient_that_did_not_come_from_the_graph_alone_has_a_note(name, dtype):
    leave, gradient = ELSEWHERE[name]
    x = tg.Tensor([1.0, 2.0], requires_grad=True, dtype=dtype)
    y = squared(x)
    leave(x)
    lines = tg.Graph.of(y).explain().splitlines()
    assert lines[2] == f"    gradient = {gradient}"
    assert lines[3] == (
        "    # backward() of this graph alone gives [2, 4]; other passes, a cotangent or a change made this"
    )
    x.grad = None
    y.backward(retain_graph=True)
    assert "#" not in tg.Graph.of(y).explain()


def test_an_intermediate_gradient_of_another_graph_has_a_note_too():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    h = np.exp(x).retain_grad()
    y, other = np.sum(h * h), np.sum(h)
    other.backward(retain_graph=True)
    assert tg.Graph.of(y).explain().count("# backward() of this graph alone gives") == 2
    assert "#" not in tg.Graph.of(other).explain()


def test_a_leaf_that_the_graph_passes_nothing_to_has_a_note():
    x, w = [tg.Tensor([1.0, 2.0], requires_grad=True) for _ in range(2)]
    steps = tg.Primitive("steps", np.sign)
    steps.defvjp_joint(lambda gs, outs, args, needs: (None,))
    y = np.sum(x * steps(w))
    np.sum(w).backward()
    assert "gives [0, 0]; other passes" in tg.Graph.of(y).explain()


@pytest.mark.parametrize("engine", available())
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_gradients_of_a_loop_are_those_of_the_graph_in_every_dtype(dtype, engine):
    layer = nn.GRU(3, 5, num_layers=2).astype(dtype)
    x = np.random.default_rng(0).normal(size=(20, 4, 3)).astype(dtype)
    with tg.engine(engine):
        loss = np.mean(layer(x)[0])
    loss.backward(retain_graph=True)
    text = tg.Graph.of(loss).explain()
    assert text.count("    gradient = ") == len(list(layer.parameters())) and "this graph alone" not in text


def test_numbers_that_are_not_finite_and_those_that_a_hook_changed_agree_with_themselves():
    x, w = tg.Tensor([0.0, 2.0], requires_grad=True), tg.Tensor([1.0, 2.0], requires_grad=True)
    w.register_hook(lambda gradient: 10 * gradient)
    with np.errstate(all="ignore"):
        y = np.sum(np.log(x) * x * w)
        y.backward(retain_graph=True)
        text = tg.Graph.of(y).explain()
    assert "gradient = [nan, 3.386]" in text and "#" not in text
