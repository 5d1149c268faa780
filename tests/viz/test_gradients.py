"""Numbers and gradients in drawings."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.core.errors import FreedGraphError


def parameter(name, values):
    return tg.Tensor(values, requires_grad=True, name=name)


def statement(source, title):
    statements = re.split(r"\n(?=\t)", source)
    (found,) = [text for text in statements if re.search(f"label=<{re.escape(title)}[<>]", text) and "->" not in text]
    return found


def norm_at(source, title):
    """The norm that stands on an item, or its least and greatest."""
    text = re.search(r"‖∂‖ ([^<]*)<", statement(source, title)).group(1).replace("−", "-")
    return [float(part) for part in text.split(" … ")]


def norm(array):
    return pytest.approx(np.linalg.norm(array), rel=5e-3)


def test_norms_over_the_picture_are_those_of_the_gradients():
    w, x = parameter("w", [[1.0, -2.0], [0.5, 3.0]]), parameter("x", [1.0, 2.0])
    loss = np.sum(np.tanh(w @ x) ** 2)
    source = viz.draw(loss, show=("grads",)).source
    loss.backward()
    assert norm_at(source, "w") == [norm(w.grad)]
    assert norm_at(source, "x") == [norm(x.grad)]


def test_the_norms_of_a_loop_span_all_its_steps():
    w, h, states = parameter("w", [[0.3, 0.1], [0.2, 0.4]]), parameter("h", [[1.0, 2.0]]), []
    for _ in range(8):
        h = np.tanh(h @ w)
        h.retain_grad()
        states.append(h)
    source = viz.draw(np.sum(h), backward=True).source
    np.sum(h).backward()
    norms = [np.linalg.norm(state.grad) for state in states]
    assert norm_at(source, "∂tanh") == [norm(min(norms)), norm(max(norms))]
    assert norm_at(source, "∂w") == [norm(w.grad)] and "sum of 8" in statement(source, "∂w")


def test_the_larger_gradient_has_the_darker_colour():
    x = parameter("x", [1.0])
    source = viz.draw(np.sum(100 * (10 * x)), show=("grads",)).source

    def light(title):
        return int(re.search(r'fillcolor="#(\w\w\w\w\w\w)"', statement(source, title)).group(1)[2:4], 16)

    assert light("Σ") > light("10 ×") > light("x")


def test_what_no_gradient_reaches_is_grey_and_has_no_mirror_image():
    blind = tg.Primitive("blind", lambda a, b: a + b)
    blind.defvjp(lambda g, out, a, b: g, lambda g, out, a, b: None)
    x, w = parameter("x", [1.0, 2.0]), parameter("w", [1.0, 1.0])
    source = viz.draw(np.sum(blind(np.exp(w), np.tanh(x) * np.ones(2))), backward=True).source
    for title in ("tanh", "x", "×", "ones"):
        assert "#bbbbbb" in statement(source, title) and f"∂{title}" not in source
    for title in ("exp", "w"):
        assert "#bbbbbb" not in statement(source, title) and f"∂{title}" in source


def test_integers_are_grey_and_have_no_gradient():
    source = viz.draw(nn.Embedding(5, 2), np.array([1, 2]), backward=True).source
    assert "#bbbbbb" in statement(source, "indices") and "∂indices" not in source
    assert "∂weight" in source


def test_the_backward_pass_is_the_mirror_image_of_the_forward_pass():
    x = parameter("x", [1.0, 2.0])
    forward = viz.draw(np.sum(np.exp(x)), time="full").source
    both = viz.draw(np.sum(np.exp(x)), time="full", backward=True).source
    alone = viz.draw(np.sum(np.exp(x)), time="full", backward=True, forward=False).source
    assert re.findall(r"\t(n\d) -> (n\d)", forward) == [("n0", "n1"), ("n1", "n2")]
    # Written from the argument's gradient, the arrow at its tail: it runs up where the forward pass runs down.
    assert re.findall(r"\t(dn\d) -> (dn\d) \[.*dir=back", both) == [("dn0", "dn1"), ("dn1", "dn2")]
    assert "label=<gradients>" in both and "label=<gradients>" not in alone
    assert "label=<exp<" not in alone and "∂exp" in alone


def test_the_gradient_of_a_state_runs_back_in_time():
    source = viz.draw(nn.GRUCell(2, 3), backward=True).source
    assert "∂h" in source
    source = viz.draw(nn.GRU(2, 3), np.ones((6, 1, 2)), backward=True).source
    assert "∂h: t → t − 1" in source and "h: t − 1 → t" in source


def test_bytes_stand_on_what_is_saved_and_on_nothing_else():
    x = parameter("x", np.ones((4, 8)))
    source = viz.draw(np.sum(np.tanh(x + 1.0)), show=("saved",)).source
    assert "saved 256 B" in statement(source, "tanh")
    assert "saved" not in statement(source, "+ 1") and "saved" not in statement(source, "Σ")


def test_bytes_of_a_loop_count_every_step():
    source = viz.draw(nn.RNN(3, 4), np.ones((7, 2, 3), np.float32), show=("saved",)).source
    assert "saved 32 B × 7" in statement(source, "tanh")


def test_values_are_numbers_or_their_range():
    x = parameter("x", [1.0, -2.5])
    source = viz.draw(np.sum(x * 2), show=("values",)).source
    assert (
        "1, −2.5" in statement(source, "x") and "2, −5" in statement(source, "× 2") and "−3" in statement(source, "Σ")
    )
    assert "0 … 9" in statement(viz.draw(parameter("y", np.arange(10.0)) * 1, show=("values",)).source, "y")


def test_what_is_not_finite_is_counted():
    y = parameter("y", [np.nan, np.inf, 1.0, 2.0])
    assert "1 … 2, 2 not finite" in statement(viz.draw(y * 1, show=("values",)).source, "y")
    z = parameter("z", [0.0, 1.0])
    with np.errstate(divide="ignore"):
        assert "‖∂‖ inf" in statement(viz.draw(np.sum(np.sqrt(z)), show=("grads",)).source, "z")


def test_the_gradient_of_several_results_is_that_of_their_sum():
    x = parameter("x", [1.0, 2.0])
    source = viz.draw(lambda x: (np.exp(x), 3 * x), tg.Tensor([1.0, 2.0]), show=("grads",)).source
    total = np.sum(np.exp(x)) + np.sum(3 * x)
    total.backward()
    assert norm_at(source, "x") == [norm(x.grad)]


def test_a_picture_changes_no_gradient():
    layer = nn.RNN(2, 3)
    y, _ = layer(np.ones((4, 1, 2), np.float32))
    viz.draw(np.sum(y), backward=True, show=("values",))
    assert all(parameter.grad is None for parameter in layer.parameters())
    np.sum(y).backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())


def test_a_graph_that_was_freed_has_no_gradients_to_draw():
    x = parameter("x", [1.0, 2.0])
    loss = np.sum(x * x)
    loss.backward()
    assert "label=<×<" in viz.draw(loss).source
    with pytest.raises(FreedGraphError, match="retain_graph"):
        viz.draw(loss, show=("grads",))


def test_the_legend_explains_what_is_there():
    source = viz.draw(nn.RNN(2, 3), np.ones((6, 1, 2)), backward=True, legend=True).source
    for text in (
        "operation",
        "parameter",
        "input",
        "state",
        "constant",
        "result",
        "gradient",
        "small gradient",
        "large gradient",
        "no gradient",
        "state carried over",
        "gradient handed back",
        "gradient of a state",
    ):
        assert f"label=<{text}>" in source
    assert "label=<loss>" not in source and "module, drawn as one" not in source
    assert "legend" not in viz.draw(nn.RNN(2, 3), np.ones((6, 1, 2))).source
