"""Suspicious cells: check_cell fails none of them, and warns of each."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, testing


@pytest.fixture(autouse=True)
def seeded():
    tg.random.seed(0)


class Base(nn.Cell):
    def __init__(self):
        super().__init__()
        self.input_size, self.hidden_size = 3, 5
        self.from_input = nn.Linear(3, 5)
        self.from_state = nn.Linear(5, 5, bias=False)

    def new(self, x, h):
        return np.tanh(self.from_input(x) + self.from_state(h))

    def forward(self, x, h):
        h = self.new(x, h)
        return h, h


class ForgetsArray(Base):
    def __init__(self):
        super().__init__()
        self.mask = tg.random.generator().random(5).astype(np.float32)

    def new(self, x, h):
        return super().new(x, h * self.mask.astype(h.dtype))


class Saturates(Base):
    def __init__(self):
        super().__init__()
        self.from_input.weight.assign(100 * self.from_input.weight.data)


class DiesAtStart(Base):
    def __init__(self):
        super().__init__()
        self.from_input.bias.assign(np.full(5, -4.0))

    def new(self, x, h):
        return tg.relu(self.from_input(x) + self.from_state(h))


class Explodes(Base):
    def new(self, x, h):
        return 1.2 * h + super().new(x, 0 * h) + self.from_state(h)


class Vanishes(Base):
    def new(self, x, h):
        return np.tanh(self.from_input(x) + 0.01 * self.from_state(h))


SUSPICIOUS = {
    ForgetsArray: ("saving", ""),
    Saturates: ("saturation", "long_gradient"),
    DiesAtStart: ("saturation", "long_gradient"),
    Explodes: ("long_gradient", ""),
    Vanishes: ("long_gradient", ""),
}


@pytest.mark.parametrize("kind", SUSPICIOUS, ids=lambda kind: kind.__name__)
def test_a_suspicious_cell_fails_no_check_and_gets_the_warnings_listed(kind):
    meant, others = SUSPICIOUS[kind]
    report = testing.check_cell(kind())
    assert {result.check for result in report if result.outcome == "warn"} == {meant, *others.split()}


@pytest.mark.parametrize(
    ("kind", "check", "words"),
    [
        (ForgetsArray, "saving", "the array mask"),
        (Saturates, "saturation", "tanh 1"),
        (Explodes, "long_gradient", "explodes"),
        (Vanishes, "long_gradient", "vanishes"),
    ],
)
def test_a_warning_says_what_was_found(kind, check, words):
    assert words in testing.check_cell(kind())[check].reason
