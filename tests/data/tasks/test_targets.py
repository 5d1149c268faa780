"""The targets of each generated task follow from its inputs, by a slow reader that shares nothing with the task."""

import functools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_rnn.data import tasks

few = settings(deadline=None, max_examples=20)
seeds = st.integers(0, 2**32)
splits = st.sampled_from(["train", "validation", "test"])


def drawn(task, seed, split="train", size=6):
    return task.batch(np.random.default_rng(seed), size, split)


def words(batch, alphabet):
    """The inputs of each row as a text."""
    symbols = batch.x.argmax(-1)
    assert (batch.x.sum(-1) == 1).all()
    lengths = batch.lengths if batch.lengths is not None else [len(symbols)] * batch.rows
    return ["".join(alphabet[i] for i in symbols[:n, b]) for b, n in enumerate(lengths)]


@few
@given(seeds, st.integers(2, 30), st.booleans())
def test_the_marked_numbers_make_the_target(seed, length, product):
    batch = drawn((tasks.Multiplication if product else tasks.Adding)(length), seed)
    for b in range(batch.rows):
        marked = [t for t in range(length) if batch.x[t, b, 1] == 1]
        assert len(marked) == 2
        assert batch.x[:, b, 1].sum() == 2
        assert marked[0] < length // 2 <= marked[1]
        one, two = (batch.x[t, b, 0] for t in marked)
        assert batch.target[b, 0] == (one * two if product else one + two)
    assert (batch.x[..., 0] >= 0).all() and (batch.x[..., 0] < 1).all()


@few
@given(seeds, st.integers(1, 20), st.integers(2, 9), st.integers(1, 6))
def test_what_was_said_is_to_be_said_again_after_the_signal(seed, delay, symbols, recall):
    task = tasks.CopyMemory(delay, symbols, recall)
    batch = drawn(task, seed)
    for b in range(batch.rows):
        heard = batch.x[:, b].argmax(-1).tolist()
        said = heard[:recall]
        assert heard == said + [symbols] * (delay - 1) + [symbols + 1] + [symbols] * recall
        assert batch.target[:, b].tolist() == [symbols] * (delay + recall) + said
        assert max(said) < symbols


@few
@given(seeds, st.sampled_from([2, 3]), st.integers(20, 120))
def test_the_order_of_the_relevant_symbols_is_the_class(seed, relevant, length):
    batch = drawn(tasks.TemporalOrder(relevant, length), seed)
    for text, target, size in zip(words(batch, "abcdXYEB"), batch.target, batch.lengths, strict=True):
        assert length <= size <= length * 1.1
        assert re.fullmatch("E[abcdXY]*B", text)
        found = [(place, letter) for place, letter in enumerate(text) if letter in "XY"]
        assert int("".join("XY".index(letter).__str__() for _, letter in found), 2) == target
        for (place, _), (low, high) in zip(
            found, {2: [(10, 20), (50, 60)], 3: [(10, 20), (33, 43), (66, 76)]}[relevant], strict=True
        ):
            assert low * length // 100 <= place <= high * length // 100


@few
@given(seeds, st.integers(2, 30), splits)
def test_the_first_symbol_comes_back_after_the_lag(seed, p, split):
    batch = drawn(tasks.LongLag(p), seed, split)
    for b in range(batch.rows):
        symbols = [*batch.x[:, b].argmax(-1), batch.target[-1, b]]
        assert symbols[:-1][1:] == batch.target[:-1, b].tolist()
        assert symbols[0] == symbols[-1] >= p - 1
        assert symbols[1:-1] == list(range(p - 1))
    if split != "train":
        assert len(set(batch.target[-1].tolist())) == 2


# The Reber grammar as a regular expression: after X, and after P at its start.
_FROM_P = "T*V(PXT*V)*(VE|PSE)"
REBER = f"B(TS*(SE|X{_FROM_P})|P{_FROM_P})".replace("TS*(SE|X", "TS*X(SE|X")
EMBEDDED = re.compile(f"BT{REBER}TE|BP{REBER}PE")


