"""check_cell: sound cells pass; every broken one fails the check meant for it, and no others than are listed."""

import unittest
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn, testing
from tinygrad_rnn.core import errors
from tinygrad_rnn.core.modes import current
from tinygrad_rnn.scan import scan
from tinygrad_rnn.testing.check_cell import CHECKS
from tinygrad_rnn.testing.fingerprint import fingerprint
from tinygrad_rnn.testing.subject import ENGINES


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


# What each broken cell does is in its forward; what it should have been is this.
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


class LeaksRows(Base):
    def forward(self, x, h):
        h = self.new(x, 0.9 * h + 0.1 * np.roll(h, 1, axis=0))
        return h, h


class ReadsBatchMean(Base):
    def forward(self, x, h):
        h = self.new(x - np.mean(x, axis=0), h)
        return h, h


class DividesByBatchSize(Base):
    def forward(self, x, h):
        h = self.new(x / len(x), h)
        return h, h


class KeepsStateOnModule(Base):
    before = None

    def forward(self, x, h):
        if self.before is not None and self.before.shape == h.shape:
            h = h + 0.1 * self.before
        h = self.new(x, h)
        self.before = h
        return h, h


class KeepsStateInClass(Base):
    history = []  # noqa: RUF012

    def forward(self, x, h):
        h = self.new(x, h)
        self.history.append(float(np.sum(h.detach())))
        return h, h


class CountsCalls(Base):
    """Reversed, the first call is the last step."""

    calls = 0

    def forward(self, x, h):
        self.calls += 1
        h = self.new(x, h) * (1 - 0.1 / self.calls)
        return h, h


class ReadsTheClock(Base):
    """The time step stands on the scope."""

    def forward(self, x, h):
        t = next((part for part in current().scope if isinstance(part, int)), 0)
        h = self.new(x, h) / (1 + 0.1 * t)
        return h, h


class RemembersGraph(Base):
    """Nothing is added to the values, but earlier windows to the graph."""

    before = None

    def forward(self, x, h):
        old = self.before if self.before is not None and self.before.shape == h.shape else h
        h = self.new(x, h) + 0 * old
        self.before = h
        return h, h


class DetachesSingleRows(Base):
    def forward(self, x, h):
        recurrent = self.from_state(h)
        h = np.tanh(self.from_input(x) + (recurrent.detach() if len(h) == 1 else recurrent))
        return h, h


class DeadParameter(Base):
    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(np.ones(5, np.float32))


class CancelledParameter(Base):
    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(np.ones(5, np.float32))

    def forward(self, x, h):
        h = self.new(x, h) + 0 * self.shift
        return h, h


class FailsWithoutRows(Base):
    def forward(self, x, h):
        h = self.new(x, np.reshape(h, (len(h), -1)))
        return h, h


class LeaksPadding(Base):
    """A row that has ended is still looked at."""

    def forward(self, x, h):
        h = self.new(x, h)
        return h, h + 0.01 * np.max(h, axis=0)


class BranchesOnValues(Base):
    def forward(self, x, h):
        new = self.new(x, h)
        return (new, new) if np.sum(new) > -1e9 else (h, h)


class BranchesOnEveryRow(Base):
    def forward(self, x, h):
        new = self.new(x, h)
        new = np.stack([row if row[0].item() > 0 else 0.5 * row for row in new]) if len(new) else new
        return new, new


class Detaches(Base):
    def forward(self, x, h):
        h = self.new(x, h.detach())
        return h, h


class LeavesTheGraph(Base):
    def forward(self, x, h):
        h = tg.Tensor(self.new(x, h).data)
        return h, h


class NoGrad(Base):
    def forward(self, x, h):
        with tg.no_grad():
            r = tg.sigmoid(self.from_state(h))
        h = self.new(x, r * h)
        return h, h


class DrawsNoise(Base):
    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(0)

    def forward(self, x, h):
        h = self.new(x, h) + 0.1 * self.rng.normal(size=h.shape).astype(h.dtype)
        return h, h


class DrawsProjectNoise(Base):
    def forward(self, x, h):
        h = self.new(x, h) + 0.1 * tg.random.generator().normal(size=h.shape).astype(h.dtype)
        return h, h


