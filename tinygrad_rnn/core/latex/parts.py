"""What equations are made from: a program and the part that each of its values plays, and what they consist of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..algebra import Term
from ..node import Array, Node, Spec
from ..primitive import Primitive
from .names import Symbol

Edge = tuple[Node, int]

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
        return self.ys[0] if not self.steps and len(self.ys) == 1 and spec_at(self.ys[0]).size == 1 else None


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


def spec_at(edge: Edge) -> Spec:
    """Return shape and dtype of a value."""
    return edge[0].specs[edge[1]]


def is_float(edge: Edge) -> bool:
    """Whether a value is of a floating dtype, so that it can have a gradient."""
    return spec_at(edge).dtype.kind == "f"
