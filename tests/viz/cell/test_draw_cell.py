"""What is drawn of a cell. `python tests/viz/cell/test_draw_cell.py` writes the golden files again: see the diff."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.core.errors import CellError, ConfigError
from tinygrad_rnn.viz.cell.arrange import arranged
from tinygrad_rnn.viz.cell.model import Line, Text
from tinygrad_rnn.viz.cell.order import ordered
from tinygrad_rnn.viz.cell.rails import problem_of
from tinygrad_rnn.viz.cell.reading import symbols_of_step

GOLDEN = Path(__file__).parents[1] / "golden" / "cells"
DOCS = Path(__file__).parents[3] / "docs" / "pictures" / "cells"
N, M = 3, 4


def parameter(*shape):
    return tg.Tensor(np.full(shape, 0.5), requires_grad=True)


class Renamed(nn.Cell):
    """The LSTM under other names, without a declared input size."""

    def __init__(self):
        super().__init__()
        self.hidden_size = M
        self.both = nn.Linear(N + M, 4 * M)

    def initial_state(self, batch_size):
        h = super().initial_state(batch_size)
        return {"c": h, "h": h}

    def forward(self, x, state):
        c, h = state["c"], state["h"]
        o, g, f, i = np.split(self.both(np.concatenate([x, h], axis=1)), 4, axis=1)
        c = np.tanh(g) * tg.sigmoid(i) + c * tg.sigmoid(f)
        h = np.tanh(c) * tg.sigmoid(o)
        return h, {"c": c, "h": h}


def joint_product(x, state):
    h, c = state
    z = tg.sigmoid(x @ W + h @ U + B)
    f, i, o = z[:, :M], z[:, M : 2 * M], z[:, 2 * M : 3 * M]
    g = np.tanh((x @ W + h @ U + B)[:, 3 * M :])
    c = i * g + f * c
    h = o * np.tanh(c)
    return h, (h, c)


def four_products(x, state):
    h, c = state
    w, u = parameter(N, M), parameter(M, M)
    i = 1 / (1 + np.exp(-(x @ w + h @ u)))
    f = 1 / (np.exp(-(h @ u + x @ w + 1.0)) + 1)
    g = np.tanh(x @ w + (h @ u + 0.1))
    o = tg.sigmoid(2.0 * (x @ w) + h @ (u * 3.0))
    c = f * c + i * g
    h = np.tanh(c) * o
    return h, (h, c)


def folded_gates(x, state):
    h, c = state
    z = (x @ W + h @ U + B).reshape((len(x), 4, M))
    i, f, g, o = z[:, 0], z[:, 1], z[:, 2], z[:, 3]
    c = tg.sigmoid(f) * c + tg.sigmoid(i) * np.tanh(g)
    h = tg.sigmoid(o) * np.tanh(c)
    return h, (h, c)


W, U, B = parameter(N, 4 * M), parameter(M, 4 * M), parameter(4 * M)
ROW, STATE = np.ones((2, N)), (np.ones((2, M)), np.ones((2, M)))


@pytest.mark.parametrize("step", [joint_product, four_products, folded_gates])
def test_an_lstm_written_as_raw_operations_gives_the_drawing_of_the_cell(lstm, step):
    assert viz.draw_cell(step, ROW, STATE).svg() == lstm.svg()


def test_an_lstm_under_another_name_gives_the_same_drawing(lstm):
    assert viz.draw_cell(Renamed(), np.ones((1, N)), Renamed().initial_state(1)).svg() == lstm.svg()


def test_sizes_do_not_change_the_drawing(lstm):
    assert viz.draw_cell(nn.LSTMCell(7, 1), np.ones((5, 7)), nn.LSTMCell(7, 1).initial_state(5)).svg() == lstm.svg()


def test_a_step_back_to_the_mean_is_drawn_as_the_two_products_that_it_is():
    w = parameter(M, M)

    def blended(x, h):
        z, n = tg.sigmoid(x @ w + h @ w), np.tanh(x @ w)
        h = n + z * (h - n)
        return h, h

    def products(x, h):
        z, n = tg.sigmoid(x @ w + h @ w), np.tanh(x @ w)
        h = (1 - z) * n + z * h
        return h, h

    row = np.ones((1, M))
    assert viz.draw_cell(blended, row, row).svg() == viz.draw_cell(products, row, row).svg()


@pytest.mark.parametrize(
    ("update", "numbers"),
    [
        (lambda h, new: h + 0.7 * (new - h), {"×0.7", "×0.3"}),
        (lambda h, new: h + (new - h) / 8, {"×0.125", "×0.875"}),
        (lambda h, new: h - 0.25 * h + new, {"×0.75"}),
        (lambda h, new: 0.9 * h + 0.1 * new, {"×0.9", "×0.1"}),
    ],
)
def test_a_leaky_update_shows_its_numbers(update, numbers):
    weight = parameter(N, M)

    def step(x, h):
        h = update(h, np.tanh(x @ weight))
        return h, h

    drawn = viz.draw_cell(step, np.ones((1, N)), np.ones((1, M))).svg()
    assert all(f">{number}<" in drawn for number in numbers)


def test_cells_that_differ_are_drawn_differently(lstm):
    def other(x, state):
        h, c = state
        i, f, g, o = np.split(x @ W + h @ U + B, 4, axis=1)
        c = tg.sigmoid(f) * c + tg.sigmoid(i) * g
        h = tg.sigmoid(o) * np.tanh(c)
        return h, (h, c)

    assert viz.draw_cell(other, ROW, STATE).svg() != lstm.svg()


def test_the_drawing_is_the_golden_one_and_the_one_of_the_docs(name, picture):
    assert picture.svg() == (GOLDEN / f"{name}.svg").read_text(encoding="utf-8")
    assert picture.svg() == (DOCS / f"{name}.svg").read_text(encoding="utf-8")


def test_the_tikz_source_is_the_golden_one(lstm):
    assert lstm.tikz() == (GOLDEN / "lstm.tex").read_text(encoding="utf-8")


def test_the_layout_does_not_depend_on_what_was_laid_out_before():
    problem = problem_of(ordered(symbols_of_step(nn.RNNCell(2, 3), ())))
    first, again = [arranged.__wrapped__(problem)[0] for _ in range(2)]
    assert (first.centre, first.arms) == (again.centre, again.arms)


def texts(picture, role):
    return {"".join(piece for piece, _ in text.runs) for text in picture.figure.of(Text) if text.role == role}


def test_gates_have_the_names_of_the_local_variables_in_italics(lstm):
    assert texts(lstm, "name") == {"i", "f", "g", "o"}
    assert all(style == "italic" for text in lstm.figure.of(Text) if text.role == "name" for _, style in text.runs)


def test_states_inputs_and_results_have_the_time_as_index(lstm):
    assert texts(lstm, "end") == {"xt", "ht−1", "ht", "ct−1", "ct"}


def test_names_that_say_when_are_names_of_states_all_the_same():
    def step(x, h_prev):
        h_new = np.tanh(x + h_prev)
        return h_new, h_new

    row = np.ones((1, 2))
    assert texts(viz.draw_cell(step, row, row), "end") == {"xt", "ht−1", "ht"}


def test_an_operation_without_a_sign_is_a_box_with_its_name():
    def step(x, h):
        return h, np.cumsum(np.tanh(x * h), axis=1)

    row = np.ones((1, 3))
    assert "cumsum" in texts(viz.draw_cell(step, row, row), "sign")


def test_a_normalisation_is_one_box_whoever_wrote_it():
    w = parameter(M, M)
    norm = nn.LayerNorm(M)

    def module(x, h):
        a = np.tanh(norm(x @ w + h @ w))
        return a, a

    def by_hand(x, h):
        u = x @ w + h @ w
        d = u - u.mean(axis=-1, keepdims=True)
        a = np.tanh(d / np.sqrt((d * d).mean(axis=-1, keepdims=True) + 1e-5) * 2.0 + parameter(M))
        return a, a

    row = np.ones((1, M))
    assert texts(viz.draw_cell(module, row, row), "sign") == {"W", "norm", "tanh"}
    assert "norm" in texts(viz.draw_cell(by_hand, row, row), "sign")


def test_a_state_that_nothing_changes_is_a_straight_line_that_the_result_runs_over():
    row = np.ones((1, 2))
    figure = viz.draw_cell(lambda x, h: (np.tanh(x), h), row, row).figure
    assert [line.is_rail for line in figure.of(Line)].count(True) == 1
    assert figure.crossings == 1


def test_a_notebook_shows_the_drawing(lstm):
    assert lstm._repr_svg_() == lstm.svg()
    assert "mm wide" in repr(lstm)


def test_a_function_without_examples_is_refused_with_the_call_to_write():
    with pytest.raises(ConfigError, match=r"draw_cell\(joint_product, x, state\)"):
        viz.draw_cell(joint_product)
    with pytest.raises(ConfigError, match="with 1 example;"):
        viz.draw_cell(joint_product, ROW)


def test_a_cell_whose_input_cannot_be_told_is_refused_with_the_call_to_write():
    class Odd(nn.Cell):
        hidden_size = 2

        def forward(self, x, h):
            return h, h

    with pytest.raises(ConfigError, match="it has no parameters; write self"):
        viz.draw_cell(Odd())


def test_an_error_of_the_cell_itself_is_told_in_its_own_words():
    class Broken(nn.RNNCell):
        def initial_state(self, batch_size):
            return self.learned_start

    with pytest.raises(ConfigError, match="no attribute 'learned_start'"):
        viz.draw_cell(Broken(3, 4))


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (nn.LSTMCell, "LSTMCell is a class; make an instance"),
        (nn.LSTM(3, 4), r"LSTM is a layer, .*layer\.cells\[0\]"),
        (nn.Linear(3, 4), "Linear has no initial_state"),
        (3, "a int is no cell"),
    ],
    ids=str,
)
def test_what_is_no_cell_is_refused_by_its_own_name(what, words):
    with pytest.raises(ConfigError, match=words):
        viz.draw_cell(what)


def test_a_step_that_is_no_step_is_refused():
    row = np.ones((1, 2))
    with pytest.raises(CellError, match="return a pair"):
        viz.draw_cell(lambda x, h: h, row, row)
    with pytest.raises(CellError, match="another nest"):
        viz.draw_cell(lambda x, h: (h, (h, h)), row, row)


def test_a_step_that_asks_for_values_is_refused():
    row = np.ones((1, 2))
    with pytest.raises(viz.CellLayoutError, match="cannot be drawn from one trace"):
        viz.draw_cell(lambda x, h: (h, h if x.sum() > 0 else x), row, row)


def test_a_cell_that_is_too_large_is_refused_with_the_way_out():
    def step(x, h):
        for _ in range(70):
            h = np.tanh(h * x)
        return h, h

    row = np.ones((1, 2))
    with pytest.raises(viz.TooLargeError, match=r"viz\.draw\(cell, x, state\)"):
        viz.draw_cell(step, row, row)


@settings(max_examples=6)
@given(st.permutations(["i", "f", "g", "o"]))
def test_the_order_of_the_gates_in_a_joint_product_does_not_matter(lstm_order):
    def step(x, state):
        h, c = state
        parts = dict(zip(lstm_order, np.split(x @ W + h @ U + B, 4, axis=1), strict=True))
        i, f, g, o = (parts[key] for key in "ifgo")
        c = tg.sigmoid(f) * c + tg.sigmoid(i) * np.tanh(g)
        h = tg.sigmoid(o) * np.tanh(c)
        return h, (h, c)

    assert viz.draw_cell(step, ROW, STATE).svg() == viz.draw_cell(nn.LSTMCell(N, M)).svg()


def write_golden():
    from conftest import NAMES, drawn

    for name in NAMES:
        drawn(name).save(GOLDEN / f"{name}.svg")
    drawn("lstm").save(GOLDEN / "lstm.tex")


if __name__ == "__main__":
    sys.exit(write_golden())


def test_a_name_keeps_the_letters_that_only_look_like_a_time():
    class TwoSpeeds(nn.Cell):
        def __init__(self):
            super().__init__()
            self.input_size = self.hidden_size = 3

        def initial_state(self, batch_size):
            return (super().initial_state(batch_size),) * 2

        def forward(self, x, state):
            fast, gain = state
            fast = np.tanh(x + fast + gain)
            gain = gain * np.tanh(fast)
            return fast, (fast, gain)

    svg = viz.draw_cell(TwoSpeeds()).svg()
    assert ">fast<" in svg and ">gain<" in svg
