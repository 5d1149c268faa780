"""The notation of LaTeX: how operations are set as formulas; one that is not listed here is set by its name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
    SHAPING,
    Seed,
    at_least,
    bracketed,
    grouped,
    indexed,
    indexed_where_it_matters,
    named,
    side_by_side,
)
from ..core.node import Spec
from ..core.trace import freeze
from .notation import index_text

_INDICATOR = r"\mathbf{1}["
_TURNED = r"^{\top}"
_COMPARISONS = ("not_equal", "equal", "less", "less_equal", "greater", "greater_equal")


def _between(sign: str, level: int, left: int, right: int) -> Notation:
    def notation(term: Term, parts: Sequence[Written]) -> Written:
        return Written(f"{at_least(parts[0], left)} {sign} {at_least(parts[1], right)}", level)

    return notation


def _comparison(sign: str) -> Notation:
    def notation(term: Term, parts: Sequence[Written]) -> Written:
        left, right = [at_least(part, SUM) for part in parts]
        return Written(f"{_INDICATOR}{left} {sign} {right}]")

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


def _turns_last(term: Term) -> bool:
    """Whether a term is another whose last two axes change places."""
    ndim = len(term.spec.shape)
    return term.operation == "transpose" and ndim > 1 and term.params["axes"] == (*range(ndim - 2), ndim - 1, ndim - 2)


def _transpose(term: Term, parts: Sequence[Written]) -> Written:
    if term.params["axes"] == tuple(range(len(term.spec.shape))):
        return parts[0]
    if not _turns_last(term):
        return named("transpose", term, parts)
    if _turns_last(term.operands[0]) and parts[0].text.endswith(_TURNED):
        return Written(parts[0].text.removesuffix(_TURNED))
    return _raised(parts[0], r"\top")


def _astype(term: Term, parts: Sequence[Written]) -> Written:
    own, before = term.spec.dtype.kind, term.operands[0].spec.dtype.kind
    if own == "b" and before != "b":
        return Written(rf"{_INDICATOR}{at_least(parts[0], SUM)} \neq 0]")
    return named("int", term, parts) if own in "iu" and before == "f" else parts[0]


def _same(term: Term, parts: Sequence[Written]) -> Written:
    return parts[0]


def _reshape(term: Term, parts: Sequence[Written]) -> Written:
    own, before = term.spec.shape, term.operands[0].spec.shape
    if [n for n in own if n != 1] != [n for n in before if n != 1]:
        return _spread_out(lambda term, parts: named("reshape", term, parts))(term, parts)
    index, at, place = [], 0, 0
    while at < len(before) or place < len(own):
        if before[at : at + 1] == own[place : place + 1]:
            index.append(":")
            at, place = at + 1, place + 1
        elif own[place : place + 1] == (1,):
            index.append(r"\text{None}")
            place += 1
        else:
            index.append("0")
            at += 1
    if _trimmed(own) == _trimmed(before):
        return parts[0]
    return _spread_out(lambda term, parts: indexed_where_it_matters(parts[0], index))(term, parts)


def _joined(term: Term, parts: Sequence[Written]) -> Written:
    from_last = len(term.spec.shape) - term.params["axis"]
    if from_last > 2:
        return named("concatenate", term, parts)
    return side_by_side([part.text for part in parts], "&" if from_last == 1 else r"\\")


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


# Operations that spread what is smaller over what is larger, as their formulas do without saying so.
_ELEMENTWISE = frozenset(
    {
        *("sigmoid", "relu", "softplus", "where", "astype", "clip", "stop", "identity", "erf", "over_time"),
        *[name for name, function in vars(np).items() if isinstance(function, np.ufunc) and function.signature is None],
    }
)


def _written_shape(term: Term, known: dict[Term, tuple[int, ...]]) -> tuple[int, ...]:
    """Return the shape of what a formula shows, which says nothing of how it is spread over a larger one."""
    if term not in known:
        before = term.operands[0] if term.operands else term
        if term.operation == "broadcast_to" or (
            term.operation == "reshape" and _trimmed(term.spec.shape) == _trimmed(before.spec.shape)
        ):
            known[term] = _written_shape(before, known)
        elif isinstance(term.symbol, np.ndarray) and term.symbol.flat[0] not in (0, 1):
            known[term] = ()
        elif term.operation in _ELEMENTWISE:
            known[term] = np.broadcast_shapes(*[_written_shape(operand, known) for operand in term.operands])
        else:
            known[term] = term.spec.shape
    return known[term]


def _spread_out(notation: Notation) -> Notation:
    """Return a notation that says of its operands how they are spread, for an operation to which it matters."""

    def spread_out(term: Term, parts: Sequence[Written]) -> Written:
        known: dict[Term, tuple[int, ...]] = {}
        told = []
        for operand, part in zip(term.operands, parts, strict=True):
            shape, shown = operand.spec.shape, _written_shape(operand, known)
            if shown == shape or (term.operation == "matmul" and _trimmed(shape) == _trimmed(shown)):
                told.append(part)
            elif _trimmed(shape) == _trimmed(shown):
                more = len(shape) - len(shown)
                told.append(indexed(part, ", ".join([r"\text{None}"] * more if more > 0 else ["0"] * -more)))
            else:
                below = ",".join(map(str, shape))
                told.append(Written(rf"\operatorname{{broadcast}}_{{{below}}}{bracketed(part.text)}"))
        return notation(term, told)

    return spread_out


def _trimmed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without axes of length 1 in front."""
    first = next((i for i, n in enumerate(shape) if n != 1), len(shape))
    return shape[first:]


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
    **dict.fromkeys(("identity", "positive", "broadcast_to", "whole"), _same),
    "astype": _astype,
    **{name: _function(f"\\{name}") for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh")},
}
SHAPING |= {"broadcast_to", "reshape"}
for _name in NOTATIONS.keys() - _ELEMENTWISE - {"broadcast_to", "reshape"}:
    NOTATIONS[_name] = _spread_out(NOTATIONS[_name])


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


def _reshape_in_short(algebra: Algebra, operands: tuple[Term, ...], spec: Spec) -> Term | None:
    """Return what is reshaped again as reshaped once."""
    (a,) = operands
    if a.operation != "reshape":
        return _spread("reshape")(algebra, operands, spec)
    (before,) = a.operands
    if before.spec.shape == spec.shape:
        return before
    return algebra.call("reshape", (before,), spec, freeze({"shape": spec.shape}))


REWRITES |= {
    "add": _add_in_short,
    "multiply": _multiply_in_short,
    "reshape": _reshape_in_short,
    **{name: _spread(name) for name in ("broadcast_to", "astype")},
}
