"""Narrow: what is computed and then split is split first, so that all that follows goes over one width."""

from __future__ import annotations

from ...core import Node, Spec
from ...core.primitive import Primitive
from ..families import is_elementwise
from ..step import Edge, Step, constants_of, node_of, spec_at
from .reassociate import is_sum_of_products
from .rebuild import Operand, Rebuilder, rebuilt


def narrow(step: Step) -> Step:
    """Return the step with its splits along the last axis as early as they can be.

    `split(a + b)` becomes `split(a) + split(b)`, back to a product or to what has other readers.
    """
    outputs = {edge[0] for edge in (*step.ys, *step.next_carry)}
    constant = constants_of(step)
    cut: dict[tuple[Edge, tuple[int, ...]], list[Edge]] = {}

    def pieces(new: Rebuilder, edge: Edge, split: Node, primitive: Primitive) -> list[Edge]:
        bounds = split.params["bounds"]
        if (edge, bounds) not in cut:
            cut[edge, bounds] = _pieces(new, edge, split, primitive)
        return cut[edge, bounds]

    def _pieces(new: Rebuilder, edge: Edge, split: Node, primitive: Primitive) -> list[Edge]:
        node, bounds, spec = edge[0], split.params["bounds"], spec_at(edge)
        sizes = [stop - start for start, stop in zip((0, *bounds), bounds, strict=False)]
        specs = [Spec((*spec.shape[:-1], size), spec.dtype) for size in sizes]
        alone = node not in outputs and all(reader is split for reader, _ in step.graph.consumers[node])
        kept = node in constant or is_sum_of_products(step, node)
        if not kept and is_elementwise(node) and (alone or _only_splits(step, node, bounds)) and node not in outputs:
            operands: list[list[Operand]] = []
            for parent, slot, arg in zip(node.parents, node.slots, node.args or (), strict=True):
                if parent is None:
                    operands.append([arg] * len(sizes))
                elif spec_at((parent, slot)).shape[-1:] == (1,) or not spec_at((parent, slot)).shape:
                    operands.append([new.edges[parent, slot]] * len(sizes))
                else:
                    operands.append([*pieces(new, (parent, slot), split, primitive)])
            rows = zip(*operands, strict=True)
            return [
                (node_of(node.primitive, list(row), node.params, (part,)), 0)
                for row, part in zip(rows, specs, strict=True)
            ]
        made = node_of(primitive, [new.edges[edge]], {"bounds": bounds, "axis": len(spec.shape) - 1}, tuple(specs))
        return [(made, slot) for slot in range(len(specs))]

    def replace(new: Rebuilder, node: Node) -> bool:
        if node.operation != "split" or node.params["axis"] != len(node.specs[0].shape) - 1:
            return False
        edge: Edge = (node.parents[0], node.slots[0])  # type: ignore[assignment]
        for slot, piece in enumerate(pieces(new, edge, node, node.primitive)):  # type: ignore[arg-type]
            new.edges[node, slot] = piece
        return True

    return rebuilt(step, replace)


def _only_splits(step: Step, node: Node, bounds: tuple[int, ...]) -> bool:
    """Whether all that read a value are on the way to splits at the same places."""
    return all(
        (reader.operation == "split" and reader.params["bounds"] == bounds)
        or (
            is_elementwise(reader)
            and reader.specs[0].shape[-1:] == node.specs[0].shape[-1:]
            and _read(step, reader, bounds)
        )
        for reader, _ in step.graph.consumers[node]
    )


def _read(step: Step, node: Node, bounds: tuple[int, ...]) -> bool:
    outputs = {edge[0] for edge in (*step.ys, *step.next_carry)}
    return bool(step.graph.consumers[node]) and node not in outputs and _only_splits(step, node, bounds)
