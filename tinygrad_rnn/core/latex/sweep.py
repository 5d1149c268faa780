"""The reverse sweep over a program, on terms: what the cotangent of each value is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..algebra import Algebra, Term
from ..backward import Addend, sum_to
from ..modes import enable_grad
from ..node import Node, Spec
from ..trace import Abstract, Trace
from .names import Symbol
from .notation import Seed
from .parts import Edge, Equation, Handed, Parts, is_float, over_time, spec_at


class Sweep:
    """The reverse sweep over a program, on terms.

    Args:
        step: the program.
        symbols: of its values that have one.
        moved: for leaves of the state whose new value has another symbol, that of the new one.
        algebra: makes the terms.
        forward: the term of each value.
        arrays: the terms of constant arrays, by id.
        idle: leaves of the state that the next step hands nothing back for.
        known: returns what stands for an array that a rule makes.

    Attributes:
        backward: the equations of the gradients, last values first, then those of inputs and parameters.
        handed: for each leaf of the state, the cotangent that the step hands back to the one before.
        totals: for each value, the term of its cotangent.
    """

    def __init__(
        self,
        step: Parts,
        symbols: Mapping[Edge, Symbol],
        moved: Mapping[int, Symbol],
        algebra: Algebra,
        forward: Mapping[Edge, Term],
        arrays: Mapping[int, Term],
        idle: frozenset[int],
        known: Callable[[Any], Any],
    ) -> None:
        self._step, self._symbols, self._moved = step, symbols, moved
        self._forward, self._arrays = forward, arrays
        self._known = known
        self._fixed = step.fixed() if step.steps else frozenset()
        self._algebra, self._trace = algebra, Trace()
        self._inputs: dict[int, Term] = {}
        self._values: dict[Edge, Abstract] = {}
        self._found: dict[Edge, Any] = {}
        self._summed: dict[Edge, Any] = {}
        self._lines: list[tuple[Symbol, int]] = []
        pairs = zip(step.constants, step.captured, strict=True)
        wanted = [is_float((node, 0)) and isinstance(value, Node) for node, value in pairs]
        with enable_grad(), np.errstate(all="ignore"):
            self._start(idle)
            self._go(wanted)
        terms = algebra.of_trace(
            self._trace, self._inputs, lambda made: algebra.name(known(np.asarray(made)), Spec(made.shape, made.dtype))
        )
        self.backward = [Equation((left,), terms[value]) for left, value in self._lines]
        self.handed = {
            k: terms[self._found[node, 0]._value] for k, node in enumerate(step.carry) if (node, 0) in self._found
        }
        self.totals = {edge: terms[total._value] for edge, total in self._found.items()}

    def _start(self, idle: frozenset[int]) -> None:
        if self._step.loss:
            spec = spec_at(self._step.loss)
            self._add(self._step.loss, self._input(Seed(), spec))
            return
        floating = [edge for edge in self._step.ys if is_float(edge)]
        for i, edge in enumerate(floating):
            numbered = "" if len(floating) == 1 else rf"^{{({i + 1})}}"
            self._add(edge, self._input(Symbol(rf"\Delta{numbered}", (), self._step.now), spec_at(edge)))
        for k, edge in enumerate(self._step.next_carry):
            if is_float(edge) and k not in idle:
                handed = self._input(Handed(k), spec_at(edge))
                if k in self._moved:
                    handed = self._line(self._moved[k], handed)
                self._add(edge, handed)

    def _go(self, wanted: list[bool]) -> None:
        step, symbols = self._step, self._symbols
        needed = {node for node in (*step.carry, *step.xs) if is_float((node, 0))}
        needed |= {node for node, want in zip(step.constants, wanted, strict=True) if want}
        for node in step.nodes:
            if node.primitive is not None and any(parent in needed for parent in node.parents):
                needed.add(node)
        for node in reversed(step.nodes):
            if node.primitive is None or node not in needed:
                continue
            gs = [self._total((node, slot)) for slot in range(len(node.specs))]
            if all(g is None for g in gs):
                continue
            for slot, g in enumerate(gs):
                if g is not None and (node, slot) in symbols and (node, slot) != step.loss:
                    gs[slot] = self._line(symbols[node, slot], g)
            self._pull(node, gs, needed)
        for leaf, want in [*[(x, is_float((x, 0))) for x in step.xs], *zip(step.constants, wanted, strict=True)]:
            total = self._total((leaf, 0)) if want else None
            if total is not None:
                self._line(symbols[leaf, 0], total)

    def _total(self, edge: Edge) -> Any:
        """Return all of the cotangent of a value, over all steps if it is the same at each; None if there is none."""
        now, summed = self._found.get(edge), self._summed.get(edge)
        if now is not None and edge[0] in self._fixed:
            now = over_time(now)
        return now if summed is None else summed if now is None else summed + now

    def _pull(self, node: Node, gs: list[Any], needed: set[Node]) -> None:
        assert node.primitive is not None
        args = [
            self._constant(node.arguments[i]) if parent is None else self._value((parent, slot))
            for i, (parent, slot) in enumerate(zip(node.parents, node.slots, strict=True))
        ]
        outs = [self._value((node, slot)) for slot in range(len(node.specs))]
        edges = list(zip(node.parents, node.slots, strict=True))
        needs = [parent is not None and parent in needed and is_float((parent, slot)) for parent, slot in edges]
        pulled = node.primitive.pull(gs, outs, args, needs, node.params)
        for need, cotangent, (parent, slot) in zip(needs, pulled, edges, strict=True):
            if need and cotangent is not None:
                assert parent is not None
                self._add((parent, slot), cotangent, node in self._fixed)

    def _add(self, edge: Edge, cotangent: Any, summed: bool = False) -> None:
        spec = spec_at(edge)
        if type(cotangent) is Addend:
            cotangent = cotangent.primitive(*cotangent.args, **cotangent.params)
        if cotangent.shape != spec.shape:
            cotangent = sum_to(cotangent, spec)
        if not isinstance(cotangent, Abstract):
            if not np.any(cotangent):
                return
            cotangent = self._input(self._known(np.asarray(cotangent)), spec)
        found = self._summed if summed else self._found
        found[edge] = found[edge] + cotangent if edge in found else cotangent

    def _line(self, of: Symbol, cotangent: Abstract) -> Abstract:
        """Write down what the cotangent of a named value is, and return its symbol."""
        left = of._replace(prefix=r"\delta ")
        self._lines.append((left, cotangent._value))
        return self._input(left, cotangent._spec)

    def _input(self, stands_for: Any, spec: Spec) -> Abstract:
        made = self._trace.input(spec)
        self._inputs[made._value] = self._algebra.name(stands_for, spec)
        return made

    def _constant(self, value: Any) -> Any:
        """Return an argument that no gradient is taken of: an array as what stands for it, others as they are."""
        if not isinstance(value, np.ndarray):
            return value
        made = self._trace.input(Spec(value.shape, value.dtype))
        self._inputs[made._value] = self._arrays[id(value)]
        if value.dtype.kind != "f":
            self._trace.known[made._value] = value
        return made

    def _value(self, edge: Edge) -> Abstract:
        if edge not in self._values:
            made = self._trace.input(spec_at(edge))
            self._inputs[made._value] = self._forward[edge]
            self._values[edge] = made
        return self._values[edge]
