"""Columns: slices of the last axis become parts of a split, whose gradient is a concatenation."""

from __future__ import annotations

from typing import Any

from ...core import Node, Spec
from ...ops.shape import reshape, split
from ..step import Edge, Step, node_of, spec_at
from .rebuild import Rebuilder, rebuilt


def columns(step: Step) -> Step:
    """Return the step with `a[..., start:stop]` and `a[..., i]` written as splits.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.core.node import Spec
        >>> from tinygrad_rnn.scan.passes.columns import columns
        >>> from tinygrad_rnn.scan.step import traced
        >>> row = Spec((2, 4), np.dtype(float))
        >>> found = traced(lambda x, h: (h[:, 1:3], h + x), (row,), (row,))
        >>> [node.operation for node in columns(found.step).graph if node.primitive is not None]
        ['split', 'add']
    """

    def replace(new: Rebuilder, node: Node) -> bool:
        if node.operation != "getitem" or len(node.parents) != 1:
            return False
        edge: Edge = (node.parents[0], node.slots[0])  # type: ignore[assignment]
        shape = spec_at(edge).shape
        last = _of_last_axis(node.params["index"], len(shape))
        if last is None:
            return False
        n = shape[-1]
        start, stop = (last % n, last % n + 1) if isinstance(last, int) else last.indices(n)[:2]
        if start >= stop:
            return False
        bounds = tuple(sorted({start, stop, n} - {0}))
        dtype = spec_at(edge).dtype
        sizes = [high - low for low, high in zip((0, *bounds), bounds, strict=False)]
        specs = tuple([Spec((*shape[:-1], size), dtype) for size in sizes])
        made = node_of(split, [new.edges[edge]], {"bounds": bounds, "axis": len(shape) - 1}, specs)
        part: Edge = (made, int(start > 0))
        if isinstance(last, int):
            part = node_of(reshape, [part], {"shape": shape[:-1]}, node.specs), 0
        new.edges[node, 0] = part
        return True

    return rebuilt(step, replace)


def _of_last_axis(index: Any, ndim: int) -> slice | int | None:
    """Return what an index takes of the last axis, where it takes all of the others; otherwise None."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if parts.count(Ellipsis) == 1:
        at = parts.index(Ellipsis)
        parts[at : at + 1] = [slice(None)] * (ndim - len(parts) + 1)
    if len(parts) != ndim or any(part != slice(None) for part in parts[:-1]):
        return None
    last = parts[-1]
    if isinstance(last, slice):
        return last if last.step in (None, 1) else None
    return int(last) if type(last) is int else None
