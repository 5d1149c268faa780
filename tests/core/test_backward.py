"""backward and gradients: what they leave where, who owns it, and what may change afterwards."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.core.errors import CotangentError, GraphError


def leaf(value, **options):
    return tg.Tensor(value, requires_grad=True, **options)


def test_backward_adds_to_grad_and_none_clears_it():
    x = leaf([1.0, 2.0])
    for total in (2.0, 4.0):
        (x * x).sum().backward()
        np.testing.assert_array_equal(x.grad, total * x.data)
    x.grad = None
    assert x.grad is None
    x.grad = [1, 1]
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [3, 5])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_grad_is_an_array_of_the_leafs_shape_and_dtype_however_often_it_was_added_to(shape, dtype):
    x = leaf(np.ones(shape), dtype=dtype)
    for _ in range(3):
        np.sum(x * np.float64(2.0) + x).backward()
        assert type(x.grad) is np.ndarray
        assert (x.grad.shape, x.grad.dtype) == (shape, dtype)
    np.testing.assert_array_equal(x.grad, np.full(shape, 9))


def test_retain_graph_allows_another_pass_with_the_same_result():
    x = leaf([1.0, 2.0])
    y = np.exp(np.sin(x)).sum()
    y.backward(retain_graph=True)
    first = x.grad.copy()
    y.backward()
    np.testing.assert_array_equal(x.grad, 2 * first)


SHARING = {
    "add": lambda a, b: a + b,
    "add then reshape": lambda a, b: (a + b).reshape(-1),
    "add with itself": lambda a, b: a + b + a + b,
    "broadcast": lambda a, b: np.broadcast_to(a, (3, *a.shape)) + b,
    "stack": lambda a, b: np.stack([a, b]),
    "concatenate": lambda a, b: np.concatenate([a, b]),
    "transpose": lambda a, b: a.T + b.T,
    "getitem": lambda a, b: a[:] + b[:],
    "split": lambda a, b: np.split(a + b, 2)[0],
    "where": lambda a, b: np.where(True, a + b, 0.0),
}


@pytest.mark.parametrize("function", SHARING.values(), ids=SHARING)
def test_every_grad_belongs_to_its_leaf_alone(function):
    a, b = leaf(np.ones((2, 2))), leaf(np.ones((2, 2)))
    middle = function(a, b).retain_grad()
    cotangent = np.ones(middle.shape)
    middle.backward(cotangent)
    owned = [a.grad, b.grad, middle.grad]
    for i, one in enumerate(owned):
        assert one.flags.writeable
        assert not any(np.shares_memory(one, other) for other in [*owned[:i], cotangent])


@pytest.mark.parametrize("function", SHARING.values(), ids=SHARING)
def test_every_gradient_returned_is_an_array_of_its_own(function):
    a, b = leaf(np.ones((2, 2))), leaf(np.ones((2, 2)))
    y = function(a, b)
    cotangent = np.ones(y.shape)
    found = tg.gradients(y, [a, b, a, y], cotangent)
    for i, one in enumerate(found):
        assert not any(np.shares_memory(one, other) for other in [*found[:i], cotangent])


def test_the_cotangent_given_is_not_changed_and_may_be_a_tensor():
    x = leaf([1.0, 2.0])
    cotangent = np.array([1.0, 10.0])
    (x + x).backward(cotangent)
    np.testing.assert_array_equal(cotangent, [1, 10])
    np.testing.assert_array_equal(x.grad, [2, 20])
    assert tg.gradients(3 * x, [x], [1, 10])[0].tolist() == [3, 30]
    assert tg.gradients(3 * x, [x], tg.Tensor([1.0, 10.0]))[0].tolist() == [3, 30]


def test_gradients_leave_grad_alone_and_give_zeros_where_nothing_depends():
    x, z = leaf([1.0, 2.0]), leaf(np.ones((2, 2), np.float32))
    y = (x * x).sum()
    slope, nothing = tg.gradients(y, [x, z])
    np.testing.assert_array_equal(slope, [2, 4])
    np.testing.assert_array_equal(nothing, np.zeros((2, 2)))
    assert nothing.dtype == np.float32
    assert x.grad is None and z.grad is None


def test_gradients_take_one_tensor_alone_and_refuse_what_is_no_tensor():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    y = np.sum(x * x)
    (found,) = tg.gradients(y, x, retain_graph=True)
    np.testing.assert_array_equal(found, [2.0, 4.0])
    np.testing.assert_array_equal(tg.gradients(y, iter([x]), retain_graph=True)[0], [2.0, 4.0])
    for arguments in (3.0, x), (y, 3.0), (y, [3.0]), (y.item(), [x]):
        with pytest.raises(GraphError, match="give the tensor itself, not its value"):
            tg.gradients(*arguments)


def test_gradients_of_intermediate_results_of_the_result_itself_and_of_parts():
    x = leaf([1.0, 2.0, 3.0, 4.0])
    middle = x * x
    first, second = np.split(middle, 2)
    y = (first * second).sum()
    found = tg.gradients(y, [middle, first, second, y], retain_graph=True)
    np.testing.assert_array_equal(found[0], [9, 16, 1, 4])
    np.testing.assert_array_equal(found[1], [9, 16])
    np.testing.assert_array_equal(found[2], [1, 4])
    assert found[3] == 1
    assert tg.gradients(y, [first])[0].tolist() == [9, 16]


def test_an_intermediate_target_that_is_also_passed_through_gets_its_whole_gradient():
    x = leaf(2.0)
    a = x * 3
    b = a * a
    assert [float(g) for g in tg.gradients(a * b, [a, b, x])] == [108.0, 6.0, 324.0]


def test_only_what_lies_between_is_visited():
    visited = []
    noisy = tg.Primitive("noisy", np.negative)
    noisy.defvjp(lambda g, out, a: visited.append(1) or -g)
    x, z = leaf(1.0), leaf(2.0)
    y = noisy(x) * z
    tg.gradients(y, [z], retain_graph=True)
    assert not visited
    tg.gradients(y, [x])
    assert visited == [1]


def test_recorded_gradients_go_to_the_third_order():
    x = leaf([0.5, 2.0])
    y = np.sum(x**4)
    derivatives = []
    for _ in range(3):
        (slope,) = tg.gradients(y, [x], record=True)
        derivatives.append(slope.data)
        y = np.sum(slope)
    for found, expected in zip(derivatives, [4 * x.data**3, 12 * x.data**2, 24 * x.data], strict=True):
        np.testing.assert_allclose(found, expected)


def test_recorded_gradients_of_a_mixed_function_are_symmetric():
    x, w = leaf([0.5, -1.0]), leaf([[0.3, 0.2], [0.1, -0.4]])
    y = np.sum(np.tanh(x @ w) ** 2)
    dx, dw = tg.gradients(y, [x, w], record=True)
    (mixed,) = tg.gradients(np.sum(dx * np.array([1.0, 2.0])), [w], record=True)
    weights = np.array([[1.0, -1.0], [0.5, 2.0]])
    (other,) = tg.gradients(np.sum(dw * weights), [x])
    np.testing.assert_allclose(np.sum(mixed.data * weights), np.sum(other * np.array([1.0, 2.0])), rtol=1e-12)


def test_recording_gradients_works_inside_no_grad():
    x = leaf(3.0)
    y = x**3
    with tg.no_grad():
        (slope,) = tg.gradients(y, [x], record=True)
    assert tg.gradients(slope, [x])[0] == 18


def test_retain_grad_keeps_the_gradient_of_an_intermediate_and_of_one_part_of_a_split():
    x = leaf([1.0, 2.0, 3.0, 4.0])
    square = (x * x).retain_grad()
    first, second = np.split(square, 2)
    second.retain_grad()
    assert square.grad is None
    (first * second).sum().backward()
    np.testing.assert_array_equal(square.grad, [9, 16, 1, 4])
    np.testing.assert_array_equal(second.grad, [1, 4])
    assert first.grad is None


def test_hooks_see_the_whole_gradient_once_and_may_replace_it():
    x = leaf([1.0, 2.0])
    y = x * 2
    seen = []
    handle = y.register_hook(lambda g: seen.append(g.tolist()))
    scaled = y.register_hook(lambda g: 10 * g)
    y.retain_grad()
    (y * y + y).sum().backward(retain_graph=True)
    assert seen == [[5, 9]]
    np.testing.assert_array_equal(y.grad, [50, 90])
    np.testing.assert_array_equal(x.grad, [100, 180])
    handle.remove()
    handle.remove()
    scaled.remove()
    x.grad = None
    (y * y + y).sum().backward()
    assert len(seen) == 1
    np.testing.assert_array_equal(x.grad, [10, 18])


def test_removing_a_hook_leaves_those_made_before_and_after():
    x = leaf(1.0)
    seen = []
    handles = [x.register_hook(lambda g, i=i: seen.append(i)) for i in range(3)]
    handles[1].remove()
    x.register_hook(lambda g: seen.append(3))
    (2 * x).backward()
    assert seen == [0, 2, 3]


def test_a_hook_gets_an_array_that_it_cannot_write_to_even_without_axes():
    for x, y in [(leaf(1.0), np.ones(3)), (leaf([1.0, 2.0]), 1.0)]:
        kinds = []
        x.register_hook(lambda g, kinds=kinds: kinds.append((type(g), g.flags.writeable)))
        (x + y).sum().backward()
        assert kinds == [(np.ndarray, False)]


def test_a_hook_that_returns_another_shape_is_refused():
    x = leaf([1.0, 2.0])
    x.register_hook(lambda g: g[:1])
    with pytest.raises(
        CotangentError, match=r"a hook returned a gradient of shape \(1,\) for a tensor of shape \(2,\)"
    ):
        x.sum().backward()


def test_a_hook_in_a_recorded_sweep_gets_tensors_and_is_differentiated():
    x = leaf(3.0)
    y = x * x
    handle = y.register_hook(lambda g: g * y)
    (slope,) = tg.gradients(2 * y, [x], record=True)
    handle.remove()
    assert slope.item() == 2 * 9 * 2 * 3
    assert tg.gradients(slope, [x])[0] == pytest.approx(2 * 6 * 9)


def test_detach_cuts_the_graph_and_keeps_the_value():
    x = leaf([1.0, 2.0])
    y = x * x.detach()
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 2])
    assert not x.detach().requires_grad and x.detach().is_leaf


def test_requires_grad_can_be_taken_away_from_a_leaf_and_given_back():
    x = leaf([1.0])
    assert not x.requires_grad_(False).requires_grad
    assert not (2 * x).requires_grad
    assert (2 * x.requires_grad_()).requires_grad


def test_arrays_that_the_user_changes_later_do_not_change_a_gradient():
    start, factor, index, condition = (
        np.array([1.0, 2.0]),
        np.array([3.0, 4.0]),
        np.array([1, 1]),
        np.array([True, False]),
    )
    x = leaf(start)
    y = np.where(condition, x * factor, x[index] / factor) + np.einsum("i,i->i", factor, x * x)
    for array in (start, factor, index, condition):
        array[:] = 0
    np.testing.assert_array_equal(x.data, [1, 2])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [3 + 2 * 3 * 1, 1 / 4 + 2 * 4 * 2])


def test_an_array_changed_through_its_base_does_not_change_a_gradient():
    base = np.array([3.0, 4.0, 5.0])
    x = leaf([1.0, 2.0])
    y = x * base[1:]
    base[:] = 0
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [4, 5])


def test_rebinding_a_leaf_keeps_graphs_made_before():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    x._rebind(np.array([10.0, 20.0]))
    y.backward()
    np.testing.assert_array_equal(x.grad, [2, 4])
    np.testing.assert_array_equal(x.data, [10, 20])


def test_rebinding_a_leaf_to_another_dtype_or_shape_changes_its_gradients_too():
    x = leaf([1.0, 2.0], name="w")
    for array in (np.array([1.0, 2.0], np.float32), np.ones((3, 1), np.float32)):
        x._rebind(array)
        (2 * x).backward(np.ones(array.shape))
        assert (x.grad.shape, x.grad.dtype) == (array.shape, np.float32)
        assert "leaf w" in str(tg.Graph.of(x * 1))


def test_a_result_cannot_be_rebound():
    with pytest.raises(GraphError, match="only a leaf"):
        (2 * leaf([1.0]))._rebind(np.ones(1))


@given(st.data())
def test_a_drawn_graph_has_the_gradient_of_a_naive_recursive_engine(data):
    """The other engine sums over every path from the result to the leaf: no order, no accumulation in place."""
    values = [leaf(data.draw(st.floats(0.5, 1.5))) for _ in range(2)]
    partials = [{}, {}]
    for _ in range(data.draw(st.integers(1, 12))):
        i, j = [data.draw(st.integers(0, len(values) - 1)) for _ in range(2)]
        a, b = values[i], values[j]
        kind = data.draw(st.sampled_from(["add", "multiply", "sin", "subtract"]))
        if kind == "add":
            values.append(a + b)
            local = [(i, 1.0), (j, 1.0)]
        elif kind == "subtract":
            values.append(a - b)
            local = [(i, 1.0), (j, -1.0)]
        elif kind == "multiply":
            values.append(a * b)
            local = [(i, b.item()), (j, a.item())]
        else:
            values.append(np.sin(a))
            local = [(i, np.cos(a.item()))]
        merged = {}
        for parent, slope in local:
            merged[parent] = merged.get(parent, 0.0) + slope
        partials.append(merged)

    def slope_of(result, target):
        if result == target:
            return 1.0
        return sum(slope * slope_of(parent, target) for parent, slope in partials[result].items() if parent >= target)

    last = len(values) - 1
    found = tg.gradients(values[last], values, retain_graph=True)
    for target, slope in enumerate(found):
        assert float(slope) == pytest.approx(slope_of(last, target), rel=1e-9, abs=1e-9)
