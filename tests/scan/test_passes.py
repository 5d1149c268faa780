"""The passes: each leaves what a step computes as it is, and does what its name says."""

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core import Spec
from tinygrad_rnn.core.tree import tree_flatten
from tinygrad_rnn.scan import derive, scan
from tinygrad_rnn.scan.compiled import run
from tinygrad_rnn.scan.numpy_engine import numpy_engine
from tinygrad_rnn.scan.passes.columns import columns
from tinygrad_rnn.scan.passes.factor import factor
from tinygrad_rnn.scan.passes.lift import lift
from tinygrad_rnn.scan.passes.merge import merge
from tinygrad_rnn.scan.passes.products import merge_products, split_products
from tinygrad_rnn.scan.passes.regroup import regroup
from tinygrad_rnn.scan.passes.schedule import Schedule
from tinygrad_rnn.scan.passes.simplify import simplify
from tinygrad_rnn.scan.passes.splits import one_split
from tinygrad_rnn.scan.prepare import prepared, shared
from tinygrad_rnn.scan.reference import reference
from tinygrad_rnn.scan.step import traced

B, H = 2, 3


def keep_stops(step):
    return simplify(step, differentiated=False)


PASSES = {
    "factor": factor,
    "one split": lambda step: one_split(columns(step)),
    "simplify": keep_stops,
    "split products": split_products,
    "merge products": merge_products,
    "regroup": regroup,
    "merge": merge,
    "all": lambda step: merge(shared(step)),
}


class Separate(nn.Cell):
    """An LSTM each of whose gates has two layers of its own."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        for gate in "ifgo":
            setattr(self, f"W_{gate}", nn.Linear(input_size, hidden_size))
            setattr(self, f"U_{gate}", nn.Linear(hidden_size, hidden_size, bias=False))

    def initial_state(self, batch_size):
        h = super().initial_state(batch_size)
        return h, h

    def forward(self, x, state):
        h, c = state
        i, f = tg.sigmoid(self.W_i(x) + self.U_i(h)), tg.sigmoid(self.W_f(x) + self.U_f(h))
        g, o = np.tanh(self.W_g(x) + self.U_g(h)), tg.sigmoid(self.W_o(x) + self.U_o(h))
        c = f * c + i * g
        return o * np.tanh(c), (o * np.tanh(c), c)


class Sliced(nn.LSTMCell):
    """An LSTM that takes its gates by slices."""

    def forward(self, x, state):
        h, c = state
        z, n = self.from_input(x) + self.from_state(h), self.hidden_size
        i, f, o = tg.sigmoid(z[:, :n]), tg.sigmoid(z[:, n : 2 * n]), tg.sigmoid(z[:, 3 * n :])
        c = f * c + i * np.tanh(z[:, 2 * n : 3 * n])
        return o * np.tanh(c), (o * np.tanh(c), c)


class OnBoth(nn.Cell):
    """A cell that multiplies x and h side by side."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.gates = nn.Linear(input_size + hidden_size, 2 * hidden_size)

    def forward(self, x, h):
        z, n = np.split(self.gates(np.concatenate([x, h], axis=-1)), 2, axis=-1)
        h = h + tg.sigmoid(z) * (np.tanh(n) - h)
        return h, h


