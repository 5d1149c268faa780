"""The symbols of equations: what is another thing has another one, and every value has an equation."""

import gc
import weakref

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.core.errors import TraceError


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


def test_a_step_that_is_another_one_when_called_again_has_no_equations():
    generator, weight = np.random.default_rng(0), leaf("W", 3, 3)
    with pytest.raises(TraceError, match=r"draw random numbers with tg\.random"):
        lines_of(lambda x, h: (x @ (weight * (generator.random((3, 3)) < 0.5)), h))


def test_a_module_called_t_and_the_sigmoid_are_told_from_others():
    class Highway(nn.Cell):
        def __init__(self):
            super().__init__()
            self.hidden_size = 3
            self.t = nn.Linear(3, 3)
            self.sigma = nn.Parameter(np.ones((3, 3)))

        def forward(self, x, h):
            b = tg.sigmoid(self.t(x))
            h = b * (h @ self.sigma)
            return h, h

    found = lines_of(Highway())
    assert found[0] == r"b_{t} = \sigma(x_{t} W_{\text{t}} + b_{\text{t}})"
    assert found[1] == r"h_{t} = b_{t} \odot h_{t-1} \tilde{\sigma}"
    assert len({line.partition(" = ")[0] for line in found}) == len(found)


def test_the_gradient_of_a_parameter_that_becomes_the_state_is_added_up_where_it_leaves_the_step():
    weight = leaf("W", 3, 3)

    def step(x, state):
        h, A = state
        E = np.exp(weight)
        h = np.tanh(x @ A + h)
        return h, (h, E)

    text = viz.latex(step, np.ones((3, 3)), (np.zeros((3, 3)), np.zeros((3, 3))))
    assert r"A_{t} &= E \\[2ex]" in text and r"\delta E &= \sum_{t} \delta A_{t} \\" in text
    assert r"\delta W &= \delta E \odot E" in text and r"\delta A_{t} &= x_{t+1}^{\top}" in text


def test_a_value_of_more_axes_than_its_formula_shows_says_so():
    b = leaf("b", 3)

    def step(x, h):
        g, r = np.broadcast_to(b, (3, 3)), b.reshape(1, 3)
        h = h * r[0] + np.sum(g, axis=0) + x @ np.full((3, 3), 0.5)
        return h, h

    found = lines_of(step, (3, 3), (3, 3))
    assert found[:2] == [r"g = \operatorname{broadcast}_{3,3}(b)", r"r = {{}b}_{[\text{None}]}"]
    assert r"x_{t} \operatorname{broadcast}_{3,3}(0.5)" in found[2]


def test_axes_that_are_kept_show():
    def means(keepdims):
        return lines_of(lambda x, h: (h - np.mean(x, axis=1, keepdims=keepdims), h), (3, 3), (3, 3))[0]

    assert means(False) == r"y_{t} = h_{t-1} - \operatorname{mean}_{1}(x_{t})"
    assert means(True) == r"y_{t} = h_{t-1} - {{}\operatorname{mean}_{1}(x_{t})}_{[:, \text{None}]}"


def test_other_dtypes_and_joins_over_the_first_of_three_axes_show():
    found = lines_of(lambda x, h: (h * (x > 0).astype(float) + np.floor(x).astype(np.int64), h))[0]
    assert r"\operatorname{int}" in found
    joined = lines_of(lambda x, h: (np.concatenate([x, h]), h), (2, 2, 3), (2, 2, 3))[0]
    assert joined == r"y_{t} = \operatorname{concatenate}_{0}(x_{t}, h_{t-1})"


def test_tensors_without_a_gradient_are_constants():
    weight = tg.Tensor(np.arange(-4.0, 5.0).reshape(3, 3), requires_grad=True, name="W")
    found = lines_of(lambda x, h: (x @ weight.detach() + h @ (weight * (weight > 0)), h))[0]
    assert found == r"y_{t} = x_{t} \mathbf{C}_{3,3} + h_{t-1} (W \odot \tilde{\mathbf{C}}_{3,3})"


def test_lines_of_the_backward_pass_come_after_what_they_read():
    weights = leaf("W", 3, 3), leaf("U", 3, 3)

    def step(x, h):
        h = np.tanh(x @ weights[0] + h @ weights[1].T)
        return h, h

    found = lines_of(step, (2, 4, 3), (2, 4, 3))
    starts = [line.partition(" = ")[0] for line in found]
    assert starts.index("a_{t}") == starts.index(r"\delta h_{t}") + 1
    found = lines_of(lambda x, h: (x * np.prod(weights[0], axis=0), h))
    assert any(line.startswith("s = ") for line in found)  # a sum over time has no step


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