@functools.lru_cache
def strings(most):
    """All strings of the embedded grammar up to a length: every word over what may follow, kept if it fits."""
    inner, ways = [], {"B": "TP", "T": "TSXV", "P": "TVXS", "S": "SXE", "X": "XTVS", "V": "PVE"}
    waiting = ["B"]
    while waiting:
        text = waiting.pop()
        if text[-1] == "E":
            if re.fullmatch(REBER, text):
                inner.append(text)
        elif len(text) < most - 4:
            waiting.extend(text + letter for letter in ways[text[-1]])
    return {f"B{letter}{text}{letter}E" for letter in "TP" for text in inner}


@few
@given(seeds, splits)
def test_an_embedded_string_is_of_the_grammar(seed, split):
    batch = drawn(tasks.EmbeddedReber(), seed, split, size=40)
    for b, text in enumerate(words(batch, "BTSXPVE")):
        size = batch.lengths[b]
        whole = text + "BTSXPVE"[batch.target[size - 1, b]]
        assert EMBEDDED.fullmatch(whole), whole
        assert whole[1:] == "".join("BTSXPVE"[i] for i in batch.target[:size, b])


def test_what_is_legal_is_what_some_string_goes_on_with():
    every = strings(18)
    batch = drawn(tasks.EmbeddedReber(), 0, size=200)
    for b, text in enumerate(words(batch, "BTSXPVE")):
        if len(text) <= 11:
            for t in range(len(text)):
                start = text[: t + 1]
                following = {whole[t + 1] for whole in every if whole.startswith(start)}
                assert {"BTSXPVE"[i] for i in np.flatnonzero(batch.legal[t, b])} == following


