"""What the engine promises in passing: names, defaults, dtypes, owners of arrays, lengths of argument lists."""

import importlib.util

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.core import random
from tinygrad_rnn.core.dispatch import implementations
from tinygrad_rnn.core.errors import ConfigError, CotangentError, GraphError, NonFiniteError, ShapeError
from tinygrad_rnn.core.forward import push
from tinygrad_rnn.core.node import Node, Spec, ancestors, spec_of
from tinygrad_rnn.core.primitive import every_value, value_of
from tinygrad_rnn.core.tree import tree_flatten


def leaf(value, **options):
    return tg.Tensor(value, requires_grad=True, **options)


@pytest.mark.parametrize(
    "transform",
    [tg.checkpoint, tg.vmap, tg.per_sample_grad, tg.value_and_grad, tg.grad, tg.jacobian, tg.hessian],
    ids=lambda transform: transform.__name__,
)
def test_a_transformed_function_keeps_its_name_and_its_documentation(transform):
    def loss(x):
        """Return the loss."""

    assert (transform(loss).__name__, transform(loss).__doc__) == ("loss", "Return the loss.")


def test_transforms_differentiate_the_first_argument_by_default():
    def product(a, b):
        return np.sum(a * a * b)

    a, b = np.array([2.0, 3.0]), np.array([5.0, 7.0])
    np.testing.assert_array_equal(tg.grad(product)(a, b).data, 2 * a * b)
    np.testing.assert_array_equal(tg.value_and_grad(product)(a, b)[1].data, 2 * a * b)
    np.testing.assert_array_equal(tg.jacobian(product)(a, b).data, 2 * a * b)
    np.testing.assert_array_equal(tg.hessian(product)(a, b).data, np.diag(2 * b))
    np.testing.assert_array_equal(tg.grad(product, -1)(a, b).data, a * a)
    np.testing.assert_array_equal(tg.grad(product, -2)(a, b).data, 2 * a * b)


@pytest.mark.parametrize("argnums", [2, -3, (0, 0), (0, -2), (0, 2), 1.0])
def test_positions_of_arguments_that_are_not_there_or_twice_there_are_refused(argnums):
    with pytest.raises(ConfigError, match="argnums"):
        tg.grad(lambda a, b: a * b, argnums)(1.0, 2.0)


@pytest.mark.parametrize("count", [1, 6, 7, 8, 9, 20])
def test_an_operation_takes_any_number_of_tensors(count):
    parts = [leaf(float(i)) for i in range(count)]
    np.stack(parts).backward(np.arange(1.0, count + 1))
    assert [part.grad.item() for part in parts] == list(range(1, count + 1))


def test_every_argument_may_be_another_result_of_an_operation():
    rows = list(leaf(np.arange(9.0)) * 2.0)
    y = np.stack([rows[3], rows[0], *rows[4:]])
    assert [y.node.parents[0].operation, *y.node.slots] == ["unstack", 3, 0, 4, 5, 6, 7, 8]


def test_a_node_shows_operation_name_shapes_and_line():
    x = leaf(np.ones((2, 3)), name="weight")
    assert repr(x.node) == "<leaf 'weight' float64[2, 3]>"
    assert repr((x * 2.0).node) == "<multiply float64[2, 3]>"
    with tg.debug():
        y = x * 2.0
    assert repr(y.node).startswith("<multiply float64[2, 3] made at ") and "test_small_print.py:" in repr(y.node)
    assert repr(np.split(x, 2)[0].node) == "<split float64[1, 3], float64[1, 3]>"


def test_a_spec_tells_axes_and_elements():
    spec = Spec((2, 3, 4), np.dtype(np.float32))
    assert (spec.ndim, spec.size, repr(spec)) == (3, 24, "float32[2, 3, 4]")


def test_a_name_does_not_keep_the_gradient_of_a_result():
    x = leaf([1.0, 2.0])
    y = x * x
    y.name = "y"
    np.sum(y).backward()
    assert y.grad is None and y.name == "y"


