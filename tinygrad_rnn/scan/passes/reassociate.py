"""Reassociate: in a sum of many terms, products stand together, and what is the same at every step is added up once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core import Node, Spec
from ..families import is_product_with_matrix
from ..step import Step, constants_of, node_of
from .rebuild import Operand, Rebuilder, rebuilt


def reassociate(step: Step) -> Step:
    """Return the step with the terms of its sums in the order products, constants, others.

    The products of such a sum can then add to one buffer, and two biases become one vector. The result differs from the
    original in rounding alone.
    """
    constant = constants_of(step)
    outputs = {edge[0] for edge in (*step.ys, *step.next_carry)}

    def is_inner(edge: Any, spec: Spec) -> bool:
        node = edge[0]
        return (
            node is not None
            and node.operation == "add"
            and node not in constant
            and node not in outputs
            and len(step.graph.consumers[node]) == 1
            and node.specs[0].dtype == spec.dtype
        )

    def terms(node: Node) -> list[tuple[Any, Operand]]:
        """Return the terms of a sum, as the old step has them: (edge or None, number)."""
        found: list[tuple[Any, Operand]] = []
        for parent, slot, arg in zip(node.parents, node.slots, node.args or (), strict=True):
            if parent is not None and is_inner((parent, slot), node.specs[0]):
                found += terms(parent)
            else:
                found.append(((parent, slot) if parent is not None else None, arg))
        return found

    def replace(new: Rebuilder, node: Node) -> bool:
        if node.operation != "add" or node in constant:
            return False
        found = terms(node)
        products = [e for e, _ in found if e is not None and _is_free_product(step, e[0])]
        constants = [(e, arg) for e, arg in found if e is None or e[0] in constant]
        if len(found) < 3 or (len(products) < 2 and len(constants) < 2):
            return False
        others = [e for e, _ in found if e is not None and e not in products and e[0] not in constant]
        dtype = node.specs[0].dtype

        def add(a: Operand, b: Operand) -> Operand:
            specs = [operand[0].specs[operand[1]] for operand in (a, b) if type(operand) is tuple]
            shape = np.broadcast_shapes(*[spec.shape for spec in specs])
            return node_of(node.primitive, [a, b], {}, (Spec(shape, dtype),)), 0

        def total(operands: list[Operand]) -> list[Operand]:
            while len(operands) > 1:
                operands = [add(operands[0], operands[1]), *operands[2:]]
            return operands

        first = total([new.edges[e] for e in products])
        numbers = [new.edges[e] if e is not None else arg for e, arg in constants]
        if any(type(number) is tuple for number in numbers):
            numbers = total(sorted(numbers, key=lambda number: type(number) is not tuple))
        new.edges[node, 0] = total([*first, *numbers, *[new.edges[e] for e in others]])[0]
        return True

    return rebuilt(step, replace)


def is_sum_of_products(step: Step, node: Node) -> bool:
    """Whether a value is a product, or a sum of products that nothing else reads, so that one buffer can hold it."""
    if node.operation != "add":
        return is_product_with_matrix(node)
    return all(
        parent is not None and len(step.graph.consumers[parent]) == 1 and is_sum_of_products(step, parent)
        for parent in node.parents
    )


def _is_free_product(step: Step, node: Node) -> bool:
    """Whether a product is read by one sum alone."""
    outputs = [edge[0] for edge in (*step.ys, *step.next_carry)]
    return is_product_with_matrix(node) and len(step.graph.consumers[node]) == 1 and node not in outputs
