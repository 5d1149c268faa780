"""The reverse sweep: from cotangents of some outputs to cotangents of what they came from."""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np

from .errors import CotangentError, FreedGraphError, NonFiniteError, ShapeError
from .modes import current
from .node import Array, Node, Operation, Spec, Watch, ancestors

_depositing = Lock()
Edge = tuple[Node, int]
Wrap = Callable[[Any, "Node | None", int], Any]


class Addend:
    """A cotangent that can add itself into a buffer: what a rule returns instead of an array that is mostly zero.

    A recorded sweep keeps all addends of an output and records one call that adds them up.

    Args:
        primitive: one with an `accumulate(buffer, *args, **params)` function, linear in its first argument and constant
            in the others; called as usual it gives the full array.
        args: its arguments.
        params: its parameters.
    """

    __slots__ = ("args", "params", "primitive")

    def __init__(self, primitive: Operation, *args: Any, **params: Any) -> None:
        self.primitive = primitive
        self.args = args
        self.params = params


def sweep(
    seeds: list[tuple[Node, int, Any]],
    targets: list[Edge] | None,
    wrap: Wrap | None,
    retain_graph: bool,
    since: int = 0,
) -> list[Any]:
    """Push cotangents from outputs towards inputs.

    Args:
        seeds: (node, output, cotangent) for each output to start from.
        targets: the outputs whose cotangents are wanted; None leaves a `.grad` on every leaf and every retained tensor.
        wrap: makes a tensor of (array, node, output): the rules then run on tensors and are recorded themselves.
            None runs them on bare arrays.
        retain_graph: keep the saved arrays for another sweep.
        since: do not go through nodes with a lower sequence number, though they may be targets.

    Returns:
        The cotangent of each target; None where none of the outputs depends on it.

    Raises:
        FreedGraphError: before anything is changed, if an earlier sweep has freed a node on the way.
        NonFiniteError: in debug mode, if a rule gives a NaN or an infinity.
    """
    order = ancestors((node for node, _, _ in seeds), since)
    needed: set[Node] | None = None
    if targets is not None:
        needed = {node for node, _ in targets}
        for node in order:
            if node.sequence >= since and not needed.isdisjoint(node.parents):
                needed.add(node)
        order = [node for node in order if node in needed]
    for node in order:
        if node.args is None and node.sequence >= since:
            raise FreedGraphError(
                f"{node!r}: an earlier backward pass freed what it saved; write backward(retain_graph=True) in the "
                "earlier pass, or run the forward pass again"
            )

    debugging = current().debug
    wanted = {node for node, _ in targets or ()}
    found: dict[Edge, Any] = {}
    deposits: list[tuple[Watch, list[Any], bool]] = []
    totals = Totals(wrap)
    cotangents, add = totals.cotangents, totals.add
    for root, slot, seed in seeds:
        add(root, slot, seed)

    while order:
        node = order.pop()
        gs = [cotangents.pop(node, None)]
        if len(node.specs) > 1:
            gs += [cotangents.pop((node, slot), None) for slot in range(1, len(node.specs))]
        if totals.addends:
            gs = [totals.with_addends(node, slot, g) for slot, g in enumerate(gs)]
        if node.watches is not None:
            for slot, watch in node.watches.items():
                if gs[slot] is not None:
                    if watch.hooks:
                        gs[slot] = run_hooks(watch, gs[slot], node.specs[slot], wrap)
                    if watch.keeps_grad and targets is None:
                        deposits.append((watch, [gs[slot]], _key(node, slot) in totals.owned and not watch.hooks))
        if node in wanted:
            found.update({(node, slot): cotangent for slot, cotangent in enumerate(gs) if cotangent is not None})
        primitive, parents = node.primitive, node.parents
        if primitive is None or node.sequence < since or (needed is not None and needed.isdisjoint(parents)):
            continue
        args: Any = node.args
        outs: Any = node.outs
        if not retain_graph:
            if None in parents:
                node.free()
            else:
                node.args = node.outs = None
        g = gs[0]
        if g is None and all(cotangent is None for cotangent in gs):
            continue
        if wrap is not None:
            args, outs = saved_as_tensors(node, args, outs, wrap)
        rules = primitive.vjp_rules
        if rules is not None:
            out = outs[0]
            params, slots = node.params, node.slots
            for index, parent in enumerate(parents):
                if parent is not None and (needed is None or parent in needed):
                    pulled = rules[index](g, out, *args, **params)
                    if debugging:
                        _check_finite(pulled, node)
                    slot = slots[index]
                    spec = parent.specs[slot]
                    if (
                        type(pulled) is np.ndarray
                        and slot == 0
                        and parent not in cotangents
                        and pulled.shape == spec.shape
                        and pulled.dtype is spec.dtype
                        and wrap is None
                    ):
                        cotangents[parent] = pulled  # as `add` does: nearly all go this way, and a call costs
                    else:
                        add(parent, slot, pulled)
        else:
            needs = [parent is not None and (needed is None or parent in needed) for parent in parents]
            every = primitive.pull(gs, outs, args, needs, node.params)
            for need, pulled, parent, slot in zip(needs, every, parents, node.slots, strict=True):
                if need and pulled is not None:
                    if debugging:
                        _check_finite(pulled, node)
                    add(parent, slot, pulled)  # type: ignore[arg-type]

    gs, g, pulled, every = [], None, None, None
    with _depositing:  # several threads may add to one parameter
        for watch, held, is_owned in deposits:
            if watch.grad is not None:
                watch.grad = np.asarray(watch.grad + held[0])
            else:
                watch.grad = held[0] if is_owned or _is_ours(held) else np.array(held[0])
    return [found.get(target) for target in targets or ()]


