"""What `explore` takes, refuses, and writes."""

import base64
import json
import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.core.errors import ConfigError, CotangentError, DataError, FreedGraphError, GraphError
from tinygrad_rnn.viz.page import explore_text


def content(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page.html, re.DOTALL)[1])


def lstm_loss(time, batch, hidden, engine="auto"):
    tg.random.seed(1)
    layer = nn.LSTM(hidden, hidden)
    x = np.random.default_rng(0).normal(size=(time, batch, hidden)).astype(np.float32)
    with tg.engine(engine):
        y, _ = layer(x)
        return np.mean(y * y)


def test_it_writes_a_file_and_returns_the_same_page(tmp_path):
    loss = np.tanh(tg.Tensor(0.5, requires_grad=True, name="w"))
    page = viz.explore(loss, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page.html
    assert viz.explore(loss).html == page.html
    with pytest.raises(ConfigError, match=r"end it in \.html"):
        page.save(tmp_path / "page.svg")


def test_pages_are_the_same_under_every_engine_but_for_the_last_bits():
    pages = [content(viz.explore(lstm_loss(3, 1, 2, engine))) for engine in ("eager", "numpy")]
    for key in ("lines", "bands", "texts", "modules"):
        assert pages[0][key] == pages[1][key]
    assert [node["time"] for node in pages[0]["nodes"]] == [node["time"] for node in pages[1]["nodes"]]
    assert [part[:4] for part in pages[0]["backward"]["contributions"]] == [
        part[:4] for part in pages[1]["backward"]["contributions"]
    ]


def test_an_lstm_over_50_steps_makes_a_page_under_3_megabytes_which_begins_folded():
    page = viz.explore(lstm_loss(50, 8, 128))
    assert len(page.html.encode()) < 3_000_000
    assert content(page)["view"]["folded"]


def test_a_module_is_called_with_the_examples_which_become_inputs():
    cell = nn.LSTMCell(2, 3)
    page = content(viz.explore(cell, examples=(np.ones((1, 2), np.float32), cell.initial_state(1))))
    named = {page["texts"][node["names"][0]]: node["kind"] for node in page["nodes"] if "rules" not in node}
    assert named["x"] == 2 and named["from_input.weight"] == 1
    assert all(parameter.grad is None for parameter in cell.parameters())


def test_without_values_no_number_of_the_graph_is_in_the_page():
    loss = np.sum(tg.Tensor([0.123456789, 2.0], requires_grad=True) * 3.0)
    page = content(viz.explore(loss, values=False))
    assert page["arrays"]["records"] == [] and page["arrays"]["float64"] == ""
    loss.backward()
    assert content(viz.explore(loss, values=False))["nodes"]


def test_a_cell_needs_no_examples_and_recording_may_be_off_outside():
    with tg.no_grad():
        page = content(viz.explore(nn.LSTMCell(2, 3)))
    values = [number for node in page["nodes"] for number in node["values"]]
    assert len(values) > 15 and -1 not in values


def test_what_cannot_be_explored_is_refused_with_the_way_out():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ConfigError, match="cannot explore a int"):
        viz.explore(3)
    with pytest.raises(ConfigError, match="give none"):
        viz.explore(np.sum(x), examples=(1,))
    with pytest.raises(ConfigError, match="returns str"):
        viz.explore(lambda: "text")
    with pytest.raises(GraphError):
        viz.explore(tg.Tensor(1.0))
    with pytest.raises(CotangentError):
        viz.explore(np.tanh(x))
    loss = np.sum(np.tanh(x))
    loss.backward()
    with pytest.raises(FreedGraphError, match="retain_graph"):
        viz.explore(loss)


@pytest.mark.parametrize("text", ["", "h", "h" * 61])
def test_a_text_too_short_or_too_long_is_refused(text):
    with pytest.raises(DataError, match="from 2 to 60"):
        explore_text(text)


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_a_text_has_a_column_a_character_and_leaves_random_numbers_alone(cell):
    before = tg.random.get_state()
    page = explore_text("hello", cell, 3)
    assert tg.random.get_state() == before
    data = content(page)
    assert list(data["captions"].values()) == ["'h' → 'e'", "'e' → 'l'", "'l' → 'l'", "'l' → 'o'"]
    assert [band["times"] for band in data["bands"]] == [[0, 1, 2, 3], []]
    assert explore_text("hello", cell, 3).html == page.html


@pytest.mark.filterwarnings("error")
def test_infinite_gradients_that_are_what_they_should_be_do_not_differ_from_their_sum():
    w = tg.Tensor(np.ones(5000), requires_grad=True, name="w")
    with np.errstate(all="ignore"):
        loss = np.sum(w * np.inf) + np.sum(w * np.inf)
    data = content(viz.explore(loss))
    leaf = next(number for number, node in enumerate(data["nodes"]) if "rules" not in node)
    (difference,) = [total[3] for total in data["backward"]["totals"] if total[0] == leaf]
    start = data["arrays"]["records"][difference][2]
    assert np.frombuffer(base64.b64decode(data["arrays"]["float64"]), "<f8")[start] == 0
