"""draw: a picture of a result, of a graph, or of what a module does with example inputs."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import Array, Graph, Node, Tensor, enable_grad, random
from ..core.errors import ConfigError, TinygradRNNError
from ..core.names import LocalNames
from ..core.tree import tree_flatten, tree_unflatten
from ..scan import engine
from .blocks import Partition, Time
from .diagram import Diagram
from .dot import Direction, dot
from .loops import Found, find_loops
from .picture import Picture
from .sketch import Names, sketch


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
    legend: bool = False,
) -> Picture:
    """Draw."""
    _check(time, depth, show, direction)
    if isinstance(what, (Tensor, Graph)):
        if examples:
            raise ConfigError(
                f"examples are inputs of a module or function; to draw a {type(what).__name__}, give none"
            )
        graph, names = what if isinstance(what, Graph) else Graph.of(what), Names()
    elif callable(what):
        graph, names = _call(what, examples)
    else:
        raise ConfigError(f"cannot draw a {type(what).__name__}; give a tensor, a graph, or a module with its inputs")
    diagram = _diagram(graph, names, time, depth, show)
    return Picture(dot(diagram, direction, legend))


def _check(time: str, depth: int | None, show: Sequence[str], direction: str) -> None:
    if time not in TIMES:
        raise ConfigError(f"time is {time!r}; give one of {', '.join(map(repr, TIMES))}")
    if direction not in DIRECTIONS:
        raise ConfigError(f"direction is {direction!r}; give one of {', '.join(map(repr, DIRECTIONS))}")
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int) or depth < 1):
        raise ConfigError(f"depth is {depth!r}; give the levels of modules to draw, 1 or more, or None for all")
    unknown = [name for name in ([show] if isinstance(show, str) else show) if name not in SHOWN]
    if unknown or isinstance(show, str):
        raise ConfigError(f"show is {show!r}; give a tuple of {', '.join(map(repr, SHOWN))}")


def _diagram(graph: Graph, names: Names, time: Time, depth: int | None, show: Sequence[str]) -> Diagram:
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
        raise TooLargeError(_too_large(len(partition.blocks), f"draw a part of it, or fewer levels with depth=1{reason}"))
    return sketch(graph, partition, names, "shapes" in show)


def _too_large(count: int, advice: str) -> str:
    return (
        f"a picture of {count:,} nodes, and more than {LIMIT:,} cannot be read: {advice}; print(graph) lists all of it"
    )


def _call(function: Callable[..., Any], examples: tuple[Any, ...]) -> tuple[Graph, Names]:
    """Call a function with its examples made inputs of the graph; return the graph and what things are called."""
    leaves: dict[Node, str] = {}
    arrays: list[tuple[str, Array]] = []

    def as_input(value: Any, name: str) -> Any:
        if not isinstance(value, (Tensor, np.ndarray)):
            return value
        given = (isinstance(value, Tensor) and value.name) or name
        array = value._data if isinstance(value, Tensor) else value
        if array.dtype.kind != "f":
            arrays.append((given, array))
            return value
        tensor = Tensor(array, requires_grad=True, name=given)
        assert tensor.node is not None
        leaves[tensor.node] = given
        return tensor

    inputs = []
    for argument, example in zip(_argument_names(function, len(examples)), examples, strict=True):
        flat, treedef = tree_flatten(example)
        inputs.append(tree_unflatten(treedef, list(map(as_input, flat, _paths(argument, example)))))
    # Dropout draws numbers; a run must go on after a picture as if there had been none.
    state = random.get_state()
    try:
        # A compiled loop is one operation; what it does is seen step by step.
        with enable_grad(), engine("eager"), LocalNames(getattr(function, "__code__", None)) as names:
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


def _argument_names(function: Callable[..., Any], count: int) -> list[str]:
    """Return the names of the first arguments; a module's are those of the method that it runs."""
    names: list[str] = []
    with contextlib.suppress(TypeError, ValueError):
        for parameter in inspect.signature(getattr(function, "forward", function)).parameters.values():
            if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                break
            names.append(parameter.name)
    return [*names[:count], *[f"input {i}" for i in range(len(names), count)]]


def _paths(name: str, nest: Any) -> list[str]:
    """Return the name of each leaf of a nest, in the order of `tree_flatten`."""
    if nest is None:
        return []
    if isinstance(nest, dict):
        return [path for key, child in nest.items() for path in _paths(f"{name}[{key!r}]", child)]
    if isinstance(nest, (tuple, list)):
        fields = getattr(nest, "_fields", None)
        keys = [f".{field}" for field in fields] if fields else [f"[{i}]" for i in range(len(nest))]
        return [path for key, child in zip(keys, nest, strict=True) for path in _paths(name + key, child)]
    return [name]
