"""Who runs against whom in the recurrent benchmark: the same cell, weights and loss by every library.

The loss is the inner product of the outputs with a fixed array. A contender is a function without arguments that
returns the loss and the gradients of x and of all weights in the order of `cell.parameters()`, as the library's own
arrays.
"""

from __future__ import annotations

import contextlib
import importlib.util
import signal
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.scan.engines import available

from .by_hand import BY_HAND
from .recurrent_cells import CELLS, STATES, STEPS, Library

Shape = tuple[int, int, int, int]
Run = Callable[[], list[Any]]
TOLERANCE = 1e-4
COMPILE_LIMIT = 300
# The eager engine is no contender where a step has enough arithmetic to hide its Python.
SMALL = 2**21


class Case(NamedTuple):
    """A cell with its inputs.

    Args:
        kind: the name of the cell.
        cell: a cell of this package.
        x: (time, batch, features).
        dy: (time, batch, hidden), what the outputs are multiplied by for the loss.
    """

    kind: str
    cell: nn.Cell
    x: Any
    dy: Any

    @property
    def weights(self) -> list[Any]:
        """The cell's parameters as arrays."""
        return [np.array(parameter.data) for parameter in self.cell.parameters()]


class Contender(NamedTuple):
    """A contender.

    Args:
        name: as it stands in the tables.
        group: what `--against` calls it by.
        make: returns the function to time for a case.
    """

    name: str
    group: str
    make: Callable[[Case], Run]


def make_case(kind: str, shape: Shape) -> Case:
    """Return a case of (time, batch, features, hidden), the same numbers at every call."""
    *_, features, hidden = shape
    rng = np.random.default_rng(0)
    tg.random.seed(0)
    x = rng.standard_normal(shape[:3], np.float32)
    cell = CELLS[kind](features, hidden)
    for name, parameter in cell.named_parameters():
        if name.startswith("norm"):
            # Greater weights make the loop chaotic, where float32 gives nobody the same digits.
            low, high = (0.1, 0.5) if name.endswith("weight") else (-0.2, 0.2)
            parameter.assign(rng.uniform(low, high, parameter.shape))
    with tg.no_grad():
        y = nn.Recurrent(cell, engine="eager")(x)[0].data
    # Near to the outputs, so that their inner product is no small difference of great sums.
    return Case(kind, cell, x, y + 0.1 * rng.standard_normal(y.shape, np.float32))


def ours(engine: str, case: Case) -> Run:
    """Run the cell as a layer of this package by an engine."""
    layer = nn.Recurrent(case.cell, engine=engine)
    x = tg.Tensor(case.x, requires_grad=True)
    parameters = list(layer.parameters())
    dy = tg.Tensor(case.dy)

    def run() -> list[Any]:
        layer.zero_grad()
        x.grad = None
        loss = np.vdot(layer(x)[0], dy)
        loss.backward()
        return [loss.data, x.grad, *[parameter.grad for parameter in parameters]]

    return run


def by_hand(case: Case) -> Run:
    """Run the hand-written backpropagation through time."""
    return partial(BY_HAND[case.kind], case.x, case.dy, *case.weights)


def torch_layer(case: Case) -> Run:
    """Run the layer of torch.nn that is this cell."""
    import torch

    layer = getattr(torch.nn, case.kind.upper())(case.x.shape[2], case.dy.shape[2])
    weights = [layer.weight_ih_l0, layer.bias_ih_l0, layer.weight_hh_l0, layer.bias_hh_l0]
    with torch.no_grad():
        for weight, array in zip(weights, case.weights, strict=True):
            weight.copy_(torch.from_numpy(array.T))
    return _torch_run(case, weights, lambda x: layer(x)[0])


def torch_loop(case: Case, compiled: bool = False) -> Run:
    """Run the cell step by step in Python with PyTorch's autograd."""
    import torch
    from torch.nn import functional

    library = Library(
        functional.linear,
        torch.sigmoid,
        torch.tanh,
        lambda z, n: z.chunk(n, -1),
        lambda z, weight, bias: functional.layer_norm(z, weight.shape, weight, bias),
    )
    step = partial(STEPS[case.kind], library)
    weights = [torch.from_numpy(np.ascontiguousarray(array.T)).requires_grad_() for array in case.weights]
    state = (torch.zeros(case.dy.shape[1:]),) * STATES[case.kind]

    def outputs(x: Any) -> Any:
        now, ys = state, []
        for x_t in x.unbind():
            now = step(x_t, now, *weights)
            ys.append(now[0])
        return torch.stack(ys)

    return _torch_run(case, weights, torch.compile(outputs) if compiled else outputs)


