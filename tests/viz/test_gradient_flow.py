"""Gradients through time are the gradients of the eager graph and of finite differences, under every engine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.core.errors import CellError, ConfigError, DataError, FreedGraphError, GraphError, ShapeError
from tinygrad_rnn.core.tree import tree_flatten
from tinygrad_rnn.scan.engines import available


class Projected(nn.Cell):
    """Two states, one computed from the other, and an output that is neither; `push` moves the inner one."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.into, self.back = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size)
        self.out = nn.Linear(hidden_size, 2)
        self.push, self.t = None, 0

    def initial_state(self, batch_size):
        zeros = super().initial_state(batch_size)
        return {"memory": zeros, "shown": zeros}

    def forward(self, x, state):
        memory = 0.8 * state["memory"] + np.tanh(self.into(x) + self.back(state["shown"]))
        if self.push is not None:
            memory = memory + self.push[self.t]
            self.t += 1
        shown = np.sin(memory)
        return self.out(shown * memory), {"memory": memory, "shown": shown}


class Branching(nn.Cell):
    """A step that asks for a value, which no compiled engine can run."""

    def __init__(self):
        super().__init__()
        self.hidden_size = 3
        self.into = nn.Linear(2, 3)

    def forward(self, x, h):
        h = np.tanh(self.into(x) + (h if h.data.mean() < 0.1 else -h))
        return h, h


class Delay(nn.Cell):
    """A state that is the input of the step before."""

    hidden_size = 2

    def initial_state(self, batch_size):
        return tg.Tensor(np.zeros((batch_size, 2)))

    def forward(self, x, h):
        return 2 * h + x, x


LAYERS = {
    "RNN": lambda: nn.RNN(2, 3),
    "LSTM of two layers": lambda: nn.LSTM(2, 3, num_layers=2),
    "GRU in both directions": lambda: nn.GRU(2, 3, bidirectional=True),
    "cell with an output of its own": lambda: nn.Recurrent([Projected(2, 3), nn.GRUCell(2, 3)]),
    "layers of different states": lambda: nn.Recurrent([nn.LSTMCell(2, 4), nn.RNNCell(4, 3)], batch_first=True),
    "minGRU in parallel time": lambda: nn.MinGRU(2, 3),
    "learned state": lambda: nn.LSTM(2, 3, learned_state=True),
}


def made(name, seed=0):
    tg.random.seed(seed)
    return LAYERS[name]().astype(np.float64)


def inputs(layer, time=7, batch=2, seed=0):
    x = np.random.default_rng(seed).normal(size=(time, batch, 2))
    return x.swapaxes(0, 1) if layer.batch_first else x


def squares(y):
    return np.sum(np.square(y), axis=-1)


def of_the_eager_graph(layer, compute):
    """The gradients with respect to the states that the cells return, cell by cell, leaf by leaf, in time order."""
    noted = [[] for _ in layer.cells]
    handles = [
        cell.register_forward_hook(lambda module, args, out, notes=notes: notes.append(tree_flatten(out[1])[0]))
        for cell, notes in zip(layer.cells, noted, strict=True)
    ]
    with tg.engine("eager"):
        loss = compute()
    for handle in handles:
        handle.remove()
    found = []
    for number, notes in enumerate(noted):
        steps = notes[::-1] if number % layer.num_directions else notes
        for leaves in zip(*steps, strict=True):
            found.append(np.stack(tg.gradients(loss, leaves, retain_graph=True)))
    return found


@pytest.mark.parametrize("name", sorted(set(LAYERS) - {"minGRU in parallel time"}))
@settings(max_examples=15)
@given(seed=st.integers(0, 2**16))
def test_they_are_what_the_eager_graph_says_of_every_state(name, seed):
    layer = made(name, seed)
    x = inputs(layer, time=4, seed=seed)
    found = viz.gradient_flow(layer, x, loss=squares, at=None, sweeps=0).flows[type(layer).__name__]
    expected = of_the_eager_graph(layer, lambda: np.sum(np.square(layer(x)[0])) / 2)
    assert len(found.states) == len(expected)
    for part, wanted in zip(found.states, expected, strict=True):
        np.testing.assert_allclose(part.gradient, wanted, rtol=1e-10, atol=1e-12, err_msg=part.layer + part.name)


