"""The embedded Reber grammar: one string at a time, or an endless stream of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count

import numpy as np
from numpy.typing import NDArray

from ..checks import integer
from .base import Array, Batch, Score, Split, check_held_out, generator
from .kinds import Classification, misses_legal
from .symbols import one_hot

LETTERS = "BTSXPVE"
# The Reber grammar: what each state may emit, and the state after it; 7 is the end.
_INNER = (("B1",), ("T2", "P3"), ("S2", "X4"), ("T3", "V5"), ("X3", "S6"), ("P4", "V6"), ("E7",))
# Embedded: 0 emits B and 1 the letter to remember; 2 to 8 and 9 to 15 are the grammar after T and after P; 16 and 17
# emit that letter again, 18 emits E. Of a state with one way on, both coins go there.
_SIZE = 19


def _automaton() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return letter and next state for each (state, coin)."""
    letter, after = np.zeros((2, _SIZE, 2), np.intp)

    def ways(state: int, *choices: tuple[str, int]) -> None:
        for coin in (0, 1):
            name, following = choices[coin % len(choices)]
            letter[state, coin], after[state, coin] = LETTERS.index(name), following

    ways(0, ("B", 1))
    ways(1, ("T", 2), ("P", 9))
    for first, back in ((2, 16), (9, 17)):
        for state, choices in enumerate(_INNER):
            ways(first + state, *((way[0], back if way[1] == "7" else first + int(way[1])) for way in choices))
    ways(16, ("T", 18))
    ways(17, ("P", 18))
    ways(18, ("E", 0))
    return letter, after


_LETTER, _AFTER = _automaton()
_LEGAL = np.zeros((_SIZE, 7), bool)
_LEGAL[np.arange(_SIZE)[:, None], _LETTER] = True
# The two ways out of a state lead to different states: a pair of states tells the letter.
_EMITTED = np.zeros((_SIZE, _SIZE), np.intp)
_EMITTED[np.arange(_SIZE)[:, None], _AFTER] = _LETTER


def _eight_steps() -> NDArray[np.intp]:
    """Return the states after each of eight steps, for each state and byte of coins: one look-up in place of eight."""
    states = np.empty((_SIZE, 256, 9), np.intp)
    states[..., 0] = np.arange(_SIZE)[:, None]
    for step in range(8):
        states[..., step + 1] = _AFTER[states[..., step], np.arange(256) >> step & 1]
    return states[..., 1:]


_EIGHT = _eight_steps()


class EmbeddedReber(Classification):
    """The embedded Reber grammar: predict the next symbol; the second one comes back just before the end.

    A string is B, T or P, a string of the Reber grammar, the same T or P, E. At each step the target is the symbol that
    follows; it is right if all symbols that may follow have the greatest scores, and a string is wrong if any step is.
    A string has nine symbols or more, twelve on average. A predictor that knows the grammar but not the second symbol
    pays ln 2 for each choice of the grammar and ln 2 for the last T or P, and gets that right in half of the strings.

    Source: Cleeremans et al. 1989, *Finite state automata and simple recurrent networks*; Fahlman 1991; Hochreiter &
        Schmidhuber 1997, *Long short-term memory*, experiment 1.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> task = tasks.EmbeddedReber()
        >>> batch = next(task.batches(size=3))
        >>> "".join("BTSXPVE"[i] for i in batch.target[: batch.lengths[0], 0])
        'PBPVPXVPXTVPXTTTTVPSEPE'
        >>> task.baseline().error
        0.5
    """

    input_size = output_size = 7
    threshold = 0.01
    every_step = True
    measures = "share of strings wrong"
    source = "Fahlman 1991; Hochreiter & Schmidhuber 1997, experiment 1"

    def batch(self, rng: np.random.Generator, size: int, split: Split) -> Batch:
        """Return x (time, size, 7), one-hot B, T, S, X, P, V, E; the next symbols; lengths; what is legal."""
        path = np.zeros((1, size), np.intp)
        while not (path[1:] == 0).any(0).all():
            path = _longer(path, path.shape[0] + 24, rng)
        lengths = (path[1:] == 0).argmax(0)  # Of the predictions: the first symbol is none.
        return _predictions(path[: lengths.max() + 2])._replace(lengths=lengths)

    def baseline(self) -> Score:
        """Return the mean cross entropy of a step without the memory of the second symbol, and 1/2."""
        choices, steps = _expected_visits()
        return Score((choices + 1) * math.log(2) / (steps - 1), 0.5)


