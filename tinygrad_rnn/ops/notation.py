"""Notation: how operations are written as algebra, and how they are simplified before.

The text is Python: with NumPy's functions and those of this package in scope, it computes what it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from string import ascii_lowercase
from typing import Any

import numpy as np

from ..core.algebra import (
    AND,
    ATOM,
    COMPARISON,
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
from ..core.node import Spec
from ..core.notation import PYTHON, call, in_brackets, setting
from ..core.trace import freeze
from .indexing import _ARRAY


def infix(sign: str, level: int, left: int, right: int) -> Notation:
    """Return the notation of an operator between two operands, which must hold together as strongly as is said."""

    def notation(term: Term, parts: Sequence[Written]) -> Written:
        return Written(f"{in_brackets(parts[0], left)} {sign} {in_brackets(parts[1], right)}", level)

    return notation


def _negative(term: Term, parts: Sequence[Written]) -> Written:
    (part,) = parts
    return Written(f"-{in_brackets(part, PRODUCT)}", SIGNED if part.level >= POWER else NEGATIVE)


def _multiply(term: Term, parts: Sequence[Written]) -> Written:
    # a * (b * c) and a * (b / c) need no brackets, a * (b @ c) does.
    flat = term.operands[1].operation in ("multiply", "divide")
    return infix("*", PRODUCT, PRODUCT, PRODUCT if flat else POWER)(term, parts)


def same(term: Term, parts: Sequence[Written]) -> Written:
    """Write an operation that changes nothing as what it is done to."""
    (part,) = parts
    return part


def _on_bools(sign: str, level: int, right: int) -> Notation:
    def notation(term: Term, parts: Sequence[Written]) -> Written:
        if any(operand.spec.dtype.kind != "b" for operand in term.operands):
            return call(term, parts, term.params)
        return infix(sign, level, level, right)(term, parts)

    return notation


def _not(term: Term, parts: Sequence[Written]) -> Written:
    if any(operand.spec.dtype.kind != "b" for operand in term.operands):
        return call(term, parts, term.params)
    (part,) = parts
    return Written(f"~{in_brackets(part, POWER)}", POWER)


def _transpose(term: Term, parts: Sequence[Written]) -> Written:
    axes, ndim = term.params["axes"], len(term.spec.shape)
    (part,) = parts
    if axes == (*range(ndim - 2), ndim - 1, ndim - 2):
        return Written(f"{in_brackets(part, ATOM)}.{'T' if ndim == 2 else 'mT'}")
    return Written(f"transpose({part.text}, {axes})")


def _astype(term: Term, parts: Sequence[Written]) -> Written:
    (part,) = parts
    return Written(f"{in_brackets(part, ATOM)}.astype({setting(term.params['dtype'])})")


def _shaped(term: Term, parts: Sequence[Written]) -> Written:
    (part,) = parts
    return Written(f"{term.operation}({part.text}, {term.spec.shape})")


def index_text(index: Any, arrays: Sequence[Written]) -> str:
    """Return an index as one writes it between square brackets, index arrays by their names."""
    rest = iter(arrays)
    parts = [next(rest).text if part is _ARRAY else _place(part) for part in _parts(index)]
    return ", ".join(parts) + "," * (len(parts) == 1 and isinstance(index, tuple) and parts != ["..."]) or "()"


def _parts(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def _place(part: Any) -> str:
    if isinstance(part, slice):
        ends = ["" if end is None else str(int(end)) for end in (part.start, part.stop, part.step)]
        return ":".join(ends if ends[2] else ends[:2])
    return "..." if part is Ellipsis else str(part if part is None or isinstance(part, (bool, np.bool)) else int(part))


def _getitem(term: Term, parts: Sequence[Written]) -> Written:
    return Written(f"{in_brackets(parts[0], ATOM)}[{index_text(term.params['index'], parts[1:])}]")


def _scatter_add(term: Term, parts: Sequence[Written]) -> Written:
    index = index_text(term.params["index"], parts[1:])
    return Written(f"scatter_add({parts[0].text}, s_[{index}], shape={term.spec.shape})")


def _split(term: Term, parts: Sequence[Written]) -> Written:
    bounds = (0, *term.params["bounds"])
    slot = term.slot or 0
    (part,), place = parts, _place(slice(bounds[slot], bounds[slot + 1]))
    return Written(f"{in_brackets(part, ATOM)}[{':, ' * term.params['axis']}{place}]")


def _unstack(term: Term, parts: Sequence[Written]) -> Written:
    (part,) = parts
    return Written(f"{in_brackets(part, ATOM)}[{':, ' * term.params['axis']}{term.slot or 0}]")


def _joined(term: Term, parts: Sequence[Written]) -> Written:
    return Written(f"{term.operation}([{', '.join([part.text for part in parts])}], axis={term.params['axis']})")


def _einsum(term: Term, parts: Sequence[Written]) -> Written:
    used = [letter for subscripts in (*term.params["terms"], term.params["result"]) for letter in subscripts]
    # Letters that stand for the axes of an ellipsis are beyond the alphabet: they get others that are free.
    free = iter([letter for letter in ascii_lowercase if letter not in used])
    plain = {letter: letter if letter.isascii() else next(free) for letter in dict.fromkeys(used)}
    terms, result = [[plain[letter] for letter in text] for text in term.params["terms"]], term.params["result"]
    left = ",".join(["".join(letters) for letters in terms])
    inside = ", ".join([part.text for part in parts])
    return Written(f"einsum('{left}->{''.join([plain[letter] for letter in result])}', {inside})")


def _reduction(term: Term, parts: Sequence[Written]) -> Written:
    (operand,) = term.operands
    everything = term.params["axis"] == tuple(range(len(operand.spec.shape)))
    hidden = {"axis": everything, "keepdims": not term.params["keepdims"], "ddof": not term.params.get("ddof")}
    return call(term, parts, {name: value for name, value in term.params.items() if not hidden.get(name)})


_LEFT, _RIGHT = PRODUCT, POWER
_NOTATIONS: dict[str, Notation] = {
    "add": infix("+", SUM, SUM, SUM),
    "subtract": infix("-", SUM, SUM, NEGATIVE),
    "multiply": _multiply,
    "divide": infix("/", PRODUCT, _LEFT, _RIGHT),
    "matmul": infix("@", PRODUCT, _LEFT, _RIGHT),
    "remainder": infix("%", PRODUCT, _LEFT, _RIGHT),
    "floor_divide": infix("//", PRODUCT, _LEFT, _RIGHT),
    "power": infix("**", POWER, ATOM, SIGNED),
    "negative": _negative,
    **dict.fromkeys(("positive", "identity", "stop"), same),
    **{
        name: infix(sign, COMPARISON, OR, OR)
        for name, sign in {
            "equal": "==",
            "not_equal": "!=",
            "less": "<",
            "less_equal": "<=",
            "greater": ">",
            "greater_equal": ">=",
        }.items()
    },
    "logical_and": _on_bools("&", AND, SUM),
    "logical_or": _on_bools("|", OR, XOR),
    "logical_xor": _on_bools("^", XOR, AND),
    "logical_not": _not,
    "absolute": lambda term, parts: Written(f"abs({', '.join([part.text for part in parts])})"),
    "transpose": _transpose,
    "astype": _astype,
    "reshape": _shaped,
    "broadcast_to": _shaped,
    "getitem": _getitem,
    "scatter_add": _scatter_add,
    "split": _split,
    "unstack": _unstack,
    "concatenate": _joined,
    "stack": _joined,
    "einsum": _einsum,
    **dict.fromkeys(("sum", "mean", "max", "min", "var", "logsumexp"), _reduction),
}
PYTHON.notations.update(_NOTATIONS)


def _is(term: Term, value: int, spec: Spec) -> bool:
    """Whether a term is a number that leaves what it is added to, or multiplied with, as it is."""
    return term.is_number and term.symbol == value and spec.dtype.kind == "f"


def _factors(term: Term) -> list[Term]:
    """Return what a product is a product of."""
    found: list[Term] = []
    stack = [term]
    while stack:
        part = stack.pop()
        if part.operation == "multiply":
            stack += reversed(part.operands)
        elif part.operation == "square":
            found += part.operands * 2
        else:
            found.append(part)
    return found


def _product(algebra: Algebra, factors: Sequence[Term], spec: Spec) -> Term:
    if not factors:
        return algebra.number(1, Spec((), spec.dtype))
    total = factors[0]
    for factor in factors[1:]:
        total = _call(algebra, "multiply", (total, factor), spec)
    return total


def _call(algebra: Algebra, operation: str, operands: tuple[Term, ...], like: Spec) -> Term:
    """Return an operation element by element, of a dtype like that of another result."""
    shape = np.broadcast_shapes(*[operand.spec.shape for operand in operands])
    return algebra.call(operation, operands, Spec(shape, like.dtype))


def _factored(algebra: Algebra, operation: str, operands: tuple[Term, ...], spec: Spec) -> Term | None:
    """Return a * b + a * c as a * (b + c), and a - a * b as a * (1 - b)."""
    left, right = [_factors(operand) for operand in operands]
    common = []
    for factor in list(left):
        if factor in right and not factor.is_number:
            common.append(factor)
            left.remove(factor)
            right.remove(factor)
    if not common or not (left or right) or spec.dtype.kind != "f":
        return None
    rests = tuple([_product(algebra, rest, spec) for rest in (left, right)])
    rest = _call(algebra, operation, rests, spec)
    return algebra.call("multiply", (_product(algebra, common, spec), rest), spec)


def _rewrite_add(algebra: Algebra, operands: tuple[Term, ...], spec: Spec) -> Term | None:
    a, b = operands
    if _is(a, 0, b.spec):
        return b
    if b.operation == "negative":
        return algebra.call("subtract", (a, *b.operands), spec)
    if a.operation == "negative":
        return algebra.call("subtract", (b, *a.operands), spec)
    return _factored(algebra, "add", operands, spec)


def _rewrite_subtract(algebra: Algebra, operands: tuple[Term, ...], spec: Spec) -> Term | None:
    a, b = operands
    if b.operation == "negative":
        return algebra.call("add", (a, *b.operands), spec)
    return _factored(algebra, "subtract", operands, spec)


def _rewrite_multiply(algebra: Algebra, operands: tuple[Term, ...], spec: Spec) -> Term | None:
    a, b = operands
    if _is(b, 1, a.spec):
        return a
    if _is(a, 1, b.spec):
        return b
    negated = _without_signs(algebra, "multiply", operands, spec)
    if negated is not None:
        return negated
    if a.is_number and b.is_number:
        return algebra.number(a.symbol * b.symbol, spec)
    if b.is_number:  # numbers come first
        return algebra.call("multiply", (b, a), spec)
    if a.is_number and a.symbol < 0:
        positive = algebra.call("multiply", (algebra.number(-a.symbol, a.spec), b), spec)
        return algebra.call("negative", (positive,), spec)
    for one, other, first in ((a, b, True), (b, a, False)):
        if one.operation == "multiply" and one.operands[0].is_number and not other.is_number:
            pair = (one.operands[1], other) if first else (other, one.operands[1])
            return algebra.call("multiply", (one.operands[0], _call(algebra, "multiply", pair, spec)), spec)
    if b.operation == "multiply" and a.is_number and b.operands[0].is_number:
        return algebra.call("multiply", (algebra.number(a.symbol * b.operands[0].symbol, a.spec), b.operands[1]), spec)
    return None


def _without_signs(algebra: Algebra, operation: str, operands: tuple[Term, ...], spec: Spec) -> Term | None:
    """Return a product or a quotient with the minus signs of its parts in front of it."""
    signs = [operand.operation == "negative" for operand in operands]
    if not any(signs):
        return None
    bare = [operand.operands if sign else (operand,) for operand, sign in zip(operands, signs, strict=True)]
    found = algebra.call(operation, tuple(chain(*bare)), spec)
    return found if all(signs) else algebra.call("negative", (found,), spec)


def _rewrite_negative(algebra: Algebra, operands: tuple[Term, ...], spec: Spec) -> Term | None:
    (negated,) = operands
    if negated.operation != "negative":
        return None
    (term,) = negated.operands
    return term


def _rewrite_power(algebra: Algebra, operands: tuple[Term, ...], spec: Spec) -> Term | None:
    a, b = operands
    return a if _is(b, 1, a.spec) else None


def _rewrite_broadcast(algebra: Algebra, operands: tuple[Term, ...], spec: Spec) -> Term | None:
    """Leave out a reshape that does nothing but put axes of length 1 in front, as broadcasting does by itself."""
    (wide,) = operands
    if wide.operation != "reshape":
        return None
    (narrow,) = wide.operands
    shape, own = wide.spec.shape, narrow.spec.shape
    if len(own) > len(shape) or shape != (1,) * (len(shape) - len(own)) + own:
        return None
    return algebra.call("broadcast_to", wide.operands, spec, freeze({"shape": spec.shape}))


def _signs_first(operation: str) -> Rewrite:
    return lambda algebra, operands, spec: _without_signs(algebra, operation, operands, spec)


def _number_last(mirrored: str) -> Rewrite:
    """Return what writes 0 < a, which is how a > 0 reaches its operation, as it was written."""

    def rewrite(algebra: Algebra, operands: tuple[Term, ...], spec: Spec) -> Term | None:
        a, b = operands
        return algebra.call(mirrored, (b, a), spec) if a.is_number and not b.is_number else None

    return rewrite


rewrites.update(
    {
        "add": _rewrite_add,
        "subtract": _rewrite_subtract,
        "multiply": _rewrite_multiply,
        "negative": _rewrite_negative,
        "power": _rewrite_power,
        "broadcast_to": _rewrite_broadcast,
        **{name: _signs_first(name) for name in ("divide", "matmul")},
        "less": _number_last("greater"),
        "less_equal": _number_last("greater_equal"),
        "greater": _number_last("less"),
        "greater_equal": _number_last("less_equal"),
    }
)
