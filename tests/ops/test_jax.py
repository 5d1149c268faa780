"""JAX as a second opinion: values, both modes and both second orders of every function of the table, to 1e-8.

A row's function is written with `np` and `tg`; the same code runs in JAX with `jax.numpy` and `jax.nn` in their place.
Conventions that differ (ties, kinks, bounds) do not meet here: the table draws its arguments away from them, and
test_choices.py says what was chosen there.
"""

import types
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.ops.test_table import TABLE, drawings, parts
from tinygrad_rnn import nn

jax = pytest.importorskip("jax")
jnp = jax.numpy
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_disable_most_optimizations", True)  # what is compiled here runs once

# Rows that the same code cannot ask JAX about, and why.
NOT_IN_JAX = {
    "scatter_add": "it is an adjoint of this project, without a NumPy name; the gradient of getitem runs it",
}

OF_TG = SimpleNamespace(
    gelu=lambda x, approximate=False: jax.nn.gelu(x, approximate),
    log_softmax=jax.nn.log_softmax,
    logsumexp=jax.nn.logsumexp,
    relu=jax.nn.relu,
    sigmoid=jax.nn.sigmoid,
    silu=jax.nn.silu,
    softmax=jax.nn.softmax,
    softplus=jax.nn.softplus,
)
OF_CLASSES = SimpleNamespace(
    cross_entropy=lambda a, classes: -jax.nn.log_softmax(a)[jnp.arange(len(classes)), jnp.asarray(classes)],
    softmax_excess=lambda a, classes: jax.nn.softmax(a) - jax.nn.one_hot(jnp.asarray(classes), a.shape[-1]),
)


def in_jax(value: Any) -> Any:
    """Return JAX's function of the same name, or the same Python code with JAX's modules; other values as they are."""
    if isinstance(value, types.BuiltinMethodType) and isinstance(value.__self__, np.ufunc):
        return getattr(in_jax(value.__self__), value.__name__)
    if not callable(value) or isinstance(value, type):
        return value
    module = getattr(value, "__module__", None) or "numpy"
    if module.startswith("numpy"):
        return getattr(jnp.linalg if "linalg" in module else jnp, value.__name__)
    if module.startswith("tinygrad_rnn"):
        return getattr(OF_TG, value.__name__)
    cells = tuple([types.CellType(in_jax(cell.cell_contents)) for cell in value.__closure__ or ()])
    defaults = tuple([in_jax(default) for default in value.__defaults__ or ()])
    names = {**value.__globals__, "np": jnp, "tg": OF_TG, "classification": OF_CLASSES}
    function = types.FunctionType(value.__code__, names, value.__name__, defaults, cells)
    function.__kwdefaults__ = {name: in_jax(default) for name, default in (value.__kwdefaults__ or {}).items()}
    return function


class Derivatives(NamedTuple):
    """What is compared: arrays in the order of the arguments."""

    value: Any
    gradient: Any
    tangent: Any
    forward_over_reverse: Any
    reverse_over_forward: Any


def here(function, arrays, along, across, cotangent):
    def slope(*args):
        return tg.vjp(function, *args)[1](cotangent)

    def slope_along(*args):
        return np.sum(tg.jvp(function, args, along)[1] * cotangent)

    value, tangent = tg.jvp(function, arrays, along)
    second = tg.jvp(slope, arrays, across)[1], tg.vjp(slope_along, *arrays)[1](1.0)
    return Derivatives(value, slope(*arrays), tangent, *second)


def there(function, arrays, along, across, cotangent):
    def slope(*args):
        return jax.vjp(function, *args)[1](cotangent)

    def slope_along(*args):
        return jnp.sum(jax.jvp(function, args, along)[1] * cotangent)

    @partial(jax.jit, compiler_options={"xla_cpu_use_fusion_emitters": False})
    def every(arrays, along, across):
        value, tangent = jax.jvp(function, arrays, along)
        second = jax.jvp(slope, arrays, across)[1], jax.vjp(slope_along, *arrays)[1](1.0)
        return Derivatives(value, slope(*arrays), tangent, *second)

    return every(arrays, along, across)


