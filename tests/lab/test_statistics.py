"""The statistics of two samples are exact: they are compared with counting all cases."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.lab.statistics import (
    LEVEL,
    Shift,
    holm,
    least_seeds,
    median_interval,
    rank_test,
    ranks,
    seeds_to_tell,
    shift,
)

# Few different numbers, so that there are ties; quarters, so that differences are exact.
NUMBERS = st.integers(0, 40).map(lambda n: n / 4)
SAMPLES = st.lists(NUMBERS, min_size=1, max_size=5)
FAILING = st.lists(NUMBERS | st.just(math.inf), min_size=1, max_size=5)


def by_counting(first, second):
    """The p-value by dealing the ranks out in every way."""
    pooled = ranks([*first, *second])
    middle = pooled.mean() * len(first)
    distance = abs(pooled[: len(first)].sum() - middle)
    ways = [abs(sum(way) - middle) >= distance - 1e-9 for way in itertools.combinations(pooled, len(first))]
    return sum(ways) / len(ways)


@given(FAILING, FAILING)
def test_the_rank_test_counts_every_way_to_deal_the_ranks(first, second):
    assert rank_test(first, second) == pytest.approx(by_counting(first, second))


@given(FAILING, FAILING)
def test_the_rank_test_does_not_depend_on_which_sample_comes_first(first, second):
    assert rank_test(first, second) == pytest.approx(rank_test(second, first))


@given(st.lists(NUMBERS, min_size=2, max_size=16, unique=True), st.data())
def test_the_rank_test_agrees_with_scipy_where_there_are_no_ties(values, data):
    stats = pytest.importorskip("scipy.stats", reason="the reference is SciPy's exact test")
    cut = data.draw(st.integers(1, len(values) - 1))
    found = stats.mannwhitneyu(values[:cut], values[cut:], method="exact").pvalue
    assert rank_test(values[:cut], values[cut:]) == pytest.approx(found)


@given(FAILING)
def test_ranks_are_those_of_pairwise_comparison(values):
    wanted = [1 + sum(b < a for b in values) + (sum(b == a for b in values) - 1) / 2 for a in values]
    assert ranks(values).tolist() == wanted


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holms_correction_rejects_what_its_steps_reject(ps):
    left, rejected = sorted(range(len(ps)), key=lambda i: ps[i]), set()
    while left and ps[left[0]] * len(left) <= LEVEL:
        rejected.add(left.pop(0))
    assert {i for i, p in enumerate(holm(ps)) if p <= LEVEL} == rejected


@given(*[st.lists(NUMBERS, min_size=4, max_size=6, unique=True)] * 2, st.integers(-44, 44))
def test_the_interval_holds_just_the_shifts_that_the_rank_test_does_not_reject(first, second, quarters):
    found = shift(first, second)
    moved = quarters / 4 + 1 / 8  # between the differences, so that there are no ties
    rejected = rank_test([a - moved for a in first], second) <= LEVEL
    assert rejected == (not found.low <= moved <= found.high)


def test_an_interval_of_samples_too_small_for_one_has_no_ends():
    found = shift([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    assert (found.low, found.high, found.estimate) == (-math.inf, math.inf, -3.0)


@given(FAILING, FAILING)
def test_a_shift_turns_its_sign_with_the_samples_and_is_never_nan(first, second):
    one, other = shift(first, second), shift(second, first)
    assert one.probability == pytest.approx(1 - other.probability)
    assert (one.low, one.high) == (-other.high, -other.low)
    assert not any(map(math.isnan, one))


@pytest.mark.parametrize("n", range(1, 12))
def test_the_chance_of_the_interval_of_the_median_is_that_of_coins(n):
    low, high, chance = median_interval([float(i) for i in range(n)])
    # With so many of n below the median, the interval from the low-th to the high-th member holds it.
    holding = [below for below in range(n + 1) if low < below <= high]
    assert chance == pytest.approx(sum(math.comb(n, below) for below in holding) / 2**n)
    assert chance >= 0.95 or (low, high) == (0, n - 1)


@given(st.integers(1, 40))
def test_with_the_least_number_of_seeds_a_difference_can_be_told_and_with_one_less_it_cannot(comparisons):
    def least_p(seeds):
        return comparisons * rank_test(range(seeds), range(seeds, 2 * seeds))

    seeds = least_seeds(comparisons)
    assert least_p(seeds) <= LEVEL < least_p(seeds - 1)


def test_the_less_two_cells_differ_the_more_seeds_are_needed_to_tell_them_apart():
    def needed(probability):
        return seeds_to_tell(Shift(-0.1, -9.0, 9.0, probability), 5, margin=0.0, comparisons=1)

    assert [needed(p) for p in (1.0, 0.9, 0.8, 0.7, 0.6)] == sorted(needed(p) for p in (1.0, 0.9, 0.8, 0.7, 0.6))
    assert needed(0.6) > 100


def test_an_interval_twice_too_wide_needs_four_times_the_seeds():
    assert seeds_to_tell(Shift(0.0, -0.2, 0.2, 0.5), 5, margin=0.1, comparisons=1) == 20
