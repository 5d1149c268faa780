"""A state machine builds random graphs and goes backward through them in any order, against a naive engine."""

from itertools import count

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import FreedGraphError, GraphError
from tinygrad_rnn.testing.strategies import indices, shapes

# The naive engine: every operation keeps the whole matrix of its derivatives, which it finds by complex steps, so it
# has no rule for anything. (f(x + ih) has the imaginary part h f'(x), exact for tiny h: Squire and Trapp 1998.)

order = count()
TINY = 1e-30


class Naive:
    """A value, the operation it came from, and its parents with the matrix of derivatives by each of them."""

    def __init__(self, data, parents=(), operation=None, requires_grad=False):
        self.data = np.array(data, dtype=float)
        self.parents = list(parents)
        self.operation = operation
        self.requires_grad = requires_grad or bool(self.parents)
        self.number = next(order)
        self.grad = None
        self.keeps_grad = requires_grad

    def ancestors(self):
        found, stack = {self}, [self]
        while stack:
            for parent, _ in stack.pop().parents:
                if parent not in found:
                    found.add(parent)
                    stack.append(parent)
        return sorted(found, key=lambda value: -value.number)


class Operation:
    """One call; several results share it, and are freed together."""

    freed = False


def derivative(function, args, position):
    columns = []
    for place in range(args[position].data.size):
        moved = [np.array(arg.data, dtype=complex, order="C") for arg in args]
        moved[position].reshape(-1)[place] += 1j * TINY
        columns.append(np.imag(function(*moved)).reshape(-1) / TINY)
    size = function(*[arg.data for arg in args]).size
    return np.stack(columns, 1) if columns else np.zeros((size, 0))


def apply(function, *args, operation=None):
    operation = operation or Operation()
    parents = [(arg, derivative(function, args, i)) for i, arg in enumerate(args) if arg.requires_grad]
    return Naive(function(*[arg.data for arg in args]), parents, operation if parents else None)


def cotangents(root, seed, within=None):
    """Return the cotangent of everything that a value came from; `within` limits the way to some values."""
    found = {root: np.array(seed, dtype=float).reshape(-1)}
    for value in root.ancestors():
        for parent, matrix in value.parents:
            if value in found and (within is None or parent in within):
                found[parent] = found.get(parent, 0) + matrix.T @ found[value]
    return {value: cotangent.reshape(value.data.shape) for value, cotangent in found.items()}


# The machine

UNARY = {
    "tanh": np.tanh,
    "sin": np.sin,
    "square": np.square,
    "negative": np.negative,
    "exp of a small number": lambda a: np.exp(0.1 * a),
    "sum": lambda a: np.sum(a),
    "mean of rows": lambda a: np.mean(a, axis=-1) if a.ndim else a * 2.0,
    "ravel": lambda a: np.reshape(a, (-1,)),
    "transpose": lambda a: np.transpose(a),
    "new axis": lambda a: a[None],
    "reversed": lambda a: np.flip(a),
    "running sum": lambda a: np.cumsum(a, axis=-1) if a.ndim else a * 3.0,
    "itself twice": lambda a: a * a + a,
}
BINARY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": lambda a, b: a * b,
    "quotient": lambda a, b: a / (2.0 + b * b),
    "outer": lambda a, b: np.einsum("i,j->ij", np.reshape(a, (-1,))[:3], np.reshape(b, (-1,))[:3]),
    "dot": lambda a, b: np.reshape(a, (-1,))[:1] @ np.reshape(b, (1, -1)),
    "stack": lambda a, b: np.stack([np.sum(a), np.sum(b)]),
    "concatenate": lambda a, b: np.concatenate([np.reshape(a, (-1,)), np.reshape(b, (-1,))]),
    "choice": lambda a, b: np.where(np.arange(4).reshape(2, 2) % 3 == 0, np.sum(a), np.sum(b)),
}
operations = st.lists(st.sampled_from(["unary", "binary", "index", "split"]), min_size=3, max_size=8)
numbers = st.integers(0, 2**32 - 1).map(np.random.default_rng)