class ContinualReber(Classification):
    """The continual embedded Reber grammar: strings without a break, and a state that nobody resets.

    The next symbol of an endless stream of strings is to be predicted; a batch is a window of parallel streams, and the
    next batch goes on where it ended. A string counts as wrong if any prediction from its B to its E is (see
    `EmbeddedReber`). A predictor that knows the grammar but not the second symbol of a string pays ln 2 for
    each choice and ln 2 for the last T or P, and gets that right in half of the strings.

    References: a NumPy reproduction reports 0.997 of the strings right with a forget gate and 0.55 without.

    Args:
        window: steps of a batch.

    Source: Gers et al. 2000, *Learning to forget: continual prediction with LSTM*.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> batches = tasks.ContinualReber(window=50).batches(size=4)
        >>> one, two = next(batches), next(batches)
        >>> bool((one.target[-1] == two.x[0].argmax(-1)).all())
        True
    """

    input_size = output_size = 7
    threshold = 0.01
    every_step = True
    carries = True
    measures = "share of strings wrong"
    source = "Gers et al. 2000"
    held_out_size = 20  # Streams, of 4,000 steps each: some 6,600 strings, and time for a state to run away.
    _held_out_steps = 4000

    def __init__(self, window: int = 100) -> None:
        self.window = integer("window", window, least=1)

    def batch(self, rng: np.random.Generator, size: int, split: Split) -> Batch:
        """Return the first window of new streams."""
        return _predictions(_longer(np.zeros((1, size), np.intp), self.window + 2, rng))

    def batches(self, size: int, seed: int = 0) -> Iterator[Batch]:
        """Return the endless stream of windows, as `Task.batches`."""
        size, seed = integer("size", size, least=1), integer("seed", seed)
        return self._windows(size, seed)

    def held_out(self, split: Split) -> list[Batch]:
        """Return long windows of streams of their own, as `Task.held_out`."""
        check_held_out(split)
        start = np.zeros((1, self.held_out_size), np.intp)
        return [_predictions(_longer(start, self._held_out_steps + 2, generator(0, split, 0)))]

    def errors(self, outputs: Array, batch: Batch) -> Array:
        """Return 1 for each string with a wrong prediction, 0 for the others.

        The first string of each stream, in which the state may have to find its place, and the last one, which the
        window cuts, are left out.
        """
        assert batch.legal is not None
        is_b, is_e = (batch.x[..., LETTERS.index(letter)] > 0 for letter in "BE")
        begins = np.zeros(is_b.shape, bool)
        begins[1:] = is_b[1:] & is_e[:-1]  # The B inside comes after T or P.
        starts = np.flatnonzero(begins.T)
        wrong = np.add.reduceat(misses_legal(outputs, batch.legal).T.ravel(), starts, dtype=np.intp) > 0
        rows = starts // len(begins)
        return np.asarray(wrong[:-1][rows[:-1] == rows[1:]], np.float64)

    def baseline(self) -> Score:
        """Return the mean cross entropy of a step without the memory of the second symbol, and 1/2."""
        choices, steps = _expected_visits()
        return Score((choices + 1) * math.log(2) / steps, 0.5)

    def _windows(self, size: int, seed: int) -> Iterator[Batch]:
        path = np.zeros((1, size), np.intp)
        for index in count():
            path = _longer(path, self.window + 2, generator(seed, "train", index))
            yield _predictions(path)
            path = path[-2:]


def _longer(path: NDArray[np.intp], length: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return a path (length, batch) through the states that goes on from one (time, batch)."""
    blocks = -(-(length - len(path)) // 8)
    coins = rng.integers(0, 256, (blocks, path.shape[1]), np.uint8)
    walked = [path]
    for block in coins:
        walked.append(_EIGHT[walked[-1][-1], block].T)
    return np.concatenate(walked)[:length]


def _predictions(path: NDArray[np.intp]) -> Batch:
    """Return inputs, next symbols and what is legal, (time - 2, batch), for paths (time, batch)."""
    symbols = _EMITTED[path[:-1], path[1:]]
    return Batch(one_hot(symbols[:-1], 7), symbols[1:], legal=_LEGAL[path[1:-1]])


def _expected_visits() -> tuple[float, float]:
    """Return how many choices and how many symbols a string has on average, by the automaton's fundamental matrix."""
    moves = np.zeros((_SIZE, _SIZE))
    np.add.at(moves, (np.arange(_SIZE)[:, None], _AFTER), 0.5)
    moves[:, 0] = 0  # The string ends where the next one would begin.
    visits = np.linalg.inv(np.eye(_SIZE) - moves)[0]
    return float(visits[_AFTER[:, 0] != _AFTER[:, 1]].sum()), float(visits.sum())