class OtherWithoutGrad(Base):
    def forward(self, x, h):
        h = self.new(x, h) * (1.0 if current().recording else 0.9)
        return h, h


class WidensOutput(Base):
    def forward(self, x, h):
        h = self.new(x, h)
        return h * np.float64(2.0), h


class WidensState(Base):
    def initial_state(self, batch_size):
        return np.zeros((batch_size, 5))


class NarrowsState(Base):
    def forward(self, x, h):
        h = self.new(x, h)
        return h, h[:, :3]


class ReturnsThree(Base):
    def forward(self, x, h):
        h = self.new(x, h)
        return h, h, h


class ReturnsPairOfOutputs(Base):
    def forward(self, x, h):
        h = self.new(x, h)
        return (h, h), h


class WritesToInput(Base):
    def forward(self, x, h):
        y = self.new(x, h)
        owner = h.data.base
        owner *= 0.5
        return y, y


class WritesToParameter(Base):
    def forward(self, x, h):
        self.from_state.weight.assign(0.99 * self.from_state.weight.data)
        h = self.new(x, h)
        return h, h


class ReusesBuffer(Base):
    buffer = None

    def forward(self, x, h):
        y = self.new(x, h)
        if self.buffer is None or self.buffer.shape != y.shape:
            vars(self)["buffer"] = np.zeros(y.shape, y.dtype)
        self.buffer[...] = y.data
        return tg.Tensor._wrap(self.buffer), y


def scaled(vjp_factor=1.0, jvp_factor=1.0, constant=False):
    primitive = tg.Primitive("cubed", lambda a: a**3)
    primitive.defvjp(
        lambda g, out, a: vjp_factor * g * 3 * (a.detach() if constant and isinstance(a, tg.Tensor) else a) ** 2
    )
    primitive.defjvp(lambda da, out, a: jvp_factor * da * 3 * a**2)
    return primitive


class OwnPrimitive(Base):
    cubed = staticmethod(scaled())

    def forward(self, x, h):
        h = np.tanh(self.cubed(self.from_input(x) + self.from_state(h)))
        return h, h


class WrongVjp(OwnPrimitive):
    cubed = staticmethod(scaled(vjp_factor=1.001))


class WrongJvp(OwnPrimitive):
    cubed = staticmethod(scaled(jvp_factor=1.001))


class WrongSecondDerivative(OwnPrimitive):
    cubed = staticmethod(scaled(constant=True))


class MakesCycle(Base):
    def forward(self, x, h):
        h = self.new(x, h)
        if h.requires_grad:
            h.register_hook(lambda g: g * (1.0 if h.shape else 0.0))
        return h, h


class CancelsDigits(Base):
    def forward(self, x, h):
        h = self.new((x + 1e4) - 1e4, h)
        return h, h


class MakesParameterLate(Base):
    def forward(self, x, h):
        if not hasattr(self, "late"):
            self.late = nn.Parameter(np.ones(5), dtype=h.dtype)
        h = self.new(x, h) * self.late
        return h, h


class ForgetsArray(Base):
    def __init__(self):
        super().__init__()
        self.mask = tg.random.generator().random(5).astype(np.float32)

    def forward(self, x, h):
        h = self.new(x, h * self.mask.astype(h.dtype))
        return h, h


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
    def forward(self, x, h):
        h = 1.2 * h + self.new(x, 0 * h) + self.from_state(h)
        return h, h


class Vanishes(Base):
    def new(self, x, h):
        return np.tanh(self.from_input(x) + 0.01 * self.from_state(h))


