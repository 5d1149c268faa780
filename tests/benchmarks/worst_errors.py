"""Print the worst relative error of every derivative, for each file of ops/ and for layers, and what HIPS knows.

python -m tests.benchmarks.worst_errors

An error is relative to the largest element of the array that it stands in, or to 0.01 where all are smaller: what is 0
in exact arithmetic comes out as rounding.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.ops.test_table import TABLE, Row, drawings, parts
from tinygrad_rnn import nn, ops
from tinygrad_rnn.core.dispatch import implementations
from tinygrad_rnn.interop import torch_state_dict
from tinygrad_rnn.ops import comparison

STEP = float(np.finfo(float).eps) ** (1 / 3)
SMALL = 0.01
KINDS = ("first order", "second order", "adjointness", "PyTorch", "JAX")
# Rows made of functions of several files, or of none that has a NumPy name: the file that they are about.
FILES = {
    "cholesky": "decompositions",
    "cross_entropy": "classification",
    "eigh": "decompositions",
    "eigvalsh": "decompositions",
    "scatter_add": "indexing",
    "softmax_excess": "classification",
}
Worst = dict[str, float]


def optional(name: str) -> Any:
    """Return a module of the tests, or None where the library that it asks is not installed."""
    try:
        return importlib.import_module(name)
    except pytest.skip.Exception:
        return None


in_jax, in_torch = optional("tests.ops.test_jax"), optional("tests.ops.test_oracle")


def relative(found: Any, expected: Any) -> float:
    """Return the largest error in some arrays."""
    worst = 0.0
    for a, b in zip(found, expected, strict=True):
        a, b = np.asarray(getattr(a, "data", a)), np.asarray(getattr(b, "data", b))
        worst = max(worst, float(np.abs(a - b).max(initial=0)) / float(np.abs(b).max(initial=SMALL)))
    return worst


def differences(function: Callable[..., Any], arrays: Sequence[Any], along: Sequence[Any]) -> list[Any]:
    """Return central differences of the results of a function along a direction."""
    ahead, behind = [
        function(*[array + sign * STEP * part for array, part in zip(arrays, along, strict=True)]) for sign in (1, -1)
    ]
    return [(np.asarray(a.data) - np.asarray(b.data)) / (2 * STEP) for a, b in zip(ahead, behind, strict=True)]


def own_errors(function: Callable[..., Any], arrays: Sequence[Any], rng: np.random.Generator) -> Worst:
    """Return the errors that need no other library, at one point along random directions."""
    along, across = [[rng.normal(size=array.shape) for array in arrays] for _ in range(2)]
    value, tangent = tg.jvp(function, arrays, along)
    cotangent = rng.normal(size=value.shape)

    def slopes(*args: Any) -> Any:
        return tg.vjp(function, *args)[1](cotangent)

    def slope_along(*args: Any) -> Any:
        return np.sum(tg.jvp(function, args, along)[1] * cotangent)

    gradient, second = slopes(*arrays), tg.jvp(slopes, arrays, across)[1]
    turned = tg.vjp(slope_along, *arrays)[1](1.0)
    return {
        "first order": relative([tangent], differences(lambda *args: [function(*args)], arrays, along)),
        "second order": relative(second, differences(slopes, arrays, across)),
        "adjointness": max(
            apart(zip(gradient, along, strict=True), [(tangent, cotangent)]),
            apart(zip(second, along, strict=True), zip(turned, across, strict=True)),
        ),
    }


def apart(left: Any, right: Any) -> float:
    """Return how far two sums of products are from each other, relative to the size of their terms."""
    terms = [np.concatenate([np.ravel(np.asarray(a.data) * b) for a, b in pairs]) for pairs in (left, right)]
    size = max(SMALL, *[float(np.abs(part).sum()) for part in terms])
    return abs(float(terms[0].sum() - terms[1].sum())) / size


def errors_of(row: Row, draws: int) -> Worst:
    """Return the worst errors of a row of the table."""
    rng = np.random.default_rng(0)
    worst: Worst = {}
    for number, (arrays, keywords) in enumerate(drawings(row, draws)):

        def flat(*args: Any, keywords: Any = keywords) -> Any:
            return np.concatenate([part.reshape(-1) for part in parts(row.function(*args, **keywords))])

        keep_worst(worst, own_errors(flat, arrays, rng))
        if in_torch is not None and row.name in in_torch.IN_TORCH:
            ours, theirs = in_torch.opinions(row.function, in_torch.IN_TORCH[row.name], arrays, keywords)
            keep_worst(worst, {"PyTorch": max(map(relative, ours, detached(theirs)))})
        # JAX compiles for each shape, a quarter of a second.
        if in_jax is not None and row.name not in in_jax.NOT_IN_JAX and number % 5 == 0:
            ours, theirs = in_jax.opinions(row, arrays, keywords, rng)
            keep_worst(worst, {"JAX": of_jax(ours, theirs)})
    return worst


def of_jax(ours: Any, theirs: Any) -> float:
    """Return the worst error among all derivatives."""
    return max(relative(parts(a), parts(b)) for a, b in zip(ours, theirs, strict=True))


def detached(nests: Any) -> Any:
    return [[tensor.numpy(force=True) for tensor in nest] for nest in nests]


def keep_worst(worst: Worst, found: Worst) -> None:
    for kind, error in found.items():
        worst[kind] = max(worst.get(kind, 0.0), error)


def declared(name: str) -> list[Any]:
    """Return the primitives of a file of ops/."""
    module = importlib.import_module(f"{ops.__name__}.{name}")
    return [value for value in vars(module).values() if isinstance(value, tg.Primitive)]


def file_of(row: Row) -> str:
    """Return the file of ops/ that the function of a row is in: the one of the first function that it calls."""
    if row.name in FILES:
        return FILES[row.name]
    module = getattr(row.function, "__module__", None) or ""
    if module.startswith(ops.__name__):
        return module.rpartition(".")[2]
    called: list[Any] = []

    def noting(implementation: Any) -> Any:
        def call(*args: Any, **keywords: Any) -> Any:
            called.append(implementation)
            return implementation(*args, **keywords)

        return call

    (arrays, keywords), *_ = drawings(row, 1)
    with pytest.MonkeyPatch.context() as patch:
        for function, implementation in implementations.items():
            patch.setitem(implementations, function, noting(implementation))
        row.function(*[tg.Tensor(array, requires_grad=True) for array in arrays], **keywords)
    about = next(found for found in called if getattr(found, "__module__", "") != comparison.__name__)
    primitive = getattr(about, "__self__", about)
    if isinstance(primitive, tg.Primitive):
        names = [info.name for info in pkgutil.iter_modules(ops.__path__)]
        return next(name for name in names if primitive in declared(name))
    return str(primitive.__module__).rpartition(".")[2]


def of_layer(layer: nn.Module) -> Callable[..., Any]:
    """Return a layer's output as a function of its input and parameters."""
    names = list(layer.state_dict())

    def run(x: Any, *parameters: Any) -> Any:
        y = nn.functional_call(layer, dict(zip(names, parameters, strict=True)), x)
        return y[0] if isinstance(y, tuple) else y

    return run


