"""checkpoint: run a function again in the backward pass instead of keeping what it saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

import numpy as np

from . import random
from .backward import Edge, sweep
from .errors import GraphError
from .forward import push
from .modes import current, enable_grad
from .node import Array, Node, Spec, next_sequence, unwatched_leaf
from .primitive import Primitive, identity
from .stacked import Levels, lift, lower, running, running_levels
from .tensor import Tensor
from .tree import TreeDef, tree_flatten, tree_map, tree_unflatten


def checkpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with a node of its own that saves nothing but the arguments.

    The backward pass runs the function again to get at what its rules read. A net of T steps, cut into √T segments
    that are checkpointed, needs the memory of 2 √T steps and the time of one more forward pass.

    Tensors that the function closes over, such as parameters, get their gradients like arguments. Random numbers from
    `tg.random` are the same in both runs.

    Args:
        function: takes and returns nests of tensors. It must compute the same again when it is called again.

    Returns:
        A function of the same arguments and results.

    Raises:
        GraphError: in the backward pass, if the second run gives results of other shapes.

    Source: Griewank and Walther 2000, *Algorithm 799: revolve*; Chen et al. 2016, *Training deep nets with sublinear
    memory cost*.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
        >>> y = tg.checkpoint(lambda a: np.exp(np.sin(a)))(x)
        >>> print(tg.Graph.of(y))
        %0 = leaf                   float64[2]
        %1 = checkpoint(%0)         float64[2]
        return %1
    """

    @wraps(function)
    def call(*args: Any) -> Any:
        levels = running_levels()
        if levels:
            # On whole stacks, outside of all vmaps: there every tensor has its node, and so has this call.
            wholes = tree_map(lambda arg: lift(arg if isinstance(arg, Tensor) else Tensor(arg), levels), args)
            with running(()):
                found = checkpoint(partial(_on_wholes, function, levels))(*wholes)
            return tree_map(lambda out: lower(out, levels) if isinstance(out, Tensor) else out, found)
        leaves, structure = tree_flatten(args)
        modes = current()
        state = random.get_state()
        start = next_sequence()
        fresh = [_fresh(value) for value in leaves]
        value = function(*tree_unflatten(structure, fresh))
        outputs, out_structure = tree_flatten(value)
        tensors = [out for out in outputs if isinstance(out, Tensor)]
        roots = [out.node for out in tensors if out.node is not None]
        if not modes.recording or not roots:
            return tree_unflatten(out_structure, [out.detach() if isinstance(out, Tensor) else out for out in outputs])

        own = {x.node for x in fresh if x.node is not None}
        closed_over = _edges_from_before(roots, start, own)
        replay = _Replay(function, structure, state, closed_over, len(fresh))
        primitive = Primitive("checkpoint", function)
        primitive.defvjp_joint(replay.vjp)
        primitive.defjvp_joint(replay.jvp)
        given = [x.node if isinstance(x, Tensor) else None for x in leaves]
        slots = [x._index if isinstance(x, Tensor) else 0 for x in leaves]
        specs = tuple([Spec(out.shape, out.dtype) for out in tensors])
        node = Node(
            primitive,
            [*given, *[parent for parent, _ in closed_over]],
            [*slots, *[slot for _, slot in closed_over]],
            [*[x._data for x in fresh], *[None for _ in closed_over]],
            {},
            tuple([out._data for out in tensors]),
            specs,
            modes,
        )
        wrapped = iter([Tensor._wrap(out._data, node, index) for index, out in enumerate(tensors)])
        return tree_unflatten(out_structure, [next(wrapped) if isinstance(out, Tensor) else out for out in outputs])

    return call


def _on_wholes(function: Callable[..., Any], levels: Levels, *wholes: Any) -> Any:
    """Call a function as inside some vmaps, from and to tensors outside of them."""
    with running(levels):
        value = function(*tree_map(lambda whole: lower(whole, levels), wholes))
        return tree_map(lambda out: lift(out, levels) if isinstance(out, Tensor) else out, value)


def _fresh(value: Any) -> Tensor:
    data = value._data if isinstance(value, Tensor) else np.array(value)
    tracked = isinstance(value, Tensor) and value.requires_grad
    return Tensor._wrap(data, unwatched_leaf(data) if tracked else None)


