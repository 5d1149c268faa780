"""The notation of LaTeX: how operations are set as formulas; one that is not listed here is set by its name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..core.algebra import (
    AND,
    ATOM,
    NEGATIVE,
    OR,
    POWER,
    PRODUCT,
    SIGNED,
    SUM,
    XOR,
    Algebra,
    Notation,
    Rewrite,
    Term,
    Writer,
    Written,
    rewrites,
)
from ..core.node import Spec
from ..ops.notation import index_text
from .latex_names import text

# Side by side: holds together more strongly than a product element by element.
BESIDE = PRODUCT + 5
_INDICATOR = r"\mathbf{1}["


def bracketed(inside: str) -> str:
    """Return a formula in round brackets as high as what they hold."""
    tall = any(sign in inside for sign in (r"\frac", r"\begin", r"\left", r"\sum", r"\sqrt"))
    return rf"\left({inside}\right)" if tall else f"({inside})"


def at_least(part: Written, level: int) -> str:
    """Return a formula, in brackets unless it holds together strongly enough."""
    return part.text if part.level >= level else bracketed(part.text)


def _between(sign: str, level: int, left: int, right: int) -> Notation:
    def notation(term: Term, parts: Sequence[Written]) -> Written:
        return Written(f"{at_least(parts[0], left)} {sign} {at_least(parts[1], right)}", level)

    return notation


def _comparison(sign: str) -> Notation:
    def notation(term: Term, parts: Sequence[Written]) -> Written:
        return Written(f"{_INDICATOR}{parts[0].text} {sign} {parts[1].text}]")

    return notation


def _function(name: str) -> Notation:
    return lambda term, parts: Written(f"{name}{bracketed(', '.join([part.text for part in parts]))}")


def _multiply(term: Term, parts: Sequence[Written]) -> Written:
    scalars = [not operand.spec.shape for operand in term.operands]
    if not any(scalars):
        return _between(r"\odot", PRODUCT, PRODUCT, PRODUCT)(term, parts)
    left, right = [at_least(part, PRODUCT) for part in parts]
    sign = r"\cdot" if right[0].isdigit() else r"\,"
    return Written(f"{left} {sign} {right}", PRODUCT)


def _matmul(term: Term, parts: Sequence[Written]) -> Written:
    return Written(" ".join([at_least(part, BESIDE) for part in parts]), BESIDE)


def _negative(term: Term, parts: Sequence[Written]) -> Written:
    return Written(f"-{at_least(parts[0], PRODUCT)}", SIGNED if parts[0].level >= POWER else NEGATIVE)


def _raised(part: Written, exponent: str) -> Written:
    base = at_least(part, ATOM)
    return Written(f"{_grouped(base)}^{{{exponent}}}" if "^" in base else f"{base}^{{{exponent}}}", POWER)


def _grouped(base: str) -> str:
    """Return a formula as a group that takes another index: braces alone do not hold around a letter with an accent."""
    return f"{{{{}}{base}}}"


def _power(term: Term, parts: Sequence[Written]) -> Written:
    return _raised(parts[0], parts[1].text)


def _transpose(term: Term, parts: Sequence[Written]) -> Written:
    axes, ndim = term.params["axes"], len(term.spec.shape)
    if ndim > 1 and axes == (*range(ndim - 2), ndim - 1, ndim - 2):
        return _raised(parts[0], r"\top")
    return _named("transpose", term, parts)


def _same(term: Term, parts: Sequence[Written]) -> Written:
    return parts[0]


def _reshape(term: Term, parts: Sequence[Written]) -> Written:
    own, before = [[n for n in spec.shape if n != 1] for spec in (term.spec, term.operands[0].spec)]
    return parts[0] if own == before else _named("reshape", term, parts)


def _joined(term: Term, parts: Sequence[Written]) -> Written:
    beside = term.params["axis"] == len(term.spec.shape) - 1
    return side_by_side([part.text for part in parts], "&" if beside else r"\\")


def side_by_side(parts: Sequence[str], between: str = "&") -> Written:
    """Return some blocks as one matrix."""
    return Written(rf"\begin{{bmatrix}} {f' {between} '.join(parts)} \end{{bmatrix}}")


def _indexed(part: Written, index: str) -> Written:
    base = part.text if part.level >= ATOM else bracketed(part.text)
    return Written(f"{_grouped(base)}_{{[{index}]}}")


def _split(term: Term, parts: Sequence[Written]) -> Written:
    bounds, slot = (0, *term.params["bounds"]), term.slot or 0
    return _indexed(parts[0], ":," * term.params["axis"] + f"{bounds[slot]}:{bounds[slot + 1]}")


def _getitem(term: Term, parts: Sequence[Written]) -> Written:
    return _indexed(parts[0], _index(term, parts))


def _index(term: Term, parts: Sequence[Written]) -> str:
    return index_text(term.params["index"], parts[1:]).replace("None", r"\text{None}")


def _scatter_add(term: Term, parts: Sequence[Written]) -> Written:
    return Written(rf"\operatorname{{scatter}}_{{[{_index(term, parts)}]}}{bracketed(parts[0].text)}")


def _unstack(term: Term, parts: Sequence[Written]) -> Written:
    return _indexed(parts[0], ":," * term.params["axis"] + str(term.slot or 0))


def _where(term: Term, parts: Sequence[Written]) -> Written:
    condition = parts[0].text
    if condition.startswith(_INDICATOR) and condition.endswith("]"):
        condition = condition[len(_INDICATOR) : -1]
    rows = rf"{parts[1].text} & \text{{if }} {condition} \\ {parts[2].text} & \text{{otherwise}}"
    return Written(rf"\begin{{cases}} {rows} \end{{cases}}", SUM)


def _named(name: str, term: Term, parts: Sequence[Written]) -> Written:
    axis = term.params.get("axis")
    axes = axis if isinstance(axis, tuple) else (axis,)
    everywhere = axis is None or axes == tuple(range(len(term.operands[0].spec.shape)))
    below = "" if everywhere else f"_{{{','.join(map(str, axes))}}}"
    inside = bracketed(", ".join([part.text for part in parts]))
    return Written(rf"\operatorname{{{text(name.strip('_'))}}}{below}{inside}")


def _generic(term: Term, parts: Sequence[Written]) -> Written:
    found = _named(term.operation, term, parts)
    return found if term.slot is None else _indexed(found, str(term.slot))


def _sum(term: Term, parts: Sequence[Written]) -> Written:
    if term.params["axis"] == (0,) and len(term.operands[0].spec.shape) == 2 and not term.params["keepdims"]:
        return Written(rf"\mathbf{{1}}^{{\top}} {at_least(parts[0], BESIDE)}", BESIDE)
    return _named("sum", term, parts)


def _einsum(term: Term, parts: Sequence[Written]) -> Written:
    subscripts = rf"\text{{{text(','.join(term.params['terms']))}}} \to \text{{{text(term.params['result'])}}}"
    inside = bracketed(", ".join([part.text for part in parts]))
    return Written(rf"\operatorname{{einsum}}_{{{subscripts}}}{inside}")


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


def array(value: Any) -> Written | None:
    """Return an array that is the same everywhere; None for any other."""
    if not value.size or not (value == value.flat[0]).all():
        return None
    if value.ndim and value.flat[0] in (0, 1):
        return Written(rf"\mathbf{{{int(value.flat[0])}}}")
    return number(value.flat[0].item())


NOTATIONS: dict[str, Notation] = {
    "add": _between("+", SUM, SUM, SUM),
    "subtract": _between("-", SUM, SUM, NEGATIVE),
    "multiply": _multiply,
    "divide": lambda term, parts: Written(rf"\frac{{{parts[0].text}}}{{{parts[1].text}}}", BESIDE),
    "reciprocal": lambda term, parts: Written(rf"\frac{{1}}{{{parts[0].text}}}", BESIDE),
    "matmul": _matmul,
    "power": _power,
    "square": lambda term, parts: _raised(parts[0], "2"),
    "negative": _negative,
    "sqrt": lambda term, parts: Written(rf"\sqrt{{{parts[0].text}}}"),
    "absolute": lambda term, parts: Written(rf"\left\lvert {parts[0].text} \right\rvert"),
    "transpose": _transpose,
    "reshape": _reshape,
    "concatenate": _joined,
    "split": _split,
    "unstack": _unstack,
    "getitem": _getitem,
    "scatter_add": _scatter_add,
    "where": _where,
    "sum": _sum,
    "einsum": _einsum,
    "maximum": _function(r"\max"),
    "minimum": _function(r"\min"),
    "sigmoid": _function(r"\sigma"),
    "not_equal": _comparison(r"\neq"),
    "equal": _comparison("="),
    "less": _comparison("<"),
    "less_equal": _comparison(r"\leq"),
    "greater": _comparison(">"),
    "greater_equal": _comparison(r"\geq"),
    "logical_and": _between(r"\wedge", AND, AND, AND),
    "logical_or": _between(r"\vee", OR, OR, OR),
    "logical_xor": _between(r"\oplus", XOR, XOR, XOR),
    "logical_not": lambda term, parts: Written(rf"\neg {at_least(parts[0], POWER)}", POWER),
    **dict.fromkeys(("identity", "positive", "broadcast_to", "astype"), _same),
    **{name: _function(f"\\{name}") for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh")},
}


def writer(leaf: Callable[[Any, Spec], Written]) -> Writer:
    """Return what writes terms in LaTeX, given how names are written."""
    return Writer(NOTATIONS, _generic, leaf)


def _in_short(algebra: Algebra, operands: tuple[Term, ...], spec: Spec) -> Term | None:
    """Return a * a, and b * a * a, with a square in it, and 1 times what holds or not as that."""
    a, b = operands
    if a.is_number and a.symbol == 1:
        return b
    if a is b:
        return algebra.call("square", (a,), spec)
    if a.operation == "multiply" and a.operands[1] is b:
        return algebra.call("multiply", (a.operands[0], algebra.call("square", (b,), b.spec)), spec)
    return rewrites["multiply"](algebra, operands, spec)


def textbook() -> Algebra:
    """Return an algebra that simplifies as a textbook does."""
    own: dict[str, Rewrite] = {**rewrites, "multiply": _in_short}
    return Algebra(own)
