"""The symbols of equations: what is another thing has another one, and every value has an equation."""

import gc
import weakref

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz


def leaf(name, *shape):
    return tg.Tensor(np.ones(shape), requires_grad=True, name=name)


def lines_of(step, x=(2, 3), h=(2, 3)):
    text = viz.latex(step, np.ones(x), np.zeros(h))
    return [line.removesuffix("[2ex]").removesuffix(r" \\").replace(" &= ", " = ") for line in text.splitlines()[1:-1]]


def forward_of(result):
    return tg.Graph.of(result).latex(backward=False).splitlines()[1].replace(" &= ", " = ")


def test_constants_that_no_rule_keeps_have_a_symbol_each():
    a, b = leaf("a", 2), leaf("b", 2)
    found = forward_of((a + np.array([1.0, 2.0])) * (b - np.array([3.0, 4.0])))
    assert found == r"y = (a + \mathbf{C}_{2}) \odot (b - \tilde{\mathbf{C}}_{2})"


def test_a_constant_that_is_used_twice_has_one_symbol():
    c = np.array([1.0, 2.0])
    assert forward_of(np.exp(leaf("a", 2) * c) * c) == r"y = \exp(a \odot \mathbf{C}_{2}) \odot \mathbf{C}_{2}"


def test_constants_of_a_step_have_a_symbol_each():
    def step(x, h):
        h = np.tanh(x + np.array([1.0, 2, 3])) * (h + np.array([4.0, 5, 6])) + np.array([1.0, 2, 3])
        return h, h

    first = r"h_{t} = \tanh(x_{t} + \mathbf{C}_{3}) \odot (h_{t-1} + \tilde{\mathbf{C}}_{3}) + \mathbf{C}_{3}"
    assert lines_of(step)[0] == first


def test_what_is_computed_from_parameters_alone_has_equations_without_a_step():
    decay = leaf("decay", 3)

    def step(x, h):
        a = np.exp(-np.exp(decay))
        h = a * h + x
        return h, h

    assert lines_of(step) == [
        r"a = \exp(-\exp(\mathit{decay}))",
        r"h_{t} = a \odot h_{t-1} + x_{t}",
        r"\delta h_{t} = \Delta_{t} + \delta h_{t+1} \odot a",
        r"\delta a = \sum_{t} \mathbf{1}^{\top} (\delta h_{t} \odot h_{t-1})",
        r"\delta x_{t} = \delta h_{t}",
        r"\delta \mathit{decay} = - \delta a \odot a \odot \exp(\mathit{decay})",
    ]


def test_a_weight_that_is_transposed_in_the_step_keeps_its_name():
    weight = leaf("W", 3, 3)
    found = lines_of(lambda x, h: (np.tanh(x @ weight.T), h))
    assert found[0] == r"y_{t} = \tanh(x_{t} W^{\top})"
    assert found[-1].startswith(r"\delta W = {{}\left(\sum_{t} x_{t}^{\top}")


def test_what_was_computed_before_the_step_is_no_part_of_it():
    scale = np.exp(leaf("rate", 3))
    scale.name = "scale"
    found = lines_of(lambda x, h: (x * scale, h))
    assert found[0] == r"y_{t} = x_{t} \odot \mathit{scale}" and not any("rate" in line for line in found)


def test_cells_whose_weights_are_computed_show_them():
    cell = nn.ClockworkCell(3, 4)
    found = viz.latex(cell, np.ones((2, 3), np.float32), cell.initial_state(2))
    assert r"h_{t-1} (W_{\text{from\_state}} \odot \mathbf{C}_{4,4})" in found
    assert r"\delta W_{\text{from\_state}} &= \left(\sum_{t} h_{t-1}^{\top} \delta a_{t}\right) \odot" in found


def test_a_result_that_is_handed_through_has_an_equation():
    def lag(x, state):
        first, second = state
        return second, (x, first)

    found = viz.latex(lag, np.ones(3), (np.ones(3), np.ones(3)))
    assert r"y_{t} &= \mathit{second}_{t-1} \\" in found and r"\delta \mathit{second}_{t} &= \Delta_{t+1}" in found
    assert forward_of(leaf("a", 2)) == "y = a"


def test_a_parameter_that_is_a_result_gets_the_gradients_of_all_steps():
    weight = leaf("w", 3)
    assert lines_of(lambda x, h: (weight, h * x), (3,), (3,)) == [
        r"h_{t} = h_{t-1} \odot x_{t}",
        r"y_{t} = w",
        r"\delta y_{t} = \Delta_{t}",
        r"\delta h_{t} = \delta h_{t+1} \odot x_{t+1}",
        r"\delta x_{t} = \delta h_{t} \odot h_{t-1}",
        r"\delta w = \sum_{t} \delta y_{t}",
    ]


def test_names_do_not_look_like_gradients():
    def step(x, h):
        Delta = np.tanh(x)
        h = h * Delta
        return h, h

    assert lines_of(step)[:3] == [
        r"\tilde{\Delta}_{t} = \tanh(x_{t})",
        r"h_{t} = h_{t-1} \odot \tilde{\Delta}_{t}",
        r"\delta h_{t} = \Delta_{t} + \delta h_{t+1} \odot \tilde{\Delta}_{t+1}",
    ]
    assert forward_of(leaf("delta", 2, 3) @ leaf("w", 3, 3)) == r"y = \tilde{\delta} w"


def test_a_t_behind_a_name_is_the_step_of_what_has_one():
    weight = leaf("h_t", 3, 3)

    def step(x_t, h_prev):
        h_t = np.tanh(x_t + h_prev @ weight)
        return h_t, h_t

    assert lines_of(step)[0] == r"h_{t} = \tanh(x_{t} + h_{t-1} h_{\text{t}})"


def test_fast_weights_are_an_outer_product():
    def step(x, h):
        M = np.outer(h, x)
        h = np.tanh(M @ x)
        return M, h

    assert lines_of(step, (3,), (3,))[0] == r"M_{t} = {{}h_{t-1}}_{[:, \text{None}]} \odot x_{t}"


@pytest.mark.parametrize("backward", [False, True])
def test_equations_do_not_keep_the_tape(backward):
    gc.disable()
    try:
        y = np.sum(np.tanh(leaf("a", 5)))
        node = weakref.ref(y.node)
        tg.Graph.of(y).latex(backward=backward)
        del y
        assert node() is None
    finally:
        gc.enable()
