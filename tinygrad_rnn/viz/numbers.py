"""Numbers in a diagram: values, gradient norms as text and colour, bytes saved for the backward pass."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from ..core import Array, Graph, Node, Tensor, enable_grad
from . import looks
from .diagram import Diagram, Item
from .playback import Playback


class Played:
    """A graph with its values and gradients.

    Args:
        graph: without compiled loops. The gradient is that of the sum of all elements of all its results: of the loss,
            where it has one.

    Raises:
        FreedGraphError: if an earlier backward pass has freed the values.
    """

    def __init__(self, graph: Graph) -> None:
        results = [_stand_in(node, slot) for node, slot in dict.fromkeys(graph.outputs)]
        with enable_grad():
            # What is summed does not matter to the gradient of a sum.
            total = results[0] if len(results) == 1 and results[0].size == 1 else sum([np.sum(x) for x in results])
        self._playback = Playback(total)

    def values(self, item: Item) -> list[Array]:
        """Return the values of an item at all its steps, of which some may not be known."""
        found = [self._playback.value(node, slot) for node in item.nodes for slot in range(len(node.specs))]
        return [value for value in found if value is not None]

    def norms(self, item: Item) -> list[float]:
        """Return the norms of the gradients of an item's results at all its steps, where there is one."""
        found = [self._playback.cotangent(node, slot) for node in item.nodes for slot in range(len(node.specs))]
        return [float(np.linalg.norm(cotangent)) for cotangent in found if cotangent is not None]


def _stand_in(node: Node, slot: int) -> Tensor:
    spec = node.specs[slot]
    return Tensor._wrap(np.broadcast_to(np.zeros((), spec.dtype), spec.shape), node, slot)


def add_values(diagram: Diagram, played: Played) -> None:
    """Write values below the items: numbers of small ones, the range of large ones or of all steps."""
    for item in diagram.items.values():
        if item.kind not in ("module", "ellipsis") and (values := played.values(item)):
            item.notes.append(_summary(values))


def add_norms(diagram: Diagram, played: Played, fill: bool, text: bool = True) -> None:
    """Write gradient norms below the items that a gradient reaches, and grey out all others.

    Args:
        diagram: to write on.
        played: the gradients.
        fill: colour items, the darker the larger the norm is.
        text: write the norm too.
    """
    norms = {item.key: played.norms(item) for item in diagram.items.values() if item.nodes}
    positive = [math.log10(max(found)) for found in norms.values() if found and 0 < max(found) < math.inf]
    low, high = min(positive, default=0.0), max(positive, default=0.0)
    for item in diagram.items.values():
        found = norms.get(item.key)
        if not found:
            item.is_faint = item.kind != "ellipsis"
            continue
        if text:
            item.notes.append(f"‖∂‖ {_range(found)}")
        if fill:
            item.fill = _colour(max(found), low, high)


def add_saved(diagram: Diagram, graph: Graph) -> None:
    """Write below each value how many bytes of it are kept for the backward pass; weights are there anyway."""
    for item in diagram.items.values():
        if item.kind not in ("parameter", "state", "gradient") and (sizes := _saved(item, graph)):
            if item.kind in ("module", "ellipsis") or len(sizes) < 2 or len(set(sizes)) > 1:
                text = _bytes(sum(sizes))
            else:
                text = f"{_bytes(sizes[0])} × {len(sizes):,}"
            item.notes.append(f"saved {text}")


def _saved(item: Item, graph: Graph) -> list[int]:
    """Return the bytes of each result that its own rule reads, or that of a reader."""
    found = []
    for node in item.nodes:
        for slot, spec in enumerate(node.specs):
            own = node.primitive is not None and node.primitive.reads("out")
            readers = [
                reader.primitive is not None and reader.primitive.reads(k)
                for reader, k in graph.consumers[node]
                if reader.slots[k] == slot
            ]
            if own or any(readers):
                found.append(spec.size * spec.dtype.itemsize)
    return found


def _summary(values: Sequence[Array]) -> str:
    if len(values) == 1 and values[0].size <= 3:
        return ", ".join([_short(value) for value in values[0].ravel().tolist()]) or "empty"
    finite = [value[np.isfinite(value)] for value in values if value.dtype.kind in "fiub"]
    lost = sum(value.size for value in values) - sum(value.size for value in finite)
    text = _range([bound(value) for value in finite if value.size for bound in (np.min, np.max)])
    return f"{text}, {lost:,} not finite" if lost else text


def _range(numbers: Iterable[float]) -> str:
    numbers = [float(number) for number in numbers]
    if any(math.isnan(number) for number in numbers):
        return "NaN"
    ends = list(dict.fromkeys([_short(min(numbers)), _short(max(numbers))])) if numbers else ["nothing"]
    return " … ".join(ends)


def _short(number: float) -> str:
    return f"{number:.3g}".replace("-", "−")


def _colour(norm: float, low: float, high: float) -> str:
    if not norm or math.isnan(norm):
        return "white"
    level = 1.0 if math.isinf(norm) else (math.log10(norm) - low) / (high - low) if high > low else 0.5
    ends = [bytes.fromhex(colour[1:]) for colour in (looks.SMALLEST, looks.LARGEST)]
    return "#" + bytes([round(a + level * (b - a)) for a, b in zip(*ends, strict=True)]).hex()


def _bytes(count: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
