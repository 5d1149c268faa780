"""The source of a layer: it runs by itself, gives the layer's numbers, and speaks the language of the cell."""

import re
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core import errors
from tinygrad_rnn.core.tree import tree_flatten
from tinygrad_rnn.scan import scan, source


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


class Peephole(nn.LSTMCell):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.to_i, self.to_f, self.to_o = (nn.Parameter(np.full(hidden_size, v)) for v in (0.1, 0.2, 0.3))

    def forward(self, x, state):
        h, c = state
        i, f, g, o = np.split(self.from_input(x) + self.from_state(h), 4, axis=-1)
        i, f = tg.sigmoid(i + self.to_i * c), tg.sigmoid(f + self.to_f * c)
        c = f * c + i * np.tanh(g)
        h = tg.sigmoid(o + self.to_o * c) * np.tanh(c)
        return h, (h, c)


class Separate(nn.Cell):
    """A GRU-like cell of which every gate has a layer of its own, on x and h side by side; with a softmax."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.to_r, self.to_z = (nn.Linear(input_size + hidden_size, hidden_size) for _ in range(2))
        self.to_n = nn.Linear(input_size + hidden_size, hidden_size)

    def forward(self, x, h):
        both = np.concatenate([x, h], axis=-1)
        r, z = tg.sigmoid(self.to_r(both)), tg.softmax(self.to_z(both))
        n = np.tanh(self.to_n(np.concatenate([x, r * h], axis=-1)))
        h = z * h + (1 - z) * n
        return h, h


CELLS = {
    "RNN": nn.RNNCell,
    "LSTM": nn.LSTMCell,
    "GRU": nn.GRUCell,
    "Minimal": Minimal,
    "Peephole": Peephole,
    "Separate": Separate,
}


def eager(layer, x):
    """Return outputs, last state, and the gradients of a sum over all of them in x, the parameters and the state."""
    x = tg.Tensor(x, requires_grad=True)
    init = tg.core.tree.tree_map(lambda leaf: tg.Tensor(leaf.data, requires_grad=True), initial(layer, x.shape[1]))
    with tg.engine("eager"):
        y, last = layer(x, init)
    weights = np.cos(np.arange(y.size)).reshape(y.shape)
    leaves = tree_flatten(last)[0]
    loss = np.sum(y * weights) + sum(np.sum(leaf * leaf) for leaf in leaves)
    states = tree_flatten(init)[0]
    gradients = tg.gradients(loss, [x, *states, *layer.parameters()])
    return [y, *leaves], weights, [np.asarray(g) for g in gradients]


def initial(layer, batch):
    return tg.core.tree.tree_map(lambda leaf: leaf[None] + 0.5, layer.cells[0].initial_state(batch))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("time", [1, 4])
def test_the_source_of_a_layer_gives_its_outputs_and_gradients(name, time):
    layer = nn.Recurrent(CELLS[name](3, 5)).astype(np.float64)
    x = np.random.default_rng(0).normal(size=(time, 2, 3))
    outputs, weights, gradients = eager(layer, x)
    space = {}
    state = initial(layer, 2)
    exec(layer.source(x, state), space)
    states = [leaf.data[0] for leaf in tree_flatten(state)[0]]
    *found, saved = space["forward"](*arguments(space["forward"], layer, x, states))
    for a, b in zip(found, outputs, strict=True):
        np.testing.assert_allclose(a, b.data.reshape(a.shape), rtol=1e-12, atol=1e-13)
    taken = arguments(space["forward"], layer, x, states)
    slopes = space["backward"](weights, *[2 * leaf for leaf in found[1:]], saved, taken[0], *taken[1 + len(states) :])
    names = returned(space["backward"])
    assert len(slopes) == len(names) == len(gradients)
    order = ["d_x_all", *names[1 : 1 + len(states)], *[f"d_{n.replace('.', '_')}" for n, _ in layer.named_parameters()]]
    by_name = dict(zip(names, slopes, strict=True))
    for a, b in zip(order, gradients, strict=True):
        np.testing.assert_allclose(by_name[a], b.reshape(by_name[a].shape), rtol=1e-10, atol=1e-12, err_msg=a)


class Tokens(nn.Cell):
    """Reads tables by tokens: rows, and elements of one column."""

    def __init__(self, vocabulary, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.embedding, self.cell = nn.Embedding(vocabulary, 3), nn.GRUCell(3, hidden_size)
        self.shift = nn.Parameter(np.linspace(-1, 1, 2 * vocabulary).reshape(vocabulary, 2))

    def forward(self, x, h):
        y, h = self.cell(self.embedding(x), h)
        return y + self.shift[x, :1], h


def test_the_source_of_a_layer_of_tokens_reads_tables_as_one_writes_it():
    layer = nn.Recurrent(Tokens(7, 5)).astype(np.float64)
    x = np.array([[1, 6], [1, 1], [3, 0], [6, 3]])
    y, last = layer(x)
    weights = np.cos(np.arange(y.size)).reshape(y.shape)
    (np.sum(y * weights) + np.sum(last * last)).backward()
    text, space = layer.source(x), {}
    assert "from tinygrad_rnn" not in text
    exec(text, space)
    taken = arguments(space["forward"], layer, x, [np.zeros((2, 5))])
    found, state, saved = space["forward"](*taken)
    np.testing.assert_allclose(found, y.data, rtol=1e-12, atol=1e-13)
    slopes = space["backward"](weights, 2 * state, saved, x, *taken[2:])
    by_name = dict(zip(returned(space["backward"]), slopes, strict=True))
    for name, parameter in layer.named_parameters():
        np.testing.assert_allclose(by_name[f"d_{name.replace('.', '_')}"], parameter.grad, rtol=1e-10, atol=1e-12)


def arguments(function, layer, x, states):
    """Return the arguments of a forward function by their names."""
    known = {name.replace(".", "_"): parameter.data for name, parameter in layer.named_parameters()}
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    return [x, *states, *[known[name] for name in names[1 + len(states) :]]]


def returned(function):
    """Return the names of what a backward function says that it returns."""
    return re.sub(r"\s+", "", function.__doc__.rpartition("Returns:")[2]).split(",")


def test_the_source_speaks_the_language_of_the_cell():
    text = nn.Recurrent(Peephole(3, 4)).source(np.ones((5, 2, 3), np.float32))
    for words in (
        "def forward(",
        "def backward(",
        "x_all: (time, 2, 3) float32",
        "cells_0_from_input_weight: (3, 16) float32",
        "# once",
        "# for all steps",
        "# memory",
        "# one step",
        "# after the loop",
        "# c = f * c + i * np.tanh(g)",
        "# backward of: c = f * c + i * np.tanh(g)",
        "c_next = c_all[t + 1]",
        "d_cells_0_to_o",
    ):
        assert words in text, words
    for name in ("h", "c", "i", "f", "tanh_g", "tanh_c"):
        assert f"{name}_all" in text, name


def test_the_source_runs_without_the_package():
    text = nn.LSTM(3, 4).source(np.ones((5, 2, 3), np.float32))
    assert "import" not in text.replace("import numpy as np", "")
    call = (
        "z = lambda *s: np.ones(s, np.float32)\n"
        "a = z(3, 16), z(16), z(4, 16), z(16)\n"
        "y, h, c, saved = forward(z(5, 2, 3), z(2, 4), z(2, 4), *a)\n"
        "assert [g.shape for g in backward(y, h, c, saved, z(5, 2, 3), *a)][0] == (5, 2, 3)\n"
        "import sys; assert 'tinygrad_rnn' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", f"{text}\n{call}"], check=True)


def test_a_layer_of_several_cells_has_functions_for_each():
    layer = nn.GRU(3, 4, num_layers=2, bidirectional=True, batch_first=True)
    space = {}
    exec(layer.source(np.ones((2, 5, 3), np.float32)), space)
    assert {f"{kind}_{i}" for i in range(4) for kind in ("forward", "backward")} < set(space)
    assert "from the last to the first" in space["forward_1"].__doc__
    assert "(time, 2, 8)" in space["forward_2"].__doc__


def test_several_outputs_and_nested_states_have_names_of_their_own():
    def step(x, state):
        a, b = x["a"] * state["s"], x["b"] + state["n"].astype(float)
        return (a, b), {"n": state["n"] + 1, "s": np.sin(a)}

    init, xs = {"n": np.arange(3), "s": np.ones(3)}, {"a": np.ones((4, 3)), "b": np.ones((4, 3))}
    space = {}
    exec(source(step, init, xs, reverse=True, suffix="_up"), space)
    (y0, y1), last = scan(step, init, xs, reverse=True, engine="eager")
    found = space["forward_up"](*tree_flatten(xs)[0], *tree_flatten(init)[0])
    for a, b in zip(found, [y0, y1, *tree_flatten(last)[0]], strict=False):
        np.testing.assert_allclose(a, b.data)


@pytest.mark.parametrize("reverse", [False, True])
def test_names_that_the_text_needs_for_itself_are_changed(reverse):
    def step(x, s):
        len, range, empty = np.tanh(s + x), s * x, np.sin(x)
        reversed = time = len + range * empty
        return reversed, time * 0.5

    init, xs, space = np.zeros(2), np.ones((4, 2)), {}
    exec(source(step, init, xs, reverse=reverse), space)
    y, _, saved = space["forward"](xs, init)
    x = tg.Tensor(xs, requires_grad=True)
    expected, _ = scan(step, init, x, reverse=reverse, engine="eager")
    np.testing.assert_allclose(y, expected.data, rtol=1e-12)
    np.sum(expected).backward()
    np.testing.assert_allclose(space["backward"](np.ones((4, 2)), np.zeros(2), saved, xs)[0], x.grad, rtol=1e-12)


def test_plain_calls_give_no_names():
    layer = nn.GRU(2, 3)
    layer.source(np.ones((2, 1, 2), np.float32))
    from tinygrad_rnn.scan.step import _steps

    with tg.engine("numpy"):
        layer(np.ones((2, 1, 2), np.float32))
    assert all(not node.watches for node in next(reversed(_steps.values())).graph if node.primitive is not None)


def test_a_primitive_that_cannot_be_imported_is_named():
    cube = tg.Primitive("cube", lambda a: a**3)
    cube.defvjp(lambda g, out, a: g * 3 * a * a)
    with pytest.raises(errors.ConfigError, match=r"'cube'.*attribute of a module"):
        source(lambda x, h: (h, cube(h) + x), np.ones(2), np.ones((3, 2)))