@few
@given(seeds, st.integers(1, 60))
def test_the_windows_of_a_stream_make_strings_without_a_break(seed, window):
    batches = tasks.ContinualReber(window).batches(3, seed)
    parts = [next(batches) for _ in range(240 // window)]
    for b in range(3):
        text = "".join("BTSXPVE"[i] for part in parts for i in part.x[:, b].argmax(-1))
        following = "".join("BTSXPVE"[i] for part in parts for i in part.target[:, b])
        assert text[1:] == following[:-1]
        *whole, rest = re.split(r"(?<=[TP]E)(?=B)", text)
        assert whole
        assert all(EMBEDDED.fullmatch(string) for string in whole)
        assert not EMBEDDED.fullmatch(rest[:-1])
    last = [part.legal[np.arange(window)[:, None], np.arange(3), part.target].all() for part in parts]
    assert all(last)


def test_a_string_of_a_stream_is_wrong_if_any_of_its_predictions_is():
    task = tasks.ContinualReber()
    batch = task.held_out("validation")[0]
    outputs = batch.legal.astype(float)
    assert task.errors(outputs, batch).sum() == 0
    texts = ["".join("BTSXPVE"[i] for i in row) for row in batch.x.argmax(-1).T]
    strings = [re.split(r"(?<=[TP]E)(?=B)", text)[1:-1] for text in texts]
    assert len(task.errors(outputs, batch)) == sum(map(len, strings))
    for row, number in ((0, 0), (3, 5), (19, 2)):
        before = len(re.split(r"(?<=[TP]E)(?=B)", texts[row])[0])
        first = before + sum(map(len, strings[row][:number]))
        for step in (first, first + len(strings[row][number]) - 1):
            broken = outputs.copy()
            broken[step, row] = 0
            expected = sum(map(len, strings[:row])) + number
            assert np.flatnonzero(task.errors(broken, batch)).tolist() == [expected]


@few
@given(st.sampled_from([tasks.AnBn, tasks.AnBnCn]), st.lists(st.integers(1, 12), min_size=1, max_size=5))
def test_the_legal_symbols_of_a_counted_string(kind, numbers):
    task = kind(6)
    letters = "abc"[: task.letters]
    batch = task.strings(np.array(numbers))
    for b, (n, text) in enumerate(zip(numbers, words(batch, "S" + letters), strict=True)):
        assert text == "S" + "".join(letter * n for letter in letters)
        for t in range(len(text)):
            rest = text[t + 1 :] + "T"
            legal = {"a", "b"} if text[t] == "a" else {rest[0]}
            assert {(letters + "T")[i] for i in np.flatnonzero(batch.target[t, b])} == legal


def test_counting_is_tested_beyond_what_was_trained():
    task = tasks.AnBn(5)
    lengths = {split: (task.held_out(split)[0].lengths - 1) // 2 for split in ("validation", "test")}
    assert lengths["validation"].tolist() == [1, 2, 3, 4, 5]
    assert lengths["test"].tolist() == [6, 7, 8, 9, 10]
    trained = np.concatenate([drawn(task, seed).lengths for seed in range(30)])
    assert set(((trained - 1) // 2).tolist()) == {1, 2, 3, 4, 5}


@few
@given(seeds, st.integers(1, 3), st.integers(1, 4), st.integers(1, 8), splits)
def test_brackets_match_and_what_may_come_next_is_known(seed, kinds, depth, pairs, split):
    task = tasks.Dyck(kinds, depth, pairs)
    batch = drawn(task, seed, split)
    opening, closing = "([{"[:kinds], ")]}"[:kinds]
    for b, text in enumerate(words(batch, "S" + opening + closing)):
        assert len(text) == 2 * pairs + 1 or (split == "train" and len(text) < 2 * pairs + 1)
        stack = []
        for t, letter in enumerate(text):
            if letter in opening:
                stack.append(letter)
            elif letter in closing:
                assert stack.pop() == opening[closing.index(letter)]
            legal = set(opening if len(stack) < depth else "")
            legal |= {closing[opening.index(stack[-1])]} if stack else {"end"}
            named = ["end", *opening, *closing]
            assert {named[i] for i in np.flatnonzero(batch.target[t, b])} == legal
        assert not stack


@few
@given(seeds, st.integers(1, 12), splits)
def test_the_parity_is_that_of_the_bits_within_the_length(seed, length, split):
    batch = drawn(tasks.Parity(length), seed, split)
    for b in range(batch.rows):
        bits = batch.x[: batch.lengths[b], b, 0].astype(int).tolist()
        assert set(bits) <= {0, 1}
        assert sum(bits) % 2 == batch.target[b]
    assert split == "train" or (batch.lengths == length).all()


@few
@given(seeds, st.integers(1, 6), st.booleans(), splits)
def test_the_answer_is_the_sum(seed, digits, reverse, split):
    task = tasks.DigitAddition(digits, reverse)
    batch = drawn(task, seed, split)
    for b, text in enumerate(words(batch, task.symbols)):
        question, blanks = text[: 2 * digits + 1], text[2 * digits + 1 :]
        assert blanks == " " * (digits + 1)
        left, right = (question[::-1] if reverse else question).split("+")
        answer = "".join(task.symbols[i] for i in batch.target[batch.counted[:, b], b])
        assert answer == str(int(left) + int(right)).ljust(digits + 1)
        assert batch.counted[:, b].tolist() == [False] * (2 * digits + 1) + [True] * (digits + 1)


def test_a_pair_of_numbers_belongs_to_one_split_whatever_its_order():
    task = tasks.DigitAddition(1)
    found = {}
    for split in ("train", "validation", "test"):
        batch = drawn(task, 0, split, size=3000)
        found[split] = {tuple(sorted(text[:3][::2])) for text in words(batch, task.symbols)}
    assert sum(map(len, found.values())) == len(set().union(*found.values())) == 55
    assert len(found["train"]) > len(found["validation"]) > 0 < len(found["test"])


def test_a_task_of_counting_takes_no_number_below_one():
    with pytest.raises(ValueError):
        tasks.AnBn(5, held_out_to=3)
