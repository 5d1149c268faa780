"""How vmap finds out whether an operation takes a whole stack at once: by a try of both ways."""

import numpy as np
import pytest

import tinygrad_rnn as tg


def operations(function, *arrays, constants=()):
    """Return the names of the operations that a function over stacks records."""
    leaves = [tg.Tensor(np.asarray(array, dtype=float), requires_grad=True) for array in arrays]
    graph = tg.Graph.of(tg.vmap(function)(*leaves, *constants))
    return [node.operation for node in graph if node.primitive is not None]


def primitive(forward):
    """Return a primitive of one or two arguments whose gradient nobody asks for."""
    made = tg.Primitive("made", forward)
    made.defvjp(lambda g, out, *args: g, lambda g, out, *args: None)
    return made


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (np.tanh, [(4, 3)], ["tanh"]),
        (np.sqrt, [(4, 3)], ["sqrt"]),  # NaN both ways for the negative numbers that are tried
        (lambda a: a * 2.0, [(4,)], ["reshape", "multiply"]),
        (lambda a, b: a * b, [(4, 2, 3), (4,)], ["reshape", "reshape", "multiply"]),
        (lambda a, b: a @ b, [(4, 2, 3), (4, 3, 2)], ["reshape", "reshape", "matmul"]),
    ],
    ids=["tanh", "sqrt", "times a number", "product of unequal shapes", "matmul"],
)
def test_an_operation_on_stacks_is_recorded_once(function, shapes, expected):
    assert operations(function, *[np.ones(shape) for shape in shapes]) == expected


def test_a_difference_in_rounding_is_no_difference():
    rounded = primitive(lambda a: a * (1 + 1e-8 * a.ndim))
    assert operations(rounded, np.ones((4, 3))) == ["made"]
    assert operations(primitive(lambda a: a + 1e-8 * a.ndim), np.ones((4, 3))) == ["made"]


def test_integers_are_tried_as_the_integers_that_they_are():
    def less_one(a, k):
        return a * (k - k.dtype.type(1))  # which bools refuse

    found = operations(primitive(less_one), np.ones((4, 3)), constants=[np.arange(12).reshape(4, 3)])
    assert found == ["reshape", "made"]


MIXING = {
    "small numbers": (lambda a: np.where((a > 0.25) & (a < 0.75), a - np.mean(a), np.nan), [0.3, 0.5, 0.7]),
    "negative numbers": (lambda a: np.where(a < 0, a - np.mean(a), a), [-3.0, -2.0, -1.0]),
    "large numbers": (lambda a: np.where(a > 8, a - np.mean(a), a), [9.0, 10.0, 11.0]),
}


@pytest.mark.parametrize("name", MIXING)
def test_a_function_that_mixes_members_for_some_numbers_alone_is_found_out(name):
    forward, numbers = MIXING[name]
    found = tg.vmap(primitive(forward))(np.array(numbers)).data
    np.testing.assert_allclose(found, [forward(np.array(number)) for number in numbers])


@pytest.mark.parametrize("mixed", [True, False])
def test_a_function_that_mixes_members_for_one_kind_of_mask_alone_is_found_out(mixed):
    def forward(a, mask):
        return np.where(mask == mixed, np.mean(a), a)

    numbers, masks = np.array([1.0, 2.0, 3.0]), np.array([mixed] * 3)
    np.testing.assert_allclose(tg.vmap(primitive(forward))(numbers, masks).data, numbers)


def test_a_stack_of_one_member_goes_one_by_one_too():
    whitened = primitive(lambda a: a - a.mean())
    np.testing.assert_array_equal(tg.vmap(whitened)(np.array([[1.0, 3.0]])).data, [[-1.0, 1.0]])


@pytest.mark.parametrize("outer", [1, 2])
def test_integers_of_an_outer_stack_can_be_indices_in_an_inner_one(outer):
    x, places = np.arange(12.0).reshape(outer, -1, 3), np.array([0, 2, 1, 1]).reshape(outer, -1)
    found = tg.vmap(tg.vmap(lambda row, k: row[k]))(x, places).data
    np.testing.assert_array_equal(found, np.take_along_axis(x, places[..., None], 2)[..., 0])
