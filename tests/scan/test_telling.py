"""explain() of a graph with a compiled loop: its step once, with the gradient rules and the numbers of all steps."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.viz.test_opened import COMPILED, LAYERS, DropsOut, X, loss_of
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import GraphError
from tinygrad_rnn.core.explain import in_numbers
from tinygrad_rnn.scan import scan, telling

real = telling._Numbers


def leaky(x, h):
    kept = 0.5 * h
    h = kept + np.tanh(x)
    return h, h


def of_leaky(**options):
    x = tg.Tensor(np.linspace(-1, 1, 6).reshape(3, 2), requires_grad=True, name="x")
    ys, _ = scan(leaky, tg.Tensor(np.ones(2), requires_grad=True, name="h0"), x, **options)
    return np.sum(ys * ys)


def loop_lines(graph):
    lines = graph.explain().splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip().startswith("for t in"))
    return [line[4:] for line in lines[start:] if line.startswith("    ")]


@pytest.mark.parametrize("engine", COMPILED)
def test_a_loop_is_told_as_its_step_once_with_the_rules(engine):
    assert loop_lines(tg.Graph.of(of_leaky(engine=engine)))[:17] == [
        "for t in 0 … 2:",
        "    %0 = leaf h                 float64[2]",
        "        a at first, then %4 of the step before",
        "    %1 = leaf x                 float64[2]",
        "        b[t]",
        "    %2 = multiply(0.5, %0)      float64[2]  # kept",
        "        cotangent of b: 0.5 * g",
        "    %3 = tanh(%1)               float64[2]",
        "        cotangent of a: g * (1 - out * out)",
        "    %4 = add(%2, %3)            float64[2]  # h",
        "        cotangent of a: g",
        "        cotangent of b: g",
        "    return %4 and hand on %4",
        "cotangent of a: g of %0 at the first step",
        "cotangent of b: g of %1 at every step",
        "cotangent of a: g * b",
        "cotangent of b: g * a",
    ]


def test_a_loop_from_the_end_to_the_start_is_told_that_way():
    assert loop_lines(tg.Graph.of(of_leaky(engine="numpy", reverse=True)))[0] == "for t in 2 … 0:"


def test_the_line_of_a_loop_is_the_same_under_every_engine():
    lines = {str(tg.Graph.of(of_leaky(engine=engine))).splitlines()[2].split("origin")[0] for engine in COMPILED}
    assert lines == {"%2 = scan(%1, %0, time=3, reverse=False, "}


@pytest.mark.parametrize("engine", COMPILED)
@pytest.mark.parametrize("lengths", [None, [4, 2, 0]])
@pytest.mark.parametrize("name", LAYERS)
def test_the_numbers_of_all_steps_are_those_of_the_backward_pass(name, lengths, engine, monkeypatch):
    loss = loss_of(LAYERS[name], engine, lengths)
    loss.backward(retain_graph=True)
    found = []
    monkeypatch.setattr(telling, "_Numbers", lambda *args: found.append(args) or real(*args))
    text = tg.Graph.of(loss).explain()
    assert "changed since" not in text
    gradients = {
        node.name: node.watches[0].grad for node in tg.Graph.of(loss) if node.name and node.watches[0].grad is not None
    }
    seen = set()
    for steps, _, played in found:
        for leaf in steps.step.constants:
            if leaf.name in gradients:
                seen.add(leaf.name)
                got = played.cotangents[leaf, 0]
                np.testing.assert_allclose(got, gradients[leaf.name], rtol=1e-9, atol=1e-12)
                assert f"g = {in_numbers(got)}" in text
    assert seen == set(gradients)


def test_a_loop_in_a_graph_of_several_results_has_values_and_no_cotangents():
    x = tg.Tensor(np.ones((3, 2)), requires_grad=True)
    ys, last = scan(leaky, np.ones(2), x, engine="numpy")
    np.sum(ys).backward(retain_graph=True)
    lines = loop_lines(tg.Graph.of(ys, last))
    assert any(line.strip().startswith("out = ") for line in lines)
    assert not any(line.strip().startswith("g = ") for line in lines)


def test_a_loop_that_was_freed_is_told_without_numbers():
    loss = of_leaky(engine="numpy")
    before = loop_lines(tg.Graph.of(loss))
    loss.backward()
    assert loop_lines(tg.Graph.of(loss))[: len(before) - 2] == before[:-2]


def test_a_loop_of_parameters_that_were_changed_is_told_without_numbers():
    layer = nn.RNN(5, 6)
    with tg.engine("numpy"):
        loss = np.sum(layer(X.astype(np.float32))[0])
    loss.backward(retain_graph=True)
    for parameter in layer.parameters():
        parameter.assign(parameter.data + 1)
    text = "\n".join(loop_lines(tg.Graph.of(loss)))
    assert "were changed since it ran" in text and "out = " not in text.split("# its parameters")[0]


def test_a_loop_of_a_layer_that_trains_no_longer_is_told_without_numbers():
    layer = nn.Recurrent(DropsOut(5, 6))
    with tg.engine("numpy"):
        loss = np.sum(layer(X.astype(np.float32))[0])
    loss.backward(retain_graph=True)
    layer.eval()
    assert "were changed since it ran" in tg.Graph.of(loss).explain()


def test_an_input_that_no_step_reads_is_told_as_that():
    x = tg.Tensor(np.ones((3, 2)), requires_grad=True)
    unread = tg.Tensor(np.ones((3, 2)), requires_grad=True)
    ys, _ = scan(lambda pair, h: (pair[0] + h, pair[0] + h), np.ones(2), (x, unread), engine="numpy")
    assert "cotangent of c: 0, for no step reads it" in tg.Graph.of(ys).explain()


def test_a_loop_has_no_equation_and_the_way_out_is_named():
    with pytest.raises(GraphError, match=r"viz\.latex\(cell, x, state\)"):
        tg.Graph.of(of_leaky(engine="numpy")).latex()
    assert "tanh" in tg.Graph.of(of_leaky(engine="eager")).latex()
