"""Steps that a graph repeats, found in its operations alone: no graph here has a scope unless a test says so."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.viz.loops import find_loops


def parameter(name, *shape):
    return tg.Tensor(np.full(shape, 0.5), requires_grad=True, name=name)


W, U, V, B = parameter("W", 3, 4), parameter("U", 4, 4), parameter("V", 4, 4), parameter("b", 4)
ZEROS = np.zeros((2, 4))


def step(h, t=0):
    return np.tanh(np.full((2, 3), t) @ W + h @ U + B)


def states(steps, h=ZEROS):
    found = []
    for t in range(steps):
        h = step(h, t)
        found.append(h)
    return found


def loops(*results, inputs=()):
    found = find_loops(tg.Graph.of(*results), inputs)
    assert found.refusal is None
    return [(len(loop), len(loop.usual)) for loop in found.loops]


@pytest.mark.parametrize("steps", [2, 3, 10])
def test_a_hand_written_loop_is_found_without_scopes(steps):
    assert loops(states(steps)[-1]) == [(steps, 5)]


def test_one_step_is_no_loop():
    assert loops(states(1)[-1]) == []


def test_a_loop_may_start_from_a_weight_a_result_or_nothing():
    for start in (parameter("h0", 2, 4), np.tanh(parameter("h0", 2, 4)), ZEROS):
        assert loops(states(5, start)[-1])[-1] == (5, 5)


def test_operations_that_the_first_step_does_not_record_count_as_its_own():
    g, h = parameter("g", 4), np.arange(8.0).reshape(2, 4)
    for _ in range(6):
        h = np.tanh(((h - np.mean(h, axis=-1, keepdims=True)) * g) @ U)
    (loop,) = find_loops(tg.Graph.of(h)).loops
    assert len(loop) == 6 and len(loop.usual) == 5
    assert [node is None for node in loop.steps[0]] == [True, True, False, False, False]


def test_operations_of_the_last_step_that_nothing_reads_are_not_missed():
    h, c, total = ZEROS, ZEROS, 0.0
    for _ in range(6):
        h = np.tanh(h @ U + c)
        total = total + np.sum(h)
        c = np.tanh(c @ V + h)
    (loop,) = find_loops(tg.Graph.of(total)).loops
    assert len(loop) == 6
    # Three operations each: of the memory before the first step, or after the last one.
    lacking = [node is None for step in (loop.steps[0], loop.steps[-1]) for node in step]
    assert lacking.count(True) == 3


def test_what_comes_before_and_after_a_loop_is_no_part_of_it():
    start = np.tanh(np.ones((2, 3)) @ W)
    end = np.sum(np.exp(states(7, start)[-1]))
    assert loops(end) == [(7, 5)]


@pytest.mark.parametrize("turns", [2, 3, 6])
def test_two_cells_that_alternate_fold_into_a_pair(turns):
    h = ZEROS + 1
    for _ in range(turns):
        h = np.tanh(h @ U)
        h = np.tanh(h @ V)
    (loop,) = find_loops(tg.Graph.of(h)).loops
    assert len(loop) == turns
    weights = [operand[1].name for operands in loop.usual for operand in operands if operand[0] == "weight"]
    assert weights == ["U", "V"]


def test_two_cells_one_after_the_other_are_two_loops():
    h = ZEROS + 1
    for weight in (U, V):
        for _ in range(5):
            h = np.tanh(h @ weight)
    assert loops(h) == [(5, 2), (5, 2)]


@pytest.mark.parametrize("make", [lambda t: parameter(f"w{t}", 4, 4), lambda t: np.exp(parameter(f"w{t}", 4, 4))])
def test_untied_weights_are_never_a_loop(make):
    weights = [make(t) for t in range(8)]
    h = ZEROS + 1
    for weight in weights:
        h = np.tanh(h @ weight)
    found = find_loops(tg.Graph.of(h))
    assert not any(loop.is_chained for loop in found.loops)
    assert "not tied" in found.untied


def test_one_weight_that_is_not_tied_is_enough():
    h = ZEROS + 1
    for t in range(8):
        h = np.tanh(h @ U + parameter(f"b{t}", 4))
    found = find_loops(tg.Graph.of(h))
    assert found.loops == [] and found.untied == "the weights are not tied: one step reads b6, the next b7"


def test_inputs_that_differ_from_step_to_step_are_no_untied_weights():
    xs = [parameter(f"x{t}", 2, 4) for t in range(5)]
    h = ZEROS + 1
    for x in xs:
        h = np.tanh(h @ U + x)
    assert loops(h) == []
    assert loops(h, inputs={x.node for x in xs}) == [(5, 3)]


def test_a_stack_of_different_layers_is_no_loop():
    model = nn.Sequential(*[nn.Linear(4, 4) for _ in range(5)])
    assert loops(model(np.ones((1, 4), np.float32))) == []


def test_a_sum_of_a_few_terms_is_no_loop():
    a, b = parameter("a", 2), parameter("b", 2)
    assert loops(np.tanh(a) + np.exp(b) + a * b + a / b + a - b) == []


def grows_by_stack(steps=6):
    h = parameter("h0", 2, 4)
    earlier = [h]
    for _ in range(steps):
        memory = np.stack(earlier)
        scores = tg.softmax(np.sum(memory * h, axis=-1), axis=0)
        h = np.tanh(np.sum(scores[..., None] * memory, axis=0) @ U)
        earlier.append(h)
    return h


def grows_by_list(steps=6):
    h = parameter("h0", 2, 4)
    earlier = [h]
    for _ in range(steps):
        h = np.tanh(sum([np.sum(h * key) * key for key in earlier]) @ U)
        earlier.append(h)
    return h


def reaches_back(steps=6):
    h, earlier = parameter("h0", 2, 4), []
    for t in range(steps):
        h = np.tanh(h @ U + (earlier[t // 2] if earlier else 0.5))
        earlier.append(h)
    return h


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (grows_by_stack, r"the steps grow: stack gives \(5, 2, 4\) at one step and \(6, 2, 4\) at the next"),
        (grows_by_list, r"the steps grow: from one use of U to the next there are 10, 14, 18, … operations"),
        (reaches_back, r"the steps reach further and further back: add reads what was computed 3 steps before"),
    ],
)
def test_a_growing_attention_is_refused_with_the_reason(make, reason):
    found = find_loops(tg.Graph.of(make()))
    assert found.loops == [] and len(found.boundaries) == 6

    assert re.fullmatch(reason, found.refusal)


def test_a_step_that_reads_two_steps_back_is_a_loop():
    a, b = parameter("a", 2, 4), parameter("b", 2, 4)
    for _ in range(9):
        a, b = b, np.tanh(a @ U + b)
    (loop,) = find_loops(tg.Graph.of(b)).loops
    assert len(loop) == 9
    assert {operand[1] for operands in loop.usual for operand in operands if operand[0] == "step"} == {0, 1, 2}


def test_what_reads_some_steps_of_a_loop_here_and_there_is_no_loop():
    h = states(12)
    assert loops(sum([h[t] for t in (0, 1, 3, 4, 8, 9)])) == [(10, 5)]
    assert loops(sum([h[t] for t in (0, 2, 4, 6, 8, 10)])) == [(11, 5), (6, 1)]


def test_what_reads_now_this_state_and_now_that_is_no_loop():
    h, c, read = parameter("h0", 2, 4), parameter("c0", 2, 4), []
    for t in range(8):
        c = tg.sigmoid(c @ V)
        h = np.tanh(h @ U + c)
        read.append(c if t % 2 else h)
    assert loops(sum(read)) == [(8, 5)]


def test_the_last_values_of_several_states_are_gathered_one_by_one():
    with tg.engine("eager"):
        y, (h, c) = nn.LSTM(3, 4)(np.ones((6, 2, 3), np.float32))
    assert loops(y, h, c) == [(6, 15)]


def test_what_all_steps_read_of_the_first_one_stands_outside_of_the_loop():
    first = h = np.tanh(ZEROS @ U + 0.5)
    for _ in range(6):
        h = np.tanh(h @ U + first)
    (loop,) = find_loops(tg.Graph.of(h)).loops
    assert len(loop) == 6 and first.node not in loop.place


def test_the_head_of_each_step_folds_beside_the_loop_and_reads_it_step_by_step():
    found = find_loops(tg.Graph.of(sum([np.sum(h * h) for h in states(10)])))
    assert [(len(loop), len(loop.usual), loop.is_chained) for loop in found.loops] == [
        (10, 5, True),
        (10, 2, False),
        (10, 1, True),
    ]


@pytest.mark.parametrize("layer", [nn.RNN(3, 4), nn.LSTM(3, 4), nn.GRU(3, 4)])
def test_a_layer_is_one_loop_with_its_times(layer):
    with tg.engine("eager"):
        y, _ = layer(np.ones((6, 2, 3), np.float32))
    (loop,) = find_loops(tg.Graph.of(y)).loops
    assert loop.numbers == [0, 1, 2, 3, 4, 5] and loop.scope == (type(layer).__name__,)


def test_the_other_direction_counts_its_times_down():
    with tg.engine("eager"):
        y, _ = nn.GRU(3, 4, bidirectional=True)(np.ones((6, 2, 3), np.float32))
    found = find_loops(tg.Graph.of(y)).loops
    assert [loop.numbers for loop in found] == [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]]


def test_a_sequence_whose_rows_end_early_is_a_loop_for_each_kind_of_step():
    with tg.engine("eager"):
        y, _ = nn.GRU(3, 4)(np.ones((9, 3, 3), np.float32), lengths=[9, 4, 9])
    found = find_loops(tg.Graph.of(y)).loops
    assert [loop.numbers for loop in found] == [[0, 1, 2, 3], [4, 5, 6, 7, 8]]


OPERATIONS = [
    lambda h, x: np.tanh(h @ U),
    lambda h, x: h + x @ W,
    lambda h, x: h * tg.sigmoid(h @ V),
    lambda h, x: np.sum(h, axis=-1, keepdims=True) + h,
    lambda h, x: np.concatenate(np.split(h, 2, axis=-1)[::-1], axis=-1),
    lambda h, x: h @ U + x @ W + B,
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(OPERATIONS), min_size=2, max_size=6), st.integers(3, 9))
def test_whatever_a_step_does_the_loop_is_found_once_and_covers_everything(operations, steps):
    h = parameter("h0", 2, 4)
    for t in range(steps):
        for operation in operations:
            h = operation(h, np.full((2, 3), float(t)))
    graph = tg.Graph.of(h)
    found = find_loops(graph).loops
    operations_of_graph = [node for node in graph if node.primitive is not None]
    # A step that does one thing twice is two steps, so there may be more of them than turns.
    covered = sum(len(loop.place) for loop in found)
    assert covered == len(operations_of_graph)
    assert any(len(loop) % steps == 0 for loop in found)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_steps_that_read_other_weights_are_told_apart(data):
    pattern = data.draw(st.lists(st.sampled_from("UV"), min_size=8, max_size=8))
    h = ZEROS + 1
    for name in pattern:
        h = np.tanh(h @ {"U": U, "V": V}[name])
    for loop in find_loops(tg.Graph.of(h)).loops:
        weights = [
            [node.parents[1].name for node in s if node is not None and node.operation == "matmul"] for s in loop.steps
        ]
        # The last step may have been cut short.
        assert all(row == weights[0][: len(row)] for row in weights[1:])
