"""Telling: a compiled loop in words, its step as a program with gradient rules, and the numbers of all steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core import Array, Node
from ..core.errors import TinygradRNNError
from ..core.explain import Told, in_numbers, whole
from .opening import Steps
from .step import Edge, Step, is_float, spec_at


def told(node: Node, letters: Sequence[str], gs: Sequence[Any] | None) -> Told | None:
    """Return a loop as the program of its step, written once, with the gradient rules of that.

    Numbers are those of all steps, one behind the other: a value of shape (2, 3) has (time, 2, 3).

    Args:
        node: of the loop.
        letters: what its arguments are called.
        gs: the cotangents of its results, None for those without; None where no numbers are asked for.

    Returns:
        None for a loop that no step of a user's belongs to, or whose step cannot be traced again.
    """
    origin = node.params["origin"]
    if origin is None:
        return None
    try:
        steps = origin.traced(node)
    except TinygradRNNError:
        return None
    played = None if gs is None or steps.values is None else _Played(steps, node, gs)
    if played is not None and not origin.agrees(node, [played.values[edge] for edge in steps.step.ys]):
        played = None
    numbers = _Numbers(steps, letters, played)
    graph, time = steps.step.graph, node.params["time"]
    over = f"{time - 1} … 0" if node.params["reverse"] else f"0 … {time - 1}"
    lines = [f"for t in {over}:", *[f"    {line}" for line in graph.told(numbers)]]
    ys, after = [
        ", ".join([graph.reference(*edge) for edge in edges]) for edges in (steps.step.ys, steps.step.next_carry)
    ]
    lines.append(f"    return {ys}" + (f" and hand on {after}" if after else ""))
    if gs is not None and played is None:
        lines.append("# its parameters or settings were changed since it ran, so its steps have no numbers")
    return Told(lines, _handed_back(steps.step, len(node.parents)))


def _handed_back(step: Step, count: int) -> list[str]:
    """Return for each argument of a loop what its cotangent is."""
    inputs = [(leaf, "at the first step") for leaf in step.carry] + [(leaf, "at every step") for leaf in step.xs]
    texts = [
        f"g of {step.graph.reference(leaf, 0)} {when}" if leaf in step.graph.consumers else "0, for no step reads it"
        for leaf, when in inputs
    ]
    return texts + ["its g of every step, added up"] * (count - len(texts))


class _Numbers:
    """The numbers of a step's program, as `explain` asks for them."""

    def __init__(self, steps: Steps, letters: Sequence[str], played: _Played | None) -> None:
        self._steps, self._letters, self._played = steps, letters, played
        step = steps.step
        self._from = {
            leaf: f"{letters[i]} at first, then {step.graph.reference(*step.next_carry[i])} of the step before"
            for i, leaf in enumerate(step.carry)
        }
        self._from |= {leaf: f"{letters[len(step.carry) + i]}[t]" for i, leaf in enumerate(step.xs)}

    def of(self, node: Node) -> list[str]:
        """Return where an input comes from, and the values and cotangents of a node at all steps."""
        lines = [self._from[node]] if node in self._from else []
        if self._played is None:
            return lines
        several = len(node.specs) > 1
        name = "out" if node.primitive is not None else "value"
        for known, called in ((self._played.values, name), (self._played.cotangents, "g")):
            for slot in range(len(node.specs)):
                if (node, slot) in known:
                    lines.append(f"{called}{slot if several else ''} = {in_numbers(known[node, slot])}")
        return lines

    def passed(self, node: Node) -> dict[int, Array]:
        """Return the cotangents that a node passes on to its arguments, at all steps."""
        return {} if self._played is None else self._played.passed.get(node, {})

    def cotangents(self, node: Node) -> list[Any] | None:
        """Return the cotangents of a loop inside the loop: they are not looked for."""
        return None


class _Pull(NamedTuple):
    """What one step hands back: cotangents of values, and those of arguments."""

    found: dict[Edge, Array]
    passed: dict[tuple[Node, int], Array]


