"""Strategies draw what they promise, reach every case of it, and shrink to the smallest one."""

import math

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn, testing
from tinygrad_rnn.core import errors
from tinygrad_rnn.testing import strategies
from tinygrad_rnn.testing.strategies import PaddedBatch

QUICK = settings(max_examples=100, database=None, derandomize=True, phases=(Phase.generate, Phase.shrink))


def smallest(strategy, condition=lambda drawn: True):
    return find(strategy, condition, settings=QUICK)


class Minimal(nn.Cell):
    """No input_size, and sizes without annotations."""

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


class Named(Minimal):
    def __init__(self, input_size: int, hidden_size: "int", name: str, *rest, gain=1.0, **more):
        super().__init__(input_size, hidden_size)
        self.label, self.gain = name, gain


# Tensors and shapes


@given(st.data())
def test_tensors_require_grad_and_have_the_shape_and_dtype_asked_for(data):
    shape = data.draw(strategies.shapes())
    dtype = data.draw(st.sampled_from([np.float64, np.float32]))
    x = data.draw(strategies.tensors(shape, positive=data.draw(st.booleans()), dtype=dtype))
    assert x.shape == shape and x.dtype == dtype and x.requires_grad
    assert len(set(x.data.flat)) == x.size


@given(strategies.tensors(positive=True))
def test_positive_tensors_stay_away_from_zero(x):
    assert (x.data >= 0.3).all()


@given(strategies.tensors())
def test_tensors_lie_away_from_the_kinks_of_rounding_and_of_zero(x):
    assert (np.abs(x.data * 2 - np.round(x.data * 2)) > 1e-3).all()


@given(st.integers(1, 4).flatmap(lambda count: st.tuples(st.just(count), strategies.broadcastable_shapes(count))))
def test_broadcastable_shapes_are_as_many_as_asked_for_and_broadcast(drawn):
    count, shapes = drawn
    assert len(shapes) == count
    assert all(n in (1, 2, 3) for n in np.broadcast_shapes(*shapes))


def test_tensors_and_shapes_shrink_to_the_smallest():
    assert smallest(strategies.tensors()).shape == ()
    assert smallest(strategies.tensors(), lambda x: x.size > 1).size == 2
    assert smallest(strategies.broadcastable_shapes()) == ((), ())
    assert sorted(smallest(strategies.broadcastable_shapes(), lambda pair: pair[0] != pair[1])) == [(), (1,)]


# Axes and indices


@given(st.data())
def test_axes_and_indices_are_those_of_the_shape(data):
    shape = data.draw(strategies.shapes())
    array = np.arange(math.prod(shape)).reshape(shape)
    np.sum(array, axis=data.draw(strategies.axes(shape)))
    array[data.draw(strategies.indices(shape))]


@given(st.data())
def test_basic_indices_read_views(data):
    shape = data.draw(strategies.shapes(min_dims=1))
    array = np.zeros(shape)
    found = array[data.draw(strategies.indices(shape, advanced=False))]
    assert np.shares_memory(array, found) or found.size == 0 or found.ndim == 0


PARTS = {
    "integer": lambda part: isinstance(part, int),
    "negative step": lambda part: isinstance(part, slice) and (part.step or 1) < 0,
    "new axis": lambda part: part is None,
    "ellipsis": lambda part: part is Ellipsis,
    "mask": lambda part: isinstance(part, np.ndarray) and part.dtype == bool,
    "repeated": lambda part: isinstance(part, np.ndarray) and part.dtype != bool and len(set(part.flat)) < part.size,
}


@pytest.mark.parametrize("name", PARTS)
def test_every_kind_of_index_is_drawn(name):
    def has(index):
        return any(PARTS[name](part) for part in (index if isinstance(index, tuple) else (index,)))

    assert has(smallest(strategies.indices((2, 3)), has))


def test_every_kind_of_axis_is_drawn():
    for kind in (lambda a: a is None, lambda a: a == (), lambda a: isinstance(a, int) and a < 0, lambda a: a == (1, 0)):
        assert kind(smallest(strategies.axes((2, 3)), kind))


# Cells