# For each broken cell: the check meant for it, the others that fail too, and those that give a warning.
BROKEN = {
    LeaksRows: ("rows", "per_sample_gradients padding", ""),
    ReadsBatchMean: ("rows", "per_sample_gradients padding", ""),
    DividesByBatchSize: ("rows", "per_sample_gradients padding", ""),
    KeepsStateOnModule: (
        "unchanged",
        "repeatable rows values_unseen per_sample_gradients unrolled padding reversed_time carried_state float32 "
        "saving released",
        "",
    ),
    KeepsStateInClass: ("unchanged", "values_unseen per_sample_gradients", ""),
    CountsCalls: (
        "reversed_time",
        "repeatable unchanged rows values_unseen unrolled padding carried_state saving",
        "",
    ),
    ReadsTheClock: ("unrolled", "reversed_time carried_state", "long_gradient"),
    RemembersGraph: ("carried_state", "unchanged values_unseen per_sample_gradients float32 released", ""),
    DetachesSingleRows: ("per_sample_gradients", "padding", ""),
    DeadParameter: ("parameters_reached", "", ""),
    CancelledParameter: ("parameters_reached", "", ""),
    FailsWithoutRows: ("padding", "", ""),
    LeaksPadding: ("padding", "rows per_sample_gradients", ""),
    BranchesOnValues: ("values_unseen", "per_sample_gradients", ""),
    BranchesOnEveryRow: ("values_unseen", "per_sample_gradients", ""),
    Detaches: ("gradients", "", "long_gradient"),
    LeavesTheGraph: ("gradients", "values_unseen per_sample_gradients parameters_reached", "long_gradient"),
    NoGrad: ("gradients", "", ""),
    DrawsNoise: (
        "repeatable",
        "unchanged rows values_unseen gradients unrolled padding reversed_time carried_state saving",
        "",
    ),
    DrawsProjectNoise: (
        "repeatable",
        "rows values_unseen unrolled padding reversed_time carried_state saving",
        "",
    ),
    OtherWithoutGrad: ("repeatable", "unrolled", ""),
    WidensOutput: ("shapes", "", ""),
    WidensState: ("shapes", "", ""),
    NarrowsState: ("shapes", "", ""),
    ReturnsThree: ("shapes", "", ""),
    ReturnsPairOfOutputs: ("shapes", "", ""),
    WritesToInput: (
        "unchanged",
        "repeatable rows values_unseen gradients per_sample_gradients unrolled padding reversed_time carried_state "
        "saving",
        "",
    ),
    WritesToParameter: (
        "unchanged",
        "repeatable rows values_unseen gradients forward_mode per_sample_gradients unrolled padding reversed_time "
        "carried_state saving",
        "long_gradient",
    ),
    ReusesBuffer: ("unchanged", "values_unseen gradients per_sample_gradients unrolled padding carried_state", ""),
    WrongVjp: ("gradients", "forward_mode", ""),
    WrongJvp: ("forward_mode", "", ""),
    WrongSecondDerivative: ("gradients", "", ""),
    MakesCycle: ("released", "values_unseen per_sample_gradients", ""),
    CancelsDigits: ("float32", "", ""),
    MakesParameterLate: ("saving", "unchanged", ""),
}
SUSPICIOUS = {
    ForgetsArray: ("saving", ""),
    Saturates: ("saturation", "long_gradient"),
    DiesAtStart: ("saturation", "long_gradient"),
    Explodes: ("long_gradient", ""),
    Vanishes: ("long_gradient", ""),
}


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
def test_a_broken_cell_fails_the_check_meant_for_it_and_those_listed(kind):
    meant, others, warned = BROKEN[kind]
    found = outcomes(kind())
    assert found["fail"] == {meant, *others.split()}
    assert found.get("warn", set()) == set(warned.split())


@pytest.mark.parametrize("kind", SUSPICIOUS, ids=lambda kind: kind.__name__)
def test_a_suspicious_cell_fails_no_check_and_gets_the_warnings_listed(kind):
    meant, others = SUSPICIOUS[kind]
    found = outcomes(kind())
    assert "fail" not in found
    assert found["warn"] == {meant, *others.split()}


@pytest.mark.parametrize("kind", [Base, OwnPrimitive], ids=lambda kind: kind.__name__)
def test_what_the_broken_cells_are_made_of_is_sound(kind):
    assert set(outcomes(kind())) == {"pass", "skip"}


def test_every_check_is_the_one_meant_for_some_cell():
    meant = {kinds[kind][0] for kinds in (BROKEN, SUSPICIOUS) for kind in kinds}
    assert {check.__name__ for check in CHECKS} - meant == {"engines"}  # of which a wrong one is planted below


def faulty_scan(step, init, xs, lengths=None, **options):
    ys, *rest = scan(step, init, xs, lengths, **options)
    return (ys * 1.000001, *rest)