def torch_compiled(case: Case) -> Run:
    """Run that loop under torch.compile, compiled here."""
    import torch

    torch._dynamo.reset()
    run = torch_loop(case, compiled=True)
    with time_limit(COMPILE_LIMIT):
        run()
    return run


def _torch_run(case: Case, weights: list[Any], outputs: Callable[[Any], Any]) -> Run:
    """Return forward and backward by PyTorch; its weights lie (out, in), so their gradients are turned."""
    import torch

    x = torch.from_numpy(case.x).requires_grad_()
    dy = torch.from_numpy(case.dy)

    def run() -> list[Any]:
        x.grad = None
        for weight in weights:
            weight.grad = None
        loss = torch.vdot(outputs(x).flatten(), dy.flatten())
        loss.backward()
        return [loss.detach(), x.grad, *[weight.grad.T if weight.ndim == 2 else weight.grad for weight in weights]]

    return run


def jax_scan(case: Case) -> Run:
    """Run the cell by lax.scan, value and gradients jitted together."""
    import jax
    import jax.numpy as jnp

    def norm(z: Any, weight: Any, bias: Any) -> Any:
        centred = z - z.mean(-1, keepdims=True)
        return centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-5) * weight + bias

    library = Library(
        lambda x, weight, bias: x @ weight if bias is None else x @ weight + bias,
        jax.nn.sigmoid,
        jnp.tanh,
        lambda z, n: jnp.split(z, n, -1),
        norm,
    )
    step = partial(STEPS[case.kind], library)
    state = (jnp.zeros(case.dy.shape[1:], jnp.float32),) * STATES[case.kind]
    dy = jnp.asarray(case.dy)

    def loss(x: Any, weights: Any) -> Any:
        def body(now: Any, x_t: Any) -> Any:
            now = step(x_t, now, *weights)
            return now, now[0]

        return jnp.vdot(jax.lax.scan(body, state, x)[1], dy)

    run = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    arguments = jnp.asarray(case.x), [jnp.asarray(array) for array in case.weights]

    def finished() -> list[Any]:
        value, (dx, gradients) = jax.block_until_ready(run(*arguments))
        return [value, dx, *gradients]

    return finished


def contenders(case: Case, groups: set[str], compiled: bool = False) -> list[Contender]:
    """Return ours, the fastest engine first, and what is installed of the others that have this cell.

    Args:
        case: the cell and its inputs.
        groups: of torch, jax, hand, or all of them.
        compiled: the PyTorch loop under torch.compile too.
    """
    steps, batch, features, hidden = *case.x.shape, case.dy.shape[2]
    engines = [name for name in ("native", "numpy") if name in available()]
    if steps * batch * (features + hidden) * hidden <= SMALL:
        engines.append("eager")
    found = [Contender(name, "ours", partial(ours, name)) for name in engines]
    found.append(Contender("by hand", "hand", by_hand))
    if importlib.util.find_spec("torch"):
        if case.kind in ("rnn", "lstm", "gru"):
            found.append(Contender("torch.nn", "torch", torch_layer))
        found.append(Contender("PyTorch loop", "torch", torch_loop))
        if compiled:
            found.append(Contender("torch.compile", "torch", torch_compiled))
    if importlib.util.find_spec("jax"):
        found.append(Contender("JAX scan", "jax", jax_scan))
    return [contender for contender in found if contender.group == "ours" or groups & {contender.group, "all"}]


def entrants(case: Case, groups: set[str], compiled: bool = False) -> dict[str, Run]:
    """Return the contenders' functions by name, each verified against the first.

    Only torch.compile may fail to be built: it is left out then, with a line that says why.

    Raises:
        AssertionError: if a contender's loss or gradients are not ours.
    """
    runs: dict[str, Run] = {}
    for name, _, make in contenders(case, groups, compiled):
        try:
            runs[name] = make(case)
        except Exception as error:
            if name != "torch.compile":
                raise
            print(f"  torch.compile is left out: {type(error).__name__}: {str(error).splitlines()[:1]}", flush=True)
    names = ["loss", "x", *[name for name, _ in case.cell.named_parameters()]]
    first, *others = runs
    expected = runs[first]()
    for other in others:
        for name, found, right in zip(names, runs[other](), expected, strict=True):
            verify(f"{case.kind} by {other}: {name}", np.asarray(found), np.asarray(right))
    return runs


def verify(name: str, found: Any, expected: Any) -> None:
    """Refuse an array that differs from another by more than the tolerance, relative to the greatest element.

    Raises:
        AssertionError: if it does.
    """
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max(), err_msg=name)


@contextlib.contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in the main thread when the block takes longer."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"not ready after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
