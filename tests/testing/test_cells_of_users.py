"""Cells as users write them: check_cell finds what is wrong where it starts, and says what to write instead."""

import threading

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, testing


@pytest.fixture(autouse=True)
def seeded():
    tg.random.seed(0)


def results(cell, outcome, **options):
    """Return the results of one outcome by the name of the check."""
    found = [check.result() for check in testing.cell_checks(cell, **options)]
    return {result.check: result for result in found if result.outcome == outcome}


class Base(nn.Cell):
    def __init__(self, input_size=3, hidden_size=5):
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.from_input = nn.Linear(input_size, hidden_size)
        self.from_state = nn.Linear(hidden_size, hidden_size)

    def new(self, x, h):
        return np.tanh(self.from_input(x) + self.from_state(h))

    def forward(self, x, h):
        h = self.new(x, h)
        return h, h


def norm(h):
    return np.sqrt(np.sum(h * h, axis=-1, keepdims=True))


class NanGradientAtTheStart(Base):
    def new(self, x, h):
        return super().new(x, h * norm(h))


class NanFromTheStart(Base):
    def new(self, x, h):
        return super().new(x, h / norm(h))


class Normalised(Base):
    def new(self, x, h):
        return super().new(x, h / np.sqrt(np.sum(h * h, axis=-1, keepdims=True) + 1e-6))


def test_a_gradient_that_is_nan_at_the_initial_state_only_is_found():
    found = results(NanGradientAtTheStart(), "fail")
    assert set(found) == {"finite"}
    assert "the gradient of state is nan" in found["finite"].reason and "away from" in found["finite"].hint


def test_where_the_states_are_nan_derivatives_are_not_blamed():
    cell = NanFromTheStart()
    assert set(results(cell, "fail")) == {"finite"}
    assert "y is nan, 3 steps from" in results(cell, "fail")["finite"].reason
    assert "see finite" in results(cell, "skip")["gradients"].reason
    assert "becomes nan" in results(cell, "warn")["long_gradient"].reason


class ShiftsLogits(Base):
    """A shift of all logits, which softmax takes out again."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(np.zeros(1, np.float32))

    def new(self, x, h):
        return tg.softmax(self.from_input(x) + self.from_state(h) + self.shift, axis=-1)


def test_a_gradient_that_cancels_is_dead_and_no_loss_of_digits():
    found = results(ShiftsLogits(), "fail")
    assert set(found) == {"parameters_reached"}
    assert "no gradient reaches shift (its gradient is zero)" in found["parameters_reached"].reason


class OtherOrder(Base):
    def initial_state(self, batch_size):
        h = super().initial_state(batch_size)
        return {"h": h, "slow": h}

    def forward(self, x, state):
        h = self.new(x, state["slow"])
        return h, {"slow": 0.5 * (state["slow"] + h), "h": h}


def test_the_order_of_keys_has_no_meaning():
    assert not results(OtherOrder(), "fail")


class RemembersSign(Base):
    def initial_state(self, batch_size):
        return super().initial_state(batch_size), np.zeros((batch_size, 1), bool)

    def forward(self, x, state):
        h, was_positive = state
        h = self.new(x, np.where(was_positive, h, 0.5 * h))
        return h, (h, x[:, :1] > 0)


def test_a_state_may_hold_what_a_comparison_gives():
    assert not results(RemembersSign(), "fail")


class Widens(Base):
    def new(self, x, h):
        return super().new(x, h).astype(np.result_type(h.dtype, np.float32))


def test_a_cell_of_float16_is_checked_in_float16_too():
    assert not results(nn.GRUCell(3, 5).astype(np.float16), "fail")
    assert not results(Widens(), "fail")
    found = results(Widens().astype(np.float16), "fail")
    assert set(found) == {"shapes"}
    assert "given the state float16[1, 5], it returned float32[1, 5]" in found["shapes"].reason


class ReadsTable(Base):
    def __init__(self):
        super().__init__(7, 5)
        self.table = nn.Parameter(np.random.default_rng(0).normal(size=(7, 7)).astype(np.float32))

    def new(self, x, h):
        return super().new(self.table[x], h)


def test_a_cell_of_tokens_without_an_example_is_told_to_give_one():
    found = results(ReadsTable(), "fail")
    assert set(found) == {"shapes"}
    assert "example_input=np.array([0, 4, 2])" in found["shapes"].hint
    assert not results(ReadsTable(), "fail", example_input=np.arange(7))


def test_a_cell_that_cannot_be_copied_fails_once():
    cell = Base()
    cell.lock = threading.Lock()
    assert set(results(cell, "fail")) == {"shapes"}
    assert results(cell, "skip")["rows"].reason == "the cell cannot be copied, see shapes"


class Dropped(Base):
    def __init__(self):
        super().__init__()
        self.drop, self.norm = nn.Dropout(0.5), nn.LayerNorm(5)

    def new(self, x, h):
        return np.tanh(self.norm(self.from_input(self.drop(x)) + self.from_state(h)))


class Squashes(nn.Module):
    def __init__(self, input_size, output_size, scale):
        super().__init__()
        self.linear, self.scale = nn.Linear(input_size, output_size), scale

    def forward(self, x):
        return np.tanh(self.scale * self.linear(x))


class InParts(Base):
    """One tanh in each of two parts of different widths."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.wide, self.narrow = Squashes(3, 9, 1.0), Squashes(9, 5, scale)

    def new(self, x, h):
        return 0.5 * (super().new(x, h) + self.narrow(self.wide(x)))


