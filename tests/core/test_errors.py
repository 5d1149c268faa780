"""Every error says what was found, what was expected, and what to write instead."""

import operator

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.core import errors


def tensor(value, **options):
    return tg.Tensor(value, requires_grad=True, **options)


def says(error, *parts):
    for part in parts:
        assert part in str(error.value)


def test_shapes_that_do_not_broadcast_name_operation_shapes_and_tensors():
    a, b = tensor(np.ones((2, 3)), name="weight"), tensor(np.ones(4), name="bias")
    with pytest.raises(errors.ShapeError) as error:
        a + b
    says(error, "add", "weight (2, 3)", "bias (4,)", "Give shapes that NumPy can combine")
    with pytest.raises(errors.ShapeError) as error:
        np.ones((2, 3)) * b
    says(error, "multiply", "(2, 3) and bias (4,)")
    assert isinstance(error.value, ValueError)


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda a: a.reshape(4, 2), ["reshape", "h (2, 3)", "shape=(4, 2)"]),
        (lambda a: np.concatenate([a, np.ones((2, 4))]), ["concatenate", "h (2, 3) and (2, 4)", "axis=0"]),
        (lambda a: np.stack([a, a[0]]), ["stack", "h (2, 3) and (3,)"]),
        (lambda a: np.broadcast_to(a, (3, 3)), ["broadcast_to", "h (2, 3)", "shape=(3, 3)"]),
        (lambda a: np.where([True, False], a, 0.0), ["where", "(2,) and h (2, 3) and 0.0"]),
    ],
)
def test_shapes_that_do_not_fit_other_operations_are_named_too(call, parts):
    with pytest.raises(errors.ShapeError) as error:
        call(tensor(np.ones((2, 3)), name="h"))
    says(error, *parts)


def test_a_second_backward_through_a_freed_graph_says_how_to_keep_it():
    x = tensor([1.0, 2.0])
    y = (x * x).sum()
    y.backward()
    before = x.grad.copy()
    with pytest.raises(errors.FreedGraphError) as error:
        y.backward()
    says(error, "an earlier backward pass freed", "backward(retain_graph=True)", "run the forward pass again")
    np.testing.assert_array_equal(x.grad, before)
    with pytest.raises(errors.FreedGraphError):
        tg.gradients(y, [x])


def test_a_backward_that_meets_a_freed_node_changes_nothing():
    x, z = tensor([1.0, 2.0]), tensor(3.0)
    shared = x * x
    shared.sum().backward()
    x.grad = None
    with pytest.raises(errors.FreedGraphError):
        (z * z + (shared * 2.0).sum()).backward()
    assert x.grad is None and z.grad is None


def test_backward_from_several_elements_asks_for_a_cotangent():
    x = tensor([1.0, 2.0])
    with pytest.raises(errors.CotangentError) as error:
        (2 * x).backward()
    says(error, "multiply", "(2,)", "np.sum", "backward(cotangent)")
    with pytest.raises(errors.CotangentError) as error:
        (2 * x).backward(np.ones(3))
    says(error, "a cotangent of shape (3,) for a tensor of shape (2,); give (2,)")
    with pytest.raises(errors.CotangentError):
        tg.gradients(2 * x, [x], np.ones((2, 1)))


def test_a_result_of_one_element_needs_no_cotangent_whatever_its_shape():
    x = tensor([[3.0]])
    (x * x).backward()
    np.testing.assert_array_equal(x.grad, [[6.0]])


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_])
def test_an_integer_tensor_cannot_require_grad(dtype):
    with pytest.raises(errors.DtypeError) as error:
        tg.Tensor([1, 0], requires_grad=True, dtype=dtype)
    says(error, f"dtype {np.dtype(dtype)} cannot require grad", "astype(np.float64)", "as floats")
    with pytest.raises(errors.DtypeError):
        tg.Tensor([1, 0], dtype=dtype).requires_grad_()


@pytest.mark.parametrize("value", [1j, "a", [None], [{}]], ids=str)
def test_other_dtypes_are_no_tensors(value):
    with pytest.raises(errors.DtypeError, match="cannot hold dtype"):
        tg.Tensor(value)


@pytest.mark.parametrize(
    "call",
    [
        lambda a, b: tg.Tensor([a, b]),
        lambda a, b: np.array([a, b]),
        lambda a, b: np.array([[a], [b]]),
        lambda a, b: np.asarray(a),
        lambda a, b: np.array(a, dtype=np.float32),
        lambda a, b: tg.Tensor(a),
        lambda a, b: a + [b],
        lambda a, b: np.sum([a, b]),
        lambda a, b: np.add([a], b),
        lambda a, b: float(a),
        lambda a, b: int(b),
    ],
)
@pytest.mark.parametrize("shape", [(), (1,), (3,)], ids=str)
def test_a_conversion_that_would_drop_the_graph_says_how_to_join(call, shape):
    a, b = tensor(np.ones(shape)), tensor(np.ones(shape))
    with pytest.raises(errors.ConversionError) as error:
        call(a, b)
    says(error, "requires_grad=True", "lose its graph", "np.stack")


