"""explore: a page that walks through a graph, forward and backward, one node at a time."""

from __future__ import annotations

import html
import os
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...core import Graph, Node, Tensor, enable_grad, keep_values, random
from ...core.errors import ConfigError
from ...core.names import LocalNames
from ...core.tree import tree_flatten
from ...scan import engine
from .. import labels
from ..calling import examples_of, named_inputs
from ..files import file_at
from ..opened import opened
from ..playback import Playback
from .content import Content
from .document import document
from .still import still

# Above so many boxes, a page begins with its loops folded.
_FOLD = 260


class Page:
    """A page in one HTML file that works from disk; a notebook shows it in a frame of its own.

    Args:
        html: the file's text.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn import viz
        >>> page = viz.explore(np.tanh(tg.Tensor(1.0, requires_grad=True, name="w")))
        >>> page.save("tanh.html")  # doctest: +SKIP
    """

    def __init__(self, html: str) -> None:
        self.html = html

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file.

        Args:
            path: ends in .html.

        Raises:
            ConfigError: if it is no path or ends in something else, or its folder is not there.
        """
        path = file_at(path)
        if path.suffix.lower() != ".html":
            raise ConfigError(f"a page cannot be saved as {path.name!r}; end it in .html")
        path.write_text(self.html, encoding="utf-8")

    def _repr_html_(self) -> str:
        # A frame of its own: ids and keys of two pages in a notebook do not meet, and scripts reach nothing outside.
        name = f"tinygrad-rnn-{uuid.uuid4().hex}"
        return (
            f'<iframe id="{name}" title="Walk through the graph" sandbox="allow-scripts allow-downloads" '
            f'width="100%" height="760" style="border:0" srcdoc="{html.escape(self.html)}"></iframe>'
        )

    def __repr__(self) -> str:
        return f'<Page, {len(self.html):,} characters; save it with .save("page.html")>'


def explore(
    what: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    examples: Sequence[Any] = (),
    values: bool = True,
    title: str | None = None,
) -> Page:
    """Make a page that walks through a graph: forward, then backward, one node at a time, with the numbers.

    Args:
        what: a result with one element, such as a loss; or a module or function, which is called with the examples and
            whose results are added up. A cell needs none.
        path: of the .html file to write; None writes none.
        examples: arrays, tensors, or nests of them, such as a state.
        values: put values and gradients into the page; False leaves all data out.
        title: of the page.

    Returns:
        The page.

    Raises:
        GraphError: if the result does not require grad.
        CotangentError: if the tensor has several elements.
        FreedGraphError: if a backward pass has freed the graph.
        LayoutError: if no Graphviz is installed.
        ConfigError: if `what` is none of these, there are too few or too many examples, or the path does not end in
            .html.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn import viz
        >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
        >>> viz.explore(np.sum(np.tanh(w)), "page.html")  # doctest: +SKIP
    """
    inputs: dict[Node, str] = {}
    names: Mapping[tuple[Node, int], str] = {}
    if isinstance(what, Tensor):
        if examples:
            raise ConfigError("examples are inputs of a module or function; to explore a Tensor, give none")
        loss = what
    elif callable(what):
        loss, inputs, names = _called(what, examples or examples_of(what))
    else:
        raise ConfigError(f"cannot explore a {type(what).__name__}; give a loss, or a module with examples=(…)")
    page = page_of(loss, inputs, names, title=title or _title(what), values=values)
    if path is not None:
        page.save(path)
    return page


def page_of(
    loss: Tensor,
    inputs: Mapping[Node, str],
    names: Mapping[tuple[Node, int], str],
    *,
    title: str,
    values: bool = True,
    captions: Mapping[int, str] | None = None,
    closed: Sequence[str] = (),
) -> Page:
    """Return the page of a loss.

    Args:
        loss: a recorded tensor of one element.
        inputs: leaves that are inputs, with their names.
        names: of results, by node and output.
        title: of the page.
        values: put values and gradients into the page.
        captions: what to write below the columns of steps, by step.
        closed: names of modules that are closed at first.
    """
    playback = Playback(loss) if values else None
    graph = playback.graph if playback is not None else opened(Graph.of(loss))
    content = Content(graph, playback, inputs, names, captions or {})
    data = content.as_json()
    shut = [i for i, path in enumerate(content.modules) if path and path[-1] in closed]
    data["view"] = {
        "folded": len(data["boxes"]) > _FOLD and any(band["times"] for band in data["bands"]),
        "closed": shut,
    }
    return Page(document(labels.clean(title, 120), data, still(content.scene, content.places)))


def _title(what: Any) -> str:
    if isinstance(what, Tensor):
        return what.name or "A walk through the graph"
    return getattr(what, "__name__", None) or type(what).__name__


def _called(function: Any, examples: Sequence[Any]) -> tuple[Tensor, dict[Node, str], Mapping[tuple[Node, int], str]]:
    """Call a function with its examples made inputs of the graph, and add up what it returns."""
    inputs, leaves, _ = named_inputs(function, examples)
    state = random.get_state()
    try:
        with enable_grad(), keep_values():
            with engine("eager"), LocalNames(getattr(function, "__code__", None)) as names:
                found = function(*inputs)
            loss = _added_up(found)
    finally:
        random.set_state(state)
    return loss, leaves, names.of_nodes()


def _added_up(found: Any) -> Tensor:
    """Return the sum of all elements of all tensors in a nest."""
    results = [leaf for leaf in tree_flatten(found)[0] if isinstance(leaf, Tensor) and leaf.requires_grad]
    if not results:
        raise ConfigError(f"cannot explore what returns {type(found).__name__}; return a tensor that requires grad")
    unique = list({(result.node, result._index): result for result in results}.values())
    sums = [result if result.size == 1 and result.ndim == 0 else np.sum(result) for result in unique]
    loss = sums[0]
    for part in sums[1:]:
        loss = loss + part
    return loss
