"""The tape: how long it may be, what it costs, and that nothing of it is left."""

import gc
import sys
import threading
import weakref
from contextlib import contextmanager

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import ops
from tinygrad_rnn.core.node import ancestors

LENGTH = 100_000


@contextmanager
def without_collector():
    gc.collect()
    gc.disable()
    try:
        yield
        assert gc.collect() == 0, "the block left cycles behind"
    finally:
        gc.enable()


def test_a_chain_of_100_000_operations_runs_backward_and_dies_without_recursion():
    x = tg.Tensor([1.0], requires_grad=True)
    limit = sys.getrecursionlimit()
    with without_collector():
        y = x
        for _ in range(LENGTH):
            y = -y
        middle = weakref.ref(y.node.parents[0])
        sys.setrecursionlimit(200)
        try:
            y.backward()
            del y
        finally:
            sys.setrecursionlimit(limit)
        assert middle() is None
    assert x.grad[0] == 1.0


def test_a_chain_of_100_000_operations_dies_in_a_thread_with_a_small_stack_without_a_backward():
    alive = []

    def work():
        y = tg.Tensor([1.0], requires_grad=True)
        for _ in range(LENGTH):
            y = y + 1.0
        alive.append(weakref.ref(y.node.parents[0]))
        del y

    # From 3.12 on CPython nests thousands of deallocations before it unrolls them, and needs most of a megabyte for it.
    size = threading.stack_size((256 if sys.version_info < (3, 12) else 2048) * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(size)
    assert alive[0]() is None


def loss_of(x, w):
    h = np.zeros(3)
    for step in x:
        a, b = np.split(np.concatenate([step, h]) @ w, 2)
        h = tg.sigmoid(a) * np.tanh(b)
    return np.sum(h * h)


def run(kind, x, w):
    """Use the tape in one of the ways there are; return nodes that must be gone afterwards."""
    loss = loss_of(x, w)
    watched = [weakref.ref(node) for node in tg.Graph.of(loss) if node.primitive is not None]
    if kind == "backward":
        loss.backward()
    elif kind == "retained":
        loss.retain_grad()
        loss.backward(retain_graph=True)
    elif kind == "recorded":
        slopes = tg.gradients(loss, [x, w], record=True)
        total = sum([np.sum(slope * slope) for slope in slopes], start=0.0)
        watched += [weakref.ref(node) for node in tg.Graph.of(total) if node.primitive is not None]
        total.backward()
    elif kind == "hooked":
        loss.register_hook(lambda g: 2 * g)
        loss.backward()
    elif kind == "transforms":
        tg.jvp(lambda w: tg.grad(lambda v: loss_of(x.data, v))(w), (w.data,), (np.ones(w.shape),))
    return watched


@pytest.mark.parametrize("kind", ["forward only", "backward", "retained", "recorded", "hooked", "transforms"])
def test_the_tape_is_gone_with_the_loss_while_the_collector_is_off(kind):
    x = tg.Tensor(np.ones((5, 2)), requires_grad=True)
    w = tg.Tensor(np.full((5, 6), 0.1), requires_grad=True)
    with without_collector():
        watched = run(kind, x, w)
        assert len(watched) > 20
        assert all(reference() is None for reference in watched)


def test_backward_frees_the_saved_arrays_while_the_skeleton_stays():
    x = tg.Tensor(np.ones(3), requires_grad=True)
    y = np.exp(x)
    saved = weakref.ref(y._data)
    loss = (y * 2.0).sum()
    graph = tg.Graph.of(loss)
    del y
    assert saved() is not None
    loss.backward()
    assert saved() is None
    assert [node.operation for node in graph] == ["leaf", "exp", "multiply", "sum"]
    assert "exp(%0)" in str(graph)


def test_a_primitive_keeps_only_what_its_rules_read():
    def kept(function):
        x = tg.Tensor(np.ones(3), requires_grad=True)
        middle = x * 2.0
        reference = weakref.ref(middle._data)
        y = function(middle)
        del middle
        return y.requires_grad and reference() is not None

    assert not any(kept(f) for f in (np.exp, np.tanh, tg.sigmoid, tg.relu, np.sqrt, np.sum, np.negative, tg.softmax))
    assert not kept(lambda a: a + 1.0) and not kept(lambda a: a - 1.0)
    assert kept(np.log) and kept(np.sin) and kept(np.square)


def test_time_steps_cost_the_same_at_any_length():
    def operations(steps):
        x = tg.Tensor(np.ones((steps, 2)), requires_grad=True)
        w = tg.Tensor(np.eye(2), requires_grad=True)
        h = tg.Tensor(np.zeros(2))
        for t in range(steps):
            h = np.tanh(x[t] + h @ w)
        nodes = len(tg.Graph.of(h))
        elements = [0]

        def counting(call):
            def counted(*args, **params):
                out = call(*args, **params)
                elements[0] += sum(np.size(a) for a in (out, *args) if isinstance(a, np.ndarray))
                return out

            return counted

        with pytest.MonkeyPatch.context() as patch:
            for module in (ops.arithmetic, ops.elementwise, ops.indexing, ops.linalg):
                for primitive in vars(module).values():
                    if isinstance(primitive, tg.Primitive) and primitive.name != "scatter_add":
                        patch.setattr(primitive, "forward", counting(primitive.forward))
            patch.setattr(ops.indexing.scatter_add, "forward", None)
            h.sum().backward()
        return nodes, elements[0]

    (nodes, work), (more_nodes, more_work) = operations(20), operations(200)
    assert more_nodes - 2 == 10 * (nodes - 2)
    assert more_work <= 11 * work


def test_sequence_numbers_order_nodes_made_by_several_threads():
    x = tg.Tensor(1.0, requires_grad=True)
    results = []

    def work():
        y = x
        for _ in range(200):
            y = y * 1.0
        results.append(y)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = sum(results, start=0.0)
    order = ancestors([total.node])
    place = {node: i for i, node in enumerate(order)}
    assert len(order) == 1 + 4 * 200 + 4
    assert all(place[parent] < place[node] for node in order for parent in node.parents if parent is not None)
    total.backward()
    assert x.grad == 4
