"""Tensor: a value that does not change, with the methods and operators of an array."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.core.errors import GraphError


def leaf(value, **options):
    return tg.Tensor(value, requires_grad=True, **options)


def test_a_tensor_copies_its_array():
    array = np.array([1.0, 2.0])
    x = tg.Tensor(array)
    array[:] = 0
    np.testing.assert_array_equal(x.data, [1, 2])


def test_data_is_a_view_that_cannot_be_written_and_results_of_it_are_plain_arrays():
    x = leaf([1.0, 2.0])
    assert np.shares_memory(x.data, x._data)
    assert isinstance(x.data, np.ndarray) and not x.data.flags.writeable
    assert type(x.data + 1) is np.ndarray
    assert repr(x.data) == "array([1., 2.])"


def test_attributes_are_those_of_the_array():
    x = leaf(np.ones((2, 3), np.float32), name="x")
    assert (x.shape, x.ndim, x.size, x.dtype, len(x)) == ((2, 3), 2, 6, np.float32, 2)
    assert x.T.shape == (3, 2)
    assert x.is_leaf and x.requires_grad and x.name == "x" and x.grad is None
    assert not (2 * x).is_leaf and (2 * x).detach().is_leaf
    assert tg.Tensor([1, 2], dtype=np.float16).dtype == np.float16


METHODS = {
    "sum": lambda x: x.sum(axis=0),
    "mean": lambda x: x.mean(axis=(0, 1), keepdims=True),
    "max": lambda x: x.max(axis=-1),
    "min": lambda x: x.min(),
    "var": lambda x: x.var(axis=1, ddof=1),
    "std": lambda x: x.std(axis=0),
    "prod": lambda x: x.prod(axis=1),
    "cumsum": lambda x: x.cumsum(axis=1),
    "reshape": lambda x: x.reshape(3, 2),
    "reshape of a tuple": lambda x: x.reshape((3, -1)),
    "transpose": lambda x: x.transpose(),
    "transpose by axes": lambda x: x.transpose(1, 0),
    "transpose by a tuple": lambda x: x.transpose((1, 0)),
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "squeeze": lambda x: x[:1].squeeze(0),
    "ravel": lambda x: x.ravel(),
    "clip": lambda x: x.clip(1, 3),
    "clip at one side": lambda x: x.clip(max=3),
    "dot": lambda x: x.dot(np.ones(3)),
    "T": lambda x: x.T,
    "negative": lambda x: -x,
    "positive": lambda x: +x,
    "abs": abs,
    "add": lambda x: x + 1,
    "reflected add": lambda x: 1 + x,
    "subtract": lambda x: x - 1,
    "reflected subtract": lambda x: 1 - x,
    "divide": lambda x: x / 2,
    "reflected divide": lambda x: 2 / (x + 1),
    "power": lambda x: x**2,
    "reflected power": lambda x: 2**x,
    "floor divide": lambda x: x // 2,
    "reflected floor divide": lambda x: 7 // (x + 1),
    "remainder": lambda x: x % 2,
    "reflected remainder": lambda x: 7 % (x + 1),
    "matmul": lambda x: x @ np.ones((3, 2)),
    "reflected matmul": lambda x: np.ones((2, 2)) @ x,
    "array on the left": lambda x: np.ones((2, 3)) - x,
    "number of numpy on the left": lambda x: np.float64(3) * x,
    "list on the right": lambda x: x * [1, 2, 3],
}


@pytest.mark.parametrize("call", METHODS.values(), ids=METHODS)
def test_methods_and_operators_do_what_they_do_on_arrays(call):
    array = np.arange(6.0).reshape(2, 3)
    found = call(leaf(array))
    assert type(found) is tg.Tensor and found.requires_grad
    np.testing.assert_allclose(found.data, call(array), rtol=1e-15)
    assert found.dtype == call(array).dtype


@pytest.mark.parametrize(
    "compare",
    [lambda a: a < 1, lambda a: a <= 1, lambda a: a > 1, lambda a: np.ones(3) >= a, lambda a: a == 1, lambda a: a != 1],
)
def test_comparisons_give_bool_arrays(compare):
    array = np.array([0.0, 1.0, 2.0])
    found = compare(leaf(array))
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, compare(array))


def test_a_tensor_is_a_key_by_identity():
    a, b = leaf(1.0), leaf(1.0)
    assert len({a, b, a}) == 2


def test_iteration_unpacking_and_length_go_along_the_first_axis_by_one_node():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    first, second = x
    assert first.node is second.node
    np.testing.assert_array_equal(second.data, [3, 4])
    (10 * first + second).sum().backward()
    np.testing.assert_array_equal(x.grad, [[10, 10], [1, 1]])
    assert list(leaf(np.ones((0, 2)))) == []
    for call in (iter, len):
        with pytest.raises(TypeError):
            call(leaf(1.0))


def test_conversions_to_python():
    x = leaf([[2.5]])
    assert x.item() == 2.5 and x.tolist() == [[2.5]]
    assert f"{x:.2f}" == "2.50" and f"{leaf([1.0, 2.0])}" == "Tensor([1., 2.], requires_grad=True)"
    assert bool(leaf(1.0)) and not leaf(0.0)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(leaf([1.0, 2.0]))


def test_repr_shows_value_dtype_name_and_whether_it_requires_grad():
    assert repr(tg.Tensor(1.5)) == "Tensor(1.5)"
    assert repr(leaf([1, 2], dtype=np.float32, name="w")) == (
        "Tensor([1., 2.], dtype=float32, name='w', requires_grad=True)"
    )


@pytest.mark.parametrize("source", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("target", [np.float16, np.float32, np.float64])
def test_astype_converts_the_value_and_the_gradient_back(source, target):
    x = leaf([1.5, 2.0], dtype=source)
    y = x.astype(target)
    assert y.dtype == target
    (y * y).sum().backward()
    assert x.grad.dtype == source
    np.testing.assert_array_equal(x.grad, [3, 4])


def test_astype_to_integers_cuts_the_graph():
    assert not leaf([1.5]).astype(np.int64).requires_grad
    assert leaf([1.5]).astype(np.int64).data.tolist() == [1]


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "deepcopy", "pickle"]
)
def test_leaves_are_copied_and_pickled_with_a_node_of_their_own(copied):
    x = leaf([1.0, 2.0], name="w", dtype=np.float32)
    (x * x).sum().backward()
    y = copied(x)
    assert y.requires_grad and y.name == "w" and y.dtype == np.float32 and y.node is not x.node
    assert not np.shares_memory(y.data, x.data)
    assert y.grad is None
    (3 * y).sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 4])
    np.testing.assert_array_equal(y.grad, [3, 3])
    assert not copied(tg.Tensor([1])).requires_grad


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_result_that_holds_a_graph_is_not_copied(copied):
    with pytest.raises(GraphError, match=r"holds a graph.*detach\(\)"):
        copied(2 * leaf(1.0))


def test_a_name_goes_into_the_graph_and_can_be_changed():
    x = leaf(1.0, name="a")
    x.name = "b"
    y = 2 * x
    y.name = "y"
    text = str(tg.Graph.of(y))
    assert "leaf b" in text and "# y" in text and x.name == "b"


def test_a_primitive_of_arrays_alone_is_bare_numpy():
    cube = tg.Primitive("cube", lambda a: a**3)
    assert type(cube(np.ones(2))) is np.ndarray
    assert not cube(tg.Tensor(2.0)).requires_grad


def test_cotangents_and_tangents_of_a_rule_get_shape_and_dtype_of_what_they_belong_to():
    scale = tg.Primitive("scale", lambda a, b: a * b)
    scale.defvjp(lambda g, out, a, b: g * np.float64(1) * b, lambda g, out, a, b: g * a)
    scale.defjvp(lambda da, out, a, b: np.float64(1) * da, lambda db, out, a, b: db)
    a, b = np.ones((2, 3), np.float32), np.ones(3, np.float32)
    x, z = leaf(a), leaf(b)
    da, db = tg.gradients(scale(x, z), [x, z], np.ones((2, 3)))
    assert (da.dtype, db.dtype) == (np.float32, np.float32)
    assert (da.shape, db.shape) == ((2, 3), (3,))
    tangent = tg.jvp(lambda z: scale(a, z), (b,), (np.ones(3, np.float32),))[1]
    assert (tangent.shape, tangent.dtype) == ((2, 3), np.float32)


def test_numbers_of_a_foreign_byte_order_become_native_and_native_ones_stay():
    foreign = np.array([1.0, 256.0], dtype=np.dtype(float).newbyteorder("S"))
    tensor = tg.Tensor(foreign)
    assert tensor.data.dtype.isnative and tg.Tensor([1.0]).data.dtype.isnative
    np.testing.assert_array_equal(tensor.data, [1, 256])


def test_a_copy_keeps_what_a_subclass_holds_beside_the_value():
    class Noted(tg.Tensor):
        pass

    tensor = Noted([1.0], requires_grad=True, name="w")
    tensor.note = "kept"
    again = copy.deepcopy(tensor)
    assert (again.note, again.name, again.requires_grad) == ("kept", "w", True)
    np.testing.assert_array_equal(again.data, [1.0])