def _is_ours(held: list[Array]) -> bool:
    """Whether nothing refers to an array but the list it stands in, so that a leaf may own it without a copy.

    The base of an array may be memory that is lent to it alone, and says so. References that count are the list, or the
    array, and the argument of the count. No variable stands between: some versions of Python count it, others do not.
    """
    if not held[0].flags.writeable or sys.getrefcount(held[0]) > 2:
        return False
    return held[0].base is None or (getattr(held[0].base, "is_lent", False) and sys.getrefcount(held[0].base) <= 2)


def saved_as_tensors(node: Node, args: Any, outs: Any, wrap: Wrap) -> tuple[list[Any], list[Any]]:
    """Return what a node saved, arguments and results, as tensors that hang on the graph where they came from it."""
    tensors = [
        wrap(arg, parent, slot) if isinstance(arg, np.ndarray) else arg
        for arg, parent, slot in zip(args, node.parents, node.slots, strict=True)
    ]
    results = [wrap(out, node, slot) if isinstance(out, np.ndarray) else out for slot, out in enumerate(outs)]
    return tensors, results


class Totals:
    """The cotangents so far, by output; each is added up in place once its array belongs to the sweep."""

    def __init__(self, wrap: Wrap | None) -> None:
        self.wrap = wrap
        self.cotangents: dict[Any, Any] = {}
        self.owned: set[Any] = set()
        self.addends: dict[Any, list[Addend]] = {}

    def add(self, node: Node, slot: int, cotangent: Any) -> None:
        """Add a cotangent to an output, summed over broadcast axes and in the output's dtype."""
        spec, key, cotangents = node.specs[slot], _key(node, slot), self.cotangents
        if type(cotangent) is not np.ndarray and self.wrap is None:
            if type(cotangent) is Addend:
                assert cotangent.primitive.accumulate is not None
                cotangent.primitive.accumulate(self._buffer(spec, key), *cotangent.args, **cotangent.params)
                return
            cotangent = np.asarray(cotangent)
        elif type(cotangent) is Addend:
            self.addends.setdefault(key, []).append(cotangent)
            return
        if cotangent.shape != spec.shape:
            cotangent = sum_to(cotangent, spec)
        if cotangent.dtype != spec.dtype:
            cotangent = cotangent.astype(spec.dtype)
        if self.wrap is None and type(cotangent) is not np.ndarray:
            cotangent = np.asarray(cotangent)  # a sum over all axes is a NumPy scalar
        total = cotangents.get(key)
        if total is None:
            cotangents[key] = cotangent
        elif self.wrap is not None:
            cotangents[key] = total + cotangent
        elif key in self.owned:
            np.add(total, cotangent, out=total)
        else:
            total = total + cotangent
            cotangents[key] = total if total.shape else np.asarray(total)
            self.owned.add(key)

    def with_addends(self, node: Node, slot: int, total: Any) -> Any:
        """Return the whole cotangent of an output in a recorded sweep: the total so far and the addends kept for it."""
        addends = self.addends.pop(_key(node, slot), None)
        if addends is None:
            return total
        added = addends[0].primitive.add_up(addends, node.specs[slot])
        return added if total is None else total + added

    def _buffer(self, spec: Spec, key: Any) -> Array:
        """Return an array of the sweep's own that holds the total so far."""
        if key not in self.owned:
            total = self.cotangents.get(key)
            self.cotangents[key] = np.zeros(spec.shape, spec.dtype) if total is None else total.copy()
            self.owned.add(key)
        return self.cotangents[key]  # type: ignore[no-any-return]


