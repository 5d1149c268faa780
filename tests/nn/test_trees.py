"""The Tree-LSTM: equal to recursion over nodes, to an LSTM on chains, indifferent to the order of children."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn, testing
from tinygrad_rnn.core import errors


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def trees(seed, count):
    """Return parents of a random forest, numbered at random, and random inputs."""
    rng = np.random.default_rng(seed)
    above = np.array([rng.integers(-1, k) for k in range(count)], dtype=np.intp)
    names = rng.permutation(count)
    parents = np.empty(count, np.intp)
    parents[names] = np.where(above < 0, -1, names[above])
    return parents, rng.normal(size=(count, 2)), rng


def made(rng):
    tree = nn.ChildSumTreeLSTM(2, 3).astype(np.float64)
    for parameter in tree.parameters():
        parameter.assign(rng.normal(size=parameter.shape))
    return tree


def recursive(tree, x, parents, node):
    """Return h and c of a node as the paper has it: gate by gate, child by child."""
    w = np.split(tree.from_input.weight.data, 4, axis=1)
    b = np.split(tree.from_input.bias.data, 4)
    u = np.split(tree.from_sum.weight.data, 3, axis=1)
    children = [recursive(tree, x, parents, k) for k in np.flatnonzero(parents == node)]
    total = sum((h for h, _ in children), np.zeros(3))
    i, update, o = [x[node] @ w[k] + b[k] + total @ u[k] for k in range(3)]
    c = sigmoid(i) * np.tanh(update)
    for h_k, c_k in children:
        c = c + sigmoid(x[node] @ w[3] + b[3] + h_k @ tree.from_child.weight.data) * c_k
    return sigmoid(o) * np.tanh(c), c


@given(seed=st.integers(0, 9999), count=st.integers(0, 9))
def test_every_node_has_what_recursion_gives_it(seed, count):
    parents, x, rng = trees(seed, count)
    tree = made(rng)
    h, c = tree(x, parents)
    assert h.shape == c.shape == (count, 3)
    for node in range(count):
        expected = recursive(tree, x, parents, node)
        np.testing.assert_allclose(h.data[node], expected[0], atol=1e-12)
        np.testing.assert_allclose(c.data[node], expected[1], atol=1e-12)


def test_a_chain_is_an_lstm():
    rng = np.random.default_rng(0)
    tree, lstm, x = made(rng), nn.LSTM(2, 3).astype(np.float64), rng.normal(size=(6, 2))
    w_i, w_u, w_o, w_f = np.split(tree.from_input.weight.data, 4, axis=1)
    b_i, b_u, b_o, b_f = np.split(tree.from_input.bias.data, 4)
    u_i, u_u, u_o = np.split(tree.from_sum.weight.data, 3, axis=1)
    cell = lstm.cells[0]
    cell.from_input.weight.assign(np.concatenate([w_i, w_f, w_u, w_o], axis=1))
    cell.from_input.bias.assign(np.concatenate([b_i, b_f, b_u, b_o]))
    cell.from_state.weight.assign(np.concatenate([u_i, tree.from_child.weight.data, u_u, u_o], axis=1))
    cell.from_state.bias.assign(np.zeros(12))
    h, _ = tree(x, [1, 2, 3, 4, 5, -1])
    np.testing.assert_allclose(h.data, lstm(x[:, None])[0].data[:, 0], atol=1e-12)


@settings(max_examples=3)
@given(seed=st.integers(0, 9999))
def test_gradients_of_inputs_and_weights_are_right_to_second_order(seed):
    parents, x, rng = trees(seed, 6)
    tree = made(rng)

    def function(x, parameters):
        return nn.functional_call(tree, parameters, x, parents)

    testing.gradcheck(function, (x, tree.state_dict()), order=2)


def test_nodes_of_one_tree_get_no_gradient_from_another():
    x = tg.Tensor(np.random.default_rng(0).normal(size=(5, 2)), requires_grad=True)
    h, _ = nn.ChildSumTreeLSTM(2, 3)(x, [1, -1, 3, -1, 3])
    np.sum(h[1]).backward()
    assert x.grad[:2].all() and not x.grad[2:].any()


@pytest.mark.parametrize(
    ("x", "parents", "error", "message"),
    [
        (np.ones((2, 3)), [1, -1], errors.ShapeError, "inputs (2, 3) and parents (2,); give (nodes, 2) and (nodes,)"),
        (np.ones((2, 2)), [-1], errors.ShapeError, "inputs (2, 2) and parents (1,)"),
        (np.ones((2, 2)), [1.0, -1.0], errors.DtypeError, "parents of dtype float64; give numbers of nodes"),
        (np.ones((2, 2)), [2, -1], errors.DataError, "parents from -1 to 2 among 2 nodes; give 0 to 1"),
        (np.ones((2, 2)), [-2, -1], errors.DataError, "parents from -2 to -1 among 2 nodes"),
        (np.ones((4, 2)), [1, 2, 1, -1], errors.DataError, "nodes [1, 2] are above themselves"),
        (np.ones((1, 2)), [0], errors.DataError, "nodes [0] are above themselves"),
    ],
)
def test_what_is_no_tree_is_refused(x, parents, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        nn.ChildSumTreeLSTM(2, 3)(x, parents)