def _edges_from_before(roots: list[Node], start: int, own: set[Node]) -> list[Edge]:
    """Return the edges that lead out of what was recorded since `start`: the tensors that a function closed over."""
    edges: dict[Edge, None] = {}
    seen = set(roots)
    stack = [node for node in seen if node.sequence > start]
    while stack:
        node = stack.pop()
        for parent, slot in zip(node.parents, node.slots, strict=True):
            if parent is None or parent in own:
                continue
            if parent.sequence < start or parent.primitive is None:
                edges[parent, slot] = None
            elif parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(edges, key=lambda edge: (edge[0].sequence, edge[1]))


class _Replay:
    """The rules of one checkpointed call: both run the function again and differentiate what that records."""

    def __init__(
        self,
        function: Callable[..., Any],
        structure: TreeDef,
        state: dict[str, int],
        closed_over: list[Edge],
        count: int,
    ) -> None:
        self.function = function
        self.structure = structure
        self.state = state
        self.closed_over = closed_over
        self.count = count

    def _run(self, args: Sequence[Any], outs: Sequence[Any]) -> tuple[list[Tensor], list[Tensor], bool, int]:
        """Return fresh inputs, what is computed from them, whether the rule is recorded, and where this began."""
        recorded = any(isinstance(arg, Tensor) for arg in args[: self.count])
        later = random.get_state()
        start = next_sequence()
        random.set_state(self.state)
        try:
            with enable_grad(), running(()):
                fresh = [_again(arg) for arg in args[: self.count]]
                value = self.function(*tree_unflatten(self.structure, fresh))
        finally:
            random.set_state(later)
        tensors = [out for out in tree_flatten(value)[0] if isinstance(out, Tensor)]
        shapes = [out.shape for out in outs]
        if [out.shape for out in tensors] != shapes:
            raise GraphError(
                f"a checkpointed function gave shapes {[out.shape for out in tensors]} when it was run again, {shapes} "
                "the first time; checkpoint only functions that compute the same from the same arguments"
            )
        if not all(_agrees(new._data, getattr(old, "_data", old)) for new, old in zip(tensors, outs, strict=True)):
            raise GraphError(
                "a checkpointed function computed other values when it was run again for its gradient; go backward "
                "before a parameter is given another value or a mode is changed, or leave checkpoint away"
            )
        return fresh, tensors, recorded, start

    def vjp(self, gs: Sequence[Any], outs: Any, args: Sequence[Any], needs: Sequence[bool]) -> list[Any]:
        fresh, tensors, recorded, start = self._run(args, outs)
        recorded = recorded or any(isinstance(g, Tensor) for g in gs)
        seeds = [
            (out.node, out._index, g)
            for out, g in zip(tensors, gs, strict=True)
            if out.node is not None and g is not None
        ]
        inner: list[Edge] = [(x.node, x._index) for x in fresh if x.node is not None]
        targets = [*inner, *self.closed_over]
        with enable_grad():
            found = sweep(seeds, targets, Tensor._wrap if recorded else None, True, start) if seeds else []
        by_edge = dict(zip(targets, found, strict=False))
        edges = [*[(x.node, x._index) for x in fresh], *self.closed_over]
        return [by_edge.get(edge) if need else None for edge, need in zip(edges, needs, strict=True)]  # type: ignore[arg-type]

    def jvp(self, tangents: Sequence[Any], outs: Any, args: Sequence[Any]) -> tuple[Any, ...]:
        fresh, tensors, recorded, start = self._run(args, outs)
        recorded = recorded or any(isinstance(tangent, Tensor) for tangent in tangents)
        edges = [*[(x.node, x._index) for x in fresh], *self.closed_over]
        moving = {edge: t for edge, t in zip(edges, tangents, strict=True) if t is not None}
        outputs: list[Edge] = [(out.node, out._index) for out in tensors if out.node is not None]
        with enable_grad():
            found = iter(push(moving, outputs, Tensor._wrap if recorded else None, start))  # type: ignore[arg-type]
        return tuple([next(found) if out.node is not None else None for out in tensors])


def _agrees(new: Array, old: Array) -> bool:
    """Whether two results are the same but for rounding, which another engine may do differently."""
    if old.dtype.kind != "f":
        return np.array_equal(new, old)
    scale = float(np.abs(old[np.isfinite(old)]).max(initial=1.0))
    return np.allclose(new, old, rtol=0, atol=float(np.finfo(old.dtype).eps) ** 0.5 * scale, equal_nan=True)


def _again(arg: Any) -> Any:
    if isinstance(arg, Tensor) and arg.requires_grad:
        return identity(arg)
    data = arg._data if isinstance(arg, Tensor) else np.asarray(arg)
    return Tensor._wrap(data, unwatched_leaf(data) if data.dtype.kind == "f" else None)