def of_torch(name: str, layer: Any, x: Any, cotangent: Any) -> float:
    """Return the error of a recurrent layer's output and gradients against PyTorch's layer with the same weights."""
    torch = in_torch.torch
    theirs = getattr(torch.nn, name)(2, 3).double()
    theirs.load_state_dict({key: torch.tensor(array) for key, array in torch_state_dict(layer).items()})
    inputs, others = tg.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, other = layer(inputs)[0], theirs(others)[0]
    y.backward(cotangent)
    other.backward(torch.tensor(cotangent))
    for parameter in layer.parameters():
        parameter.assign(parameter.grad)
    named = torch_state_dict(layer)  # the gradients, in PyTorch's names and layout
    found = [y.data, inputs.grad, *named.values()]
    expected = [other, others.grad, *[dict(theirs.named_parameters())[key].grad for key in named]]
    return relative(found, *detached([expected]))


def layers(draws: int) -> dict[str, Worst]:
    """Return the worst errors of layers, the recurrent ones through 5 steps."""
    found: dict[str, Worst] = {}
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        tg.random.seed(seed)
        for name, make in {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}.items():
            layer, x = make(2, 3).astype(np.float64), rng.normal(size=(5, 2, 2))
            worst = found.setdefault(name, {})
            keep_worst(worst, own_errors(of_layer(layer), [x, *layer.state_dict().values()], rng))
            if in_torch is not None:
                keep_worst(worst, {"PyTorch": of_torch(name, layer, x, rng.normal(size=(5, 2, 3)))})
            if in_jax is not None and seed % 5 == 0:
                *ours, theirs = in_jax.cell_opinions(name, rng)
                keep_worst(worst, {"JAX": max(of_jax(one, theirs) for one in ours)})
        for other in (nn.Linear(3, 2).astype(np.float64), nn.LayerNorm(3).astype(np.float64)):
            arrays = [rng.normal(size=(4, 3)), *[array + 0.1 for array in other.state_dict().values()]]
            keep_worst(found.setdefault(type(other).__name__, {}), own_errors(of_layer(other), arrays, rng))
    return found


