"""Random numbers by counter: the same wherever and whenever they are drawn."""

import json
import sys
import threading

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.core.errors import ConfigError


@pytest.fixture(autouse=True)
def same_state_after_as_before():
    state = tg.random.get_state()
    yield
    tg.random.set_state(state)


def draw(n=3):
    return tg.random.generator().random(n).tolist()


def test_a_seed_gives_the_same_numbers_again_and_another_seed_others():
    tg.random.seed(1)
    first = [draw() for _ in range(3)]
    tg.random.seed(1)
    assert [draw() for _ in range(3)] == first
    tg.random.seed(2)
    assert all(draw() != numbers for numbers in first)


def test_every_call_has_numbers_of_its_own_whatever_was_taken_from_the_others():
    tg.random.seed(1)
    draw(1)
    after_one = draw()
    tg.random.seed(1)
    draw(1000)
    assert draw() == after_one
    tg.random.seed(0)
    every = [tuple(draw()) for _ in range(100)]
    assert len(set(every)) == 100


def test_the_numbers_are_philox_keyed_by_seed_and_call():
    tg.random.seed(5)
    draw()
    expected = np.random.Generator(np.random.Philox(key=np.array([5, 1], np.uint64))).random(3)
    assert draw() == expected.tolist()


def test_a_state_goes_through_json_and_continues():
    tg.random.seed(2**64 - 1)
    draw()
    state = json.loads(json.dumps(tg.random.get_state()))
    assert state == {"seed": 2**64 - 1, "call": 1}
    following = draw()
    tg.random.seed(0)
    tg.random.set_state(state)
    assert draw() == following
    state["call"] = 7
    assert tg.random.get_state()["call"] == 2


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "1", None, True])
def test_a_seed_out_of_range_is_refused_and_nothing_changes(seed):
    before = tg.random.get_state()
    with pytest.raises(ConfigError, match="give an integer from 0 to"):
        tg.random.seed(seed)
    with pytest.raises(ConfigError, match="call is"):
        tg.random.set_state({"seed": 1})
    assert tg.random.get_state() == before


def test_threads_never_draw_the_same_numbers():
    found = []
    threads = [threading.Thread(target=lambda: found.extend([tuple(draw()) for _ in range(300)])) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(set(found)) == len(found) == 1200


def test_global_randomness_of_numpy_is_left_alone():
    np.random.seed(0)
    expected = np.random.random()
    np.random.seed(0)
    tg.random.seed(9)
    draw()
    assert np.random.random() == expected
