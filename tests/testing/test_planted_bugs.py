"""For every primitive, each of its rules made wrong in each of several ways: gradcheck must find it and name it."""

import pkgutil
from importlib import import_module

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import ops
from tinygrad_rnn.core.backward import sum_to
from tinygrad_rnn.core.errors import GradcheckError
from tinygrad_rnn.ops.indexing import _ARRAY
from tinygrad_rnn.testing import dot_product_check, gradcheck

RNG = np.random.default_rng(0)
# Two matrices whose elements all differ and lie away from kinks; the second broadcasts along its rows.
A = 0.1 * (RNG.permutation(9).reshape(3, 3) - 4 + 0.23)
B = 0.1 * (RNG.permutation(3).reshape(1, 3) + 5.4)
TALL = 0.1 * (RNG.permutation(12).reshape(4, 3) - 6 + 0.37)
REGULAR = A + 2 * np.eye(3)
INDEX = np.array([2, 0, 2, 1, 2])

# The arguments and parameters of a call; for all other primitives a single argument, or two that broadcast.
EXAMPLES = {
    "floor_divide": ([A * 7, B], {}),
    "remainder": ([A * 7, B], {}),
    "fmod": ([A * 7, B], {}),
    "power": ([abs(A) + 0.3, B], {}),
    "where": ([A > B, A, B], {}),
    "clip": ([4 * A, np.full((3, 1), -0.7), B], {}),
    "round": ([A], {"decimals": 1}),
    "astype": ([A], {"dtype": np.dtype(float)}),
    "nan_to_num": ([A], {"nan": 0.0, "posinf": None, "neginf": None}),
    "getitem": ([A, INDEX], {"index": (_ARRAY,), "unique": False}),
    "scatter_add": (
        [RNG.normal(size=(5, 3)), INDEX],
        {"index": (_ARRAY,), "unique": False, "shape": (3, 3), "dtype": np.dtype(float)},
    ),
    "matmul": ([A, REGULAR], {}),
    "einsum": ([A, REGULAR, B[0]], {"terms": ("ij", "jk", "k"), "result": "ki"}),
    "broadcast_to": ([B], {"shape": (2, 3, 3)}),
    "flip": ([A], {"axis": (0,)}),
    "max": ([TALL], {"axis": (0,), "keepdims": False}),
    "min": ([TALL], {"axis": (0,), "keepdims": False}),
    "sum": ([TALL], {"axis": (0,), "keepdims": False}),
    "mean": ([TALL], {"axis": (0,), "keepdims": False}),
    "var": ([TALL], {"axis": (1,), "ddof": 1, "keepdims": False}),
    "l2norm": ([TALL], {"axis": (0,)}),
    "logsumexp": ([TALL], {"axis": (1,), "keepdims": False}),
    "softmax": ([A], {"axis": (1,)}),
    "log_softmax": ([A], {"axis": (1,)}),
    "cross_entropy": ([A, INDEX[:3]], {}),
    "softmax_excess": ([A, INDEX[:3]], {}),
    "cumsum": ([A], {"axis": 1}),
    "reshape": ([A], {"shape": (9,)}),
    "transpose": ([A], {"axes": (1, 0)}),
    "pad": ([A], {"width": ((1, 0), (0, 2))}),
    "split": ([A], {"bounds": (1, 3), "axis": 1}),
    "concatenate": ([A, B, TALL], {"axis": 0}),
    "unstack": ([A], {"axis": 1}),
    "stack": ([A, TALL[:3]], {"axis": 1}),
    "inv": ([REGULAR], {}),
    "det": ([REGULAR], {}),
    "slogdet": ([REGULAR], {}),
    "solve": ([REGULAR, A], {}),
    "cholesky": ([REGULAR @ REGULAR.T], {}),
    "eigh": ([A + np.diag([1.0, 2.0, 4.0])], {"lower": True}),
    "svd": ([TALL + np.eye(4, 3) * [1, 2, 4]], {}),
    "pinv": ([TALL + np.eye(4, 3)], {"rcond": None}),
}
# Where NumPy reads only the lower triangle of a symmetric argument, the rules speak of symmetric changes of it.
SYMMETRIC = {"cholesky", "eigh"}
POSITIVE = {"sqrt", "log", "log1p", "log2", "log10", "reciprocal", "cbrt"}


