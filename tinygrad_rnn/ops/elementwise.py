"""Functions of one argument, element by element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.primitive import Primitive, as_operand, implements
from ..core.tensor import Tensor

Rule = Callable[[Any, Any, Any], Any]


def unary(function: Any, saves: tuple[int | str, ...], rule: Rule) -> Primitive:
    """Declare a NumPy function whose derivative is a factor: then vjp and jvp are the same rule."""
    primitive = Primitive(function.__name__, function, saves=saves)
    primitive.defvjp(rule)
    primitive.defjvp(rule)
    implements(function)(primitive.__call__)  # the bound method: a call less than the instance
    return primitive


negative = unary(np.negative, (), lambda g, out, a: -g)
positive = unary(np.positive, (), lambda g, out, a: g)
square = unary(np.square, (0,), lambda g, out, a: g * (2 * a))
sqrt = unary(np.sqrt, ("out",), lambda g, out, a: g / (2 * out))
absolute = unary(np.absolute, (0,), lambda g, out, a: g * np.sign(a))
reciprocal = unary(np.reciprocal, ("out",), lambda g, out, a: -g * (out * out))
exp = unary(np.exp, ("out",), lambda g, out, a: g * out)
expm1 = unary(np.expm1, ("out",), lambda g, out, a: g * (out + 1))
log = unary(np.log, (0,), lambda g, out, a: g / a)
log1p = unary(np.log1p, (0,), lambda g, out, a: g / (1 + a))
sin = unary(np.sin, (0,), lambda g, out, a: g * np.cos(a))
cos = unary(np.cos, (0,), lambda g, out, a: -g * np.sin(a))
# g - g * out**2 saves the conversion of a Python number, a third of the time of a small array.
tanh = unary(np.tanh, ("out",), lambda g, out, a: g - g * out * out)


def _flat(g: Any, out: Any, a: Any) -> Any:
    return np.zeros(g.shape, g.dtype)


sign = unary(np.sign, (), _flat)
floor = unary(np.floor, (), _flat)
ceil = unary(np.ceil, (), _flat)
rint = unary(np.rint, (), _flat)
trunc = unary(np.trunc, (), _flat)

round_ = Primitive("round", np.round, saves=())
round_.defvjp(lambda g, out, a, decimals: np.zeros(g.shape, g.dtype))
round_.defjvp(lambda da, out, a, decimals: np.zeros(da.shape, da.dtype))


@implements(np.round)
def _round(a: Any, decimals: int = 0) -> Any:
    return round_(a, decimals=decimals)


astype = Primitive("astype", lambda a, dtype: np.asarray(a).astype(dtype), saves=())
astype.defvjp(lambda g, out, a, dtype: g)
astype.defjvp(lambda da, out, a, dtype: da.astype(dtype))


@implements(Tensor.astype)
def _astype(a: Any, dtype: Any) -> Any:
    target = np.dtype(dtype)
    if target == a.dtype:
        return a
    return astype(a if target.kind == "f" else a.detach(), dtype=target)


@implements(np.copy)
def _copy(a: Any) -> Any:
    return as_operand(a)


# A real number is its own conjugate.
implements(np.conjugate)(_copy)
implements(np.real)(_copy)
