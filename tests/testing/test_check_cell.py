"""check_cell: sound cells pass, and whoever calls it learns what is wrong with the others."""

import unittest
import warnings
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn, testing
from tinygrad_rnn.core import errors
from tinygrad_rnn.scan import scan
from tinygrad_rnn.testing.cells import CHECKS
from tinygrad_rnn.testing.fingerprint import fingerprint
from tinygrad_rnn.testing.subject import ENGINES, found_input_size


class Minimal(nn.Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(input_size, 2 * hidden_size)
        self.from_state = nn.Linear(hidden_size, 2 * hidden_size, bias=False)

    def forward(self, x, h):
        z, n = np.split(self.from_input(x) + self.from_state(h), 2, axis=-1)
        z = tg.sigmoid(z)
        h = (1 - z) * h + z * np.tanh(n)
        return h, h


class Nested(nn.Cell):
    """A state of every kind of nest, with an integer in it; a buffer, dropout, and weights that start at zero."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.from_input = nn.Linear(input_size, hidden_size)
        self.gain = nn.Parameter(np.zeros(hidden_size, np.float32))
        self.drop = nn.Dropout(0.3)
        self.register_buffer("scale", np.full(hidden_size, 0.5, np.float32))

    def initial_state(self, batch_size):
        zeros = super().initial_state(batch_size)
        return {"h": zeros, "more": [(zeros, np.zeros(batch_size, np.int64)), None]}

    def forward(self, x, state):
        (slow, steps), _ = state["more"]
        h = np.tanh(self.from_input(x) + self.gain * self.scale * state["h"])
        slow = 0.9 * slow + self.drop(h) / (1 + np.expand_dims(steps, -1).astype(h.dtype))
        return slow * self.gain + h, {"h": h, "more": [(slow, steps + 1), None]}


class Tokens(nn.Cell):
    def __init__(self, vocabulary, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.embedding = nn.Embedding(vocabulary, hidden_size)
        self.cell = nn.GRUCell(hidden_size, hidden_size)

    def forward(self, x, h):
        return self.cell(self.embedding(x), h)


class Base(nn.Cell):
    def __init__(self, input_size=3, hidden_size=5):
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.from_input = nn.Linear(input_size, hidden_size)
        self.from_state = nn.Linear(hidden_size, hidden_size, bias=False)

    def new(self, x, h):
        return np.tanh(self.from_input(x) + self.from_state(h))

    def forward(self, x, h):
        h = self.new(x, h)
        return h, h


class LeaksRows(Base):
    def new(self, x, h):
        return super().new(x, np.roll(h, 1, axis=0))


class DeadParameter(Base):
    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(np.ones(5, np.float32))


class Forgets(Base):
    def new(self, x, h):
        return super().new(x, 0.01 * h)


class DrawsNoise(Base):
    """From a generator of its own, which counts as an attribute that changes."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.rng = np.random.default_rng(0)

    def new(self, x, h):
        noise = self.rng.normal(size=h.shape) + tg.random.generator().normal(size=h.shape)
        return super().new(x, h) + noise.astype(h.dtype)


SOUND = {
    "tanh": lambda i, h: nn.RNNCell(i, h),
    "relu": lambda i, h: nn.RNNCell(i, h, nonlinearity="relu"),
    "lstm": lambda i, h: nn.LSTMCell(i, h),
    "gru": lambda i, h: nn.GRUCell(i, h),
    "gru of the paper": lambda i, h: nn.GRUCell(i, h, reset_after=False),
    "minimal": Minimal,
}


def outcomes(cell, **options):
    """Return the names of the checks by outcome."""
    found = {}
    for check in testing.cell_checks(cell, **options):
        result = check.result()
        found.setdefault(result.outcome, set()).add(result.check)
    return found


@pytest.fixture(autouse=True)
def seeded():
    tg.random.seed(0)


@pytest.mark.parametrize("name", SOUND)
def test_a_shipped_cell_passes_every_check(name):
    report = testing.check_cell(SOUND[name](3, 5))
    assert {result.outcome for result in report if result.check != "engines"} == {"pass"}


@settings(max_examples=6)
@pytest.mark.parametrize("name", SOUND)
@given(sizes=st.tuples(st.integers(1, 4), st.integers(1, 6)), seed=st.integers(0, 999))
def test_no_check_fails_a_shipped_cell_of_any_size(name, sizes, seed):
    tg.random.seed(seed)
    assert "fail" not in outcomes(SOUND[name](*sizes), input_size=sizes[0])


def faulty_scan(step, init, xs, lengths=None, **options):
    ys, *rest = scan(step, init, xs, lengths, **options)
    return (ys * 1.000001, *rest)


@pytest.mark.parametrize("engine", [scan, faulty_scan])
def test_an_engine_that_gives_other_numbers_is_found(monkeypatch, engine):
    monkeypatch.setitem(ENGINES, "other", engine)
    found = outcomes(nn.GRUCell(3, 5))
    assert found.get("fail", set()) == ({"engines"} if engine is faulty_scan else set())


def test_where_the_step_itself_is_wrong_the_other_checks_are_skipped():
    class ReturnsThree(Base):
        def forward(self, x, h):
            return h, h, h

    found = outcomes(ReturnsThree())
    assert found["fail"] == {"shapes"}
    assert len(found["skip"]) == len(CHECKS) - 1


def test_the_error_is_an_assertion_that_shows_the_failures_with_hints():
    with pytest.raises(errors.CellCheckError, match="DeadParameter: 1 failed") as found:
        testing.check_cell(DeadParameter())
    assert isinstance(found.value, AssertionError)
    assert "hint: use the parameter in forward" in str(found.value)


@pytest.mark.parametrize("check", testing.cell_checks(Minimal(3, 5)))
def test_checks_run_one_by_one_under_pytest(check):
    check()


def test_checks_have_readable_names_in_pytest():
    checks = testing.cell_checks(Minimal(3, 5))
    assert [check.__name__ for check in checks] == [check.__name__ for check in CHECKS]
    assert all(check.__doc__ for check in checks)


def test_a_check_raises_warns_or_skips():
    checks = {check.__name__: check for check in testing.cell_checks(Forgets())}
    with pytest.warns(testing.CellWarning, match="Forgets, long_gradient: over 200 steps"):
        checks["long_gradient"]()
    nothing = {check.__name__: check for check in testing.cell_checks(Sums())}
    with pytest.raises(unittest.SkipTest, match="no parameter to train"):
        nothing["parameters_reached"]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checks["rows"]()
    with pytest.raises(errors.CellCheckError, match="LeaksRows, rows: row 0"):
        {check.__name__: check for check in testing.cell_checks(LeaksRows())}["rows"]()


@pytest.mark.parametrize("kind", [Minimal, DrawsNoise])
def test_the_cell_and_the_random_state_stay_as_they_are(kind):
    cell = kind(3, 5)
    before, state = fingerprint(cell), tg.random.get_state()
    outcomes(cell)
    assert fingerprint(cell) == before
    assert tg.random.get_state() == state


@pytest.mark.parametrize("kind", [Minimal, nn.LSTMCell])
def test_two_runs_give_the_same_table(kind):
    cell = kind(3, 5)
    assert str(testing.check_cell(cell)) == str(testing.check_cell(cell))


def test_a_cell_with_any_nest_for_a_state_passes():
    assert set(outcomes(Nested(3, 5))) <= {"pass", "skip"}


def test_a_cell_of_tokens_passes_with_an_example():
    found = outcomes(Tokens(6, 5), example_input=np.arange(6))
    assert set(found) <= {"pass", "skip"}


def test_a_cell_of_other_features_passes_with_an_example():
    class Logs(Base):
        def new(self, x, h):
            return super().new(np.log(x), h)

    found = outcomes(Logs(), example_input=np.random.default_rng(0).uniform(1, 2, (4, 3)))
    assert set(found) <= {"pass", "skip"}


class Sums(nn.Cell):
    input_size = hidden_size = 3

    def forward(self, x, h):
        h = 0.5 * h + x
        return h, h


class Stateless(nn.Cell):
    def __init__(self):
        super().__init__()
        self.from_input = nn.Linear(3, 5)

    def initial_state(self, batch_size):
        return None

    def forward(self, x, state):
        return np.tanh(self.from_input(x)), None


class Counts(nn.Cell):
    def initial_state(self, batch_size):
        return np.zeros(batch_size, np.int64)

    def forward(self, x, count):
        return count + x, count + x


class Pair(NamedTuple):
    h: object
    before: object


class Learned(Base):
    """Its initial state is a parameter, its state a named tuple, and two of its weights are the same."""

    def __init__(self):
        super().__init__(5, 5)
        self.start = nn.Parameter(np.zeros(5, np.float32))
        self.from_state = self.from_input

    def initial_state(self, batch_size):
        start = np.broadcast_to(self.start, (batch_size, 5))
        return Pair(start, start)

    def forward(self, x, state):
        h = self.new(x, state.before)
        return h, Pair(h, state.h)


@pytest.mark.parametrize(
    ("make", "options", "skipped"),
    [
        (Sums, {}, "parameters_reached per_sample_gradients"),
        (Stateless, {}, "long_gradient"),
        (
            Counts,
            {"example_input": [1, 2, 3]},
            "gradients forward_mode parameters_reached per_sample_gradients long_gradient",
        ),
        (Learned, {}, ""),
        (lambda: Base().requires_grad_(False), {}, "parameters_reached per_sample_gradients"),
    ],
    ids=["no parameters", "no state", "no floats", "learned and shared", "frozen"],
)
def test_where_there_is_nothing_to_check_a_check_is_skipped(make, options, skipped):
    found = outcomes(make(), **options)
    assert set(found) <= {"pass", "skip"}
    assert found.get("skip", set()) == set(skipped.split())


@pytest.mark.parametrize(
    ("factor", "figure"),
    [
        (0.05, "6.2e-261, 0.05 a step"),
        (0.005, "6.2e-461, 0.005 a step: it vanishes"),
        (50.0, "6.2e+339, 50 a step: it explodes"),
        (0.0, "0, 0 a step: it vanishes"),
    ],
)
def test_what_becomes_of_a_gradient_is_told_beyond_the_range_of_floats(factor, figure):
    class Scales(nn.Cell):
        input_size = hidden_size = 3

        def forward(self, x, h):
            h = factor * h + x
            return h, h

    checks = {check.__name__: check for check in testing.cell_checks(Scales())}
    assert f"multiplied with {figure}" in checks["long_gradient"].result().reason


def test_a_gradient_through_a_coarse_dtype_is_not_lost_by_the_measurement():
    class Coarse(Base):
        def new(self, x, h):
            h16 = np.tanh((self.from_input(x) + self.from_state(h)).astype(np.float16))
            return h16.astype(h.dtype)

    assert set(outcomes(Coarse())) <= {"pass", "skip"}


def test_checks_run_in_the_mode_that_the_cell_is_in():
    class Noisy(Base):
        def forward(self, x, h):
            h = self.new(x, h)
            if self.training:
                h = h + 0.1 * tg.random.generator().normal(size=h.shape).astype(h.dtype)
            return h, h

    assert "repeatable" in outcomes(Noisy())["fail"]
    assert "fail" not in outcomes(Noisy().eval())


def test_the_input_size_is_found_by_what_the_parameters_allow():
    assert "fail" not in outcomes(Minimal(3, 5))
    assert "fail" not in outcomes(Minimal(7, 7))


def test_a_cell_whose_input_size_cannot_be_told_is_refused():
    class Scales(nn.Cell):
        def __init__(self):
            super().__init__()
            self.hidden_size = 4
            self.one, self.four = nn.Parameter(np.ones(1)), nn.Parameter(np.ones(4))

        def forward(self, x, h):
            h = np.tanh(self.one * self.four * x + h)
            return h, h

    with pytest.raises(errors.ConfigError, match=r"takes 1 or 4 features; write self\.input_size"):
        testing.check_cell(Scales())
    assert "fail" not in outcomes(Scales(), input_size=4)
    with pytest.raises(errors.ConfigError, match="example_input="):
        testing.check_cell(Tokens(6, 5))


@pytest.mark.parametrize("example", [3, ["a", "b"], [2, 2], np.ones((4, 3))])
def test_an_example_that_tells_nothing_is_refused(example):
    with pytest.raises(errors.ConfigError, match="several inputs of one step that differ"):
        testing.check_cell(Tokens(6, 5), example_input=example)


def test_what_is_no_cell_is_refused():
    for thing in (Minimal, nn.Linear(3, 5), lambda x, h: (x, h)):
        with pytest.raises(errors.CellError, match="give an instance of a class"):
            testing.check_cell(thing)
    with pytest.raises(errors.ConfigError, match="give one of them"):
        testing.check_cell(Minimal(3, 5), input_size=3, example_input=np.eye(3))


def test_a_cell_that_cannot_be_copied_fails_with_the_reason():
    class HoldsGraph(Base):
        def __init__(self):
            super().__init__()
            self.start = [np.tanh(self.from_input.weight)]

    assert "copy.deepcopy(cell) raises GraphError" in testing.cell_checks(HoldsGraph())[0].result().reason


class Joined(nn.Cell):
    """x and h side by side, with a weight for both, and no input_size."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.into = nn.Linear(input_size + hidden_size, hidden_size)

    def forward(self, x, h):
        h = np.tanh(self.into(np.concatenate([x, h], axis=-1)))
        return h, h


@pytest.mark.parametrize("size", [1, 3, 5, 9])
def test_the_number_of_features_of_a_cell_that_joins_input_and_state_is_found(size):
    assert found_input_size(Joined(size, 5)) == size


class Unstarted(nn.Cell):
    """A pair as state, and nothing said about what it starts with."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.into = nn.Linear(input_size, hidden_size)

    def forward(self, x, state):
        h, c = state
        h = np.tanh(self.into(x) + h + c)
        return h, (h, c + h)


@pytest.mark.parametrize("arguments", [{}, {"input_size": 4}])
def test_a_state_of_two_arrays_without_a_start_is_told_how_to_write_one(arguments):
    with pytest.raises((errors.CellError, errors.CellCheckError)) as caught:
        testing.check_cell(Unstarted(4, 5), **arguments)
    told = " ".join(str(caught.value).split())
    assert "values to unpack" in told and "needs def initial_state(self, batch_size): h = super()" in told