def test_a_graph_of_another_order_of_constants_is_checked_to_the_end():
    x = leaf([1.0, 2.0])
    y = np.array([3.0, 4.0]) * x
    y.node.slots = (0, 1)
    with pytest.raises(GraphError, match="reads output 1"):
        tg.Graph.of(y).check()


def test_the_gradient_of_a_hooked_leaf_is_not_the_array_that_the_hook_returned():
    x = leaf([1.0, 2.0])
    kept = np.array([5.0, 6.0])
    x.register_hook(lambda gradient: kept)
    np.sum(x * x + x * 3.0 + x).backward()
    kept[:] = 0
    np.testing.assert_array_equal(x.grad, [5, 6])


def test_hooks_run_in_order_and_may_decline():
    x = leaf([1.0, 2.0])
    x.register_hook(lambda gradient: None)
    x.register_hook(lambda gradient: gradient + 1.0)
    first = x.register_hook(lambda gradient: gradient * 10.0)
    x.register_hook(lambda gradient: gradient - 1.0)
    np.sum(x).backward()
    np.testing.assert_array_equal(x.grad, [19, 19])
    first.remove()
    first.remove()
    x.grad = None
    np.sum(x).backward()
    np.testing.assert_array_equal(x.grad, [1, 1])


def test_debug_names_the_first_value_that_is_not_finite():
    x = leaf([1.0, 0.0, -1.0])
    with tg.debug(), np.errstate(all="ignore"):
        with pytest.raises(NonFiniteError, match="log gave -inf"):
            np.log(x)
        broken = tg.Primitive("broken", lambda a: a)
        broken.defvjp(lambda g, out, a: np.array([1.0, np.inf, np.nan]))
        y = np.sum(broken(x))
        with pytest.raises(NonFiniteError, match="the gradient of broken has inf"):
            y.backward()


def test_the_tangent_of_a_rule_gets_shape_and_dtype_of_the_result():
    wide = tg.Primitive("wide", lambda a: a * 2)
    wide.defjvp(lambda da, out, a: np.float64(2.0))
    value, tangent = tg.jvp(wide, (np.ones(3, np.float32),), (np.ones(3, np.float32),))
    assert (value.dtype, tangent.dtype, tangent.shape) == (np.float32, np.float32, (3,))
    np.testing.assert_array_equal(tangent.data, [2, 2, 2])


def test_a_checkpoint_may_close_over_several_results_of_one_operation():
    first, second = np.split(leaf(np.arange(4.0)) * 1.0, 2)
    x = leaf(3.0)
    y = np.sum(tg.checkpoint(lambda a: a * second + first * first)(x))
    np.testing.assert_array_equal(tg.gradients(y, [x, first, second], retain_graph=True)[1], [0, 2])
    np.testing.assert_array_equal(tg.gradients(y, [x, first, second])[2], [3, 3])


def test_a_checkpoint_may_close_over_what_it_also_gets_and_need_only_some_arguments():
    x, unused = leaf([1.0, 2.0]), leaf([5.0])
    y = np.sum(tg.checkpoint(lambda a, b, n: (a * x * n, b)[0])(x, unused, 2))
    y.backward()
    np.testing.assert_array_equal(x.grad, [4, 8])
    assert unused.grad is None or not unused.grad.any()


def test_random_numbers_start_from_call_0_of_seed_0():
    spec = importlib.util.find_spec(random.__name__)
    again = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(again)
    assert again.get_state() == {"seed": 0, "call": 0}


@pytest.mark.parametrize("number", [-1, 2**64, 1.0, True, None, "1"])
def test_a_state_of_random_numbers_outside_its_range_is_refused(number):
    for key in ("seed", "call"):
        with pytest.raises(ConfigError, match=f"{key} is"):
            random.set_state({"seed": 1, "call": 1, key: number})


