"""Functions of two arguments, element by element, beyond those of `arithmetic`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.primitive import Primitive, implements
from .arithmetic import ufunc


def pair(function: Any, saves: tuple[int | str, ...], by_first: Any, by_second: Any) -> Primitive:
    """Declare a ufunc of two arguments whose derivatives are factors: then vjp and jvp are the same rules."""
    primitive = ufunc(Primitive(function.__name__, function, saves=saves), function)
    primitive.defvjp(by_first, by_second)
    primitive.defjvp(by_first, by_second)
    return primitive


def _over_square(g: Any, numerator: Any, a: Any, b: Any) -> Any:
    """Return g * numerator / (a² + b²), 0 at the origin."""
    square = a * a + b * b
    return g * (numerator / np.where(np.equal(square, 0), 1, square))


arctan2 = pair(
    np.arctan2,
    (0, 1),
    lambda g, out, a, b: _over_square(g, b, a, b),
    lambda g, out, a, b: -_over_square(g, a, a, b),
)
hypot = pair(
    np.hypot,
    (0, 1, "out"),
    lambda g, out, a, b: g * (a / np.where(np.equal(out, 0), 1, out)),
    lambda g, out, a, b: g * (b / np.where(np.equal(out, 0), 1, out)),
)


def _weight(g: Any, out: Any, a: Any, exp: Any) -> Any:
    """Return g * exp(a - out), the share of `a` in a sum of exponentials; nothing where the whole sum is 0."""
    return g * exp(a - np.where(np.isneginf(out), 0, out))


logaddexp = pair(
    np.logaddexp,
    (0, 1, "out"),
    lambda g, out, a, b: _weight(g, out, a, np.exp),
    lambda g, out, a, b: _weight(g, out, b, np.exp),
)
logaddexp2 = pair(
    np.logaddexp2,
    (0, 1, "out"),
    lambda g, out, a, b: _weight(g, out, a, np.exp2),
    lambda g, out, a, b: _weight(g, out, b, np.exp2),
)


def _first_wins(g: Any, a: Any, b: Any, greater: Any) -> Any:
    """Pass `g` where `a` is the one that fmax or fmin takes: numbers win over NaN, ties share equally."""
    alone = np.logical_and(np.isnan(b), np.logical_not(np.isnan(a)))  # of a number beside a traced tensor, too
    share = np.where(np.equal(a, b), 0.5, 1.0 * np.logical_or(greater(a, b), alone))
    return g * share.astype(g.dtype)


fmax = pair(
    np.fmax,
    (0, 1),
    lambda g, out, a, b: _first_wins(g, a, b, np.greater),
    lambda g, out, a, b: _first_wins(g, b, a, np.greater),
)
fmin = pair(
    np.fmin,
    (0, 1),
    lambda g, out, a, b: _first_wins(g, a, b, np.less),
    lambda g, out, a, b: _first_wins(g, b, a, np.less),
)
fmod = pair(
    np.fmod,
    (0, 1),
    lambda g, out, a, b: g,
    lambda g, out, a, b: -g * np.trunc(a / b),
)
copysign = pair(
    np.copysign,
    (0, 1),
    lambda g, out, a, b: g * (np.sign(a) * np.copysign(1, b)),
    lambda g, out, a, b: np.zeros(g.shape, g.dtype),
)


@implements(np.float_power)
def _float_power(a: Any, b: Any) -> Any:
    base, exponent = [t.astype(np.float64) if hasattr(t, "astype") else float(t) for t in (a, b)]
    return np.power(base, exponent)
