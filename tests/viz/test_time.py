"""Time in drawings: folded, unrolled, in full; and modules collapsed to a depth."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.core.errors import ConfigError
from tinygrad_rnn.scan.engines import available


def parameter(name, *shape):
    return tg.Tensor(np.full(shape, 0.5), requires_grad=True, name=name)


W, U, V = parameter("W", 3, 4), parameter("U", 4, 4), parameter("V", 4, 4)


def by_hand(steps):
    def run(x, h):
        for t in range(steps):
            h = np.tanh(x[t] @ W + h @ U)
        return h

    return run, np.ones((steps, 2, 3)), np.zeros((2, 4))


def edges(source):
    return re.findall(r"\t(\w+)(?::s\d+:s)? -> (\w+)", source)


def named(source, title):
    """The ids of nodes with a title."""
    return re.findall(rf"\t(\w+) \[label=<{re.escape(title)}<", source)


def test_a_hand_written_loop_is_drawn_once_with_its_state_and_the_step():
    source = viz.draw(*by_hand(10)).source
    assert source.count("label=<tanh<") == 1 and "label=<× 10   t = 0 … 9>" in source
    (state,) = [key for key in named(source, "h") if key.startswith("s")]
    assert re.search(rf"{state} -> \w+ \[label=<&#160; h: t − 1 → t &#160;> .*dir=back", source)
    assert "(2, 4) at t − 1" in source and "label=<[t]<" in source


@pytest.mark.parametrize("steps", [5, 50, 2000])
def test_the_picture_does_not_grow_with_time(steps):
    def shape_of(steps):
        return re.sub(r"\d+", "#", viz.draw(*by_hand(steps)).source.replace(",", ""))

    assert shape_of(steps) == shape_of(4)


def test_two_alternating_cells_are_drawn_as_a_pair():
    def alternate(h):
        for _ in range(6):
            h = np.tanh(h @ U)
            h = tg.sigmoid(h @ V)
        return h

    source = viz.draw(alternate, np.ones((2, 4))).source
    assert "× 6 " in source and len(named(source, "U")) == len(named(source, "V")) == 1
    assert source.count("label=<tanh<") == source.count("label=<σ<") == 1


def test_untied_weights_are_drawn_one_by_one():
    def untied(h):
        for t in range(6):
            h = np.tanh(h @ parameter(f"w{t}", 4, 4))
        return h

    source = viz.draw(untied, np.ones((2, 4))).source
    assert "×" not in source and source.count("label=<tanh<") == 6


def attention(h):
    earlier = [h]
    for _ in range(6):
        memory = np.stack(earlier)
        h = np.tanh(np.sum(tg.softmax(memory, axis=0) * memory, axis=0) @ U)
        earlier.append(h)
    return h


def test_a_growing_attention_is_refused_with_the_reason_and_the_way_out():
    with pytest.raises(viz.FoldError, match=r"the steps grow: stack gives .* at the next; draw it with time='unroll'"):
        viz.draw(attention, np.ones((2, 4)))
    source = viz.draw(attention, np.ones((2, 4)), time="unroll").source
    assert re.findall(r"label=<(t = \d)>", source) == ["t = 0", "t = 1", "t = 5"] and "t = 2 … 4" in source
    assert viz.draw(attention, np.ones((2, 4)), time="full").source.count("label=<tanh<") == 6


def test_an_unrolled_loop_shows_the_first_steps_an_ellipsis_and_the_last():
    source = viz.draw(nn.RNN(3, 4), np.ones((50, 2, 3)), time="unroll").source
    assert re.findall(r"label=<(t = \d+)>", source) == ["t = 0", "t = 1", "t = 49"]
    assert "t = 2 … 48" in source and source.count("label=<tanh<") == 3
    one, two, last = named(source, "tanh")
    assert (two, "e0") in edges(source) and not {(one, "e0"), (two, last)} & set(edges(source))
    assert {head for tail, head in edges(source) if tail == "e0"}


def test_a_short_loop_is_unrolled_whole():
    source = viz.draw(nn.RNN(3, 4), np.ones((4, 2, 3)), time="unroll").source
    assert source.count("label=<tanh<") == 4 and "⋮" not in source


def test_steps_of_two_directions_have_boxes_of_their_own():
    source = viz.draw(nn.GRU(2, 3, bidirectional=True), np.ones((9, 1, 2)), time="unroll").source
    assert "label=<t = 0 … 8>" in source and "label=<t = 8 … 0>" in source
    assert source.count("label=<t = 0>") == 2


def test_the_other_direction_carries_its_state_back_in_time():
    source = viz.draw(nn.GRU(2, 3, bidirectional=True), np.ones((9, 1, 2))).source
    assert "h: t − 1 → t" in source and "h: t + 1 → t" in source


def test_full_draws_every_step():
    assert viz.draw(*by_hand(10), time="full").source.count("label=<tanh<") == 10


def test_what_leaves_a_loop_says_from_which_step():
    def both(x):
        h, states = np.zeros((2, 4)), []
        for t in range(5):
            h = np.tanh(x[t] @ W + h @ U)
            states.append(h)
        return np.stack(states), h, states[2] * 2

    source = viz.draw(both, np.ones((5, 2, 3))).source
    for label in ("every t", "t = 4", "t = 2"):
        assert f"label=<&#160; {label} &#160;>" in source


def test_a_loop_that_reads_another_step_by_step_says_so():
    h, losses = np.zeros((2, 4)), []
    for _ in range(6):
        h = np.tanh(np.ones((2, 3)) @ W + h @ U)
        losses.append(np.sum(h * h))
    source = viz.draw(sum(losses)).source
    assert source.count("× 6 ") == 2 * 2  # on the box and in its tooltip
    assert source.count("label=<&#160; each t &#160;>") == 1


@pytest.mark.parametrize("engine", available())
def test_a_start_that_one_reader_keeps_and_another_does_not_is_one_start(engine):
    with tg.engine(engine):
        y, _ = nn.GRU(3, 4)(np.ones((6, 2, 3), np.float32))
    source = viz.draw(np.sum(y)).source
    assert "one for each t" not in source and source.count("label=<zeros<") == 1


def test_constants_that_differ_from_step_to_step_say_so():
    def differing(h):
        for t in range(6):
            h = np.tanh(h @ U + np.full(4, float(t))) * 0.5**t
        return h

    def same(h):
        for _ in range(6):
            h = np.tanh(h @ U + np.full(4, 2.0)) * 0.5
        return h

    source = viz.draw(differing, np.ones((2, 4))).source
    assert source.count("one for each t") == 1 and "label=<× c[t]<" in source
    source = viz.draw(same, np.ones((2, 4))).source
    assert "one for each t" not in source and "label=<× 0.5<" in source


def test_a_value_that_a_step_reads_twice_has_two_edges():
    h = parameter("h", 2, 4)
    for _ in range(6):
        h = np.tanh((h @ U) * V[0])
        h = h * h
    source = viz.draw(h).source
    twice = [(tail, head) for tail in named(source, "tanh") for head in named(source, "×")]
    assert sorted(edges(source).count(edge) for edge in twice) == [0, 2]


@pytest.mark.parametrize("time", ["fold", "unroll", "full"])
@pytest.mark.parametrize("engine", available())
def test_a_picture_is_the_same_under_every_engine(engine, time):
    layer = nn.LSTM(3, 4, bidirectional=True)
    sources = []
    for name in ("eager", engine):
        with tg.engine(name):
            y, _ = layer(np.ones((6, 2, 3), np.float32))
        show = ("shapes", "grads", "saved", "values")
        sources.append(viz.draw(np.mean(y), time=time, show=show, backward=True).source)
    eager, compiled = [re.sub(r"‖∂‖ [^<]*|-?\d\.\d+", "", source.replace("−", "-")) for source in sources]
    assert eager == compiled


@pytest.mark.parametrize(
    ("depth", "boxes"),
    [(1, {"Embedding": 10, "LSTM": 84, "Linear": 16}), (2, {"cells.0": 84})],
)
def test_a_module_below_the_depth_is_one_box_with_its_parameters(depth, boxes):
    embedding, layer, head = nn.Embedding(5, 2), nn.LSTM(2, 3), nn.Linear(3, 4)
    source = viz.draw(lambda ids: head(layer(embedding(ids))[0]), np.ones((6, 2), int), depth=depth).source
    for title, count in boxes.items():
        assert re.search(rf"label=<{title}<BR/>[^<]*<FONT[^>]*>{count} parameters<", source)
    assert source.count("box3d") == len(boxes)


def test_a_loop_inside_of_a_box_is_told_by_its_steps_and_its_states_are_not_drawn():
    source = viz.draw(nn.LSTM(2, 3), np.ones((6, 2, 2)), depth=1).source
    assert "× 6 steps" in source and "cylinder" not in source
    source = viz.draw(nn.LSTM(2, 3), np.ones((6, 2, 2)), depth=2).source
    assert source.count("cylinder") == 2 and "× 6 steps" not in source


def test_deeper_than_the_deepest_module_is_the_whole_picture():
    layer, x = nn.LSTM(2, 3), np.ones((6, 2, 2))
    assert viz.draw(layer, x, depth=9).source == viz.draw(layer, x).source


def test_the_direction_is_written_down():
    x = parameter("x", 2)
    for direction in ("BT", "LR", "RL"):
        assert f"rankdir={direction}" in viz.draw(np.tanh(x), direction=direction).source
    assert "rankdir" not in viz.draw(np.tanh(x)).source


def test_a_cell_is_drawn_without_examples():
    cell = nn.LSTMCell(2, 3)
    assert viz.draw(cell).source == viz.draw(cell, np.ones((1, 2), np.float32), cell.initial_state(1)).source


def test_a_cell_whose_input_cannot_be_told_asks_for_examples():
    class Adds(nn.Cell):
        hidden_size = 3

        def forward(self, x, h):
            return x + h, x + h

    with pytest.raises(ConfigError, match="give an example of x and one of the state"):
        viz.draw(Adds())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"time": "folded"}, "time is 'folded'; give one of 'fold', 'unroll', 'full'"),
        ({"direction": "down"}, "direction is 'down'"),
        ({"depth": 0}, "depth is 0"),
        ({"depth": True}, "depth is True"),
        ({"show": "grads"}, "show is 'grads'; give a tuple of"),
        ({"show": None}, "show is None; give a tuple of"),
        ({"show": ("norms",)}, "show is .'norms',.; give a tuple of"),
        ({"forward": False}, "neither forward nor backward"),
    ],
)
def test_what_is_no_choice_is_refused(options, reason):
    with pytest.raises(ConfigError, match=reason):
        viz.draw(parameter("x", 2) * 2, **options)


@pytest.mark.parametrize("show", [viz.draw, lambda what, *examples: viz.explore(what, examples=examples)])
def test_too_few_or_too_many_examples_are_refused(show):
    x = np.ones((3, 1, 2), np.float32)
    for what, examples, reason in [
        (nn.LSTM(2, 3), (), "LSTM.* was given 0 examples: missing a required argument: 'x'"),
        (lambda a: a * 2, (x, x), "was given 2 examples: too many"),
        (nn.LSTMCell, (), "LSTMCell is a class; make an instance"),
    ]:
        with pytest.raises(ConfigError, match=reason):
            show(what, *examples)


def test_what_the_first_step_has_as_a_constant_is_drawn_as_the_others_compute_it():
    def centred(x, h):
        for t in range(6):
            h = np.tanh((h - np.mean(h, axis=-1, keepdims=True)) @ U + x[t] @ W)
        return h

    h = tg.Tensor(np.arange(8.0).reshape(2, 4))
    source = viz.draw(lambda x: centred(x, h), np.ones((6, 2, 3))).source
    assert "× 6 " in source and source.count("label=<−<") == source.count("label=<mean<") == 1
    assert source.count("style=dotted") == 1  # the state before the first step


def test_each_state_has_its_own_start():
    def two(h, c):
        for _ in range(8):
            c = tg.sigmoid(c @ V)
            h = np.tanh(h @ U + c)
        return c, h

    source = viz.draw(two, np.ones((2, 4)), np.ones((2, 4))).source
    for name in "hc":
        inputs = [key for key in named(source, name) if key.startswith("n")]
        states = [key for key in named(source, name) if key.startswith("s")]
        assert [(a, b) for a, b in edges(source) if a in inputs and b.startswith("s")] == [(inputs[0], states[0])]


def test_a_loop_that_is_detached_at_some_step_is_refused_with_the_reason():
    w, h, total = tg.Tensor(0.5, requires_grad=True, name="w"), tg.Tensor(np.ones(3)), 0.0
    for t in range(12):
        h = np.tanh(w * h)
        total = total + np.sum(h)
        if t == 4:
            h = h.detach()
    with pytest.raises(viz.FoldError, match=r"multiply reads a constant at step 5, .* as after detach\(\)"):
        viz.draw(total)
    assert viz.draw(total, time="full").source.count("tanh<") == 12
    assert "⋮" in viz.draw(total, time="unroll").source
