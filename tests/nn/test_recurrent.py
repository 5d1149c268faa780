"""Recurrent layers: PyTorch's numbers, padding, states, directions, and the errors for what does not fit."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core import errors
from tinygrad_rnn.core.tree import tree_flatten, tree_map
from tinygrad_rnn.interop import load_torch_state_dict, torch_state_dict
from tinygrad_rnn.scan.engines import EngineWarning


class Minimal(nn.Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(input_size, 2 * hidden_size)
        self.from_state = nn.Linear(hidden_size, 2 * hidden_size, bias=False)

    def forward(self, x, h):
        z, n = np.split(self.from_input(x) + self.from_state(h), 2, axis=-1)
        z = tg.sigmoid(z)
        h = (1 - z) * h + z * np.tanh(n)
        return h, h


class Memory(nn.Cell):
    """A cell with three states of three shapes, one of them a counter, that divides by the size of its input."""

    def __init__(self, input_size, hidden_size, slots=2):
        super().__init__()
        self.hidden_size, self.slots = hidden_size, slots
        self.from_input = nn.Linear(input_size, hidden_size)
        self.from_state = nn.Linear(hidden_size, hidden_size)

    def initial_state(self, batch_size):
        h = super().initial_state(batch_size)
        return {
            "h": h,
            "slots": np.zeros((batch_size, self.slots, self.hidden_size), h.dtype),
            "count": np.zeros(batch_size, dtype=np.int64),
        }

    def forward(self, x, state):
        x = x / np.sqrt(np.sum(x * x, axis=-1, keepdims=True))
        h = np.tanh(self.from_input(x) + self.from_state(state["h"] + np.sum(state["slots"], axis=1)))
        slots = np.concatenate([state["slots"][:, 1:], h[:, None]], axis=1)
        return h, {"h": h, "slots": slots, "count": state["count"] + 1}


class Pass(nn.Cell):
    """Hands its input on."""

    def __init__(self, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size

    def forward(self, x, h):
        return x, h


CELLS = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell, "minimal": Minimal, "memory": Memory}
CLASSES = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}


@st.composite
def batches(draw, features=3):
    """Draw a number of steps, lengths (None among them), and a random generator."""
    time, batch = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    lengths = draw(st.none() | st.lists(st.integers(0, time), min_size=batch, max_size=batch))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    return rng.normal(size=(time, batch, features)), lengths, rng


def layer_of(kind, rng, layers=1, bidirectional=False, inputs=3, hidden=2, **options):
    """Return a layer of any cell in float64 with random weights."""
    sizes = [inputs] + [hidden * (1 + bidirectional)] * (layers - 1)
    make = CELLS[kind]
    cells = [(make(size, hidden), make(size, hidden)) if bidirectional else make(size, hidden) for size in sizes]
    layer = nn.Recurrent(cells, **options).astype(np.float64)
    for parameter in layer.parameters():
        parameter.assign(rng.normal(size=parameter.shape) * 0.7)
    return layer


def leaves_of(nest):
    return tree_flatten(nest)[0]


def loss_of(results, seed=0):
    """Return a random linear function of all floating leaves."""
    rng = np.random.default_rng(seed)
    return sum(np.sum(leaf * rng.normal(size=leaf.shape)) for leaf in leaves_of(results) if leaf.dtype.kind == "f")


def padding(time, lengths):
    return np.arange(time)[:, None] >= np.asarray(lengths)


def test_the_layer_of_a_minimal_cell_is_what_the_cell_computes_step_by_step():
    x, lengths = np.random.default_rng(0).normal(size=(9, 3, 28)), [9, 0, 5]
    layer = nn.Recurrent(Minimal(28, 64))
    y, h = layer(x, lengths=lengths)
    assert y.shape == (9, 3, 64)
    assert h.shape == (1, 3, 64)
    cell = layer.cells[0]
    for row, n in enumerate(lengths):
        state = tg.Tensor(np.zeros((1, 64)))
        for t in range(n):
            out, state = cell(x[t, row : row + 1], state)
            np.testing.assert_allclose(y.data[t, row], out.data[0], atol=1e-12)
        np.testing.assert_allclose(h.data[0, row], state.data[0], atol=1e-12)


@pytest.mark.parametrize("kind", ["RNN", "RNN relu", "LSTM", "GRU"])
@settings(deadline=None, max_examples=60)
@given(
    batch=batches(),
    layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    bias=st.booleans(),
    batch_first=st.booleans(),
    with_state=st.booleans(),
)
def test_outputs_states_and_gradients_are_pytorchs(kind, batch, layers, bidirectional, bias, batch_first, with_state):
    torch = pytest.importorskip("torch")
    x, lengths, rng = batch
    options = {"num_layers": layers, "bidirectional": bidirectional, "bias": bias, "batch_first": batch_first}
    if kind == "RNN relu":
        kind, options["nonlinearity"] = "RNN", "relu"
    theirs = getattr(torch.nn, kind)(3, 2, **options).double()
    ours = CLASSES[kind](3, 2, **options).astype(np.float64)
    load_torch_state_dict(ours, theirs.state_dict())

    time, rows, _ = x.shape
    lengths = np.asarray([time] * rows if lengths is None else lengths)
    shape = (layers * (1 + bidirectional), rows, 2)
    state = [rng.normal(size=shape) * with_state for _ in range(1 + (kind == "LSTM"))]
    dy, *dstate = [rng.normal(size=(time, rows, 2 * (1 + bidirectional))), *[rng.normal(size=shape) for _ in state]]
    turn = (lambda a: a.swapaxes(0, 1)) if batch_first else (lambda a: a)

    x_ours, state_ours = tg.Tensor(turn(x), requires_grad=True), [tg.Tensor(s, requires_grad=True) for s in state]
    given_state = (tuple(state_ours) if kind == "LSTM" else state_ours[0]) if with_state else None
    y, final = ours(x_ours, given_state, lengths=None if (lengths == time).all() else lengths)
    finals = final if kind == "LSTM" else (final,)
    (np.sum(y * turn(dy)) + sum(np.sum(f * d) for f, d in zip(finals, dstate, strict=True))).backward()

    # PyTorch packs no empty rows: they are left out there, and must be zeros, or the initial state, here.
    kept = np.flatnonzero(lengths)
    np.testing.assert_array_equal(turn(y.data)[:, lengths == 0], 0)
    for f, s in zip(finals, state, strict=True):
        np.testing.assert_array_equal(f.data[:, lengths == 0], s[:, lengths == 0])
    if not kept.size:
        return
    x_t = torch.tensor(turn(x[:, kept]), requires_grad=True)
    state_t = [torch.tensor(s[:, kept], requires_grad=True) for s in state]
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        x_t, torch.tensor(lengths[kept]), batch_first=batch_first, enforce_sorted=False
    )
    y_t, final_t = theirs(packed, tuple(state_t) if kind == "LSTM" else state_t[0])
    y_t, _ = torch.nn.utils.rnn.pad_packed_sequence(y_t, batch_first=batch_first, total_length=time)
    finals_t = final_t if kind == "LSTM" else (final_t,)
    loss_t = (y_t * torch.tensor(turn(dy[:, kept]))).sum()
    loss_t = loss_t + sum((f * torch.tensor(d[:, kept])).sum() for f, d in zip(finals_t, dstate, strict=True))
    loss_t.backward()

    close = {"atol": 1e-10, "rtol": 1e-10}
    np.testing.assert_allclose(turn(y.data)[:, kept], turn(y_t.detach().numpy()), **close)
    np.testing.assert_allclose(turn(x_ours.grad)[:, kept], turn(x_t.grad.numpy()), **close)
    for i in range(len(state)):
        np.testing.assert_allclose(finals[i].data[:, kept], finals_t[i].detach().numpy(), **close)
        if with_state:
            np.testing.assert_allclose(state_ours[i].grad[:, kept], state_t[i].grad.numpy(), **close)
            np.testing.assert_array_equal(state_ours[i].grad[:, lengths == 0], dstate[i][:, lengths == 0])
    for parameter in ours.parameters():
        parameter.assign(parameter.grad)
    for (name, gradient), parameter in zip(torch_state_dict(ours).items(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(gradient, parameter.grad.numpy(), err_msg=name, **close)


@pytest.mark.parametrize("kind", CELLS)
@settings(deadline=None, max_examples=15)
@given(
    batch=batches(),
    layers=st.integers(1, 2),
    bidirectional=st.booleans(),
    batch_first=st.booleans(),
    learned=st.booleans(),
)
def test_gradients_of_a_layer_equal_central_differences(kind, batch, layers, bidirectional, batch_first, learned):
    values, lengths, rng = batch
    layer = layer_of(kind, rng, layers, bidirectional, batch_first=batch_first, learned_state=learned)
    if lengths is not None:
        values[padding(len(values), lengths)] = np.nan
    x = tg.Tensor(values.swapaxes(0, 1) if batch_first else values, requires_grad=True)

    def loss():
        return loss_of(layer(x, lengths=lengths, return_states=True))

    loss().backward()
    for leaf in [x, *layer.parameters()]:
        direction, value, step = rng.normal(size=leaf.shape), leaf.data.copy(), 1e-6
        analytic = np.sum(leaf.grad * direction)
        moved = []
        for sign in 1, -1:
            leaf._rebind(value + sign * step * direction)
            moved.append(loss().item())
        leaf._rebind(value)
        np.testing.assert_allclose((moved[0] - moved[1]) / (2 * step), analytic, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", CELLS)
@settings(deadline=None, max_examples=30)
@given(
    batch=batches(),
    layers=st.integers(1, 2),
    bidirectional=st.booleans(),
    learned=st.booleans(),
    more=st.integers(0, 3),
    junk=st.sampled_from([0.0, np.nan, np.inf, -np.inf, 1e300]),
)
def test_padding_changes_no_output_no_state_and_no_gradient(kind, batch, layers, bidirectional, learned, more, junk):
    values, lengths, rng = batch
    lengths = [len(values)] * values.shape[1] if lengths is None else lengths
    layer = layer_of(kind, rng, layers, bidirectional, learned_state=learned)
    padded = np.concatenate([values, np.ones((more, *values.shape[1:]))])
    padded[padding(len(padded), lengths)] = junk

    def run(array):
        layer.zero_grad()
        x = tg.Tensor(array, requires_grad=True)
        y, final, states = layer(x, lengths=lengths, return_states=True)
        time = len(values)
        cut = y[:time], final, tree_map(lambda leaf: leaf[:, :time], states)
        assert not y.data[padding(len(array), lengths)].any()
        for leaf in leaves_of(states):
            assert not leaf.data[:, padding(len(array), lengths)].any()
        loss_of(cut).backward()
        return leaves_of(cut), x.grad, [parameter.grad for parameter in layer.parameters()]

    clean, x_clean, weights_clean = run(values)
    dirty, x_dirty, weights_dirty = run(padded)
    for a, b in zip(clean, dirty, strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    for a, b in zip(weights_clean, weights_dirty, strict=True):
        assert np.isfinite(b).all()
        np.testing.assert_allclose(a, b, atol=1e-12)
    assert not x_dirty[padding(len(padded), lengths)].any()
    np.testing.assert_allclose(x_clean, x_dirty[: len(values)], atol=1e-12)


@pytest.mark.parametrize("kind", CELLS)
@settings(deadline=None, max_examples=20)
@given(batch=batches(), layers=st.integers(1, 2), bidirectional=st.booleans())
def test_a_batch_with_lengths_equals_its_sequences_one_by_one(kind, batch, layers, bidirectional):
    values, lengths, rng = batch
    if lengths is None:
        return
    layer = layer_of(kind, rng, layers, bidirectional)
    y, final, states = layer(values, lengths=lengths, return_states=True)
    for row, n in enumerate(lengths):
        if n:
            y_alone, final_alone, states_alone = layer(values[:n, row : row + 1], return_states=True)
            np.testing.assert_allclose(y.data[:n, row], y_alone.data[:, 0], atol=1e-12)
            for whole, alone in zip(leaves_of(final), leaves_of(final_alone), strict=True):
                np.testing.assert_allclose(whole.data[:, row], alone.data[:, 0], atol=1e-12)
            for whole, alone in zip(leaves_of(states), leaves_of(states_alone), strict=True):
                np.testing.assert_allclose(whole.data[:, :n, row], alone.data[:, :, 0], atol=1e-12)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_debug_mode_finds_no_nan_in_the_padding(batch_first, requires_grad):
    layer, x = nn.GRU(3, 2, 2, bidirectional=True, batch_first=batch_first), np.ones((4, 4, 3))
    for row, n in enumerate([3, 0, 2, 1]):
        x[(row, slice(n, None)) if batch_first else (slice(n, None), row)] = np.nan
    with tg.debug():
        y, _ = layer(tg.Tensor(x, requires_grad=requires_grad), lengths=[3, 0, 2, 1])
        np.sum(y).backward()
    with tg.debug(), pytest.raises(errors.NonFiniteError):
        layer(x)


def test_the_reverse_direction_starts_at_the_own_end_of_each_sequence():
    x = np.random.default_rng(0).normal(size=(5, 2, 3))
    layer = nn.GRU(3, 2, bidirectional=True)
    y, h = layer(x, lengths=[5, 2])
    backward = nn.Recurrent(layer.cells[1])
    turned, last = backward(x[:2, 1:][::-1])
    np.testing.assert_allclose(y.data[:2, 1, 2:], turned.data[::-1, 0], atol=1e-12)
    np.testing.assert_allclose(h.data[1, 1], last.data[0, 0], atol=1e-12)


@given(batch=batches(), cut=st.integers(0, 6))
@settings(deadline=None)
def test_a_sequence_in_two_windows_with_carried_state_equals_one_in_a_window(batch, cut):
    values, _, rng = batch
    for kind in "lstm", "memory":
        layer = layer_of(kind, rng, layers=2)
        y, final = layer(values)
        first, state = layer(values[:cut])
        second, state = layer(values[cut:], state)
        np.testing.assert_allclose(np.concatenate([first.data, second.data]), y.data, atol=1e-12)
        for a, b in zip(leaves_of(state), leaves_of(final), strict=True):
            np.testing.assert_allclose(a.data, b.data, atol=1e-12)
            assert a.dtype == b.dtype


@pytest.mark.parametrize("kind", CELLS)
def test_states_of_all_steps_end_in_the_final_state(kind):
    x = np.random.default_rng(1).normal(size=(4, 3, 3))
    layer = layer_of(kind, np.random.default_rng(2), layers=2, bidirectional=True)
    _, final, states = layer(x, return_states=True)
    for last, every in zip(leaves_of(final), leaves_of(states), strict=True):
        assert every.shape == (4, 4, *last.shape[1:])
        np.testing.assert_array_equal(every.data[0::2, -1], last.data[0::2])
        np.testing.assert_array_equal(every.data[1::2, 0], last.data[1::2])


@pytest.mark.parametrize("kind", CELLS)
def test_batch_first_turns_input_output_and_states_and_leaves_the_state(kind):
    x = np.random.default_rng(1).normal(size=(4, 3, 3))
    layer = layer_of(kind, np.random.default_rng(2), layers=2, bidirectional=True)
    turned = nn.Recurrent([tuple(layer.cells[:2]), tuple(layer.cells[2:])], batch_first=True)
    y, final, states = layer(x, lengths=[4, 1, 2], return_states=True)
    y_turned, final_turned, states_turned = turned(x.swapaxes(0, 1), final, lengths=[4, 1, 2], return_states=True)
    y, again, states = layer(x, final, lengths=[4, 1, 2], return_states=True)
    np.testing.assert_array_equal(y_turned.data, y.data.swapaxes(0, 1))
    for a, b in zip(leaves_of(final_turned), leaves_of(again), strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    for a, b in zip(leaves_of(states_turned), leaves_of(states), strict=True):
        np.testing.assert_array_equal(a.data, b.data.swapaxes(1, 2))


@pytest.mark.parametrize("kind", CELLS)
def test_steps_one_by_one_equal_the_layer_and_leave_no_tape(kind):
    x = np.random.default_rng(1).normal(size=(4, 2, 3))
    layer = layer_of(kind, np.random.default_rng(2), layers=2, learned_state=kind == "lstm")
    y, final = layer(x)
    state = None
    for t in range(4):
        y_t, state = layer.step(x[t], state)
        np.testing.assert_allclose(y_t.data, y.data[t], atol=1e-12)
        assert not y_t.requires_grad
    for a, b in zip(leaves_of(state), leaves_of(final), strict=True):
        np.testing.assert_allclose(a.data, b.data, atol=1e-12)
        assert not a.requires_grad


def test_a_step_of_two_directions_is_named():
    with pytest.raises(errors.ConfigError, match="two directions"):
        nn.RNN(2, 3, bidirectional=True).step(np.ones((1, 2)))


def test_a_step_of_a_broken_cell_is_named():
    class Broken(Pass):
        def forward(self, x, h):
            return h

    with pytest.raises(errors.CellError, match="return a pair"):
        nn.Recurrent(Broken(2)).step(np.ones((1, 2)))


def test_tokens_are_an_input_for_a_cell_that_takes_them():
    class Reader(nn.Cell):
        def __init__(self):
            super().__init__()
            self.hidden_size = 4
            self.table = nn.Embedding(10, 4)

        def forward(self, token, h):
            h = np.tanh(h + self.table(token))
            return h, h

    tokens = np.random.default_rng(0).integers(0, 10, size=(5, 3))
    layer = nn.Recurrent(Reader())
    y, _ = layer(tokens, lengths=[5, 2, 0])
    np.sum(y).backward()
    assert y.shape == (5, 3, 4)
    seen = np.zeros(10, dtype=bool)
    seen[tokens[:, 0]] = seen[tokens[:2, 1]] = True
    np.testing.assert_array_equal(layer.cells[0].table.weight.grad.any(axis=1), seen)
    assert layer.step(tokens[0])[0].shape == (3, 4)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_no_time_and_no_rows_give_empty_outputs(kind, bidirectional):
    layer = layer_of(kind, np.random.default_rng(2), layers=2, bidirectional=bidirectional)
    width = 2 * (1 + bidirectional)
    y, final, states = layer(np.zeros((0, 3, 3)), return_states=True)
    np.sum(y).backward()
    assert not any(parameter.grad.any() for parameter in layer.parameters())
    assert y.shape == (0, 3, width)
    assert leaves_of(states)[0].shape[:3] == (width, 0, 3)
    for leaf in leaves_of(final):
        assert not leaf.data.any()
    for lengths in None, []:
        y, final = layer(np.zeros((4, 0, 3)), lengths=lengths)
        assert y.shape == (4, 0, width)
        assert leaves_of(final)[0].shape[:2] == (width, 0)
        np.sum(y).backward()
    y, final = layer(np.full((4, 3, 3), np.nan), lengths=[0, 0, 0])
    assert y.shape == (4, 3, width)
    assert not y.data.any()
    assert not leaves_of(final)[0].data.any()


def test_a_learned_state_gets_its_gradient_and_gives_way_to_a_given_one():
    layer = nn.LSTM(3, 2, num_layers=2, learned_state=True).astype(np.float64)
    names = [name for name, _ in layer.named_parameters() if name.startswith("learned")]
    assert names == ["learned.0.leaf_0", "learned.0.leaf_1", "learned.1.leaf_0", "learned.1.leaf_1"]
    for i, learned in enumerate(layer.learned):
        learned.leaf_0.assign(np.full(2, i + 1.0))
        learned.leaf_1.assign(np.full(2, -i - 1.0))
    x = np.random.default_rng(0).normal(size=(3, 4, 3))
    _, (h, c) = layer(x, lengths=[3, 0, 1, 0])
    np.testing.assert_array_equal(h.data[:, 1], [[1, 1], [2, 2]])
    np.testing.assert_array_equal(c.data[:, 3], [[-1, -1], [-2, -2]])
    np.sum(h[1, 1]).backward()
    np.testing.assert_array_equal(layer.learned[1].leaf_0.grad, [1, 1])
    given = (np.zeros((2, 4, 2)), np.zeros((2, 4, 2)))
    plain = nn.Recurrent(list(layer.cells))
    np.testing.assert_array_equal(layer(x, given)[0].data, plain(x)[0].data)
    assert (layer(x)[0].data != plain(x)[0].data).all()


def test_a_learned_state_starts_as_the_cells_own_and_leaves_its_integers_alone():
    class Start(Memory):
        def initial_state(self, batch_size):
            return {**super().initial_state(batch_size), "h": np.full((batch_size, self.hidden_size), 0.5)}

    layer = nn.Recurrent(Start(3, 2).astype(np.float64), learned_state=True)
    assert [name for name, _ in layer.learned.named_parameters()] == ["0.leaf_0", "0.leaf_1"]
    x = np.random.default_rng(0).normal(size=(3, 2, 3))
    y, final = layer(x)
    np.testing.assert_array_equal(y.data, nn.Recurrent(layer.cells[0])(x)[0].data)
    np.testing.assert_array_equal(final["count"].data, [[3, 3]])


@pytest.mark.parametrize("layers", [2, 3])
def test_dropout_acts_between_layers_and_not_after_the_last(layers):
    tg.random.seed(0)
    layer = nn.Recurrent([Pass(50) for _ in range(layers)], dropout=0.5)
    x = np.ones((20, 10, 50), dtype=np.float32)
    y, _ = layer(x)
    scale = 2.0 ** (layers - 1)
    np.testing.assert_array_equal(np.unique(y.data), [0, scale])
    np.testing.assert_allclose((y.data != 0).mean(), 1 / scale, atol=0.02)
    np.testing.assert_array_equal(layer.eval()(x)[0].data, x)


def test_dropout_with_one_layer_warns_that_it_has_no_effect():
    with pytest.warns(UserWarning, match="no effect"):
        layer = nn.GRU(2, 3, dropout=0.5)
    x = np.ones((3, 2, 2))
    np.testing.assert_array_equal(layer(x)[0].data, layer(x)[0].data)


def test_cells_of_different_states_hand_over_a_tuple_of_states():
    x = np.random.default_rng(0).normal(size=(4, 3, 5))
    layer = nn.Recurrent([nn.LSTMCell(5, 6), nn.GRUCell(6, 2)])
    y, state, states = layer(x, lengths=[4, 2, 0], return_states=True)
    (h, c), g = state
    assert (y.shape, h.shape, c.shape, g.shape) == ((4, 3, 2), (3, 6), (3, 6), (3, 2))
    assert states[1].shape == (4, 3, 2)
    assert layer(x, state)[1][1].shape == (3, 2)
    assert layer.step(x[0], state)[0].shape == (3, 2)
    with pytest.raises(errors.ShapeError, match="a tuple with the state of each cell"):
        layer(x, h)


@pytest.mark.parametrize("x_dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", CELLS)
def test_dtypes_follow_numpys_promotion(kind, dtype, x_dtype):
    layer = nn.Recurrent([CELLS[kind](3, 2), CELLS[kind](2, 2)]).astype(dtype)
    expected = np.result_type(dtype, x_dtype)
    y, state = layer(np.ones((3, 2, 3), dtype=x_dtype), lengths=[3, 1])
    assert y.dtype == expected
    assert {leaf.dtype for leaf in leaves_of(state)} - {np.dtype(np.int64)} == {expected}
    assert layer.step(np.ones((2, 3), dtype=x_dtype), state)[0].dtype == expected
    np.sum(y).backward()
    assert all(parameter.grad.dtype == dtype for parameter in layer.parameters())


@pytest.mark.parametrize("kind", CELLS)
def test_a_state_of_a_narrower_dtype_is_promoted_to_that_of_the_weights(kind):
    layer, x = nn.Recurrent(CELLS[kind](3, 2)), np.ones((3, 2, 3), dtype=np.float32)
    _, state = layer(x)
    y, _ = layer.astype(np.float64)(x, state)
    assert y.dtype == np.float64


def test_integer_features_are_numbers_to_a_cell_of_features_and_integer_tokens_are_refused():
    layer, x = nn.LSTM(3, 2), np.arange(18).reshape(3, 2, 3) % 2
    y, _ = layer(x)
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y.data, layer(x.astype(np.float64))[0].data)
    assert layer(x > 0)[0].dtype == np.float32
    assert layer.step(x[0])[0].dtype == np.float64
    for tokens in np.zeros((4, 3), dtype=int), np.zeros((3, 3), dtype=int):
        with pytest.raises(errors.ShapeError, match=r"int64 and shape .*; give \(time, batch, 3\)"):
            layer(tokens)


@tg.engine("eager")
def test_the_scope_of_a_node_names_layer_step_and_cell():
    layer = nn.GRU(2, 3, bidirectional=True)
    y, _ = layer(np.ones((3, 1, 2)))
    todo, scopes = [y.node], set()
    while todo:
        node = todo.pop()
        if node is not None and node.operation == "tanh":
            scopes.add(node.scope)
        todo.extend(parent for parent in (node.parents if node else ()))
    steps = sorted(next(part for part in scope if isinstance(part, int)) for scope in scopes)
    assert steps == [0, 0, 1, 1, 2, 2]
    assert all(scope[0] == "GRU" for scope in scopes)
    assert len({scope[2:] for scope in scopes}) == 2


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.Recurrent([]), errors.ConfigError, "one layer or more"),
        (lambda: nn.Recurrent([Pass(1), (Pass(1), Pass(1))]), errors.ConfigError, r"\[1, 2\] directions"),
        (lambda: nn.Recurrent(Pass), errors.CellError, "give an instance"),
        (lambda: nn.Recurrent([Pass]), errors.CellError, "give an instance"),
        (lambda: nn.Recurrent(nn.Linear(2, 3)), errors.CellError, "derive from nn.Cell"),
        (lambda: nn.Recurrent([(Pass(1), Pass(1), Pass(1))]), errors.CellError, "neither a cell nor a pair"),
        (lambda: nn.Recurrent(None), errors.CellError, "neither a cell nor a pair"),
        (lambda: nn.LSTM(2, 3, num_layers=0), errors.ConfigError, "num_layers is 0"),
        (lambda: nn.RNN(2, 3, nonlinearity="sine"), errors.ConfigError, "sine"),
        (lambda: nn.RNN(2, 3, num_layers=2, dropout=1.5), errors.ConfigError, "1.5"),
    ],
)
def test_what_makes_no_layer_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((4, 2, 5), r"\(4, 2, 5\); give \(time, batch, 3\)"),
        ((4, 3), r"\(4, 3\); give \(time, batch, 3\)"),
        ((3,), r"\(3,\)"),
        ((), r"\(\)"),
    ],
)
def test_an_input_that_does_not_fit_is_named(shape, words):
    layer = nn.GRU(3, 2)
    with pytest.raises(errors.ShapeError, match=words):
        layer(np.ones(shape))
    with pytest.raises(errors.ShapeError, match=r"give \(batch, 3\)"):
        layer.step(np.ones((2, 5)))
    with pytest.raises(errors.ShapeError):
        nn.Recurrent(Minimal(3, 2))(np.ones(shape))
    with pytest.raises(errors.ShapeError, match=r"\(batch, time, 3\)"):
        nn.GRU(3, 2, batch_first=True)(np.ones(shape))


def test_an_input_without_time_is_checked_too():
    with pytest.raises(errors.ShapeError):
        nn.Recurrent(Minimal(3, 2))(np.ones((0, 2, 5)))


@pytest.mark.parametrize(
    ("lengths", "error"),
    [
        ([1, 5], errors.DataError),
        ([-1, 2], errors.DataError),
        ([1.0, 2.0], errors.DtypeError),
        ([1], errors.ShapeError),
    ],
)
def test_lengths_that_do_not_fit_are_named_by_the_layer_too(lengths, error):
    with pytest.raises(error, match="length"):
        nn.GRU(3, 2)(np.ones((4, 2, 3)), lengths=lengths)


zeros = np.zeros((1, 2, 4))


@pytest.mark.parametrize(
    ("state", "error", "words"),
    [
        (zeros, errors.ShapeError, r"a state float64\[1, 2, 4\]; give \(float32\[1, 2, 4\], float32\[1, 2, 4\]\)"),
        ((zeros,), errors.ShapeError, "give"),
        ([zeros, zeros], errors.ShapeError, "give"),
        ((zeros[0], zeros[0]), errors.ShapeError, r"float64\[2, 4\]"),
        ((zeros[:, :1], zeros[:, :1]), errors.ShapeError, r"float64\[1, 1, 4\]"),
        ((zeros, None), errors.ShapeError, "None"),
        ((zeros.astype(int), zeros.astype(int)), errors.DtypeError, "int64"),
    ],
)
def test_a_state_that_does_not_fit_is_named(state, error, words):
    with pytest.raises(error, match=words):
        nn.LSTM(3, 4)(np.ones((5, 2, 3)), state)
    with pytest.raises(error, match=words):
        nn.LSTM(3, 4).step(np.ones((2, 3)), state)


@pytest.mark.parametrize(
    ("forward", "words"),
    [
        (lambda self, x, h: h, "Made, step 0: it returned.*return a pair"),
        (lambda self, x, h: (x, (h, h)), "Made, step 0: it was given"),
        (lambda self, x, h: ((x, x), h), "one array"),
        (lambda self, x, h: (1.0, h), "Made, step 0: the output is float"),
        (lambda self, x, h: (np.sum(x), h), "one array"),
        (lambda self, x, h: (x[:1], h), "one array"),
    ],
)
def test_a_cell_that_breaks_the_protocol_is_named(forward, words):
    made = type("Made", (Pass,), {"forward": forward})
    with pytest.raises(errors.CellError, match=words):
        nn.Recurrent(made(3))(np.ones((4, 2, 3)))


def test_an_initial_state_without_the_batch_is_named():
    made = type("Made", (Pass,), {"initial_state": lambda self, batch_size: np.zeros(self.hidden_size)})
    with pytest.raises(errors.CellError, match=r"Made.initial_state\(2\) is float64\[3\]"):
        nn.Recurrent(made(3))(np.ones((4, 2, 3)))


def test_a_gru_of_the_papers_form_is_made_of_cells_of_that_form():
    layer = nn.GRU(3, 2, num_layers=2, bidirectional=True, reset_after=False, bias=False)
    assert len(layer.cells) == 4
    assert not any(cell.reset_after for cell in layer.cells)
    assert not [name for name, _ in layer.named_parameters() if "bias" in name]


def test_the_repr_shows_layers_directions_and_cells():
    text = repr(nn.GRU(2, 3, 2, bidirectional=True, batch_first=True))
    assert text.startswith("GRU(2 layers, 2 directions, batch_first), 324 parameters")
    assert text.count("GRUCell") == 4
    assert "Dropout" not in text
    assert "Dropout(0.5)" in repr(nn.GRU(2, 3, 2, dropout=0.5))
    assert repr(nn.RNN(2, 3)).startswith("RNN(1 layer), ")


@pytest.mark.parametrize("lengths", [None, [4, 2]])
@tg.engine("eager")
def test_the_tape_of_a_layer_goes_with_the_loss(lengths):
    layer = layer_of("lstm", np.random.default_rng(0), 2, True)
    gc.collect()
    gc.disable()
    try:
        loss = loss_of(layer(np.ones((4, 2, 3)), lengths=lengths, return_states=True))
        nodes = [weakref.ref(node) for node in tg.Graph.of(loss).nodes if node.primitive is not None]
        assert len(nodes) > 100
        del loss
        assert not any(node() for node in nodes)
    finally:
        gc.enable()


def test_hooks_on_a_cell_see_every_step():
    layer, seen = nn.GRU(2, 3), []
    layer.cells[0].register_forward_hook(lambda module, args, output: seen.append(output[0].shape))
    with pytest.warns(EngineWarning, match="has forward hooks"):
        layer(np.ones((4, 2, 2)))
    assert seen == [(2, 3)] * 4