@pytest.mark.parametrize("name", LAYERS)
def test_every_engine_gives_the_same_numbers(name):
    layer = made(name)
    x = inputs(layer)
    found = []
    for engine in available():
        with tg.engine(engine):
            (flow,) = viz.gradient_flow(layer, x, loss=squares).flows.values()
        found.append(flow)
    for flow in found[1:]:
        assert [(part.layer, part.name) for part in flow.states] == [
            (part.layer, part.name) for part in found[0].states
        ]
        for part, other in zip(flow.states, found[0].states, strict=True):
            np.testing.assert_allclose(part.gradient, other.gradient, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(flow.horizon, found[0].horizon, rtol=1e-12, atol=1e-12)
        assert flow.loss == pytest.approx(found[0].loss, rel=1e-12)


def test_they_are_finite_differences_of_the_state_inside_the_step():
    tg.random.seed(0)
    cell = Projected(2, 3).astype(np.float64)
    layer = nn.Recurrent(cell, engine="eager")
    x = inputs(layer, time=5)
    (flow,) = viz.gradient_flow(layer, x, loss=squares, at=-1).flows.values()
    memory, shown = flow.states
    assert (memory.name, shown.name) == ("memory", "shown")
    direction, step = np.random.default_rng(1).normal(size=(2, 3)), 1e-6
    for t in range(5):
        values = []
        for sign in (1, -1):
            cell.push, cell.t = np.zeros((5, 2, 3)), 0
            cell.push[t] = sign * step * direction
            values.append(np.mean(squares(layer(x)[0][-1])).item())
        cell.push = None
        assert np.sum(memory.gradient[t] * direction) == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-6)


def test_the_horizon_is_finite_differences_of_the_input():
    layer = made("LSTM of two layers")
    x = inputs(layer, time=6)
    (flow,) = viz.gradient_flow(layer, x, loss=squares, sweeps=1000).flows.values()
    step, sizes = 1e-6, np.zeros((6, 6, 2))  # ∂loss_t/∂x_s, by t, s and row
    for place in np.ndindex(6, 2, 2):
        moved = []
        for sign in (1, -1):
            nudged = x.copy()
            nudged[place] += sign * step
            moved.append(squares(layer(nudged)[0]).data)
        s, row, _ = place
        sizes[:, s, row] += np.square((moved[0] - moved[1])[:, row] / (2 * step))
    norms = np.sqrt(sizes).mean(axis=2)
    expected = [np.mean([norms[t, t - k] for t in range(3, 6) if t >= k]) for k in range(6)]
    np.testing.assert_allclose(flow.horizon, expected, rtol=1e-6)


@settings(max_examples=15)
@given(lengths=st.lists(st.integers(0, 5), min_size=3, max_size=3), bidirectional=st.booleans())
def test_padding_gets_no_gradient_and_changes_none(lengths, bidirectional):
    tg.random.seed(0)
    layer = nn.LSTM(2, 3, bidirectional=bidirectional).astype(np.float64)
    x = np.random.default_rng(0).normal(size=(5, 3, 2))
    start = np.random.default_rng(1).normal(size=(layer.num_directions, 3, 3))

    def loss_of(x, rows, lengths):
        def loss():
            y, (h, c) = layer(x[:, rows], (start[:, rows], start[:, rows]), lengths)
            return np.sum(np.square(y)) + np.sum(h * c)

        return loss

    padded = x.copy()
    for row, length in enumerate(lengths):
        padded[length:, row] = np.nan
    with np.errstate(invalid="ignore"):
        (flow,) = viz.gradient_flow(loss_of(padded, [0, 1, 2], lengths)).flows.values()
    for row, length in enumerate(lengths):
        for part in flow.states:
            assert not part.gradient[length:, row].any()
        if length:
            (alone,) = viz.gradient_flow(loss_of(x[:length], [row], None)).flows.values()
            for part, own in zip(flow.states, alone.states, strict=True):
                np.testing.assert_allclose(part.gradient[:length, row], own.gradient[:, 0], rtol=1e-10, atol=1e-12)


