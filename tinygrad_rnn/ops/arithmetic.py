"""Arithmetic of two arguments, powers, and the choice between values."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.primitive import Primitive, as_operand, constant, implements, value_of


def ufunc(primitive: Primitive, function: Any) -> Primitive:
    """Make a primitive the implementation of a NumPy function of the same arguments."""
    implements(function)(primitive.__call__)  # the bound method: a call less than the instance
    return primitive


add = ufunc(Primitive("add", np.add, saves=()), np.add)
add.defvjp(lambda g, out, a, b: g, lambda g, out, a, b: g)
add.defjvp(lambda da, out, a, b: da, lambda db, out, a, b: db)

subtract = ufunc(Primitive("subtract", np.subtract, saves=()), np.subtract)
subtract.defvjp(lambda g, out, a, b: g, lambda g, out, a, b: -g)
subtract.defjvp(lambda da, out, a, b: da, lambda db, out, a, b: -db)

multiply = ufunc(Primitive("multiply", np.multiply, saves=(0, 1)), np.multiply)
multiply.defvjp(lambda g, out, a, b: g * b, lambda g, out, a, b: g * a)
multiply.defjvp(lambda da, out, a, b: da * b, lambda db, out, a, b: a * db)

divide = ufunc(Primitive("divide", np.divide, saves=(1, "out")), np.divide)
divide.defvjp(lambda g, out, a, b: g / b, lambda g, out, a, b: -g * (out / b))
divide.defjvp(lambda da, out, a, b: da / b, lambda db, out, a, b: -db * (out / b))


def _flat(g: Any, out: Any, a: Any, b: Any) -> Any:
    return np.zeros(g.shape, g.dtype)


floor_divide = ufunc(Primitive("floor_divide", np.floor_divide, saves=()), np.floor_divide)
floor_divide.defvjp(_flat, _flat)
floor_divide.defjvp(_flat, _flat)

remainder = ufunc(Primitive("remainder", np.remainder, saves=(0, 1)), np.remainder)
remainder.defvjp(lambda g, out, a, b: g, lambda g, out, a, b: -g * np.floor_divide(a, b))
remainder.defjvp(lambda da, out, a, b: da, lambda db, out, a, b: -db * np.floor_divide(a, b))


def _power_by_base(g: Any, out: Any, a: Any, b: Any) -> Any:
    if isinstance(b, (int, float)):
        return g * (2 * a) if b == 2 else g * (b * a ** (b - 1 if b != 0 else 0))
    return g * (b * a ** np.where(b == 0, 0, b - 1))  # 0 * a**0 where b is 0: no 0 * inf at any a


def _power_by_exponent(g: Any, out: Any, a: Any, b: Any) -> Any:
    return g * (out * np.log(np.where(a == 0, 1, a)))  # 0**b is flat in b for b > 0


power = ufunc(Primitive("power", np.power), np.power)
power.defvjp(_power_by_base, _power_by_exponent)
power.defjvp(_power_by_base, _power_by_exponent)


def _maximum_rule(g: Any, out: Any, a: Any, b: Any) -> Any:
    return g * (0.5 * (np.greater_equal(a, b) * 1.0 + np.greater(a, b))).astype(g.dtype)


def _minimum_rule(g: Any, out: Any, a: Any, b: Any) -> Any:
    return g * (0.5 * (np.less_equal(a, b) * 1.0 + np.less(a, b))).astype(g.dtype)


maximum = ufunc(Primitive("maximum", np.maximum, saves=(0, 1)), np.maximum)
maximum.defvjp(_maximum_rule, lambda g, out, a, b: _maximum_rule(g, out, b, a))
maximum.defjvp(_maximum_rule, lambda db, out, a, b: _maximum_rule(db, out, b, a))

minimum = ufunc(Primitive("minimum", np.minimum, saves=(0, 1)), np.minimum)
minimum.defvjp(_minimum_rule, lambda g, out, a, b: _minimum_rule(g, out, b, a))
minimum.defjvp(_minimum_rule, lambda db, out, a, b: _minimum_rule(db, out, b, a))

where = Primitive("where", np.where, saves=(0,))
where.defvjp(
    lambda g, out, condition, a, b: None,
    lambda g, out, condition, a, b: np.where(condition, g, 0),
    lambda g, out, condition, a, b: np.where(condition, 0, g),
)
where.defjvp(
    lambda d, out, condition, a, b: None,
    lambda da, out, condition, a, b: np.where(condition, da, 0),
    lambda db, out, condition, a, b: np.where(condition, 0, db),
)


@implements(np.where)
def _where(condition: Any, *choices: Any) -> Any:
    condition = constant(condition)
    if not choices:
        return np.where(np.asarray(value_of(condition)))
    a, b = choices
    return where(condition, as_operand(a), as_operand(b))


@implements(np.select)
def _select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    if len(condlist) != len(choicelist):
        raise ValueError(f"select of {len(condlist)} conditions and {len(choicelist)} choices; give as many of each")
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        default = _where(condition, choice, default)
    return default


clip = Primitive("clip", np.clip, saves=(0, 1, 2))
clip.defvjp(
    lambda g, out, a, low, high: g * (np.greater_equal(a, low) & np.less_equal(a, high)),
    lambda g, out, a, low, high: g * (np.less(a, low) & np.less_equal(low, high)),
    lambda g, out, a, low, high: g * (np.greater(a, high) | np.greater(low, high)),
)
clip.defjvp(
    lambda d, out, a, low, high: d * (np.greater_equal(a, low) & np.less_equal(a, high)),
    lambda d, out, a, low, high: d * (np.less(a, low) & np.less_equal(low, high)),
    lambda d, out, a, low, high: d * (np.greater(a, high) | np.greater(low, high)),
)


def _extremes(a: Any) -> tuple[Any, Any]:
    """Return the lowest and the highest value of an array's dtype: infinities would turn integers into floats."""
    dtype = a.dtype if hasattr(a, "dtype") else np.asarray(a).dtype
    if dtype.kind in "iu":
        return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    return (False, True) if dtype.kind == "b" else (-np.inf, np.inf)


@implements(np.clip)
def _clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    a = as_operand(a)
    low = a_min if a_min is not None else min
    high = a_max if a_max is not None else max
    lowest, highest = _extremes(a) if low is None or high is None else (None, None)
    return clip(a, lowest if low is None else as_operand(low), highest if high is None else as_operand(high))
