"""draw: a picture of a result, of a graph, or of what a module does with example inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..core import Graph, Tensor, enable_grad, keep_values, random
from ..core.errors import ConfigError, TinygradRNNError
from ..core.names import LocalNames
from ..core.tree import tree_flatten
from ..scan import engine
from .backward import gradients_of
from .blocks import Partition, Time
from .calling import examples_of, named_inputs
from .diagram import Diagram
from .dot import Direction, dot
from .loops import Found, find_loops
from .names import Names
from .numbers import Played, add_norms, add_saved, add_values
from .opened import opened
from .picture import Picture
from .sketch import sketch

TIMES = ("fold", "unroll", "full")
SHOWN = ("shapes", "values", "grads", "saved")
DIRECTIONS = ("TB", "BT", "LR", "RL")
LIMIT = 2000


class TooLargeError(TinygradRNNError, ValueError):
    """A graph of more nodes than a picture can show."""


class FoldError(TinygradRNNError, ValueError):
    """A loop whose steps are not alike, so that one of them cannot stand for all."""


def draw(
    what: Any,
    *examples: Any,
    time: Time = "fold",
    depth: int | None = None,
    show: Sequence[str] = ("shapes",),
    direction: Direction = "TB",
    forward: bool = True,
    backward: bool = False,
    legend: bool = False,
) -> Picture:
    """Draw the graph of a computation: operations with symbols and shapes, in the boxes of their modules.

    Parameters are boxes with corners, inputs ellipses, states cylinders, constants dotted, results have a double
    outline and a loss has eight corners; operations are rounded. Full names, dtypes and settings are in tooltips.

    A loop over time is found in the graph itself, whoever wrote it, and drawn once in a box "× T", with the states that
    a step hands to the next. A loop that ran compiled is opened into its steps first, so that the picture is the same
    under every engine. Of a tensor that the engine "eager" recorded outside of `tg.keep_values()`, constants and values
    that no gradient rule reads are not known; of one that `backward` was called on, no number is.

    Args:
        what: a tensor or a graph; or a module or function, which is called with the examples. A cell needs none.
        examples: arrays, tensors, or nests of them, such as a state.
        time: "fold" draws one step of a loop for all; "unroll" its first steps, an ellipsis and its last one; "full"
            all of them.
        depth: levels of modules that are drawn; a deeper one is one box with the number of its parameters. None: all.
        show: what stands below each operation: "shapes", "values" (their range, over all steps), "grads" (the norm of
            its gradient, as number and colour, grey where none reaches), "saved" (the bytes kept for backward).
        direction: "TB" from top to bottom, "BT", "LR" or "RL".
        forward: draw the computation.
        backward: draw its gradients, beside it or alone. Of a result of several elements, or of several results, they
            are those of the sum of all elements.
        legend: explain what the outlines and colours mean.

    Returns:
        The picture, to be saved as .svg, .png, .pdf, .html or .dot; a notebook shows it.

    Raises:
        GraphError: if the tensor, or what the module returns, does not require grad.
        FoldError: if there is a loop whose steps are not alike, such as one that attends to all earlier steps, or that
            is detached at one of them.
        TooLargeError: if more than 2,000 nodes would be drawn.
        FreedGraphError: if values or gradients are to be shown that an earlier backward pass has freed.
        ConfigError: if `what` is none of these, if there are examples for a tensor or graph, or too few or too many for
            what is called, or for an option that is none of its choices.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn, viz
        >>> layer = nn.GRU(3, 4)
        >>> picture = viz.draw(layer, np.ones((700, 1, 3)))
        >>> "× 700" in picture.source, "h: t − 1 → t" in picture.source
        (True, True)
        >>> viz.draw(nn.LSTMCell(3, 4), backward=True).save("lstm.svg")  # doctest: +SKIP
    """
    _check(time, depth, show, direction, forward or backward)
    if isinstance(what, (Tensor, Graph)):
        if examples:
            raise ConfigError(
                f"examples are inputs of a module or function; to draw a {type(what).__name__}, give none"
            )
        graph, names = opened(what if isinstance(what, Graph) else Graph.of(what)), Names()
    elif callable(what):
        graph, names = _call(what, examples or examples_of(what))
    else:
        raise ConfigError(f"cannot draw a {type(what).__name__}; give a tensor, a graph, or a module with its inputs")
    diagram = _diagram(graph, names, time, depth, "shapes" in show)
    diagram = _with_numbers(diagram, graph, {*show, *(("grads", "saved") if backward else ())}, forward, backward)
    return Picture(dot(diagram, direction, legend))


def _check(time: str, depth: int | None, show: Sequence[str], direction: str, anything: bool) -> None:
    if time not in TIMES:
        raise ConfigError(f"time is {time!r}; give one of {', '.join(map(repr, TIMES))}")
    if direction not in DIRECTIONS:
        raise ConfigError(f"direction is {direction!r}; give one of {', '.join(map(repr, DIRECTIONS))}")
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int) or depth < 1):
        raise ConfigError(f"depth is {depth!r}; give the levels of modules to draw, 1 or more, or None for all")
    if not anything:
        raise ConfigError("neither forward nor backward is drawn; give forward=True or backward=True")
    if isinstance(show, str) or not isinstance(show, Iterable) or any(name not in SHOWN for name in show):
        raise ConfigError(f"show is {show!r}; give a tuple of {', '.join(map(repr, SHOWN))}")


def _with_numbers(diagram: Diagram, graph: Graph, show: set[str], forward: bool, backward: bool) -> Diagram:
    """Return the diagram with what is to be shown of its numbers, and with the backward pass, or that alone."""
    if not show & {"values", "grads", "saved"}:
        return diagram
    played = Played(graph) if show & {"values", "grads"} else None
    mirror = Diagram()
    if backward and played is not None:
        reached = {item.key for item in diagram.items.values() if played.norms(item)}
        mirror = gradients_of(diagram, graph, reached, beside=forward)
        add_norms(mirror, played, fill=True)
    if "values" in show and played is not None:
        add_values(diagram, played)
    if "grads" in show and played is not None:
        add_norms(diagram, played, fill=not backward, text=not backward)
    if "saved" in show:
        add_saved(diagram, graph)
    return Diagram(
        {**(diagram.items if forward else {}), **mirror.items}, [*(diagram.edges if forward else []), *mirror.edges]
    )


def _diagram(graph: Graph, names: Names, time: Time, depth: int | None, show_shapes: bool) -> Diagram:
    if time == "full" and len(graph) > LIMIT:
        raise TooLargeError(_too_large(len(graph), "draw it with time='fold' or time='unroll'"))
    found = Found([], None, None, []) if time == "full" else find_loops(graph, names.inputs)
    if time == "fold" and found.refusal:
        raise FoldError(
            f"time='fold' draws one step for all of a loop, but here {found.refusal}; draw it with time='unroll', or "
            "with time='full' if it is short"
        )
    partition = Partition(graph, found, time, depth)
    if len(partition.blocks) > LIMIT:
        reason = f"; no loop was found in it, since {found.untied}" if found.untied else ""
        raise TooLargeError(
            _too_large(len(partition.blocks), f"draw a part of it, or fewer levels with depth=1{reason}")
        )
    return sketch(graph, partition, names, show_shapes)


def _too_large(count: int, advice: str) -> str:
    return (
        f"a picture of {count:,} nodes, and more than {LIMIT:,} cannot be read: {advice}; print(graph) lists all of it"
    )


def _call(function: Callable[..., Any], examples: tuple[Any, ...]) -> tuple[Graph, Names]:
    """Call a function with its examples made inputs of the graph; return the graph and what things are called."""
    inputs, leaves, arrays = named_inputs(function, examples)
    # Dropout draws numbers; a run must go on after a picture as if there had been none.
    state = random.get_state()
    try:
        # A compiled loop is one operation; what it does is seen step by step.
        with enable_grad(), keep_values(), engine("eager"), LocalNames(getattr(function, "__code__", None)) as names:
            found = function(*inputs)
    finally:
        random.set_state(state)
    results = [leaf for leaf in tree_flatten(found)[0] if isinstance(leaf, Tensor)]
    if not results:
        raise ConfigError(f"cannot draw what returns {type(found).__name__}; return a tensor, or a nest of tensors")
    recorded = [leaf for leaf in results if leaf.requires_grad]
    for node, given in leaves.items():
        # A leaf of a nested state is better known by the name that it is unpacked to.
        if node.name == given and "[" in given:
            leaves[node] = names.found.get((node, 0), given)
    return Graph.of(*(recorded or results)), Names(names.of_nodes(), leaves, arrays)