def test_a_step_that_no_engine_can_compile_is_measured_too():
    tg.random.seed(0)
    layer = nn.Recurrent(Branching()).astype(np.float64)
    x = np.random.default_rng(0).normal(size=(5, 2, 2))
    (flow,) = viz.gradient_flow(layer, x, loss=squares, at=None).flows.values()
    (expected,) = of_the_eager_graph(layer, lambda: np.sum(np.square(layer(x)[0])) / 2)
    np.testing.assert_allclose(flow.states[0].gradient, expected, rtol=1e-10, atol=1e-12)


def test_a_state_that_is_handed_through_gets_what_later_steps_send_back():
    x = np.random.default_rng(0).normal(size=(4, 1, 2))
    (flow,) = viz.gradient_flow(nn.Recurrent(Delay()), x, loss=lambda y: np.sum(y, axis=-1), at=None).flows.values()
    np.testing.assert_array_equal(flow.states[0].gradient[:, 0, 0], [2, 2, 2, 0])
    np.testing.assert_allclose(flow.horizon, np.sqrt(2) * np.array([1, 2, 0, 0]))


COMPUTED = sorted(set(LAYERS) - {"cell with an output of its own", "minGRU in parallel time"})


@pytest.mark.parametrize("engine", available())
@pytest.mark.parametrize("lengths", [None, [7, 4]])
@pytest.mark.parametrize("name", COMPUTED)
def test_a_loss_that_has_been_computed_tells_the_same_as_the_function_that_computes_it(name, lengths, engine):
    layer = made(name)
    x = inputs(layer)

    def compute():
        with tg.engine(engine):
            y, _ = layer(x, lengths=lengths)
        return np.sum(np.square(y))

    (expected,) = viz.gradient_flow(compute).flows.values()
    (flow,) = viz.gradient_flow(compute()).flows.values()
    assert flow.loss == pytest.approx(expected.loss, rel=1e-12)
    assert flow.horizon is None
    # An LSTM hands on (h, c), and computes c first.
    by_layer = {}
    for part in expected.states:
        by_layer.setdefault(part.layer, []).insert(0, part.gradient)
    assert [part.layer for part in flow.states] == [layer for layer, parts in by_layer.items() for _ in parts]
    for part, wanted in zip(flow.states, [one for parts in by_layer.values() for one in parts], strict=True):
        np.testing.assert_allclose(part.gradient, wanted, rtol=1e-9, atol=1e-12, err_msg=f"{part.layer} {part.name}")


@pytest.mark.parametrize("engine", available())
def test_the_last_state_alone_reaches_back_from_the_end_of_each_direction(engine):
    layer = made("GRU in both directions")
    x = inputs(layer)

    def compute():
        with tg.engine(engine):
            return np.sum(layer(x)[1])

    (expected,), (flow,) = [viz.gradient_flow(what).flows.values() for what in (compute, compute())]
    for part, wanted in zip(flow.states, expected.states, strict=True):
        assert (part.layer, part.name, wanted.name) == (wanted.layer, "state", "h")
        np.testing.assert_allclose(part.gradient, wanted.gradient, rtol=1e-9, atol=1e-12)


