"""What graphs print. `python -m tests.core.test_print_outs` writes the golden file again: then look at the diff."""

from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.explain import in_numbers
from tinygrad_rnn.core.notation import _array, setting

GOLDEN = Path(__file__).parent / "golden" / "graphs.txt"


def leaf(*shape, name=None):
    values = np.linspace(-1, 1, int(np.prod(shape))).reshape(shape)
    return tg.Tensor(values, requires_grad=True, name=name)


def of_a_cell():
    tg.random.seed(0)
    cell = nn.GRUCell(2, 3)
    return tg.Graph.of(*cell(np.ones((1, 2), np.float32), cell.initial_state(1)))


def of_several_results():
    parts = np.split(leaf(3, 6, name="whole"), 6, axis=1)
    return tg.Graph.of(np.sum(parts[0] * parts[5]) + np.sum(parts[2]))


def of_two_results():
    return tg.Graph.of(*np.linalg.slogdet(leaf(2, 2, name="m") + np.eye(2) * 3))


def of_wide_columns():
    x = leaf(2, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, name="x" * 70)
    with tg.scope("a_module_with_a_name_of_more_than_forty_letters"), tg.scope(12):
        y = np.sum(np.exp(x), axis=(2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12))
    with tg.scope("short"):
        y = np.tanh(y)
    y.name = "named"
    return tg.Graph.of(y, np.exp(y))


def of_columns_as_wide_as_they_may_be():
    x = leaf(2, name="x" * (64 - len("%0 = leaf ")))
    with tg.scope("s" * 40):
        y = np.exp(x)
    return tg.Graph.of(y * 2)


def of_one_line():
    return tg.Graph.of(leaf(2, name="w"))


GRAPHS = {
    "a cell": of_a_cell,
    "several results": of_several_results,
    "two results": of_two_results,
    "wide columns": of_wide_columns,
    "columns as wide as they may be": of_columns_as_wide_as_they_may_be,
    "one line": of_one_line,
}


def small_after_backward(retain_graph):
    w, b = leaf(2, 4, name="w"), leaf(9, name="b")
    y = np.sum(np.tanh(w) * 2) + np.sum(np.exp(b)) + np.sum(w[0] * w[1, :1])
    y.backward(retain_graph=retain_graph)
    return tg.Graph.of(y)


EXPLAINED = {
    "a cell, explained": of_a_cell,
    "several results, explained": of_several_results,
    "two results, explained": of_two_results,
    "numbers after backward": lambda: small_after_backward(True),
    "gradients of leaves after a backward that freed": lambda: small_after_backward(False),
}


def texts():
    return {name: str(make()) for name, make in GRAPHS.items()} | {
        name: make().explain() for name, make in EXPLAINED.items()
    }


def golden():
    blocks = GOLDEN.read_text("utf-8").split("== ")[1:]
    return {title: text.rstrip("\n") for title, text in (block.split("\n", 1) for block in blocks)}


@pytest.mark.parametrize("name", [*GRAPHS, *EXPLAINED])
def test_a_graph_prints_what_was_approved(name):
    assert texts()[name] == golden()[name]


def test_a_line_of_its_own_is_as_in_the_program():
    graph = of_several_results()
    assert graph.line(graph.nodes[0]) == "%0 = leaf whole             float64[3, 6]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.dtype("float32"), "float32"),
        ((3,), "3"),
        ((3, 4), "(3, 4)"),
        ((2.5,), "(2.5,)"),
        (("a", (1, 2)), "('a', (1, 2))"),
        ((3, np.sin), None),
        (np.sin, None),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
        (0.1, "0.1"),
        (1e-17, "1e-17"),
        (True, "True"),
        (None, "None"),
        ("ij->i", "'ij->i'"),
    ],
)
def test_a_parameter_is_written_as_python(value, text):
    assert setting(value) == text


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros((2, 3)), "zeros((2, 3))"),
        (np.ones(3, np.float32), "ones((3,), float32)"),
        (np.full(3, 2.0), "array([2.0, 2.0, 2.0])"),
        (np.array([0.0, 1.0]), "array([0.0, 1.0])"),
        (np.array([1.0, 0.0]), "array([1.0, 0.0])"),
        (np.eye(2), "eye(2, 2)"),
        (np.eye(2, 3, dtype=np.float32), "eye(2, 3, 0, float32)"),
        (np.arange(3), "array([0, 1, 2])"),
        (np.array([True, False]), "array([True, False])"),
        (np.arange(3, dtype=np.int32), "array([0, 1, 2], int32)"),
        (np.arange(16.0), f"array({np.arange(16.0).tolist()})"),
        (np.arange(17.0), "constant float64[17]"),
        (np.zeros((0, 2)), "eye(0, 2)"),
    ],
)
def test_an_array_is_written_as_what_makes_it(array, text):
    assert _array(array) == text


def test_eight_numbers_are_shown_and_nine_are_summed_up():
    assert in_numbers(np.arange(8.0)) == "[0, 1, 2, 3, 4, 5, 6, 7]"
    assert in_numbers(np.arange(9.0)) == "shape (9,), norm 14.28, min 0, mean 4, max 8"
    assert in_numbers(np.array(True)) == "True"


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text("".join([f"== {name}\n{text}\n\n" for name, text in texts().items()]), "utf-8")
