"""Arrays that come from elsewhere: copied where a gradient needs them, refused where their algebra is another."""

import asyncio
import operator
import threading

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import CellError, ConfigError, ConversionError, DtypeError


def leaf(value):
    return tg.Tensor(value, requires_grad=True)


class Subclass(np.ndarray):
    pass


@pytest.mark.parametrize(
    "make",
    [
        lambda: leaf(np.zeros(3)).data.copy(),
        lambda: np.zeros_like(leaf(np.zeros(3)).data),
        lambda: leaf(np.zeros(3)).data.astype(np.float32),
        lambda: np.zeros(3).view(Subclass),
        lambda: np.zeros(3),
    ],
)
def test_an_array_that_is_changed_after_its_use_changes_no_gradient(make):
    w, array = leaf(np.zeros(3)), make()
    array[:] = [1, 2, 3]
    y = np.sum(w * array)
    array[:] = 0
    y.backward()
    np.testing.assert_array_equal(w.grad, [1, 2, 3])


@pytest.mark.parametrize("array", [np.ones((2, 2)).view(np.matrix), np.ma.masked_array(np.ones((2, 2)), np.eye(2))])
def test_arrays_with_an_algebra_of_their_own_are_refused_by_name(array):
    with pytest.raises(ConversionError, match=type(array).__name__):
        leaf(np.ones((2, 2))) * array


@pytest.mark.parametrize("tensor", [leaf([3.0, 4.0]), tg.Tensor([3.0, 4.0]), nn.Parameter(np.ones(2))], ids=repr)
@pytest.mark.parametrize(
    "operation",
    [
        operator.add,
        operator.sub,
        operator.mul,
        operator.truediv,
        operator.floordiv,
        operator.mod,
        operator.pow,
        operator.matmul,
        operator.lt,
        operator.eq,
        operator.iadd,
        operator.imul,
        np.multiply,
        np.ma.multiply,
        np.ma.divide,
        np.ma.arctan2,
        np.ma.power,
        np.ma.dot,
    ],
)
def test_a_masked_array_on_the_left_of_a_tensor_is_refused_too(operation, tensor):
    masked = np.ma.array([1.0, 2.0], mask=[False, True])
    with pytest.raises(ConversionError, match=r"MaskedArray beside a tensor.*filled"):
        operation(masked, tensor)
    np.testing.assert_array_equal(masked.data, [1, 2])


@pytest.mark.parametrize("operand", [1j, np.array([1j]), np.timedelta64(1), np.complex64(1j)])
def test_operands_that_are_no_real_numbers_are_refused_by_name(operand):
    with pytest.raises(DtypeError, match="beside a tensor"):
        leaf([1.0]) * operand


def test_an_array_of_objects_is_refused_by_name():
    with pytest.raises(ConversionError, match="objects"):
        leaf([1.0]) * np.array([1], dtype=object)


@pytest.mark.parametrize("key", [None, (None, None), ...])
def test_an_indexed_scalar_adds_to_a_total_that_was_summed_before(key):
    s = leaf(1.0)
    indexed = s[key]
    spread = s * np.ones(3)
    (np.sum(indexed) + np.sum(spread)).backward()
    assert s.grad == 4.0 and type(s.grad) is np.ndarray


def test_the_hessian_of_a_product_of_vectors():
    x = np.array([0.5, -1.0, 2.0])
    expected = 2 * np.cos(x @ x) * np.eye(3) - 4 * np.sin(x @ x) * np.outer(x, x)
    np.testing.assert_allclose(tg.hessian(lambda w: np.sin(w @ w))(x).data, expected, rtol=1e-12)


def test_threads_lose_no_gradient_of_a_parameter_that_they_share():
    w = nn.Parameter(np.zeros(1000))

    def work():
        for _ in range(100):
            np.sum(w * 1.0).backward()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(w.grad, 400)


def test_modes_refuse_what_they_cannot_decorate():
    def generator():
        yield

    async def coroutine():
        await asyncio.sleep(0)

    for function in (generator, coroutine):
        with pytest.raises(ConfigError, match="inside it"):
            tg.no_grad()(function)
    with pytest.raises(ConfigError, match=r"write @no_grad\(\)"):
        tg.no_grad(lambda: None)


def test_a_hook_survives_the_conversion_of_its_parameter():
    layer = nn.Linear(2, 1)
    layer.weight.register_hook(lambda gradient: 0 * gradient)
    np.sum(layer.astype(np.float64)(np.ones((1, 2)))).backward()
    np.testing.assert_array_equal(layer.weight.grad, 0)


def test_a_cell_whose_state_is_a_plain_array_is_told_that_no_gradient_goes_through_it():
    class Cell(nn.Cell):
        def __init__(self):
            super().__init__()
            self.hidden_size = 3
            self.layer = nn.Linear(2, 3)

        def forward(self, x, h):
            return np.tanh(self.layer(x)), h.data

    with pytest.raises(CellError, match=r"plain array.*leave \.data away"):
        nn.Recurrent(Cell())(np.ones((4, 1, 2), np.float32))
