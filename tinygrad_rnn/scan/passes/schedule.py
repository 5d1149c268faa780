"""Hoist and defer: what of a step is done once, before the loop for all steps at once, inside it, or after it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...core import Node
from ..families import is_product_with_matrix, is_view, spans_time
from ..step import Edge, Step, constants_of, described, spec_at

# Bytes that one hoisted or deferred value may take for all steps together.
_BUDGET = 1 << 28
# Up to this many bytes a step, cheap operations are hoisted too: a call for each step costs more than the memory.
_SMALL = 1 << 12


class Deferred(NamedTuple):
    """A sum over time, computed after the loop: of products a.T @ g, or of stacks of them, or of g over its rows.

    Args:
        kind: "product" or "sum".
        operands: a and g, or g alone.
    """

    kind: str
    operands: tuple[Edge, ...]


class Schedule:
    """When each operation of a step is done.

    Args:
        step: the step.
        time: the number of steps.
        fused: the loop does products as fast as they are done outside and fuses all else, so that only sums over time
            of products leave it.

    Attributes:
        once: operations on constants alone.
        before: operations done for all steps at once, before the loop.
        loop: operations done at every step.
        after: operations done for all steps at once, after the loop.
        deferred: sums over time that leave the loop, by their place in the state.
        stacked: values of the loop that are kept for all steps.
    """

    def __init__(self, step: Step, time: int, fused: bool = False) -> None:
        self.step = step
        self.time = time
        self.constant = constants_of(step)
        hoisted = set() if fused else self._hoisted()
        self.early: set[Node] = {*step.xs, *hoisted}
        self.deferred = self._deferred(products_only=fused)
        kept = [edge[0] for k, edge in enumerate(step.next_carry) if k not in self.deferred]
        self.after = [] if fused else self._sunk(_ancestors(kept))
        wanted = {
            *[edge for edge in step.ys if edge[0] not in self.after],
            *_parents_of(self.after),
            *[edge for deferred in self.deferred.values() for edge in deferred.operands],
        }
        done = {*self.constant, *self.early, *self.after}
        needed = _ancestors([*kept, *[node for node, _ in wanted if node not in done]], done)
        self.loop = [node for node in self._operations() if node in needed and node not in done]
        inside = {*self.loop, *step.carry}
        edges = [(node, slot) for node in (*step.carry, *self.loop) for slot in range(len(node.specs))]
        self.stacked = [edge for edge in edges if edge in wanted and edge[0] in inside]
        read = _ancestors([*kept, *[node for node, _ in wanted], *self.loop])
        self.before = [node for node in self._operations() if node in hoisted and node in read]
        self.once = [node for node in self._operations() if node in self.constant and node in read]

    def _hoisted(self) -> set[Node]:
        """Find what depends on the inputs of a step alone and is dear, or so small that the call is what costs."""
        early, dear = set(self.step.xs), []
        for node in self._operations():
            parents = _parents(node)
            if node in self.constant or not parents <= self.constant | early or not self._fits(node):
                continue
            if spans_time(node, [parent in early for parent in node.parents]):
                early.add(node)
                small = all(s.size * s.dtype.itemsize <= _SMALL for s in node.specs)
                if small or node.operation in ("matmul", "getitem", "einsum"):
                    dear.append(node)
        found = _ancestors(dear) & early
        for node in self._operations():
            if node in early and is_view(node) and _parents(node) <= found | set(self.step.xs):
                found.add(node)
        return found - set(self.step.xs)

    def _operations(self) -> Iterable[Node]:
        return (node for node in self.step.graph if node.primitive is not None)

    def _fits(self, node: Node) -> bool:
        return all(self.time * spec.size * spec.dtype.itemsize <= _BUDGET for spec in node.specs)

    def _deferred(self, products_only: bool) -> dict[int, Deferred]:
        """Find the leaves of the state that only sum up what can be summed after the loop."""
        found: dict[int, Deferred] = {}
        sums: dict[int, Deferred] = {}
        for k, node in enumerate(self.step.carry):
            addend = self.step.addend(k)
            if addend is None or addend.specs[0].shape != node.specs[0].shape:
                continue
            if addend.primitive is None or addend.parents[0] is None:
                continue
            first, slot = addend.parents[0], addend.slots[0]
            if addend.operation == "matmul" and first.operation == "transpose" and addend.parents[1] is not None:
                a, g = (first.parents[0], first.slots[0]), (addend.parents[1], addend.slots[1])
                if a[0] is None or a[0] in self.constant or g[0] in self.constant:
                    continue
                if _is_deferrable(first, spec_at(a).shape, spec_at(g).shape, products_only):  # type: ignore[arg-type]
                    found[k] = Deferred("product", (a, g))  # type: ignore[arg-type]
            elif addend.operation == "sum" and addend.params["axis"] == (0,) and len(first.specs[slot].shape) == 2:
                sums[k] = Deferred("sum", ((first, slot),))
        # What is kept for a product anyway can be summed afterwards; to keep it for the sum alone costs memory.
        if products_only:
            return found
        at_hand = {edge for deferred in found.values() for edge in deferred.operands}
        at_hand |= {edge for edge in self.step.ys if edge[0] not in self.constant}
        return found | {k: deferred for k, deferred in sums.items() if deferred.operands[0] in at_hand}

    def _sunk(self, in_state: set[Node]) -> list[Node]:
        """Find the products with constants that the state does not depend on, with what is computed from them."""
        roots = [node for node, _ in self.step.ys]
        roots += [edge[0] for deferred in self.deferred.values() for edge in deferred.operands]
        late = [
            node
            for node in self._operations()
            if node in _ancestors(roots) and node not in in_state | self.constant | self.early
        ]
        sunk: set[Node] = set()
        for node in late:
            heavy = is_product_with_matrix(node) and node.parents[1] in self.constant
            over_time = [parent is not None and parent not in self.constant for parent in node.parents]
            if (heavy or not sunk.isdisjoint(node.parents)) and spans_time(node, over_time) and self._fits(node):
                sunk.add(node)
        for node in reversed(late):
            if node not in sunk:
                sunk -= set(_ancestors([node])) - {node}
        return [node for node in late if node in sunk]

    def __str__(self) -> str:
        graph = self.step.graph
        lines = []
        for title, nodes in (
            ("once", self.once),
            ("before the loop, for all steps", self.before),
            ("at every step", self.loop),
            ("after the loop, for all steps", self.after),
        ):
            if nodes:
                lines += [f"{title}:", *[f"    {graph.line(node)}" for node in nodes]]
        if self.deferred:
            lines.append("after the loop, sums over time:")
            for k, deferred in self.deferred.items():
                names = ", ".join([graph.reference(*edge) for edge in deferred.operands])
                total, slot = self.step.next_carry[k]
                name = total.name_of(slot)
                given = f"  # {name}" if name else ""
                lines.append(f"    {graph.reference(total, slot)} = {deferred.kind}({names}){given}")
        if self.stacked:
            names = ", ".join([graph.reference(*edge) for edge in self.stacked])
            lines.append(f"kept for all steps: {names}  # {', '.join([described(edge) for edge in self.stacked])}")
        return "\n".join(lines)


def _is_deferrable(transpose: Node, a: tuple[int, ...], g: tuple[int, ...], matrices_only: bool) -> bool:
    """Whether the products of all steps add up in one product, of matrices or of equal stacks of them."""
    ndim = len(a)
    swapped = (*range(ndim - 2), ndim - 1, ndim - 2)
    fits = ndim == 2 or (ndim > 2 and not matrices_only)
    return fits and ndim == len(g) and a[:-2] == g[:-2] and tuple(transpose.params["axes"]) == swapped


def _parents(node: Node) -> set[Node]:
    return {parent for parent in node.parents if parent is not None}


def _parents_of(nodes: Iterable[Node]) -> list[Edge]:
    return [
        (parent, slot)
        for node in nodes
        for parent, slot in zip(node.parents, node.slots, strict=True)
        if parent is not None
    ]


def _ancestors(roots: Iterable[Node], stop: Iterable[Node] = ()) -> set[Node]:
    """Return nodes and all that they come from, not going beyond `stop`."""
    seen = set(roots)
    stack, stop = list(seen), set(stop)
    while stack:
        node = stack.pop()
        if node in stop:
            continue
        for parent in node.parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return seen