def opinions(row, arrays, keywords, rng):
    """Return the derivatives of a row's function as they are here and as JAX has them, along random directions."""

    def flat(namespace, function):
        return lambda *args: namespace.concatenate([part.reshape(-1) for part in parts(function(*args, **keywords))])

    size = flat(np, row.function)(*[tg.Tensor(array) for array in arrays]).size
    along, across = [tuple([rng.normal(size=array.shape) for array in arrays]) for _ in range(2)]
    given = tuple(arrays), along, across, rng.normal(size=size)
    return here(flat(np, row.function), *given), there(flat(jnp, in_jax(row.function)), *given)


def agree(ours, theirs):
    for name, found, expected in zip(Derivatives._fields, ours, theirs, strict=True):
        found, expected = [[np.asarray(part) for part in parts(result)] for result in (found, expected)]
        for a, b in zip(found, expected, strict=True):
            assert a.shape == b.shape and a.dtype == b.dtype == np.float64
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12 + 1e-8 * np.abs(b).max(initial=0), err_msg=name)


@pytest.mark.parametrize("row", [row for row in TABLE if row.name not in NOT_IN_JAX], ids=lambda row: row.name)
def test_a_function_agrees_with_jax_in_both_modes_to_second_order(row):
    arrays, keywords = max(drawings(row, 6), key=lambda drawn: sum([array.size for array in drawn[0]]))
    agree(*opinions(row, arrays, keywords, np.random.default_rng(0)))


def rnn(x, w, b, u, d):
    h = np.zeros((x.shape[1], u.shape[0]))
    for x_t in x:
        h = np.tanh(x_t @ w + b + h @ u + d)
    return h


def lstm(x, w, b, u, d):
    h = c = np.zeros((x.shape[1], u.shape[0]))
    for x_t in x:
        i, f, g, o = np.split(x_t @ w + b + h @ u + d, 4, axis=-1)
        c = tg.sigmoid(f) * c + tg.sigmoid(i) * np.tanh(g)
        h = tg.sigmoid(o) * np.tanh(c)
    return h


def gru(x, w, b, u, d):
    h = np.zeros((x.shape[1], u.shape[0]))
    for x_t in x:
        x_r, x_z, x_n = np.split(x_t @ w + b, 3, axis=-1)
        h_r, h_z, h_n = np.split(h @ u + d, 3, axis=-1)
        z = tg.sigmoid(x_z + h_z)
        h = (1 - z) * np.tanh(x_n + tg.sigmoid(x_r + h_r) * h_n) + z * h
    return h


CELLS = {"RNN": (rnn, nn.RNN), "LSTM": (lstm, nn.LSTM), "GRU": (gru, nn.GRU)}


def of_layer(layer):
    """Return a layer's last output as a function of its input and parameters."""
    names = list(layer.state_dict())
    return lambda x, *parameters: nn.functional_call(layer, dict(zip(names, parameters, strict=True)), x)[0][-1]


def cell_opinions(name, rng):
    """Return the derivatives of a cell through 5 steps: as written above, as the layer of that name, and by JAX."""
    written, make = CELLS[name]
    layer = make(2, 3).astype(np.float64)
    arrays = (rng.normal(size=(5, 4, 2)), *layer.state_dict().values())
    along, across = [tuple([rng.normal(size=array.shape) for array in arrays]) for _ in range(2)]
    given = arrays, along, across, rng.normal(size=(4, 3))
    return here(written, *given), here(of_layer(layer), *given), there(in_jax(written), *given)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_agrees_with_jax_through_five_steps_to_second_order(name):
    as_written, as_layer, by_jax = cell_opinions(name, np.random.default_rng(0))
    agree(as_written, by_jax)
    agree(as_layer, by_jax)
