"""Rules, hooks and functions that are written in an unusual way, and graphs that are used in one."""

import inspect

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core import Spec
from tinygrad_rnn.core.errors import GraphError, NonFiniteError, NoRuleError, ShapeError
from tinygrad_rnn.core.explain import whole
from tinygrad_rnn.core.modes import Modes, again, user_line
from tinygrad_rnn.core.names import LocalNames


def leaf(value, **options):
    return tg.Tensor(value, requires_grad=True, **options)


def constant_slope():
    """Return a primitive whose rules answer with a Python number."""
    doubled = tg.Primitive("doubled", lambda a: 2 * a)
    doubled.defvjp(lambda g, out, a: 2.0)
    doubled.defjvp(lambda da, out, a: 2.0)
    return doubled


def test_a_rule_may_answer_with_a_python_number():
    x = leaf(3.0)
    constant_slope()(x).backward()
    assert x.grad == 2.0
    assert tg.jvp(constant_slope(), (3.0,), (1.0,))[1].item() == 2.0


def test_a_cotangent_of_picked_elements_that_is_not_finite_is_told_in_debug_mode():
    x = leaf([1.0, 2.0, 3.0])
    with tg.debug():
        y = x[np.array([0, 2])]
        with pytest.raises(NonFiniteError, match="getitem"):
            y.backward(np.array([np.nan, 1.0]))


def test_a_hook_that_came_later_outlives_the_second_removal_of_an_earlier_one():
    x = leaf([1.0])
    first = x.register_hook(lambda g: 10 * g)
    first.remove()
    x.register_hook(lambda g: 3 * g)
    first.remove()
    np.sum(x).backward()
    assert x.grad == 3.0


def test_a_hook_can_be_removed_after_its_leaf_was_given_another_dtype():
    layer = nn.Linear(2, 1)
    handle = layer.weight.register_hook(lambda g: 10 * g)
    layer.astype("float64")
    handle.remove()
    np.sum(layer.weight).backward()
    np.testing.assert_array_equal(layer.weight.grad, np.ones(layer.weight.shape))


def test_a_checkpoint_of_no_arguments_has_second_derivatives():
    w = leaf(2.0)
    (slope,) = tg.gradients(tg.checkpoint(lambda: w**3)(), [w], record=True)
    assert tg.gradients(slope, [w])[0] == 12.0

    def cube(t):
        return tg.checkpoint(lambda: t**3)()

    assert tg.jvp(lambda t: tg.jvp(cube, (t,), (1.0,))[1], (2.0,), (1.0,))[1].item() == 12.0


def test_a_checkpoint_names_what_it_closes_over_in_the_order_of_its_making():
    first, second = np.split(leaf([1.0, 2.0]), 2)
    y = tg.checkpoint(lambda t: t * first + second)(leaf([3.0]))
    assert tuple(y.node.slots) == (0, 0, 1)


def test_a_constant_argument_of_a_checkpoint_has_the_output_number_that_constants_have():
    x = leaf([1.0])
    assert tuple(tg.checkpoint(np.multiply)(x, 2.0).node.slots) == np.multiply(x, 2.0).node.slots


def test_an_error_of_a_users_function_that_is_not_about_shapes_stays_what_it_is():
    def refuse(a):
        raise ValueError("give a positive number")

    with pytest.raises(ValueError, match="positive") as found:
        tg.Primitive("refuse", refuse)(leaf([1.0]))
    assert type(found.value) is ValueError


def test_an_error_of_a_kind_of_the_users_own_stays_what_it_is():
    class OfTheUser(ValueError):
        pass

    def refuse(a):
        raise OfTheUser("not this shape")

    with pytest.raises(OfTheUser):
        tg.Primitive("refuse", refuse)(leaf([1.0]))


def test_a_keyword_without_a_rule_is_named():
    with pytest.raises(NoRuleError, match=r"np\.diff with prepend= has no rule"):
        np.diff(leaf([1.0, 2.0]), prepend=0.0)


def test_too_many_arguments_are_no_keyword_without_a_rule():
    with pytest.raises(TypeError, match="positional") as found:
        np.diff(leaf([1.0, 2.0]), 1, -1, 0.0, 0.0)
    assert not isinstance(found.value, NoRuleError)


def test_a_graph_with_a_node_as_old_as_its_parent_is_broken():
    y = np.exp(leaf([1.0]))
    graph = tg.Graph.of(y)
    y.node.sequence = y.node.parents[0].sequence
    with pytest.raises(GraphError, match="does not come after its parent"):
        graph.check()