def test_steps_that_a_computed_loss_does_not_depend_on_get_no_gradient():
    layer = made("LSTM of two layers")
    x = inputs(layer)
    loss = np.sum(layer(x)[0][3])
    (flow,) = viz.gradient_flow(loss).flows.values()
    assert {part.name for part in flow.states} == {"state 1", "state 2"}
    for part in flow.states:
        assert part.gradient.shape[0] == 7
        assert part.norms[:4].all() and not part.norms[4:].any()


def test_a_computed_loss_of_a_hand_written_loop_is_measured_too():
    w, h = tg.Tensor(0.5, requires_grad=True), tg.Tensor(np.ones(3), requires_grad=True)
    for _ in range(6):
        h = np.tanh(w * h)
    (flow,) = viz.gradient_flow(np.sum(h)).flows.values()
    (part,) = flow.states
    np.testing.assert_allclose(part.gradient[-1], np.ones(3))
    assert part.gradient.shape == (6, 3) and (np.diff(part.norms) > 0).all()


def test_the_graph_of_a_computed_loss_is_left_as_it_was():
    layer = made("RNN")
    loss = np.sum(layer(inputs(layer))[0])
    found = [viz.gradient_flow(loss).flows["loss"].states[0].gradient for _ in range(2)]
    np.testing.assert_array_equal(*found)
    assert all(parameter.grad is None for parameter in layer.parameters())
    loss.backward()


def test_computed_losses_of_several_models_stand_side_by_side():
    losses = {name: np.sum(made(name)(inputs(made(name)))[0]) for name in ("RNN", "LSTM of two layers")}
    assert [len(flow.states) for flow in viz.gradient_flow(losses).flows.values()] == [1, 4]


def test_a_computed_loss_of_parameters_that_were_changed_since_is_refused():
    layer = made("RNN")
    with tg.engine("numpy"):
        loss = np.sum(layer(inputs(layer))[0])
    for parameter in layer.parameters():
        parameter.assign(parameter.data + 1)
    with pytest.raises(GraphError, match="changed in between"):
        viz.gradient_flow(loss)


def test_one_backward_pass_is_enough_for_all_states(monkeypatch):
    from tinygrad_rnn.viz.through_time import flow

    asked = []
    real = flow.gradients
    monkeypatch.setattr(flow, "gradients", lambda *args, **more: asked.append(1) or real(*args, **more))
    viz.gradient_flow(made("LSTM of two layers"), np.ones((30, 2, 2)), sweeps=0)
    assert len(asked) == 1
    viz.gradient_flow(made("LSTM of two layers"), np.ones((30, 2, 2)), sweeps=4)
    assert len(asked) == 1 + 5


def test_the_loss_without_one_has_the_size_of_the_jacobian():
    layer = nn.Recurrent(Delay())
    (flow,) = viz.gradient_flow(layer, np.ones((6, 3, 2))).flows.values()
    np.testing.assert_allclose(flow.horizon[:2], [np.sqrt(2), 2 * np.sqrt(2)])
    assert flow.reach() == 1


def test_a_model_is_measured_from_what_enters_its_first_layer():
    tg.random.seed(0)
    model = tg.train.CharModel(5, nn.GRUCell, tg.train.Config(hidden=4, embedding=3, layers=2))
    ids = np.random.default_rng(0).integers(5, size=(6, 2))
    (flow,) = viz.gradient_flow(
        model, ids, loss=lambda logits: nn.cross_entropy(logits, ids, reduction="none")
    ).flows.values()
    assert [(part.layer, part.name) for part in flow.states] == [("layer 1", "h"), ("layer 2", "h")]
    assert flow.horizon.shape == (6,) and flow.horizon[0] > 0


def test_layers_that_stand_in_several_modules_are_told_apart():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = nn.RNN(2, 3), nn.RNN(3, 3)

        def forward(self, x):
            return self.decoder(self.encoder(x)[0])

    (flow,) = viz.gradient_flow(Both(), np.ones((3, 1, 2))).flows.values()
    assert [part.layer for part in flow.states] == ["encoder layer 1", "decoder layer 1"]