def known_to_hips() -> dict[str, bool] | None:
    """Return the NumPy functions that HIPS autograd has a gradient for, and whether they have one here too."""
    try:
        from autograd.core import primitive_vjps
    except ModuleNotFoundError:
        return None
    importlib.import_module("autograd.numpy")
    namespaces = {"": np, "linalg.": np.linalg, "fft.": np.fft}
    wrapped = {getattr(primitive.fun, "__name__", ""): primitive.fun for primitive in primitive_vjps}
    return {
        prefix + name: function in implementations
        for name, function in sorted(wrapped.items())
        for prefix, namespace in namespaces.items()
        if getattr(namespace, name, None) is function
    }


def line(name: str, count: int | str, worst: Worst) -> str:
    cells = [f"{worst[kind]:.1e}" if kind in worst else "" for kind in KINDS]
    return f"{name:<18}{count!s:>10}" + "".join(f"{cell:>14}" for cell in cells)


def main(draws: int) -> None:
    """Print a line for each file and layer, and the row with the worst error of each kind."""
    print(f"{'':<18}{'rows':>10}" + "".join(f"{kind:>14}" for kind in KINDS))
    files: dict[str, Worst] = {}
    counts: dict[str, int] = {}
    blame: dict[str, tuple[float, str]] = {}
    for row in TABLE:
        worst, file = errors_of(row, draws), file_of(row)
        keep_worst(files.setdefault(file, {}), worst)
        counts[file] = counts.get(file, 0) + 1
        for kind, error in worst.items():
            blame[kind] = max(blame.get(kind, (0.0, "")), (error, row.name))
    for file in sorted(files):
        print(line(file, counts[file], files[file]))
    for name, worst in layers(draws).items():
        print(line(name, "", worst))
    print(
        "\nworst: " + ", ".join(f"{kind} {blame[kind][0]:.1e} of {blame[kind][1]}" for kind in KINDS if kind in blame)
    )
    print(f"{len(TABLE)} rows of the table, {len(implementations)} functions of NumPy work on tensors")
    known = known_to_hips()
    if known is not None:
        missing = [name for name, here in known.items() if not here]
        print(
            f"{len(known) - len(missing)} of {len(known)} functions that HIPS autograd differentiates; without a rule:"
        )
        print(" ".join(missing))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=20, help="of the arguments of each function")
    main(parser.parse_args().draws)