def primitives():
    found = {}
    for info in pkgutil.iter_modules(ops.__path__):
        for value in vars(import_module(f"{ops.__name__}.{info.name}")).values():
            if isinstance(value, tg.Primitive):
                assert found.setdefault(value.name, value) is value, f"two primitives are called {value.name}"
    return found


PRIMITIVES = primitives()
each_primitive = pytest.mark.parametrize("name", sorted(PRIMITIVES))


def example(name):
    """Return a function of the floating arguments of a primitive, and these arguments."""
    primitive = PRIMITIVES[name]
    if name in EXAMPLES:
        args, params = EXAMPLES[name]
    else:
        count = len(primitive.vjp_rules)
        first = 1 + abs(A) if name == "arccosh" else abs(A) + 0.3 if name in POSITIVE else A
        args, params = [first, B][:count], {}
    floats = [i for i, arg in enumerate(args) if arg.dtype.kind == "f"]

    def function(*values):
        given = list(args)
        for i, value in zip(floats, values, strict=True):
            given[i] = value + np.swapaxes(value, 0, 1) if name in SYMMETRIC else value
        return primitive(*given, **params)

    return function, [args[i] for i in floats], floats


# What a wrong rule makes of the right answer. Where that is the same, as of a factor on 0, nothing was planted.


def factor(right, g):
    return right * 1.001


def transposed(right, g):
    square = right.ndim >= 2 and right.shape[-1] == right.shape[-2]
    return np.swapaxes(right, -1, -2) if square else right


def dropped(right, g):
    """Without the term that comes from the last element."""
    keep = np.ones(right.shape)
    keep.reshape(-1)[-1:] = 0
    return right * keep


def flipped(right, g):
    return np.flip(right, -1) if right.ndim else right


def along_the_wrong_axis(right, g):
    return np.roll(right, 1, 0) if right.ndim else right


def shifted(right, g):
    return right + 0.001 * np.sum(g)


BUGS = [factor, transposed, dropped, flipped, along_the_wrong_axis, shifted]


class Planted:
    """A primitive with one rule made wrong, and whether that changed anything."""

    def __init__(self, patch, primitive, kind, argument, bug, shape=None):
        self.bug = bug
        self.changed = False
        self.argument = argument
        self.shape = shape if kind == "vjp" else None
        rules = getattr(primitive, f"{kind}_rules")
        if rules is not None:
            wrong = list(rules)
            wrong[argument] = lambda g, *rest, **params: self.wrong(rules[argument](g, *rest, **params), g)
            patch.setattr(primitive, f"{kind}_rules", wrong)
        else:
            name = f"_joint_{kind}"
            joint = self.joint_vjp if kind == "vjp" else self.joint_jvp
            patch.setattr(primitive, name, joint(getattr(primitive, name)))

    def wrong(self, right, g):
        if right is None:
            return None
        if type(right) is tg.core.Addend:
            right = right.primitive(*right.args, **right.params)
        answer = self.bug(right, g)
        before, after = (self.summed(getattr(part, "_data", part)) for part in (right, answer))
        self.changed |= before.shape != after.shape or not np.allclose(before, after, rtol=1e-6, atol=1e-12)
        return answer

    def summed(self, array):
        """Rows of a cotangent that the engine adds up may stand in any order."""
        array = np.asarray(array)
        spec = tg.Spec(self.shape or array.shape, array.dtype)
        return sum_to(array, spec) if array.size >= spec.size else array

    def joint_vjp(self, rule):
        def wrong(gs, outs, args, needs, **params):
            answer = list(rule(gs, outs, args, needs, **params))
            answer[self.argument] = self.wrong(answer[self.argument], next(g for g in gs if g is not None))
            return answer

        return wrong

    def joint_jvp(self, rule):
        def wrong(tangents, outs, args, **params):
            answer = rule(tangents, outs, args, **params)
            g = next(t for t in tangents if t is not None)
            if isinstance(answer, (tuple, list)):
                return [self.wrong(part, g) for part in answer]
            return self.wrong(answer, g)

        return wrong


def complaint(function, args, **options):
    """Return what gradcheck says, "" if it passes."""
    try:
        gradcheck(function, args, **options)
    except GradcheckError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", ["vjp", "jvp"])
