"""The cells against their formulas as the papers state them: a row at a time, a matrix for every gate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.tree import tree_flatten, tree_map


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


def normed(x, norm):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * norm.weight.data + norm.bias.data


def affine(layer, row):
    return row @ layer.weight.data + (0 if layer.bias is None else layer.bias.data)


def parts_of(layer, row, names):
    """Return what each part gets from a row, by name: one product for each."""
    n = layer.out_features // len(names)
    return {
        name: row @ layer.weight.data[:, k * n : (k + 1) * n]
        + (0 if layer.bias is None else layer.bias.data[k * n : (k + 1) * n])
        for k, name in enumerate(names)
    }


def sums_of(cell, x, h, names):
    from_input, from_state = parts_of(cell.from_input, x, names), parts_of(cell.from_state, h, names)
    return {name: from_input[name] + from_state[name] for name in names}


def irnn(cell, x, h):
    h = relu(affine(cell.from_input, x) + affine(cell.from_state, h))
    return h, h


def ind_rnn(cell, x, h):
    h = np.array([relu(a + u * own) for a, u, own in zip(affine(cell.from_input, x), cell.u.data, h, strict=True)])
    return h, h


def mgu(cell, x, h):
    from_input = parts_of(cell.from_input, x, "fn")
    f = sigmoid(from_input["f"] + affine(cell.from_state, h))
    h = (1 - f) * h + f * np.tanh(from_input["n"] + affine(cell.from_reset, f * h))
    return h, h


def greff(cell, x, state, without="", squash_in=np.tanh, squash_out=np.tanh, coupled=False):
    """Return a step of any variant: a gate that is left out is 1."""
    h, c, *gates = state
    names = [name for name in "ifgo" if name not in without and not (coupled and name == "f")]
    a = sums_of(cell, x, h, names)
    n = len(h)
    if gates:
        recurrent = gates[0] @ cell.from_gates.weight.data
        a = {name: a[name] + (recurrent["ifo".index(name) * n :][:n] if name != "g" else 0) for name in names}

    def gate(name, seen):
        if name in without:
            return 1.0
        return sigmoid(a[name] + (getattr(cell, f"p_{name}").data * seen if name in cell.peepholes else 0))

    i = gate("i", c)
    f = 1 - i if coupled else gate("f", c)
    c = f * c + i * squash_in(a["g"])
    o = gate("o", c)
    h = o * squash_out(c)
    return h, (h, c, *([np.concatenate([i, f, o])] if gates else []))


def identity(x):
    return x


def projected(cell, x, state):
    h, c = state
    a = sums_of(cell, x, h, "ifgo")
    c = sigmoid(a["f"]) * c + sigmoid(a["i"]) * np.tanh(a["g"])
    h = (sigmoid(a["o"]) * np.tanh(c)) @ cell.projection.weight.data
    return h, (h, c)


def layer_norm_lstm(cell, x, state, per_gate=False):
    h, c = state
    n = len(c)
    a, b = x @ cell.from_input.weight.data, h @ cell.from_state.weight.data
    norms, others = cell.norm_input.norms, cell.norm_state.norms
    if per_gate:
        sums = [
            normed(a[k * n :][:n], one) + normed(b[k * n :][:n], two)
            for k, (one, two) in enumerate(zip(norms, others, strict=True))
        ]
    else:
        sums = (normed(a, norms[0]) + normed(b, others[0])).reshape(4, n)
    i, f, g, o = sums
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(normed(c, cell.norm_memory))
    return h, (h, c)


def layer_norm_gru(cell, x, h, per_gate=False):
    n = len(h)
    a, b = x @ cell.from_input.weight.data, h @ cell.from_state.weight.data
    gates = np.zeros(2 * n)
    for part, norms in (a[: 2 * n], cell.norm_input.norms), (b[: 2 * n], cell.norm_state.norms):
        pieces = part.reshape(len(norms), -1)
        gates += np.concatenate([normed(piece, norm) for piece, norm in zip(pieces, norms, strict=True)])
    assert len(cell.norm_input.norms) == 1 + per_gate
    r, z = sigmoid(gates[:n]), sigmoid(gates[n:])
    h = (1 - z) * np.tanh(normed(a[2 * n :], cell.norm_new) + r * normed(b[2 * n :], cell.norm_old)) + z * h
    return h, h


def clockwork(cell, x, state):
    """Return a step unit by unit: the paper's block-triangular matrix is never made."""
    h, t = state
    periods, new = cell.periods, h.copy()
    for unit, period in enumerate(periods):
        if t % period == 0:
            seen = [other for other in range(len(h)) if periods[other] >= period]
            total = x @ cell.from_input.weight.data[:, unit] + cell.from_input.bias.data[unit]
            total += sum(h[other] * cell.from_state.weight.data[other, unit] for other in seen)
            new[unit] = np.tanh(total + cell.from_state.bias.data[unit])
    return new, (new, t + 1)


def lstm_of(a, c):
    c = sigmoid(a["f"]) * c + sigmoid(a["i"]) * np.tanh(a["g"])
    return sigmoid(a["o"]) * np.tanh(c), c


