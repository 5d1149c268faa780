"""A recording holds what happened, stays small, and is the same whether the training was interrupted or not."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import data, nn, optim, train, viz
from tinygrad_rnn.core.errors import ConfigError, DataError
from tinygrad_rnn.train import rows
from tinygrad_rnn.viz.through_time.recording import FILE, Recording, histogram, widened


def trainer_of(folder, epochs=1, layers=2, lr=0.1, clip=0.0, cell=nn.LSTMCell, seconds=1e9):
    tg.random.seed(0)
    model = train.CharModel(3, cell, train.Config(hidden=4, embedding=2, layers=layers))
    streams = data.Streams(np.tile([0, 1, 2, 2], 50), batch_size=2, seq_len=5)
    optimizer = optim.SGD(model.parameters(), lr=lr)
    callbacks = [train.Recorder(folder, seconds=seconds)]
    return train.Trainer(model, streams, optimizer, clip=clip, epochs=epochs, callbacks=callbacks)


class Watch(train.Callback):
    """Notes by hand what a recorder is to record."""

    def __init__(self):
        self.rows = []

    def start(self, trainer):
        self.weights = [p.numpy() if hasattr(p, "numpy") else np.array(p.data) for p in trainer.model.parameters()]

    def after_step(self, trainer):
        after = [np.array(p.data) for p in trainer.model.parameters()]
        norms = [np.linalg.norm(p.grad) for p in trainer.model.parameters()]
        ratios = [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(after, self.weights, strict=True)]
        self.rows.append((trainer.loss, trainer.gradient_norm, norms, ratios, [leaf.data for leaf in trainer.carry]))
        self.weights = after


@pytest.mark.parametrize("clip", [0.0, 0.01])
def test_a_row_holds_loss_gradients_updates_and_states(tmp_path, clip):
    trainer = trainer_of(tmp_path, clip=clip)
    watch = Watch()
    trainer.callbacks.append(watch)
    trainer.fit()
    found = Recording.read(tmp_path)
    losses, totals, norms, ratios, states = zip(*watch.rows, strict=True)
    np.testing.assert_array_equal(found.steps, 1 + np.arange(trainer.steps))
    np.testing.assert_allclose(found.loss, losses)
    np.testing.assert_allclose(found.gradient, totals)
    np.testing.assert_allclose(found.ratios, ratios, rtol=1e-5)
    assert found.clip == clip and list(found.parameters) == [name for name, _ in trainer.model.named_parameters()]
    factor = np.array(totals) / np.sqrt(np.square(norms).sum(axis=1))
    assert (factor > 1.5).all() if clip else np.allclose(factor, 1, rtol=1e-4)
    np.testing.assert_allclose(found.gradients, np.array(norms) * factor[:, None], rtol=1e-4)
    assert list(found.activations) == ["layer 1 h", "layer 2 h", "layer 1 c", "layer 2 c"]
    for number, (leaf, layer) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        for row, state in enumerate(states):
            expected = histogram(state[leaf][layer], found.ranges[number], 64)
            np.testing.assert_array_equal(found.counts[row, number], expected)


def test_a_long_training_keeps_rows_evenly_and_none_of_its_loss_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "MOST", 8)
    trainer = trainer_of(tmp_path, epochs=3)
    losses = []
    note = train.Callback()
    note.after_step = lambda trainer: losses.append(trainer.loss)
    trainer.callbacks.append(note)
    trainer.fit()
    found = Recording.read(tmp_path)
    apart = int(found.steps[1] - found.steps[0])
    assert trainer.steps > 50 and 4 <= len(found.steps) <= 8 and apart == 8
    np.testing.assert_array_equal(found.steps, apart * (1 + np.arange(len(found.steps))))
    for step, loss, seen in zip(found.steps, found.loss, found.seen, strict=True):
        assert loss == pytest.approx(np.mean(losses[step - apart : step])) and seen == apart
    assert found.counts.shape == (len(found.steps), 4, 64) and (found.counts.sum(axis=2) == 8).all()


def test_it_is_written_while_the_training_runs(tmp_path):
    trainer = trainer_of(tmp_path, seconds=0)
    seen = []
    note = train.Callback()
    note.after_step = lambda trainer: seen.append(len(Recording.read(tmp_path).steps))
    trainer.callbacks.append(note)
    trainer.fit()
    assert seen == list(range(1, trainer.steps + 1))


def test_layers_of_different_states_are_named_cell_by_cell(tmp_path):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(3, 2)
            self.layer = nn.Recurrent([nn.LSTMCell(2, 4), nn.GRUCell(4, 3)])

        def forward(self, ids, state):
            return self.layer(self.embedding(ids), state)

    model = Model()
    streams = data.Streams(np.tile([0, 1, 2, 2], 50), batch_size=2, seq_len=5)
    recording = train.Recorder(tmp_path)
    train.Trainer(model, streams, optim.SGD(model.parameters(), lr=0.1), callbacks=[recording]).fit()
    found = Recording.read(tmp_path)
    assert list(found.activations) == ["layer 1 h", "layer 1 c", "layer 2 h"]
    assert (found.counts.sum(axis=2) == [8, 8, 6]).all()


class Counting(nn.Cell):
    """A state with a count of steps between its floats."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(input_size, hidden_size)

    def initial_state(self, batch_size):
        zeros = np.zeros((batch_size, self.hidden_size), np.float32)
        return zeros, np.zeros(batch_size, np.int64), zeros

    def forward(self, x, state):
        memory, n, trace = state
        memory = np.tanh(self.from_input(x) + memory)
        trace = 0.5 * trace + memory
        return trace, (memory, n + 1, trace)


