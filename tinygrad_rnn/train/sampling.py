"""Text from a character language model, a character at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count
from numbers import Integral, Real

import numpy as np

from ..core.errors import ConfigError, NonFiniteError
from ..data import CharVocabulary
from .model import CharModel


def stream(
    model: CharModel,
    vocabulary: CharVocabulary,
    prime: str = "",
    temperature: float = 0.7,
    length: int | None = None,
    rng: np.random.Generator | None = None,
) -> Iterator[str]:
    """Return an iterator over the characters that the model writes after a prime, with the weights of its first one.

    Args:
        model: scores the next character.
        vocabulary: of the model.
        prime: what the model reads first; empty stands for the start of a line.
        temperature: 1 draws as the model expects, less draws safer characters, 0 takes the best one always.
        length: how many characters; None goes on for ever.
        rng: where chance comes from; None takes a fresh one.

    Raises:
        ConfigError: if temperature or length is negative or not a number.
        DataError: if the prime has characters that the vocabulary lacks.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import data, nn, train
        >>> from tinygrad_rnn.train.sampling import stream
        >>> vocabulary = data.CharVocabulary("ab")
        >>> model = train.CharModel(2, nn.RNNCell, train.Config(hidden=4, embedding=2))
        >>> text = "".join(stream(model, vocabulary, "a", length=5, rng=np.random.default_rng(0)))
        >>> len(text), set(text) <= set("ab")
        (5, True)
    """
    if isinstance(temperature, bool) or not isinstance(temperature, Real) or not 0 <= temperature < math.inf:
        raise ConfigError(f"temperature is {temperature!r}; give a number of at least 0, such as 0.7")
    if length is not None and (isinstance(length, bool) or not isinstance(length, Integral) or length < 0):
        raise ConfigError(f"length is {length!r}; give a whole number of at least 0")
    start = prime or ("\n" if "\n" in vocabulary.symbols else vocabulary.symbols[0])
    ids = vocabulary.encode(start)
    return _stream(model, vocabulary.symbols, ids, temperature, length, rng or np.random.default_rng())


def _stream(
    model: CharModel, symbols: str, ids: np.ndarray, temperature: float, length: int | None, rng: np.random.Generator
) -> Iterator[str]:
    read = model.stepper()
    for one in ids[:-1].tolist():
        read(one)
    choice = int(ids[-1])
    for _ in range(length) if length is not None else count():
        choice = draw(read(choice), temperature, rng)
        yield symbols[choice]


def draw(logits: np.ndarray, temperature: float, rng: np.random.Generator) -> int:
    """Return a class drawn with probabilities softmax(logits / temperature); the greatest one at temperature 0.

    Args:
        logits: (classes,).
        temperature: 0 or more.
        rng: gives one number.

    Raises:
        NonFiniteError: if a score is NaN or infinite.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.train.sampling import draw
        >>> draw(np.array([0.0, 5.0, 1.0]), 0.0, np.random.default_rng(0))
        1
    """
    exact = logits.astype(np.float64)
    top = exact.max()
    if not (math.isfinite(top) and math.isfinite(exact.min())):
        raise NonFiniteError(
            "the model's scores are not all numbers, its weights have grown too large: train it with a smaller "
            "learning rate, or clip the gradient"
        )
    if temperature == 0:
        return int(exact.argmax())
    exact -= top
    with np.errstate(over="ignore"):  # A gap that a tiny temperature makes infinite is a probability of 0.
        exact /= temperature
    ends = np.exp(exact, out=exact).cumsum()
    return int(ends.searchsorted(rng.random() * ends[-1], side="right"))
