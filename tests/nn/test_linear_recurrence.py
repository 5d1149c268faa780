"""Layers in parallel time: the numbers of the same cells step by step, and the formulas of minGRU and minLSTM."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn, testing
from tinygrad_rnn.core import errors
from tinygrad_rnn.core.tree import tree_flatten
from tinygrad_rnn.nn import linear_recurrence
from tinygrad_rnn.testing import gradcheck


class Diagonal(nn.LinearCell):
    """A factor that is the same at all steps and in all rows, and an output that is not the state."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.rate = nn.Parameter(np.linspace(-1, 2, hidden_size, dtype=np.float32))
        self.into, self.out = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size)
        self.skip = nn.Linear(input_size, hidden_size)

    def coefficients(self, x):
        return tg.sigmoid(self.rate), self.into(x)

    def output(self, x, h):
        return np.tanh(self.out(h)) + self.skip(x)


class Fragile(nn.LinearCell):
    """A state of two axes; 0 / 0 where the input is 0, and an endless slope of the output where the state is 0."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.into = nn.Linear(input_size, 2 * hidden_size)

    def initial_state(self, batch_size):
        return np.zeros((batch_size, 2, self.hidden_size), self.into.weight.dtype)

    def coefficients(self, x):
        x = x / np.sqrt(np.sum(x * x, axis=-1, keepdims=True))
        b = self.into(x).reshape(x.shape[0], 2, self.hidden_size)
        return np.sin(np.sum(x, axis=-1))[:, None, None], b

    def output(self, x, h):
        return np.sum(np.sqrt(h * h), axis=1)


class Average(nn.LinearCell):
    """Coefficients without parameters: a number and the input."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.gain = nn.Parameter(np.ones(1, np.float32))

    def coefficients(self, x):
        return 0.5, self.gain * x[:, : self.hidden_size]


CELLS = {
    "minGRU": nn.MinGRUCell,
    "minLSTM": nn.MinLSTMCell,
    "diagonal": Diagonal,
    "fragile": Fragile,
    "average": Average,
}
each_cell = pytest.mark.parametrize("kind", CELLS)


def leaves_of(nest):
    return tree_flatten(nest)[0]


def pair_of_layers(kind, rng, layers=1, bidirectional=False, **options):
    """Return two layers of the same cells in float64: step by step, and in parallel."""
    sizes, make = [3] + [2 * (1 + bidirectional)] * (layers - 1), CELLS[kind]
    cells = [(make(size, 2), make(size, 2)) if bidirectional else make(size, 2) for size in sizes]
    by_steps = nn.Recurrent(cells, engine="eager", **options).astype(np.float64)
    for parameter in by_steps.parameters():
        parameter.assign(rng.normal(size=parameter.shape) * 0.7)
    parallel = nn.LinearRecurrence(cells, **options)
    parallel.learned = by_steps.learned
    return by_steps, parallel


@st.composite
def batches(draw):
    """Draw lengths (None among them), an input with junk behind them, and a random generator."""
    time = draw(st.sampled_from([0, 1, 7, 33]))
    batch = draw(st.sampled_from([0, 1, 3] if time else [1, 3]))
    lengths = draw(st.none() | st.lists(st.integers(0, time), min_size=batch, max_size=batch))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    x = rng.normal(size=(time, batch, 3))
    if lengths is not None:
        x[np.arange(time)[:, None] >= np.array(lengths, int)] = draw(st.sampled_from([0.0, np.nan, np.inf, 1e300]))
    return x, lengths if lengths is None else np.array(lengths, int), rng


