"""latex: the equations of a cell and of its backward pass, in its author's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import Spec, Tensor, enable_grad
from ..core.errors import ConfigError, TraceError
from ..core.latex import Equations, Parts, aligned
from ..core.modes import keep_values
from ..core.names import LocalNames
from ..core.node import next_sequence
from ..core.tree import tree_flatten, tree_map
from ..scan.checks import checked_step, matcher, name_of
from ..scan.hoisted import with_constants
from ..scan.step import extent_of, traced


def latex(step: Callable[[Any, Any], tuple[Any, Any]], x: Any, state: Any) -> str:
    r"""Return the equations of a step and of its backward pass as LaTeX.

    The names are those of the step's own local variables and parameters: what has none is written where it is used.
    x W is a product of matrices, ⊙ one of elements, and a state is a row of the batch. Of the backward pass, δv is the
    gradient of the loss in v, and Δ the part of it that comes straight from the outputs of the step. It is derived
    from the rules of the operations, as the gradients themselves are; the gradients of parameters are sums over time.

    Args:
        step: one step, `(x, state) -> (y, state)`: a cell, or a function as `scan` takes it.
        x: the input of one step, an array or tensor or a nest of them; shapes and dtypes count.
        state: the state before it; shapes and dtypes count.

    Returns:
        The text of an `align*` environment. It needs the package amsmath, and no other.

    Raises:
        CellError: if the step does not return a pair of an output and a state like the one that it was given.
        ConfigError: if x or the state holds anything but arrays and tensors.
        TraceError: if the step asks for values, or does something else when it is called again.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import viz
        >>> def leaky(x, h):
        ...     h = 0.5 * h + np.tanh(x)
        ...     return h, h
        >>> print(viz.latex(leaky, np.ones(3), np.zeros(3)))
        \begin{align*}
        h_{t} &= 0.5 \, h_{t-1} + \tanh(x_{t}) \\[2ex]
        \delta h_{t} &= \Delta_{t} + 0.5 \, \delta h_{t+1} \\
        \delta x_{t} &= \delta h_{t} \odot (1 - \tanh(x_{t})^{2})
        \end{align*}
    """
    return aligned(equations_of(step, x, state))


def equations_of(step: Callable[[Any, Any], tuple[Any, Any]], x: Any, state: Any) -> Equations:
    """Return the equations of a step, as terms; what it takes and raises is said in `latex`."""
    nests = [tree_map(_array, nest) for nest in (x, state)]
    (x_leaves, x_structure), (leaves, structure) = [tree_flatten(nest) for nest in nests]

    def checked(x: Any, state: Any) -> tuple[Any, Any]:
        return checked_step(step, step(x, state), state, matcher(state), 0)

    inputs = (
        [Spec(leaf.shape, leaf.dtype) for leaf in x_leaves],
        [Spec(leaf.shape, leaf.dtype) for leaf in leaves],
        (x_structure, structure),
        [extent_of(leaf) for leaf in x_leaves],
    )
    since = next_sequence()
    code = getattr(getattr(type(step), "forward", step), "__code__", None)
    with enable_grad(), keep_values(), LocalNames(code) as names:
        found = traced(checked, *inputs)
    if not found.agrees(traced(checked, *inputs)):
        raise TraceError(
            f"{name_of(step)} did not do the same when it was called again, so no equations hold at every step; draw "
            "random numbers with tg.random, and write it without a memory of its own"
        )
    whole, captured = with_constants(found, names, since)
    return Equations(
        Parts(
            whole.graph.nodes,
            whole.xs,
            whole.ys,
            whole.constants,
            captured,
            whole.carry,
            whole.next_carry,
            steps=True,
        )
    )


def _array(leaf: Any) -> Any:
    if not isinstance(leaf, (Tensor, np.ndarray, np.generic)):
        raise ConfigError(f"{type(leaf).__name__} {leaf!r} in an example of a step; give arrays or tensors")
    return leaf if isinstance(leaf, Tensor) else Tensor(leaf)
