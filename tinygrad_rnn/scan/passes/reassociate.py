"""Reassociate: in a sum of many terms, products stand together, and what is the same at every step is added up once."""

from __future__ import annotations

import numpy as np

from ...core import Node, Spec
from ..families import is_product_with_matrix
from ..step import Edge, Step, constants_of, node_of, spec_at
from .rebuild import Operand, Rebuilder, rebuilt


def reassociate(step: Step) -> Step:
    """Return the step with the terms of its sums in the order products, constants, others.

    The products of such a sum can then add to one buffer, and two biases become one vector. The result differs from the
    original in rounding alone.
    """
    constant = constants_of(step)

    def replace(new: Rebuilder, node: Node) -> bool:
        found = terms_of(step, node, constant)
        products = [e for e, _ in found if e is not None and _is_free_product(step, e[0])]
        constants = [(e, arg) for e, arg in found if e is None or e[0] in constant]
        if len(found) < 3 or (len(products) < 2 and len(constants) < 2):
            return False
        others = [e for e, _ in found if e is not None and e not in products and e[0] not in constant]
        first = sums_of(node, [new.edges[e] for e in products])
        numbers = [new.edges[e] if e is not None else arg for e, arg in constants]
        if any(type(number) is tuple for number in numbers):
            numbers = sums_of(node, sorted(numbers, key=lambda number: type(number) is not tuple))
        new.edges[node, 0] = sums_of(node, [*first, *numbers, *[new.edges[e] for e in others]])[0]
        return True

    return rebuilt(step, replace)


def terms_of(step: Step, node: Node, constant: set[Node]) -> list[tuple[Edge | None, Operand]]:
    """Return the terms of a sum, each an edge with its spec, or None with a number; none where dtypes are mixed."""
    dtype = node.specs[0].dtype
    if node.operation != "add" or node in constant:
        return []
    outputs = {edge[0] for edge in (*step.ys, *step.next_carry)}
    found: list[tuple[Edge | None, Operand]] = []
    stack: list[tuple[Node | None, int, Operand]] = [(node, 0, None)]
    while stack:
        term, slot, arg = stack.pop()
        inner = term is node or (
            term is not None
            and term.operation == "add"
            and term not in constant
            and term not in outputs
            and len(step.graph.consumers[term]) == 1
            and term.specs[0].dtype == dtype
        )
        if inner and term is not None:
            stack += [*zip(term.parents, term.slots, term.args or (), strict=True)][::-1]
        else:
            found.append((None if term is None else (term, slot), arg))
    same = all(edge is None or spec_at(edge).dtype == dtype for edge, _ in found)
    return found if same else []


def sums_of(node: Node, operands: list[Operand]) -> list[Operand]:
    """Add up operands from the left by the primitive of a node; the answer has one, or none where there were none."""
    while len(operands) > 1:
        specs = [operand[0].specs[operand[1]] for operand in operands[:2] if type(operand) is tuple]
        shape = np.broadcast_shapes(*[spec.shape for spec in specs])
        spec = Spec(shape, node.specs[0].dtype)
        operands = [(node_of(node.primitive, operands[:2], {}, (spec,)), 0), *operands[2:]]
    return operands


def is_sum_of_products(step: Step, node: Node) -> bool:
    """Whether a value is a product, or a sum of products that nothing else reads, so that one buffer can hold it."""
    if node.operation != "add":
        return is_product_with_matrix(node)
    results = {edge[0] for edge in (*step.ys, *step.next_carry)}
    spec = node.specs[0]
    return all(
        parent is not None
        and parent not in results
        and len(step.graph.consumers[parent]) == 1
        and (parent.specs[0].shape, parent.specs[0].dtype) == (spec.shape, spec.dtype)
        and is_sum_of_products(step, parent)
        for parent in node.parents
    )


def _is_free_product(step: Step, node: Node) -> bool:
    """Whether a product is read by one sum alone."""
    outputs = [edge[0] for edge in (*step.ys, *step.next_carry)]
    return is_product_with_matrix(node) and len(step.graph.consumers[node]) == 1 and node not in outputs