def _key(node: Node, slot: int) -> Any:
    """Return what stands for an output in a dict: the node itself for the first, which nearly all are."""
    return (node, slot) if slot else node


def sum_to(cotangent: Any, spec: Spec) -> Any:
    """Sum over the axes along which an argument was broadcast, so that its cotangent gets its shape."""
    shape = spec.shape
    if cotangent.size == spec.size:
        return cotangent.reshape(shape)
    lead = len(cotangent.shape) - len(shape)
    if lead < 0 or any(n not in (1, m) for n, m in zip(shape, cotangent.shape[lead:], strict=True)):
        raise ShapeError(
            f"a gradient rule gave a cotangent of shape {cotangent.shape} for an argument of shape {shape}; "
            "return the argument's shape, or one that was broadcast from it"
        )
    axes = (*range(lead), *[lead + i for i, n in enumerate(shape) if n == 1 and cotangent.shape[lead + i] != 1])
    summed = cotangent.sum(axes)
    return summed if summed.shape == shape else summed.reshape(shape)


def run_hooks(watch: Watch, cotangent: Any, spec: Spec, wrap: Wrap | None) -> Any:
    """Return the cotangent of an output after the hooks that a user registered on it."""
    for hook in list(watch.hooks.values()):
        if wrap is None:
            cotangent = np.asarray(cotangent).view()
            cotangent.flags.writeable = False
        answer = hook(cotangent)
        if answer is None:
            continue
        cotangent = np.asarray(answer, dtype=spec.dtype) if wrap is None else answer
        if cotangent.shape != spec.shape:
            raise CotangentError(
                f"a hook returned a gradient of shape {cotangent.shape} for a tensor of shape {spec.shape}; "
                "return that shape, or None to leave the gradient as it is"
            )
    return cotangent


def _check_finite(cotangent: Any, node: Node) -> None:
    values = cotangent.args[0] if type(cotangent) is Addend else cotangent
    values = np.asarray(getattr(values, "data", values) if not isinstance(values, np.ndarray) else values)
    if not np.isfinite(values).all():
        bad = values[~np.isfinite(values)].flat[0]
        raise NonFiniteError(
            f"the gradient of {node.operation} has {bad} (shape {values.shape}), operation made at "
            f"{node.line or 'a line unknown: run the forward pass inside debug() too'}; keep its arguments where its "
            "derivative is finite, for instance with np.clip or np.maximum"
        )
