"""A cell from inside: its picture, its equations and its backward pass, as parts of a page."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from .. import viz
from ..core import Graph, Tensor, enable_grad
from ..core.errors import TinygradRNNError
from ..core.tree import tree_flatten, tree_map
from ..nn import Cell
from ..scan import engine
from .page import Html, figure, heading, paragraph, preformatted, textbook


def anatomy(cell: Cell, features: int) -> list[Html]:
    """Return the parts.

    Args:
        cell: a small one: its pictures are the same at any size.
        features: of its input.
    """
    x = np.ones((1, features), np.float32)
    return [*_picture(cell, x), *_equations(cell, x), *_in_words(cell, x)]


def _picture(cell: Cell, x: Any) -> list[Html]:
    """Return the cell as a textbook draws it, and its graph folded away."""
    state = cell.initial_state(1)
    try:
        parts = [textbook(viz.draw_cell(cell, x, state).svg())]
    except TinygradRNNError as error:
        parts = [paragraph(f"There is no textbook picture: {error}")]
    try:
        graph = figure(viz.draw(cell, x, state).svg())
    except TinygradRNNError as error:
        return [*parts, paragraph(f"There is no picture of the graph: {error}")]
    summary = "<summary>Its graph, with the shapes for one row</summary>"
    return [*parts, Html(f"<details>{summary}{graph}</details>")]


def _equations(cell: Cell, x: Any) -> list[Html]:
    try:
        latex = viz.latex(cell, x, cell.initial_state(1))
    except TinygradRNNError as error:
        return [paragraph(f"There are no equations: {error}")]
    title = heading("Equations, forward and backward")
    try:
        from latex2mathml.converter import convert  # an extra, imported where it is used
    except ImportError:
        return [title, preformatted(latex)]
    parts = [title]
    inside = latex.removeprefix("\\begin{align*}\n").removesuffix("\n\\end{align*}")
    for block in inside.split("\\\\[2ex]\n"):
        mathml = convert(f"\\begin{{align*}}\n{block}\n\\end{{align*}}", display="block").replace("\\_", "_")
        parts.append(Html(f'<div class="wide">{mathml}</div>'))
    parts.append(
        Html(f"<details><summary>The same as LaTeX</summary><pre>{escape(latex)}</pre></details>"),
    )
    return parts


def _in_words(cell: Cell, x: Any) -> list[Html]:
    with enable_grad(), engine("eager"):
        state = tree_map(_followed, cell.initial_state(1))
        found = cell(Tensor(x, requires_grad=True, name="x"), state)
    results = [leaf for leaf in tree_flatten(found)[0] if isinstance(leaf, Tensor) and leaf.requires_grad]
    text = Graph.of(*results).explain()
    return [
        heading("Backward in words"),
        Html(
            "<details><summary>Every operation of a step, and below it what it hands back: g is the gradient of its "
            f"result, a and b are its arguments</summary><pre>{escape(text)}</pre></details>"
        ),
    ]


def _followed(leaf: Any) -> Any:
    """Return a leaf of a state as an input of the graph."""
    array = leaf.data if isinstance(leaf, Tensor) else np.asarray(leaf)
    return Tensor(array, requires_grad=True) if array.dtype.kind == "f" else leaf