@each_cell
@settings(max_examples=60)
@given(
    batch=batches(),
    layers=st.integers(1, 2),
    bidirectional=st.booleans(),
    batch_first=st.booleans(),
    start=st.sampled_from(["own", "given", "learned"]),
    at_once=st.sampled_from([linear_recurrence._ELEMENTS_AT_ONCE, 24]),
)
def test_outputs_states_and_gradients_are_those_of_the_loop(
    kind, batch, layers, bidirectional, batch_first, start, at_once
):
    values, lengths, rng = batch
    options = {"batch_first": batch_first, "learned_state": start == "learned"}
    both = pair_of_layers(kind, rng, layers, bidirectional, **options)
    shape = both[0].cells[0].initial_state(values.shape[1]).shape
    initial = rng.normal(size=(layers * (1 + bidirectional), *shape))
    seed, found = int(rng.integers(9999)), []
    for layer in both:
        layer.zero_grad()
        x = tg.Tensor(values.swapaxes(0, 1) if batch_first else values, requires_grad=True)
        state = tg.Tensor(initial, requires_grad=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(linear_recurrence, "_ELEMENTS_AT_ONCE", at_once)
            results = layer(x, state if start == "given" else None, lengths=lengths, return_states=True)
        weights = np.random.default_rng(seed)
        sum([np.sum(leaf * weights.normal(size=leaf.shape)) for leaf in leaves_of(results)]).backward()
        slopes = [x.grad, state.grad, *[parameter.grad for parameter in layer.parameters()]]
        found.append(([leaf.data for leaf in leaves_of(results)], slopes))
    (values_of_loop, slopes_of_loop), (values_in_parallel, slopes_in_parallel) = found
    for expected, value in zip(values_of_loop, values_in_parallel, strict=True):
        assert value.dtype == expected.dtype
        np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-10)
    for expected, slope in zip(slopes_of_loop, slopes_in_parallel, strict=True):
        assert (slope is None) == (expected is None)
        if slope is None:  # of a given state that was not given
            continue
        assert np.isfinite(slope).all()
        np.testing.assert_allclose(slope, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("lengths", [None, []])
def test_neither_steps_nor_rows_give_empty_results_and_zero_gradients(lengths):
    layer, x = nn.MinGRU(3, 4, 2, bidirectional=True), tg.Tensor(np.zeros((0, 0, 3)), requires_grad=True)
    y, final, states = layer(x, lengths=lengths, return_states=True)
    assert (y.shape, final.shape, states.shape) == ((0, 0, 8), (4, 0, 4), (4, 0, 0, 4))
    np.sum(y).backward()
    assert x.grad.shape == (0, 0, 3)


@pytest.mark.parametrize("kind", ["minGRU", "minLSTM", "diagonal"])
def test_derivatives_to_second_order_are_those_of_central_differences(kind):
    rng = np.random.default_rng(0)
    _, layer = pair_of_layers(kind, rng, 2, bidirectional=True)
    gradcheck(lambda x: layer(x, lengths=[4, 0, 2]), [rng.normal(size=(4, 3, 3))])


@pytest.mark.parametrize("kind", ["minGRU", "minLSTM", "diagonal"])
def test_cells_pass_check_cell(kind):
    report = testing.check_cell(CELLS[kind](3, 5))
    assert all(result.outcome in ("pass", "skip") for result in report.results), str(report)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@given(st.integers(0, 9999))
def test_the_cells_are_their_formulas(seed):
    rng = np.random.default_rng(seed)
    x, h = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    cell = nn.MinGRUCell(3, 2).astype(np.float64)
    z, n = np.split(x @ cell.from_input.weight.data + cell.from_input.bias.data, 2, axis=-1)
    y, state = cell(x, h)
    np.testing.assert_allclose(y.data, (1 - sigmoid(z)) * h + sigmoid(z) * n, rtol=1e-12)
    assert state is y
    cell = nn.MinLSTMCell(3, 2).astype(np.float64)
    f, i, n = np.split(x @ cell.from_input.weight.data + cell.from_input.bias.data, 3, axis=-1)
    f, i = sigmoid(f), sigmoid(i)
    np.testing.assert_allclose(cell(x, h)[0].data, f / (f + i) * h + i / (f + i) * n, rtol=1e-12)


def test_a_minlstm_with_both_gates_shut_still_shares_between_them():
    cell = nn.MinLSTMCell(1, 1, bias=False)
    cell.from_input.weight.assign(np.array([[-1e4, -1e4, 1.0]], np.float32))
    x = tg.Tensor(np.ones((1, 1), np.float32), requires_grad=True)
    y, _ = cell(x, np.full((1, 1), 3, np.float32))
    np.sum(y).backward()
    assert y.data == 2
    assert np.isfinite(x.grad).all()


@pytest.mark.parametrize(("layer_class", "cell_class"), [(nn.MinGRU, nn.MinGRUCell), (nn.MinLSTM, nn.MinLSTMCell)])
def test_the_layers_with_a_name_are_their_cells_and_load_their_weights(layer_class, cell_class):
    layer = layer_class(3, 4, 2, bias=False, bidirectional=True, batch_first=True, learned_state=True)
    pairs = [(cell_class(size, 4, False), cell_class(size, 4, False)) for size in (3, 8)]
    by_steps = nn.Recurrent(pairs, batch_first=True, learned_state=True)
    by_steps.load_state_dict(layer.state_dict())
    x = np.random.default_rng(0).normal(size=(2, 40, 3)).astype(np.float32)
    for found, expected in zip(layer(x, lengths=[40, 3]), by_steps(x, lengths=[40, 3]), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found.data, expected.data, atol=1e-6)
    assert isinstance(layer_class(3, 4, 2, dropout=0.5).dropout, nn.Dropout)


def test_single_steps_and_windows_continue_the_state():
    layer = nn.MinGRU(3, 4, 2).astype(np.float64)
    x = np.random.default_rng(0).normal(size=(50, 2, 3))
    y, final = layer(x)
    first, state = layer(x[:35])
    second, state = layer(x[35:49], state)
    last, state = layer.step(x[49], state)
    np.testing.assert_allclose(np.concatenate([first.data, second.data, last.data[None]]), y.data, atol=1e-12)
    np.testing.assert_allclose(state.data, final.data, atol=1e-12)


def test_the_tape_is_as_long_for_a_thousand_steps_as_for_one():
    layer = nn.MinLSTM(3, 4, 2, bidirectional=True)
    nodes = [len(tg.Graph.of(layer(np.ones((time, 2, 3)), lengths=[time, 1])[0])) for time in (2, 1000)]
    assert nodes[0] == nodes[1]


def test_the_cell_may_take_tokens():
    class Tokens(nn.LinearCell):
        def __init__(self):
            super().__init__()
            self.hidden_size = 4
            self.embedding, self.inner = nn.Embedding(5, 3), nn.MinGRUCell(3, 4)

        def coefficients(self, x):
            return self.inner.coefficients(self.embedding(x))

    cell, tokens = Tokens(), np.random.default_rng(0).integers(0, 5, (40, 3))
    y, h = nn.LinearRecurrence(cell)(tokens, lengths=[40, 0, 6])
    y_by_steps, h_by_steps = nn.Recurrent(cell)(tokens, lengths=[40, 0, 6])
    np.testing.assert_allclose(y.data, y_by_steps.data, atol=1e-6)
    np.testing.assert_allclose(h.data, h_by_steps.data, atol=1e-6)


def test_debug_mode_finds_no_nan_in_the_padding():
    x = np.ones((4, 4, 3))
    x[np.arange(4)[:, None] >= np.array([3, 0, 2, 1])] = np.nan
    layer = nn.LinearRecurrence([(Fragile(3, 2), Fragile(3, 2))])
    with tg.debug():
        y, _ = layer(tg.Tensor(x, requires_grad=True), lengths=[3, 0, 2, 1])
        np.sum(y).backward()


def test_gradients_of_every_sample_in_one_call_are_those_of_single_samples():
    layer = nn.MinGRU(3, 4, 2, bidirectional=True).astype(np.float64)
    samples = np.random.default_rng(0).normal(size=(3, 6, 1, 3))

    def loss(parameters, x):
        return np.sum(nn.functional_call(layer, parameters, x)[0] ** 2)

    together = tg.per_sample_grad(loss)(layer.state_dict(), samples)
    for k, sample in enumerate(samples):
        alone = tg.grad(loss)(layer.state_dict(), sample)
        for name, slope in alone.items():
            np.testing.assert_allclose(together[name].data[k], slope.data, atol=1e-12)


class Wrong(nn.LinearCell):
    def __init__(self, coefficients, output=None):
        super().__init__()
        self.hidden_size = 4
        self.answers = (lambda x: coefficients), output

    def coefficients(self, x):
        return self.answers[0](x)

    def output(self, x, h):
        return self.answers[1] if self.answers[1] is not None else h


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (Wrong(np.ones((6, 4))), "coefficients returned float64[6, 4] for states float64[6, 4]; return a pair"),
        (Wrong((np.ones((6, 5)), 1.0)), "(float64[6, 5], float 1.0) for states float64[6, 4]"),
        (Wrong((np.ones((3, 6, 4)), 1.0)), "(float64[3, 6, 4], float 1.0)"),
        (Wrong((1.0, "b")), "(float 1.0, str 'b')"),
        (Wrong((1.0, 1.0), np.ones((2, 4))), "output returned float64[2, 4] for 6 rows"),
        (Wrong((1.0, 1.0), 3), "output returned int 3 for 6 rows"),
    ],
)
def test_a_cell_with_other_answers_is_told_what_to_return(cell, words):
    with pytest.raises(errors.CellError) as error:
        nn.LinearRecurrence(cell)(np.ones((3, 2, 4)))
    assert words in str(error.value)


def test_coefficients_that_would_change_the_dtype_of_the_state_are_refused():
    cell = Diagonal(3, 2)
    cell.coefficients = lambda x: (np.ones(2), np.ones(2))
    with pytest.raises(errors.CellError, match=r"for states float32\[6, 2\]"):
        nn.LinearRecurrence(cell)(np.ones((3, 2, 3), np.float32))


def test_a_cell_that_is_not_linear_and_one_without_coefficients_are_refused():
    with pytest.raises(errors.CellError, match=r"GRUCell is no nn\.LinearCell"):
        nn.LinearRecurrence([nn.MinGRUCell(3, 4), nn.GRUCell(4, 4)])

    class Empty(nn.LinearCell):
        hidden_size = 2

    with pytest.raises(NotImplementedError, match="Empty has no coefficients"):
        nn.LinearRecurrence(Empty())(np.ones((3, 2, 4)))
