"""The equations of a graph, or of one step, and of its backward pass, as terms, derived from the graph alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..algebra import Algebra, Term, in_order, shared
from ..backward import Addend, sum_to
from ..errors import FreedGraphError
from ..modes import enable_grad
from ..node import Array, Node, Spec
from ..primitive import Primitive
from ..trace import Abstract, Trace, freeze
from .names import Symbol, Symbols, symbol
from .notation import SHAPING, Seed, is_uniform, textbook

Edge = tuple[Node, int]
_UNNAMED = "asuvwqpr"
_LEAVES = "xABCDEF"

# The sum over all steps of what is computed at each.
over_time = Primitive("over_time", lambda a: a, saves=())


class Parts(NamedTuple):
    """A program, and what part its inputs and results play in it.

    Args:
        nodes: all of them, parents before children.
        xs: the inputs.
        ys: the results.
        constants: inputs that are the same at every step.
        captured: what each constant stands for: an array, or a tensor, of which the node; None without one.
        carry: inputs that hold the state.
        next_carry: the state after the step, one for each of `carry`.
        steps: this is one step of a loop, so what is computed has the index t.
    """

    nodes: Sequence[Node]
    xs: Sequence[Node]
    ys: Sequence[Edge]
    constants: Sequence[Node] = ()
    captured: Sequence[Array | Node | None] = ()
    carry: Sequence[Node] = ()
    next_carry: Sequence[Edge] = ()
    steps: bool = False

    @property
    def now(self) -> int | None:
        """The step of what is computed; None where there are no steps."""
        return 0 if self.steps else None

    def fixed(self) -> frozenset[Node]:
        """Return what is the same at every step, results left out: the constants, and what is made of them alone."""
        found = set(self.constants)
        results = {node for node, _ in (*self.ys, *self.next_carry)}
        for node in self.nodes:
            parents = [parent for parent in node.parents if parent is not None]
            if parents and found.issuperset(parents) and node not in results:
                found.add(node)
        return frozenset(found)

    @property
    def loss(self) -> Edge | None:
        """The result that the gradients are those of, if it is one number and there are no steps."""
        return self.ys[0] if not self.steps and len(self.ys) == 1 and _spec_at(self.ys[0]).size == 1 else None


class Handed(NamedTuple):
    """Stands for the cotangent that the step after this one hands back for a leaf of the state."""

    number: int


class Equation(NamedTuple):
    """What some symbols are.

    Attributes:
        symbols: on the left; several share one right side, of which they are the parts.
        term: on the right.
    """

    symbols: tuple[Symbol, ...]
    term: Term


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
        sweep = _Sweep(self._step, self._names, self._algebra, self._forward_terms, self._arrays, idle, self._known)
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


class _Sweep:
    """The reverse sweep over a program, on terms."""

    def __init__(
        self,
        step: Parts,
        names: Named,
        algebra: Algebra,
        forward: Mapping[Edge, Term],
        arrays: Mapping[int, Term],
        idle: frozenset[int],
        known: Callable[[Any], Any],
    ) -> None:
        self._step, self._names, self._forward, self._arrays = step, names, forward, arrays
        self._known = known
        self._fixed = step.fixed() if step.steps else frozenset()
        self._algebra, self._trace = algebra, Trace()
        self._inputs: dict[int, Term] = {}
        self._values: dict[Edge, Abstract] = {}
        self._found: dict[Edge, Any] = {}
        self._summed: dict[Edge, Any] = {}
        self._lines: list[tuple[Symbol, int]] = []
        pairs = zip(step.constants, step.captured, strict=True)
        wanted = [_is_float((node, 0)) and isinstance(value, Node) for node, value in pairs]
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
            spec = _spec_at(self._step.loss)
            self._add(self._step.loss, self._input(Seed(), spec))
            return
        floating = [edge for edge in self._step.ys if _is_float(edge)]
        for i, edge in enumerate(floating):
            numbered = "" if len(floating) == 1 else rf"^{{({i + 1})}}"
            self._add(edge, self._input(Symbol(rf"\Delta{numbered}", (), self._step.now), _spec_at(edge)))
        for k, edge in enumerate(self._step.next_carry):
            if _is_float(edge) and k not in idle:
                handed = self._input(Handed(k), _spec_at(edge))
                if k in self._names.moved:
                    handed = self._line(self._names.moved[k], handed)
                self._add(edge, handed)

    def _go(self, wanted: list[bool]) -> None:
        step, symbols = self._step, self._names.symbols
        needed = {node for node in (*step.carry, *step.xs) if _is_float((node, 0))}
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
        for leaf, want in [*[(x, _is_float((x, 0))) for x in step.xs], *zip(step.constants, wanted, strict=True)]:
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
        needs = [parent is not None and parent in needed and _is_float((parent, slot)) for parent, slot in edges]
        pulled = node.primitive.pull(gs, outs, args, needs, node.params)
        for need, cotangent, (parent, slot) in zip(needs, pulled, edges, strict=True):
            if need and cotangent is not None:
                assert parent is not None
                self._add((parent, slot), cotangent, node in self._fixed)

    def _add(self, edge: Edge, cotangent: Any, summed: bool = False) -> None:
        spec = _spec_at(edge)
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
            made = self._trace.input(_spec_at(edge))
            self._inputs[made._value] = self._forward[edge]
            self._values[edge] = made
        return self._values[edge]


def _spec_at(edge: Edge) -> Spec:
    return edge[0].specs[edge[1]]


def _is_float(edge: Edge) -> bool:
    return _spec_at(edge).dtype.kind == "f"