def depth_gated(cell, x, state):
    h, c = lstm_of(sums_of(cell.lowest, x, state[0][0], "ifgo"), state[0][1])
    after = [(h, c)]
    for layer, (old_h, old_c) in zip(cell.above, state[1:], strict=True):
        a, recurrent = parts_of(layer.from_input, h, "difgo"), parts_of(layer.from_state, old_h, "ifgo")
        a = {name: value + recurrent.get(name, 0) for name, value in a.items()}
        d = sigmoid(a["d"] + layer.p_own.data * old_c + layer.p_below.data * c)
        c = d * c + sigmoid(a["f"]) * old_c + sigmoid(a["i"]) * np.tanh(a["g"])
        h = sigmoid(a["o"]) * np.tanh(c)
        after.append((h, c))
    return h, tuple(after)


def grid(cell, x, state, tied=False):
    """Return a step with the paper's H, both h side by side, and one matrix for both of them."""
    h_depth, m_depth = parts_of(cell.from_input, x, "hm").values()
    after = []
    for block, (h, m) in enumerate(state):
        k = 0 if tied else block
        both = np.concatenate([h_depth, h])
        matrix = np.concatenate([cell.from_depth[k].weight.data, cell.from_state[k].weight.data])
        a = dict(zip("ifgoIFGO", np.split(both @ matrix + cell.from_depth[k].bias.data, 8), strict=True))
        h_depth, m_depth = lstm_of(a, m_depth)
        after.append(lstm_of({name: a[name.upper()] for name in "ifgo"}, m))
    return h_depth, tuple(after)


def lstmn(cell, x, state):
    hs, cs, h = state
    query = x @ cell.query_input.weight.data + h @ cell.query_state.weight.data
    scores = [np.tanh(row @ cell.key.weight.data + query) @ cell.score.weight.data[:, 0] for row in hs]
    weights = np.exp(scores) / np.sum(np.exp(scores))
    h = sum(w * row for w, row in zip(weights, hs, strict=True))
    c = sum(w * row for w, row in zip(weights, cs, strict=True))
    y, c = lstm_of(sums_of(cell, x, h, "ifgo"), c)
    return y, (np.array([*hs[1:], y]), np.array([*cs[1:], c]), h)


FORMULAS = {
    "irnn": (nn.IRNNCell, irnn, {}),
    "indrnn": (nn.IndRNNCell, ind_rnn, {}),
    "mgu": (nn.MGUCell, mgu, {}),
    "V": (nn.PeepholeLSTMCell, greff, {}),
    "peepholes of i and o": (lambda *sizes: nn.PeepholeLSTMCell(*sizes, peepholes="oi"), greff, {}),
    "NIG": (nn.NoInputGateLSTMCell, greff, {"without": "i"}),
    "NFG": (nn.NoForgetGateLSTMCell, greff, {"without": "f"}),
    "NOG": (nn.NoOutputGateLSTMCell, greff, {"without": "o"}),
    "NIAF": (nn.NoInputActivationLSTMCell, greff, {"squash_in": identity}),
    "NOAF": (nn.NoOutputActivationLSTMCell, greff, {"squash_out": identity}),
    "CIFG": (nn.CoupledLSTMCell, greff, {"coupled": True}),
    "coupled, no peepholes": (lambda *sizes: nn.CoupledLSTMCell(*sizes, peepholes=""), greff, {"coupled": True}),
    "FGR": (nn.FullGateRecurrenceLSTMCell, greff, {}),
    "projected": (lambda i, h: nn.ProjectedLSTMCell(i, h, proj_size=2), projected, {}),
    "layer-norm lstm": (nn.LayerNormLSTMCell, layer_norm_lstm, {}),
    "layer-norm lstm, per gate": (
        lambda *sizes: nn.LayerNormLSTMCell(*sizes, per_gate=True),
        layer_norm_lstm,
        {"per_gate": True},
    ),
    "layer-norm gru": (nn.LayerNormGRUCell, layer_norm_gru, {}),
    "layer-norm gru, per gate": (
        lambda *sizes: nn.LayerNormGRUCell(*sizes, per_gate=True),
        layer_norm_gru,
        {"per_gate": True},
    ),
    "clockwork": (lambda i, h: nn.ClockworkCell(i, h + 2, periods=(1, 3)), clockwork, {}),
    "depth-gated": (lambda *sizes: nn.DepthGatedLSTMCell(*sizes, num_layers=3), depth_gated, {}),
    "grid": (nn.GridLSTMCell, grid, {}),
    "grid, tied": (lambda *sizes: nn.GridLSTMCell(*sizes, tied=True), grid, {"tied": True}),
    "lstmn": (nn.LSTMNCell, lstmn, {}),
}


@pytest.mark.parametrize("name", FORMULAS)
@settings(max_examples=10)
@given(batch=st.integers(1, 3), inputs=st.integers(1, 3), hidden=st.integers(2, 4), seed=st.integers(0, 9999))
def test_a_cell_computes_the_formula_of_its_paper(name, batch, inputs, hidden, seed):
    make, formula, options = FORMULAS[name]
    rng = np.random.default_rng(seed)
    cell = make(inputs, hidden).astype(np.float64)
    for parameter in cell.parameters():
        parameter.assign(rng.normal(size=parameter.shape))
    x = rng.normal(size=(batch, inputs))
    state = tree_map(
        lambda leaf: rng.normal(size=leaf.shape) if leaf.dtype.kind == "f" else rng.integers(0, 9, leaf.shape),
        cell.initial_state(batch),
    )
    ours = tree_flatten(cell(x, tree_map(tg.Tensor, state)))[0]
    for row in range(batch):
        expected = formula(cell, x[row], tree_map(lambda leaf, row=row: leaf[row], state), **options)
        for a, b in zip(ours, tree_flatten(expected)[0], strict=True):
            np.testing.assert_allclose(a.data[row], b, atol=1e-12)
