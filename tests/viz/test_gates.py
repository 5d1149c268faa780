"""Gates are found in the graph of any cell's step, and their values are those that the step computes."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.core.errors import CellError, CheckpointError, ConfigError, DataError
from tinygrad_rnn.scan.engines import available


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def projections(run, text, layer, before):
    """What the two linear parts of a cell give at every character, from the states that the layer went through."""
    cell = run.model.layer.cells[layer]
    x = run.model.embedding.weight.data[run.vocabulary.encode(text)]
    h = np.concatenate([np.zeros((1, before.shape[1])), before[:-1]])
    into = np.asarray(x @ cell.from_input.weight.data + cell.from_input.bias.data)
    return into, np.asarray(h @ cell.from_state.weight.data + cell.from_state.bias.data)


def test_the_gates_of_an_lstm_are_those_of_its_formula(untrained):
    run, text = untrained(), 'b (c) "d"'
    (layer,) = viz.gates(run, text).layers
    assert sorted(layer.gates) == ["f", "i", "o"] and sorted(layer.states) == ["c", "h"]
    i, f, g, o = np.split(sum(projections(run, text, 0, layer.states["h"])), 4, axis=1)
    for name, expected in (("i", i), ("f", f), ("o", o)):
        np.testing.assert_allclose(layer.gates[name], sigmoid(expected), rtol=1e-4)
    c = np.concatenate([np.zeros((1, 4)), layer.states["c"][:-1]])
    np.testing.assert_allclose(layer.states["c"], sigmoid(f) * c + sigmoid(i) * np.tanh(g), rtol=1e-3, atol=1e-5)


def test_the_gates_of_a_gru_are_those_of_its_formula(untrained):
    run, text = untrained(nn.GRUCell), "dcba"
    (layer,) = viz.gates(run, text).layers
    assert list(layer.gates) == ["r", "z"]
    r, z, _ = np.split(sum(projections(run, text, 0, layer.states["h"])), 3, axis=1)
    np.testing.assert_allclose(layer.gates["r"], sigmoid(r), rtol=1e-4)
    np.testing.assert_allclose(layer.gates["z"], sigmoid(z), rtol=1e-4)


@pytest.mark.parametrize("engine", available())
def test_every_engine_shows_the_same(untrained, engine):
    run = untrained(layers=2)
    run.model.astype(np.float64)
    expected = viz.gates(run, "abcd").layers
    with tg.engine(engine):
        found = viz.gates(run, "abcd").layers
    assert [layer.layer for layer in found] == ["layer 1", "layer 2"]
    for layer, other in zip(found, expected, strict=True):
        for name, values in (layer.gates | layer.states).items():
            np.testing.assert_allclose(values, (other.gates | other.states)[name], rtol=1e-12, atol=1e-12)


class Tokens(nn.Cell):
    """The base of cells that get a character as its code point."""

    hidden_size = 2

    def initial_state(self, batch_size):
        return tg.Tensor(np.zeros((batch_size, 2)))


class Together(Tokens):
    """Two gates computed as one array, with names; one without."""

    def forward(self, x, h):
        both = tg.sigmoid(np.concatenate([h + x[:, None] / 100, h - 1], axis=-1))
        keep, write = np.split(both, 2, axis=-1)
        h = keep * h + write * tg.sigmoid(2 * h + 3)
        return h, h


class Branching(Tokens):
    """A step that asks for a value."""

    def forward(self, x, h):
        gate = tg.sigmoid(h)
        h = gate + (1 if x.data[0] == ord("a") else 2)
        return h, h


class Moody(Tokens):
    """Another number of gates at another step."""

    def forward(self, x, h):
        h = tg.sigmoid(h + 1) if x.data[0] == ord("a") else np.tanh(h + 1)
        return h, h


def test_gates_that_are_computed_as_one_array_are_shown_apart(reading):
    (layer,) = viz.gates(reading(Together()), "abc").layers
    assert set(layer.gates) == {"keep", "write", "gate 2"}
    before = np.concatenate([np.zeros((1, 2)), layer.states["h"][:-1]])
    x = np.array([[97], [98], [99]]) / 100
    np.testing.assert_allclose(layer.gates["keep"], sigmoid(before + x))
    np.testing.assert_allclose(layer.gates["write"], sigmoid(before - 1))
    np.testing.assert_allclose(layer.gates["gate 2"], sigmoid(2 * before + 3))


def test_a_step_that_cannot_be_compiled_has_gates_too(reading):
    (layer,) = viz.gates(reading(Branching()), "ab").layers
    np.testing.assert_allclose(layer.gates["gate"], [[0.5, 0.5], [sigmoid(1.5)] * 2])


def test_a_cell_without_gates_has_its_states(untrained):
    (layer,) = viz.gates(untrained(nn.RNNCell), "abcd").layers
    assert layer.gates == {} and layer.states["h"].shape == (4, 4)


class Counting(Tokens):
    """A state with a count of steps between its floats."""

    def initial_state(self, batch_size):
        zeros = np.zeros((batch_size, 2))
        return zeros, np.zeros(batch_size, np.int64), zeros

    def forward(self, x, state):
        memory, n, trace = state
        memory = np.tanh(memory + x[:, None] / 100)
        trace = 0.5 * trace + memory
        return trace, (memory, n + 1, trace)


class Ticking(Tokens):
    """A count of steps for its whole state."""

    def initial_state(self, batch_size):
        return np.zeros(batch_size, np.int64)

    def forward(self, x, n):
        return tg.Tensor(np.ones((len(x.data), 2))) * (n[:, None] % 2), n + 1


def test_the_parts_of_the_state_that_hold_floats_are_shown_under_their_names(reading, untrained):
    run = reading(Counting())
    (layer,) = viz.gates(run, "abc").layers
    memory, trace = np.zeros(2), np.zeros(2)
    assert list(layer.states) == ["memory", "trace"]
    for t, character in enumerate("abc"):
        memory = np.tanh(memory + ord(character) / 100)
        trace = 0.5 * trace + memory
        np.testing.assert_allclose(layer.states["memory"][t], memory)
        np.testing.assert_allclose(layer.states["trace"][t], trace)
    neurons = viz.neurons(run, "abcabc", lambda text: [ord(character) for character in text]).ranking
    assert sorted(neuron.name for neuron in neurons) == [
        f"layer 1 {part}[{unit}]" for part in ("memory", "trace") for unit in (0, 1)
    ]
    assert [list(layer.states) for layer in viz.gates(untrained(nn.ClockworkCell), "ab").layers] == [["h"]]


def test_a_state_without_floats_and_without_gates_is_refused(reading):
    for show in (lambda run: viz.gates(run, "ab"), lambda run: viz.neurons(run, "abab", lambda text: [0, 1, 0, 1])):
        with pytest.raises(ConfigError, match="no state of Reader holds floats"):
            show(reading(Ticking()))


def test_the_saturation_is_the_share_of_the_time_beyond_its_bounds(reading):
    class Given(Tokens):
        def forward(self, x, h):
            swinging = tg.sigmoid(np.stack([x - 98.0, 10 * (x - 98.0)], axis=-1) + h)
            half = tg.sigmoid(h)
            return swinging + half, h

    found = viz.gates(reading(Given()), "abcb").saturation()["layer 1"]
    np.testing.assert_array_equal(found["swinging"].left, [0, 0.25])
    np.testing.assert_array_equal(found["swinging"].right, [0, 0.25])
    np.testing.assert_array_equal(found["half"].left, [0, 0])


def test_a_folder_is_opened(folder):
    found = viz.gates(folder, "a (b)")
    assert [list(layer.gates) for layer in found.layers] == [["r", "z"]] * 2
    assert found.layers[0].gates["r"].shape == (5, 4)


def test_the_model_and_the_random_numbers_are_left_as_they_were(untrained):
    run, state = untrained(), tg.random.get_state()
    run.model.train()
    viz.gates(run, "abcd")
    assert run.model.training and tg.random.get_state() == state
    assert all(parameter.grad is None for parameter in run.model.parameters())


def test_what_cannot_be_read_is_refused(untrained, reading, tmp_path):
    run = untrained()
    with pytest.raises(ConfigError, match="one character"):
        viz.gates(run, "")
    with pytest.raises(DataError, match="'z'"):
        viz.gates(run, "abz")
    with pytest.raises(ConfigError, match="is no run"):
        viz.gates(run.model, "ab")
    with pytest.raises(CheckpointError, match="no run"):
        viz.gates(tmp_path, "ab")
    with pytest.raises(CellError, match="has 1 gates at its first step and 0 at step 1"):
        viz.gates(reading(Moody()), "ab")
    run.model = nn.Embedding(10, 2)
    with pytest.raises(ConfigError, match="no recurrent layer"):
        viz.gates(run, "ab")
