"""Graph: the program behind a result and its checks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import ConfigError, GraphError


def program():
    x = tg.Tensor(np.ones((2, 3)), requires_grad=True, name="x")
    w = tg.Tensor(np.ones((3, 4), np.float32), requires_grad=True, name="w")
    with tg.scope("cell"), tg.scope(3):
        first, second = np.split(x @ w, 2, axis=-1)
        h = np.tanh(first) * second
    h.name = "h"
    return x, w, h, np.sum(h)


def test_a_graph_prints_as_a_program_with_shapes_scopes_and_names():
    *_, loss = program()
    assert str(tg.Graph.of(loss)).splitlines() == [
        "%0 = leaf x                               float64[2, 3]",
        "%1 = leaf w                               float32[3, 4]",
        "%2 = matmul(%0, %1)                       float64[2, 4]                 cell/3",
        "%3 = split(%2, bounds=(2, 4), axis=1)     float64[2, 2], float64[2, 2]  cell/3",
        "%4 = tanh(%3.0)                           float64[2, 2]                 cell/3",
        "%5 = multiply(%4, %3.1)                   float64[2, 2]                 cell/3  # h",
        "%6 = sum(%5, axis=(0, 1), keepdims=False) float64[]",
        "return %6",
    ]


def test_nodes_inputs_outputs_and_consumers_describe_the_edges():
    x, w, h, loss = program()
    graph = tg.Graph.of(loss, h)
    assert [node.operation for node in graph] == ["leaf", "leaf", "matmul", "split", "tanh", "multiply", "sum"]
    assert len(graph) == 7 and [graph.number(node) for node in graph] == list(range(7))
    assert graph.inputs == (x.node, w.node)
    assert graph.outputs == ((loss.node, 0), (h.node, 0))
    nodes = graph.nodes
    assert graph.consumers[x.node] == [(nodes[2], 0)]
    assert graph.consumers[w.node] == [(nodes[2], 1)]
    assert graph.consumers[nodes[3]] == [(nodes[4], 0), (nodes[5], 1)]
    assert graph.consumers[loss.node] == []
    graph.check()


def test_a_node_read_twice_is_listed_once_with_both_readers():
    x = tg.Tensor(2.0, requires_grad=True)
    y = x * x
    assert tg.Graph.of(y).consumers[x.node] == [(y.node, 0), (y.node, 1)]


def test_a_graph_is_printed_and_checked_after_its_gradients_are_out():
    *_, loss = program()
    graph = tg.Graph.of(loss)
    before = str(graph)
    loss.backward()
    graph.check()
    assert str(graph) == before
    y = np.array([3.0, 4.0]) * tg.Tensor([1.0, 2.0], requires_grad=True)
    assert "multiply(constant float64[2], %0)" in str(tg.Graph.of(y))
    y.backward(np.ones(2))
    assert "multiply(constant, %0)" in str(tg.Graph.of(y))


def test_check_finds_every_broken_invariant():
    def broken(change):
        *_, loss = program()
        graph = tg.Graph.of(loss)
        change(graph.nodes)
        with pytest.raises(GraphError) as error:
            graph.check()
        return str(error.value)

    def slots(nodes):
        nodes[4].slots = (2,)

    def sequence(nodes):
        nodes[4].sequence = 0

    def parents(nodes):
        nodes[5].parents = (nodes[4],)

    def later(nodes):
        nodes[2].parents = (nodes[0], nodes[6])

    def saved(nodes):
        nodes[5].args = (np.ones(7), np.ones((2, 2)))

    assert "reads output 2 of" in broken(slots)
    assert "does not come after its parent" in broken(sequence)
    assert "1 parents and 2 slots" in broken(parents)
    assert "does not come after its parent" in broken(later)
    assert "saved shape (7,)" in broken(saved)


def test_the_columns_of_a_program_are_aligned_and_one_long_line_does_not_push_the_others():
    with tg.engine("eager"):
        y, _ = nn.LSTM(2, 3)(np.ones((3, 2, 2), np.float32))
    lines = str(tg.Graph.of(np.sum(y))).splitlines()[:-1]
    assert len({line.index("float32[") for line in lines if line.count("float32") == 1 and "×" not in line}) == 1
    assert len({line.index("LSTM") for line in lines if "LSTM" in line}) == 1
    assert max(map(len, lines)) < 100
    x = tg.Tensor(np.ones((1,) * 30), requires_grad=True)
    short, long = str(tg.Graph.of(np.exp(np.sum(x, axis=tuple(range(29)))))).splitlines()[1:3][::-1]
    assert len(long) > 120 and short.index("float64") < 40


def test_many_results_of_one_shape_are_told_once():
    x = tg.Tensor(np.ones((7, 2)), requires_grad=True)
    parts = np.split(x, [1, 2, 3, 5])
    assert "3 × float64[1, 2], float64[2, 2], float64[2, 2]" in str(tg.Graph.of(parts[0]))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda y: [y], r"of a list.*Graph\.of\(\*tensors\)"),
        (lambda y: (y, y), r"of a tuple.*Graph\.of\(\*tensors\)"),
        (lambda y: np.ones(3), "of a ndarray"),
        (lambda y: 3.0, "of a float"),
        (lambda y: None, "of a NoneType"),
    ],
)
def test_a_graph_of_what_is_no_tensor_is_refused_by_name(given, words):
    *_, loss = program()
    for tensors in ([given(loss)], [loss, given(loss)]):
        with pytest.raises(GraphError, match=words):
            tg.Graph.of(*tensors)


@pytest.mark.parametrize("backward", ["no", 0, 1, None, np.ones(2)])
def test_equations_with_and_without_a_backward_pass_and_nothing_else(backward):
    *_, loss = program()
    with pytest.raises(ConfigError, match="give True or False"):
        tg.Graph.of(loss).latex(backward=backward)
    assert tg.Graph.of(loss).latex(np.True_) == tg.Graph.of(loss).latex()


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_name_stands_on_its_line_whatever_is_in_it(name, place):
    x = tg.Tensor(np.ones(2), requires_grad=True, name=name)
    with tg.scope(place):
        y = np.exp(x)
    y.name = name
    graph = tg.Graph.of(y)
    for text, most in ((str(graph), 3), (graph.explain(), 4)):
        assert len(text.splitlines()) == most and text.replace("\n", "").isprintable()


def test_newlines_in_names_are_escaped_and_other_writing_is_left_as_it_is():
    x = tg.Tensor(np.ones(2), requires_grad=True, name="two\nlines\t\x1b[1m")
    with tg.scope("a\r\nb"):
        y = np.exp(x)
    y.name = "∂L/∂h é \u2028"
    assert str(tg.Graph.of(y)).splitlines() == [
        r"%0 = leaf two\nlines\t\x1b[1m float64[2]",
        r"%1 = exp(%0)                  float64[2]  a\r\nb  # ∂L/∂h é \u2028",
        "return %1",
    ]