class Matrix(nn.Cell):
    """A state that is a matrix for each row of the batch."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(input_size, hidden_size)

    def initial_state(self, batch_size):
        return np.zeros((batch_size, self.hidden_size, 3), np.float32)

    def forward(self, x, memory):
        more = np.tanh(self.from_input(x))
        memory = 0.5 * memory + more[:, :, None]
        return np.sum(memory, axis=-1), memory


class Layers(nn.Module):
    """A model of recurrent layers one after the other, each with the state that it returns."""

    def __init__(self, *layers):
        super().__init__()
        self.embedding = nn.Embedding(3, 4)
        self.layers = nn.ModuleList(layers)

    def forward(self, ids, state):
        x, after = self.embedding(ids), []
        for layer, before in zip(self.layers, state or [None] * len(self.layers), strict=True):
            x, last = layer(x, before)
            after.append(last)
        return x, after


STATES = {
    "a count": ([nn.Recurrent(Counting(4, 4))], ["layer 1 memory", "layer 1 trace"]),
    "counts": (
        [nn.Recurrent([Counting(4, 4), Counting(4, 4)])],
        ["layer 1 memory", "layer 2 memory", "layer 1 trace", "layer 2 trace"],
    ),
    "a clockwork": ([nn.Recurrent(nn.ClockworkCell(4, 4))], ["layer 1 h"]),
    "a count in one of two": (
        [nn.Recurrent([Counting(4, 4), nn.LSTMCell(4, 4)])],
        ["layer 1 memory", "layer 1 trace", "layer 2 h", "layer 2 c"],
    ),
    "a matrix beside a vector": (
        [nn.Recurrent([Matrix(4, 4), nn.GRUCell(4, 4)])],
        ["layer 1 memory", "layer 2 h"],
    ),
    "two layers of their own": (
        [nn.Recurrent(Counting(4, 4)), nn.LSTM(4, 4)],
        ["layers.0 layer 1 memory", "layers.0 layer 1 trace", "layers.1 layer 1 h", "layers.1 layer 1 c"],
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_the_parts_of_the_state_that_hold_floats_have_the_names_that_the_cell_uses(tmp_path, name):
    layers, names = STATES[name]
    model = Layers(*layers)
    streams = data.Streams(np.tile([0, 1, 2, 2], 50), batch_size=2, seq_len=5)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    train.Trainer(model, streams, optimizer, callbacks=[train.Recorder(tmp_path)]).fit()
    found = Recording.read(tmp_path)
    assert list(found.activations) == names
    size = {"layer 1 memory": 24} if "matrix" in name else {}
    np.testing.assert_array_equal(found.counts.sum(axis=2)[0], [size.get(part, 8) for part in names])


def test_a_state_that_a_model_keeps_in_its_own_way_is_numbered(tmp_path):
    class Own(Layers):
        def forward(self, ids, state):
            y, (last,) = super().forward(ids, None if state is None else [state["kept"][0]])
            return y, {"kept": [last], "number": tg.Tensor(np.ones(2))}

    model = Own(nn.GRU(4, 4))
    streams = data.Streams(np.tile([0, 1, 2, 2], 50), batch_size=2, seq_len=5)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    train.Trainer(model, streams, optimizer, callbacks=[train.Recorder(tmp_path)]).fit()
    assert list(Recording.read(tmp_path).activations) == ["state 1", "state 2"]


def test_a_parameter_of_zeros_has_no_ratio(tmp_path):
    trainer = trainer_of(tmp_path)
    trainer.model.head.bias.assign(np.zeros(3))
    trainer.fit()
    found = Recording.read(tmp_path)
    column = list(found.parameters).index("head.bias")
    assert math.isnan(found.ratios[0, column]) and np.isfinite(found.ratios[1:, column]).all()


@given(values=st.lists(st.floats(-1, 1, exclude_max=True), min_size=1, max_size=50))
def test_a_widened_histogram_is_the_histogram_over_the_wider_range(values):
    array = np.array(values)
    narrow = histogram(array, 1.0, 64)
    assert narrow.sum() == len(values)
    np.testing.assert_array_equal(widened(narrow), histogram(array, 2.0, 64))


def test_what_is_no_recording_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"train\.Recorder"):
        viz.training(tmp_path)
    for folder in (None, 3):
        with pytest.raises(ConfigError, match="give the folder of the run"):
            train.Recorder(folder)
    with pytest.raises(ConfigError, match="seconds is -1"):
        train.Recorder(tmp_path, seconds=-1)
    for content in (b"", b"PK\x03\x04 cut", b"text"):
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises(DataError, match="damaged"):
            viz.training(tmp_path)
    for found, words in ((tmp_path / FILE, "a file"), (tmp_path / "nodir", "not there")):
        with pytest.raises(DataError, match=rf"{found.name} is no run: it is {words}; give the folder of a run"):
            viz.training(found)
    for found in (3, SimpleNamespace(folder=None)):
        with pytest.raises(ConfigError, match="is no run"):
            viz.training(found)