def test_what_needs_no_gradient_converts_as_any_array_does():
    a = tg.Tensor([1.0, 2.0])
    np.testing.assert_array_equal(np.array([a, a]), [[1, 2], [1, 2]])
    np.testing.assert_array_equal(tg.Tensor([a, a]).data, [[1, 2], [1, 2]])
    assert float(tg.Tensor(2.0)) == 2.0 and [10, 20][tg.Tensor(1)] == 20
    assert np.asarray(a, dtype=np.float32).dtype == np.float32


def test_assigning_a_tensor_into_an_array_is_refused():
    array = np.zeros(3)
    with pytest.raises(errors.ConversionError, match=r"np\.where"):
        array[0:2] = tensor([1.0, 2.0])
    # For one element NumPy raises an error of its own, from ours.
    for one in (tensor(1.0), tensor([1.0])):
        with pytest.raises((ValueError, errors.ConversionError)) as error:
            array[0] = one
        cause = error.value if isinstance(error.value, errors.ConversionError) else error.value.__cause__
        assert isinstance(cause, errors.ConversionError)
    np.testing.assert_array_equal(array, 0)


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize(
    "write",
    [
        lambda x: operator.setitem(x, 0, 1.0),
        lambda x: operator.setitem(x.data, 0, 1.0),
        lambda x: operator.setitem(x.data[1:], 0, 1.0),
        lambda x: operator.iadd(x.data, 1.0),
        lambda x: np.add(x.data, 1.0, out=x.data),
        lambda x: np.exp(x.data, x.data),
        lambda x: np.add.at(x.data, 0, 1.0),
        lambda x: np.sum(np.ones((2, 2)), axis=0, out=x.data),
        lambda x: np.concatenate([[1.0], [2.0]], out=x.data),
        lambda x: np.copyto(x.data, 0.0),
        lambda x: np.putmask(x.data, [True, False], 0.0),
        lambda x: np.place(x.data, [True, False], [0.0]),
        lambda x: np.put(x.data, 0, 0.0),
        lambda x: np.fill_diagonal(x.data.reshape(1, 2), 0.0),
        lambda x: x.data.fill(0.0),
        lambda x: x.data.T.sort(),
        lambda x: x.data.partition(1),
        lambda x: x.data.put(0, 0.0),
        lambda x: x.data.resize(3),
        lambda x: x.data.setfield(0.0, np.float64),
        lambda x: x.data.byteswap(inplace=True),
        lambda x: x.data.setflags(write=True),
        lambda x: setattr(x.data.flags, "writeable", True),
        lambda x: setattr(x, "data", np.zeros(2)),
    ],
)
def test_writing_to_a_tensor_is_refused_and_says_how_to_change_it(write, requires_grad):
    x = tg.Tensor([1.0, 2.0], requires_grad=requires_grad)
    with pytest.raises(errors.ImmutableError) as error:
        write(x)
    says(error, "cannot be written in place", "np.where", "parameter.assign(array)", "tensor.data.copy()")
    np.testing.assert_array_equal(x.data, [1, 2])


@pytest.mark.parametrize(
    "write", [lambda d: setattr(d, "flat", 0.0), lambda d: setattr(d, "real", 0.0), np.random.default_rng(0).shuffle]
)
def test_ways_of_writing_that_ask_no_array_fail_as_for_any_read_only_one(write):
    x = tg.Tensor([2.0, 1.0])
    with pytest.raises(ValueError, match="read-only"):
        write(x.data)
    np.testing.assert_array_equal(x.data, [2, 1])


def test_the_data_may_be_read_by_what_writes_elsewhere():
    x, buffer = tg.Tensor([1.0, 2.0]), np.zeros(2)
    np.copyto(buffer, x.data)
    np.putmask(buffer, x.data > 1, x.data * 10)
    np.add.at(buffer, [0], x.data[:1])
    np.add.at(buffer, tg.Tensor([1]).data, 1.0)
    np.testing.assert_array_equal(buffer, [2, 21])


def test_a_copy_of_the_data_may_be_written():
    x = tg.Tensor([1.0, 2.0])
    copy = x.data.copy()
    copy[0] = 5
    copy += 1
    np.testing.assert_array_equal(copy, [6, 3])
    copy.sort()
    np.copyto(copy[:1], 7)
    np.multiply(copy, 2, out=copy)
    np.testing.assert_array_equal(copy, [14, 12])
    assert copy.byteswap().byteswap().tolist() == [14, 12]
    copy.setflags(write=False)
    copy.flags.writeable = True
    copy.fill(0)
    np.testing.assert_array_equal(copy, 0)
    np.testing.assert_array_equal(x.data, [1, 2])


