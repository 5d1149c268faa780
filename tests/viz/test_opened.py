"""Compiled loops open into the steps that the engine "eager" records."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import GraphError
from tinygrad_rnn.scan import scan
from tinygrad_rnn.scan.engines import available
from tinygrad_rnn.viz.opened import opened

COMPILED = [name for name in available() if name != "eager"]
X = np.random.default_rng(0).standard_normal((4, 3, 5))
LAYERS = {
    "rnn": lambda: nn.RNN(5, 6),
    "two layers": lambda: nn.LSTM(5, 6, num_layers=2),
    "both directions": lambda: nn.GRU(5, 6, bidirectional=True),
    "dropout between layers": lambda: nn.GRU(5, 6, num_layers=2, dropout=0.5),
    "a cell with dropout in its step": lambda: nn.Recurrent(DropsOut(5, 6)),
}


class DropsOut(nn.Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.from_both = nn.Linear(input_size + hidden_size, hidden_size)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x, h):
        h = np.tanh(self.from_both(np.concatenate([x, self.dropout(h)], axis=-1)))
        return h, h


def loss_of(make, engine, lengths=None):
    tg.random.seed(0)
    layer = make().astype(np.float64)
    with tg.engine(engine):
        y, _ = layer(X, lengths=lengths)
    return np.sum(y * y)


@pytest.mark.parametrize("engine", COMPILED)
@pytest.mark.parametrize("lengths", [None, [4, 2, 0]])
@pytest.mark.parametrize("name", LAYERS)
def test_a_compiled_loop_opens_into_the_very_graph_of_the_eager_one(name, lengths, engine):
    eager = tg.Graph.of(loss_of(LAYERS[name], "eager", lengths))
    loss = loss_of(LAYERS[name], engine, lengths)
    assert any(node.operation == "scan" for node in tg.Graph.of(loss))
    graph = opened(tg.Graph.of(loss))
    graph.check()
    assert str(graph) == str(eager)
    loss.backward()
    freed = loss_of(LAYERS[name], "eager", lengths)
    freed.backward()
    assert str(opened(tg.Graph.of(loss))) == str(tg.Graph.of(freed))


@pytest.mark.parametrize("engine", COMPILED)
def test_the_last_states_of_rows_of_different_lengths_come_from_the_same_graph(engine):
    texts = []
    for name in ("eager", engine):
        tg.random.seed(0)
        layer = nn.LSTM(5, 6, num_layers=2, bidirectional=True).astype(np.float64)
        with tg.engine(name):
            _, (h, c) = layer(X, lengths=[4, 2, 0])
        texts.append(str(opened(tg.Graph.of(np.sum(h * h) + np.sum(c)))))
    assert texts[0] == texts[1]


def test_a_graph_without_loops_is_left_as_it_is():
    graph = tg.Graph.of(loss_of(LAYERS["rnn"], "eager"))
    assert opened(graph) is graph


def test_a_loop_that_runs_backwards_opens_backwards():
    def step(x, h):
        h = np.tanh(x + h)
        return h, h

    x = tg.Tensor(X, requires_grad=True)
    texts = [
        str(opened(tg.Graph.of(scan(step, np.zeros((3, 5)), x, reverse=True, engine=engine)[0])))
        for engine in ("eager", "numpy")
    ]
    assert texts[0] == texts[1]


def test_values_of_the_steps_are_those_of_the_eager_loop():
    values = []
    for engine in ("eager", "numpy"):
        with tg.keep_values():
            loss = loss_of(LAYERS["a cell with dropout in its step"], engine)
        graph = opened(tg.Graph.of(loss))
        values.append([node.outs[0] for node in graph if node.operation == "tanh"])
    assert len(values[0]) == 4
    np.testing.assert_allclose(values[0], values[1], rtol=1e-12)


def test_steps_of_changed_parameters_are_refused():
    layer = nn.RNN(5, 6)
    with tg.engine("numpy"):
        y, _ = layer(X.astype(np.float32))
    for parameter in layer.parameters():
        parameter.assign(parameter.data + 1)
    with pytest.raises(GraphError, match="changed in between"):
        opened(tg.Graph.of(np.sum(y)))


@pytest.mark.parametrize("is_trained", [True, False])
def test_steps_are_refused_even_where_what_changed_does_not_matter_to_the_first_one(is_trained):
    # The state begins with zeros, so the first step gives the same whatever the weight of the state is.
    layer = nn.RNN(5, 6)
    weight = dict(layer.named_parameters())["cells.0.from_state.weight"]
    weight.requires_grad_(is_trained)
    with tg.engine("numpy"):
        loss = np.sum(layer(X.astype(np.float32))[0])
    before = weight.data.copy()
    weight.assign(before + 1)
    with pytest.raises(GraphError, match="changed in between"):
        opened(tg.Graph.of(loss))
    loss.backward()
    assert len(opened(tg.Graph.of(loss))) > 20  # no values are left that could be wrong


@pytest.mark.parametrize("training", [True, False])
def test_steps_of_a_layer_that_trains_no_longer_or_only_now_are_refused(training):
    # Dropout of the state: the first step has zeros there, and gives the same with and without.
    layer = nn.Recurrent(DropsOut(5, 6)).train(training)
    with tg.engine("numpy"):
        loss = np.sum(layer(X.astype(np.float32))[0])
    layer.train(not training)
    with pytest.raises(GraphError, match="settings were changed in between"):
        opened(tg.Graph.of(loss))


def test_steps_of_parameters_that_were_given_the_value_that_they_have_are_shown():
    layer = nn.RNN(5, 6)
    with tg.engine("numpy"):
        loss = np.sum(layer(X.astype(np.float32))[0])
    kept = [parameter.data for parameter in layer.parameters()]
    for parameter, value in zip(layer.parameters(), kept, strict=True):
        parameter.assign(value)
    assert len(opened(tg.Graph.of(loss))) > 20


def test_a_constant_result_of_a_step_is_no_longer_part_of_the_graph():
    w = tg.Tensor(2.0, requires_grad=True, name="w")
    texts = []
    for engine in ("eager", "numpy"):
        (ys, ones), _ = scan(lambda x, h: ((x * w, np.ones(5)), h), np.zeros(1), X[0], engine=engine)
        texts.append(str(opened(tg.Graph.of(np.sum(ys * ones)))))
    assert texts[0] == texts[1]