class Machine(RuleBasedStateMachine):
    """Every value is a pair: our tensor, and that of the naive engine."""

    def __init__(self):
        super().__init__()
        self.leaves = []
        self.retained = []
        self.values = []

    def keep(self, tensor, naive):
        """See that both engines agree on a value; keep it if it is small."""
        np.testing.assert_allclose(tensor.data, naive.data, rtol=1e-9, atol=1e-9)
        assert tensor.requires_grad == naive.requires_grad
        if 0 < naive.data.size <= 36 and naive.data.ndim <= 4 and np.abs(naive.data).max() < 1e3:
            self.values.append((tensor, naive))

    def draw(self, data, values):
        """Draw one of the values: often one of the last that came from an operation."""
        results = [value for value in values if value[1].operation][-5:]
        return data.draw(st.sampled_from(results * 3 + values))

    @initialize(data=st.data(), kinds=operations, rng=numbers)
    def start(self, data, kinds, rng):
        self.parameter((3,), rng)
        self.parameter((2, 3), rng)
        self.compute(data, kinds)

    @rule(shape=shapes(max_dims=2), rng=numbers)
    def parameter(self, shape, rng):
        start = rng.uniform(-1, 1, shape)
        self.leaves.append((nn.Parameter(start), Naive(start, requires_grad=True)))
        self.keep(*self.leaves[-1])

    @rule(shape=shapes(max_dims=2), rng=numbers)
    def constant(self, shape, rng):
        start = rng.uniform(-1, 1, shape)
        self.keep(tg.Tensor(start), Naive(start))

    @rule(
        data=st.data(), kinds=st.lists(st.sampled_from(["unary", "binary", "index", "split"]), min_size=3, max_size=8)
    )
    def compute(self, data, kinds):
        for kind in kinds:
            getattr(self, f"_{kind}")(data)

    def _unary(self, data):
        tensor, naive = self.draw(data, self.values)
        function = UNARY[data.draw(st.sampled_from(sorted(UNARY)))]
        self.keep(function(tensor), apply(function, naive))

    def _binary(self, data):
        a, b = self.draw(data, self.values), self.draw(data, self.values)
        name = data.draw(st.sampled_from(sorted(BINARY)))
        try:
            np.broadcast_shapes(a[0].shape, b[0].shape)
        except ValueError:
            name = "stack" if name in ("add", "subtract", "multiply", "quotient") else name
        self.keep(BINARY[name](a[0], b[0]), apply(BINARY[name], a[1], b[1]))

    def _index(self, data):
        tensor, naive = self.draw(data, self.values)
        key = data.draw(indices(tensor.shape))
        self.keep(tensor[key], apply(lambda array: np.asarray(array[key]), naive))

    def _split(self, data):
        tensor, naive = self.draw(data, self.values)
        if naive.data.ndim and len(naive.data) > 1:
            operation = Operation()
            first, second = np.split(tensor, [1])
            self.keep(first, apply(lambda array: array[:1], naive, operation=operation))
            self.keep(second, apply(lambda array: array[1:], naive, operation=operation))

    @rule(data=st.data(), way=st.sampled_from(["detach", "no_grad"]))
    def cut(self, data, way):
        tensor, naive = self.draw(data, self.values)
        with tg.no_grad():
            self.keep(tensor.detach() if way == "detach" else tensor * 1.0, Naive(naive.data))

    @rule(data=st.data())
    def retain_grad(self, data):
        tensor, naive = self.draw(data, self.values)
        if not naive.requires_grad:
            with pytest.raises(GraphError):
                tensor.retain_grad()
        else:
            tensor.retain_grad()
            naive.keeps_grad = True
            self.retained.append((tensor, naive))

    @rule(data=st.data(), rng=numbers)
    def rebind(self, data, rng):
        """What was computed before keeps its derivatives: they are those at the old value."""
        tensor, naive = self.draw(data, self.leaves)
        naive.data = rng.uniform(-1, 1, tensor.shape)
        tensor.assign(naive.data)

    @rule(data=st.data())
    def forget_a_gradient(self, data):
        tensor, naive = self.draw(data, self.leaves)
        tensor.grad = naive.grad = None

    @rule(data=st.data(), kinds=operations, times=st.integers(2, 4), rng=numbers)
    def backward(self, data, kinds, times, rng):
        self.compute(data, kinds)
        for _ in range(times):
            results = [value for value in self.values if value[1].operation]
            tensor, naive = self.draw(data, results or self.values)
            seed = rng.uniform(-1, 1, tensor.shape)
            retain = data.draw(st.booleans())
            call = lambda tensor=tensor, seed=seed, retain=retain: tensor.backward(seed, retain_graph=retain)
            if not naive.requires_grad:
                with pytest.raises(GraphError):
                    call()
            elif self.passes(call, naive.ancestors(), retain):
                for value, cotangent in cotangents(naive, seed).items():
                    if value.keeps_grad:
                        value.grad = cotangent if value.grad is None else value.grad + cotangent

    @rule(data=st.data(), retain=st.booleans(), rng=numbers)
    def gradients(self, data, retain, rng):
        tensor, naive = data.draw(st.sampled_from(self.values[::-1]))
        parameter, leaf = self.draw(data, self.leaves)
        if naive.requires_grad:
            seed = rng.uniform(-1, 1, tensor.shape)
            between = {value for value in naive.ancestors() if leaf in value.ancestors()}
            found = []
            call = lambda: found.extend(tg.gradients(tensor, [parameter], seed, retain_graph=retain))
            if self.passes(call, between, retain):
                expected = cotangents(naive, seed, between).get(leaf, np.zeros(leaf.data.shape))
                np.testing.assert_allclose(found[0], expected, rtol=1e-8, atol=1e-8)

    def passes(self, call, values, retain):
        """Run a sweep over some values; it must raise if one of their operations was freed by an earlier one."""
        operations = {value.operation for value in values if value.operation}
        if any(operation.freed for operation in operations):
            with pytest.raises(FreedGraphError):
                call()
            return False
        call()
        for operation in operations:
            operation.freed = not retain
        return True

    @invariant()
    def gradients_and_values_agree(self):
        for tensor, naive in self.leaves + self.retained:
            assert (tensor.grad is None) == (naive.grad is None)
            if naive.grad is not None:
                scale = max(1.0, float(np.abs(naive.grad).max(initial=0.0)))
                np.testing.assert_allclose(tensor.grad, naive.grad, rtol=1e-8, atol=1e-9 * scale)
        for tensor, naive in self.leaves:
            np.testing.assert_array_equal(tensor.data, naive.data)

    @invariant()
    def no_two_gradients_share_memory(self):
        arrays = [tensor.grad for tensor, _ in self.leaves + self.retained if tensor.grad is not None]
        distinct = list({id(array): array for array in arrays}.values())
        for i, array in enumerate(distinct):
            assert not any(np.shares_memory(array, other) for other in distinct[:i])


TestMachine = Machine.TestCase
TestMachine.settings = settings(stateful_step_count=30)
