"""What costs no more than it must, as far as nodes, calls, copies and entries can be counted."""

import sys
import weakref

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.core import node as nodes
from tinygrad_rnn.core import trace as traces
from tinygrad_rnn.core.node import Spec, spec_for
from tinygrad_rnn.core.trace import Trace
from tinygrad_rnn.ops import indexing

FLOAT = np.dtype(float)


def leaf(*shape):
    values = np.linspace(0.3, 1.7, int(np.prod(shape))).reshape(shape)
    return tg.Tensor(values, requires_grad=True)


def operations(*tensors):
    """Return the names of the operations behind some tensors, leaves left out."""
    return [node.operation for node in tg.Graph.of(*tensors) if node.primitive is not None]


def calls_of(name, module, run):
    """Return how often functions of a name in a module are called."""
    count = 0

    def look(frame, event, arg):
        nonlocal count
        if event == "call" and frame.f_code.co_name == name and module in frame.f_code.co_filename:
            count += 1

    sys.setprofile(look)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def test_a_cotangent_that_comes_first_needs_no_call_to_be_added():
    y = leaf(3)
    for _ in range(10):
        y = np.tanh(y)
    assert calls_of("add", "backward.py", lambda: y.backward(np.ones(3))) == 1  # the seed


def test_a_gradient_that_nobody_else_holds_is_left_on_its_leaf_without_a_copy():
    made = []
    doubled = tg.Primitive("doubled", lambda a: 2 * a)

    def rule(g, out, a):
        slope = 2 * g
        made.append(weakref.ref(slope))
        return slope

    doubled.defvjp(rule)
    x = leaf(3)
    np.sum(doubled(x)).backward()
    assert x.grad is made[0]()


def test_a_gradient_that_somebody_else_holds_is_copied():
    held = []
    doubled = tg.Primitive("doubled", lambda a: 2 * a)

    def rule(g, out, a):
        held.append(2 * g)
        return held[0]

    doubled.defvjp(rule)
    x = leaf(3)
    np.sum(doubled(x)).backward()
    assert x.grad is not held[0]


def test_an_addend_is_added_before_the_next_rule_runs():
    happened = []
    scatter = tg.Primitive("scatter", lambda g: g, accumulate=lambda buffer, g: happened.append("added"))
    cut = tg.Primitive("cut", lambda a: a)

    def rule(g, out, a):
        happened.append("rule")
        return tg.core.backward.Addend(scatter, g)

    cut.defvjp(rule)
    x = leaf(3)
    (cut(x) + cut(x)).backward(np.ones(3))
    assert happened == ["rule", "added", "rule", "added"]


@pytest.mark.parametrize("count", range(1, 8))
def test_nodes_share_their_numbers_of_outputs(count):
    parts = [leaf(2) for _ in range(count)]
    assert np.concatenate(parts).node.slots is np.stack(parts).node.slots


def test_specs_are_one_object_each_until_ten_thousand_are_known(monkeypatch):
    monkeypatch.setattr(nodes, "_specs", {})
    first = spec_for((0,), FLOAT)
    for n in range(1, 10_001):
        spec_for((n,), FLOAT)
    assert spec_for((0,), FLOAT) is first
    assert len(nodes._specs) == 10_001
    spec_for((10_001,), FLOAT)
    assert len(nodes._specs) == 1


@pytest.mark.parametrize(("known", "left"), [(9_999, 10_000), (10_000, 10_001), (10_001, 1)])
def test_shapes_of_results_are_remembered_until_ten_thousand_are_known(monkeypatch, known, left):
    monkeypatch.setattr(traces, "_known_specs", dict.fromkeys(range(known)))
    trace = Trace()
    np.tanh(trace.input(Spec((2,), FLOAT)))
    assert len(traces._known_specs) == left


