"""Exact statistics of two small samples: a rank test, the effect with its interval, how many seeds would tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05
POWER = 0.8
Floats = NDArray[np.float64]


class Shift(NamedTuple):
    """By how much one sample lies above another.

    Args:
        estimate: the median of all differences (Hodges & Lehmann).
        low: least shift that the samples do not speak against; -inf where they are too small to say.
        high: greatest such shift.
        probability: that a draw from the first is below one from the second, ties counted half.
    """

    estimate: float
    low: float
    high: float
    probability: float


def ranks(values: Sequence[float]) -> Floats:
    """Return the ranks from 1, ties sharing the mean of theirs; infinity is the last.

    Args:
        values: no NaN among them.

    Example:
        >>> from tinygrad_rnn.lab.statistics import ranks
        >>> ranks([3.0, 1.0, float("inf"), 3.0])
        array([2.5, 1. , 4. , 2.5])
    """
    sample = np.asarray(values, np.float64)
    below = (sample[:, None] > sample).sum(1)
    same = (sample[:, None] == sample).sum(1)
    found: Floats = below + (same + 1) / 2
    return found


def rank_test(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the two-sided p-value of the exact rank-sum test: how often chance parts the ranks as unevenly.

    Every way to deal the ranks at hand out to the two samples has the same chance, ties included, where both come from
    one distribution. Nothing is approximated.

    Args:
        first: (n,), n at least 1; infinity for what failed.
        second: (m,), m at least 1.

    Source: Wilcoxon 1945, *Individual comparisons by ranking methods*; Mann & Whitney 1947.

    Example:
        >>> from tinygrad_rnn.lab.statistics import rank_test
        >>> round(rank_test([1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 8.0, 9.0, 10.0]), 4)  # 2 of 252 ways
        0.0079
    """
    doubled = np.rint(2 * ranks([*first, *second])).astype(int)
    n = len(first)
    ways = np.zeros((n + 1, int(doubled.sum()) + 1))  # of choosing so many ranks with such a sum
    ways[0, 0] = 1
    for rank in doubled:
        for count in range(n, 0, -1):
            ways[count, rank:] += ways[count - 1, : ways.shape[1] - rank]
    sums = np.arange(ways.shape[1])
    middle = doubled.mean() * n
    extreme = np.abs(sums - middle) >= abs(doubled[:n].sum() - middle) - 1e-9
    return float(ways[n, extreme].sum() / ways[n].sum())


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values corrected for how many there are: all below a level at once has no more than its chance.

    Source: Holm 1979, *A simple sequentially rejective multiple test procedure*.

    Example:
        >>> from tinygrad_rnn.lab.statistics import holm
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(ps)
    greatest = 0.0
    for place, index in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        greatest = max(greatest, min(1.0, (len(ps) - place) * ps[index]))
        corrected[index] = greatest
    return corrected


def shift(first: Sequence[float], second: Sequence[float], level: float = LEVEL) -> Shift:
    """Return by how much the first sample lies above the second, with the interval that inverts the rank test.

    Args:
        first: (n,); infinity for what failed.
        second: (m,).
        level: one minus the chance with which the interval holds the shift, at least.

    Source: Hodges & Lehmann 1963, *Estimates of location based on rank tests*.

    Example:
        >>> from tinygrad_rnn.lab.statistics import shift
        >>> shift([1.0, 2.0, 3.0, 4.0, 5.0], [1.25, 2.25, 3.25, 4.25, 5.25])
        Shift(estimate=-0.25, low=-3.25, high=2.75, probability=0.6)
    """
    with np.errstate(invalid="ignore"):
        differences = np.subtract.outer(np.asarray(first, np.float64), np.asarray(second, np.float64)).ravel()
    differences[np.isnan(differences)] = 0.0  # Two that failed are alike.
    differences.sort()
    below = float((np.sum(differences < 0) + np.sum(differences == 0) / 2) / differences.size)
    reach = _outside(len(first), len(second), level)
    low, high = (differences[reach - 1], differences[-reach]) if reach else (-math.inf, math.inf)
    return Shift(_median(differences), float(low), float(high), below)


