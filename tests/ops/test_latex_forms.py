"""What `Graph.latex` writes for each operation: its form, its brackets, and those of its gradient."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz


def leaf(name, *shape):
    return tg.Tensor(np.random.default_rng(0).uniform(0.2, 0.8, shape), requires_grad=True, name=name)


def twice(value, function):
    return function(value, value)


FORMS = {
    "negative": (
        lambda: -leaf("a", 2, 3),
        [r"y = - a", r"\delta a = - \delta y"],
    ),
    "negative of a sum": (
        lambda: -(leaf("a", 2, 3) + leaf("b", 2, 3)),
        [r"y = - (a + b)", r"\delta a = - \delta y", r"\delta b = - \delta y"],
    ),
    "negative of a product": (
        lambda: -(leaf("a", 2, 3) * leaf("b", 2, 3)),
        [r"y = - a \odot b", r"\delta a = - \delta y \odot b", r"\delta b = - \delta y \odot a"],
    ),
    "negative of a power": (
        lambda: -(leaf("a", 2, 3) ** 3),
        [r"y = - a^{3}", r"\delta a = - 3 \, \delta y \odot a^{2}"],
    ),
    "plus a negative of a power": (
        lambda: leaf("b", 2, 3) * -(leaf("a", 2, 3) ** 3),
        [
            r"y = - b \odot a^{3}",
            r"\delta b = - \delta y \odot a^{3}",
            r"\delta a = - 3 \, \delta y \odot b \odot a^{2}",
        ],
    ),
    "square": (
        lambda: np.square(leaf("a", 2, 3)),
        [r"y = a^{2}", r"\delta a = 2 \, \delta y \odot a"],
    ),
    "square of a sum": (
        lambda: np.square(leaf("a", 2, 3) + leaf("b", 2, 3)),
        [r"y = (a + b)^{2}", r"\delta a = 2 \, \delta y \odot (a + b)", r"\delta b = 2 \, \delta y \odot (a + b)"],
    ),
    "square of a power": (
        lambda: np.square(leaf("a", 2, 3) ** 3),
        [r"y = {{}(a^{3})}^{2}", r"\delta a = 6 \, \delta y \odot a^{3} \odot a^{2}"],
    ),
    "power": (
        lambda: leaf("a", 2, 3) ** leaf("b", 2, 3),
        [
            r"y = a^{b}",
            r"\delta a = \delta y \odot b \odot a^{\begin{cases} 0 & \text{if } b = 0 \\ b - 1 & \text{otherwise} \end{cases}}",  # noqa: E501
            r"\delta b = \delta y \odot y \odot \log\left(\begin{cases} 1 & \text{if } a = 0 \\ a & \text{otherwise} \end{cases}\right)",  # noqa: E501
        ],
    ),
    "sqrt": (
        lambda: np.sqrt(leaf("a", 2, 3)),
        [r"y = \sqrt{a}", r"\delta a = \frac{\delta y}{2 \, y}"],
    ),
    "absolute": (
        lambda: np.abs(leaf("a", 2, 3)),
        [r"y = \left\lvert a \right\rvert", r"\delta a = \delta y \odot \operatorname{sign}(a)"],
    ),
    "reciprocal": (
        lambda: np.reciprocal(leaf("a", 2, 3)),
        [r"y = \frac{1}{a}", r"\delta a = - \delta y \odot y^{2}"],
    ),
    "divide": (
        lambda: leaf("a", 2, 3) / leaf("b", 2, 3),
        [r"y = \frac{a}{b}", r"\delta a = \frac{\delta y}{b}", r"\delta b = - \delta y \odot \frac{y}{b}"],
    ),
    "times a number": (
        lambda: 2.0 * leaf("a", 2, 3),
        [r"y = 2 \, a", r"\delta a = 2 \, \delta y"],
    ),
    "a number behind": (
        lambda: leaf("a", 2, 3) * 2.0,
        [r"y = 2 \, a", r"\delta a = 2 \, \delta y"],
    ),
    "scalars": (
        lambda: leaf("s") * leaf("a", 2, 3),
        [r"y = s \, a", r"\delta s = \operatorname{sum}(\delta y \odot a)", r"\delta a = \delta y \, s"],
    ),
    "scalar times number": (
        lambda: leaf("s") * leaf("t2"),
        [r"L = s \, t_{2}", r"\delta s = t_{2}", r"\delta t_{2} = s"],
    ),
    "transpose": (
        lambda: leaf("a", 2, 3).T,
        [r"y = a^{\top}", r"\delta a = \delta y^{\top}"],
    ),
    "transpose of a sum": (
        lambda: (leaf("a", 2, 3) + leaf("b", 2, 3)).T,
        [r"y = (a + b)^{\top}", r"\delta a = \delta y^{\top}", r"\delta b = \delta y^{\top}"],
    ),
    "transpose of three axes": (
        lambda: np.transpose(leaf("a", 2, 3, 4), (0, 2, 1)),
        [r"y = a^{\top}", r"\delta a = \delta y^{\top}"],
    ),
    "other transpose": (
        lambda: np.transpose(leaf("a", 2, 3, 4), (1, 0, 2)),
        [r"y = \operatorname{transpose}_{1,0,2}(a)", r"\delta a = \operatorname{transpose}_{1,0,2}(\delta y)"],
    ),
    "transpose and its inverse": (
        lambda: np.transpose(leaf("a", 2, 3, 4), (1, 2, 0)),
        [r"y = \operatorname{transpose}_{1,2,0}(a)", r"\delta a = \operatorname{transpose}_{2,0,1}(\delta y)"],
    ),
    "transpose of one axis": (
        lambda: np.transpose(leaf("a", 3)),
        [r"y = a", r"\delta a = \delta y"],
    ),
    "transpose that does nothing": (
        lambda: np.transpose(leaf("a", 2, 3), (0, 1)),
        [r"y = a", r"\delta a = \delta y"],
    ),
    "product with a transpose": (
        lambda: leaf("a", 2, 3) @ leaf("w", 4, 3).T,
        [r"y = a w^{\top}", r"\delta a = \delta y w", r"\delta w = {{}(a^{\top} \delta y)}^{\top}"],
    ),
    "tensordot": (
        lambda: np.tensordot(leaf("a", 2, 3), leaf("b", 3, 4), axes=1),
        [r"y = a b", r"\delta a = \delta y b^{\top}", r"\delta b = a^{\top} \delta y"],
    ),
    "reshape with ones": (
        lambda: leaf("a", 2, 3).reshape(2, 1, 3),
        [r"y = {{}a}_{[:, \text{None}]}", r"\delta a = {{}\delta y}_{[:, 0]}"],
    ),
    "reshape to columns": (
        lambda: leaf("A", 3, 3) * leaf("v", 3).reshape(3, 1),
        [
            r"y = A \odot {{}v}_{[:, \text{None}]}",
            r"\delta A = \delta y \odot {{}v}_{[:, \text{None}]}",
            r"\delta v = \operatorname{sum}_{1}(\delta y \odot A)",
        ],
    ),
    "outer": (
        lambda: np.outer(leaf("u", 3), leaf("v", 2)),
        [
            r"y = {{}u}_{[:, \text{None}]} \odot v",
            r"\delta u = \operatorname{sum}_{1}(\delta y \odot v)",
            r"\delta v = \mathbf{1}^{\top} (\delta y \odot {{}u}_{[:, \text{None}]})",
        ],
    ),
    "repeat": (
        lambda: np.repeat(leaf("a", 2, 3), 2, axis=1),
        [
            r"y = \operatorname{reshape}_{2,6}(\operatorname{broadcast}_{2,3,2}({{}a}_{[:, :, \text{None}]}))",
            r"\delta a = \operatorname{sum}_{2}(\operatorname{reshape}_{2,3,2}(\delta y))",
        ],
    ),
    "pad": (
        lambda: np.pad(leaf("a", 2), (1, 3)),
        [r"y = \operatorname{pad}_{\text{width=((1, 3),)}}(a)", r"\delta a = {{}\delta y}_{[1:3,]}"],
    ),
    "var": (
        lambda: np.var(leaf("a", 2, 4), axis=1, ddof=1),
        [
            r"y = \operatorname{var}_{1,\text{ddof=1}}(a)",
            r"\delta a = {{}\left(\frac{2 \, \delta y}{3}\right)}_{[:, \text{None}]} \odot (a - {{}\operatorname{mean}_{1}(a)}_{[:, \text{None}]})",  # noqa: E501
        ],
    ),
    "reshape": (
        lambda: leaf("a", 2, 3).reshape(3, 2),
        [r"y = \operatorname{reshape}_{3,2}(a)", r"\delta a = \operatorname{reshape}_{2,3}(\delta y)"],
    ),
    "reshape two to one": (
        lambda: leaf("a", 1, 2).reshape(2),
        [r"y = {{}a}_{[0]}", r"\delta a = \delta y"],
    ),
    "reshape of two": (
        lambda: leaf("a", 2, 2).reshape(4),
        [r"y = \operatorname{reshape}_{4}(a)", r"\delta a = \operatorname{reshape}_{2,2}(\delta y)"],
    ),
    "beside": (
        lambda: np.concatenate([leaf("a", 2, 3), leaf("b", 2, 3)], axis=1),
        [
            r"y = \begin{bmatrix} a & b \end{bmatrix}",
            r"\delta a = {{}\delta y}_{[:,0:3]}",
            r"\delta b = {{}\delta y}_{[:,3:6]}",
        ],
    ),
    "below": (
        lambda: np.concatenate([leaf("a", 2, 3), leaf("b", 2, 3)], axis=0),
        [
            r"y = \begin{bmatrix} a \\ b \end{bmatrix}",
            r"\delta a = {{}\delta y}_{[0:2]}",
            r"\delta b = {{}\delta y}_{[2:4]}",
        ],
    ),
    "split": (
        lambda: np.split(leaf("a", 2, 6), [1, 3], axis=1)[1] * 1,
        [r"y = {{}a}_{[:,1:3]}", r"\delta a = \begin{bmatrix} \mathbf{0} & \delta y & \mathbf{0} \end{bmatrix}"],
    ),
    "split first": (
        lambda: np.split(leaf("a", 2, 6), 3, axis=1)[0],
        [
            r"\begin{bmatrix} y & s & u \end{bmatrix} = a",
            r"\delta a = \begin{bmatrix} \delta y & \mathbf{0} & \mathbf{0} \end{bmatrix}",
        ],
    ),
    "split last": (
        lambda: np.split(leaf("a", 6), 3)[2],
        [
            r"\begin{bmatrix} s & u & y \end{bmatrix} = a",
            r"\delta a = \begin{bmatrix} \mathbf{0} & \mathbf{0} & \delta y \end{bmatrix}",
        ],
    ),
    "getitem": (
        lambda: leaf("a", 2, 3)[0],
        [r"y = {{}a}_{[0]}", r"\delta a = \operatorname{scatter}_{[0]}(\delta y)"],
    ),
    "getitem slices": (
        lambda: leaf("a", 2, 3)[:, 1:],
        [r"y = {{}a}_{[:, 1:]}", r"\delta a = \operatorname{scatter}_{[:, 1:]}(\delta y)"],
    ),
    "new axis": (
        lambda: leaf("a", 2, 3)[:, None],
        [r"y = {{}a}_{[:, \text{None}]}", r"\delta a = \operatorname{scatter}_{[:, \text{None}]}(\delta y)"],
    ),
    "by array": (
        lambda: leaf("a", 2, 3)[np.array([1, 0])],
        [r"y = {{}a}_{[\mathbf{C}_{2},]}", r"\delta a = \operatorname{scatter}_{[\mathbf{C}_{2},]}(\delta y)"],
    ),
    "unstack": (
        lambda: list(leaf("a", 2, 3))[1],
        [r"s = {{}a}_{[0]}", r"y = {{}a}_{[1]}", r"\delta a = \operatorname{stack}(\mathbf{0}, \delta y)"],
    ),
    "unstack 0": (
        lambda: next(iter(leaf("a", 2, 3))),
        [r"y = {{}a}_{[0]}", r"s = {{}a}_{[1]}", r"\delta a = \operatorname{stack}(\delta y, \mathbf{0})"],
    ),
    "where": (
        lambda: np.where(np.greater(leaf("a", 2, 3), 0.5), leaf("a", 2, 3), leaf("b", 2, 3)),
        [
            r"y = \begin{cases} a & \text{if } \mathbf{C}_{2,3} \\ b & \text{otherwise} \end{cases}",
            r"\delta a = \begin{cases} \delta y & \text{if } \mathbf{C}_{2,3} \\ 0 & \text{otherwise} \end{cases}",
            r"\delta b = \begin{cases} 0 & \text{if } \mathbf{C}_{2,3} \\ \delta y & \text{otherwise} \end{cases}",
        ],
    ),
    "where mask": (
        lambda: np.where(np.array([True, False, True]), leaf("a", 2, 3), leaf("b", 2, 3)),
        [
            r"y = \begin{cases} a & \text{if } \mathbf{C}_{3} \\ b & \text{otherwise} \end{cases}",
            r"\delta a = \begin{cases} \delta y & \text{if } \mathbf{C}_{3} \\ 0 & \text{otherwise} \end{cases}",
            r"\delta b = \begin{cases} 0 & \text{if } \mathbf{C}_{3} \\ \delta y & \text{otherwise} \end{cases}",
        ],
    ),
    "where and": (
        lambda: np.where(
            np.logical_and(np.greater(leaf("a", 2, 3), 0.5), np.less(leaf("b", 2, 3), 0.5)),
            leaf("a", 2, 3),
            2 * leaf("b", 2, 3),
        ),
        [
            r"y = \begin{cases} a & \text{if } \mathbf{0} \\ 2 \, b & \text{otherwise} \end{cases}",
            r"\delta a = \begin{cases} \delta y & \text{if } \mathbf{0} \\ 0 & \text{otherwise} \end{cases}",
            r"\delta b = 2 \, \left(\begin{cases} 0 & \text{if } \mathbf{0} \\ \delta y & \text{otherwise} \end{cases}\right)",  # noqa: E501
        ],
    ),
    "not": (
        lambda: np.where(np.logical_not(np.greater(leaf("a", 2, 3), 0.5)), leaf("a", 2, 3), leaf("b", 2, 3)),
        [
            r"y = \begin{cases} a & \text{if } \mathbf{C}_{2,3} \\ b & \text{otherwise} \end{cases}",
            r"\delta a = \begin{cases} \delta y & \text{if } \mathbf{C}_{2,3} \\ 0 & \text{otherwise} \end{cases}",
            r"\delta b = \begin{cases} 0 & \text{if } \mathbf{C}_{2,3} \\ \delta y & \text{otherwise} \end{cases}",
        ],
    ),
    "sum of rows": (
        lambda: np.sum(leaf("a", 2, 3), axis=0),
        [r"y = \mathbf{1}^{\top} a", r"\delta a = \delta y"],
    ),
    "sum of a sum": (
        lambda: np.sum(leaf("a", 2, 3) + leaf("b", 2, 3), axis=0),
        [r"y = \mathbf{1}^{\top} (a + b)", r"\delta a = \delta y", r"\delta b = \delta y"],
    ),
    "sum of a product": (
        lambda: np.sum(leaf("a", 2, 3) @ leaf("w", 3, 2), axis=0),
        [
            r"y = \mathbf{1}^{\top} a w",
            r"\delta a = \operatorname{broadcast}_{2,2}(\delta y) w^{\top}",
            r"\delta w = a^{\top} \operatorname{broadcast}_{2,2}(\delta y)",
        ],
    ),
    "sum kept": (
        lambda: np.sum(leaf("a", 2, 3), axis=0, keepdims=True),
        [r"y = \operatorname{sum}_{0}(a)", r"\delta a = \delta y"],
    ),
    "sum of columns": (
        lambda: np.sum(leaf("a", 2, 3), axis=1),
        [r"y = \operatorname{sum}_{1}(a)", r"\delta a = {{}\delta y}_{[:, \text{None}]}"],
    ),
    "sum of three": (
        lambda: np.sum(leaf("a", 2, 3, 4), axis=0),
        [r"y = \operatorname{sum}_{0}(a)", r"\delta a = \delta y"],
    ),
    "sum of one": (
        lambda: np.sum(leaf("a", 3), axis=0),
        [r"L = \operatorname{sum}(a)", r"\delta a = \mathbf{1}"],
    ),
    "a + a": (
        lambda: twice(np.exp(leaf("a", 2, 3)), lambda u, v: u + v),
        [r"y = 2 \, \exp(a)", r"\delta a = (\delta y + \delta y) \odot \exp(a)"],
    ),
    "a * a": (
        lambda: twice(np.exp(leaf("a", 2, 3)), lambda u, v: u * v),
        [r"y = \exp(a)^{2}", r"\delta a = 2 \, \delta y \odot \exp(a)^{2}"],
    ),
    "b * a * a": (
        lambda: twice(np.exp(leaf("a", 2, 3)), lambda u, v: leaf("b", 2, 3) * u * v),
        [
            r"y = b \odot \exp(a)^{2}",
            r"\delta a = (\delta y \odot b \odot \exp(a) + \delta y \odot \exp(a) \odot b) \odot \exp(a)",
            r"\delta b = \delta y \odot \exp(a)^{2}",
        ],
    ),
    "matmul": (
        lambda: leaf("a", 2, 3) @ leaf("w", 3, 2),
        [r"y = a w", r"\delta a = \delta y w^{\top}", r"\delta w = a^{\top} \delta y"],
    ),
    "matmul of sums": (
        lambda: (leaf("a", 2, 3) + leaf("b", 2, 3)) @ leaf("w", 3, 2),
        [
            r"y = (a + b) w",
            r"\delta a = \delta y w^{\top}",
            r"\delta b = \delta y w^{\top}",
            r"\delta w = (a + b)^{\top} \delta y",
        ],
    ),
    "einsum": (
        lambda: np.einsum("ij,ij->i", leaf("a", 2, 3), leaf("b", 2, 3)),
        [
            r"y = \operatorname{einsum}_{\text{ij,ij} \to \text{i}}(a, b)",
            r"\delta a = \operatorname{einsum}_{\text{i,ij} \to \text{ij}}(\delta y, b)",
            r"\delta b = \operatorname{einsum}_{\text{i,ij} \to \text{ij}}(\delta y, a)",
        ],
    ),
    "maximum": (
        lambda: np.maximum(leaf("a", 2, 3), leaf("b", 2, 3)),
        [
            r"y = \max(a, b)",
            r"\delta a = 0.5 \, \delta y \odot (\mathbf{1}[a \geq b] + \mathbf{1}[a > b])",
            r"\delta b = 0.5 \, \delta y \odot (\mathbf{1}[b \geq a] + \mathbf{1}[b > a])",
        ],
    ),
    "clip": (
        lambda: np.clip(leaf("a", 2, 3), 0.3, 0.6),
        [
            r"y = \operatorname{clip}(a, 0.3, 0.6)",
            r"\delta a = \delta y \odot (\mathbf{1}[a \geq 0.3] \wedge \mathbf{1}[a \leq 0.6])",
        ],
    ),
    "fmax": (
        lambda: np.fmax(leaf("a", 2, 3), 0.3),
        [
            r"y = \operatorname{fmax}(a, 0.3)",
            r"\delta a = \delta y \odot \left(\begin{cases} 0.5 & \text{if } a = 0.3 \\ "
            r"\mathbf{1}[a > 0.3] \vee 0 \wedge \neg \operatorname{isnan}(a) & \text{otherwise} \end{cases}\right)",
        ],
    ),
    "sigmoid": (
        lambda: tg.sigmoid(leaf("a", 2, 3)),
        [r"y = \sigma(a)", r"\delta a = \delta y \odot y \odot (1 - y)"],
    ),
    "astype": (
        lambda: leaf("a", 2, 3).astype(np.float32),
        [r"y = a", r"\delta a = \delta y"],
    ),
    "broadcast": (
        lambda: np.broadcast_to(leaf("a", 3), (2, 3)),
        [r"y = \operatorname{broadcast}_{2,3}(a)", r"\delta a = \mathbf{1}^{\top} \delta y"],
    ),
    "times one": (
        lambda: leaf("a", 2, 3) * 1.0,
        [r"y = a", r"\delta a = \delta y"],
    ),
    "one times": (
        lambda: 1.0 * leaf("a", 2, 3),
        [r"y = a", r"\delta a = \delta y"],
    ),
    "times zero": (
        lambda: 0.0 * leaf("a", 2, 3),
        [r"y = 0 \, a", r"\delta a = 0 \, \delta y"],
    ),
    "plus zero": (
        lambda: 0.0 + leaf("a", 2, 3),
        [r"y = a", r"\delta a = \delta y"],
    ),
    "minus one times": (
        lambda: -1.0 * leaf("a", 2, 3),
        [r"y = - a", r"\delta a = - \delta y"],
    ),
    "minus two times": (
        lambda: -2.0 * leaf("a", 2, 3),
        [r"y = - 2 \, a", r"\delta a = - 2 \, \delta y"],
    ),
    "minus half": (
        lambda: leaf("a", 2, 3) * -0.5,
        [r"y = - 0.5 \, a", r"\delta a = - 0.5 \, \delta y"],
    ),
    "numbers together": (
        lambda: 2.0 * (3.0 * leaf("a", 2, 3)),
        [r"y = 6 \, a", r"\delta a = 6 \, \delta y"],
    ),
    "number of a product": (
        lambda: 2.0 * leaf("a", 2, 3) * leaf("b", 2, 3),
        [r"y = 2 \, a \odot b", r"\delta a = 2 \, \delta y \odot b", r"\delta b = 2 \, \delta y \odot a"],
    ),
    "product of a number": (
        lambda: leaf("b", 2, 3) * (2.0 * leaf("a", 2, 3)),
        [r"y = 2 \, b \odot a", r"\delta b = 2 \, \delta y \odot a", r"\delta a = 2 \, \delta y \odot b"],
    ),
    "two negatives": (
        lambda: -leaf("a", 2, 3) * -leaf("b", 2, 3),
        [r"y = a \odot b", r"\delta a = \delta y \odot b", r"\delta b = \delta y \odot a"],
    ),
    "one negative": (
        lambda: -leaf("a", 2, 3) * leaf("b", 2, 3),
        [r"y = - a \odot b", r"\delta a = - \delta y \odot b", r"\delta b = - \delta y \odot a"],
    ),
    "zero factor in front": (
        lambda: 0.0 * (leaf("a", 2, 3) * leaf("b", 2, 3)),
        [r"y = 0 \, a \odot b", r"\delta a = 0 \, \delta y \odot b", r"\delta b = 0 \, \delta y \odot a"],
    ),
    "minus plus": (
        lambda: -leaf("a", 2, 3) + leaf("b", 2, 3),
        [r"y = b - a", r"\delta a = - \delta y", r"\delta b = \delta y"],
    ),
}


class Bounded(nn.Cell):
    def forward(self, x, h):
        h = np.where(np.logical_and(h > 0, h < x), x, h / 2)
        return h, h


def test_a_condition_of_two_comparisons_keeps_the_brackets_of_both():
    first = viz.latex(Bounded(), np.ones((1, 2)), np.zeros((1, 2))).splitlines()[1]
    both = r"\mathbf{1}[h_{t-1} > 0] \wedge \mathbf{1}[h_{t-1} < x_{t}]"
    assert rf"\begin{{cases}} x_{{t}} & \text{{if }} {both} \\" in first


def test_a_conjunction_that_is_compared_keeps_its_brackets():
    def step(x, h):
        return np.where(((x > 0) & (h > 0)) == (x > 1), x, h), h

    first = viz.latex(step, np.ones(2), np.zeros(2)).splitlines()[1]
    both = r"(\mathbf{1}[x_{t} > 0] \wedge \mathbf{1}[h_{t-1} > 0])"
    assert rf"\mathbf{{1}}[{both} = \mathbf{{1}}[x_{{t}} > 1]]" in first


@pytest.mark.parametrize("name", FORMS)
def test_operations_and_their_gradients_have_the_form_of_a_textbook(name):
    make, wanted = FORMS[name]
    lines = tg.Graph.of(make()).latex(backward=True).splitlines()[1:-1]
    found = [line.removesuffix("[2ex]").removesuffix(r" \\").replace(" &= ", " = ") for line in lines]
    assert [line for line in found if line != r"\delta y = \Delta"] == wanted
