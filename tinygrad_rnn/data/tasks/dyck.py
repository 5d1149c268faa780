"""Dyck words: brackets of several kinds, well nested, up to a depth."""

from __future__ import annotations

import numpy as np

from ..checks import integer
from .base import Array, Batch, Score, Split
from .kinds import LegalSymbols
from .symbols import binary_entropy, one_hot


class Dyck(LegalSymbols):
    """Well-nested brackets of bounded depth: after each symbol, predict all that may come next.

    The symbols are S (the start), an opening bracket for each kind, and a closing one. Below the greatest depth every
    opening bracket may come; inside, the one closing bracket that fits; outside, the end. A word has 1 to `pairs`
    pairs (all have `pairs` in validation and test); its steps open or close with equal chance where both are
    possible, its kinds are drawn uniformly. The baseline predicts each output with its probability over all steps
    and ignores the word: the sum of the outputs' entropies, and no word right.

    Args:
        kinds: of brackets.
        depth: the greatest one.
        pairs: the greatest number of pairs in a word.

    Source: Hewitt et al. 2020, *RNNs can generate bounded hierarchical languages with optimal memory*; Suzgun et al.
        2019, *LSTM networks can perform dynamic counting*.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> task = tasks.Dyck(kinds=2, depth=3, pairs=10)
        >>> batch = next(task.batches(size=2))
        >>> batch.x.shape[1:], batch.target.shape[1:]
        ((2, 5), (2, 5))
    """

    threshold = 0.01
    source = "Hewitt et al. 2020"

    def __init__(self, kinds: int = 2, depth: int = 3, pairs: int = 20) -> None:
        self.kinds = integer("kinds", kinds, least=1)
        self.depth = integer("depth", depth, least=1)
        self.pairs = integer("pairs", pairs, least=1)
        self.input_size = self.output_size = 2 * self.kinds + 1

    def batch(self, rng: np.random.Generator, size: int, split: Split) -> Batch:
        """Return x (time, size, 2 kinds + 1), one-hot S, opening, closing; the target, with the end in place of S."""
        pairs = rng.integers(1 if split == "train" else self.pairs, self.pairs + 1, size)
        depths = self._depths(rng.random((2 * pairs.max(), size)) < 0.5, 2 * pairs)
        kinds = rng.integers(0, self.kinds, depths.shape)
        inside = _innermost(depths, kinds, self.depth)
        opening = depths[1:] > depths[:-1]
        closed = inside[:-1]  # What a closing bracket closes was the innermost one before it.
        symbols = np.zeros(depths.shape, np.intp)
        symbols[1:] = np.where(opening, 1 + kinds[1:], 1 + self.kinds + closed)
        target = np.zeros((*depths.shape, self.output_size), np.float32)
        target[..., 0] = depths == 0
        target[..., 1 : self.kinds + 1] = (depths < self.depth)[..., None]
        target[..., self.kinds + 1 :] = one_hot(inside, self.kinds) * (depths > 0)[..., None]
        return Batch(one_hot(symbols, self.input_size), target, 2 * pairs + 1)

    def baseline(self) -> Score:
        """Return the summed entropies of the outputs over all steps of validation, and 1."""
        steps = 2 * self.pairs
        at = np.zeros(self.depth + 1)  # The probability of each depth.
        at[0] = 1.0
        total = at.copy()
        for step in range(steps):
            up = self._chance_to_open(np.arange(self.depth + 1), steps - step)
            opened, closed = at * up, at * (1 - up)
            at = np.concatenate([[0.0], opened[:-1]]) + np.concatenate([closed[1:], [0.0]])
            total += at
        share = total / (steps + 1)
        outputs = [share[0], *[1 - share[-1]] * self.kinds, *[(1 - share[0]) / self.kinds] * self.kinds]
        return Score(float(binary_entropy(np.array(outputs)).sum()), 1.0)

    def _chance_to_open(self, depth: Array, left: Array | int) -> Array:
        """Return the probability that the next step opens, with `left` steps to come."""
        chance: Array = np.where(depth == 0, 1.0, np.where((depth == self.depth) | (depth >= left), 0.0, 0.5))
        return chance

    def _depths(self, coins: Array, steps: Array) -> Array:
        """Return the depth (1 + time, size) before the word and after each of its steps; 0 behind its end."""
        depths = np.zeros((len(coins) + 1, coins.shape[1]), np.intp)
        for step, coin in enumerate(coins):
            depth, left = depths[step], steps - step
            opens = (depth == 0) | (coin & (depth < self.depth) & (depth < left))
            depths[step + 1] = np.where(left > 0, np.where(opens, depth + 1, depth - 1), 0)
        return depths


def _innermost(depths: Array, kinds: Array, greatest: int) -> Array:
    """Return the kind of the innermost open bracket after each step; 0 where none is open.

    That is the kind drawn at the last step that rose to the depth.
    """
    steps = np.arange(len(depths))[:, None]
    rises = np.zeros(depths.shape, bool)
    rises[1:] = depths[1:] > depths[:-1]
    inside = np.zeros(depths.shape, np.intp)
    for depth in range(1, greatest + 1):
        last = np.maximum.accumulate(np.where(rises & (depths == depth), steps, 0), axis=0)
        inside = np.where(depths == depth, np.take_along_axis(kinds, last, 0), inside)
    return inside
