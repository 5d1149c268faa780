"""matmul and einsum in every case that NumPy has."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.core.errors import NoRuleError, ShapeError
from tinygrad_rnn.testing import gradcheck
from tinygrad_rnn.testing.strategies import values

fewer = settings(max_examples=max(4, settings().max_examples // 8))

MATMUL_SHAPES = [
    ((3,), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3,)),
    ((2, 3), (3, 4)),
    ((4, 2, 3), (3,)),
    ((3,), (4, 3, 2)),
    ((4, 2, 3), (3, 2)),
    ((2, 3), (4, 3, 2)),
    ((4, 2, 3), (4, 3, 2)),
    ((4, 1, 2, 3), (5, 3, 2)),
    ((1, 2, 3), (4, 3, 1)),
    ((2, 0), (0, 3)),
    ((2, 0), (0,)),
    ((0, 3), (3, 2)),
    ((2, 3, 0), (0, 4)),
    ((2, 3, 2), (2, 0)),
]


@pytest.mark.parametrize("shapes", MATMUL_SHAPES, ids=str)
@given(data=st.data())
@fewer
def test_matmul_of_every_pair_of_shapes(shapes, data):
    a, b = [data.draw(values(shape, i)) for i, shape in enumerate(shapes)]
    np.testing.assert_array_equal((tg.Tensor(a) @ b).data, a @ b)
    np.testing.assert_array_equal((a @ tg.Tensor(b)).data, a @ b)
    gradcheck(np.matmul, [a, b])


EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ba,cb", (2, 3), (4, 2)),
    ("ii", (3, 3)),
    ("ii->i", (3, 3)),
    ("iij->j", (2, 2, 3)),
    ("iii->i", (2, 2, 2)),
    ("ijij->ij", (2, 3, 2, 3)),
    ("ij->ji", (2, 3)),
    ("ji", (2, 3)),
    ("ij->", (2, 3)),
    ("ij->i", (2, 3)),
    ("i,j->ij", (2,), (3,)),
    ("ij,k->i", (2, 3), (4,)),
    ("ij,ij->", (2, 3), (2, 3)),
    ("ij,ij->j", (1, 3), (2, 3)),
    ("ij,ij->ij", (2, 1), (1, 3)),
    ("i,i->", (1,), (3,)),
    ("...ij,...jk->...ik", (4, 2, 3), (4, 3, 2)),
    ("...ij,...jk->...ik", (1, 2, 3), (4, 3, 2)),
    ("...ij,...jk->...ik", (5, 1, 2, 3), (4, 3, 2)),
    ("...i,i->...", (2, 2, 3), (3,)),
    ("...i,i", (2, 2, 3), (3,)),
    ("i...->...", (2, 3, 2)),
    ("i...j->j...i", (2, 4, 3)),
    ("...ii->...i", (2, 3, 3)),
    ("...,...->...", (2, 3), (3,)),
    ("i,ij,j->", (2,), (2, 3), (3,)),
    ("tbi,io,o->tbo", (2, 2, 3), (3, 2), (2,)),
    (" i j , j k -> i k ", (2, 3), (3, 2)),
    (",i->i", (), (3,)),
    ("ij,ij,jk->ik", (0, 3), (0, 3), (3, 2)),
]


@pytest.mark.parametrize("case", EINSUMS, ids=lambda case: case[0])
@given(data=st.data())
@fewer
def test_einsum_of_every_kind_of_subscripts(case, data):
    subscripts, *shapes = case
    arrays = [data.draw(values(shape, i)) for i, shape in enumerate(shapes)]
    found = np.einsum(subscripts, *[tg.Tensor(array) for array in arrays])
    np.testing.assert_allclose(found.data, np.einsum(subscripts, *arrays), rtol=1e-13, atol=1e-13)
    gradcheck(lambda *tensors: np.einsum(subscripts, *tensors), arrays)


@pytest.mark.parametrize("optimize", [False, True])
def test_einsum_takes_constants_beside_tensors_and_the_option_to_optimise(optimize):
    a, b = np.arange(6.0).reshape(2, 3), tg.Tensor(np.arange(12.0).reshape(3, 4), requires_grad=True)
    found = np.einsum("ij,jk->ik", a, b, optimize=optimize)
    np.testing.assert_array_equal(found.data, a @ b.data)
    found.sum().backward()
    np.testing.assert_array_equal(b.grad, a.T @ np.ones((2, 4)))


@pytest.mark.parametrize(
    ("subscripts", "shapes", "message"),
    [
        ("ij,jk->ik", [(2, 3)], "names 2 operands, 1 given"),
        ("ijk->i", [(2, 3)], "as many letters as axes"),
        ("...i->i", [(2, 3)], "would lose the axes"),
        ("ij,jk->ik", [(2, 3), (4, 2)], r"\(2, 3\) and \(4, 2\)"),
    ],
)
def test_einsum_refuses_what_does_not_fit(subscripts, shapes, message):
    with pytest.raises(ValueError, match=message):
        np.einsum(subscripts, *[tg.Tensor(np.ones(shape)) for shape in shapes])


def test_einsum_with_lists_of_axes_is_refused_by_name():
    with pytest.raises(NoRuleError, match="write the subscripts as a string"):
        np.einsum(tg.Tensor(np.ones((2, 2))), [0, 1], [0])


@pytest.mark.parametrize("shapes", [((2, 3), (4, 2)), ((3,), (2,)), ((2, 2, 3), (3, 3, 2))])
def test_matmul_of_shapes_that_do_not_fit_names_them(shapes):
    a, b = [tg.Tensor(np.ones(shape), name=name) for shape, name in zip(shapes, "ab", strict=True)]
    with pytest.raises(ShapeError) as error:
        a @ b
    assert f"matmul of shapes a {shapes[0]} and b {shapes[1]}" in str(error.value)


@given(data=st.data())
@fewer
def test_dot_of_three_axes_is_numpys(data):
    a, b = data.draw(values((2, 3))), data.draw(values((2, 3, 4), 1))
    np.testing.assert_allclose(np.dot(tg.Tensor(a), b).data, np.dot(a, b), rtol=1e-13, atol=1e-13)
    gradcheck(np.dot, [a, b])
    gradcheck(lambda t: np.dot(2.0, t), [a])
