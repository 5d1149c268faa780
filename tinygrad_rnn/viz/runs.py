"""Runs: the stretches of a sequence in which a shorter sequence repeats."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from ..core import Array

# Periods that are looked at; a sequence that repeats has few, one that does not has as many as it is long.
_CANDIDATES = 48


class Run(NamedTuple):
    """A stretch in which every element is that of one period before, at least two periods long.

    Args:
        start: of the stretch.
        period: the shortest distance at which it repeats.
        length: of the stretch, not always a multiple of the period.
    """

    start: int
    period: int
    length: int


def find_runs(codes: Array) -> list[Run]:
    """Return the runs of a sequence, first those of the period by which most elements repeat earlier ones.

    The time is linear in the length of the sequence, up to a logarithm: windows of 1, 2, 4, … elements are numbered so
    that equal ones have equal numbers, and a period is the distance of a window from its next occurrence.

    Args:
        codes: (length,), integers.

    Source: the numbering by doubling is Karp, Miller and Rosenberg 1972, *Rapid identification of repeated patterns in
    strings, trees and arrays*.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.viz.runs import find_runs
        >>> find_runs(np.array([9, 1, 2, 1, 2, 1, 2, 7]))
        [Run(start=1, period=2, length=6)]
    """
    found = []
    for period in _periods(codes):
        runs = _runs_of(codes, period)
        saved = sum([(run.length // period - 1) * period for run in runs])
        found.append((-saved, period, runs))
    return [run for _, _, runs in sorted(found) for run in runs]


def _periods(codes: Array) -> list[int]:
    gains: Counter[int] = Counter()
    names, width = np.unique(codes, return_inverse=True)[1], 1
    while 2 * width <= len(codes):
        order = np.argsort(names, kind="stable")
        gaps = np.diff(order)[names[order[1:]] == names[order[:-1]]]
        # Windows cannot tell apart what repeats at much larger distances; smaller ones were found before.
        periods, counts = np.unique(gaps[(gaps >= width) & (gaps < 2 * width)], return_counts=True)
        gains.update(dict(zip(periods.tolist(), (counts * periods).tolist(), strict=True)))
        pairs = names[:-width].astype(np.int64) * (int(names.max()) + 1) + names[width:]
        names, width = np.unique(pairs, return_inverse=True)[1], 2 * width
    return [period for period, _ in gains.most_common(_CANDIDATES)]


def _runs_of(codes: Array, period: int) -> list[Run]:
    """Return the maximal stretches that repeat at a distance."""
    same = np.concatenate([[False], codes[:-period] == codes[period:], [False]])
    starts = np.flatnonzero(~same[:-1] & same[1:])
    ends = np.flatnonzero(same[:-1] & ~same[1:])
    return [
        Run(start, period, end - start + period)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        if end - start >= period
    ]
