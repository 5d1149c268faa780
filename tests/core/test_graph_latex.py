"""Graph.latex: the equations of any graph, which computed give its value and its gradients."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.viz.test_latex import Run, set_by_latex, with_pdflatex
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import FreedGraphError
from tinygrad_rnn.core.latex import Equations, Parts


def leaf(name, *shape, seed=0):
    return tg.Tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True, name=name)


def squared_error():
    x, weight = np.random.default_rng(1).normal(size=(4, 3)), leaf("out.weight", 3, 2)
    guess = np.tanh(x @ weight) + np.array([0.5, -0.5])
    guess.name = "guess"
    return np.mean((guess - np.arange(8.0).reshape(4, 2)) ** 2)


def several_results():
    first, second = np.split(leaf("x", 2, 6) * 2, 2, axis=1)
    return first * second, np.sum(second, axis=0)


def one_leaf_twice():
    a, b = leaf("a", 3), leaf("b", 3, seed=1)
    return np.sum(a * a) + np.sum(np.exp(a) * b + a * b)


def a_number_in_brackets():
    return np.sum(np.square(leaf("w", 1, 3)), axis=1, keepdims=True)


def a_cell():
    tg.random.seed(0)
    cell = nn.LSTMCell(3, 4).astype(np.float64)
    y, (h, c) = cell(leaf("x", 2, 3), tuple(leaf(name, 2, 4) for name in "hc"))
    return np.sum(y * h) + np.mean(c)


def tokens():
    return np.sum(leaf("table", 5, 3)[np.array([1, 4, 1])] ** 3)


GRAPHS = [squared_error, several_results, one_leaf_twice, a_number_in_brackets, a_cell, tokens]


def equations_of(*results):
    graph = tg.Graph.of(*results)
    return Equations(Parts(graph.nodes, graph.inputs, graph.outputs))


@pytest.mark.parametrize("make", GRAPHS)
def test_the_equations_computed_give_the_results_and_the_gradients(make):
    with tg.keep_values():
        results = make()
    results = results if isinstance(results, tuple) else (results,)
    found = equations_of(*results)
    graph = tg.Graph.of(*results)
    run = Run(found)
    symbols = found._names.symbols
    for node in graph.inputs:
        run.known[Run.key(symbols[node, 0]), None] = node.watches[0].held[0]
    rng = np.random.default_rng(2)
    weights = [np.ones(y.shape) if y.size == 1 and len(results) == 1 else rng.normal(size=y.shape) for y in results]
    for i, weight in enumerate(weights):
        run.known[r"\Delta" + (rf"^{{({i + 1})}}" if len(weights) > 1 else ""), None] = weight
    run.compute(found.forward, None)
    for y in results:
        np.testing.assert_allclose(run.known[Run.key(symbols[y.node, y._index]), None], y.data, rtol=1e-12)
    run.compute(found.backward, None)
    tensors = [tg.Tensor._wrap(node.watches[0].held[0], node, 0) for node in graph.inputs]
    total = sum([np.sum(y * weight) for y, weight in zip(results, weights, strict=True)])
    for node, gradient in zip(graph.inputs, tg.gradients(total, tensors), strict=True):
        got = run.known[rf"\delta {Run.key(symbols[node, 0])}", None]
        np.testing.assert_allclose(got, np.asarray(gradient), rtol=1e-9, atol=1e-12)


def test_names_that_tensors_were_given_stand_in_the_equations():
    lines = tg.Graph.of(squared_error()).latex().splitlines()
    assert r"\mathit{guess} &= \tanh(\mathbf{C}_{4,3} W_{\text{out}}) + \mathbf{C}_{2} \\" in lines
    assert r"L &= \operatorname{mean}((\mathit{guess} - \mathbf{C}_{4,2})^{2}) \\[2ex]" in lines
    assert any(line.startswith(r"\delta W_{\text{out}} &= \mathbf{C}_{4,3}^{\top}") for line in lines)
    assert not any(r"\delta L" in line for line in lines)


def test_the_backward_pass_can_be_left_out():
    graph = tg.Graph.of(one_leaf_twice())
    both, forward = graph.latex(), graph.latex(backward=False)
    assert r"\delta" in both and r"\delta" not in forward
    assert forward.splitlines()[:-2] == both.splitlines()[: len(forward.splitlines()) - 2]


def test_two_arrays_of_one_shape_do_not_look_the_same():
    x = leaf("x", 2)
    text = tg.Graph.of(x * np.array([1.0, 2.0]) * np.array([3.0, 4.0])).latex()
    assert r"x \odot \mathbf{C}_{2} \odot \tilde{\mathbf{C}}_{2}" in text


def test_a_graph_that_was_freed_has_lost_its_constants_but_nothing_else():
    x = leaf("x", 2)
    y = np.sum(np.tanh(x))
    before = tg.Graph.of(y).latex()
    y.backward()
    assert tg.Graph.of(y).latex() == before
    z = np.sum(np.array([3.0, 4.0]) * x)
    z.backward()
    with pytest.raises(FreedGraphError, match="freed the constants"):
        tg.Graph.of(z).latex()


@with_pdflatex
def test_latex_sets_the_equations_of_graphs(tmp_path):
    documents = []
    for make in GRAPHS:
        results = make()
        documents.append(tg.Graph.of(*(results if isinstance(results, tuple) else (results,))).latex())
    set_by_latex(documents, tmp_path)


def test_mathml_can_be_made_of_the_equations_of_graphs():
    converter = pytest.importorskip("latex2mathml.converter", reason="latex2mathml reads LaTeX without a TeX system")
    assert converter.convert(tg.Graph.of(a_cell()).latex()).startswith("<math")
