"""The notation of LaTeX: how names, numbers and calls are set as formulas. `ops` adds how its operations are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..algebra import (
    ATOM,
    NEGATIVE,
    POWER,
    PRODUCT,
    SIGNED,
    SUM,
    Algebra,
    Notation,
    Rewrite,
    Term,
    Writer,
    Written,
    rewrites,
)
from ..node import Spec
from .names import text

# By the name of an operation, how it is set, and what simplifies it as a textbook does; `ops` fills both.
NOTATIONS: dict[str, Notation] = {
    "over_time": lambda term, parts: Written(rf"\sum_{{t}} {at_least(parts[0], NEGATIVE + 1)}", SUM)
}
REWRITES: dict[str, Rewrite] = {}
# Operations that change the shape alone, in a way that a formula may not say; `ops` fills it.
SHAPING: set[str] = set()
# What parameters are where nobody gave them.
_UNSAID = (None, False, 0, ())


class Seed(NamedTuple):
    """Stands for the cotangent of a loss: 1, which is not written where it is a factor."""


def bracketed(inside: str) -> str:
    """Return a formula in round brackets as high as what they hold."""
    tall = any(sign in inside for sign in (r"\frac", r"\begin", r"\left", r"\sum", r"\sqrt"))
    return rf"\left({inside}\right)" if tall else f"({inside})"


def at_least(part: Written, level: int) -> str:
    """Return a formula, in brackets unless it holds together strongly enough."""
    return part.text if part.level >= level else bracketed(part.text)


def side_by_side(parts: Sequence[str], between: str = "&") -> Written:
    """Return some blocks as one matrix."""
    return Written(rf"\begin{{bmatrix}} {f' {between} '.join(parts)} \end{{bmatrix}}")


def grouped(base: str) -> str:
    """Return a formula as a group that takes another index: braces alone do not hold around a letter with an accent."""
    return f"{{{{}}{base}}}"


def indexed(part: Written, index: str) -> Written:
    """Return a part of a formula, by its index in square brackets."""
    base = part.text if part.level >= ATOM else bracketed(part.text)
    return Written(f"{grouped(base)}_{{[{index}]}}")


def indexed_where_it_matters(part: Written, index: list[str]) -> Written:
    """Return a part of a formula by an index that makes or drops axes of length 1.

    Axes in front change nothing where elements are combined: a row is a matrix of one row.
    """
    first = next((i for i, one in enumerate(index) if one == ":"), len(index))
    last = next((i for i in range(len(index), 0, -1) if index[i - 1] != ":"), 0)
    return indexed(part, ", ".join(index[first:last])) if first < last else part


def named(name: str, term: Term, parts: Sequence[Written]) -> Written:
    """Return an operation as a function of that name, with its parameters below, but not axes that are all axes."""
    axis = term.params.get("axis")
    axes = axis if isinstance(axis, tuple) else (axis,)
    everywhere = axis is None or axes == tuple(range(len(term.operands[0].spec.shape)))
    below = [] if everywhere else [*map(str, axes)]
    for key, value in term.params.items():
        if key in ("axes", "shape"):
            below += map(str, value)
        elif key not in ("axis", "keepdims", "dtype") and not callable(value) and value not in _UNSAID:
            below.append(rf"\text{{{text(f'{key}={value!r}')}}}")
    under = f"_{{{','.join(below)}}}" if below else ""
    inside = bracketed(", ".join([part.text for part in parts]))
    found = Written(rf"\operatorname{{{text(name.strip('_'))}}}{under}{inside}")
    if not term.params.get("keepdims") or everywhere:
        return found
    kept = [r"\text{None}" if i in axes else ":" for i in range(len(term.spec.shape))]
    return indexed_where_it_matters(found, kept)


def _generic(term: Term, parts: Sequence[Written]) -> Written:
    found = named(term.operation, term, parts)
    return found if term.slot is None else indexed(found, str(term.slot))


def number(value: Any) -> Written:
    """Return a number in at most six digits."""
    if not math.isfinite(value):
        return Written(r"\text{nan}") if math.isnan(value) else Written("-" * (value < 0) + r"\infty", SIGNED)
    mantissa, _, exponent = f"{value:.6g}".partition("e")
    if not exponent:
        return Written(mantissa, SIGNED if value < 0 else ATOM)
    power = rf"10^{{{int(exponent)}}}"
    if mantissa == "1":
        return Written(power, POWER)
    return Written(rf"{mantissa} \cdot {power}", PRODUCT if value > 0 else NEGATIVE)


def is_uniform(value: Any) -> bool:
    """Whether an array is the same everywhere, so that it can be written as a number."""
    return bool(value.size and (value == value.flat[0]).all())


def array(value: Any) -> Written:
    """Return an array that is the same everywhere."""
    if value.ndim and value.flat[0] in (0, 1):
        return Written(rf"\mathbf{{{int(value.flat[0])}}}")
    return number(value.flat[0].item())


def writer(leaf: Callable[[Any, Spec], Written]) -> Writer:
    """Return what writes terms in LaTeX, given how names are written."""
    return Writer(NOTATIONS, _generic, leaf)


def textbook() -> Algebra:
    """Return an algebra that simplifies as a textbook does."""
    return Algebra({**rewrites, **REWRITES})