def step_from(plan, seed):
    """Return a step out of products with weights, slices, sums, concatenations and elementwise functions."""
    rng = np.random.default_rng(seed)
    weights = [tg.Tensor(rng.normal(size=(n, n)) / n, requires_grad=True) for n in (H, H, 2 * H) for _ in range(2)]
    bias = [tg.Tensor(rng.normal(size=n), requires_grad=True) for n in (H, H, 2 * H, 2 * H)]

    def step(x, h):
        values = [x, h]
        for kind, i, j in plan:
            a, b = values[i % len(values)], values[j % len(values)]
            width = a.shape[-1] // H
            if kind == 0 and width == 1:
                values.append(np.concatenate([a, b[:, :H]], axis=-1))
            elif kind == 1:
                values += np.split(a, width, axis=-1)
            elif kind == 2:
                values.append(a @ weights[j % 2 + 2 * (0 if width == 1 else 2)])
            elif kind == 3:
                values.append(a + bias[j % 2 + 2 * (width - 1)])
            elif kind in (4, 5) and a.shape == b.shape:
                values.append((operator.add, operator.mul)[kind - 4](a, b))
            elif kind == 6:
                values.append(np.sin(a))
            else:
                values.append(tg.sigmoid(a) if j % 3 else a.detach())
        return values[-1], np.tanh(sum((value[:, :H] for value in values[2:]), h))

    return step


plans = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 99), st.integers(0, 99)), min_size=3, max_size=14)
steps = st.builds(step_from, plans, st.integers(0, 99))


def outcome(step, constants, arrays, engine):
    """Return what a step gives over time, and the gradients of the sum of its squares."""
    init, x = (tg.Tensor(array, requires_grad=True) for array in arrays)
    ys, last = run(step, [init], [x], constants, len(arrays[1]), False, engine)
    loss = sum(np.sum(value * value) for value in (*ys, *last))
    leaves = [init, x, *{id(c): c for c in constants if isinstance(c, tg.Tensor)}.values()]
    return [*ys, *last], loss, leaves


@pytest.mark.parametrize("name", PASSES)
@settings(max_examples=15)
@given(steps, st.integers(1, 3))
def test_a_pass_changes_no_value_and_no_gradient(name, step, time):
    row = Spec((B, H), np.dtype(float))
    found = traced(step, (row,), (row,))
    changed = PASSES[name](found.step)
    changed.graph.check()
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(B, H)), rng.normal(size=(time, B, H))
    before, loss, leaves = outcome(found.step, found.captured, arrays, reference)
    lifted = lift(changed)
    sources = leaves[2:]
    after, same, others = outcome(lifted.step, lifted.constants(found.captured), arrays, numpy_engine)
    for a, b in zip(after, before, strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-11, atol=1e-11)
    mine = tg.gradients(same, [*others[:2], *sources])
    for a, b in zip(mine, tg.gradients(loss, leaves), strict=True):
        scale = 1 + np.abs(b).max()
        np.testing.assert_allclose(np.asarray(a) / scale, np.asarray(b) / scale, atol=1e-10)


def step_of(cell, own=merge):
    """Return the prepared step of a cell."""
    leaves, structure = tree_flatten(cell.initial_state(B))
    x = Spec((B, H), np.dtype(np.float32))
    specs = [Spec(leaf.shape, leaf.dtype) for leaf in leaves]
    return prepared(traced(cell, (x,), specs, (tree_flatten(0)[1], structure)).step, own)


def repr_of(cell):
    return type(cell).__name__


def names(nodes):
    return [node.operation for node in nodes]


@pytest.mark.parametrize("cell", [nn.LSTMCell(H, 4), Separate(H, 4), Sliced(H, 4)], ids=repr_of)
def test_an_lstm_costs_the_same_however_its_gates_are_written(cell):
    step = step_of(cell).step
    saving = simplify(derive.saving(step, (True,), (True,) * len(step.constants)))
    wanted = (True,) * len(step.ys) + (False,) * (len(saving.ys) - len(step.ys))
    backward = simplify(derive.vjp(saving, derive.Wanted(wanted, (True,), (True,) * len(step.constants))).step)
    forward, back = Schedule(saving, 10), Schedule(backward, 10)
    assert names(forward.loop).count("matmul") == 1
    assert len([name for name in names(forward.loop) if name != "split"]) <= 11
    assert names(back.loop).count("matmul") == 1
    assert names(back.after).count("matmul") == 1
    assert [deferred.kind for deferred in back.deferred.values()].count("product") == 2
    assert len(back.deferred) == len(backward.carry) - 2