def median_interval(sample: Sequence[float], level: float = LEVEL) -> tuple[float, float, float]:
    """Return two members of a sample that hold the median of its distribution between them, and with what chance.

    Args:
        sample: (n,), n at least 1.
        level: one minus the chance that is asked for; a small sample gives its ends, and their smaller chance.

    Source: the binomial distribution of the number of members below the median.

    Example:
        >>> from tinygrad_rnn.lab.statistics import median_interval
        >>> median_interval([5.0, 1.0, 4.0, 2.0, 3.0])
        (1.0, 5.0, 0.9375)
    """
    ordered, n = sorted(sample), len(sample)
    outside, cut = 2 * 0.5**n, 0
    while cut + 1 < n - cut - 1 and outside + 2 * math.comb(n, cut + 1) * 0.5**n <= level:
        cut += 1
        outside += 2 * math.comb(n, cut) * 0.5**n
    return ordered[cut], ordered[n - 1 - cut], max(0.0, 1 - outside)


def least_seeds(comparisons: int, level: float = LEVEL) -> int:
    """Return with how many seeds each the rank test can find a difference at all, among so many comparisons.

    Example:
        >>> from tinygrad_rnn.lab.statistics import least_seeds
        >>> [least_seeds(comparisons) for comparisons in (1, 6, 9)]
        [4, 5, 6]
    """
    seeds = 2
    while 2 / math.comb(2 * seeds, seeds) * comparisons > level:
        seeds += 1
    return seeds


def seeds_to_tell(found: Shift, seeds: int, margin: float, comparisons: int, level: float = LEVEL) -> int:
    """Return about how many seeds would tell: a difference as large as the one seen, or that there is none that counts.

    The first by the power of the rank test (0.8), or the least that tell anything where all seeds of one cell were
    better than all of the other; the second by an interval that shrinks with the root of their number until it lies
    within the margin; the smaller of both.

    Args:
        found: the shift that was seen.
        seeds: with so many.
        margin: from where on a shift counts.
        comparisons: among how many this one is to be told.
        level: of the test.

    Source: Noether 1987, *Sample size determination for some common nonparametric tests*.

    Example:
        >>> from tinygrad_rnn.lab.statistics import Shift, seeds_to_tell
        >>> seeds_to_tell(Shift(-0.1, -0.3, 0.1, 0.8), 5, margin=0.02, comparisons=1)
        15
    """
    normal = NormalDist()
    least = max(seeds + 1, least_seeds(comparisons, level))
    needed = math.inf
    if found.probability in (0.0, 1.0):
        return least
    if found.probability != 0.5:
        z = normal.inv_cdf(1 - level / comparisons / 2) + normal.inv_cdf(POWER)
        needed = z**2 / (6 * (found.probability - 0.5) ** 2)
    room = margin - abs(found.estimate)
    if room > 0 and math.isfinite(found.high - found.low):
        needed = min(needed, seeds * ((found.high - found.low) / 2 / room) ** 2)
    return least if needed == math.inf else max(least, math.ceil(needed))


def _median(ordered: Floats) -> float:
    """Return the median of ordered numbers, infinities among them."""
    low, high = ordered[(ordered.size - 1) // 2], ordered[ordered.size // 2]
    return float(low if low == high else (low + high) / 2)


@cache
def _outside(n: int, m: int, level: float) -> int:
    """Return the place, from 1, of the difference at which the interval begins; 0 where no place is far enough out."""
    ways: Any = [[1] + [0] * (n * m) for _ in range(n + 1)]
    for second in range(1, m + 1):
        for first in range(1, n + 1):
            # The greatest of all is one of the first sample, which all the second is below, or it is one of the second.
            moved = [0] * second + ways[first - 1][: n * m + 1 - second]
            ways[first] = [a + b for a, b in zip(ways[first], moved, strict=True)]
    total, below, reach = math.comb(n + m, n), 0, 0
    while reach <= n * m and 2 * (below + ways[n][reach]) <= level * total:
        below += ways[n][reach]
        reach += 1
    return reach
