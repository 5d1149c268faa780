"""Terms: one step as a formula in which the layout of arrays no longer shows, only what is computed of what."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core import Array, Node
from ...scan.families import is_elementwise
from ...scan.step import Edge, Step, constants_of
from .. import labels
from .views import demanded, is_affine_product, is_join, is_move, is_whole, key_of, parts, reads, variable, whole

_IDLE = frozenset({"astype", "identity", "stop"})


class Term:
    """A value of the formula.

    Args:
        op: "input", "state", "constant", "number", "linear" (an affine map with parameters), "add", "multiply",
            "negative", "reciprocal"; otherwise the name of an operation.
        args: what it is computed of.
        name: under which local variable its author kept it.
        label: what tells it apart from others of its operation, such as a number.
        elementwise: whether each element depends on the elements at its own place alone.
        number: of an input or a state, its position; of a number, its value.
    """

    def __init__(
        self,
        op: str,
        args: list[Term] | None = None,
        name: str = "",
        label: str = "",
        elementwise: bool = True,
        number: Any = None,
    ) -> None:
        self.op, self.args, self.name, self.label = op, args or [], name, label
        self.elementwise, self.number = elementwise, number

    @property
    def is_constant(self) -> bool:
        """Whether it is the same at every step."""
        return self.op in ("constant", "number", "random")

    def become(self, op: str, args: list[Term], label: str = "") -> None:
        """Change in place, so that all that reads this term reads the new one."""
        self.op, self.args, self.label = op, args, label

    def __repr__(self) -> str:
        return f"{self.op}({', '.join(map(repr, self.args))})" if self.args else self.op


class Formula:
    """The results of one step as terms of its inputs.

    Args:
        step: the step.
        draws: the inputs that are random numbers.

    Attributes:
        sources: x and the state before the step, in order.
        ys: the results, in order.
        states: what the state is after the step, in order.
    """

    def __init__(self, step: Step, draws: set[Node]) -> None:
        self._step = step
        self._constant = constants_of(step) | _that_read_only(step, draws)
        self._draws = draws
        self._views = demanded(step, self._constant)
        self._made: dict[tuple[Edge, bytes], Term] = {}
        self._constants: dict[Edge, Term] = {}
        self.sources: list[Term] = []
        for kind, nodes in (("input", [x for x in step.xs if x not in draws]), ("state", step.carry)):
            for i, node in enumerate(nodes):
                self.sources.append(Term(kind, name=node.name or "", number=i))
                self._keep((node, 0), whole((node, 0)), self.sources[-1])
        for node in step.graph:
            for slot in range(len(node.specs)) if node.primitive is not None else ():
                for view in self._views.get((node, slot), ()):
                    self._keep((node, slot), view, self._computed(node, slot, view))
        self.ys = [self._read(edge, whole(edge)) for edge in step.ys]
        self.states = [self._read(edge, whole(edge)) for edge in step.next_carry]

    def all(self) -> list[Term]:
        """Return the sources and every term behind the results, what it is computed of first."""
        found: dict[Term, None] = {}
        stack = [(term, False) for term in reversed([*self.sources, *self.ys, *self.states])]
        while stack:
            term, is_done = stack.pop()
            if is_done:
                found[term] = None
            elif term not in found:
                stack.append((term, True))
                stack += [(arg, False) for arg in reversed(term.args)]
        return [*found]

    def readers(self) -> dict[Term, list[Term | None]]:
        """Return for each term the terms that read it; None stands for a result."""
        found: dict[Term, list[Term | None]] = {term: [] for term in self.all()}
        for term in found:
            for arg in term.args:
                found[arg].append(term)
        for term in (*self.ys, *self.states):
            found[term].append(None)
        return found

    def replace(self, old: Term, new: Term) -> None:
        """Let everything that reads one term read another one."""
        for term in self.all():
            term.args = [new if arg is old else arg for arg in term.args]
        self.ys = [new if term is old else term for term in self.ys]
        self.states = [new if term is old else term for term in self.states]

    def _keep(self, edge: Edge, view: Array, term: Term) -> None:
        self._made[edge, key_of(view)] = term
        name = edge[0].name_of(edge[1])
        if name and is_whole(view, edge) and not term.name:
            term.name = name

    def _read(self, edge: Edge, view: Array) -> Term:
        if edge[0] in self._constant:
            random = edge[0] in self._draws or any(edge[0] is node for node in self._random)
            return self._constants.setdefault(edge, Term("random" if random else "constant", name=edge[0].name or ""))
        known = self._made.get((edge, key_of(view)))
        if known is not None:
            return known
        part = Term("part", [self._made[edge, key_of(whole(edge))]], elementwise=False)
        self._made[edge, key_of(view)] = part
        return part

    @property
    def _random(self) -> set[Node]:
        return self._constant - constants_of(self._step)

    def _operands(self, node: Node, view: Array) -> list[Term]:
        assert node.args is not None
        read = iter(reads(node, 0, view))
        return [
            Term("number" if labels.is_number(arg) else "constant", number=arg)
            if parent is None
            else self._read(*next(read))
            for parent, arg in zip(node.parents, node.args, strict=True)
        ]

    def _computed(self, node: Node, slot: int, view: Array) -> Term:
        if is_move(node):
            return self._read(*reads(node, slot, view)[0])
        if is_join(node):
            pieces = [self._read((node.parents[i], node.slots[i]), part) for i, part in parts(node, view)]  # type: ignore[arg-type]
            return pieces[0] if len(pieces) == 1 else Term("concatenate", pieces, elementwise=False)
        operands = self._operands(node, view)
        if node.operation in _IDLE:
            return operands[0]
        if is_affine_product(node, self._constant) and not any(term.op == "random" for term in operands):
            (source,) = [operands[i] for i in variable(node, self._constant)]
            return Term("linear", source.args if source.op == "concatenate" else [source])
        return _arithmetic(node.operation, operands) or self._other(node, slot, operands)

    def _other(self, node: Node, slot: int, operands: list[Term]) -> Term:
        random = any(term.op == "random" for term in operands)
        args = [term for term in operands if not term.is_constant]
        label = "dropout" if random else ""
        if len(node.specs) > 1:
            label = f"{labels.clean(node.operation.lstrip('_'), 24)} {slot}"
        return Term(node.operation, args, label=label, elementwise=is_elementwise(node) and len(args) == 1)


def _that_read_only(step: Step, draws: set[Node]) -> set[Node]:
    """Return random numbers and what is computed of them and of constants alone."""
    found = constants_of(step) | draws
    for node in step.graph:
        if node.primitive is not None and all(parent is None or parent in found for parent in node.parents):
            found.add(node)
    return found


def _arithmetic(op: str, args: list[Term]) -> Term | None:
    """Return sums, products and what can be made of them; nothing for other operations."""
    if op in ("add", "multiply", "negative"):
        return Term(op, args)
    if op == "subtract":
        return Term("add", [args[0], Term("negative", [args[1]])])
    if op == "divide":
        if args[1].is_constant:
            return Term("multiply", [args[0], _inverse(args[1])])
        return _times(args[0], Term("reciprocal", [args[1]]))
    if op == "power" and args[1].op == "number":
        exponent = float(args[1].number)
        if exponent == 2:
            return Term("square", [args[0]])
        if exponent in (0.5, -0.5):
            root = Term("sqrt", [args[0]])
            return root if exponent > 0 else Term("reciprocal", [root])
        return Term(op, [args[0]], label=f"x^{labels.number(args[1].number)}")
    if op == "maximum" and any(arg.op == "number" and arg.number == 0 for arg in args):
        return Term("relu", [arg for arg in args if arg.op != "number"])
    return None


def _times(left: Term, right: Term) -> Term:
    return right if left.op == "number" and left.number == 1 else Term("multiply", [left, right])


def _inverse(constant: Term) -> Term:
    if constant.op != "number":
        return constant
    with np.errstate(divide="ignore"):
        return Term("number", number=float(np.float64(1) / constant.number))
