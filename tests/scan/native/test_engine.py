"""Loops as machine code, at every vector width that this machine can stand in for, against the plain interpreter."""

import gc
import os
import signal
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import contextlib

import tinygrad_rnn as tg
from tests.benchmarks.machine_code import plans
from tinygrad_rnn import nn
from tinygrad_rnn.core import Spec
from tinygrad_rnn.core.tree import tree_flatten
from tinygrad_rnn.scan import derive
from tinygrad_rnn.scan.memory import memory
from tinygrad_rnn.scan.native import engine as native
from tinygrad_rnn.scan.native.engine import Loop, prepared
from tinygrad_rnn.scan.native.layout import UnsupportedError
from tinygrad_rnn.scan.native.target import host
from tinygrad_rnn.scan.passes.columns import columns
from tinygrad_rnn.scan.reference import reference
from tinygrad_rnn.scan.step import traced

WIDTHS = tuple(width for width in (128, 256, 512) if host(width).bits == width)


class Peephole(nn.Cell):
    """Gates that see the cell's memory, each with weights of its own, and normalised sums."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.from_both = nn.Linear(input_size + hidden_size, 3 * hidden_size)
        self.norm = nn.LayerNorm(3 * hidden_size)
        self.peephole = nn.Parameter(np.linspace(-1, 1, hidden_size))

    def initial_state(self, batch_size):
        return (np.zeros((batch_size, self.hidden_size), np.float32),) * 2

    def forward(self, x, state):
        h, c = state
        f, g, o = np.split(self.norm(self.from_both(np.concatenate([x, h], axis=-1))), 3, axis=-1)
        f = tg.sigmoid(f + c * self.peephole)
        c = np.where(f > 0.9, c, f * c + (1 - f) * np.tanh(g))
        h = tg.sigmoid(o) * np.maximum(c, -0.5)
        return np.concatenate([h, c[:, :1]], axis=-1), (h, c)


CELLS = {
    "rnn": lambda: nn.RNNCell(3, 17),
    "lstm": lambda: nn.LSTMCell(2, 9),
    "gru": lambda: nn.GRUCell(5, 8, reset_after=False),
    "peephole": lambda: Peephole(3, 7),
}


def steps_of(cell, dtype, batch):
    """Return the forward step that keeps what backward needs, and the backward step."""
    cell.astype(dtype)
    state, structure = tree_flatten(cell.initial_state(batch))
    width = {"RNNCell": 3, "LSTMCell": 2, "GRUCell": 5}.get(type(cell).__name__, 3)
    spec = Spec((batch, width), np.dtype(dtype))
    states = [Spec(leaf.shape, np.dtype(dtype)) for leaf in state]
    found = traced(cell, [spec], states, (tree_flatten(0)[1], structure))
    constants = (True,) * len(found.step.constants)
    forward = derive.saving(columns(found.step), (True,), constants)
    has = (True,) * len(found.step.ys) + (False,) * (len(forward.ys) - len(found.step.ys))
    return forward, derive.vjp(forward, derive.Wanted(has, (True,), constants)).step


def arrays_for(step, time, rng):
    """Draw arguments of a step over time."""
    arrays = [node.specs[0] for node in step.carry]
    arrays += [Spec((time, *node.specs[0].shape), node.specs[0].dtype) for node in step.xs]
    arrays += [node.specs[0] for node in step.constants]
    drawn = [rng.uniform(-0.8, 0.8, spec.shape).astype(spec.dtype) for spec in arrays]
    return [array * (node not in step.zeros) for node, array in zip(step.inputs, drawn, strict=True)]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-5)])
@pytest.mark.parametrize("name", CELLS)
def test_a_loop_computes_what_its_step_says(name, dtype, tolerance, width):
    rng = np.random.default_rng(0)
    for batch, reverse in ((3, False), (9, True)):
        for step in steps_of(CELLS[name](), dtype, batch):
            arrays = arrays_for(step, 4, rng)
            found = Loop(prepared(step), 4, reverse, host(width))(arrays, 4)
            for ours, plain in zip(found, reference(step)(arrays, 4, reverse), strict=True):
                assert ours.dtype == plain.dtype and ours.shape == plain.shape
                scale = max(1.0, float(np.abs(plain).max(initial=0.0)))
                np.testing.assert_allclose(ours, plain, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("name", ["lstm", "peephole"])
def test_the_number_of_threads_changes_no_state(name, monkeypatch):
    rng = np.random.default_rng(1)
    forward, backward = steps_of(CELLS[name](), "float64", 9)
    for step in (forward, backward):
        arrays, results = arrays_for(step, 5, rng), []
        for threads in (1, 2, 5):
            monkeypatch.setattr(native, "_cores", lambda threads=threads: threads)
            monkeypatch.setattr(native, "_WORTH_A_THREAD", 1)
            results.append(Loop(prepared(step), 5, False, host())(arrays, 5))
        for other in results[1:]:
            for found, wanted in zip(other, results[0], strict=True):
                np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-13)


def test_a_result_that_is_kept_is_not_written_to_by_later_calls():
    rng = np.random.default_rng(2)
    forward, _ = steps_of(CELLS["gru"](), "float32", 3)
    loop = Loop(prepared(forward), 4, False, host())
    first = loop(arrays_for(forward, 4, rng), 4)
    copies = [np.array(array) for array in first]
    for _ in range(5):
        loop(arrays_for(forward, 4, rng), 4)
    for array, copy in zip(first, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_an_interrupt_keeps_the_memory_that_another_thread_still_writes_to(monkeypatch):
    forward, _ = steps_of(CELLS["gru"](), "float32", 90)
    monkeypatch.setattr(native, "_cores", lambda: 2)
    monkeypatch.setattr(native, "_WORTH_A_THREAD", 1)
    loop, arrays = Loop(prepared(forward), 50, False, host()), arrays_for(forward, 50, np.random.default_rng(3))
    go, done, code = threading.Event(), threading.Event(), loop._loop

    def interrupted(table, time, start, stop, number):
        if number == 0:
            raise KeyboardInterrupt
        go.wait(20)
        code(table, time, start, stop, number)
        done.set()

    sizes = {array.shape for array in loop(arrays, 50)}
    memory.release()
    gc.collect()
    loop._loop, lent = interrupted, memory.waiting
    with contextlib.suppress(KeyboardInterrupt):
        loop(arrays, 50)
    assert memory.waiting == lent
    others = [memory.empty(shape, np.float32) for shape in sizes]
    for other in others:
        other[...] = 7
    go.set()
    assert done.wait(20)
    assert all((other == 7).all() for other in others)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_process_has_threads_of_its_own(monkeypatch):
    forward, _ = steps_of(CELLS["gru"](), "float32", 9)
    monkeypatch.setattr(native, "_cores", lambda: 2)
    monkeypatch.setattr(native, "_WORTH_A_THREAD", 1)
    loop, arrays = Loop(prepared(forward), 4, False, host()), arrays_for(forward, 4, np.random.default_rng(3))
    wanted = loop(arrays, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forking with threads, which is what is tested
        child = os.fork()
    if child == 0:
        signal.alarm(20)
        same = all(np.array_equal(a, b) for a, b in zip(loop(arrays, 4), wanted, strict=True))
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("name", ["forward", "backward"])
def test_the_page_on_compiling_shows_the_plan_that_is_made(name):
    page = Path(__file__).resolve().parents[3] / "docs" / "how-a-cell-is-compiled.md"
    shown = page.read_text("utf-8").split(f"<!-- {name} -->\n```text\n")[1].split("\n```")[0]
    assert shown == str(dict(zip(("forward", "backward"), plans(), strict=True))[name])


@pytest.mark.parametrize("rows", [1, 3, 4])
@pytest.mark.parametrize("cell", [nn.RNNCell, nn.GRUCell])
def test_the_gradient_by_the_initial_state_of_rows_of_several_lengths_has_a_native_form(cell, rows):
    layer, rng = nn.Recurrent(cell(2, 4)), np.random.default_rng(0)
    x = rng.standard_normal((5, rows, 2)).astype(np.float32)
    found = {}
    for name in "eager", "native":
        init = tg.Tensor(np.ones((1, rows, 4), np.float32), requires_grad=True)
        with tg.engine(name), warnings.catch_warnings():
            warnings.simplefilter("error")
            y, last = layer(x, init, lengths=np.array([5, 0, 2, 4])[:rows])
            (np.sum(y * y) + np.sum(np.sin(last))).backward()
        found[name] = np.asarray(init.grad)
    np.testing.assert_allclose(found["native"], found["eager"], rtol=1e-5, atol=1e-6)


def test_what_has_no_native_form_is_named():
    found = traced(
        lambda x, h: (np.cumsum(h, axis=-1), h + x),
        (Spec((2, 3), np.dtype(float)),) * 1,
        (Spec((2, 3), np.dtype(float)),),
    )
    with pytest.raises(UnsupportedError):
        Loop(prepared(found.step), 4, False, host())
