"""The forward push: from tangents of some nodes to tangents of what was computed from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .backward import Edge, Wrap, saved_as_tensors
from .errors import FreedGraphError
from .node import ancestors


def push(tangents: dict[Edge, Any], outputs: list[Edge], wrap: Wrap | None, since: int = 0) -> list[Any]:
    """Push tangents through a recorded graph.

    Args:
        tangents: by (node, output); where one is given, the node's own arguments are not asked.
        outputs: whose tangents are wanted.
        wrap: makes a tensor of (array, node, output): the rules then run on tensors and are recorded themselves.
            None runs them on bare arrays.
        since: do not go through nodes with a lower sequence number, though they may have a tangent.

    Returns:
        The tangent of each output; None where it does not move.

    Raises:
        FreedGraphError: if a backward pass has freed a node on the way.
    """
    moving = dict(tangents)
    given = {node for node, _ in tangents}
    for node in ancestors((node for node, _ in outputs), since):
        primitive = node.primitive
        if primitive is None or node in given or node.sequence < since:
            continue
        along = [
            moving.get((parent, slot)) if parent is not None else None
            for parent, slot in zip(node.parents, node.slots, strict=True)
        ]
        if all(tangent is None for tangent in along):
            continue
        args: Any = node.args
        outs: Any = node.outs
        if args is None:
            raise FreedGraphError(f"{node!r}: an earlier backward pass freed what it saved; run the forward pass again")
        if wrap is not None:
            args, outs = saved_as_tensors(node, args, outs, wrap)
        for slot, tangent in enumerate(primitive.push(along, outs, args, node.params)):
            if tangent is not None:
                spec = node.specs[slot]
                if wrap is None and type(tangent) is not np.ndarray:
                    tangent = np.asarray(tangent)
                if tangent.shape != spec.shape:
                    tangent = np.broadcast_to(tangent, spec.shape)
                moving[node, slot] = tangent if tangent.dtype == spec.dtype else tangent.astype(spec.dtype)
    return [moving.get(output) for output in outputs]
