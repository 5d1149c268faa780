"""The notation of LaTeX: how operations are set as formulas; one that is not listed here is set by its name."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.algebra import (
    AND,
    ATOM,
    BESIDE,
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
    Written,
    rewrites,
)
from ..core.latex.names import text
from ..core.latex.notation import (
    NOTATIONS,
    REWRITES,
    Seed,
    at_least,
    bracketed,
    grouped,
    indexed,
    named,
    side_by_side,
)
from ..core.node import Spec
from .notation import index_text

_INDICATOR = r"\mathbf{1}["
_COMPARISONS = ("not_equal", "equal", "less", "less_equal", "greater", "greater_equal")


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
    return Written(f"{grouped(base)}^{{{exponent}}}" if "^" in base else f"{base}^{{{exponent}}}", POWER)


def _power(term: Term, parts: Sequence[Written]) -> Written:
    return _raised(parts[0], parts[1].text)


def _transpose(term: Term, parts: Sequence[Written]) -> Written:
    axes, ndim = term.params["axes"], len(term.spec.shape)
    if ndim > 1 and axes == (*range(ndim - 2), ndim - 1, ndim - 2):
        return _raised(parts[0], r"\top")
    return named("transpose", term, parts)


def _same(term: Term, parts: Sequence[Written]) -> Written:
    return parts[0]


def _reshape(term: Term, parts: Sequence[Written]) -> Written:
    own, before = [[n for n in spec.shape if n != 1] for spec in (term.spec, term.operands[0].spec)]
    return parts[0] if own == before else named("reshape", term, parts)


def _joined(term: Term, parts: Sequence[Written]) -> Written:
    beside = term.params["axis"] == len(term.spec.shape) - 1
    return side_by_side([part.text for part in parts], "&" if beside else r"\\")


def _split(term: Term, parts: Sequence[Written]) -> Written:
    bounds, slot = (0, *term.params["bounds"]), term.slot or 0
    return indexed(parts[0], ":," * term.params["axis"] + f"{bounds[slot]}:{bounds[slot + 1]}")


def _getitem(term: Term, parts: Sequence[Written]) -> Written:
    return indexed(parts[0], _index(term, parts))


def _index(term: Term, parts: Sequence[Written]) -> str:
    return index_text(term.params["index"], parts[1:]).replace("None", r"\text{None}")


def _scatter_add(term: Term, parts: Sequence[Written]) -> Written:
    return Written(rf"\operatorname{{scatter}}_{{[{_index(term, parts)}]}}{bracketed(parts[0].text)}")


def _unstack(term: Term, parts: Sequence[Written]) -> Written:
    return indexed(parts[0], ":," * term.params["axis"] + str(term.slot or 0))


def _where(term: Term, parts: Sequence[Written]) -> Written:
    condition = parts[0].text
    if term.operands[0].operation in _COMPARISONS:
        condition = condition.removeprefix(_INDICATOR).removesuffix("]")
    rows = rf"{parts[1].text} & \text{{if }} {condition} \\ {parts[2].text} & \text{{otherwise}}"
    return Written(rf"\begin{{cases}} {rows} \end{{cases}}", SUM)


def _sum(term: Term, parts: Sequence[Written]) -> Written:
    if term.params["axis"] == (0,) and len(term.operands[0].spec.shape) == 2 and not term.params["keepdims"]:
        return Written(rf"\mathbf{{1}}^{{\top}} {at_least(parts[0], BESIDE)}", BESIDE)
    return named("sum", term, parts)


def _einsum(term: Term, parts: Sequence[Written]) -> Written:
    subscripts = rf"\text{{{text(','.join(term.params['terms']))}}} \to \text{{{text(term.params['result'])}}}"
    inside = bracketed(", ".join([part.text for part in parts]))
    return Written(rf"\operatorname{{einsum}}_{{{subscripts}}}{inside}")


NOTATIONS |= {
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


def _add_in_short(algebra: Algebra, operands: tuple[Term, ...], spec: Spec) -> Term | None:
    """Return a + a as 2 a."""
    a, b = operands
    if a is b and a.operation:
        return algebra.call("multiply", (algebra.number(2, Spec((), spec.dtype)), a), spec)
    return rewrites["add"](algebra, operands, spec)


def _multiply_in_short(algebra: Algebra, operands: tuple[Term, ...], spec: Spec) -> Term | None:
    """Return a * a, and b * a * a, with a square in it, and 1 times what holds or not as that."""
    a, b = operands
    if (a.is_number and a.symbol == 1) or (isinstance(a.symbol, Seed) and b.spec.shape == spec.shape):
        return b
    if isinstance(b.symbol, Seed) and a.spec.shape == spec.shape:
        return a
    if a is b:
        return algebra.call("square", (a,), spec)
    if a.operation == "multiply" and a.operands[1] is b:
        return algebra.call("multiply", (a.operands[0], algebra.call("square", (b,), b.spec)), spec)
    return rewrites["multiply"](algebra, operands, spec)


def _spread(operation: str) -> Rewrite:
    """Return what writes the cotangent of a loss, brought to another shape, as that."""

    def rewrite(algebra: Algebra, operands: tuple[Term, ...], spec: Spec) -> Term | None:
        if isinstance(operands[0].symbol, Seed):
            return algebra.name(operands[0].symbol, spec)
        return rewrites[operation](algebra, operands, spec) if operation in rewrites else None

    return rewrite


REWRITES |= {
    "add": _add_in_short,
    "multiply": _multiply_in_short,
    **{name: _spread(name) for name in ("broadcast_to", "reshape", "astype")},
}
