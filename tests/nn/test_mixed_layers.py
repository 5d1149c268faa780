"""Layers of different cells: on top of each other, in the two directions, wrapped or not."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.tree import tree_flatten
from tinygrad_rnn.scan.engines import available

LENGTHS = [6, 0, 4]


def make():
    """Return cells of two layers: in each, different cells of different widths in the two directions."""
    tg.random.seed(0)
    lower = nn.GRUCell(3, 4), nn.ClockworkCell(3, 5)
    upper = nn.Residual(nn.PeepholeLSTMCell(9, 9)), nn.Projection(nn.Zoneout(nn.MGUCell(9, 4), 0.5), 2)
    return [lower, upper]


def one_by_one(x, cells):
    """Return output and states of a batch with lengths, made of layers of one cell on single rows."""
    rows, states = [], []
    for row, length in enumerate(LENGTHS):
        y, after = x[:length, row : row + 1], []
        for pair in cells:
            outputs = []
            for cell, turn in zip(pair, (1, -1), strict=True):
                out, state = nn.Recurrent(cell, engine="eager")(y[::turn])
                outputs.append(out[::turn])
                after.append([leaf.data[0] for leaf in tree_flatten(state)[0]])
            y = np.concatenate(outputs, axis=-1)
        rows.append(np.pad(y.data, ((0, 6 - length), (0, 0), (0, 0))))
        states.append(after)
    joined = [[np.concatenate(leaves) for leaves in zip(*cell, strict=True)] for cell in zip(*states, strict=True)]
    return np.concatenate(rows, axis=1), joined


@pytest.mark.parametrize("engine", available())
def test_different_cells_in_layers_and_directions_give_what_each_gives_by_itself(engine):
    cells = make()
    layer = nn.Recurrent(cells, engine=engine).eval().astype(np.float64)
    x = np.random.default_rng(0).normal(size=(6, 3, 3))
    y, states = layer(x, lengths=LENGTHS)
    expected, expected_states = one_by_one(x, cells)
    np.testing.assert_allclose(y.data, expected, atol=1e-12)
    assert y.shape == (6, 3, 9 + 2)
    for state, leaves in zip(states, expected_states, strict=True):
        for a, b in zip(tree_flatten(state)[0], leaves, strict=True):
            np.testing.assert_allclose(a.data, b, atol=1e-12)


def test_a_mixed_layer_goes_on_from_its_states_and_learns_them():
    layer = nn.Recurrent(make(), learned_state=True).eval().astype(np.float64)
    x = np.random.default_rng(0).normal(size=(6, 3, 3))
    y, states = layer(x)
    np.sum(layer(x, states)[0] + y).backward()
    assert all(parameter.grad.any() for parameter in layer.parameters())
    assert len(list(layer.learned.parameters())) == 1 + 1 + 2 + 1
