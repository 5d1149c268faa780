"""Stretches of a sequence that repeat a shorter one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.viz.runs import find_runs

letters = st.integers(0, 3)


def is_run(codes, start, period, length):
    stretch = codes[start : start + length]
    return len(stretch) == length >= 2 * period and all(a == b for a, b in zip(stretch, stretch[period:], strict=False))


@given(st.lists(letters, max_size=60))
def test_every_run_repeats_and_cannot_be_made_longer(codes):
    for run in find_runs(np.array(codes, dtype=np.int64)):
        assert is_run(codes, *run)
        assert run.start == 0 or not is_run(codes, run.start - 1, run.period, run.length + 1)
        assert not is_run(codes, run.start, run.period, run.length + 1)


@given(
    st.lists(letters, max_size=9),
    st.lists(letters, min_size=1, max_size=12),
    st.integers(3, 9),
    st.lists(letters, max_size=9),
)
def test_a_repeated_sequence_is_found_wherever_it_stands(before, body, times, after):
    codes = np.array([*before, *body * times, *after], dtype=np.int64)
    first, last = len(before), len(before) + len(body) * times
    assert any(
        run.start <= first and run.start + run.length >= last and len(body) % run.period == 0
        for run in find_runs(codes)
    )


@given(st.permutations(range(30)))
def test_a_sequence_without_repetition_has_no_run(codes):
    assert find_runs(np.array(codes)) == []


def test_the_period_that_saves_most_comes_first():
    inner, outer = [1, 1, 1, 2, 3], 20
    assert find_runs(np.array(inner * outer))[0] == (0, 5, 100)
