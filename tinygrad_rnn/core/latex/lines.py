"""Equations as the lines of a page, each no wider than the page."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..algebra import NEGATIVE, Term, Writer, Written
from ..node import Spec
from .equations import Equations
from .names import Symbol
from .notation import Seed, array, at_least, number, side_by_side, writer
from .parts import Equation, Handed

# About what fits on a line of a standard page, in letters.
_WIDEST = 50
_NO_WIDTH = re.compile(r"\\(begin|end)\{[a-z]+\}|\\(left|right|mathbf|mathit|text|textit|operatorname|,)|[{}_^\s]")


def aligned(found: Equations, backward: bool = True) -> str:
    """Return equations as an `align*` environment.

    Args:
        found: the equations.
        backward: those of the backward pass stand below the others.
    """
    lines = _Lines(found)
    blocks = [" \\\\\n".join(block) for block in lines.blocks()[: 1 + backward] if block]
    return "\n".join([r"\begin{align*}", " \\\\[2ex]\n".join(blocks), r"\end{align*}"])


class _Lines:
    """Writes equations, each in as many lines as it needs to fit on a page."""

    def __init__(self, found: Equations) -> None:
        self._found = found
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
            if isinstance(meant, Seed):
                return Written(r"\mathbf{1}" if spec.shape else "1")
            return array(meant) if isinstance(meant, np.ndarray) else number(meant)

        return writer(leaf)

    def _line(self, equation: Equation) -> str:
        left = [one.latex() for one in equation.symbols]
        start = f"{left[0] if len(left) == 1 else side_by_side(left).text} &= "
        defines = self._found.given.get(equation.term) in equation.symbols
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
        return given[term] if term in given and not in_full else self._writer(later).written(term, given)


def _width(latex: str) -> int:
    """Return about how many letters wide a formula is; there is room around operators and between columns."""
    wide = latex.replace(r"\odot", "xxx").replace("+", "xxx").replace(" - ", "xxx").replace("&", "xxx")
    return len(re.sub(r"\\[A-Za-z]+", "x", re.sub(_NO_WIDTH, "", wide)))
