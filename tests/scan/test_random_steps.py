"""Random steps: every engine, every pass and every derived step gives what the recorded loop gives."""

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.core.node import Spec
from tinygrad_rnn.core.tree import tree_flatten
from tinygrad_rnn.scan import derive, scan
from tinygrad_rnn.scan.engines import Engine, _run_compiled, has_native
from tinygrad_rnn.scan.numpy_engine import numpy_engine
from tinygrad_rnn.scan.passes.narrow import narrow
from tinygrad_rnn.scan.passes.reassociate import reassociate
from tinygrad_rnn.scan.passes.simplify import simplify
from tinygrad_rnn.scan.reference import reference
from tinygrad_rnn.scan.step import traced

VOCABULARY, SLOTS = 5, 3

# A random step


class Constants:
    """What a step closes over, made when it is asked for first and the same ever after.

    Attributes:
        learned: those that require grad.
        rowwise: nothing depends on the number of rows, so that rows may be left out.
    """

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}
        self.learned: list[tg.Tensor] = []
        self.rowwise = True

    def __call__(self, shape: tuple[int, ...], number: int) -> Any:
        key = (shape, number % 4)
        if key not in self._known:
            array = values(shape, f"constant {key}") / max(1, shape[0] if shape else 1) ** 0.5
            if number % 4 == 3:
                self._known[key] = array
            else:
                self._known[key] = tg.Tensor(array, requires_grad=number % 4 < 2)
            if number % 4 < 2:
                self.learned.append(self._known[key])
        return self._known[key]


def values(shape: tuple[int, ...], seed: str) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(seed.encode())).normal(size=shape)


def fit(a: Any, width: int) -> Any:
    """Return a value (batch, n) with another number of columns."""
    while a.shape[1] < width:
        a = np.concatenate([a, a], axis=1)
    return a if a.shape[1] == width else a[:, :width]


def mixing(function):
    """Mark an operation that needs the number of rows to stay what it is."""

    def call(a, b, c, k):
        c.rowwise = False
        return function(a, b, c, k)

    return call


def of(a, m, k, c):
    return c((a.shape[1], m), k)


def attend(a, memory):
    scores = np.matmul(memory, a[:, :, None])[..., 0]
    return np.matmul(tg.softmax(scores, axis=-1)[:, None, :], memory)[:, 0]


def gated(a, b, c, k):
    n = 1 + k % 3
    left, right = np.split(a @ of(a, 2 * n, k, c) + b @ of(b, 2 * n, k + 1, c) + c((2 * n,), k), 2, axis=-1)
    return left * tg.sigmoid(right)


def four_gates(a, b, c, k):
    n = 1 + k % 3
    i, f, g, o = np.split(
        a @ of(a, 4 * n, k, c) + c((4 * n,), 0) + (b @ of(b, 4 * n, k + 1, c) + c((4 * n,), 1)), 4, -1
    )
    return tg.sigmoid(o) * np.tanh(tg.sigmoid(f) * fit(b, n) + tg.sigmoid(i) * np.tanh(g))


def uneven(a, b, c, k):
    first, second, third = np.split(np.tanh(a @ of(a, 6, k, c)) * c((6,), k), [1, 3], axis=-1)
    return np.concatenate([third, first * second], axis=-1)


def normalised(a, b, c, k):
    centred = a - np.mean(a, axis=-1, keepdims=True)
    return centred / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + 0.5) * c((a.shape[1],), k)


def weight_norm(a, b, c, k):
    weight = of(a, 3, k, c)
    return a @ (weight / np.sqrt(1 + np.sum(weight * weight, axis=0, keepdims=True)))


def same_weight_twice(a, b, c, k):
    weight = of(a, 2 + k % 2, k, c)
    return a @ weight + np.tanh(a) @ weight


def tied(a, b, c, k):
    weight = of(a, 3, k, c)
    return np.tanh(a @ weight) @ weight.T


