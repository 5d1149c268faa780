"""The addition of numbers, written digit by digit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ConfigError
from ..checks import integer
from .base import Array, Batch, Score, Split
from .kinds import Classification
from .symbols import entropy, one_hot

SYMBOLS = "0123456789+ "
_PLUS, _BLANK = 10, 11


class DigitAddition(Classification):
    """Read "53+61", then say "114": question and answer in decimal digits, one a step.

    Two numbers of 0 to `digits` digits are read, right-aligned, then `digits` + 1 blanks, during which the answer is
    to be given, left-aligned and filled up with blanks; only these steps count. With `reverse` the question is read
    from its end. Pairs of numbers, whatever their order, belong to one split each: 80 % to train, 10 % to each of the
    others. A predictor that has not read the question gives each place the distribution of its symbol over all
    pairs: the mean entropy of the places, and the answers other than the one it says wrong.

    References: the Keras example reports 99 % of the characters of 2-digit sums right after 55 epochs of 5,000
    examples, by an encoder and a decoder.

    Args:
        digits: of the greatest number, 1 to 6.
        reverse: read the question from its end.

    Raises:
        ConfigError: if `digits` is none of these.

    Source: Zaremba & Sutskever 2014, *Learning to execute*; F. Chollet and others, "Sequence to sequence learning for
        performing number addition", Keras.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> task = tasks.DigitAddition(digits=2, reverse=False)
        >>> batch = next(task.batches(size=3))
        >>> ["".join(task.symbols[i] for i in x.argmax(-1)) for x in batch.x.swapaxes(0, 1)]
        [' 3+24   ', ' 1+36   ', '18+56   ']
        >>> ["".join(task.symbols[i] for i in row[-3:]) for row in batch.target.T]
        ['27 ', '37 ', '74 ']
    """

    input_size = len(SYMBOLS)
    output_size = len(SYMBOLS)
    threshold = 0.01
    every_step = True
    measures = "share of answers wrong"
    source = "Zaremba & Sutskever 2014; Keras example addition_rnn"
    symbols = SYMBOLS

    def __init__(self, digits: int = 2, reverse: bool = True) -> None:
        self.digits = integer("digits", digits, least=1)
        if self.digits > 6:
            raise ConfigError(f"digits is {digits}; give 1 to 6")
        self.reverse = bool(reverse)

    def batch(self, rng: np.random.Generator, size: int, split: Split) -> Batch:
        """Return x (time, size, 12), one-hot; the answer's symbols at the last steps."""
        a, b = self._pairs(rng, size, split)
        question = np.concatenate(
            [_right_aligned(a, self.digits), np.full((1, size), _PLUS), _right_aligned(b, self.digits)]
        )
        if self.reverse:
            question = question[::-1]
        answer = _left_aligned(a + b, self.digits + 1)
        blanks = np.full_like(answer, _BLANK)
        target = np.concatenate([np.full_like(question, _BLANK), answer])
        counted = np.zeros(target.shape, bool)
        counted[-len(answer) :] = True
        return Batch(one_hot(np.concatenate([question, blanks]), len(SYMBOLS)), target, counted=counted)

    def baseline(self) -> Score:
        """Return the mean entropy of the answer's places, and the share of other answers than the likeliest symbols."""
        limit = 10**self.digits
        sums = np.arange(2 * limit - 1)
        chances = (limit - np.abs(sums - (limit - 1))) / limit**2
        places = _left_aligned(sums, self.digits + 1)
        shares = np.stack([np.bincount(place, chances, len(SYMBOLS)) for place in places])
        said = (places == shares.argmax(-1)[:, None]).all(0)
        return Score(float(entropy(shares).mean()), 1 - float(chances[said].sum()))

    def _pairs(self, rng: np.random.Generator, size: int, split: Split) -> tuple[Array, Array]:
        """Return numbers whose pairs belong to a split: drawn, and drawn again where they do not."""
        pairs = np.zeros((2, size), np.int64)
        wrong = np.ones(size, bool)
        while wrong.any():
            pairs[:, wrong] = rng.integers(0, 10**self.digits, (2, np.count_nonzero(wrong)))
            wrong[wrong] = _part(pairs[:, wrong]) != split
        return pairs[0], pairs[1]


def _part(pairs: Array) -> NDArray[Any]:
    """Return the split of each pair: a hash of its numbers, whatever their order.

    Source: Steele et al. 2014, *Fast splittable pseudorandom number generators* (the mixing function).
    """
    mixed = (pairs.min(0) * 10**6 + pairs.max(0)).astype(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    parts = np.array(["validation", "test", *["train"] * 8])
    chosen: Array = parts[(mixed % np.uint64(10)).astype(np.intp)]
    return chosen


def _right_aligned(numbers: Array, width: int) -> Array:
    """Return decimal digits (width, ...), blanks in front."""
    powers = 10 ** np.arange(width)[::-1, None]
    return np.where((numbers >= powers) | (powers == 1), numbers // powers % 10, _BLANK)


def _left_aligned(numbers: Array, width: int) -> Array:
    """Return decimal digits (width, ...), blanks behind."""
    digits = _right_aligned(numbers, width)
    return np.take_along_axis(digits, np.argsort(digits == _BLANK, axis=0, kind="stable"), 0)
