"""How the cells of papers start, what they refuse, and that PyTorch's LSTM with projection is ours."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import ConfigError
from tinygrad_rnn.interop import load_torch_state_dict, torch_state_dict


@settings(max_examples=10)
@given(
    layers=st.integers(1, 2),
    bidirectional=st.booleans(),
    bias=st.booleans(),
    proj=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_an_lstm_with_projection_is_pytorchs_with_its_gradients(layers, bidirectional, bias, proj, seed):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference")
    torch.manual_seed(seed)
    options = {"num_layers": layers, "bidirectional": bidirectional, "bias": bias}
    theirs = torch.nn.LSTM(3, 4, proj_size=proj, **options).double()
    sizes = [3] + [proj * (1 + bidirectional)] * (layers - 1)
    cells = [tuple(nn.ProjectedLSTMCell(n, 4, proj, bias) for _ in range(1 + bidirectional)) for n in sizes]
    ours = nn.Recurrent(cells, engine="eager").astype(np.float64)
    load_torch_state_dict(ours, theirs.state_dict())
    x = np.random.default_rng(seed).normal(size=(5, 2, 3))
    inputs, expected_inputs = tg.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, (h, c) = ours(inputs)
    expected, (expected_h, expected_c) = theirs(expected_inputs)
    for a, b in (y, expected), (h, expected_h), (c, expected_c):
        np.testing.assert_allclose(a.data, b.detach().numpy(), atol=1e-12)
    (np.sum(y**2) + np.sum(c)).backward()
    ((expected**2).sum() + expected_c.sum()).backward()
    np.testing.assert_allclose(inputs.grad, expected_inputs.grad.numpy(), atol=1e-12)
    for name, array in torch_state_dict(ours).items():
        np.testing.assert_array_equal(array, theirs.state_dict()[name].numpy())


def test_an_irnn_starts_by_keeping_its_state():
    cell = nn.IRNNCell(3, 50)
    state = tg.Tensor(np.random.default_rng(0).uniform(size=(2, 50)).astype(np.float32))
    _, h = cell(np.zeros((2, 3), np.float32), state)
    np.testing.assert_array_equal(h.data, state.data)
    assert 0.0005 < cell.from_input.weight.data.std() < 0.002


def test_the_recurrent_weights_of_an_indrnn_start_between_0_and_1():
    u = nn.IndRNNCell(3, 1000).u.data
    assert u.dtype == np.float32 and 0 <= u.min() < 0.05 and 0.95 < u.max() <= 1


def test_units_of_a_clockwork_cell_move_at_multiples_of_their_period_alone():
    layer = nn.Recurrent(nn.ClockworkCell(2, 7, periods=(4, 1, 3)))
    y, (_, t) = layer(np.random.default_rng(0).normal(size=(13, 1, 2)))
    moved = np.diff(y.data[:, 0], axis=0, prepend=0) != 0
    assert layer.cells[0].periods.tolist() == [1, 1, 1, 3, 3, 4, 4]
    np.testing.assert_array_equal(moved, np.arange(13)[:, None] % layer.cells[0].periods == 0)
    assert t.tolist() == [[13]]


def test_a_clockwork_layer_goes_on_in_time_where_its_state_says():
    layer, x = nn.Recurrent(nn.ClockworkCell(2, 4)), np.random.default_rng(0).normal(size=(9, 1, 2))
    first, state = layer(x[:5])
    second, _ = layer(x[5:], state)
    np.testing.assert_allclose(np.concatenate([first, second]).data, layer(x)[0].data, atol=1e-6)


def test_every_variant_of_the_odyssey_is_there_with_the_weights_it_needs():
    sizes = {name: sum(p.size for p in kind(2, 3).parameters()) for name, kind in nn.GREFF_VARIANTS.items()}
    part, peephole = 2 * 3 + 3 * 3 + 2 * 3, 3
    vanilla = 4 * part + 3 * peephole
    three = 3 * part + 2 * peephole
    assert sizes == {
        "V": vanilla,
        "NIG": three,
        "NFG": three,
        "NOG": three,
        "NIAF": vanilla,
        "NOAF": vanilla,
        "NP": 4 * part,
        "CIFG": three,
        "FGR": vanilla + 9 * 9,
    }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.PeepholeLSTMCell(2, 3, peepholes="ix"), "peepholes 'ix'; give some of the letters of 'ifo', or ''"),
        (lambda: nn.CoupledLSTMCell(2, 3, peepholes="f"), "peepholes 'f'; give some of the letters of 'io', or ''"),
        (lambda: nn.PeepholeLSTMCell(2, 3, peepholes="ii"), "peepholes 'ii'; give some of the letters of 'ifo', or ''"),
        (lambda: nn.PeepholeLSTMCell(2, 3, peepholes=True), "peepholes True; give"),
        (lambda: nn.IndRNNCell(2, 3, "sine"), "nonlinearity 'sine'; give one of 'tanh', 'relu'"),
        (lambda: nn.IndRNNCell(2, 3, ["relu"]), "nonlinearity ['relu']; give one of 'tanh', 'relu'"),
        (lambda: nn.ProjectedLSTMCell(2, 3, proj_size=0), "proj_size is 0; give an integer of at least 1"),
        (lambda: nn.LayerNormLSTMCell(2, 1), "hidden_size is 1"),
        (lambda: nn.LayerNormGRUCell(2, 1), "hidden_size is 1"),
        (lambda: nn.ClockworkCell(2, 3), "4 periods for hidden_size 3"),
        (lambda: nn.ClockworkCell(2, 3, periods=()), "0 periods for hidden_size 3"),
        (lambda: nn.ClockworkCell(2, 3, periods=(1, 0)), "a period is 0; give an integer of at least 1"),
        (lambda: nn.DepthGatedLSTMCell(2, 3, num_layers=1), "num_layers is 1, which has no layer below"),
        (lambda: nn.GridLSTMCell(2, 3, num_blocks=0), "num_blocks is 0; give an integer of at least 1"),
        (lambda: nn.LSTMNCell(2, 3, slots=0), "slots is 0; give an integer of at least 1"),
    ],
)
def test_what_a_cell_cannot_be_made_of_is_refused(make, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        make()


def test_integers_are_numbers_for_a_cell_of_features():
    x = np.arange(12).reshape(2, 3, 2)
    for kind in nn.MGUCell, nn.PeepholeLSTMCell:
        layer = nn.Recurrent(kind(2, 3))
        np.testing.assert_allclose(layer(x)[0].data, layer(x.astype(np.float32))[0].data, rtol=1e-6, atol=1e-7)