def test_the_ends_of_the_range_of_random_states_are_taken():
    before = random.get_state()
    try:
        for number in (0, 2**64 - 1, np.int64(3)):
            random.set_state({"seed": number, "call": number})
            assert random.get_state() == {"seed": int(number), "call": int(number)}
            random.generator()
    finally:
        random.set_state(before)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_a_constant_tensor_converts_as_its_array_does(dtype):
    data = np.array([1, 2], dtype)
    x = tg.Tensor(data)
    assert np.asarray(x).dtype == dtype and np.shares_memory(np.asarray(x), x.data)
    assert np.shares_memory(np.asarray(x, dtype=dtype), x.data)
    assert not np.shares_memory(np.array(x, copy=True), x.data)
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    np.testing.assert_array_equal(np.asarray(x, dtype=np.float64), data)


def test_a_format_is_that_of_the_number_where_there_is_one():
    assert f"{tg.Tensor([1.5]):.3f}" == "1.500"
    assert f"{tg.Tensor([1.5])}" == "Tensor([1.5])"
    assert f"{tg.Tensor([1.5, 2.0])}" == "Tensor([1.5, 2. ])"
    with pytest.raises(ValueError):
        format(tg.Tensor([1.5, 2.0]), ".3f")


def test_a_tensor_shows_dtype_name_and_whether_it_requires_grad():
    assert repr(tg.Tensor([1.0])) == "Tensor([1.])"
    assert repr(leaf([1.0], dtype=np.float32, name="w")) == (
        "Tensor([1.], dtype=float32, name='w', requires_grad=True)"
    )
    assert "..." in repr(tg.Tensor(np.zeros(101))) and "..." not in repr(tg.Tensor(np.zeros(100)))


def test_values_of_tensors_and_of_anything_else_are_arrays():
    x = tg.Tensor([1.0, 2.0])
    assert every_value(x) is value_of(x) and every_value([3]).tolist() == [3]
    (second,) = [np.split(leaf([1.0, 2.0]), 2)[1]]
    assert every_value(second).tolist() == [2]
    seen = []
    tg.vmap(lambda a: seen.append(every_value(a).tolist()) or a)(np.array([1.0, 2.0]))
    assert seen == [[1, 2]]


def test_what_came_before_a_number_is_left_out_but_the_edge_to_it_is_not():
    x = leaf(1.0)
    y = x * 2.0
    z = y + 1.0
    assert ancestors([z.node]) == [x.node, y.node, z.node]
    assert ancestors([z.node], z.node.sequence) == [y.node, z.node]
    assert ancestors([z.node], y.node.sequence) == [x.node, y.node, z.node]
    assert ancestors([z.node], z.node.sequence + 1) == [z.node]


def test_structures_are_equal_if_kinds_keys_and_places_are():
    structures = [tree_flatten(nest)[1] for nest in ((1,), [1], (1, 2), {"a": 1}, {"b": 1}, None, 1, (), ((1,),))]
    for i, one in enumerate(structures):
        for j, other in enumerate(structures):
            assert (one == other) == (i == j)
            assert i != j or hash(one) == hash(other)
    assert structures[0] != "(*,)"
    assert [repr(structure) for structure in structures] == [
        *("(*,)", "[*]", "(*, *)", "{'a': *}", "{'b': *}", "None", "*", "()", "((*,),)"),
    ]


FUNCTIONS_IN_ONE_CALL = {
    "sum of an axis": lambda a: np.sum(a, axis=0),
    "sum of all": lambda a: np.sum(a),
    "transpose": lambda a: np.transpose(a, (1, 0)),
    "reshape": lambda a: np.reshape(a, (4, 3)),
    "broadcast": lambda a: np.broadcast_to(a[:1], (3, 4)),
    "pad": lambda a: np.pad(a, ((1, 0), (0, 2))),
    "a row": lambda a: a[1],
    "a part": lambda a: a[1:, ::2],
    "new axes": lambda a: a[None, ..., None],
    "a row beside a matrix": lambda a: a[0] + a,
    "a number beside a matrix": lambda a: np.sum(a) * a,
    "a constant beside a matrix": lambda a: np.arange(4.0) * a,
    "concatenate with a constant": lambda a: np.concatenate([np.ones((1, 4)), a], axis=0),
    "stack": lambda a: np.stack([a, a], axis=1),
    "split": lambda a: np.split(a, [1, 3], axis=1)[1],
    "softmax": lambda a: tg.softmax(a, axis=0),
    "flip": lambda a: np.flip(a, (0, 1)),
    "cumulative sum": lambda a: np.cumsum(a, axis=0),
    "matmul with a constant": lambda a: a @ np.ones((4, 2)),
    "exp of large numbers": lambda a: np.exp(a),
    "integers": lambda a: np.where(np.arange(12).reshape(3, 4) % 2, a, 0),
}


