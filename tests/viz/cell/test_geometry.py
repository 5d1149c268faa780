"""What must hold of every drawing: straight states, no line through a symbol, no crossing that could be avoided."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.viz.cell.model import SUBSCRIPT, TEXT_SIZE, Arrow, Cross, Line, Shape, Text
from tinygrad_rnn.viz.cell.naming import boxes_of, overlap
from tinygrad_rnn.viz.cell.order import ordered
from tinygrad_rnn.viz.cell.rails import problem_of
from tinygrad_rnn.viz.cell.reading import symbols_of_step
from tinygrad_rnn.viz.cell.tiers import in_tiers

CROSSINGS = {
    "coupled_lstm": 1,
    "fast_and_slow": 1,
    "gru": 1,
    "lstm": 1,
    "lstm_with_peepholes": 2,
    "minimal_gated_unit": 1,
    "projected_lstm": 1,
    "readme": 0,
    "residual": 0,
    "rnn": 0,
}
POINT = 25.4 / 72.27


def segments(figure):
    return [(line, a, b) for line in figure.of(Line) for a, b in pairwise(line.points)]


def runs_through(segment, shape):
    (ax, ay), (bx, by) = segment
    (x, y), half, tall = shape.centre, shape.width / 2 - 0.05, shape.height / 2 - 0.05
    return min(ax, bx) < x + half and max(ax, bx) > x - half and min(ay, by) < y + tall and max(ay, by) > y - tall


def crossings(figure):
    """The points where lines of two values cross."""
    level = [(line.net, a, b) for line, a, b in segments(figure) if a[1] == b[1]]
    upright = [(line.net, a, b) for line, a, b in segments(figure) if a[0] == b[0] and a != b]
    found = set()
    for net, a, b in level:
        for other, c, d in upright:
            inside = min(a[0], b[0]) < c[0] < max(a[0], b[0]) and min(c[1], d[1]) < a[1] < max(c[1], d[1])
            if net != other and inside:
                found.add((c[0], a[1]))
    return found


def check(figure):
    """Assert what holds of every drawing."""
    shapes = figure.of(Shape)
    for line, a, b in segments(figure):
        assert a[0] == b[0] or a[1] == b[1], "a slanting line"
        for shape in shapes:
            stands_on = line.is_rail and shape.centre[1] == a[1]
            assert stands_on or not runs_through((a, b), shape), (line, shape)
    for a, b in combinations(shapes, 2):
        assert not overlap(boxes_of(a)[0], boxes_of(b)[0], 0.5), (a, b)
    for (line, a, b), (other, c, d) in combinations(segments(figure), 2):
        upright = a[0] == b[0] and c[0] == d[0]
        level = a[1] == b[1] and c[1] == d[1]
        if line.net != other.net and (upright or level):
            axis = 1 if upright else 0
            apart = abs(a[1 - axis] - c[1 - axis])
            (low, high), (begin, stop) = sorted((a[axis], b[axis])), sorted((c[axis], d[axis]))
            shared = min(high, stop) - max(low, begin)
            # Where lines are put together, one bends into the other for a little way.
            assert apart > 0.8 or shared < 1.7, (line, other)
    bridges = {jump for line in figure.of(Line) for jump in line.jumps}
    assert bridges == crossings(figure)
    assert len(bridges) == figure.crossings
    for item in figure.items:
        for box in boxes_of(item):
            assert box[0] >= 0 and box[1] >= 0 and box[2] <= figure.width and box[3] <= figure.height, item


def test_no_line_runs_through_a_symbol_and_bridges_are_where_lines_cross(picture):
    check(picture.figure)


def test_a_state_that_flows_point_by_point_is_one_straight_line_from_edge_to_edge(name, picture):
    rails = [line for line in picture.figure.of(Line) if line.is_rail]
    assert bool(rails)
    ends = [text for text in picture.figure.of(Text) if text.role == "end"]
    for rail in rails:
        (start, end) = rail.points
        assert start[1] == end[1] and start[0] < end[0]
        assert not rail.jumps
        left = [text for text in ends if text.anchor == "end" and abs(text.at[1] - start[1]) < 1]
        right = [text for text in ends if text.anchor == "start" and abs(text.at[1] - start[1]) < 1]
        assert len(left) == len(right) == 1
        assert left[0].runs[0] == right[0].runs[0]


def test_the_ends_of_every_state_are_at_the_same_height(picture):
    ends = [text for text in picture.figure.of(Text) if text.role == "end"]
    before = {text.runs[0]: text.at[1] for text in ends if text.anchor == "end"}
    after = {text.runs[0]: text.at[1] for text in ends if text.anchor == "start"}
    assert before and before == after


def test_the_memory_of_an_lstm_runs_above_its_output(lstm):
    heights = {text.runs[0][0]: text.at[1] for text in lstm.figure.of(Text) if text.anchor == "end"}
    assert heights["c"] < heights["h"]
    (rail,) = [line for line in lstm.figure.of(Line) if line.is_rail]
    on_it = sorted((c.centre[0], c.is_product) for c in lstm.figure.of(Cross) if c.centre[1] == rail.points[0][1])
    assert [is_product for _, is_product in on_it] == [True, False]


def test_the_gates_of_an_lstm_stand_in_a_row(lstm):
    gates = [shape for shape in lstm.figure.of(Shape) if shape.kind == "gate"]
    assert len(gates) == 4
    assert len({gate.centre[1] for gate in gates}) == 1
    assert len({gate.height for gate in gates}) == 1


def test_the_known_cells_have_the_fewest_crossings(name, picture):
    assert picture.figure.crossings == CROSSINGS[name]


def frame(problem):
    """The graph of a cell inside its border, as edges that stay and edges that may be left out."""
    kinds = problem.kinds
    states, after = [rail.state for rail in problem.rails], [rail.after for rail in problem.rails]
    ring = [*states[::-1], "top", *after, "bottom"]
    fixed = [(("border", a), ("border", b)) for a, b in zip(ring, [*ring[1:], ring[0]], strict=True)]
    fixed += [(("border", a), "outside") for a in ring]
    place = {i: ("border", "top") for i, kind in enumerate(kinds) if kind == "output"}
    place |= {i: ("border", "bottom") for i, kind in enumerate(kinds) if kind == "input"}
    place |= {i: ("border", i) for i in (*states, *after)}
    free = []
    for net, readers in problem.nets().items():
        start = place.get(net, net)
        if len(readers) > 1 and net not in place:
            free.append((net, ("copies", net)))
            start = ("copies", net)
        free += [(start, place.get(reader, reader)) for reader in readers]
    return fixed, free


def test_no_drawing_of_the_known_cells_has_fewer_crossings(name, cell):
    """Without as many lines as a drawing has crossings, less one, a cell cannot be drawn without crossings."""
    networkx = pytest.importorskip("networkx", reason="tells whether a graph is planar")
    fixed, free = frame(problem_of(ordered(symbols_of_step(cell, ()))))
    for left_out in combinations(range(len(free)), CROSSINGS[name] - 1) if CROSSINGS[name] else ():
        graph = networkx.Graph([*fixed, *[edge for i, edge in enumerate(free) if i not in left_out]])
        assert not networkx.check_planarity(graph)[0]


def test_letters_can_be_read_at_a_width_of_80_mm(picture):
    shrunk = min(1.0, 80 / picture.figure.width)
    assert TEXT_SIZE * shrunk / POINT >= 7
    assert TEXT_SIZE * SUBSCRIPT * shrunk / POINT >= 5
    assert picture.figure.width <= 80


def test_what_is_wider_than_a_column_is_drawn_with_less_room_between(monkeypatch):
    weights = [tg.Tensor(np.ones((4, 4)), requires_grad=True) for _ in range(7)]

    def step(x, h):
        for weight in weights:
            h = np.tanh(np.sin(h) @ weight)
        h = h + x
        return h, h

    def drawn():
        return viz.draw_cell(step, np.ones((1, 4)), np.ones((1, 4))).figure

    close = drawn()
    check(close)
    monkeypatch.setattr("tinygrad_rnn.viz.cell.figure.COLUMN", np.inf)
    wide = drawn()
    assert wide.width > 80 and close.width < 0.9 * wide.width and close.height <= wide.height
    assert TEXT_SIZE * SUBSCRIPT * min(1.0, 80 / close.width) / POINT >= 5


def test_a_layer_stands_above_the_one_that_it_reads_where_one_row_is_too_wide(monkeypatch):
    monkeypatch.setattr("tinygrad_rnn.viz.cell.arrange._SEEDS", 2)
    monkeypatch.setattr("tinygrad_rnn.viz.cell.arrange._CHANGES", 4)
    cells = [nn.LSTMCell(4, 4), nn.LSTMCell(4, 4)]

    def step(x, states):
        x, first = cells[0](x, states[0])
        x, second = cells[1](x, states[1])
        return x, (first, second)

    row = np.ones((1, 4))
    figure = viz.draw_cell(step, row, (((row, row),) * 2)).figure
    check(figure)
    gates = sorted(shape.centre[1] for shape in figure.of(Shape) if shape.kind == "gate")
    assert gates == [gates[0]] * 4 + [gates[-1]] * 4 and gates[0] < gates[-1]
    assert [line.is_rail for line in figure.of(Line)].count(True) == 2
    assert TEXT_SIZE * SUBSCRIPT * min(1.0, 80 / figure.width) / POINT >= 5


def test_what_reads_a_gate_is_in_no_lower_tier():
    problem = in_tiers(problem_of(ordered(symbols_of_step(nn.GridLSTMCell(2, 3), ()))))
    on_rails = {i for rail in problem.rails for i in rail.spine}
    gates = [i for i, kind in enumerate(problem.kinds) if kind == "gate"]
    assert [problem.tier(i) for i in gates].count(1) == 8
    for read, reader in problem.edges():
        if read in gates and reader not in on_rails:
            assert problem.tier(read) <= problem.tier(reader)


def test_gates_of_one_row_are_in_no_tiers():
    problem = problem_of(ordered(symbols_of_step(nn.LSTMCell(2, 3), ())))
    assert in_tiers(problem) is problem


def test_names_and_signs_touch_nothing(picture):
    items = picture.figure.items
    for text in picture.figure.of(Text):
        (box,) = boxes_of(text)
        if text.role == "name":
            assert not [item for item in items if item is not text for other in boxes_of(item) if overlap(box, other)]
        if text.role == "sign":
            assert [s for s in picture.figure.of(Shape) if overlap(box, boxes_of(s)[0]) and s.width > box[2] - box[0]]


def test_every_line_into_a_symbol_ends_in_an_arrow(picture):
    heads = {arrow.tip for arrow in picture.figure.of(Arrow)}
    symbols = [shape for shape in picture.figure.of(Shape) if shape.kind in ("gate", "pill")]
    for shape in symbols:
        (x, y), half, tall = shape.centre, shape.width / 2, shape.height / 2
        sides = [(x - half, y), (x + half, y), (x, y - tall), (x, y + tall)]
        assert any(abs(a - c) + abs(b - d) < 0.01 for a, b in sides for c, d in heads), shape


@st.composite
def steps(draw):
    """A step of random algebra on states of one size, and their number."""
    states = draw(st.integers(1, 2))
    program = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["σ", "tanh", "linear", "+", "×", "1-", "exp", "max"]),
                st.integers(0, 20),
                st.integers(0, 20),
            ),
            min_size=2,
            max_size=6,
        )
    )
    results = draw(st.lists(st.integers(0, 3), min_size=states + 1, max_size=states + 1))
    w = np.ones((3, 3))
    does = {
        "σ": lambda a, b: tg.sigmoid(a @ w + b @ w),
        "tanh": lambda a, b: np.tanh(a @ w + b @ w),
        "linear": lambda a, b: a @ w,
        "+": lambda a, b: a + b,
        "×": lambda a, b: a * b,
        "1-": lambda a, b: 1 - a,
        "exp": lambda a, b: np.exp(a),
        "max": np.maximum,
    }

    def step(x, state):
        pool = [x, *state]
        for op, a, b in program:
            pool.append(does[op](pool[a % len(pool)], pool[b % len(pool)]))
        y, *after = [pool[-1 - k % len(program)] for k in results]
        return y, tuple(after)

    return step, states


@settings(max_examples=5)
@given(steps())
def test_random_cells_are_drawn_properly(drawn):
    step, states = drawn
    row = np.ones((1, 3))
    check(viz.draw_cell(step, row, (row,) * states).figure)
