"""The equations of a graph, or of one step, and of its backward pass, as terms, derived from the graph alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..algebra import Term, in_order, shared
from ..errors import FreedGraphError
from ..node import Node, Spec
from ..trace import freeze
from .names import Symbol, Symbols, symbol
from .notation import SHAPING, is_uniform, textbook
from .parts import Edge, Equation, Handed, Parts, over_time
from .sweep import Sweep

_UNNAMED = "asuvwqpr"
_LEAVES = "xABCDEF"


class Named:
    """The symbols of a program's values: of inputs, parameters, states, and of what its author named.

    Args:
        step: the program.
        more: values without a name that get one all the same.
    """

    def __init__(self, step: Parts, more: frozenset[Edge]) -> None:
        now = step.now
        self.symbols: dict[Edge, Symbol] = {}
        self.moved: dict[int, Symbol] = {}
        self.passed: dict[Edge, Symbol] = {}
        self._constants: dict[Any, Symbol] = {}
        self.taken = Symbols()
        fixed = step.fixed()
        for node in step.constants:
            self._give((node, 0), symbol(node.name) if node.name else None, "ABCDEF", None)
        for node in step.xs:
            self._give((node, 0), symbol(node.name, now) if node.name else None, _LEAVES, now)
        for k, (node, after) in enumerate(zip(step.carry, step.next_carry, strict=True)):
            self._state(k, node, after)
        names: dict[str, list[Edge]] = {}
        for node in step.nodes:
            for slot in range(len(node.specs)):
                name = node.name_of(slot)
                if name and (node, slot) not in self.symbols:
                    names.setdefault(name, []).append((node, slot))
        for name, edges in names.items():
            for edge in reversed(edges):  # of several values of one name, the last one keeps it
                self.symbols[edge] = self.taken.new(symbol(name, None if edge[0] in fixed else now))
        for edge in step.ys:
            wanted = symbol("L" if edge == step.loss else "y", now)
            if edge not in self.symbols:
                self._give(edge, wanted, "y", now)
            elif edge[0].primitive is None and edge not in self.passed:
                self.passed[edge] = self.taken.new(wanted)
        for node in step.nodes:
            for slot in range(len(node.specs)):
                part_of_named = len(node.specs) > 1 and any((node, i) in self.symbols for i in range(len(node.specs)))
                if (node, slot) not in self.symbols and (part_of_named or (node, slot) in more):
                    self.symbols[node, slot] = self.taken.any(_UNNAMED, None if node in fixed else now)

    def _give(self, edge: Edge, wanted: Symbol | None, letters: str, time: int | None) -> None:
        self.symbols[edge] = self.taken.new(wanted) if wanted else self.taken.any(letters, time)

    def constant(self, value: Any, at: Any = None) -> Symbol:
        """Return the symbol of an array without a name.

        Args:
            value: the array: two that are equal have one symbol. Of one that nobody kept, the shape and dtype.
            at: what tells such a one apart from others.
        """
        key = (value.shape, value.dtype, value.tobytes() if isinstance(value, np.ndarray) else at)
        if key not in self._constants:
            self._constants[key] = self.taken.new(Symbol(r"\mathbf{C}", tuple(map(str, value.shape))))
        return self._constants[key]

    def _state(self, k: int, node: Node, after: Edge) -> None:
        """Name a leaf of the state, by the shorter of the names that it has before and after the step."""
        before, own = node.name or "h", after[0].name_of(after[1]) if after[0].primitive is not None else None
        is_numbered = re.fullmatch(r"h\d+", before) is not None  # by the trace, where its author gave it no name
        now = self.taken.new(symbol(own if own and (is_numbered or len(own) < len(before)) else before, 0))
        self.symbols[node, 0] = now._replace(time=-1)
        if after[0].primitive is None or after in self.symbols:
            self.moved[k] = now
        else:
            self.symbols[after] = now


class Equations:
    """All equations of a program.

    Args:
        step: the program.

    Attributes:
        forward: those of what it computes.
        backward: those of its gradients, last values first, then those of inputs and parameters.
        handed: for each leaf of the state, the cotangent that the step hands back to the one before.
    """

    def __init__(self, step: Parts) -> None:
        self._step = step
        more: frozenset[Edge] = frozenset()
        idle: frozenset[int] = frozenset()
        while True:
            self._names = Named(step, more)
            self._derive(idle)
            unused = frozenset(k for k in range(len(step.carry)) if k not in self.handed)
            asked = self._worth_a_name()
            if unused == idle and not asked:
                break
            idle, more = unused, more | asked
        self._give_names_to_what_is_left()

    def _derive(self, idle: frozenset[int]) -> None:
        self._algebra = textbook()
        self._forward_terms: dict[Edge, Term] = {}
        self._arrays: dict[int, Term] = {}
        self.forward = self._forward()
        names, forward, arrays = self._names, self._forward_terms, self._arrays
        sweep = Sweep(self._step, names.symbols, names.moved, self._algebra, forward, arrays, idle, self._known)
        self.backward, self.handed, self._totals = sweep.backward, sweep.handed, sweep.totals

    def _forward(self) -> list[Equation]:
        found = []
        symbols, terms, algebra = self._names.symbols, self._forward_terms, self._algebra
        for node, value in zip(self._step.constants, self._step.captured, strict=True):
            known = self._known(value) if isinstance(value, np.ndarray) else symbols[node, 0]
            terms[node, 0] = algebra.name(known, node.specs[0])
        for node in self._step.nodes:
            if node.primitive is None:
                if (node, 0) not in terms:
                    terms[node, 0] = algebra.name(symbols[node, 0], node.specs[0])
                continue
            operands = tuple([self._operand(node, i) for i in range(len(node.parents))])
            several = len(node.specs) > 1
            own = [symbols[node, slot] for slot in range(len(node.specs)) if (node, slot) in symbols]
            if node.operation == "split" and own and node.params["axis"] == node.specs[0].ndim - 1:
                found.append(Equation(tuple(own), operands[0]))
            for slot, spec in enumerate(node.specs):
                edge = (node, slot)
                term = algebra.call(node.operation, operands, spec, freeze(node.params), slot if several else None)
                terms[edge] = term
                if edge in symbols:
                    terms[edge] = algebra.name(symbols[edge], spec)
                    if term.operation in SHAPING:
                        term = algebra.call("whole", (term,), spec)
                    if not found or found[-1].symbols != tuple(own) or len(own) == 1:
                        found.append(Equation((symbols[edge],), term))
        for k, now in self._names.moved.items():
            found.append(Equation((now,), terms[self._step.next_carry[k]]))
        for edge, result in self._names.passed.items():
            found.append(Equation((result,), terms[edge]))
        return found

    def _known(self, value: Any, at: Any = None) -> Any:
        """Return what stands for an array: itself, if it is the same everywhere."""
        return value if isinstance(value, np.ndarray) and is_uniform(value) else self._names.constant(value, at)

    def _operand(self, node: Node, i: int) -> Term:
        parent = node.parents[i]
        if parent is not None:
            return self._forward_terms[parent, node.slots[i]]
        value = node.arguments[i]
        if value is None:
            raise FreedGraphError(
                f"{node!r}: an earlier backward pass freed the constants in it; write backward(retain_graph=True) "
                "there, or run the forward pass again"
            )
        if not hasattr(value, "shape"):
            return self._algebra.number(value, Spec((), node.specs[0].dtype))
        if isinstance(value, Spec):
            return self._algebra.name(self._known(value, (node, i)), value)
        if id(value) not in self._arrays:
            self._arrays[id(value)] = self._algebra.name(self._known(value), Spec(value.shape, value.dtype))
        return self._arrays[id(value)]

    def _roots(self) -> list[Term]:
        return [equation.term for equation in (*self.forward, *self.backward)] + list(self.handed.values())

    def _worth_a_name(self) -> set[Edge]:
        """Return values without a name whose cotangents would be written many times over, the last one of each."""
        found = set(shared(self._roots()))
        edges = [edge for edge, total in self._totals.items() if total in found and edge not in self._names.symbols]
        edges.sort(key=lambda edge: edge[0].sequence)
        return set({self._totals[edge]: edge for edge in edges}.values())

    def _give_names_to_what_is_left(self) -> None:
        """Give lines of their own to terms that would be written many times over and are nobody's cotangent."""
        self.given: dict[Term, Symbol] = {}
        for term in shared(self._roots()):
            sums = [part for part in in_order([term]) if part.operation == over_time.name]
            leaves = [part.symbol for part in in_order([term], sums) if not part.operation]
            moves = any(isinstance(leaf, Handed) or getattr(leaf, "time", None) is not None for leaf in leaves)
            self.given[term] = self._names.taken.any(_UNNAMED, self._step.now if moves else None)
        done: set[Term] = set()
        for equations in (self.forward, self.backward):
            lines = list(equations)
            equations.clear()
            for equation in lines:
                self._give(equations, in_order([equation.term]), done)
                equations.append(equation)
        # What the next step hands back may be used nowhere else.
        self._give(self.backward, in_order(self.handed.values()), done)

    def _give(self, equations: list[Equation], terms: Sequence[Term], done: set[Term]) -> None:
        """Add the lines of the terms that have one and are not done."""
        for term in terms:
            if term in self.given and term not in done:
                done.add(term)
                equations.append(Equation((self.given[term],), term))
