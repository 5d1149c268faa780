"""Symbols: what is drawn of a cell, made of its formula: gates, signs of operations, and the lines between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from .. import labels
from .terms import Formula, Term

Kind = Literal["input", "state", "output", "next", "gate", "circle", "pill", "box", "merge"]

# How functions of one value are written; what is missing here is shown by its name.
FUNCTIONS = {
    "absolute": "|x|",
    "log": "ln",
    "negative": "−",
    "reciprocal": "1/x",
    "relu": "ReLU",
    "sigmoid": "σ",
    "sqrt": "√x",
    "square": "x²",
}
_SIGNS = {"add": "+", "multiply": "×"}
# Functions that act on all elements together, and are drawn as gates all the same.
_ALSO_GATES = frozenset({"softmax", "log_softmax"})
_MOST_INPUTS = 3
_MERGED = 2


@dataclass(eq=False)
class Symbol:
    """One thing in a drawing of a cell.

    Attributes:
        kind: "gate" is an affine map with the function of it; "circle" a sum or product; "pill" an element-wise
            function; "box" any other operation; "merge" is where lines run together, as in [h, x]; the others
            stand on the border.
        label: the sign on it.
        inputs: what it reads; each is one line.
        name: the local variable of what it computes.
        number: the position of an input, a state, a result.
    """

    kind: Kind
    label: str = ""
    inputs: list[Symbol] = field(default_factory=list)
    name: str = ""
    number: int = 0

    def __repr__(self) -> str:
        return f"<{self.kind} {self.label or self.name}{self.number or ''}>"


def symbols_of(formula: Formula) -> list[Symbol]:
    """Return the symbols of a formula, what is read before what reads it, the borders of the drawing among them."""
    made = _Maker(formula).made
    _merge(made)
    return made


class _Maker:
    def __init__(self, formula: Formula) -> None:
        self.made: list[Symbol] = []
        self._of: dict[Term, Symbol] = {}
        self._readers = formula.readers()
        for term in self._readers:
            if term.op in ("input", "state"):
                self._of[term] = self._put(Symbol(term.op, "", [], term.name, term.number))  # type: ignore[arg-type]
            elif not self._is_drawn_elsewhere(term):
                self._of[term] = self._symbol(term)
        for kind, terms in (("next", formula.states), ("output", formula.ys)):
            for i, term in enumerate(terms):
                self._put(Symbol(kind, "", [self._of[term]], term.name, i))  # type: ignore[arg-type]

    def _put(self, symbol: Symbol) -> Symbol:
        self.made.append(symbol)
        return symbol

    def _is_drawn_elsewhere(self, term: Term) -> bool:
        """Whether a term is part of another one's symbol."""
        readers = self._readers[term]
        if term.is_constant:
            return None not in readers
        if term.op == "linear":
            return len(readers) == 1 and readers[0] is not None and _is_function(readers[0])
        if term.op == "negative":
            return all(reader is not None and _rest_of(reader) for reader in readers)
        return False

    def _symbol(self, term: Term) -> Symbol:
        if term.is_constant:
            return self._put(Symbol("box", labels.clean(term.name, 24) or "constant"))
        if term.op in _SIGNS:
            return self._sign(term)
        if term.op == "linear":
            return self._put(Symbol("gate", "W", self._inputs(term.args), term.name))
        label = term.label or FUNCTIONS.get(term.op, labels.clean(term.op.lstrip("_"), 24))
        of = term.args[0] if len(term.args) == 1 else None
        if of is not None and of.op == "linear" and of not in self._of:
            return self._put(Symbol("gate", label, self._inputs(of.args), term.name or of.name))
        inputs = [*dict.fromkeys(self._inputs(term.args))]
        if term.op == "concatenate" and len(inputs) > 1:
            return _line(self.made, inputs, term.name)
        return self._put(Symbol("pill" if term.elementwise else "box", label, inputs, term.name))

    def _inputs(self, terms: list[Term]) -> list[Symbol]:
        return [self._of[term] for term in terms if not term.is_constant]

    def _sign(self, term: Term) -> Symbol:
        """Make the circle of a sum or product, and the pill of the constants in it."""
        constants = [arg for arg in term.args if arg.is_constant]
        rest = _rest_of(term)
        if rest is not None:
            return self._put(Symbol("pill", f"{labels.number(constants[0].number)}−", [self._of[rest]], term.name))
        symbol = self._circle(term.op, self._inputs(term.args))
        for constant in constants:
            own = labels.clean(constant.name, 24).rpartition(".")[2] or "const"
            shown = labels.number(constant.number) if constant.op == "number" else own
            label = "dropout" if constant.op == "random" else f"{_SIGNS[term.op]}{shown}"
            symbol = self._put(Symbol("pill", label, [symbol]))
        if symbol.kind != "state":
            symbol.name = symbol.name or term.name
        return symbol

    def _circle(self, op: str, inputs: list[Symbol]) -> Symbol:
        """Make circles of few lines each, and of a value with itself a function of that value."""
        inputs = list(inputs)
        for twice in [symbol for symbol in dict.fromkeys(inputs) if inputs.count(symbol) > 1]:
            count = inputs.count(twice)
            label = f"×{count}" if op == "add" else FUNCTIONS["square"] if count == 2 else f"x^{count}"
            inputs = [symbol for symbol in inputs if symbol is not twice]
            inputs.append(self._put(Symbol("pill", label, [twice])))
        while len(inputs) > _MOST_INPUTS:
            inputs = [self._put(Symbol("circle", _SIGNS[op], inputs[:2])), *inputs[2:]]
        return inputs[0] if len(inputs) == 1 else self._put(Symbol("circle", _SIGNS[op], inputs))


def _is_function(term: Term) -> bool:
    """Whether a term is a function of one value, so that an affine map under it makes it a gate."""
    return (
        len(term.args) == 1
        and not term.is_constant
        and term.op not in (*_SIGNS, "linear")
        and (term.elementwise or term.op in _ALSO_GATES)
    )


def _rest_of(term: Term) -> Term | None:
    """Return a of 1 - a, or of another number less a."""
    if term.op != "add" or len(term.args) != 2:
        return None
    number, lost = sorted(term.args, key=lambda arg: arg.op != "number")
    return lost.args[0] if number.op == "number" and lost.op == "negative" else None


def _merge(made: list[Symbol]) -> None:
    """Let the values that gates read run together into lines, the same line for all gates that read the same."""
    gates = [symbol for symbol in made if symbol.kind == "gate" and len(symbol.inputs) > 1]
    bundles = [frozenset(gate.inputs) for gate in gates]
    candidates = [*dict.fromkeys([*bundles, *[a & b for a, b in combinations(bundles, 2) if len(a & b) > 1]])]
    lines: dict[frozenset[Symbol], Symbol] = {}
    for gate, bundle in zip(gates, bundles, strict=True):
        fitting = [one for one in candidates if one <= bundle and len(bundle - one) < _MOST_INPUTS]
        best = max(fitting, key=lambda one: (sum(one <= other for other in bundles), len(one)))
        if best not in lines:
            lines[best] = _line(made, [symbol for symbol in made if symbol in best])
        gate.inputs = [lines[best], *[symbol for symbol in gate.inputs if symbol not in best]]


def _line(made: list[Symbol], inputs: list[Symbol], name: str = "") -> Symbol:
    """Make the places where some lines run into one."""
    while len(inputs) > _MERGED:
        inputs = [_line(made, inputs[:_MERGED]), *inputs[_MERGED:]]
    merge = Symbol("merge", "", inputs, name)
    made.insert(max(made.index(symbol) for symbol in inputs) + 1, merge)
    return merge
