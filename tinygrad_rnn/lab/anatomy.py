"""A cell from inside: its picture, its equations and its backward pass, as parts of a page."""

from __future__ import annotations

from collections.abc import Callable
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
    """Return the parts; one that cannot be made says why, for the rest of the report does not hang on it.

    Args:
        cell: a small one: its pictures are the same at any size.
        features: of its input.
    """
    x = np.ones((1, features), np.float32)
    made: list[tuple[str, Callable[[Cell, Any], list[Html]]]] = [
        ("is no textbook picture", _picture),
        ("is no picture of the graph", _graph),
        ("are no equations", _equations),
        ("is no backward pass in words", _in_words),
    ]
    parts = []
    for missing, make in made:
        try:
            parts += make(cell, x)
        except TinygradRNNError as error:
            parts.append(paragraph(f"There {missing}: {error}"))
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            parts.append(paragraph(f"There {missing}, by a mistake of this project: please report it. {message}"))
    return parts


def _picture(cell: Cell, x: Any) -> list[Html]:
    """Return the cell as a textbook draws it."""
    return [textbook(viz.draw_cell(cell, x, cell.initial_state(1)).svg())]


def _graph(cell: Cell, x: Any) -> list[Html]:
    """Return the graph of a step, folded away."""
    graph = figure(viz.draw(cell, x, cell.initial_state(1)).svg())
    return [Html(f"<details><summary>Its graph, with the shapes for one row</summary>{graph}</details>")]


def _equations(cell: Cell, x: Any) -> list[Html]:
    latex = viz.latex(cell, x, cell.initial_state(1))
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