@settings(max_examples=15)
@given(strategies.cells(), st.data())
def test_a_drawn_cell_takes_a_step(cell, data):
    rows = data.draw(st.integers(0, 3))
    y, _ = cell(np.ones((rows, cell.input_size)), cell.initial_state(rows))
    assert y.shape == (rows, cell.hidden_size)
    assert cell.input_size <= 4 and cell.hidden_size <= 4


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_each_cell_of_the_package_is_drawn_with_its_options(kind):
    found = smallest(strategies.cells(), lambda cell: type(cell) is kind and len(list(cell.parameters())) == 2)
    assert (found.input_size, found.hidden_size) == (1, 1)


@settings(max_examples=6)
@given(strategies.cells(Minimal))
def test_a_class_of_ones_own_is_drawn_and_passes_its_checks(cell):
    assert isinstance(cell, Minimal)
    testing.check_cell(cell)


@given(strategies.cells(Named, name=st.sampled_from(["a", "b"]), gain=2.0))
def test_arguments_are_strategies_or_values(cell):
    assert cell.label in ("a", "b") and cell.gain == 2.0 and cell.hidden_size in range(1, 5)


def test_what_is_no_size_has_to_be_given():
    with pytest.raises(errors.ConfigError, match=r"asks for name: str, which is no size; write cells\(Named, name="):
        strategies.cells(Named)
    for thing in (nn.Linear, Minimal(2, 3), 3):
        with pytest.raises(errors.ConfigError, match=r"cells\(MyCell\)"):
            strategies.cells(thing)


def test_weights_follow_from_the_draw_and_other_random_numbers_are_left_alone():
    tg.random.seed(1)
    before = tg.random.get_state()
    first = smallest(strategies.cells(Minimal))
    assert tg.random.get_state() == before
    tg.random.seed(2)
    again = smallest(strategies.cells(Minimal))
    np.testing.assert_array_equal(first.from_input.weight.data, again.from_input.weight.data)


# Padded batches


@given(st.data())
def test_a_padded_batch_keeps_its_contract(data):
    features = data.draw(st.integers(0, 3))
    x, lengths = data.draw(strategies.padded_batches(features, max_time=4, max_batch=5, dtype=np.float32))
    time, batch, width = x.shape
    assert 1 <= time <= 4 and 2 <= batch <= 5 and width == features and x.dtype == np.float32
    assert len(lengths) == batch and {0, time} <= set(lengths) <= set(range(time + 1))
    for row, length in enumerate(lengths):
        assert (np.abs(x[:length, row]) < 7).all()
        assert not (np.abs(x[length:, row]) < 7).any()


@given(strategies.padded_batches(2), st.sampled_from([0.0, np.nan, -3.0]))
def test_other_padding_changes_the_padding_alone(batch, number):
    x = batch.padded_with(number)
    for row, length in enumerate(batch.lengths):
        np.testing.assert_array_equal(x[:length, row], batch.x[:length, row])
        np.testing.assert_array_equal(x[length:, row], np.full((len(x) - length, 2), number))


def test_padding_is_drawn_as_nan_and_as_numbers():
    for kind in (np.isnan, np.isposinf, np.isneginf, lambda a: a == np.float64(1e30)):
        assert smallest(strategies.padded_batches(1), lambda batch: kind(batch.x).any())  # noqa: B023


def test_padded_batches_shrink_to_one_step_of_two_rows():
    batch = smallest(strategies.padded_batches(2))
    assert batch.x.shape == (1, 2, 2) and sorted(batch.lengths) == [0, 1]
    assert sorted(smallest(strategies.padded_batches(2), lambda batch: len(batch.x) > 2).lengths) == [0, 3]


@settings(max_examples=10)
@given(st.data())
def test_a_batch_fits_the_cell_that_is_to_read_it(data):
    cell = data.draw(st.one_of(strategies.cells(), strategies.cells(Minimal)))
    batch = data.draw(strategies.padded_batches(cell))
    layer = nn.Recurrent(cell)
    y, _ = layer(batch.x, lengths=batch.lengths)
    other, _ = layer(batch.padded_with(0.0), lengths=batch.lengths)
    assert np.isfinite(y.data).all()
    np.testing.assert_array_equal(y.data, other.data)


@pytest.mark.parametrize("options", [{"max_time": 0}, {"max_batch": 1}])
def test_batches_without_room_for_an_empty_and_a_full_row_are_refused(options):
    with pytest.raises(errors.ConfigError, match="at least 1 step and 2 rows"):
        strategies.padded_batches(2, **options)


def test_a_padded_batch_is_a_pair():
    x, lengths = PaddedBatch(np.zeros((2, 1, 1)), [2])
    assert x.shape == (2, 1, 1) and lengths == [2]
