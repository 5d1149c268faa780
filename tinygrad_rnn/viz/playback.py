"""Playback: every value of a graph, and every cotangent that the reverse sweep hands on, one after the other."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..core import Addend, Array, Graph, Node, Tensor
from ..core.backward import run_hooks, sum_to
from ..core.errors import FreedGraphError
from ..core.node import Spec
from ..core.tensor import cotangent_of
from .opened import opened

Edge = tuple[Node, int]


class Contribution(NamedTuple):
    """What one operation hands back to one of its arguments.

    Args:
        node: the operation.
        argument: which of its arguments.
        parent: the node that the argument came from.
        slot: which output of the parent it is.
        array: the cotangent, of the argument's shape and dtype.
    """

    node: Node
    argument: int
    parent: Node
    slot: int
    array: Array


class Playback:
    """The forward and the backward pass of a result, played once more with everything in sight.

    Args:
        result: a tensor; loops that ran compiled are opened into their steps.
        cotangent: to start from; 1 for a result of one element.

    Attributes:
        graph: the operations, parents before children.
        contributions: in the order of the reverse sweep. Those of one output add up, in this order, to its cotangent.

    Raises:
        GraphError: if the result does not require grad.
        FreedGraphError: if an earlier backward pass has freed the values.
        CotangentError: if the result has several elements and no cotangent is given.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn.viz.playback import Playback
        >>> w = tg.Tensor(2.0, requires_grad=True, name="w")
        >>> playback = Playback(np.tanh(w) * w)
        >>> [round(float(part.array), 4) for part in playback.contributions if part.parent is w.node]
        [0.964, 0.1413]
        >>> round(float(playback.cotangent(w.node, 0)), 4)
        1.1053
    """

    def __init__(self, result: Tensor, cotangent: Any = None) -> None:
        graph = opened(Graph.of(result))
        for node in graph:
            if node.args is None:
                raise FreedGraphError(
                    f"{node!r}: an earlier backward pass freed its values; write backward(retain_graph=True) there, "
                    "or run the forward pass again"
                )
        self.graph = graph
        self._values: dict[Edge, Array | None] = {}
        for node in graph:
            self._find(node)
        self._totals: dict[Edge, Array] = {}
        self.contributions: list[Contribution] = []
        ((root, slot),) = graph.outputs
        self._totals[root, slot] = np.asarray(cotangent_of(result, cotangent))
        self._sweep()

    def value(self, node: Node, slot: int) -> Array | None:
        """Return the value of an output.

        Args:
            node: of the graph.
            slot: which of its outputs.

        Returns:
            The array; None where the graph did not keep what it depends on, as `tg.keep_values()` would have.
        """
        return self._values[node, slot]

    def argument(self, node: Node, index: int) -> Any:
        """Return the value of an argument, a Python number where it is one; None where it was not kept."""
        parent = node.parents[index]
        kept = node.args[index] if node.args is not None else None
        if kept is not None and not isinstance(kept, Spec):
            return kept
        return self._values[parent, node.slots[index]] if parent is not None else None

    def cotangent(self, node: Node, slot: int) -> Array | None:
        """Return the cotangent of an output: the sum of its contributions.

        Args:
            node: of the graph.
            slot: which of its outputs.

        Returns:
            An array of the output's shape and dtype, after the hooks that a user registered on it; None where the
            result does not depend on it.
        """
        return self._totals.get((node, slot))

    def _find(self, node: Node) -> None:
        """Find the values of a node: kept by itself or by a reader, or computed again from its arguments."""
        for slot in range(len(node.specs)):
            self._values[node, slot] = self._kept(node, slot)
        missing = [slot for slot in range(len(node.specs)) if self._values[node, slot] is None]
        if not missing or node.primitive is None:
            return
        args = [self.argument(node, i) for i in range(len(node.parents))]
        if any(arg is None for arg in args):
            return
        with np.errstate(all="ignore"):
            out = node.primitive(*args, **node.params)
        parts = out if isinstance(out, (tuple, list)) else (out,)
        for slot in missing:
            self._values[node, slot] = np.asarray(parts[slot])

    def _kept(self, node: Node, slot: int) -> Array | None:
        if node.outs and isinstance(node.outs[slot], np.ndarray):
            return node.outs[slot]  # type: ignore[no-any-return]
        readers = [(reader, i) for reader, i in self.graph.consumers[node] if reader.slots[i] == slot]
        for reader, i in readers:
            if reader.args is not None and isinstance(reader.args[i], np.ndarray):
                return reader.args[i]  # type: ignore[no-any-return]
        watch = node.watches.get(slot) if node.watches else None
        if watch is not None and watch.held is not None:
            value, since = watch.held
            if all(reader.sequence > since for reader, _ in readers):
                return value
        return None

    def _sweep(self) -> None:
        for node in reversed(self.graph.nodes):
            for slot, watch in (node.watches or {}).items():
                if watch.hooks and (node, slot) in self._totals:
                    self._totals[node, slot] = run_hooks(watch, self._totals[node, slot], node.specs[slot], None)
            gs = [self._totals.get((node, slot)) for slot in range(len(node.specs))]
            if node.primitive is None or all(g is None for g in gs):
                continue
            args = [arg if isinstance(arg, (np.ndarray, int, float, bool, Spec)) else None for arg in node.args or ()]
            args = [self.argument(node, i) if arg is None else arg for i, arg in enumerate(args)]
            needs = [parent is not None for parent in node.parents]
            with np.errstate(all="ignore"):
                pulled = node.primitive.pull(gs, node.outs or (), args, needs, node.params)
            for i, (parent, slot) in enumerate(zip(node.parents, node.slots, strict=True)):
                if parent is not None and pulled[i] is not None:
                    self._add(node, i, parent, slot, pulled[i])

    def _add(self, node: Node, argument: int, parent: Node, slot: int, pulled: Any) -> None:
        if type(pulled) is Addend:
            pulled = pulled.primitive(*pulled.args, **pulled.params)
        spec = parent.specs[slot]
        array = np.asarray(sum_to(np.asarray(pulled), spec), spec.dtype)
        self.contributions.append(Contribution(node, argument, parent, slot, array))
        total = self._totals.get((parent, slot))
        self._totals[parent, slot] = array if total is None else np.asarray(total + array)