@pytest.mark.parametrize("name", FUNCTIONS_IN_ONE_CALL)
def test_a_stack_is_computed_in_one_call_whatever_its_length(name):
    function = FUNCTIONS_IN_ONE_CALL[name]
    sizes = []
    for members in (2, 3, 7):
        x = leaf(np.random.default_rng(members).normal(size=(members, 3, 4)))
        y = tg.vmap(function)(x)
        sizes.append(len(tg.Graph.of(y)))
        np.testing.assert_allclose(y.data, np.stack([function(member) for member in x.data]), rtol=1e-13, atol=1e-14)
    assert len(set(sizes)) == 1 and sizes[0] < 8


def test_stacks_of_integers_and_bools_are_computed_in_one_call_too():
    sizes = set()
    for members in (1, 2, 5):
        x = leaf(np.arange(2.0 * members).reshape(members, 2))
        counts, mask = np.arange(2 * members).reshape(members, 2), np.arange(2 * members).reshape(members, 2) % 3 == 0
        y = tg.vmap(lambda a, n, m: np.where(m, a, a * n))(x, counts, mask)
        np.testing.assert_array_equal(y.data, np.where(mask, x.data, x.data * counts))
        sizes.add(len(tg.Graph.of(y)))
    assert len(sizes) == 1


def test_a_stack_of_members_has_shape_length_and_dtype_of_one():
    def look(a):
        assert (a.shape, a.ndim, a.size, len(a), a.dtype) == ((3, 4), 2, 12, 3, np.float32)
        assert repr(a) == "Stacked(2 of float32[3, 4])"
        assert not a.detach().requires_grad or a.detach()._index < 0
        with pytest.raises(TypeError, match="0-d"):
            len(a[0, 0])
        return a

    tg.vmap(look)(np.ones((2, 3, 4), np.float32))


def test_a_detached_member_is_a_constant_for_gradients():
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    slopes = tg.grad(lambda x: np.sum(tg.vmap(lambda a: a.detach() * a)(x)))(x)
    np.testing.assert_array_equal(slopes.data, x)


def test_a_stack_of_no_members_is_computed_in_one_call_or_refused():
    assert tg.vmap(lambda a: np.sum(a * 2.0, axis=0))(np.zeros((0, 3, 2))).shape == (0, 2)
    centred = tg.Primitive("centred", lambda a: a - a.mean())
    with pytest.raises(ShapeError, match="centred over a stack of no members"):
        tg.vmap(centred)(np.zeros((0, 3)))


@pytest.mark.parametrize("in_axes", [1, (0, 1), (None, None), None, (0,), (0, 0, 0)])
def test_axes_that_vmap_cannot_take_are_refused(in_axes):
    with pytest.raises(ConfigError, match="in_axes"):
        tg.vmap(lambda a, b: a + b, in_axes)(np.ones(2), np.ones(2))


def test_vmap_takes_one_axis_for_all_or_one_for_each():
    a, b = np.array([1.0, 2.0]), np.array([10.0, 20.0])
    np.testing.assert_array_equal(tg.vmap(lambda a, b: a * b)(a, b).data, [10, 40])
    np.testing.assert_array_equal(tg.vmap(lambda a, b: a * b[1], (0, None))(a, b).data, [20, 40])
    np.testing.assert_array_equal(tg.vmap(lambda a, b: a[0] * b, (None, 0))(a, b).data, [10, 20])


def test_per_sample_gradients_need_a_batch():
    loss = lambda w, *x: np.sum(w)
    for batch in ((), (1.0,), (np.ones(2), 1.0)):
        with pytest.raises(ShapeError, match="needs a batch"):
            tg.per_sample_grad(loss)(np.ones(3), *batch)


