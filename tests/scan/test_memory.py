"""Memory that is used again: never while anything refers to it."""

import gc
import threading

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.scan.engines import available
from tinygrad_rnn.scan.memory import Memory, memory

LARGE = (40, 1000)


def address(array):
    return array.__array_interface__["data"][0]


def test_an_array_that_is_gone_leaves_its_memory_to_the_next():
    own = Memory(2**20)
    first = own.empty(LARGE, "float32")
    at = address(first)
    del first
    assert address(own.empty(LARGE[::-1], "float32")) == at


def bytes_of(view):
    return np.asarray(view.data if isinstance(view, tg.Tensor) else view).tobytes()


VIEWS = {
    "reshape": lambda a: a.reshape(-1),
    "a slice of a slice": lambda a: a[3:][1],
    "another dtype": lambda a: a.view("uint8").T,
    "a memory view": memoryview,
    "a tensor": tg.Tensor._wrap,
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_view_keeps_the_memory(view):
    own = Memory(2**20)
    array = own.empty(LARGE, "float32")
    array[...] = 1
    kept = view(array)
    before = bytes_of(kept)
    del array
    assert own.waiting == 0
    own.empty(LARGE, "float32")[...] = 2
    assert bytes_of(kept) == before
    del kept
    assert own.waiting == 2 * 163840


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(1, 200_000)), max_size=30))
def test_arrays_that_live_at_once_never_share_memory(draws):
    own, alive = Memory(2**19), {}
    for slot, size in draws:
        alive.pop(slot, None)
        array = own.empty((size,), np.uint8)
        array[...] = slot
        alive[slot] = array
        assert all((other == number).all() for number, other in alive.items())
        assert own.waiting <= own.limit


def test_what_was_asked_for_least_recently_goes_first():
    own = Memory(500_000)
    arrays = [own.empty((size,), np.uint8) for size in (262_144, 131_072, 131_072)]
    arrays.append(own.empty((204_800,), np.uint8))
    arrays.clear()
    assert own.waiting == 131_072 * 2 + 204_800
    own.release()
    assert own.waiting == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(70_000, 400_000)), max_size=40))
def test_no_more_is_held_than_was_in_use_at_once(draws):
    own, alive, most = Memory(2**30), {}, 0
    for slot, size in draws:
        alive.pop(slot, None)
        alive[slot] = own.empty((size,), np.uint8)
        used = sum(other.size for other in alive.values())
        most = max(most, used)
        assert used + own.waiting <= most * 17 / 16


def test_small_arrays_are_those_of_numpy():
    assert Memory(2**20).empty((3, 4), "float32").base is None


@pytest.mark.parametrize("engine", available())
def test_outputs_and_gradients_outlive_later_calls(engine):
    layer = nn.LSTM(8, 32, engine=engine)
    rng, kept = np.random.default_rng(0), []
    for _ in range(4):
        x = tg.Tensor(rng.standard_normal((60, 16, 8)), requires_grad=True)
        y, _ = layer(x)
        layer.zero_grad()
        (y * y).sum().backward()
        found = [y.data, y.data[5:].T, x.grad, *[parameter.grad for parameter in layer.parameters()]]
        kept.append(([np.array(part) for part in found], found))
        del y, x
    for copies, found in kept:
        for copy, part in zip(copies, found, strict=True):
            np.testing.assert_array_equal(part, copy)


def test_threads_do_not_get_the_same_memory():
    own, wrong = Memory(2**20), []

    def work(number):
        for _ in range(200):
            array = own.empty(LARGE, "float32")
            array[...] = number
            if not (array == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_loops_of_a_training_step_use_the_memory_of_the_one_before():
    layer = nn.GRU(8, 64, engine=available()[-1])
    x = np.random.default_rng(0).standard_normal((50, 16, 8), np.float32)

    def train():
        layer.zero_grad()
        layer(x)[0].sum().backward()

    memory.release()
    train()
    gc.collect()
    waiting = memory.waiting
    for _ in range(3):
        train()
        assert memory.waiting == waiting > 0


KEPT = {
    "nothing": lambda array: None,
    "the array": lambda array: array,
    "a part of it": lambda array: array[1:],
    "a memory view": memoryview,
    "a view of the memory below it": lambda array: memoryview(array.base),
}


@pytest.mark.parametrize("keep", KEPT.values(), ids=KEPT)
def test_a_gradient_has_lent_memory_for_its_own_only_if_nothing_else_is_on_it(keep):
    own, found = Memory(2**20), {}

    def rule(g, out, a):
        array = own.empty(LARGE, "float64")
        array[...] = 3
        found["address"], found["kept"] = address(array), keep(array)
        return array

    triple = tg.Primitive("triple", lambda a: 3 * a)
    triple.defvjp(rule)
    x = tg.Tensor(np.ones(LARGE), requires_grad=True)
    np.sum(triple(x)).backward()
    assert (address(x.grad) == found["address"]) == (found["kept"] is None)
    assert (x.grad == 3).all()