@each_primitive
def test_a_wrong_rule_is_caught_and_its_primitive_named(name, kind):
    function, args, floats = example(name)
    gradcheck(function, args)
    mode = "reverse" if kind == "vjp" else "forward"
    for argument, array in zip(floats, args, strict=True):
        planted = []
        for bug in BUGS:
            with pytest.MonkeyPatch.context() as patch:
                bad = Planted(patch, PRIMITIVES[name], kind, argument, bug, array.shape)
                for modes in [("reverse", "forward"), (mode,)][: 2 if bug is factor else 1]:
                    said = complaint(function, args, order=1, modes=modes)
                    assert bool(said) == bad.changed, f"{bug.__name__} in the {kind} of argument {argument} was missed"
                    if said:
                        assert f"To blame is primitive {name} (" in said
                        assert f"its {kind} rule" in said or name in SYMMETRIC
                        planted.append(bug.__name__)
        assert "shifted" in planted


@pytest.mark.parametrize("kind", ["vjp", "jvp"])
@each_primitive
def test_a_rule_that_disagrees_with_its_adjoint_is_caught_without_differences(name, kind):
    function, args, floats = example(name)
    dot_product_check(function, args)
    for argument in floats:
        with pytest.MonkeyPatch.context() as patch:
            Planted(patch, PRIMITIVES[name], kind, argument, shifted)
            with pytest.raises(GradcheckError, match=f"To blame is primitive {name} "):
                dot_product_check(function, args)


@each_primitive
def test_a_rule_whose_answer_has_lost_its_graph_is_caught_at_the_second_order(name):
    """First derivatives stay right then; second ones lose what the cotangent owes to the point, if not more."""
    curved = []

    def detached(right, g):
        # An argument that is nowhere the maximum, or never chosen, gets 0, with a graph or without.
        lost = isinstance(right, tg.Tensor) and right.requires_grad and bool(np.any(right.data) or not np.any(g.data))
        curved.append(lost)
        return right.detach() if isinstance(right, tg.Tensor) else right

    function, args, floats = example(name)
    for argument in floats:
        curved.clear()
        with pytest.MonkeyPatch.context() as patch:
            Planted(patch, PRIMITIVES[name], "vjp", argument, detached)
            gradcheck(function, args, order=1)
            said = complaint(function, args, modes=("reverse",))
        assert bool(said) == any(curved)
        assert not said or f"To blame is primitive {name} (" in said


def without_summing(right, g):
    """Take the first of the elements that a broadcast argument was read for, instead of their sum."""
    return right[:1]


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "maximum", "hypot", "where"])
def test_a_cotangent_that_is_not_summed_over_broadcast_axes_is_caught(name):
    function, args, floats = example(name)
    with pytest.MonkeyPatch.context() as patch:
        assert Planted(patch, PRIMITIVES[name], "vjp", floats[-1], without_summing)
        with pytest.raises(GradcheckError, match=f"To blame is primitive {name} "):
            gradcheck(function, args)


def test_elements_read_more_than_once_must_be_added_up():
    def last_one_wins(gs, outs, args, needs, index, unique):
        full = np.zeros(args[0].shape)
        full[args[1]] = gs[0]
        return [full, None]

    function, args, _ = example("getitem")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PRIMITIVES["getitem"], "_joint_vjp", last_one_wins)
        with pytest.raises(GradcheckError, match="To blame is primitive getitem "):
            gradcheck(function, args)

    def unique_always(tangents, outs, args, index, unique, shape, dtype):
        return PRIMITIVES["scatter_add"](tangents[0], args[1], index=index, unique=True, shape=shape, dtype=dtype)

    function, args, _ = example("scatter_add")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PRIMITIVES["scatter_add"], "_joint_jvp", unique_always)
        with pytest.raises(GradcheckError, match="To blame is primitive scatter_add "):
            gradcheck(function, args)


@pytest.mark.parametrize("name", ["tanh", "matmul", "multiply", "sigmoid", "split", "add"])
@pytest.mark.parametrize("kind", ["vjp", "jvp"])
def test_the_wrong_rule_is_named_among_all_the_operations_of_a_layer(name, kind):
    layer = tg.nn.LSTM(2, 3)
    inputs = [layer.state_dict(), RNG.normal(size=(3, 2, 2))]
    # A compiled loop traces the vjp rules, whose values a planted bug reads; the jvp rules are checked through one.
    with pytest.MonkeyPatch.context() as patch, tg.engine("eager" if kind == "vjp" else "auto"):
        Planted(patch, PRIMITIVES[name], kind, 0, factor)
        with pytest.raises(GradcheckError, match=f"To blame is primitive {name} .*its {kind} rule"):
            gradcheck(lambda p, x: tg.nn.functional_call(layer, p, x)[0], inputs, order=1)
