"""Orders that a seed decides, and parts that do not overlap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_rnn import data
from tinygrad_rnn.core.errors import ConfigError, DataError

parts = st.floats(0.05, 0.95)
seeds = st.integers(0, 2**64 - 1)


@settings(deadline=None)
@given(st.integers(0, 50), seeds, seeds)
def test_an_order_has_everything_once_and_depends_on_seed_and_epoch_alone(n: int, seed: int, epoch: int) -> None:
    order = data.shuffled(n, seed, epoch)
    np.random.random()
    assert np.array_equal(np.sort(order), np.arange(n))
    assert np.array_equal(order, data.shuffled(n, seed, epoch))


@settings(deadline=None)
@given(seeds, seeds)
def test_another_seed_or_epoch_gives_another_order(seed: int, epoch: int) -> None:
    order = data.shuffled(100, seed, epoch).tolist()
    assert order != list(range(100))
    assert order != data.shuffled(100, seed ^ 1, epoch).tolist()
    assert order != data.shuffled(100, seed, epoch ^ 1).tolist()


@settings(deadline=None)
@given(st.integers(20, 60), parts, seeds)
def test_a_split_is_disjoint_complete_and_seeded(n: int, validation: float, seed: int) -> None:
    train, held_out = data.train_validation_split(range(n), validation, seed)
    assert sorted(train + held_out) == list(range(n))
    assert len(held_out) == round(n * validation)
    assert train == sorted(train)
    assert held_out == sorted(held_out)
    assert (train, held_out) == data.train_validation_split(iter(range(n)), validation, seed)


@settings(deadline=None)
@given(seeds)
def test_another_seed_holds_other_things_out(seed: int) -> None:
    assert data.train_validation_split(range(200), 0.5, seed) != data.train_validation_split(range(200), 0.5, seed ^ 1)


@settings(deadline=None)
@given(st.text(min_size=20), parts)
def test_a_text_is_cut_once(text: str, validation: float) -> None:
    train, held_out = data.split_text(text, validation)
    assert train + held_out == text
    assert len(held_out) == round(len(text) * validation)


def test_a_tenth_is_held_out_unless_told_otherwise() -> None:
    assert data.split_text("abcdefghij") == ("abcdefghi", "j")
    assert len(data.train_validation_split(range(100))[1]) == 10


@pytest.mark.parametrize("validation", [0, 1, -0.1, 1.5, float("nan")])
def test_a_part_is_between_0_and_1(validation: float) -> None:
    with pytest.raises(ConfigError, match=f"validation is {validation}"):
        data.split_text("a text", validation)
    with pytest.raises(ConfigError, match=f"validation is {validation}"):
        data.train_validation_split([1, 2, 3], validation)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_no_part_is_empty(count: int) -> None:
    with pytest.raises(DataError, match=f"{count} characters with validation=0.1 would leave one part empty"):
        data.split_text("a" * count)
    with pytest.raises(DataError, match=f"{count} sequences with validation=0.95 would leave one part empty"):
        data.train_validation_split(range(count), 0.95)


@pytest.mark.parametrize("wrong", [-1, 2**64, 1.0, True, None])
def test_seed_epoch_and_count_are_integers(wrong: int) -> None:
    with pytest.raises(ConfigError, match="seed is"):
        data.shuffled(3, wrong)
    with pytest.raises(ConfigError, match="epoch is"):
        data.shuffled(3, 0, wrong)
    with pytest.raises(ConfigError, match="n is"):
        data.shuffled(wrong, 0)
