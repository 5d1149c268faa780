"""The states of the cells of a layer: stacked into one nest, taken apart again, learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Spec, Tensor, errors
from ..core.tree import tree_flatten, tree_map, tree_unflatten
from ..scan.checks import describe, settled
from .cells import Cell
from .module import Module, Parameter


class LearnedState(Module):
    """The state of one cell before the first step, as parameters: one for each floating leaf of its nest.

    Args:
        cell: the cell; its own initial state is where the parameters start.

    Example:
        >>> from tinygrad_rnn import nn
        >>> layer = nn.LSTM(3, 4, learned_state=True)
        >>> [name for name, _ in layer.learned.named_parameters()]
        ['0.leaf_0', '0.leaf_1']
    """

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        for i, leaf in enumerate(tree_flatten(cell.initial_state(1))[0]):
            value = leaf.data if isinstance(leaf, Tensor) else np.asarray(leaf)
            if value.dtype.kind == "f":
                setattr(self, f"leaf_{i}", Parameter(value[0]))

    def forward(self, state: Any) -> Any:
        """Return the cell's own initial state with the parameters in its place.

        Args:
            state: a nest of leaves (batch, ...).
        """
        leaves, treedef = tree_flatten(state)
        learned = [getattr(self, f"leaf_{i}", None) for i in range(len(leaves))]
        return tree_unflatten(
            treedef,
            [leaf if p is None else np.broadcast_to(p, leaf.shape) for p, leaf in zip(learned, leaves, strict=True)],
        )


def _tensor(leaf: Any) -> Tensor:
    return leaf if isinstance(leaf, Tensor) else Tensor(leaf)


def own_state(cell: Cell, batch: int) -> Any:
    """Return the initial state of a cell, with tensors for leaves."""
    nest = tree_map(_tensor, cell.initial_state(batch))
    if all(leaf.shape[:1] == (batch,) for leaf in tree_flatten(nest)[0]):
        return nest
    raise errors.CellError(
        f"{type(cell).__name__}.initial_state({batch}) is {describe(nest)}; return a nest of arrays, the batch their "
        f"first axis: ({batch}, ...)"
    )


def _alike(nests: list[Any]) -> bool:
    """Whether the leaves of several nests can be stacked."""
    kinds = [(treedef, [leaf.shape for leaf in leaves]) for leaves, treedef in map(tree_flatten, nests)]
    return all(kind == kinds[0] for kind in kinds)


def stacked(nests: list[Any]) -> Any:
    """Return one nest with the leaves of all cells stacked, or a tuple of nests where they cannot be."""
    if len(nests) == 1:
        return tree_map(lambda leaf: leaf.reshape(1, *leaf.shape), nests[0])
    return tree_map(lambda *leaves: np.stack(leaves), *nests) if _alike(nests) else tuple(nests)


def unstacked(state: Any, own: list[Any]) -> list[Any]:
    """Return the state of each cell out of what `stacked` made; `own` are states as the cells expect them."""
    alike = _alike(own)
    wanted = tree_map(lambda leaf: Spec((len(own), *leaf.shape), leaf.dtype), own[0]) if alike else tuple(own)
    given = settled(tree_map(_tensor, state), wanted)
    (leaves, treedef), (specs, structure) = tree_flatten(given), tree_flatten(wanted)
    if treedef != structure or any(leaf.shape != spec.shape for leaf, spec in zip(leaves, specs, strict=True)):
        raise errors.ShapeError(
            f"a state {describe(given)}; give {describe(wanted)}: "
            + ("the state of a cell, every leaf stacked to (layers * directions, batch, ...)" if alike else "")
            + ("" if alike else "a tuple with the state of each cell")
        )
    if any(leaf.dtype.kind != spec.dtype.kind for leaf, spec in zip(leaves, specs, strict=True)):
        raise errors.DtypeError(f"a state {describe(given)}; give {describe(wanted)}: state.astype(...) converts")
    if not alike:
        return list(given)
    return [tree_unflatten(treedef, [leaf[i] for leaf in leaves]) for i in range(len(own))]