def test_the_shape_of_a_result_is_computed_once():
    computed = []
    noisy = tg.Primitive("noisy", lambda a: computed.append(1) or a)
    for _ in range(3):
        noisy(Trace().input(Spec((2,), FLOAT)))
    assert len(computed) == 1


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (lambda: np.prod(leaf(4)), ["transpose", "reshape"] + ["getitem", "getitem", "multiply"] * 2 + ["reshape"]),
        (lambda: np.linalg.norm(leaf(4), 1), ["absolute", "sum"]),
        (lambda: np.linalg.norm(leaf(4), 3), ["absolute", "power", "sum", "power"]),
        (lambda: np.repeat(leaf(4), 2), ["reshape", "reshape", "broadcast_to", "reshape"]),
        (lambda: np.dot(leaf(2, 3), leaf(3, 2)), ["matmul"]),
        (lambda: np.dot(leaf(2, 3), leaf(3)), ["matmul"]),
    ],
    ids=["prod", "norm of order 1", "norm of order 3", "repeat", "dot of matrices", "dot with a vector"],
)
def test_a_composition_records_these_operations_and_no_more(run, expected):
    assert operations(run()) == expected


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8])
def test_a_running_product_takes_as_many_rounds_as_its_length_can_be_doubled(n):
    assert operations(np.cumprod(leaf(n)) * 1.0).count("concatenate") == int(np.ceil(np.log2(n)))


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4)])
def test_what_has_two_axes_is_given_back_as_it_is(shape):
    x = leaf(*shape)
    assert np.atleast_2d(x) is x


def test_a_power_of_a_matrix_squares_no_more_often_than_it_must():
    large = tg.Tensor([[1e200]], requires_grad=True)
    with tg.debug():  # where the square of 1e200 is an error
        np.testing.assert_array_equal(np.linalg.matrix_power(large, 1).data, large.data)


def test_rows_that_were_picked_are_added_up_as_rows_and_elements_are_not(monkeypatch):
    shapes, add_rows = [], indexing._scatter_rows

    def counted(buffer, g, rows):
        shapes.append(buffer.shape)
        add_rows(buffer, g, rows)

    monkeypatch.setattr(indexing, "_scatter_rows", counted)
    for shape in [(4,), (4, 3), (4, 3, 2), (4, 0)]:
        np.sum(leaf(*shape)[np.array([0, 2, 2])]).backward()
    assert shapes == [(4, 3), (4, 3, 2)]


@pytest.mark.parametrize(("subscripts", "plans"), [("ii->i", 0), ("ij,jk->ik", 1), ("ij,jk,kl->il", 1)])
def test_the_order_of_an_einsum_is_planned_where_there_is_one(subscripts, plans):
    matrices = [np.eye(3) for _ in subscripts.split(",")]
    run = lambda: np.einsum(subscripts, tg.Tensor(matrices[0]), *matrices[1:])
    assert calls_of("einsum_path", "einsumfunc", run) == plans


def inverts(matrix):
    """Whether the gradient of a determinant goes by the inverse, and not by cofactors."""
    x = tg.Tensor(matrix, requires_grad=True)
    (slope,) = tg.gradients(np.sum(np.linalg.det(x)), [x], record=True)
    return "inv" in operations(slope)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ([[2.0, -1.0], [-1.0, 2.0]], True),
        ([[-2.0, -1.0], [1.0, -3.0]], True),  # a row of a negative sum
        ([[1e-3, 0.0], [0.0, 1e-3]], True),  # small, and as far from singular as can be
        ([[1.0, 1.0], [1e-9, 2e-9]], True),  # a small row, which leaves large columns
        ([[[1.0, 1.0], [1e-9, 2e-9]]] * 3, True),
        ([[1.0, 1.0], [1.0, 1.0 + 1e-8]], False),
        ([[1.0, 2.0], [2.0, 4.0]], False),
    ],
)
def test_the_inverse_is_trusted_where_a_determinant_is_not_small_for_its_rows(matrix, expected):
    assert inverts(matrix) is expected
