"""What one step of a cell costs: operations, and products of numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ..core import Graph, Tensor, enable_grad
from ..core.tree import tree_flatten, tree_map
from ..nn import Cell
from ..scan import engine


@dataclass(frozen=True)
class Counts:
    """The cost of one step for one row.

    Args:
        parameters: of the cell.
        operations: how many operations its graph has, by name.
        multiplications: of numbers in its matrix products.
    """

    parameters: int
    operations: dict[str, int]
    multiplications: int

    def in_words(self) -> str:
        """Return the operations and how often each occurs, the most frequent first."""
        counted = sorted(self.operations.items(), key=lambda pair: (-pair[1], pair[0]))
        return ", ".join(f"{number} {name}" for name, number in counted)


def counts(cell: Cell, features: int) -> Counts:
    """Return what a step of a cell is made of.

    Args:
        cell: the cell.
        features: of its input.

    Example:
        >>> from tinygrad_rnn import nn
        >>> from tinygrad_rnn.lab.counting import counts
        >>> found = counts(nn.RNNCell(3, 5), 3)
        >>> found.multiplications, found.in_words()  # 3·5 and 5·5
        (40, '3 add, 2 matmul, 1 tanh')
    """
    with enable_grad(), engine("eager"):
        x = Tensor(np.ones((1, features), np.float32), requires_grad=True)
        state = tree_map(_followed, cell.initial_state(1))
        y, after = cell(x, state)
    results = [leaf for leaf in tree_flatten((y, after))[0] if isinstance(leaf, Tensor) and leaf.requires_grad]
    nodes = [node for node in Graph.of(*results) if node.primitive is not None]
    products = 0
    for node in nodes:
        if node.operation == "matmul" and node.parents[0] is not None:
            columns = node.specs[0].shape[-1]
            products += int(np.prod(node.parents[0].specs[node.slots[0]].shape)) * columns
    parameters = sum(parameter.size for parameter in cell.parameters())
    return Counts(parameters, dict(Counter(node.operation for node in nodes)), products)


def _followed(leaf: object) -> object:
    """Return a leaf of a state as an input of the graph."""
    array = leaf.data if isinstance(leaf, Tensor) else np.asarray(leaf)
    return Tensor(array, requires_grad=True) if array.dtype.kind == "f" else leaf