def test_comparisons_of_members_are_made_member_by_member():
    x = np.array([[1.0, 5.0], [7.0, 2.0], [3.0, 3.0]])
    found = tg.vmap(lambda a: np.where(np.argmax(a, axis=0) == 0, a[0], -a[1]))(x)
    np.testing.assert_array_equal(found.data, [-5, 7, 3])
    np.testing.assert_array_equal(tg.vmap(lambda a, b: a < b, (0, None))(x, np.array([2.0, 4.0])).data, x < [2, 4])


def test_tangents_are_one_for_each_primal_and_none_for_what_does_not_move():
    value, tangent = tg.jvp(lambda a, b: a * b, (2.0, 5.0), (None, 1.0))
    assert (value.item(), tangent.item()) == (10, 2)
    assert tg.jvp(lambda a, b: a * 3.0, (2.0, 5.0), (None, 1.0))[1].item() == 0
    for tangents in ((1.0,), (1.0, 1.0, 1.0), ((1.0,), 1.0), (np.ones(2), 1.0)):
        with pytest.raises(CotangentError, match="tangent"):
            tg.jvp(lambda a, b: a * b, (2.0, 5.0), tangents)


def test_a_jacobian_has_rows_of_results_and_columns_of_arguments():
    a, b = np.arange(2.0), np.arange(3.0) + 1
    for function in (np.outer, lambda a, b: np.sum(a * a) * np.sum(b) * np.ones(1)):  # forward, and in reverse
        for slopes, i in zip(tg.jacobian(function, (0, 1))(a, b), (0, 1), strict=True):
            for place in range((a, b)[i].size):
                along = [np.zeros(2), np.zeros(3)]
                along[i][place] = 1
                np.testing.assert_allclose(slopes.data[..., place], tg.jvp(function, (a, b), along)[1].data, rtol=1e-12)


def test_a_jacobian_of_nothing_or_by_nothing_is_empty():
    assert tg.jacobian(lambda x: x[:0])(np.ones(3)).shape == (0, 3)
    assert tg.jacobian(lambda x: np.concatenate([x, np.ones(2)]))(np.ones(0)).shape == (2, 0)


def test_gradients_keep_the_graph_when_asked_or_when_recorded():
    x = leaf(2.0)
    y = x * x * x
    assert tg.gradients(y, [x], record=True)[0].item() == 12
    assert tg.gradients(y, [x], retain_graph=True)[0].item() == 12
    assert tg.gradients(y, [x])[0].item() == 12
    with pytest.raises(GraphError.__mro__[1], match="earlier backward pass"):
        tg.gradients(y, [x])


def test_a_leaf_is_a_node_without_parents():
    node = leaf(1.0).node
    assert isinstance(node, Node) and (node.parents, node.slots, node.operation) == ((), (), "leaf")


def test_where_a_tangent_is_given_the_arguments_are_not_asked():
    x = leaf(1.0)
    y = x * 2.0
    z = y * 3.0
    one, ten = np.array(1.0), np.array(10.0)
    assert push({(x.node, 0): one, (y.node, 0): ten}, [(z.node, 0)], None) == [30]
    assert push({(x.node, 0): one}, [(z.node, 0), (y.node, 0)], None) == [6, 2]
    assert push({(x.node, 0): one}, [(z.node, 0)], None, since=z.node.sequence) == [None]


def test_arrays_of_one_shape_and_dtype_share_their_spec():
    arrays = [np.zeros((2, 3)), np.zeros((2, 3), np.float32), np.ones((2, 3))]
    first, second, third = [spec_of(array) for array in arrays]
    assert first is third and first is not second
    assert second[0].dtype == np.float32


