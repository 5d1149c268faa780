"""What the tests of tasks share: a small form of every generated task, and a comparison with chance in it."""

import math

import numpy as np
import pytest

from tinygrad_rnn.data import tasks

SMALL = {
    "adding": lambda: tasks.Adding(8),
    "multiplication": lambda: tasks.Multiplication(8),
    "copy": lambda: tasks.CopyMemory(5, symbols=4, recall=3),
    "order 6a": lambda: tasks.TemporalOrder(2, 30),
    "order 6b": lambda: tasks.TemporalOrder(3, 30),
    "long lag": lambda: tasks.LongLag(6),
    "embedded Reber": tasks.EmbeddedReber,
    "continual Reber": lambda: tasks.ContinualReber(30),
    "anbn": lambda: tasks.AnBn(5),
    "anbncn": lambda: tasks.AnBnCn(5),
    "Dyck": lambda: tasks.Dyck(2, 3, 6),
    "parity": lambda: tasks.Parity(7),
    "addition": lambda: tasks.DigitAddition(2),
    "text": lambda: tasks.CharacterText("".join(np.random.default_rng(2).choice(list("abcde"), 2500)), window=9),
    "names": lambda: tasks.Names([a + b + c for a in "abe" for b in "lmnor" for c in ("", "a", "anna", "ebo")]),
    "rolls": lambda: tasks.PianoRolls(rolls(), threshold=1.0),
}


def rolls():
    rng = np.random.default_rng(3)
    counts = {"train": 9, "validation": 4, "test": 5}
    return {split: [rng.integers(0, 2, (rng.integers(2, 9), 4)) for _ in range(n)] for split, n in counts.items()}


@pytest.fixture(params=SMALL.values(), ids=SMALL)
def task(request):
    return request.param()


def same(one, two):
    """Whether two batches are equal in all that they hold."""
    return all(np.array_equal(a, b) if a is not None else b is None for a, b in zip(one, two, strict=True))


def agrees(values, expected, errors=5.0):
    """Whether a mean of independent values is within so many standard errors of what it should be."""
    values = np.asarray(values, float)
    return abs(values.mean() - expected) <= errors * values.std() / math.sqrt(values.size) + 1e-12