def test_a_plateau_is_found_in_whichever_part_of_a_cell_it_is():
    assert not results(InParts(), "warn")
    assert "elements of tanh 3 sit on a plateau" in results(InParts(1000.0), "warn")["saturation"].reason


class Memory(nn.Cell):
    """States of three shapes: a matrix, a vector and a number for each row."""

    def __init__(self, input_size=3, hidden_size=4):
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.project = nn.Linear(input_size, 3 * hidden_size)
        self.gate = nn.Linear(input_size, 1)

    def initial_state(self, batch_size):
        n, dtype = self.hidden_size, self.gate.weight.dtype
        return (
            np.zeros((batch_size, n, n), dtype),
            {"sum": np.zeros((batch_size, n), dtype)},
            np.zeros(batch_size, dtype),
        )

    def forward(self, x, state):
        matrix, sums, level = state
        query, key, value = np.split(self.project(x), 3, axis=-1)
        keep = tg.sigmoid(self.gate(x))
        matrix = keep[:, :, None] * matrix + value[:, :, None] * key[:, None, :]
        total = keep * sums["sum"] + key
        level = 0.9 * level + keep[:, 0]
        y = np.squeeze(matrix @ query[:, :, None], -1) / (1 + np.abs(np.sum(total * query, axis=-1, keepdims=True)))
        return y * level[:, None], (matrix, {"sum": total}, level)


class Images(nn.Cell):
    def __init__(self):
        super().__init__()
        self.mix = nn.Parameter(0.3 * np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32))

    def initial_state(self, batch_size):
        return np.zeros((batch_size, 3, 4), self.mix.dtype)

    def forward(self, x, h):
        h = np.tanh(x + np.roll(h, 1, axis=-1) + np.einsum("bcw,cd->bdw", h, self.mix))
        return h, h


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Normalised, {}),
        (Dropped, {}),
        (Memory, {}),
        (Images, {"example_input": np.random.default_rng(0).normal(size=(4, 3, 4))}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_sound_cell_of_another_kind_passes(kind, options):
    report = testing.check_cell(kind(), **options)
    assert {result.outcome for result in report if result.check != "engines"} == {"pass"}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_example_that_is_not_finite_is_refused(bad):
    with pytest.raises(tg.errors.ConfigError, match="finite numbers"):
        testing.check_cell(Base(), example_input=np.array([[1.0, 2.0, bad], [1.0, 2.0, 3.0]]))