def test_any_graph_makes_graphs():
    y = np.exp(leaf([1.0]))
    assert str(tg.Graph.of(y).of(y)) == str(tg.Graph.of(y))


def test_the_line_of_a_user_is_that_of_whoever_asks():
    line, asked = inspect.currentframe().f_lineno, user_line()
    assert asked == f"{__file__}:{line}"


def test_debug_keeps_values_that_no_rule_reads():
    x = leaf([1.0, 2.0])
    with tg.debug():
        y = x + x
    np.testing.assert_array_equal(y.node.args, [[1.0, 2.0], [1.0, 2.0]])
    assert y.node.line.startswith(__file__)


def test_members_of_a_stack_are_no_results_that_a_graph_could_name():
    def step(a):
        first = a * 2.0
        second = np.tanh(first)
        return second

    with LocalNames(step.__code__) as names:
        tg.vmap(step)(leaf(np.ones((2, 3))))
    assert names.found == {}


def test_rules_for_one_result_are_refused_where_there_are_several():
    for declare in ("defvjp", "defjvp"):
        primitive = tg.Primitive("two", lambda a: (2 * a, 3 * a))
        getattr(primitive, declare)(lambda g, out, a: g)
        with pytest.raises(NoRuleError, match=r"two has 2 results.*_joint"):
            primitive(leaf([1.0]))


def test_a_time_is_gone_back_to_without_its_checks():
    with again(Modes(recording=False, debug=True, scope=("then",))), np.errstate(divide="ignore"):
        x = leaf([0.0])
        y = np.log(x) + x
    assert y.node.scope == ("then",)
    assert [arg.tolist() for arg in y.node.args] == [[-np.inf], [0.0]]


def test_a_hook_follows_its_leaf_to_another_dtype():
    layer = nn.Linear(2, 1)
    layer.weight.register_hook(lambda g: 10 * g)
    layer.astype("float64")
    np.sum(layer.weight).backward()
    np.testing.assert_array_equal(layer.weight.grad, np.full(layer.weight.shape, 10.0))


def test_a_leaf_that_keeps_shape_and_dtype_keeps_its_node():
    layer = nn.Linear(2, 1)
    node = layer.weight.node
    layer.weight.assign(np.ones(layer.weight.shape))
    assert layer.weight.node is node
    layer.astype("float64")
    assert layer.weight.node is not node
    assert layer.weight.node.specs[0].dtype == np.float64


def test_a_cotangent_gets_the_dtype_of_what_it_belongs_to():
    widened = tg.Primitive("widened", lambda a: a)
    widened.defvjp(lambda g, out, a: g.astype(np.float64))
    x = tg.Tensor(np.ones(2, np.float32), requires_grad=True)
    np.sum(widened(x) + x).backward()
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_the_second_run_of_a_checkpoint_may_differ_by_rounding_alone(size):
    shift = 0.0
    x = leaf([size])

    def function(t):
        return t + shift

    near, far = np.sqrt(np.finfo(float).eps) * max(1.0, size) * np.array([0.7, 1.5])
    y = tg.checkpoint(function)(x)
    shift = near
    np.sum(y).backward()
    y = tg.checkpoint(function)(x)
    shift += far
    with pytest.raises(GraphError, match="other values"):
        np.sum(y).backward()


def test_a_cotangent_of_fewer_axes_than_its_argument_is_refused_by_its_shape():
    short = tg.Primitive("short", lambda a: a)
    short.defvjp(lambda g, out, a: np.ones(4))
    with pytest.raises(ShapeError, match=r"cotangent of shape \(4,\) for an argument of shape \(1, 3\)"):
        short(leaf(np.ones((1, 3)))).backward(np.ones((1, 3)))


def test_what_explain_tells_of_a_cotangent_has_the_dtype_of_the_argument():
    assert whole(np.ones(2), Spec((2,), np.dtype(np.float32))).dtype == np.float32


def test_a_gradient_on_the_memory_of_somebody_else_is_copied():
    memory = bytearray(np.ones(3).tobytes())
    foreign = tg.Primitive("foreign", lambda a: a)
    foreign.defvjp(lambda g, out, a: np.frombuffer(memoryview(memory)))
    x = leaf(np.zeros(3))
    foreign(x).backward(np.ones(3))
    memory[:] = bytes(24)
    assert x.grad.tolist() == [1, 1, 1]