def test_models_of_a_list_are_named_by_their_classes():
    layers = [nn.GRU(2, 3), nn.LSTM(2, 3), nn.GRU(2, 3)]
    assert list(viz.gradient_flow(layers, np.ones((3, 1, 2))).flows) == ["GRU", "LSTM", "GRU 2"]


def test_nobodys_random_numbers_or_gradients_are_touched():
    layer = nn.GRU(2, 3)
    before = tg.random.get_state()
    viz.gradient_flow(layer, np.ones((3, 1, 2)))
    assert tg.random.get_state() == before
    assert all(parameter.grad is None for parameter in layer.parameters())


class Noisy(nn.Cell):
    hidden_size = 3

    def initial_state(self, batch_size):
        return tg.Tensor(np.zeros((batch_size, 3)))

    def forward(self, x, h):
        h = 0.5 * h + tg.random.uniform((x.shape[0], 3))
        return h, h


def uneven():
    layer = nn.Recurrent(Branching(), engine="eager").astype(np.float64)
    with tg.scope("uneven"):
        return layer(np.array([-1.0, 1.0, 1.0, -1.0, 1.0]).reshape(5, 1, 1) * np.full((1, 2), 3.0))[0]


def freed():
    loss = np.sum(nn.GRU(2, 3)(np.ones((3, 1, 2)))[0])
    loss.backward()
    return loss


WRONG = {
    "a loss of several numbers": (lambda: (nn.GRU(2, 3)(np.ones((3, 1, 2)))[0],), ShapeError, "one number"),
    "a loss and an input": (lambda: (np.sum(nn.GRU(2, 3)(np.ones((3, 1, 2)))[0]), np.ones(3)), ConfigError, "leave x"),
    "a loss through no loop": (lambda: (np.sum(nn.Linear(2, 3)(np.ones((3, 2)))),), ConfigError, "without a loop"),
    "a loss of steps that differ": (lambda: (np.sum(uneven()),), ConfigError, "not alike"),
    "a loss whose graph is freed": (lambda: (freed(),), FreedGraphError, "retain_graph=True"),
    "no input": (lambda: (nn.GRU(2, 3),), ConfigError, "give x"),
    "an array": (lambda: (np.ones(3),), ConfigError, "ndarray"),
    "no layer": (lambda: ({},), ConfigError, "no layer"),
    "nothing recurrent": (lambda: (nn.Linear(2, 3), np.ones((3, 1, 2))), ConfigError, "no recurrent layer ran"),
    "a loss of no tensor": (lambda: (lambda: nn.GRU(2, 3)(np.ones((3, 1, 2))) and 1.0,), ConfigError, "depends on no"),
    "no steps": (lambda: (nn.GRU(2, 3), np.ones((0, 1, 2))), DataError, "no steps"),
    "no rows": (lambda: (nn.GRU(2, 3), np.ones((4, 0, 2))), DataError, "no rows"),
    "a cell": (lambda: (nn.GRUCell(2, 3), np.ones((3, 1, 2))), ConfigError, r"give the layer that it makes"),
    "random numbers": (lambda: (nn.Recurrent(Noisy()), np.ones((3, 1, 2))), CellError, "draws random"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_measured_is_refused_by_name(wrong):
    arguments, error, words = WRONG[wrong]
    with pytest.raises(error, match=words):
        viz.gradient_flow(*arguments())


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"at": 3}, ConfigError),
        ({"at": True}, ConfigError),
        ({"sweeps": -1}, ConfigError),
        ({"loss": lambda y: y}, ShapeError),
        ({"loss": lambda y: np.sum(y, axis=(0, 2))}, ShapeError),
    ],
)
def test_options_out_of_range_are_refused(more, error):
    with pytest.raises(error):
        viz.gradient_flow(nn.GRU(2, 3), np.ones((3, 4, 2)), **more)