OPERATIONS = {
    "tanh": lambda a, b, c, k: np.tanh(a),
    "sigmoid": lambda a, b, c, k: tg.sigmoid(a),
    "exp": lambda a, b, c, k: np.exp(0.3 * np.sin(a)),
    "log1p": lambda a, b, c, k: np.log1p(a * a),
    "power": lambda a, b, c, k: np.tanh(a) ** (2 + k % 2),
    "sqrt": lambda a, b, c, k: np.sqrt(1 + a**2),
    "cos": lambda a, b, c, k: np.cos(a),
    "erf": lambda a, b, c, k: tg.gelu(a),
    "silu": lambda a, b, c, k: tg.silu(a),
    "negative": lambda a, b, c, k: -a,
    "abs": lambda a, b, c, k: abs(a),
    "clip": lambda a, b, c, k: np.clip(a, -0.81, 0.93),
    "relu": lambda a, b, c, k: tg.relu(a),
    "softplus": lambda a, b, c, k: tg.softplus(a),
    "number": lambda a, b, c, k: [a * 2, 1 - a, a / 3, 0.5 + a, a - np.float64(0.2), a * np.float32(0.5)][k % 6],
    "multiply": lambda a, b, c, k: a * fit(b, a.shape[1]),
    "add": lambda a, b, c, k: a + fit(b, a.shape[1]),
    "twice": lambda a, b, c, k: a + a * a,
    "subtract": lambda a, b, c, k: a - fit(b, a.shape[1]),
    "divide": lambda a, b, c, k: a / (1 + fit(b, a.shape[1]) ** 2),
    "maximum": lambda a, b, c, k: np.maximum(a, 0.37 + fit(b, a.shape[1]) * 0.9),
    "minimum": lambda a, b, c, k: np.minimum(a, 0.21 - fit(b, a.shape[1]) * 0.9),
    "logaddexp": lambda a, b, c, k: np.logaddexp(a, fit(b, a.shape[1])),
    "where": lambda a, b, c, k: np.where(a > 0.03 + 0.3 * fit(b, a.shape[1]), a, 0.5 * fit(b, a.shape[1])),
    "where number": lambda a, b, c, k: np.where((a > -1.1) & (fit(b, a.shape[1]) < 1.2), a, 0),
    "sign": lambda a, b, c, k: np.sign(a + 0.013) * fit(b, a.shape[1]),
    "product": lambda a, b, c, k: a @ of(a, 1 + k % 4, k, c),
    "two products": lambda a, b, c, k: a @ of(a, 3, k, c) + b @ of(b, 3, k + 1, c) + c((3,), k),
    "two biases": lambda a, b, c, k: a @ of(a, 3, k, c) + c((3,), 0) + b @ of(b, 3, k, c) + c((3,), 1) + 0.5,
    "joined product": lambda a, b, c, k: np.concatenate([a, b], axis=-1) @ c((a.shape[1] + b.shape[1], 2), k),
    "same weight twice": same_weight_twice,
    "tied": tied,
    "weight norm": weight_norm,
    "masked": lambda a, b, c, k: a @ (of(a, 3, 0, c) * (of(a, 3, 3, c) > 0)),
    "to a number": lambda a, b, c, k: (a @ c((a.shape[1],), k))[:, None] * fit(b, 2),
    "einsum": lambda a, b, c, k: np.einsum("bi,ij->bj", a, of(a, 3, k, c)),
    "outer": lambda a, b, c, k: np.einsum("bi,bj->bij", a, b).sum(axis=1 + k % 2),
    "bilinear": lambda a, b, c, k: np.einsum("bi,bj,ijk->bk", a, b, c((a.shape[1], b.shape[1], 2), k)),
    "gated": gated,
    "four gates": four_gates,
    "uneven": uneven,
    "normalised": normalised,
    "join": lambda a, b, c, k: np.concatenate([a[:, :3], b[:, :3]], axis=1),
    "stack": lambda a, b, c, k: np.stack([a, fit(b, a.shape[1])], axis=1 + k % 2).mean(axis=1 + k % 2),
    "bias": lambda a, b, c, k: a + c([(a.shape[1],), (1, a.shape[1]), (), (1,), (1, 1)][k % 5], k),
    "scale": lambda a, b, c, k: a * c([(a.shape[1],), (1, a.shape[1]), ()][k % 3], k // 2),
    "bias for rows": mixing(lambda a, b, c, k: a + c([(len(a), a.shape[1]), (len(a), 1)][k % 2], k)),
    "columns": lambda a, b, c, k: [a[:, :2], a[:, -1:], a[:, ::-1], a[..., ::2], a[:, min(1, a.shape[1] - 1) :]][k % 5],
    "column": lambda a, b, c, k: (a[:, 0] if k % 2 else a[..., -1])[:, None] + b,
    "chosen": lambda a, b, c, k: a[:, np.array([0, a.shape[1] - 1, 0])],
    "rows of sums": lambda a, b, c, k: (np.sum(a, axis=-1) * np.tanh(np.mean(b, axis=1)))[:, None] * fit(b, 2),
    "extremes": lambda a, b, c, k: b - [np.max, np.min][k % 2](a, axis=-1, keepdims=True),
    "keepdims": lambda a, b, c, k: np.sum(np.sin(a), axis=1, keepdims=True) * b,
    "softmax": lambda a, b, c, k: [tg.softmax, tg.log_softmax][k % 2](a, axis=-1),
    "logsumexp": lambda a, b, c, k: b * tg.logsumexp(a, axis=-1)[:, None],
    "cumsum": lambda a, b, c, k: np.cumsum(np.tanh(a), axis=-1),
    "reshape": lambda a, b, c, k: (a.reshape(len(a), 1, a.shape[1]) * b[:, :, None]).sum(1),
    "wide reshape": lambda a, b, c, k: np.tanh(b[:, :2, None] * a[:, None, :3]).reshape(
        len(a), min(2, b.shape[1]) * min(3, a.shape[1])
    ),
    "transpose": lambda a, b, c, k: (a.T * 2 + 1).T,
    "broadcast": lambda a, b, c, k: np.broadcast_to(a[:, :1], (len(a), 3)) * fit(b, 3),
    "broadcast product": lambda a, b, c, k: np.broadcast_to(a[:, -1:], (len(a), 3)) @ c((3, 2), k),
    "detach": lambda a, b, c, k: a * np.tanh(fit(b, a.shape[1])).detach(),
    "single": lambda a, b, c, k: a.astype(np.float32) * 0.5,
    "double": lambda a, b, c, k: a.astype(np.float64),
    "attention": mixing(lambda a, b, c, k: attend(a, c((len(a), SLOTS, a.shape[1]), k))),
    "own attention": lambda a, b, c, k: attend(a, np.stack([a, np.tanh(a), fit(b, a.shape[1])], axis=1)),
    "stacked weight": lambda a, b, c, k: np.matmul(a, c((2, a.shape[1], 3), k)).sum(0),
    "heads": lambda a, b, c, k: np.matmul(a[:, None, None, :], c((2, a.shape[1], 3), k)).sum((1, 2)),
    "rows": mixing(lambda a, b, c, k: c((len(a), len(a)), k) @ a),
    "mean of rows": mixing(lambda a, b, c, k: a - np.mean(a, axis=0)),
    "products of states": mixing(lambda a, b, c, k: np.tanh(a @ fit(b, a.shape[1]).T) @ b),
    "vector": lambda a, b, c, k: a + np.tanh(c((a.shape[1], a.shape[1]), k) @ c((a.shape[1],), k)),
}


@dataclass(frozen=True)
class Program:
    """A step as data: `instructions` are (operation, places of two values, a number) in a growing list of values.

    Args:
        batch: number of rows.
        inputs: columns of each input; 0 for (batch,), -1 for tokens.
        states: columns of each leaf of the state; 0 for (batch,), -1 for counts, -2 for a memory (batch, slots, 2).
        instructions: what is done.
        outputs: places of the values that are put out; negative ones count from the end.
        after: place of the value that each leaf of the state is set to; None leaves it as it is.
    """

    batch: int
    inputs: tuple[int, ...]
    states: tuple[int, ...]
    instructions: tuple[tuple[str, int, int, int], ...]
    outputs: tuple[int, ...]
    after: tuple[int | None, ...]

    def specs(self, columns: tuple[int, ...]) -> list[Spec]:
        shapes = {0: (self.batch,), -1: (self.batch,), -2: (self.batch, SLOTS, 2)}
        return [Spec(shapes.get(n, (self.batch, n)), np.dtype(int if n == -1 else float)) for n in columns]

    def step(self, constants: Constants):
        def run(x, state):
            pool: list[Any] = []
            for columns, leaf in zip(self.inputs, x, strict=True):
                if columns == -1:
                    pool.append(constants((VOCABULARY, 3), 0)[leaf])
                else:
                    pool.append(leaf if columns else leaf[:, None])
            for columns, leaf in zip(self.states, state, strict=True):
                if columns == -1:
                    pool.append(np.cos(leaf)[:, None] * 0.5)
                elif columns == -2:
                    pool.append(attend(fit(pool[0], 2), leaf))
                else:
                    pool.append(leaf if columns else leaf[:, None])
            for name, i, j, number in self.instructions:
                pool.append(OPERATIONS[name](pool[i % len(pool)], pool[j % len(pool)], constants, number))
                if pool[-1].shape[1] > 9:
                    pool[-1] = pool[-1][:, :9]
            after = []
            for columns, leaf, place in zip(self.states, state, self.after, strict=True):
                if place is None:
                    after.append(leaf)
                    continue
                value = pool[place % len(pool)].astype(np.float64)
                if columns == -1:
                    after.append(leaf + 1)
                elif columns == -2:
                    after.append(0.9 * leaf + 0.1 * fit(value, 2)[:, None, :])
                else:
                    after.append(fit(value, columns) if columns else value[:, 0])
            outputs = tuple([pool[place % len(pool)] for place in self.outputs])
            y = outputs[0] if len(outputs) == 1 else {"first": outputs[0], "others": outputs[1:]}
            return y, tuple(after)

        return run


@st.composite
def programs(draw, names=tuple(OPERATIONS), batches=(1, 2, 3), inputs=(1, 2, 3, 0, -1), states=(1, 2, 3, 0, -1, -2)):
    kinds = st.lists(st.sampled_from(states), min_size=1, max_size=3).map(tuple)
    place = st.integers(0, 11)
    number = st.integers(0, 7)
    chosen = draw(kinds)
    return Program(
        draw(st.sampled_from(batches)),
        draw(st.lists(st.sampled_from(inputs), min_size=1, max_size=2).map(tuple)),
        chosen,
        tuple(draw(st.lists(st.tuples(st.sampled_from(names), place, place, number), min_size=1, max_size=7))),
        tuple(draw(st.lists(st.integers(-4, 11), min_size=1, max_size=3))),
        tuple(
            [draw(st.one_of(st.none(), st.integers(-4, 11)) if i else st.integers(-4, 11)) for i in range(len(chosen))]
        ),
    )


# A run of it


@dataclass(frozen=True)
class Problem:
    """A program with the loop around it."""

    program: Program
    time: int
    reverse: bool = False
    lengths: tuple[int, ...] | None = None
    keep_states: bool = True
    constants: Constants = field(default_factory=Constants, compare=False)

    def arrays(self):
        program = self.program
        xs = [
            self._array((self.time, *spec.shape), spec, f"x {i}")
            for i, spec in enumerate(program.specs(program.inputs))
        ]
        init = [self._array(spec.shape, spec, f"h {i}") for i, spec in enumerate(program.specs(program.states))]
        return xs, init

    @staticmethod
    def _array(shape, spec, seed):
        array = values(shape, seed)
        return array if spec.dtype.kind == "f" else np.floor(abs(array) * 99).astype(int) % VOCABULARY

    def tensors(self):
        return [
            [tg.Tensor(array, requires_grad=array.dtype.kind == "f") for array in arrays] for arrays in self.arrays()
        ]

    def run(self, engine, xs, init):
        step = self.program.step(self.constants)
        if engine == "reference":
            ys, states, final = _run_compiled(
                Engine("reference", reference, lambda step: step),
                False,
                step,
                tuple(init),
                tuple(xs),
                self.time,
                self.reverse,
                self.keep_states,
            )
            return (ys, final, states) if self.keep_states else (ys, final)
        lengths = None if self.lengths is None else np.array(self.lengths)
        return scan(
            step, tuple(init), tuple(xs), lengths, reverse=self.reverse, return_states=self.keep_states, engine=engine
        )

    def loss(self, results):
        total = 0.0
        for i, leaf in enumerate(tree_flatten(results)[0]):
            if leaf.dtype.kind == "f":
                total = total + np.sum(leaf * values(leaf.shape, f"loss {i}")).astype(np.float64)
        return total

    def answers(self, engine, order=1):
        """Return all that can be asked of a loop, by name."""
        xs, init = self.tensors()
        found = self.run(engine, xs, init)
        answer = {f"result {i}": leaf.data for i, leaf in enumerate(tree_flatten(found)[0])}
        with tg.no_grad():  # where nothing is kept for a backward pass
            plain = tree_flatten(self.run(engine, xs, init))[0]
        answer |= {f"plain result {i}": leaf.data for i, leaf in enumerate(plain)}
        leaves = [leaf for leaf in (*xs, *init, *self.constants.learned) if leaf.requires_grad]
        slopes = gradients(self.loss(found), leaves, record=order > 1)
        answer |= {f"gradient {i}": np.asarray(getattr(g, "data", g)) for i, g in enumerate(slopes)}
        if order > 1:
            size = sum(np.sum(g * g).astype(np.float64) for g in slopes)
            answer |= {f"second gradient {i}": g for i, g in enumerate(gradients(size, leaves))}
        return answer

    def pushed(self, engine):
        """Return the derivative along a direction, and that of the gradient."""
        xs, init = self.arrays()
        moving = [i for i, array in enumerate((*xs, *init)) if array.dtype.kind == "f"]

        def function(*args):
            every = [*xs, *init]
            for i, arg in zip(moving, args, strict=True):
                every[i] = arg
            return self.run(engine, every[: len(xs)], every[len(xs) :])

        primals = tuple([(*xs, *init)[i] for i in moving])
        tangents = tuple([values(primal.shape, f"tangent {i}") for i, primal in enumerate(primals)])
        tangent = tg.jvp(function, primals, tangents)[1]
        curved = tg.hvp(lambda *args: self.loss(function(*args)), primals, tangents)
        return {f"{i}": np.asarray(leaf.data) for i, leaf in enumerate(tree_flatten((tangent, curved))[0])}


def gradients(loss, leaves, record=False):
    """Return the gradients, zeros where the loss depends on nothing that has one."""
    if isinstance(loss, tg.Tensor) and loss.requires_grad:
        return tg.gradients(loss, leaves, record=record)
    return [np.zeros(leaf.shape, leaf.dtype) for leaf in leaves]


def assert_same(found, expected, what, tolerance=1e-12):
    assert list(found) == list(expected), what
    for name, value in expected.items():
        assert found[name].shape == value.shape, (what, name)
        assert found[name].dtype == value.dtype, (what, name)
        scale = max(1.0, np.max(abs(value.astype(float)), initial=0))
        np.testing.assert_allclose(found[name], value, rtol=0, atol=tolerance * scale, err_msg=f"{what}: {name}")


def tolerance_of(problem):
    single = any(name == "single" for name, *_ in problem.program.instructions)
    return 2e-5 if single else 1e-12


def is_tame(answers):
    return all(np.all(abs(value.astype(float)) < 1e4) for value in answers.values())


@st.composite
def problems(draw, **options):
    program = draw(programs(**options))
    time = draw(st.integers(1, 5))
    problem = Problem(program, time, draw(st.booleans()), keep_states=draw(st.booleans()))
    if draw(st.booleans()):
        problem.run("eager", *problem.tensors())
        if problem.constants.rowwise:
            lengths = draw(st.lists(st.integers(0, time), min_size=program.batch, max_size=program.batch))
            return Problem(program, time, problem.reverse, tuple(lengths), problem.keep_states, problem.constants)
    return problem


def compare(problem, engines, order=1):
    expected = problem.answers("eager", order)
    assume(is_tame(expected))
    for engine in engines:
        if engine != "reference" or problem.lengths is None:
            assert_same(problem.answers(engine, order), expected, engine, tolerance_of(problem))


# Engines


@settings(max_examples=150)
@given(problems())
def test_a_compiled_loop_gives_what_the_recorded_loop_gives(problem):
    compare(problem, ["reference", "numpy"])


@settings(max_examples=40)
@given(problems())
def test_second_derivatives_of_a_compiled_loop_are_those_of_the_recorded_loop(problem):
    compare(problem, ["numpy"], order=2)


@settings(max_examples=30)
@given(problems())
def test_tangents_and_curvatures_of_a_compiled_loop_are_those_of_the_recorded_loop(problem):
    expected = problem.pushed("eager")
    assume(is_tame(expected))
    assert_same(problem.pushed("numpy"), expected, "numpy", tolerance_of(problem))


needs_llvmlite = pytest.mark.skipif(not has_native(), reason="llvmlite is not installed")
# What machine code is emitted for; a loop with anything else is one of the engine "numpy".
NATIVE = (
    *("tanh", "sigmoid", "exp", "log1p", "sqrt", "silu", "negative", "abs", "clip", "relu", "softplus", "number"),
    *("multiply", "add", "twice", "subtract", "divide", "maximum", "minimum", "where", "where number", "product"),
    *("two products", "two biases", "joined product", "same weight twice", "tied", "weight norm", "masked", "gated"),
    *("four gates", "uneven", "normalised", "join", "bias", "scale", "rows of sums", "keepdims", "broadcast", "detach"),
    "broadcast product",
    *("single", "double", "vector"),
)
native_problems = problems(names=NATIVE, batches=(1, 2, 3, 9), inputs=(1, 2, 3, 9, 0), states=(1, 2, 3, 9, 0))


@needs_llvmlite
@settings(max_examples=12)
@given(native_problems)
def test_machine_code_gives_what_the_recorded_loop_gives(problem):
    compare(problem, ["native"])


@needs_llvmlite
@settings(max_examples=2)
@given(native_problems)
def test_second_derivatives_in_machine_code_are_those_of_the_recorded_loop(problem):
    compare(problem, ["native"], order=2)


# Passes


def run_step(step, engine, time, reverse=False):
    """Run a step, a derived one too, on numbers of its inputs' shapes."""
    specs = [node.specs[0] for node in step.inputs]
    moving = range(len(step.carry), len(step.carry) + len(step.xs))
    arrays = []
    for i, spec in enumerate(specs):
        array = values((time, *spec.shape) if i in moving else spec.shape, f"argument {i}")
        # Integers may be indices, and some states are 0 by their nature.
        empty = spec.dtype.kind in "iu" or step.inputs[i] in step.zeros
        arrays.append(np.zeros(array.shape, spec.dtype) if empty else array.astype(spec.dtype))
    with np.errstate(all="ignore"):
        return {f"{i}": np.asarray(out) for i, out in enumerate(engine(step)(arrays, time, reverse))}


def steps_of(problem):
    """Return a step and those that are derived from it."""
    program, constants = problem.program, problem.constants
    xs, init = program.specs(program.inputs), program.specs(program.states)
    structures = tree_flatten(tuple(xs))[1], tree_flatten(tuple(init))[1]
    step = traced(program.step(constants), xs, init, structures).step
    floats = tuple([node.specs[0].dtype.kind == "f" for node in step.xs])
    constants = tuple([node.specs[0].dtype.kind == "f" for node in step.constants])
    saved = derive.saving(step, floats, constants)
    everything = derive.Wanted((True,) * len(saved.ys), floats, constants)
    moves = tuple([node.specs[0].dtype.kind == "f" for node in step.carry])
    backward = derive.vjp(saved, everything).step
    return {"step": step, "saving": saved, "vjp": backward, "jvp": derive.jvp(step, moves, floats, constants).step}


def prepared(step):
    return simplify(narrow(reassociate(simplify(step))))


@pytest.mark.parametrize("change", [simplify, reassociate, narrow, prepared])
@settings(max_examples=40)
@given(problem=problems())
def test_a_pass_changes_no_value_and_leaves_a_sound_graph(change, problem):
    for name, step in steps_of(problem).items():
        step.graph.check()
        expected = run_step(step, reference, problem.time, problem.reverse)
        assume(all(np.all(np.isfinite(value)) and np.all(abs(value) < 1e4) for value in expected.values()))
        changed = change(step)
        changed.graph.check()
        found = run_step(changed, reference, problem.time, problem.reverse)
        assert_same(found, expected, f"{change.__name__} of {name}", tolerance_of(problem))


@settings(max_examples=60)
@given(problems())
def test_the_numpy_source_of_derived_steps_computes_what_they_say(problem):
    for name, step in steps_of(problem).items():
        expected = run_step(step, reference, problem.time, problem.reverse)
        assume(all(np.all(np.isfinite(value)) and np.all(abs(value) < 1e4) for value in expected.values()))
        found = run_step(step, numpy_engine, problem.time, problem.reverse)
        assert_same(found, expected, name, tolerance_of(problem))
