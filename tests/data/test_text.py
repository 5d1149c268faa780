"""Reading text, the vocabulary, and the windows of streams."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tinygrad_rnn import data
from tinygrad_rnn.core.errors import ConfigError, DataError

texts = st.text(min_size=1, max_size=60)


@st.composite
def streams(draw: st.DrawFn) -> data.Streams:
    batch_size, seq_len = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    length = draw(st.integers(batch_size * seq_len + 1, 150))
    return data.Streams(np.arange(length), batch_size, seq_len)


@settings(deadline=None)
@given(texts)
@example("lone \ud800 surrogate")
def test_decoding_an_encoded_text_gives_the_text(text: str) -> None:
    vocabulary = data.CharVocabulary.from_text(text)
    ids = vocabulary.encode(text)
    assert ids.dtype == np.int64
    assert vocabulary.decode(ids) == text
    assert [vocabulary.symbols[i] for i in ids] == list(text)


@settings(deadline=None)
@given(texts)
def test_the_vocabulary_of_a_text_has_each_character_once_in_order(text: str) -> None:
    vocabulary = data.CharVocabulary.from_text(text)
    assert vocabulary.symbols == "".join(sorted(set(text)))
    assert len(vocabulary) == len(set(text))
    assert vocabulary == data.CharVocabulary.from_text(text[::-1])
    assert hash(vocabulary) == hash(data.CharVocabulary.from_text(text[::-1]))


@settings(deadline=None)
@given(st.permutations("hello wrd"))
def test_symbols_in_any_order_keep_their_places(symbols: list[str]) -> None:
    if symbols.count("l") > 1:
        symbols.remove("l")
    vocabulary = data.CharVocabulary("".join(symbols))
    assert vocabulary.encode("hello world").tolist() == [symbols.index(c) for c in "hello world"]
    assert vocabulary.decode(range(len(symbols))) == "".join(symbols)


@settings(deadline=None)
@given(st.text("abc", min_size=1), st.text("xyz", min_size=1))
def test_unknown_characters_are_named(known: str, unknown: str) -> None:
    vocabulary = data.CharVocabulary.from_text(known)
    with pytest.raises(DataError) as error:
        vocabulary.encode(known + unknown)
    missing, present = str(error.value).split(";")
    assert [c for c in "abcxyz" if repr(c) in missing] == sorted(set(unknown))
    assert [c for c in "abcxyz" if repr(c) in present] == sorted(set(known))


def test_a_long_list_of_unknown_characters_is_cut() -> None:
    with pytest.raises(DataError, match=r"\.\.\. \(26 in all\)"):
        data.CharVocabulary("0").encode("abcdefghijklmnopqrstuvwxyz")


def test_an_empty_text_is_encoded_and_decoded() -> None:
    vocabulary = data.CharVocabulary("ab")
    assert vocabulary.encode("").shape == (0,)
    assert vocabulary.encode("").dtype == np.int64
    assert vocabulary.decode([]) == ""


@pytest.mark.parametrize(
    ("ids", "says"),
    [([2], "0 to 1"), ([-1], "0 to 1"), ([0.0], "float64"), ([[0]], r"\(1, 1\)"), ([True], "bool")],
)
def test_ids_outside_the_vocabulary_are_a_named_error(ids: list[object], says: str) -> None:
    with pytest.raises(DataError, match=says):
        data.CharVocabulary("ab").decode(ids)


def test_a_vocabulary_needs_symbols_and_each_once() -> None:
    with pytest.raises(DataError, match="at least one character"):
        data.CharVocabulary("")
    with pytest.raises(DataError, match="'a' occur more than once"):
        data.CharVocabulary("aba")
    with pytest.raises(DataError, match="empty text"):
        data.CharVocabulary.from_text("")
    with pytest.raises(DataError, match="symbols is 3; give a str"):
        data.CharVocabulary(3)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="text is None; give a str"):
        data.CharVocabulary.from_text(None)  # type: ignore[arg-type]


def test_the_repr_of_a_vocabulary_makes_it_again() -> None:
    vocabulary = data.CharVocabulary("b\na'")
    assert repr(vocabulary) == 'CharVocabulary("b\\na\'")'
    assert vocabulary != data.CharVocabulary("ab")
    assert vocabulary != "b\na'"


@settings(deadline=None)
@given(streams())
def test_every_predicted_character_is_seen_once(windows: data.Streams) -> None:
    seen = np.sort(np.concatenate([y.ravel() for _, y in windows]))
    window = windows.batch_size * windows.seq_len
    assert np.array_equal(seen, np.arange(1, len(windows) * window + 1))
    assert windows.ids.size - 1 - seen.size < window


@settings(deadline=None)
@given(streams())
def test_targets_are_the_inputs_shifted_by_one(windows: data.Streams) -> None:
    for x, y in windows:
        assert x.shape == y.shape == (windows.seq_len, windows.batch_size)
        assert np.array_equal(y, x + 1)


@settings(deadline=None)
@given(streams())
def test_streams_are_contiguous_from_window_to_window(windows: data.Streams) -> None:
    rows = np.concatenate([x for x, _ in windows])
    assert (np.diff(rows, axis=0) == 1).all()


@settings(deadline=None)
@given(streams(), st.data())
def test_a_run_resumes_at_any_window(windows: data.Streams, draw: st.DataObject) -> None:
    start = draw.draw(st.integers(0, len(windows) - 1))
    rest = [windows[k] for k in range(start, len(windows))]
    whole = list(windows)
    assert len(whole) == len(windows)
    assert all(np.array_equal(a, b) for a, b in zip(rest, whole[start:], strict=True))
    assert np.array_equal(windows[start - len(windows)], windows[start])


@settings(deadline=None)
@given(streams())
def test_a_stream_of_windows_ends(windows: data.Streams) -> None:
    for index in (len(windows), -len(windows) - 1):
        with pytest.raises(IndexError, match=f"window {index} of {len(windows)}"):
            windows[index]


def test_writing_to_the_targets_changes_neither_the_inputs_nor_the_text() -> None:
    ids = np.arange(7)
    windows = data.Streams(ids, 2, 3)
    x, y = windows[0]
    y[:] = -100
    assert x.T.tolist() == [[0, 1, 2], [3, 4, 5]]
    x[:] = -1
    assert ids.tolist() == list(range(7))


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_a_text_shorter_than_one_window_is_a_named_error(batch_size: int, seq_len: int, draw: st.DataObject) -> None:
    length = draw.draw(st.integers(0, batch_size * seq_len))
    with pytest.raises(DataError, match=f"{length} characters do not fill one window.*= {batch_size * seq_len + 1};"):
        data.Streams(np.arange(length), batch_size, seq_len)


def test_streams_take_one_row_of_integers() -> None:
    with pytest.raises(DataError, match=r"shape \(3, 3\)"):
        data.Streams(np.zeros((3, 3), int), 1, 1)
    with pytest.raises(DataError, match="float64"):
        data.Streams(np.zeros(9), 1, 1)
    with pytest.raises(ConfigError, match="batch_size is 0"):
        data.Streams(np.arange(9), 0, 1)
    with pytest.raises(ConfigError, match=r"seq_len is 2\.0"):
        data.Streams(np.arange(9), 1, 2.0)  # type: ignore[arg-type]
    assert data.Streams(np.arange(9, dtype=np.uint8), 1, 1)[0][0].dtype == np.uint8


def test_line_ends_and_the_byte_order_mark_are_normalised(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n\xc3\xa9")
    assert data.read_text(path) == data.read_text(str(path)) == "a\nb\nc\né"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"a", "the one character 'a'"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"caf\xe9s", "byte 3 is not UTF-8"),
        (b"\xff\xfea\x00b\x00", "byte 0 is not UTF-8"),
    ],
)
def test_a_file_without_usable_text_is_a_named_error(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "text"
    path.write_bytes(content)
    with pytest.raises(DataError, match=says):
        data.read_text(path)


def test_a_missing_file_and_a_folder_are_named_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        data.read_text(tmp_path / "absent")
    with pytest.raises(DataError, match="is a folder"):
        data.read_text(tmp_path)
    (tmp_path / "file").write_text("ab")
    with pytest.raises(DataError, match="cannot be read"):
        data.read_text(tmp_path / "file" / "below")
