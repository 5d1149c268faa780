"""The states in the graph of a loss that has been computed, and the gradients that reach them by one backward pass.

A state is what one step of a loop computes and the next one reads; but no sum that steps do nothing with but add to it,
such as that of their losses. Loops that ran compiled are opened into their steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise, takewhile
from typing import Any, NamedTuple

import numpy as np

from ...core import Graph, Node, Tensor
from ...core.backward import sweep
from ...core.errors import ConfigError
from ...core.tensor import cotangent_of
from ...nn.watching import Loop, layer_names
from ..opened import opened
from .plotting import Array
from .unrolling import Scope, Unrolled, unrolled

Edge = tuple[Node, int]
Consumers = dict[Node, list[tuple[Node, int]]]


class Reached(NamedTuple):
    """The gradient of a loss with respect to one part of a loop's state.

    Args:
        layer: which layer, in words.
        name: that the state was given, or its number.
        gradient: (time, ...), in the time order of the input.
    """

    layer: str
    name: str
    gradient: Array


def gradients_of_states(name: str, loss: Tensor) -> list[Reached]:
    """Return the gradients of a loss with respect to all states that it was computed through.

    Args:
        name: of the loss, for errors.
        loss: a tensor of one element.

    Raises:
        ConfigError: if there is no loop in its graph, or one whose steps are not alike.
        FreedGraphError: if an earlier backward pass has freed the graph.
        GraphError: if a parameter was changed since a compiled loop ran.
    """
    graph = opened(Graph.of(loss))
    loops = [(loop, states) for loop in unrolled(graph) if (states := _states(name, loop, graph.consumers))]
    if not loops:
        raise ConfigError(
            f"{name} is a loss without a loop over time in its graph; give one that was computed through a recurrent "
            "layer, of two steps or more"
        )
    ((root, slot),) = graph.outputs
    edges = [edge for _, states in loops for state in states for edge in state if edge is not None]
    found = dict(zip(edges, sweep([(root, slot, cotangent_of(loss, None))], edges, None, True), strict=True))
    reached = []
    for layer, (loop, states) in zip(_layers([loop for loop, _ in loops]), loops, strict=True):
        for number, state in enumerate(states):
            spec = next(edge[0].specs[edge[1]] for edge in state if edge is not None)
            zeros = np.zeros(spec.shape, spec.dtype)
            rows = [g if edge is not None and (g := found[edge]) is not None else zeros for edge in state]
            given = next((edge[0].name_of(edge[1]) for edge in state if edge is not None), None)
            called = given or ("state" if len(states) == 1 else f"state {number + 1}")
            reached.append(Reached(layer, called, np.stack(rows[::-1] if loop.reverse else rows)))
    return reached


def _layers(loops: Sequence[Unrolled]) -> list[str]:
    """Return the name of each loop: the layers of a module are its cells, in the order in which they first ran.

    A loop whose step has no name of its own in a module is a layer of its own.
    """
    cells: dict[tuple[Scope, bool], list[str]] = {}
    told = []
    for loop in loops:
        met = cells.setdefault((loop.scope, loop.reverse), [])
        if not loop.cell or loop.cell not in met:
            met.append(loop.cell)
        layer = met.index(loop.cell) if loop.cell else len(met) - 1
        told.append(Loop(None, None, None, None, loop.reverse, None, layer, loop.scope))
    return [name.strip() for name in layer_names(told)]


def _states(name: str, loop: Unrolled, consumers: Consumers) -> list[list[Edge | None]]:
    """Return the parts of the state that a loop hands from step to step, each as its values after every step.

    None stands where the loss does not depend on the part any more. So the last steps may hand on fewer parts.
    """
    steps = loop.steps
    handed = [_handed(before, after) for before, after in pairwise(steps)]
    while handed and not handed[-1]:
        handed.pop()
    if not handed:
        return []
    whole = list(takewhile(lambda edges: len(edges) == len(handed[0]), handed))
    rows: list[list[Edge | None]] = [list(edges) for edges in whole]
    for t in range(len(whole), len(handed) + 1):
        before = rows[t - 2] if t > 1 else []
        row = _same_in(rows[t - 1], _forms_of(steps[t - 1], steps[t], before, rows[t - 1] if t > 1 else []))
        if row is None or (t < len(handed) and not (handed[t] and set(handed[t]) <= set(row))):
            raise _unlike(name, loop)
        rows.append(row)
    rest: list[Edge | None] = [None] * (len(steps) - len(rows))
    parts = [[*[row[k] for row in rows], *rest] for k in range(len(rows[0]))]
    return [part for part in parts if not _is_sum(part, consumers, loop.is_timed)]


def _is_sum(part: list[Edge | None], consumers: Consumers, is_timed: bool) -> bool:
    """Return whether a part of the state is a sum that steps do nothing with but add to it.

    The state of a layer may be one too, but for single numbers.
    """
    edges = [edge for edge in part if edge is not None]
    if is_timed and edges[0][0].specs[edges[0][1]].shape:
        return False
    return len(edges) > 1 and all(_is_only_added(before[0], after[0], consumers) for before, after in pairwise(edges))


def _is_only_added(node: Node, end: Node, consumers: Consumers) -> bool:
    """Return whether all that reads a value adds to it, or subtracts from it, until it is another one."""
    while node is not end:
        readers = consumers[node]
        if len(readers) != 1:
            return False
        ((node, argument),) = readers
        if node.operation != "add" and (node.operation, argument) != ("subtract", 0):
            return False
    return True


def _unlike(name: str, loop: Unrolled) -> ConfigError:
    where = ".".join(map(str, loop.scope)) or "a loop"
    return ConfigError(
        f"{name} was computed by {where}, whose steps are not alike, so that its graph does not tell which values are "
        "states; give the function that computes it: viz.gradient_flow(lambda: loss_of(batch))"
    )


def _handed(before: list[Node], after: list[Node]) -> list[Edge]:
    """Return what one step computes and the next one reads, floats alone, in the order in which it is computed."""
    own = set(before)
    edges = {
        (parent, slot)
        for node in after
        for parent, slot in zip(node.parents, node.slots, strict=True)
        if parent in own and parent.specs[slot].dtype.kind == "f"
    }
    return sorted(edges, key=lambda edge: (edge[0].sequence, edge[1]))


def _same_in(edges: Sequence[Edge | None], forms: tuple[dict[Node, int], dict[Node, int]]) -> list[Edge | None] | None:
    """Return where in a step the values of the step before are; None if the steps are not alike.

    Args:
        edges: the values of the step before; None is one that is not there any more.
        forms: of the step before, and of the step.
    """
    mine, theirs = forms
    kinds = Counter(mine.values())
    if any(count > kinds[form] for form, count in Counter(theirs.values()).items()):
        return None
    by_form: dict[Any, list[Node]] = {}
    for node, form in theirs.items():
        by_form.setdefault(form, []).append(node)
    found: list[Edge | None] = []
    for edge in edges:
        if edge is None:
            found.append(None)
            continue
        node, slot = edge
        of_form = [other for other, form in mine.items() if form == mine[node]]
        here = by_form.get(mine[node], [])
        at = of_form.index(node)
        found.append((here[at], slot) if at < len(here) else None)
    return found


def _forms_of(
    step: list[Node], following: list[Node], before: list[Edge | None], after: list[Edge | None]
) -> tuple[dict[Node, int], dict[Node, int]]:
    """Return a number for each operation of two steps, the same for those that do the same to the same.

    Args:
        step: the operations of the first.
        following: those of the second.
        before: the parts of the state that the first reads; empty where it is not known which they are.
        after: those that the second reads, in the same order.
    """
    read = [{parent for node in nodes for parent in node.parents if parent is not None} for nodes in (step, following)]
    shared = {node for node in read[0] & read[1] if node.primitive is None}
    numbers: dict[Any, int] = {}
    return _forms(step, before, shared, numbers), _forms(following, after, shared, numbers)


def _forms(step: list[Node], state: list[Edge | None], shared: set[Node], numbers: dict[Any, int]) -> dict[Node, int]:
    parts = {edge: k for k, edge in enumerate(state) if edge is not None}
    inside: dict[Node, int] = {}
    for node in step:
        key: list[Any] = [node.operation, *[(spec.shape, spec.dtype) for spec in node.specs]]
        for parent, slot in zip(node.parents, node.slots, strict=True):
            if parent is None:
                key.append(None)
            elif parent in inside:
                key.append((inside[parent], slot))
            else:
                key.append(parent if parent in shared else parts.get((parent, slot)))
        inside[node] = numbers.setdefault(tuple(key), len(numbers))
    return inside
