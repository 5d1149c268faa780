"""Broken cells: each fails the check of check_cell that is meant for it, and no others than are listed."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, testing
from tinygrad_rnn.core.modes import current
from tinygrad_rnn.testing.cells import CHECKS


def outcomes(cell):
    """Return the names of the checks by outcome."""
    found = {}
    for check in testing.cell_checks(cell):
        result = check.result()
        found.setdefault(result.outcome, set()).add(result.check)
    return found


@pytest.fixture(autouse=True)
def seeded():
    tg.random.seed(0)


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
    def new(self, x, h):
        return super().new(x, 0.9 * h + 0.1 * np.roll(h, 1, axis=0))


class ReadsBatchMean(Base):
    def new(self, x, h):
        return super().new(x - np.mean(x, axis=0), h)


class DividesByBatchSize(Base):
    def new(self, x, h):
        return super().new(x / len(x), h)


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

    def new(self, x, h):
        return super().new(x, h) + 0 * self.shift


class FailsWithoutRows(Base):
    def new(self, x, h):
        return super().new(x, np.reshape(h, (len(h), -1)))


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
    def new(self, x, h):
        return super().new(x, h.detach())


class LeavesTheGraph(Base):
    def new(self, x, h):
        return tg.Tensor(super().new(x, h).data)


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

    def new(self, x, h):
        return super().new(x, h) + 0.1 * self.rng.normal(size=h.shape).astype(h.dtype)


class DrawsProjectNoise(Base):
    def new(self, x, h):
        return super().new(x, h) + 0.1 * tg.random.generator().normal(size=h.shape).astype(h.dtype)


class OtherWithoutGrad(Base):
    def new(self, x, h):
        return super().new(x, h) * (1.0 if current().recording else 0.9)


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

    def new(self, x, h):
        return np.tanh(self.cubed(self.from_input(x) + self.from_state(h)))


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
    def new(self, x, h):
        return super().new((x + 1e4) - 1e4, h)


class MakesParameterLate(Base):
    def forward(self, x, h):
        if not hasattr(self, "late"):
            self.late = nn.Parameter(np.ones(5), dtype=h.dtype)
        h = self.new(x, h) * self.late
        return h, h


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
    ReadsTheClock: ("unrolled", "reversed_time carried_state engines", ""),
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
    WritesToInput: ("shapes", "", ""),
    WritesToParameter: (
        "unchanged",
        "repeatable rows values_unseen gradients forward_mode per_sample_gradients unrolled padding reversed_time "
        "carried_state engines saving",
        "",
    ),
    ReusesBuffer: ("unchanged", "values_unseen gradients per_sample_gradients unrolled padding carried_state", ""),
    WrongVjp: ("gradients", "forward_mode", ""),
    WrongJvp: ("forward_mode", "", ""),
    WrongSecondDerivative: ("gradients", "", ""),
    MakesCycle: ("released", "values_unseen per_sample_gradients", ""),
    CancelsDigits: ("float32", "", ""),
    MakesParameterLate: ("saving", "unchanged", ""),
}


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
def test_a_broken_cell_fails_the_check_meant_for_it_and_those_listed(kind):
    meant, others, warned = BROKEN[kind]
    found = outcomes(kind())
    assert found["fail"] == {meant, *others.split()}
    assert found.get("warn", set()) == set(warned.split())


@pytest.mark.parametrize("kind", [Base, OwnPrimitive], ids=lambda kind: kind.__name__)
def test_what_the_broken_cells_are_made_of_is_sound(kind):
    assert set(outcomes(kind())) <= {"pass", "skip"}


def test_every_check_is_the_one_meant_for_some_cell():
    meant = {BROKEN[kind][0] for kind in BROKEN}
    # Two only warn; what is not finite, and a wrong engine, are planted elsewhere.
    assert {check.__name__ for check in CHECKS} - meant == {"saturation", "long_gradient", "finite", "engines"}


@pytest.mark.parametrize(
    ("kind", "check", "words"),
    [
        (DeadParameter, "parameters_reached", "unused (it is not in the graph)"),
        (CancelledParameter, "parameters_reached", "shift (its gradient is zero)"),
        (KeepsStateInClass, "unchanged", "KeepsStateInClass.history"),
        (WritesToInput, "shapes", "output array is read-only"),
        (ReusesBuffer, "unchanged", "the result of the first: y"),
        (WrongVjp, "gradients", "primitive cubed"),
        (WrongJvp, "forward_mode", "primitive cubed"),
        (MakesCycle, "released", "in a cycle of references"),
        (KeepsStateOnModule, "released", "held by the module"),
        (FailsWithoutRows, "padding", "test_broken_cells.py:"),
        (Detaches, "gradients", "by state["),
    ],
)
def test_a_reason_names_what_is_wrong(kind, check, words):
    checks = {check.__name__: check for check in testing.cell_checks(kind())}
    assert words in checks[check].result().reason
