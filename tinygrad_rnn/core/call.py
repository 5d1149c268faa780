"""Call: a function run on fresh inputs, and sweeps and pushes through what that recorded; transforms are made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .backward import Edge, Wrap, sweep
from .errors import DtypeError, TraceError
from .forward import push
from .modes import current, enable_grad, user_line
from .node import ancestors, next_sequence, unwatched_leaf
from .primitive import identity
from .stacked import Levels, Stacked, lift, lower, refuse_leaked, running_levels
from .tensor import Tensor, cotangent_of
from .trace import Abstract
from .tree import tree_flatten, tree_map, tree_unflatten


def _fresh(value: Any, levels: Levels) -> Any:
    """Return a tensor of the same value with a node of its own, of all members; integers and bools are constants."""
    if not isinstance(value, Tensor):
        tensor = Tensor(value)
        if tensor.dtype.kind in "iu" and not isinstance(value, np.ndarray):
            tensor = Tensor(value, dtype=np.float64)  # the number 2 means 2.0 here
        value = tensor
    whole = lift(value, levels)
    refuse_leaked(whole)
    if whole.requires_grad:
        return identity(whole)
    return Tensor._wrap(whole._data, unwatched_leaf(whole._data) if whole.dtype.kind == "f" else None)


class Call:
    """A function run on fresh inputs: what is needed to take derivatives of its results.

    Inside vmap, sweeps and pushes go through whole stacks, where no member's result depends on another's input.
    """

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], moving: tuple[int, ...]) -> None:
        recording, start = current().recording, next_sequence()
        self.levels = running_levels()
        given, self.structure = tree_flatten([args[i] for i in moving])
        with enable_grad():
            self.whole_inputs = [_fresh(value, self.levels) for value in given]
            self.inputs = [lower(whole, self.levels) for whole in self.whole_inputs]
            replaced = list(args)
            for i, nest in zip(moving, tree_unflatten(self.structure, self.inputs), strict=True):
                replaced[i] = nest
            self.value = function(*replaced)
            self.outputs, self.out_structure = tree_flatten(self.value)
            self.whole_outputs = [
                lift(out, self.levels) if isinstance(out, Tensor) else Tensor._wrap(np.asarray(out))
                for out in self.outputs
            ]
        for whole in (*self.whole_inputs, *self.whole_outputs):
            if type(whole) is Abstract:
                raise TraceError(
                    f"{user_line()}: a derivative is taken inside a step that is being traced; take it outside of the "
                    "loop, or choose engine='eager'"
                )
            refuse_leaked(whole)
        own = {whole.node for whole in self.whole_inputs}
        roots = [whole.node for whole in self.whole_outputs if whole.node is not None]
        # What depends on tensors from outside is recorded, for an outer transform or backward(); the rest is not. The
        # inputs of transforms that ran inside the function are no outside: nobody can ask for gradients there any more.
        leaves = [node for node in ancestors(roots) if node.primitive is None and node not in own]
        outside = recording and any(node.sequence < start or node.watches is not None for node in leaves)
        self.wrap = Tensor._wrap if outside else None

    def refuse_integers(self) -> None:
        """Raise DtypeError if an input to differentiate by is no float."""
        found = [str(x.dtype) for x in self.whole_inputs if x.node is None]
        if found:
            raise DtypeError(f"an argument of dtype {found[0]} to differentiate by; give floats, or leave it out")

    def result(self, nest: Any) -> Any:
        """Return a nest of results as the caller sees it: without the graph, unless that leads outside."""
        return tree_map(lambda found: _shown(found, self.wrap is not None), nest)

    def _way(self, given: list[Any]) -> tuple[bool, Wrap | None]:
        """Return whether what comes of cotangents or tangents is recorded for somebody, and how to run the rules.

        It is if the map from them is itself being differentiated. On stacks of a later vmap, rules run on tensors.
        """
        recorded = self.wrap is not None or any(_innermost_members(tensor).requires_grad for tensor in given)
        tensors = recorded or any(isinstance(tensor, Stacked) for tensor in given)
        return recorded, Tensor._wrap if tensors else None

    def pull(self, cotangents: list[Any]) -> list[Any]:
        """Return the cotangents of the inputs, zeros where the results do not depend on them."""
        ends: list[Edge] = []
        given: list[Any] = []
        for out, whole, cotangent in zip(self.outputs, self.whole_outputs, cotangents, strict=True):
            if whole.node is not None:
                checked = cotangent_of(out, cotangent)
                ends.append((whole.node, whole._index))
                given.append(lift(checked if isinstance(checked, Tensor) else Tensor._wrap(checked), self.levels))
        recorded, way = self._way(given)
        seeds = [(*end, seed if way is not None else seed._data) for end, seed in zip(ends, given, strict=True)]
        targets: list[Edge] = [(x.node, x._index) for x in self.whole_inputs if x.node is not None]
        with enable_grad():
            found = iter(sweep(seeds, targets, way, retain_graph=True) if seeds else [None] * len(targets))
            slopes: list[Any] = []
            for x, whole in zip(self.inputs, self.whole_inputs, strict=True):
                slope = next(found) if whole.node is not None else None
                if slope is None:
                    slopes.append(Tensor._wrap(np.zeros(x.shape, x.dtype if x.dtype.kind == "f" else float)))
                else:
                    slopes.append(lower(_shown(slope, recorded), self.levels))
        return slopes

    def push(self, tangents: list[Any]) -> list[Any]:
        """Return the tangents of the outputs, zeros where they do not move."""
        edges: list[Edge] = []
        given: list[Any] = []
        for x, tangent in zip(self.whole_inputs, tangents, strict=True):
            if x.node is not None and tangent is not None:
                edges.append((x.node, x._index))
                given.append(lift(tangent, self.levels))
        recorded, way = self._way(given)
        moving = {edge: seed if way is not None else seed._data for edge, seed in zip(edges, given, strict=True)}
        ends = [(whole.node, whole._index) for whole in self.whole_outputs if whole.node is not None]
        with enable_grad():
            found = iter(push(moving, ends, way))
            answer: list[Any] = []
            for out, whole in zip(self.outputs, self.whole_outputs, strict=True):
                tangent = next(found) if whole.node is not None else None
                if tangent is None:
                    answer.append(Tensor._wrap(np.zeros(np.shape(out), getattr(out, "dtype", float))))
                else:
                    answer.append(lower(_shown(tangent, recorded), self.levels))
        return answer


def _innermost_members(tensor: Any) -> Any:
    while isinstance(tensor, Stacked):
        tensor = tensor._members
    return tensor


def _shown(found: Any, recorded: bool) -> Any:
    """Return a result as a tensor, which keeps its graph if it was recorded for somebody."""
    if isinstance(found, Tensor):
        return found if recorded else found.detach()
    return Tensor._wrap(np.asarray(found))
