"""What stands in a drawing. `python tests/viz/test_drawing.py` writes the golden files again: then look at the diff."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.core.errors import ConfigError, GraphError
from tinygrad_rnn.core.names import LocalNames
from tinygrad_rnn.viz.drawing import LIMIT

GOLDEN = Path(__file__).parent / "golden"


def parameter(name, *shape):
    return tg.Tensor(np.full(shape, 0.5), requires_grad=True, name=name)


def written_by_hand():
    """An LSTM step of operations alone, under scopes."""
    h, c = parameter("h", 2, 3), parameter("c", 2, 3)
    with tg.scope("lstm"), tg.scope(0):
        both = np.concatenate([np.ones((2, 4)), h], axis=1)
        i, f, g, o = np.split(both @ parameter("lstm.weight", 7, 12) + parameter("lstm.bias", 12), 4, axis=1)
        c = tg.sigmoid(f + 1) * c + tg.sigmoid(i) * np.tanh(g)
        h = tg.sigmoid(o) * np.tanh(c)
    return viz.draw(tg.Graph.of(h, c))


def with_a_shared_parameter():
    w, h = parameter("w", 3, 3), np.ones((1, 3))
    for t in range(3):
        with tg.scope("rnn"), tg.scope(t):
            h = np.tanh(h @ w)
    return viz.draw(np.sum(h), time="full")


def of_a_model():
    model = nn.Sequential(nn.Embedding(5, 2), nn.Recurrent(nn.GRUCell(2, 3)))
    return viz.draw(model, np.array([[4], [2]]), time="full")


def steady(layer):
    """A layer whose weights are no random numbers."""
    for parameter in layer.parameters():
        parameter.assign(np.linspace(-0.5, 0.5, parameter.size).reshape(parameter.shape))
    return layer.astype(np.float64)


def folded():
    return viz.draw(nn.LSTM(2, 3), np.ones((700, 1, 2)), legend=True)


def unrolled():
    return viz.draw(nn.GRU(2, 3, bidirectional=True), np.ones((9, 1, 2)), time="unroll", depth=2, direction="LR")


def backwards():
    layer = steady(nn.RNN(2, 3))
    return viz.draw(lambda x: np.mean(layer(x)[0] ** 2), np.ones((5, 1, 2)), backward=True, legend=True)


def with_everything():
    layer = steady(nn.GRU(2, 3))
    show = ("shapes", "values", "grads", "saved")
    return viz.draw(lambda x: np.mean(layer(x)[0]), np.ones((5, 1, 2)), show=show, depth=2)


PICTURES = {
    "lstm": written_by_hand,
    "shared": with_a_shared_parameter,
    "model": of_a_model,
    "folded": folded,
    "unrolled": unrolled,
    "backward": backwards,
    "everything": with_everything,
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_source_is_the_golden_one_every_time(name):
    golden = (GOLDEN / f"{name}.dot").read_text(encoding="utf-8")
    assert PICTURES[name]().source == golden
    assert PICTURES[name]().source == golden


def node(source, pattern):
    """The one statement of a node that matches."""
    statements = re.split(r"\n(?=\t)", source)
    (found,) = [text for text in statements if "label=" in text and "->" not in text and re.search(pattern, text)]
    return found


def test_a_parameter_used_in_several_places_has_a_copy_beside_each_use():
    source = with_a_shared_parameter().source
    copies = re.findall(r"\t(n\d+u\d+) \[label=<w<", source)
    assert len(set(copies)) == 3
    assert source.count("shared ×3") == 6  # in the label and in the tooltip of each
    assert [source.count(f"{copy} -> ") for copy in copies] == [1, 1, 1]
    for t, copy in enumerate(copies):
        assert source.index(f"label=<t = {t}>") < source.index(f"{copy} [")


def test_a_parameter_read_twice_by_one_operation_is_drawn_once_with_two_edges():
    w = parameter("w", 2)
    source = viz.draw(w * w).source
    assert source.count("label=<w<") == 1
    assert source.count("n0 -> n1") == 2


def test_parameters_inputs_constants_and_results_differ_in_outline_and_colour():
    def function(x):
        return np.tanh(x @ w + np.array([1.0, 2.0]))

    w = parameter("w", 3, 2)
    source = viz.draw(function, np.ones((1, 3))).source
    seen = {}
    for kind, label in {
        "parameter": "<w<",
        "input": "<x<",
        "constant": "<float64<",
        "result": "<tanh<",
        "op": r"<\+",
    }.items():
        text = node(source, rf"label={label}")
        seen[kind] = tuple(re.findall(r"(?:shape|style|peripheries)=\S+", text)), re.search(r" color=\S+", text).group()
    outlines, colours = zip(*seen.values(), strict=True)
    assert len(set(outlines)) == len(set(colours)) == 5


def test_numbers_stand_in_the_label_on_their_own_side():
    x = parameter("x", 2)
    assert "label=<1 −<" in viz.draw(1 - x).source
    assert "label=<− 1<" in viz.draw(x - 1).source
    assert "label=<^ 2<" in viz.draw(x**2).source
    assert "constant" not in viz.draw(0.5 * x).source


def test_an_array_of_zeros_says_so():
    assert "label=<zeros<" in viz.draw(parameter("x", 2) * np.zeros(2)).source


def test_the_fields_of_a_split_carry_the_names_of_its_results_and_edges_leave_from_them():
    def gates(x):
        i, f = np.split(x, 2)
        return i * np.tanh(f)

    source = viz.draw(gates, np.ones(4)).source
    assert '<TD PORT="s0" WIDTH="34"><I>i</I></TD><TD PORT="s1" WIDTH="34"><I>f</I></TD>' in source
    assert re.search(r"n1:s0:s -> n3", source) and re.search(r"n1:s1:s -> n2", source)


def test_a_name_leaves_away_the_path_that_the_boxes_show():
    source = viz.draw(nn.Sequential(nn.Sequential(nn.Linear(2, 3))), np.ones((1, 2))).source
    assert "label=<weight<" in source
    assert 'tooltip="0.0.weight\n' in source


def test_boxes_around_nothing_but_a_box_share_a_label():
    x = parameter("x", 1)
    with tg.scope("a"), tg.scope("b"), tg.scope(7):
        y = np.tanh(x)
    assert "label=<a / b / t = 7>" in viz.draw(y).source


def test_the_full_name_of_a_symbol_is_in_its_tooltip():
    assert 'tooltip="sigmoid\nfloat64 (2,)"' in viz.draw(tg.sigmoid(parameter("x", 2))).source


def test_states_are_named_as_the_cell_unpacks_them():
    cell = nn.LSTMCell(2, 3)
    source = viz.draw(cell, np.ones((1, 2)), cell.initial_state(1)).source
    for name in "xhc":
        node(source, f"label=<{name}<.*ellipse")
    assert source.count("<I>h</I>") == source.count("<I>c</I>") == 1


def test_integer_inputs_are_drawn_although_no_gradient_is_taken_of_them():
    model = nn.Sequential(nn.Embedding(5, 2))
    assert "a1 -> n1" in viz.draw(model, np.array([3, 1])).source
    assert "label=<int64<" in viz.draw(model(np.array([3, 1]))).source


def test_a_named_tensor_keeps_its_name_as_an_input():
    node(viz.draw(lambda pair: pair[0] * pair[1], (tg.Tensor(1.0, name="mass"), tg.Tensor(2.0))).source, "label=<mass<")


def test_a_picture_of_an_index_by_an_array_holds_no_address():
    source = viz.draw(parameter("x", 4)[np.array([0, 1])]).source
    assert "object at" not in source and "[·]" in source


def test_a_graph_can_be_drawn_after_its_backward_pass():
    x = parameter("x", 2)
    loss = np.sum(np.array([1.0, 2.0]) * x)
    loss.backward()
    assert "label=<constant>" in viz.draw(loss).source


def test_a_leaf_alone_is_a_picture():
    assert "label=<w<" in viz.draw(parameter("w", 2)).source


def test_drawing_a_module_changes_neither_random_numbers_nor_gradients():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    before = tg.random.get_state()
    viz.draw(model, np.ones((1, 2), np.float32))
    assert tg.random.get_state() == before
    assert all(p.grad is None for p in model.parameters())


def test_a_module_is_drawn_inside_no_grad_too():
    with tg.no_grad():
        assert "tanh" in viz.draw(np.tanh, np.ones(2)).source


def test_over_2000_nodes_are_refused_with_the_way_out():
    x = parameter("x", 1)
    for _ in range(LIMIT - 1):
        x = np.tanh(x)
    assert viz.draw(x, time="full").source
    with pytest.raises(viz.TooLargeError, match=r"2,001 nodes.*time='fold'.*print\(graph\)"):
        viz.draw(np.tanh(x), time="full")
    assert "× 2,000" in viz.draw(np.tanh(x)).source


def test_over_2000_nodes_of_untied_weights_are_refused_with_the_reason():
    h = np.ones((1, 2))
    for t in range(1001):
        h = np.tanh(h @ parameter(f"w{t}", 2, 2))
    with pytest.raises(viz.TooLargeError, match=r"not tied: one step reads w999, the next w1000"):
        viz.draw(h)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ConfigError, match="cannot draw a int"):
        viz.draw(3)
    with pytest.raises(ConfigError, match="give none"):
        viz.draw(parameter("x", 1), np.ones(2))
    with pytest.raises(ConfigError, match="returns str"):
        viz.draw(lambda: "text")
    with pytest.raises(GraphError):
        viz.draw(tg.Tensor(1.0))


def test_a_tracer_is_put_back_whatever_happens():
    def tracer(frame, event, arg):
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        with pytest.raises(ZeroDivisionError), LocalNames():
            raise ZeroDivisionError
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)


if __name__ == "__main__":
    for name, make in PICTURES.items():
        make().save(GOLDEN / f"{name}.dot")


def test_two_equal_inputs_of_integers_are_one_that_bears_both_names():
    source_, target = nn.Embedding(3, 2), nn.Embedding(3, 2)

    def pair(src, tgt):
        return source_(src) + target(tgt)

    ids = np.array([0, 1])
    source = viz.draw(pair, ids, ids.copy()).source
    assert source.count("shape=ellipse") == 1 and "label=<src = tgt<" in source
    source = viz.draw(pair, ids, ids + 1).source
    assert "label=<src<" in source and "label=<tgt<" in source
