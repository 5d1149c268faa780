"""Split and merge products: x is multiplied apart from the state, and each of the two once."""

from __future__ import annotations

from itertools import accumulate

from ...core import Node, Spec
from ...ops.arithmetic import add
from ...ops.shape import concatenate, split
from ..families import is_product_with_matrix
from ..step import Edge, Step, constants_of, give_name, node_of, spec_at, together
from .rebuild import Rebuilder, call, concatenated, joined, pieces, rebuilt


def split_products(step: Step) -> Step:
    """Return the step with `concat([x, h]) @ W` as `x @ W_x + h @ W_h`, so that the first can leave the loop.

    What depends on the state stays together, and so does what does not.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.core import Spec
        >>> from tinygrad_rnn.scan.passes.products import split_products
        >>> from tinygrad_rnn.scan.step import traced
        >>> row, w = Spec((4, 2), np.dtype(float)), np.ones((4, 2))
        >>> found = traced(lambda x, h: (h, np.concatenate([x, h], axis=1) @ w), (row,), (row,))
        >>> print(split_products(found.step))
        %0 = leaf h                           float64[4, 2]
        %1 = leaf x                           float64[4, 2]
        %2 = leaf                             float64[4, 2]
        %3 = split(%2, bounds=(2, 4), axis=0) float64[2, 2], float64[2, 2]
        %4 = matmul(%1, %3.0)                 float64[4, 2]
        %5 = matmul(%0, %3.1)                 float64[4, 2]
        %6 = add(%4, %5)                      float64[4, 2]
        return %0, %6
    """
    constant = constants_of(step)
    from_state = _from_state(step)

    def replace(new: Rebuilder, node: Node) -> bool:
        whole = node.parents[0] if _has_fixed_weight(node, constant) else None
        if whole is None or whole.operation != "concatenate" or None in whole.parents:
            return False
        if whole.params["axis"] != len(whole.specs[0].shape) - 1:
            return False
        parts: list[Edge] = [*zip(whole.parents, whole.slots, strict=True)]  # type: ignore[list-item]
        inside = [part[0] in from_state for part in parts]
        if len(set(inside)) == 1 or len({spec_at(part).dtype for part in parts}) > 1:
            return False
        rows = _rows(new.edges[node.parents[1], node.slots[1]], [spec_at(part).shape[-1] for part in parts])  # type: ignore[index]
        products = []
        for kind in (False, True):
            chosen = [i for i, own in enumerate(inside) if own is kind]
            left = [new.edges[parts[i]] for i in chosen]
            right = [rows[i] for i in chosen]
            operands = [left[0] if len(left) == 1 else concatenated(left), _stacked_rows(right)]
            products.append(call(node.primitive, operands, node.specs))  # type: ignore[arg-type]
        new.edges[node, 0] = call(add, products, node.specs)
        return True

    return rebuilt(step, replace)


def merge_products(step: Step) -> Step:
    """Return the step with the products of one value with several weights as one product, which is split.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.core import Spec
        >>> from tinygrad_rnn.scan.passes.products import merge_products
        >>> from tinygrad_rnn.scan.step import traced
        >>> row, w, u = Spec((4, 2), np.dtype(float)), np.ones((2, 2)), np.zeros((2, 2))
        >>> found = traced(lambda x, h: (np.tanh(h @ w), x - h @ u), (row,), (row,))
        >>> print(merge_products(found.step))
        %0 = leaf h                           float64[4, 2]
        %1 = leaf x                           float64[4, 2]
        %2 = leaf                             float64[2, 2]
        %3 = leaf                             float64[2, 2]
        %4 = concatenate(%2, %3, axis=1)      float64[2, 4]
        %5 = matmul(%0, %4)                   float64[4, 4]
        %6 = split(%5, bounds=(2, 4), axis=1) float64[4, 2], float64[4, 2]
        %7 = tanh(%6.0)                       float64[4, 2]
        %8 = subtract(%1, %6.1)               float64[4, 2]
        return %7, %8
    """
    constant = constants_of(step)
    groups: dict[object, list[Node]] = {}
    for node in step.graph:
        if _has_fixed_weight(node, constant):
            left: Edge = (node.parents[0], node.slots[0])  # type: ignore[assignment]
            weight: Edge = (node.parents[1], node.slots[1])  # type: ignore[assignment]
            groups.setdefault((left, spec_at(weight).dtype), []).append(node)
    for group in groups.values():
        found = joined(step, group, _merged) if len(group) > 1 else None
        if found is not None:
            return merge_products(found)
    return step


def _merged(new: Rebuilder, group: list[Node]) -> list[Edge]:
    first = group[0]
    weights = [new.operands(node)[1] for node in group]
    widths = [node.specs[0].shape[-1] for node in group]
    spec = Spec((*first.specs[0].shape[:-1], sum(widths)), first.specs[0].dtype)
    weight = concatenated(weights)
    give_name(weight, together([(node.parents[1], node.slots[1]) for node in group]))  # type: ignore[misc]
    return pieces(call(first.primitive, [new.operands(first)[0], weight], (spec,)), widths)  # type: ignore[arg-type]


def _has_fixed_weight(node: Node, constant: set[Node]) -> bool:
    return (
        is_product_with_matrix(node)
        and node.parents[1] in constant
        and node not in constant
        and None not in node.parents
    )


def _from_state(step: Step) -> set[Node]:
    found: set[Node] = set(step.carry)
    for node in step.graph:
        if not found.isdisjoint(node.parents):
            found.add(node)
    return found


def _rows(weight: Edge, heights: list[int]) -> list[Edge]:
    """Cut a matrix into blocks of rows."""
    spec = spec_at(weight)
    specs = tuple([Spec((height, spec.shape[1]), spec.dtype) for height in heights])
    node = node_of(split, [weight], {"bounds": tuple(accumulate(heights)), "axis": 0}, specs)
    return [(node, slot) for slot in range(len(heights))]


def _stacked_rows(blocks: list[Edge]) -> Edge:
    if len(blocks) == 1:
        return blocks[0]
    specs = [spec_at(block) for block in blocks]
    shape = (sum(spec.shape[0] for spec in specs), specs[0].shape[1])
    return call(concatenate, list(blocks), (Spec(shape, specs[0].dtype),), axis=0)
