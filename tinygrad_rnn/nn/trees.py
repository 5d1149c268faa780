"""Networks over trees: the child-sum Tree-LSTM, all nodes of one height at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core import Tensor, errors
from ..ops import sigmoid
from . import init
from .checks import positive
from .layers import Linear
from .module import Module

Integers = NDArray[np.intp]


class ChildSumTreeLSTM(Module):
    """An LSTM from the leaves of trees to their roots, which forgets each child by a gate of its own (Tai et al. 2015).

    At a node with input x and children k, h̃ = Σ h_k; i, u, o = the three parts of x W + b + h̃ U;
    f_k = σ(x V + a + h_k T); c = σ(i) tanh(u) + Σ f_k c_k; h = σ(o) tanh(c). The order of children does not count; a
    chain is an LSTM. Weights and biases start uniform in ±1/√hidden_size.

    Args:
        input_size: features of x.
        hidden_size: features of h and of c.
        bias: add b and a.

    Raises:
        ConfigError: if a size is no positive integer.

    Source: Tai et al. 2015, *Improved semantic representations from tree-structured long short-term memory networks*,
        eq. 2 to 8.

    Example:
        Two trees: a root with two leaves, and a node by itself.

        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> h, c = nn.ChildSumTreeLSTM(3, 4)(np.ones((4, 3), np.float32), parents=[2, 2, -1, -1])
        >>> h.shape, bool(np.allclose(h[0], h[3])), bool(np.allclose(h[0], h[2]))
        ((4, 4), True, False)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        self.input_size, self.hidden_size = positive("input_size", input_size), positive("hidden_size", hidden_size)
        self.from_input = Linear(input_size, 4 * hidden_size, bias)
        self.from_sum = Linear(hidden_size, 3 * hidden_size, bias=False)
        self.from_child = Linear(hidden_size, hidden_size, bias=False)
        for parameter in self.parameters():
            parameter.assign(init.uniform(parameter.shape, self.hidden_size**-0.5))

    def forward(self, x: Any, parents: ArrayLike) -> tuple[Tensor, Tensor]:
        """Run over a batch of trees, which are the nodes of one list.

        Args:
            x: (nodes, input_size).
            parents: (nodes,) integers: for each node the number of its parent, -1 for a root.

        Returns:
            h and c of all nodes, (nodes, hidden_size) each.

        Raises:
            ShapeError, DtypeError, DataError: if x and parents do not fit, or a parent is no node, or a node is above
                itself.
        """
        x = x if isinstance(x, Tensor) else Tensor(x)
        above = _checked(parents, x, self.input_size)
        sums = self.from_input(x)
        h = c = np.zeros((0, self.hidden_size), sums.dtype)
        place = np.full(len(above), -1)
        for nodes in _by_height(above):
            children = np.concatenate([np.flatnonzero(above == node) for node in nodes]).astype(np.intp)
            belongs = (nodes[:, None] == above[children]).astype(sums.dtype)
            below = place[children]
            new_h, new_c = self._step(sums[nodes], sums[above[children]], h[below], c[below], belongs)
            place[nodes] = len(h) + np.arange(len(nodes))
            h, c = np.concatenate([h, new_h]), np.concatenate([c, new_c])
        return h[place], c[place]

    def _step(self, own: Any, of_parents: Any, h: Any, c: Any, belongs: Any) -> tuple[Any, Any]:
        """Return h and c of some nodes.

        Args:
            own: the sums that their inputs give, (nodes, 4 * hidden_size).
            of_parents: for each of their children the sums of its parent, (children, 4 * hidden_size).
            h, c: of the children, (children, hidden_size).
            belongs: 1 where a child is a node's, (nodes, children).
        """
        i, u, o, _ = np.split(own, 4, axis=-1)
        d_i, d_u, d_o = np.split(self.from_sum(belongs @ h), 3, axis=-1)
        forget = sigmoid(of_parents[:, 3 * self.hidden_size :] + self.from_child(h))
        c = sigmoid(i + d_i) * np.tanh(u + d_u) + belongs @ (forget * c)
        return sigmoid(o + d_o) * np.tanh(c), c


def _checked(parents: ArrayLike, x: Tensor, features: int) -> Integers:
    above = np.asarray(parents)
    if x.ndim != 2 or x.shape[1] != features or above.shape != x.shape[:1]:
        raise errors.ShapeError(
            f"inputs {x.shape} and parents {above.shape}; give (nodes, {features}) and (nodes,), a parent for each node"
        )
    if above.size and above.dtype.kind not in "iu":
        raise errors.DtypeError(f"parents of dtype {above.dtype}; give numbers of nodes, and -1 for a root")
    if above.size and (above.min() < -1 or above.max() >= len(above)):
        raise errors.DataError(
            f"parents from {above.min()} to {above.max()} among {len(above)} nodes; give 0 to {len(above) - 1}, and -1 "
            "for a root"
        )
    return above.astype(np.intp)


def _by_height(above: Integers) -> list[Integers]:
    """Return the nodes in groups, children before their parents."""
    waiting = np.bincount(above[above >= 0], minlength=len(above))
    groups, nodes = [], np.flatnonzero(waiting == 0)
    while nodes.size:
        groups.append(nodes)
        reached, times = np.unique(above[nodes], return_counts=True)
        reached, times = reached[reached >= 0], times[reached >= 0]
        waiting[reached] -= times
        nodes = reached[waiting[reached] == 0]
    if waiting.any():
        raise errors.DataError(
            f"nodes {np.flatnonzero(waiting).tolist()} are above themselves; give parents that lead to a root, -1"
        )
    return groups
