"""Every cell and every wrapper stands the checks of `check_cell`, on all engines, and in training too."""

from functools import partial

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, testing
from tinygrad_rnn.core.tree import tree_flatten
from tinygrad_rnn.scan.engines import available
from tinygrad_rnn.testing import training_checks

CELLS = {
    "rnn": nn.RNNCell,
    "relu": partial(nn.RNNCell, nonlinearity="relu"),
    "irnn": nn.IRNNCell,
    "indrnn": nn.IndRNNCell,
    "gru": nn.GRUCell,
    "gru of the paper": partial(nn.GRUCell, reset_after=False),
    "mgu": nn.MGUCell,
    "lstm of some peepholes": partial(nn.PeepholeLSTMCell, peepholes="f"),
    **nn.GREFF_VARIANTS,
    "projected lstm": partial(nn.ProjectedLSTMCell, proj_size=2),
    "layer-norm lstm": nn.LayerNormLSTMCell,
    "layer-norm lstm, per gate": partial(nn.LayerNormLSTMCell, per_gate=True),
    "layer-norm gru": nn.LayerNormGRUCell,
    "clockwork": partial(nn.ClockworkCell, periods=(1, 3)),
    "depth-gated": nn.DepthGatedLSTMCell,
    "grid": partial(nn.GridLSTMCell, num_blocks=1),
    "lstmn": partial(nn.LSTMNCell, slots=2),
    "mingru": nn.MinGRUCell,
    "minlstm": nn.MinLSTMCell,
}
WRAPPERS = {
    "zoneout": partial(nn.Zoneout, rate=0.3),
    "variational dropout": partial(nn.VariationalDropout, rate=0.3),
    "recurrent dropout": partial(nn.RecurrentDropout, rate=0.3),
    "weight drop": partial(nn.WeightDrop, rate=0.3),
    "residual": nn.Residual,
    "projection": partial(nn.Projection, output_size=2),
    "reset at steps": partial(nn.ResetAt, steps=[2, 3]),
    "reset where": nn.ResetWhere,
}
# Their state is no factor of a linear map of that name, or nothing is added to a memory.
WITHOUT = {
    "variational dropout": {"indrnn", "mingru", "minlstm"},
    "weight drop": {"indrnn", "mingru", "minlstm"},
    "recurrent dropout": {"rnn", "relu", "irnn", "indrnn", "clockwork"},
}
PAIRS = [(cell, wrapper) for cell in CELLS for wrapper in WRAPPERS if cell not in WITHOUT.get(wrapper, ())]


@pytest.fixture(autouse=True)
def seeded():
    tg.random.seed(0)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_passes_every_check(name):
    report = testing.check_cell(CELLS[name](2, 2))
    # Over 200 steps a state may vanish: that is what some of these cells were made against.
    assert {result.check for result in report if result.outcome != "pass"} <= {"long_gradient"}


@pytest.mark.parametrize("cell", ["mgu", "clockwork"])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapper_passes_every_check(cell, wrapper):
    if (cell, wrapper) not in PAIRS:
        cell = "NOG"
    report = testing.check_cell(WRAPPERS[wrapper](CELLS[cell](2, 2)))
    assert {result.check for result in report if result.outcome != "pass"} <= {"long_gradient"}


@pytest.mark.parametrize(("cell", "wrapper"), PAIRS)
def test_every_cell_steps_in_every_wrapper_row_by_row_with_gradients(cell, wrapper):
    for check in testing.cell_checks(WRAPPERS[wrapper](CELLS[cell](2, 2))):
        if check.__name__ in ("shapes", "rows", "forward_mode"):
            check()


def wrapped_in_all(cell):
    """Return a cell in all wrappers that draw, and in some that do not."""
    for name in "recurrent dropout", "weight drop", "variational dropout", "zoneout", "residual", "reset at steps":
        cell = WRAPPERS[name](cell)
    return cell


def trained_on(engine, make):
    """Return outputs, last state and gradients of a layer in training, run by an engine."""
    tg.random.seed(1)
    layer = nn.Recurrent(make(), engine=engine).astype(np.float64)
    x = tg.Tensor(np.random.default_rng(0).normal(size=(6, 3, layer.cells[0].input_size)), requires_grad=True)
    y, state = layer(x, lengths=[6, 4, 0])
    np.sum(y * np.cos(np.arange(y.size).reshape(y.shape))).backward()
    leaves = [leaf.data for leaf in tree_flatten((y, state))[0]]
    return [*leaves, x.grad, *[parameter.grad for parameter in layer.parameters()]]


@pytest.mark.parametrize("wrapper", ["zoneout", "variational dropout", "recurrent dropout", "weight drop", "all"])
def test_all_engines_draw_the_same_in_training(wrapper):
    wrap = WRAPPERS.get(wrapper, wrapped_in_all)

    def make():
        return wrap(nn.LSTMCell(3, 3))

    expected = trained_on("eager", make)
    for engine in available()[1:]:
        for a, b in zip(trained_on(engine, make), expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-10)


def test_the_check_of_rounding_takes_a_bool_in_the_state_for_what_it_is():
    checks = {check.__name__: check for check in testing.cell_checks(nn.VariationalDropout(nn.RNNCell(2, 2)))}
    assert checks[training_checks.float32.__name__].result().outcome == "pass"
