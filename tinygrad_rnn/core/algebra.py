"""Algebra: what was computed, as terms that simplify themselves and are written in one line.

This file knows no operation: `ops` fills `rewrites`, and the table of notations of a `Writer`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from .node import Spec
from .trace import Captured, Literal, Trace, thaw

# How strongly what was written holds together, from "a < b" to "a" itself; "-a" more so than "-a * b", and factors that
# stand side by side, as in mathematics, more so than those with a sign between them.
COMPARISON, OR, XOR, AND, SUM, NEGATIVE, SIGNED, PRODUCT, BESIDE, POWER, ATOM = range(11)


class Term:
    """A name, a number, or an operation on terms.

    Attributes:
        operation: the name of a primitive; "" for a name or a number.
        operands: what it is done to.
        params: its parameters.
        slot: which of its results this is; None where there is one.
        spec: shape and dtype.
        symbol: what a name or a number stands for.
        order: greater than that of every operand.
    """

    __slots__ = ("operands", "operation", "order", "params", "slot", "spec", "symbol")

    def __init__(
        self,
        operation: str,
        operands: tuple[Term, ...],
        params: Any,
        slot: int | None,
        spec: Spec,
        symbol: Any,
        order: int,
    ) -> None:
        self.operation, self.operands, self.params, self.slot = operation, operands, params, slot
        self.spec, self.symbol, self.order = spec, symbol, order

    @property
    def is_number(self) -> bool:
        """Whether this is a Python number."""
        return not self.operation and type(self.symbol) in (bool, int, float)

    def __repr__(self) -> str:
        return f"<{self.operation or self.symbol}>"


Rewrite = Callable[["Algebra", tuple[Term, ...], Spec], "Term | None"]
# From the name of an operation to what may write it in a simpler way, or answer None; `ops` fills it.
rewrites: dict[str, Rewrite] = {}


class Algebra:
    """Makes terms: two that are equal are one object.

    Args:
        own_rewrites: what to simplify with instead of `rewrites`.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.core.algebra import Algebra
        >>> from tinygrad_rnn.core.node import Spec
        >>> from tinygrad_rnn.core.notation import PYTHON
        >>> algebra, vector = Algebra(), Spec((3,), np.dtype(float))
        >>> g, out = algebra.name("g", vector), algebra.name("out", vector)
        >>> scaled = algebra.call("multiply", (g, out), vector)
        >>> PYTHON.text(algebra.call("subtract", (g, algebra.call("multiply", (scaled, out), vector)), vector))
        'g * (1 - out * out)'
    """

    def __init__(self, own_rewrites: Mapping[str, Rewrite] | None = None) -> None:
        self._rewrites = rewrites if own_rewrites is None else own_rewrites
        self._known: dict[Any, Term] = {}
        self._orders = count()

    def _leaf(self, symbol: Any, spec: Spec) -> Term:
        return Term("", (), {}, None, spec, symbol, next(self._orders))

    def name(self, symbol: Any, spec: Spec) -> Term:
        """Return a new name, which stands for whatever the caller says."""
        return self._leaf(symbol, spec)

    def number(self, value: Any, spec: Spec) -> Term:
        """Return a Python number."""
        key = (type(value), repr(value))
        if key not in self._known:
            self._known[key] = self._leaf(value, spec)
        return self._known[key]

    def call(
        self, operation: str, operands: tuple[Term, ...], spec: Spec, params: Any = (), slot: int | None = None
    ) -> Term:
        """Return an operation on terms, rewritten if there is a simpler way to say it.

        Args:
            operation: the name of a primitive.
            operands: its arguments.
            spec: shape and dtype of the result.
            params: its parameters, as `trace.freeze` gives them.
            slot: which of its results, where there are several.
        """
        key = (operation, *[id(operand) for operand in operands], params, slot)
        found = self._known.get(key)
        if found is None:
            rewrite = self._rewrites.get(operation)
            found = rewrite(self, operands, spec) if rewrite is not None else None
            if found is None:
                found = Term(operation, operands, thaw(params), slot, spec, None, next(self._orders))
            self._known[key] = found
        return found

    def of_trace(self, trace: Trace, inputs: Mapping[int, Term], captured: Callable[[Any], Term]) -> dict[int, Term]:
        """Return the term of every value of a trace.

        Args:
            trace: what was called.
            inputs: the terms of its inputs, by number; those without one are of no interest.
            captured: gives the term of an array or tensor from outside.
        """
        found = dict(inputs)
        outside: dict[int, Term] = {}

        def operand_of(operand: Any) -> Term:
            if type(operand) is Literal:
                return self.number(operand.value, Spec((), np.dtype(operand.kind)))
            if type(operand) is not Captured:
                return found[operand]
            if operand.number not in outside:
                outside[operand.number] = captured(trace.captured[operand.number])
            return outside[operand.number]

        for call in trace.calls:
            operands = tuple([operand_of(operand) for operand in call.operands])
            several = len(call.specs) > 1
            for slot, spec in enumerate(call.specs):
                own = slot if several else None
                found[call.first + slot] = self.call(call.primitive.name, operands, spec, call.params, own)
        return found


class Written(NamedTuple):
    """The text of a term and how strongly it holds together."""

    text: str
    level: int = ATOM


Notation = Callable[[Term, Sequence[Written]], Written]


class Writer:
    """Writes terms in one notation, with brackets where they are needed and nowhere else.

    Args:
        notations: by the name of an operation, how it is written.
        generic: how every other operation is.
        leaf: how names and numbers are.
    """

    def __init__(self, notations: dict[str, Notation], generic: Notation, leaf: Callable[[Any, Spec], Written]) -> None:
        self.notations, self.generic, self.leaf = notations, generic, leaf

    def written(self, term: Term, names: Mapping[Term, Written] | None = None) -> Written:
        """Return the text of a term; those that have a name here are written as that, but for the term itself."""
        names = names or {}
        texts: dict[Term, Written] = {}
        for part in in_order([term], names.keys() - {term}):
            if part in names and part is not term:
                texts[part] = names[part]
            elif part.operation:
                notation = self.notations.get(part.operation, self.generic)
                texts[part] = notation(part, [texts[operand] for operand in part.operands])
            else:
                texts[part] = self.leaf(part.symbol, part.spec)
        return texts[term]

    def text(self, term: Term) -> str:
        """Return the text of a term."""
        return self.written(term).text


def in_order(terms: Iterable[Term], ends: Collection[Term] = ()) -> list[Term]:
    """Return the terms that some terms are made of, operands first; what `ends` are made of is left out."""
    seen = set(terms)
    stack = list(seen)
    while stack:
        term = stack.pop()
        if term not in ends:
            fresh = set(term.operands) - seen
            seen |= fresh
            stack += fresh
    return sorted(seen, key=lambda term: term.order)


def shared(terms: Sequence[Term], ends: Collection[Term] = (), limit: int = 6) -> list[Term]:
    """Return the terms that are worth a name: written out wherever they are used, they would take too much room.

    Args:
        terms: what is to be written.
        ends: terms that have a name.
        limit: how many operations may be written more than once on account of one term.
    """
    order = in_order(terms, ends)
    uses = Counter([*terms, *[operand for term in order if term not in ends for operand in term.operands]])
    sizes: dict[Term, int] = {}
    found = []
    for term in order:
        size = 0 if term in ends or not term.operation else 1 + sum([sizes[operand] for operand in term.operands])
        if (uses[term] - 1) * size > limit:
            found.append(term)
            size = 0
        sizes[term] = size
    return found