def test_explain_names_results_and_arguments():
    x = leaf([1.0, 2.0])
    assert "cotangent of a: g * out" in tg.Graph.of(np.exp(x)).explain()
    assert "concatenate([g0, g1], axis=0)" in tg.Graph.of(np.split(x, 2)[0]).explain()
    product = tg.Primitive("product", lambda *args: np.prod(np.stack(args), axis=0))
    product.defvjp_joint(lambda gs, outs, args, needs: [gs[0] * outs[0] / arg for arg in args])
    six = tg.Graph.of(product(*[leaf(2.0) for _ in range(6)])).explain()
    assert "cotangent of a: g * out / a" in six and "cotangent of f: g * out / f" in six
    seven = tg.Graph.of(product(*[leaf(2.0) for _ in range(7)])).explain()
    assert "cotangent of a0: g * out / a0" in seven and "cotangent of a6: g * out / a6" in seven


def test_vmap_of_a_tensor_from_outside_repeats_it_and_adds_up_its_gradient():
    w = leaf([1.0, 2.0])
    y = tg.vmap(lambda a: w)(np.ones((3, 1)))
    np.testing.assert_array_equal(y.data, [[1, 2]] * 3)
    np.sum(y).backward()
    np.testing.assert_array_equal(w.grad, [3, 3])


def test_debug_checks_recorded_gradients_too():
    x = leaf([1.0, 4.0])
    with tg.debug():
        (slope,) = tg.gradients(np.sum(np.sqrt(x)), [x], record=True)
    np.testing.assert_allclose(slope.data, [0.5, 0.25])


def test_a_parent_that_is_not_in_the_graph_is_found():
    stranger, x = leaf(1.0), leaf(2.0)
    y = x * 3.0
    graph = tg.Graph.of(y)
    y.node.parents = (stranger.node, None)
    with pytest.raises(GraphError, match="does not come after its parent"):
        graph.check()


def test_an_empty_stack_does_not_decide_how_others_are_computed():
    def run(members):
        x, counts = leaf(np.ones((members, 2, 5))), np.arange(10 * members).reshape(members, 2, 5)
        return tg.vmap(lambda a, n: np.hypot(a, n))(x, counts)

    assert run(0).shape == (0, 2, 5)
    assert len(tg.Graph.of(run(2))) == len(tg.Graph.of(run(6)))


def test_a_name_or_a_hook_inside_a_transformed_function_does_not_record_its_result():
    def function(x):
        y = x * x
        y.name = "y"
        return np.sum(y)

    value, slope = tg.value_and_grad(function)(np.ones(2))
    assert not value.requires_grad and not slope.requires_grad


def test_where_a_rule_gives_nothing_the_sweep_goes_no_further():
    blind = tg.Primitive("blind", lambda a, b: a * b)
    blind.defvjp_joint(lambda gs, outs, args, needs: [gs[0] * args[1], None])
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    np.sum(blind(x, np.exp(w))).backward()
    np.testing.assert_allclose(x.grad, np.exp([3.0, 4.0]))
    assert w.grad is None
    assert not tg.gradients(np.sum(blind(x, np.exp(w))), [w])[0].any()


def test_results_of_a_primitive_are_arrays_even_without_axes():
    pair = tg.Primitive("pair", lambda a: (a.sum(), a.max()))
    for found in (pair(np.ones(3)), [part._data for part in pair(leaf(np.ones(3)))]):
        assert [type(part) for part in found] == [np.ndarray] * 2
    total = tg.Primitive("total", lambda a: a.sum())
    assert type(total(np.ones(3))) is type(total(leaf(np.ones(3)))._data) is np.ndarray


def test_an_unexpected_keyword_inside_an_implementation_is_not_laid_to_the_caller(monkeypatch):
    def implementation(a):
        return (lambda b: b)(b=a, nonsense=1)

    monkeypatch.setitem(implementations, np.i0, implementation)
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'") as error:
        np.i0(tg.Tensor(1.0))
    assert type(error.value) is TypeError


def test_iteration_over_a_tensor_without_axes_is_refused_by_name():
    with pytest.raises(TypeError, match="iteration over a 0-d tensor"):
        iter(tg.Tensor(1.0))


def test_an_edge_from_a_negative_output_is_found():
    y = leaf(2.0) * 3.0
    y.node.slots = (-1, 0)
    with pytest.raises(GraphError, match="reads output -1"):
        tg.Graph.of(y).check()