class _Played:
    """All values and cotangents of a loop, each (time, ...) but for those of constants, which have no time.

    Attributes:
        values: of every value.
        cotangents: of every value that has one; of a constant the sum over all steps.
        passed: for each operation, the cotangents of its arguments by their position.
    """

    def __init__(self, steps: Steps, node: Node, gs: Sequence[Any]) -> None:
        assert steps.values is not None
        self._step, step = steps.step, steps.step
        count = len(step.carry)
        time = node.params["time"]
        order = range(time - 1, -1, -1) if node.params["reverse"] else range(time)
        fixed = {(leaf, 0): value for leaf, value in zip(step.constants, steps.constants, strict=True)}
        state = list(steps.values[:count])
        rows: list[dict[Edge, Any]] = [{} for _ in range(time)]
        for t in order:
            row = rows[t] = dict(fixed)
            row |= {(leaf, 0): value for leaf, value in zip(step.carry, state, strict=True)}
            row |= {(leaf, 0): xs[t] for leaf, xs in zip(step.xs, steps.values[count:], strict=True)}
            for inner in step.graph:
                if inner.primitive is not None:
                    out = inner.primitive(*self._args(inner, row), **inner.params)
                    parts = out if isinstance(out, (tuple, list)) else (out,)
                    row |= {(inner, slot): np.asarray(part) for slot, part in enumerate(parts)}
            state = [row[edge] for edge in step.next_carry]
        self.values = {edge: np.stack([row[edge] for row in rows]) for edge in rows[0] if edge not in fixed}
        self.values |= fixed
        back: list[Any] = [None] * time
        handed = list(gs[len(node.specs) - count :])
        for t in reversed(order):
            back[t] = self._pull(rows[t], [g[t] if g is not None else None for g in gs[: len(step.ys)]], handed)
            handed = [back[t].found.get((leaf, 0)) for leaf in step.carry]
        self.cotangents = _stacked([pull.found for pull in back])
        self.cotangents |= {edge: g.sum(axis=0) for edge, g in self.cotangents.items() if edge in fixed}
        self.passed: dict[Node, dict[int, Array]] = {}
        for (inner, i), array in _stacked([pull.passed for pull in back]).items():
            self.passed.setdefault(inner, {})[i] = array

    def _args(self, node: Node, row: dict[Edge, Any]) -> list[Any]:
        places = zip(node.parents, node.slots, node.args or (), strict=True)
        return [row[parent, slot] if parent is not None else arg for parent, slot, arg in places]

    def _pull(self, row: dict[Edge, Any], gs: list[Any], handed: list[Any]) -> _Pull:
        found: dict[Edge, Array] = {}
        passed: dict[tuple[Node, int], Array] = {}

        def add(edge: Edge, g: Array | None) -> None:
            if g is not None and is_float(edge):
                found[edge] = found[edge] + g if edge in found else g

        for edge, g in zip((*self._step.ys, *self._step.next_carry), (*gs, *handed), strict=True):
            add(edge, g)
        for node in reversed(self._step.graph.nodes):
            own = [found.get((node, slot)) for slot in range(len(node.specs))]
            if node.primitive is None or all(g is None for g in own):
                continue
            edges = list(zip(node.parents, node.slots, strict=True))
            needs = [parent is not None and is_float((parent, slot)) for parent, slot in edges]
            outs = [row[node, slot] for slot in range(len(node.specs))]
            pulled = node.primitive.pull(own, outs, self._args(node, row), needs, node.params)
            for i, (need, cotangent, (parent, slot)) in enumerate(zip(needs, pulled, edges, strict=True)):
                if need and parent is not None:
                    passed[node, i] = np.asarray(whole(cotangent, spec_at((parent, slot))))
                    add((parent, slot), passed[node, i])
        return _Pull(found, passed)


def _stacked(rows: list[Any]) -> dict[Any, Array]:
    """Return what there is at any of the steps as (time, ...), 0 at the others."""
    keys = {key: row[key] for row in rows for key in row}
    return {key: np.stack([row.get(key, np.zeros_like(one)) for row in rows]) for key, one in keys.items()}