def test_writing_a_result_into_an_array_is_refused():
    array, x = np.zeros(2), tensor([1.0, 2.0])
    with pytest.raises(errors.ImmutableError, match=r"a = a \+ t instead of a \+= t"):
        array += x
    with pytest.raises(errors.ImmutableError, match="leave out= away"):
        np.add(array, x, out=array)
    np.testing.assert_array_equal(array, 0)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: np.unwrap(x), "np.unwrap"),
        (lambda x: np.linalg.qr(x), "np.linalg.qr"),
        (lambda x: np.fft.fft(x), "np.fft.fft"),
        (lambda x: np.frexp(x), "np.frexp"),
        (lambda x: np.add.at(np.zeros(2), [0], x), "np.add.at"),
        (lambda x: np.add.accumulate(x), "np.add.accumulate"),
        (lambda x: np.multiply.outer(x, x), "np.multiply.outer"),
        (lambda x: np.copyto(np.zeros(2), x), "np.copyto"),
    ],
)
def test_a_numpy_function_without_a_rule_is_refused_by_name(call, name):
    with pytest.raises(errors.NoRuleError) as error:
        call(tensor([1.0, 2.0]))
    says(error, f"{name} has no rule for tensors", "declare a Primitive", "tensor.data")
    assert isinstance(error.value, TypeError)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: np.sum(x, where=[True, False]), "np.sum with where="),
        (lambda x: np.exp(x, where=[True, False]), "np.exp with where="),
        (lambda x: np.add(x, 1, dtype=np.float32), "np.add with dtype="),
        (lambda x: np.concatenate([x], dtype=np.float32), "np.concatenate with dtype="),
        (lambda x: np.reshape(x, (2, 1), order="F"), "np.reshape with order="),
        (lambda x: np.max(x, initial=0.0), "np.max with initial="),
    ],
)
def test_a_keyword_without_a_rule_is_refused_by_name(call, message):
    with pytest.raises(errors.NoRuleError) as error:
        call(tensor([1.0, 2.0]))
    says(error, message, "has no rule for tensors", "leave it away")


def test_a_type_error_inside_an_implementation_is_not_renamed():
    with pytest.raises(TypeError) as error:
        np.sum(tensor([1.0]), axis="a")
    assert not isinstance(error.value, errors.NoRuleError)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.backward(),
        lambda x: x.retain_grad(),
        lambda x: x.register_hook(print),
        lambda x: tg.Graph.of(x),
        lambda x: tg.gradients(x, [x]),
        lambda x: setattr(x, "grad", 1.0),
    ],
)
def test_what_was_not_recorded_has_no_graph(call):
    with pytest.raises(errors.GraphError) as error:
        call(tg.Tensor(1.0, name="h"))
    says(error, "does not require grad", "name='h'")


def test_a_gradient_of_another_shape_is_refused():
    x = tensor([1.0, 2.0])
    with pytest.raises(errors.ShapeError, match=r"a gradient of shape \(3,\) for a tensor of shape \(2,\)"):
        x.grad = np.ones(3)


def test_results_keep_requiring_grad():
    with pytest.raises(errors.GraphError, match=r"result of multiply; write detach\(\)"):
        (2 * tensor(1.0)).requires_grad_(False)


def test_a_rule_that_gives_a_wrong_shape_or_is_missing_is_named():
    wrong = tg.Primitive("wrong", np.negative)
    wrong.defvjp(lambda g, out, a: np.ones(5))
    with pytest.raises(errors.ShapeError, match=r"a cotangent of shape \(5,\) for an argument of shape \(2,\)"):
        wrong(tensor([1.0, 2.0])).backward(np.ones(2))
    bare = tg.Primitive("bare", np.negative)
    with pytest.raises(errors.NoRuleError, match="primitive bare has no vjp rule; declare one with defvjp"):
        bare(tensor(1.0)).backward()
    with pytest.raises(errors.NoRuleError, match="primitive bare has no jvp rule; declare one with defjvp"):
        tg.jvp(bare, (1.0,), (1.0,))


def test_every_named_error_is_of_the_package_and_of_a_builtin():
    every = [value for value in vars(errors).values() if isinstance(value, type)]
    assert len(every) > 10
    for error in every:
        assert issubclass(error, errors.TinygradRNNError)
        if error is not errors.TinygradRNNError:
            assert any(base.__module__ == "builtins" and base is not object for base in error.__mro__[1:-3])
