"""latex: the equations of a cell and of its backward pass, in its author's names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import Spec, Tensor, enable_grad
from ..core.algebra import NEGATIVE, Term, Writer, Written
from ..core.errors import ConfigError
from ..core.names import LocalNames
from ..core.tree import tree_flatten, tree_map
from ..scan.checks import matcher, refuse_step
from ..scan.step import extent_of, traced
from .equations import Equation, Equations, Handed
from .latex_names import Symbol
from .latex_notation import array, at_least, number, side_by_side, writer

# About what fits on a line of a standard page, in letters.
_WIDEST = 50
_NO_WIDTH = re.compile(r"\\(begin|end)\{[a-z]+\}|\\(left|right|mathbf|mathit|text|textit|operatorname|,)|[{}_^\s]")


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
        TraceError: if the step asks for values.

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
    lines = _Lines(equations_of(step, x, state))
    blocks = [" \\\\\n".join(block) for block in lines.blocks() if block]
    return "\n".join([r"\begin{align*}", " \\\\[2ex]\n".join(blocks), r"\end{align*}"])


def equations_of(step: Callable[[Any, Any], tuple[Any, Any]], x: Any, state: Any) -> Equations:
    """Return the equations of a step, as terms; what it takes and raises is said in `latex`."""
    nests = [tree_map(_array, nest) for nest in (x, state)]
    (x_leaves, x_structure), (leaves, structure) = [tree_flatten(nest) for nest in nests]

    def checked(x: Any, state: Any) -> tuple[Any, Any]:
        out = step(x, state)
        if not isinstance(out, tuple) or len(out) != 2 or not matcher(state)(out[1]):
            refuse_step(step, out, state, 0)
        return out

    with enable_grad(), LocalNames(getattr(getattr(type(step), "forward", step), "__code__", None)) as names:
        found = traced(
            checked,
            [Spec(leaf.shape, leaf.dtype) for leaf in x_leaves],
            [Spec(leaf.shape, leaf.dtype) for leaf in leaves],
            (x_structure, structure),
            [extent_of(leaf) for leaf in x_leaves],
        )
    return Equations(found.named(names), found.captured)


def _array(leaf: Any) -> Any:
    if not isinstance(leaf, (Tensor, np.ndarray, np.generic)):
        raise ConfigError(f"{type(leaf).__name__} {leaf!r} in an example of a step; give arrays or tensors")
    return leaf if isinstance(leaf, Tensor) else Tensor(leaf)


class _Lines:
    """Writes equations, each in as many lines as it needs to fit on a page."""

    def __init__(self, found: Equations) -> None:
        self._found = found
        self._writers = [self._writer(later) for later in (0, 1)]
        self._given = [{term: Written(own.latex(later)) for term, own in found.given.items()} for later in (0, 1)]

    def blocks(self) -> list[list[str]]:
        """Return the lines of the step, and those of its backward pass."""
        return [[self._line(one) for one in equations] for equations in (self._found.forward, self._found.backward)]

    def _writer(self, later: int) -> Writer:
        def leaf(meant: Any, spec: Spec) -> Written:
            if isinstance(meant, Symbol):
                return Written(meant.latex(later))
            if isinstance(meant, Handed):
                return self._written(self._found.handed[meant.number], 1)
            known = array(meant) if isinstance(meant, np.ndarray) else number(meant)
            return known or Written(rf"\mathbf{{C}}_{{{','.join(map(str, spec.shape))}}}")

        return writer(leaf)

    def _line(self, equation: Equation) -> str:
        left = [one.latex() for one in equation.symbols]
        start = f"{left[0] if len(left) == 1 else side_by_side(left).text} &= "
        defines = self._found.given.get(equation.term) in equation.symbols
        if equation.over_time:
            return rf"{start}\sum_{{t}} {at_least(self._written(equation.term, 0), NEGATIVE + 1)}"
        rows: list[str] = []
        room = _WIDEST - _width(start)
        for sign, text in self._pieces(equation.term, 0, defines):
            if rows and _width(rows[-1] + text) < room:
                rows[-1] += f" {sign} {text}"
            else:
                rows.append(f"{sign} {text}" if rows or sign == "-" else text)
        return start + " \\\\\n&\\quad ".join(rows)

    def _pieces(self, term: Term, later: int, in_full: bool = False) -> list[tuple[str, str]]:
        """Return what a term is a sum of, each part with its sign; a term with a line of its own is one part."""
        if isinstance(term.symbol, Handed):
            return self._pieces(self._found.handed[term.symbol.number], 1)
        if term.operation in ("add", "subtract") and (in_full or term not in self._given[later]):
            left, right = term.operands
            if term.operation == "add":
                return [*self._pieces(left, later), *self._pieces(right, later)]
            return [*self._pieces(left, later), ("-", at_least(self._written(right, later), NEGATIVE + 1))]
        found = self._written(term, later, in_full)
        return [("-", found.text[1:])] if found.text.startswith("-") else [("+", found.text)]

    def _written(self, term: Term, later: int, in_full: bool = False) -> Written:
        given = self._given[later]
        return given[term] if term in given and not in_full else self._writers[later].written(term, given)


def _width(latex: str) -> int:
    """Return about how many letters wide a formula is; there is room around operators and between columns."""
    wide = latex.replace(r"\odot", "xxx").replace("+", "xxx").replace(" - ", "xxx").replace("&", "xxx")
    return len(re.sub(r"\\[A-Za-z]+", "x", re.sub(_NO_WIDTH, "", wide)))