def test_asking_a_tensor_again_to_require_grad_changes_nothing():
    x = leaf([1.0])
    node = x.node
    assert x.requires_grad_().node is node and x.requires_grad_(True).node is node
    assert not x.requires_grad_(False).requires_grad
    assert not x.requires_grad_(False).requires_grad
    assert not tg.Tensor([1]).requires_grad_(False).requires_grad


def test_what_does_not_depend_on_an_argument_has_zeros_of_its_dtype():
    a, n = np.ones(2, np.float32), np.ones(3, np.float16)
    value, pull = tg.vjp(lambda a, n: a * 2, a, n)
    slopes = pull(np.ones(2, np.float32))
    assert [(slope.dtype, slope.shape) for slope in slopes] == [(np.float32, (2,)), (np.float16, (3,))]
    assert not slopes[1].data.any() and value.dtype == np.float32
    assert pull(np.ones(2, np.float32))[0].data.tolist() == [2, 2]
    assert tg.vjp(lambda a, n: a * n, 2.0, np.array(3))[1](1.0)[1].dtype == np.float64


def test_a_checkpoint_without_a_graph_returns_what_the_function_returns():
    x = leaf([1.0, 2.0])
    with tg.no_grad():
        y, n, same = tg.checkpoint(lambda a: (a * 2.0, 3, x))(x)
    assert n == 3 and not y.requires_grad and not same.requires_grad
    np.testing.assert_array_equal(y.data, [2, 4])


def test_the_parents_of_a_checkpoint_are_its_arguments_and_what_it_closes_over():
    x, w, n = leaf(1.0), leaf(2.0), tg.Tensor(3.0)
    y = tg.checkpoint(lambda a, n: np.sin(a) * n * w)(x, n)
    assert list(y.node.parents) == [x.node, None, w.node]


def test_a_choice_does_not_depend_on_its_condition():
    x = leaf([0.0, 2.0])
    assert not np.where(x, 1.0, tg.Tensor(0.0)).requires_grad
    assert np.where(x, x, 0.0).node.parents[0] is None


def test_a_call_with_too_many_arguments_is_no_missing_rule():
    with pytest.raises(TypeError, match="positional arguments") as error:
        np.sum(leaf([1.0]), 0, None, None, False, 1.0)
    assert type(error.value) is TypeError
    with pytest.raises(TypeError, match=r"^np\.linspace of tensors takes from 2 to 4 positional arguments but 5 were"):
        np.linspace(leaf([1.0]), 1, 5, True, True)


def test_inside_vmap_a_missing_cotangent_names_the_members():
    with pytest.raises(CotangentError, match=r"Stacked\(2 of float64\[3\]\) has shape \(3,\)"):
        tg.vmap(tg.grad(lambda a: a * a))(np.ones((2, 3)))
    with pytest.raises(CotangentError, match=r"<multiply float64\[3\]> has shape"):
        tg.grad(lambda a: a * a)(np.ones(3))


def test_the_bytes_of_a_value_are_turned_in_a_copy():
    data = tg.Tensor(np.array([1, 256], np.int16)).data
    assert data.byteswap().tolist() == data.byteswap(False).tolist() == [256, 1]
    assert data.tolist() == [1, 256]


def test_the_flags_of_a_value_may_be_set_as_they_are():
    data = tg.Tensor([1.0]).data
    data.setflags(write=False)
    data.setflags()
    assert not data.flags.writeable


def test_what_was_broadcast_against_nothing_has_a_gradient_of_zeros():
    x = leaf([[3.0], [4.0]])
    np.sum(x * np.ones((2, 0))).backward()
    np.testing.assert_array_equal(x.grad, [[0], [0]])


@pytest.mark.parametrize("shape", [(3,), (2,), (), (2, 2), (3, 3), (1, 3)])
def test_a_cotangent_that_was_not_broadcast_from_its_argument_is_named(shape):
    short = tg.Primitive("short", lambda a: a)
    short.defvjp(lambda g, out, a: np.ones(shape))
    with pytest.raises(ShapeError, match="a gradient rule gave a cotangent of shape"):
        np.sum(short(leaf(np.ones((2, 3))))).backward()