def test_sigmoids_of_neighbouring_gates_are_one():
    assert names(step_of(nn.LSTMCell(H, 4)).step.graph).count("sigmoid") == 2
    assert names(step_of(nn.GRUCell(H, 4)).step.graph).count("sigmoid") == 1
    assert names(step_of(nn.GRUCell(H, 4), own=lambda step: step).step.graph).count("sigmoid") == 2


def test_what_multiplies_x_leaves_the_loop_though_x_and_h_stand_side_by_side():
    schedule = Schedule(step_of(OnBoth(H, 4)).step, 10)
    assert names(schedule.before).count("matmul") == names(schedule.loop).count("matmul") == 1
    assert "concatenate" not in names(schedule.loop)


def test_a_step_has_no_operation_on_constants_left():
    for cell in (nn.LSTMCell(H, 4), Separate(H, 4), OnBoth(H, 4)):
        assert Schedule(step_of(cell).step, 10).once == []


def test_operations_that_need_each_other_are_not_merged():
    def step(x, h):
        a, b = np.split(x, 2, axis=-1)
        first = np.exp(a)
        second = np.exp(b) * np.sum(first)
        return np.concatenate([first, np.sin(second)], axis=-1), h

    def chained(x, h):
        a, b = np.split(x, 2, axis=-1)
        c, d = np.split(np.concatenate([b, np.sin(a)], axis=-1), 2, axis=-1)
        return np.sin(c) + np.sin(d), h

    row = Spec((B, 4), np.dtype(float))
    for function in (step, chained):
        found = traced(function, (row,), (row,)).step
        arrays = [np.ones((B, 4)), np.random.default_rng(0).normal(size=(3, B, 4))]
        for a, b in zip(reference(merge(found))(arrays, 3, False), reference(found)(arrays, 3, False), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("engine", ["numpy", "eager"])
def test_a_detached_value_stays_a_constant_for_the_gradient(engine):
    x = tg.Tensor(np.ones((3, 2)), requires_grad=True)
    ys, _ = scan(lambda x, h: (x.detach() * x, h), np.zeros(2), x, engine=engine)
    (gradient,) = tg.gradients(np.sum(2 * ys), [x])
    np.testing.assert_array_equal(gradient, np.full((3, 2), 2.0))


def test_integer_and_float_terms_are_not_added_up_together():
    counts, offset = np.array([1, 2]), np.array([2, 3])

    def step(x, h):
        return ((x + counts) + offset) + h, h

    xs = np.ones((2, 2), np.float32)
    ys, _ = scan(step, np.zeros(2, np.float32), xs, engine="numpy")
    expected, _ = scan(step, np.zeros(2, np.float32), xs, engine="eager")
    assert ys.dtype == expected.dtype
    np.testing.assert_array_equal(ys.data, expected.data)


def test_steps_and_schedules_print_the_names_of_the_user():
    from tinygrad_rnn.core.names import LocalNames

    cell = Separate(H, 4)
    leaves, structure = tree_flatten(cell.initial_state(B))
    specs = [Spec(leaf.shape, leaf.dtype) for leaf in leaves]
    with LocalNames(Separate.forward.__code__) as names:
        found = traced(cell, (Spec((B, H), np.dtype(np.float32)),), specs, (tree_flatten(0)[1], structure))
    lifted = prepared(found.named(names), merge)
    text = str(lifted.step)
    assert "leaf W_weight" in text
    assert "# i_f" in text
    assert "# c" in str(Schedule(lifted.step, 10))


def test_random_numbers_that_a_step_draws_have_their_own_name():
    def step(x, h):
        product = x * 2
        return h, h + product * tg.random.uniform((2,))

    row = Spec((2,), np.dtype(np.float32))
    found = traced(step, (row,), (row,)).step
    assert [node.name for node in found.xs] == ["x", "uniform"]
    assert [node.name for node in found.graph if node.operation == "multiply"] == [None, None]
