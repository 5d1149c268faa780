"""Padded batches of sequences of several lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinygrad_rnn import data
from tinygrad_rnn.core.errors import ConfigError, DataError


@st.composite
def sequences(draw: st.DrawFn) -> list[NDArray[Any]]:
    """Sequences whose numbers are all different and none of them the padding."""
    lengths = draw(st.lists(st.integers(0, 6), min_size=1, max_size=9))
    step = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    dtype = draw(st.sampled_from([np.int64, np.float32, np.float64, np.uint16]))
    size = int(np.prod(step))
    numbers = np.arange(1, sum(lengths) * size + 1, dtype=dtype)
    parts = np.split(numbers, np.cumsum(lengths)[:-1] * size)
    return [part.reshape(length, *step) for part, length in zip(parts, lengths, strict=True)]


generators = st.none() | st.integers(0, 9).map(np.random.default_rng)


@settings(deadline=None)
@given(sequences())
def test_padding_comes_after_each_sequence_and_nowhere_else(arrays: list[NDArray[Any]]) -> None:
    x, lengths = data.pad(arrays)
    assert lengths.dtype == np.int64
    assert lengths.tolist() == [len(array) for array in arrays]
    assert x.shape == (max(map(len, arrays)), len(arrays), *arrays[0].shape[1:])
    assert x.dtype == arrays[0].dtype
    for row, array in enumerate(arrays):
        assert np.array_equal(x[: len(array), row], array)
        assert (x[len(array) :, row] == 0).all()


@settings(deadline=None)
@given(sequences(), st.integers(1, 4), generators)
def test_every_sequence_is_in_one_batch(
    arrays: list[NDArray[Any]], batch_size: int, rng: np.random.Generator | None
) -> None:
    batches = data.padded_batches(arrays, batch_size, rng)
    rows = np.concatenate([batches.rows(k) for k in range(len(batches))])
    assert np.array_equal(np.sort(rows), np.arange(len(arrays)))
    assert rng is not None or np.array_equal(rows, np.arange(len(arrays)))
    for k, (x, lengths) in enumerate(batches):
        chosen = [arrays[row] for row in batches.rows(k)]
        assert len(chosen) == batch_size or k == len(batches) - 1
        assert np.array_equal(lengths, [len(array) for array in chosen])
        assert len(x) == max(lengths)
        assert x.dtype == arrays[0].dtype
        for row, array in enumerate(chosen):
            assert np.array_equal(x[: len(array), row], array)


@settings(deadline=None)
@given(sequences(), st.integers(1, 4), generators)
def test_batches_are_the_same_by_index_and_in_order(
    arrays: list[NDArray[Any]], batch_size: int, rng: np.random.Generator | None
) -> None:
    batches = data.padded_batches(arrays, batch_size, rng)
    whole = list(batches)
    assert len(whole) == len(batches)
    for k, (x, lengths) in enumerate(whole):
        for index in (k, k - len(batches)):
            again, sizes = batches[index]
            assert np.array_equal(again, x) and np.array_equal(sizes, lengths)
    for index in (len(batches), -len(batches) - 1):
        with pytest.raises(IndexError, match=f"batch {index} of {len(batches)}"):
            batches[index]


def test_a_generator_shuffles_the_sequences_by_its_seed() -> None:
    arrays = [[i] for i in range(1, 51)]
    one, two, other = (
        [x.tolist() for x, _ in data.padded_batches(arrays, 7, np.random.default_rng(s))] for s in (1, 1, 2)
    )
    assert one == two != other


def test_writing_to_a_batch_changes_no_other() -> None:
    arrays = [np.ones(2), np.ones(2)]
    batches = data.padded_batches(arrays, 1)
    batches[0][0][:] = 5
    batches.rows(0)[:] = 1
    assert batches[0][0].tolist() == [[1.0], [1.0]]
    assert batches.rows(0).tolist() == [0]
    assert arrays[0].tolist() == [1.0, 1.0]


def test_an_empty_list_takes_the_features_and_the_dtype_of_the_others() -> None:
    x, lengths = data.pad([[], np.ones((2, 3), np.float32)])
    assert x.shape == (2, 2, 3)
    assert x.dtype == np.float32
    assert lengths.tolist() == [0, 2]
    assert data.pad([[], [1, 2]])[0].dtype == np.int64
    assert data.pad([[], []])[0].shape == (0, 2)


def test_sequences_of_two_dtypes_share_the_wider_one_in_every_batch() -> None:
    batches = data.padded_batches([[1, 2], [0.5]], 1)
    assert [x.dtype for x, _ in batches] == [np.float64, np.float64]


def test_targets_are_padded_with_a_value_to_ignore() -> None:
    assert data.pad([[1, 2], [3]], value=-100)[0].T.tolist() == [[1, 2], [3, -100]]
    assert data.padded_batches([[1, 2], [3]], 2, value=-100)[0][0].T.tolist() == [[1, 2], [3, -100]]
    assert np.isnan(data.pad([[1.0, 2], [3]], value=np.nan)[0][1, 1])
    assert data.pad([np.ones(2, np.float32), np.ones(1, np.float32)], value=0.1)[0][1, 1] == np.float32(0.1)


@pytest.mark.parametrize(
    ("array", "value"),
    [
        (np.ones(2, np.uint8), -100),
        (np.ones(2, int), 0.5),
        (np.ones(2, bool), 2),
        (np.ones(2, np.float32), 1e300),
        ([1], "a"),
        ([1], np.nan),
    ],
)
def test_padding_that_the_dtype_cannot_hold_is_a_named_error(array: Any, value: Any) -> None:
    with pytest.raises(DataError, match="no place in sequences of dtype"):
        data.pad([array], value)
    with pytest.raises(DataError, match="no place in sequences of dtype"):
        data.padded_batches([array], 1, value=value)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ([], "no sequences"),
        ([np.ones((2, 3)), np.ones((2, 4))], r"sequence 1 has shape \(2, 4\), others have \(length, 3\)"),
        ([np.ones((0, 4)), np.ones((2, 3))], r"sequence 0 has shape \(0, 4\), others have \(length, 3\)"),
        ([[1], 2], "sequence 1 is the number 2"),
        (["text"], "is the text 'text'"),
        ([[1], [[1, 2], [3]]], "sequence 1 has steps of several shapes"),
        ([[None]], "dtype object"),
    ],
)
def test_sequences_that_do_not_fit_are_named_errors(arrays: list[Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        data.pad(arrays)
    with pytest.raises(DataError, match=says):
        data.padded_batches(arrays, 2)


def test_batches_take_a_positive_size_and_a_generator() -> None:
    with pytest.raises(ConfigError, match="batch_size is -1"):
        data.padded_batches([[1]], -1)
    with pytest.raises(ConfigError, match="batch_size is True"):
        data.padded_batches([[1]], True)
    with pytest.raises(ConfigError, match="rng is 0"):
        data.padded_batches([[1]], 1, 0)  # type: ignore[arg-type]
