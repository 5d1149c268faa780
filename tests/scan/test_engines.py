"""Compiled loops beside the recorded one: hostile sizes, the life of their arrays, changes between calls, fallback."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import TraceError
from tinygrad_rnn.core.tree import tree_flatten
from tinygrad_rnn.scan import scan
from tinygrad_rnn.scan.engines import EngineWarning, available

COMPILED = [name for name in available() if name != "eager"]
EVERY = pytest.mark.parametrize("engine", COMPILED)
RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape)


def leaky(x, h):
    h = np.tanh(0.5 * h + x)
    return h * x, h


def answers(function, *leaves):
    """Return results of a function of tensors, and the gradients of a sum of their sines."""
    found = tree_flatten(function(*leaves))[0]
    loss = sum(np.sum(np.sin(leaf)) for leaf in found if leaf.dtype.kind == "f")
    slopes = tg.gradients(loss, [leaf for leaf in leaves if leaf.requires_grad])
    return [leaf.data for leaf in found] + list(slopes)


def assert_same(found, expected, tolerance=1e-12):
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def assert_agree(engine, function, *arrays, tolerance=1e-12):
    """Hold an engine against the recorded loop; `function` takes tensors and calls `scan` or a layer."""
    leaves = [tg.Tensor(array, requires_grad=True) for array in arrays]
    found = []
    for name in ("eager", engine):
        with tg.engine(name):
            found.append(answers(function, *leaves))
            with tg.no_grad():  # where nothing is kept for a backward pass
                found[-1] += [leaf.data for leaf in tree_flatten(function(*leaves))[0]]
    assert_same(found[1], found[0], tolerance)


# Sizes


@EVERY
@pytest.mark.parametrize(("hidden", "batch"), [(1, 31), (7, 1), (8, 8), (9, 33), (31, 7), (33, 9)])
def test_sizes_around_those_of_vector_registers(engine, hidden, batch):
    cell, time = nn.RNNCell(3, hidden).astype(np.float64), 3

    def run(x, h, *parameters):
        return scan(cell, h, x, return_states=True)

    leaves = [
        tg.Tensor(normal(time, batch, 3), requires_grad=True),
        tg.Tensor(normal(batch, hidden), requires_grad=True),
    ]
    leaves += cell.parameters()
    with tg.engine("eager"):
        expected = answers(run, *leaves)
    with tg.engine(engine):
        assert_same(answers(run, *leaves), expected)


@EVERY
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [None, 0, "all"])
@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("time", [0, 1, 2])
def test_few_steps_and_few_rows(engine, time, batch, lengths, reverse):
    given = lengths if lengths is None else np.full(batch, 0 if lengths == 0 else time)

    def run(x, h):
        return scan(leaky, h, x, given, reverse=reverse, return_states=True)

    assert_agree(engine, run, np.ones((time, batch, 2)), np.ones((batch, 2)))


@EVERY
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("time", "batch"), [(0, 0), (0, 2), (3, 0), (1, 1)])
def test_a_layer_takes_few_steps_and_few_rows(engine, time, batch, bidirectional):
    layer = nn.RNN(2, 3, bidirectional=bidirectional).astype(np.float64)
    assert_agree(engine, lambda x: layer(x, return_states=True), normal(time, batch, 2))
    assert_agree(engine, lambda x: layer(x, lengths=np.full(batch, time)), normal(time, batch, 2))


# Arrays


@EVERY
def test_two_calls_before_one_backward_keep_apart(engine):
    x, y = tg.Tensor(normal(4, 2, 3), requires_grad=True), tg.Tensor(normal(4, 2, 3), requires_grad=True)
    init = np.zeros((2, 3))

    def both(x, y):
        first, second = scan(leaky, init, x), scan(leaky, init, y)
        return first[0] * second[0], first[1] + scan(leaky, second[1], x)[1]

    assert_agree(engine, both, x.data, y.data)


@EVERY
def test_results_stay_when_the_loop_runs_again(engine):
    layer = nn.GRU(3, 4).astype(np.float64)
    with tg.engine(engine):
        x = tg.Tensor(normal(5, 2, 3), requires_grad=True)
        kept = layer(x, return_states=True)
        loss = sum(np.sum(leaf**2) for leaf in kept)
        copies = [leaf.data.copy() for leaf in kept]
        for _ in range(5):
            again = layer(normal(5, 2, 3))[0]
            np.sum(again).backward()
            del again
        for leaf, copy in zip(kept, copies, strict=True):
            np.testing.assert_array_equal(leaf.data, copy)
        found = tg.gradients(loss, [x], retain_graph=True)[0]
        np.testing.assert_array_equal(tg.gradients(loss, [x])[0], found)
    with tg.engine("eager"):
        expected = tg.gradients(sum(np.sum(leaf**2) for leaf in layer(x, return_states=True)), [x])[0]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@EVERY
def test_gradients_belong_to_their_leaves(engine):
    x, init = tg.Tensor(normal(3, 2, 2), requires_grad=True), tg.Tensor(np.zeros((2, 2)), requires_grad=True)
    with tg.engine(engine):
        ys, final = scan(lambda x, h: (h, h + x), init, x)
        (np.sum(ys) + np.sum(final)).backward()
    x.grad[:] = 100
    assert abs(init.grad).max() < 10
    np.testing.assert_array_equal(ys.data, np.concatenate([np.zeros((1, 2, 2)), np.cumsum(x.data, 0)[:-1]]))


@EVERY
def test_threads_that_run_one_step_at_once_do_not_disturb_each_other(engine):
    layer = nn.LSTM(3, 5).astype(np.float64)
    inputs = [normal(6, 4, 3) for _ in range(16)]

    def run(array):
        x = tg.Tensor(array, requires_grad=True)
        return answers(layer, x)

    with tg.engine(engine):
        alone = [run(array) for array in inputs]

        def in_thread(array):
            with tg.engine(engine):
                return run(array)

        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(in_thread, inputs * 3))
    for found, expected in zip(together, alone * 3, strict=True):
        assert_same(found, expected, 0)


@EVERY
def test_arrays_that_change_after_the_loop_change_nothing(engine):
    scale, x = normal(2, 3), tg.Tensor(normal(4, 2, 3), requires_grad=True)

    def run():
        return scan(lambda x, h: ((scale, h * scale), np.tanh(h + x * scale)), np.zeros((2, 3)), x)

    with tg.engine("eager"):
        expected = answers(lambda x: run(), x)
    with tg.engine(engine):
        (first, second), final = run()
        scale[:] = 100.0
        loss = np.sum(np.sin(first)) + np.sum(np.sin(second)) + np.sum(np.sin(final))
        assert_same([first.data, second.data, final.data, tg.gradients(loss, [x])[0]], expected)


def add_all(x, h):
    return h, h + x


def swap(x, state):
    return x * state[0], (state[1], state[0][:, ::-1])


def join(x, h):
    return h, np.concatenate([h[:, 1:], x[:, :1]], axis=1)


def cross(x, state):
    half = np.tanh(state[1])
    other = np.tanh(state[0] + x)[:, 1:3]
    return x, (np.concatenate([half, half], axis=1), other)


def reshaped(x, h):
    return h[:, :1], np.tanh(h.reshape(3, 1, 4).sum(1) + h.reshape(12).reshape(3, 4) + x)


def solve(x, h):
    return np.linalg.solve(np.eye(3) + 0.1 * x @ x.T, h), np.tanh(h + x)


def several_kinds(x, state):
    h, number, seen, count = state
    h = np.tanh(h * number + x)
    return (h > 0, count * 2, number), (h, np.cos(number + x.mean()), np.where(h > x, seen, False), count + 1)


@EVERY
@pytest.mark.parametrize("keep_states", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("step", [add_all, swap, join, cross, reshaped, solve, several_kinds])
def test_states_of_many_kinds_are_handed_on(engine, step, reverse, keep_states):
    def run(x, h):
        kinds = {
            swap: (h, 2 * h),
            cross: (h, h[:, 1:3]),
            several_kinds: (h, h[0, 0], np.ones((3, 4), bool), np.arange(3)),
        }
        return scan(step, kinds.get(step, h), x, reverse=reverse, return_states=keep_states)

    assert_agree(engine, run, normal(5, 3, 4), normal(3, 4))


@EVERY
@pytest.mark.parametrize(
    "layout",
    [np.asfortranarray, lambda a: a[..., ::-1], lambda a: np.swapaxes(np.swapaxes(a, -1, -2).copy(), -1, -2)],
)
def test_arrays_may_lie_in_memory_in_any_way(engine, layout):
    weight = layout(normal(4, 4))

    def run(x, h, w):
        return scan(lambda x, h: reshaped(x @ w.T + x @ weight, h @ w[::-1, ::-1]), h, x)

    assert_agree(engine, run, layout(normal(5, 3, 4)), layout(normal(3, 4)), layout(normal(4, 4)))
    assert_agree(
        engine, lambda x, h, w: run(x[::-1], np.broadcast_to(h, (3, 4)), w), normal(5, 3, 4), normal(4), weight
    )


@EVERY
def test_a_batch_that_several_threads_share_adds_up_its_gradients(engine):
    def run(x, h, w, b):
        return scan(lambda x, h: (h, np.tanh(x @ w + h @ w.T + b)), h, x)

    assert_agree(engine, run, normal(10, 67, 65), normal(67, 65), normal(65, 65) / 9, normal(65), tolerance=1e-10)


@EVERY
def test_tokens_may_be_made_vectors_in_a_step(engine):
    tokens = np.array([[0, 1, 2], [2, 2, 1]])

    def run(h, table):
        return scan(lambda i, h: (table[i], np.tanh(h + tg.one_hot(i, 4, float) + table[i - 1])), h, tokens)

    assert_agree(engine, run, normal(3, 4), normal(5, 4))


# Changes between calls


class Changing(nn.Cell):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(normal(3, 3))
        self.bias = nn.Parameter(normal(3))
        self.dropout = nn.Dropout(0.4)
        self.scale, self.mode, self.mask = 0.5, "tanh", np.ones(3)

    def initial_state(self, batch):
        return tg.Tensor(np.zeros((batch, 3), self.weight.dtype))

    def forward(self, x, h):
        h = (self.dropout(h) @ self.weight + self.bias) * self.scale * self.mask + x
        h = np.tanh(h) if self.mode == "tanh" else tg.sigmoid(h)
        return h, h


def test_what_changes_between_calls_counts():
    engine, cell = "numpy", Changing()
    layer = nn.Recurrent(cell)
    x, wide = normal(4, 2, 3), normal(2, 5, 3)

    def check(x=x, tolerance=1e-12):
        leaves = [tg.Tensor(x, requires_grad=True), *[p for p in cell.parameters() if p.requires_grad]]
        found = []
        for name in ("eager", engine):
            tg.random.seed(3)
            with tg.engine(name):
                found.append(answers(lambda x, *_: layer(x), *leaves))
        assert_same(found[1], found[0], tolerance)
        return found[1][0]

    seen = []
    for change in (
        lambda: None,
        lambda: setattr(cell, "scale", 0.7),
        lambda: setattr(cell, "scale", 2),
        lambda: setattr(cell, "mode", "sigmoid"),
        lambda: setattr(cell, "mask", np.array([1.0, 0.0, 1.0])),
        lambda: cell.mask.__setitem__(0, 0.25),
        lambda: cell.weight.assign(normal(3, 3)),
        lambda: layer.eval(),
        lambda: cell.bias.requires_grad_(False),
        lambda: cell.bias.requires_grad_(True),
        lambda: layer.train(),
    ):
        change()
        seen.append(check())
    same = [np.array_equal(a, b) for i, a in enumerate(seen) for b in seen[:i]]
    # A bias that needs no gradient changes no value, and the last change brings back the state before `eval`.
    assert sum(same) == 4
    check(wide)
    layer.astype(np.float32)
    cell.mask = cell.mask.astype(np.float32)
    check(x.astype(np.float32), 1e-5)


@EVERY
def test_a_parameter_may_change_and_the_dtype_and_the_shape(engine):
    cell = nn.RNNCell(3, 3)
    layer = nn.Recurrent(cell)
    for change in (
        lambda: cell.from_state.weight.assign(normal(3, 3)),
        lambda: cell.from_state.weight.requires_grad_(False),
        lambda: layer.astype(np.float64),
    ):
        change()
        dtype = cell.from_state.weight.dtype
        assert_agree(engine, layer, normal(4, 2, 3).astype(dtype), tolerance=1e-5 if dtype == np.float32 else 1e-12)


@EVERY
@pytest.mark.parametrize(("lengths", "reverse"), [(None, False), (None, True), ([4, 2, 0], False), ([1, 0, 3], True)])
def test_dropout_in_a_cell_drops_the_same_elements_under_every_engine(engine, lengths, reverse):
    cell, x = Changing(), normal(4, 3, 3)

    def run(x, h, *parameters):
        tg.random.seed(5)
        return scan(cell, h, x, lengths, reverse=reverse, return_states=True)

    leaves = [tg.Tensor(x, requires_grad=True), tg.Tensor(normal(3, 3), requires_grad=True), *cell.parameters()]
    found = []
    for name in ("eager", engine):
        with tg.engine(name):
            found.append(answers(run, *leaves))
            found[-1].append(np.array(tg.random.get_state()["call"]))
    assert_same(found[1], found[0])


@EVERY
def test_a_number_in_a_closure_may_change(engine):
    x = normal(3, 2, 2)
    for number in (0.5, 0.25, 1, True, np.float64(0.1), np.float32(0.1), np.array(0.3)):
        assert_agree(
            engine, lambda x, number=number: scan(lambda x, h: (h, np.sin(h) * number + x), np.zeros((2, 2)), x), x
        )


# Fallback


def at_mean(x, h):
    h = x + (h if h.mean() > 0 else -h)
    return h, h


def by_float(x, h):
    h = h + x * float(h.detach().sum())
    return h, h


def by_data(x, h):
    return h, h + x * np.cos(h.data)


def by_places(x, h):
    return h, h + x * len(np.nonzero(h > 0)[0])


def by_generator(x, h):
    return h, h + x * tg.random.generator().random(2)


def by_numpy_random(x, h):
    return h, h + x * np.random.rand(2)


def by_tensor_of_numpy_random(x, h):
    return h, h + x * tg.Tensor(np.random.rand(2))


UNTRACED = pytest.mark.parametrize(
    "step", [at_mean, by_float, by_data, by_places, by_generator, by_numpy_random, by_tensor_of_numpy_random]
)


def seeded(step, x, **options):
    tg.random.seed(1)
    np.random.seed(1)
    return scan(step, np.ones((2, 2)), x, **options)


@EVERY
@UNTRACED
def test_a_step_that_cannot_be_traced_is_refused_by_a_compiled_engine(engine, step):
    with pytest.raises(TraceError):
        seeded(step, normal(3, 2, 2), engine=engine)


@UNTRACED
def test_a_step_that_cannot_be_traced_runs_recorded_with_a_warning(step):
    x = tg.Tensor(normal(3, 2, 2), requires_grad=True)
    with pytest.warns(EngineWarning, match=step.__name__) as caught:
        found = answers(lambda x: seeded(step, x), x)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    expected = answers(lambda x: seeded(step, x, engine="eager"), x)
    if "random" not in step.__name__:
        assert_same(found, expected, 0)


@pytest.mark.parametrize("wrap", [lambda a: a, tg.Tensor])
@EVERY
def test_random_arrays_are_noticed_where_a_like_step_has_been_compiled(engine, wrap):
    fixed, x = wrap(normal(2)), normal(3, 2, 2)
    for _ in range(2):
        scan(lambda x, h: (h, h + x * fixed), np.ones((2, 2)), x, engine=engine)
    for _ in range(2):
        with pytest.raises(TraceError, match="random"):
            scan(lambda x, h: (h, h + x * wrap(np.random.rand(2))), np.ones((2, 2)), x, engine=engine)


@EVERY
def test_an_attribute_set_in_a_step_and_a_hook_are_refused(engine):
    class Noting(Changing):
        def forward(self, x, h):
            self.last = h
            return super().forward(x, h)

    with pytest.raises(TraceError, match=r"Noting\.last is set"):
        nn.Recurrent(Noting(), engine=engine)(normal(3, 2, 3))
    cell, seen = Changing(), []
    handle = cell.register_forward_hook(lambda module, args, out: seen.append(out))
    with pytest.raises(TraceError, match="hooks"):
        nn.Recurrent(cell, engine=engine)(normal(3, 2, 3))
    handle.remove()
    nn.Recurrent(cell, engine=engine)(normal(3, 2, 3))


@EVERY
def test_a_tensor_that_a_step_keeps_is_noticed(engine):
    class Logging(Changing):
        def __init__(self):
            super().__init__()
            self.log = []

        def forward(self, x, h):
            self.log.append(np.tanh(h))
            return super().forward(x, h)

    x = normal(3, 2, 3)
    for _ in range(2):
        with pytest.raises(TraceError, match=r"Logging keeps a tensor of shape \(2, 3\)"):
            nn.Recurrent(Logging(), engine=engine)(x)
    cell = Logging()
    with pytest.warns(EngineWarning, match="Logging keeps a tensor"):
        nn.Recurrent(cell)(x)
    assert all(isinstance(kept.data, np.ndarray) for kept in cell.log[1:])
    with pytest.raises(TraceError, match="the value of a traced tensor"):
        cell.log[0].data  # noqa: B018


@EVERY
def test_a_cycle_that_a_step_leaves_behind_keeps_nothing(engine):
    def step(x, h):
        around = [h]
        around.append(around)
        try:
            np.reshape(h, (5, 5))
        except ValueError as error:
            around.append(error)
        assert len(around) == 3
        return h, h + x

    ys, _ = scan(step, np.zeros((2, 2)), np.ones((3, 2, 2)), engine=engine)
    np.testing.assert_array_equal(ys[2], 2 * np.ones((2, 2)))


@pytest.mark.skipif("native" not in COMPILED, reason="llvmlite is not installed")
def test_an_operation_without_native_form_runs_by_numpy_with_one_warning():
    x = tg.Tensor(normal(3, 2, 5), requires_grad=True)

    def step(x, h):
        h = np.cumsum(np.tanh(h), axis=-1) * 0.1 + x
        return h, h

    def run(x, engine="native"):
        return scan(step, np.zeros((2, 5)), x, engine=engine)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [answers(run, x) for _ in range(3)][-1]
    told = [str(warning.message) for warning in caught]
    assert len(told) == len(set(told))
    assert_same(found, answers(lambda x: run(x, "eager"), x))


# Transforms and closures


@EVERY
def test_a_plain_function_may_close_over_what_needs_a_gradient(engine):
    w, b = normal(2, 2), normal(2)

    def run(w, b, x):
        scale = np.exp(b)
        return scan(lambda x, h: (h * scale, np.tanh(x @ (w * 2) + h @ w.T + b)), np.zeros((3, 2)), x)

    assert_agree(engine, run, w, b, normal(4, 3, 2))


@EVERY
@pytest.mark.parametrize("scale", [lambda w: w, lambda w: w * 2])
def test_a_scan_inside_a_step_is_a_scan(engine, scale):
    w, xs = normal(2, 2), normal(3, 3, 2)

    def run(w, inside):
        def step(x, h):
            inner, last = scan(lambda y, s: (s, np.tanh(y + s @ scale(w))), h, np.stack([x, x * 2, h]), engine=inside)
            return inner.sum(0), last

        return scan(step, np.zeros((3, 2)), xs)

    assert_agree(engine, lambda w: run(w, None), w)
    assert_agree(engine, lambda w: run(w, "eager"), w)


@EVERY
def test_transforms_go_through_a_compiled_loop(engine):
    cell = nn.RNNCell(2, 3).astype(np.float64)
    x, h = normal(3, 2, 2), normal(2, 3)

    def loss(x, h):
        ys, final = scan(cell, h, x)
        return np.sum(ys * ys) + np.sum(np.sin(final))

    def every():
        v = np.ones_like(h)
        yield tg.grad(loss, (0, 1))(x, h)
        yield tg.hessian(loss, 1)(x, h)
        yield tg.jvp(loss, (x, h), (None, v))
        yield tg.hvp(loss, (x, h), (None, v))
        yield tg.jacobian(lambda h: scan(cell, h, x)[1])(h)
        yield tg.grad(tg.checkpoint(loss), 1)(x, h)
        yield tg.vmap(lambda h: loss(x[:, :1], h[None]))(h)
        yield tg.vmap(tg.grad(lambda h: loss(x[:, :1], h[None])))(h)
        yield tg.grad(lambda h: np.sum(tg.grad(loss, 1)(x, h) ** 2))(h)

    found = []
    for name in ("eager", engine):
        with tg.engine(name):
            found.append([np.asarray(leaf.data) for leaf in tree_flatten(list(every()))[0]])
    assert_same(found[1], found[0], 1e-10)


def test_gradients_of_every_example_equal_a_loop_over_them():
    layer, xs = nn.LSTM(2, 3).astype(np.float64), normal(4, 5, 1, 2)

    def loss(h, x):
        return np.sum(layer(x * h)[0] ** 2)

    scale = normal(2)
    found = tg.per_sample_grad(loss)(scale, xs)
    for i in range(4):
        np.testing.assert_allclose(found.data[i], tg.grad(loss)(scale, xs[i]).data, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("engine", available())
def test_gradients_by_weights_of_every_example_are_those_of_any_engine(engine):
    layer, xs = nn.GRU(2, 3, engine=engine).astype(np.float64), normal(4, 5, 1, 2)
    weights = {name: parameter.data for name, parameter in layer.named_parameters()}

    def loss(weights, x):
        return np.sum(nn.functional_call(layer, weights, x)[0] ** 2)

    found = tg.per_sample_grad(loss)(weights, xs)
    for i in range(4):
        for name, slope in tg.grad(loss)(weights, xs[i]).items():
            np.testing.assert_allclose(found[name].data[i], slope.data, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("engine", available())
@pytest.mark.parametrize("reverse", [False, True])
def test_the_order_of_keys_in_a_state_has_no_meaning(engine, reverse):
    def in_order(x, state):
        h, (slow, steps) = state["h"], (state["c"]["slow"], state["c"]["steps"])
        h, slow = np.tanh(h + x + slow), 0.5 * slow + np.sin(h) * steps[:, None]
        return h, {"h": h, "c": {"slow": slow, "steps": steps + 1}}

    def turned(x, state):
        h, after = in_order(x, state)
        return h, {name: dict(reversed(part.items())) if name == "c" else part for name, part in [*after.items()][::-1]}

    x, h = tg.Tensor(normal(4, 3, 2), requires_grad=True), tg.Tensor(normal(3, 2), requires_grad=True)
    init = {"h": h, "c": {"slow": np.ones((3, 2)), "steps": np.arange(3)}}
    options = {"reverse": reverse, "return_states": True, "engine": engine}
    expected, found = [
        answers(lambda x, h, step=step: scan(step, {**init, "h": h}, x, [4, 0, 2], **options), x, h)
        for step in (in_order, turned)
    ]
    assert_same(found, expected)


def test_an_ensemble_of_loops_equals_its_members():
    weights, x = normal(3, 2, 2), normal(4, 1, 2)

    def member(w):
        return scan(lambda x, h: (h, np.tanh(x + h @ w)), np.zeros((1, 2)), x)[1]

    def scaled(w):
        return scan(lambda x, h: (h, np.tanh(x + h @ (w * 2))), np.zeros((1, 2)), x)[1]

    for function in (member, scaled):
        found = tg.vmap(function)(weights)
        for i in range(3):
            np.testing.assert_allclose(found.data[i], function(weights[i]).data, rtol=1e-12, atol=1e-12)


@EVERY
@pytest.mark.parametrize("several", [False, True])
def test_a_step_may_read_its_state_by_a_mask_of_constants(engine, several):
    mask = np.array([[True, False, True], [False, True, True]]) if several else np.array([True, False, True])

    def step(x, h):
        h = np.tanh(h + x)
        return h[mask, 1] if several else h[:, mask, 0], h

    x = tg.Tensor(normal(4, 2, 3, 2), requires_grad=True)
    found, expected = [
        answers(lambda x, name=name: scan(step, np.zeros((2, 3, 2)), x, engine=name), x) for name in (engine, "eager")
    ]
    assert_same(found, expected, 1e-12)


@EVERY
def test_a_step_may_ask_for_the_shape_of_what_it_is_given(engine):
    def step(x, h):
        assert (x.shape, x.ndim, x.size, len(x), x.dtype) == ((2, 3), 2, 6, 2, np.dtype(float))
        return h / h.size, h + x * x.ndim

    ys, last = scan(step, np.zeros((2, 3)), np.ones((4, 2, 3)), engine=engine)
    np.testing.assert_allclose(last.data, 8 * np.ones((2, 3)))
    np.testing.assert_allclose(ys.data[3], np.ones((2, 3)))