@pytest.mark.parametrize("engine", [scan, faulty_scan])
def test_an_engine_that_gives_other_numbers_is_found(monkeypatch, engine):
    monkeypatch.setitem(ENGINES, "other", engine)
    found = outcomes(nn.GRUCell(3, 5))
    assert found.get("fail", set()) == ({"engines"} if engine is faulty_scan else set())


def test_where_the_step_itself_is_wrong_the_other_checks_are_skipped():
    found = outcomes(ReturnsThree())
    assert found["fail"] == {"shapes"}
    assert len(found["skip"]) == len(CHECKS) - 1


@pytest.mark.parametrize(
    ("kind", "check", "words"),
    [
        (DeadParameter, "parameters_reached", "unused (it is not in the graph)"),
        (CancelledParameter, "parameters_reached", "shift (its gradient is zero)"),
        (KeepsStateInClass, "unchanged", "KeepsStateInClass.history"),
        (WritesToInput, "unchanged", "after a call, the input: state"),
        (ReusesBuffer, "unchanged", "the result of the first: y"),
        (WrongVjp, "gradients", "primitive cubed"),
        (WrongJvp, "forward_mode", "primitive cubed"),
        (MakesCycle, "released", "in a cycle of references"),
        (KeepsStateOnModule, "released", "held by the module"),
        (FailsWithoutRows, "padding", "test_check_cell.py:"),
        (Detaches, "gradients", "by state["),
        (ForgetsArray, "saving", "the array mask"),
        (Saturates, "saturation", "tanh 1"),
        (Explodes, "long_gradient", "explodes"),
        (Vanishes, "long_gradient", "vanishes"),
    ],
)
def test_a_reason_names_what_is_wrong(kind, check, words):
    checks = {check.__name__: check for check in testing.cell_checks(kind())}
    assert words in checks[check].result().reason


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
    checks = {check.__name__: check for check in testing.cell_checks(Vanishes())}
    with pytest.warns(testing.CellWarning, match="Vanishes, long_gradient: over 200 steps"):
        checks["long_gradient"]()
    with pytest.raises(unittest.SkipTest, match="only engine"):
        checks["engines"]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checks["rows"]()
    with pytest.raises(errors.CellCheckError, match="LeaksRows, rows: row 0"):
        {check.__name__: check for check in testing.cell_checks(LeaksRows())}["rows"]()


@pytest.mark.parametrize("kind", [Minimal, CountsCalls, DrawsNoise])
def test_the_cell_and_the_random_state_stay_as_they_are(kind):
    cell = kind(3, 5) if kind is Minimal else kind()
    before, state = fingerprint(cell), tg.random.get_state()
    outcomes(cell)
    assert fingerprint(cell) == before
    assert tg.random.get_state() == state


@pytest.mark.parametrize("kind", [Minimal, nn.LSTMCell])
def test_two_runs_give_the_same_table(kind):
    cell = kind(3, 5)
    assert str(testing.check_cell(cell)) == str(testing.check_cell(cell))


def test_a_cell_with_any_nest_for_a_state_passes():
    assert set(outcomes(Nested(3, 5))) == {"pass", "skip"}


def test_a_cell_of_tokens_passes_with_an_example():
    found = outcomes(Tokens(6, 5), example_input=np.arange(6))
    assert set(found) == {"pass", "skip"}


def test_a_cell_of_other_features_passes_with_an_example():
    class Logs(Base):
        def forward(self, x, h):
            h = self.new(np.log(x), h)
            return h, h

    found = outcomes(Logs(), example_input=np.random.default_rng(0).uniform(1, 2, (4, 3)))
    assert set(found) == {"pass", "skip"}


def test_a_cell_without_parameters_and_one_with_dropout_pass():
    class Sums(nn.Cell):
        input_size = hidden_size = 3

        def forward(self, x, h):
            h = 0.5 * h + x
            return h, h

    found = outcomes(Sums())
    assert set(found) == {"pass", "skip"}
    assert found["skip"] == {"engines", "parameters_reached", "per_sample_gradients"}


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

    with pytest.raises(errors.ConfigError, match="takes 1 or 4 features; write check_cell"):
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
