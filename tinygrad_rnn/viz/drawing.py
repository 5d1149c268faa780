"""draw: a picture of a result, of a graph, or of what a module does with example inputs."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import Array, Graph, Node, Tensor, enable_grad, random
from ..core.errors import ConfigError
from ..core.names import LocalNames
from ..core.tree import tree_flatten, tree_unflatten
from ..scan import engine
from .dot import dot
from .picture import Picture


def draw(what: Any, *examples: Any) -> Picture:
    """Draw the graph of a computation: operations with symbols and shapes, in the boxes of their modules.

    Parameters are boxes with corners, a dashed copy beside each use where there are several; operations are rounded;
    inputs are ellipses; constants are dotted; results have a double outline. Full names and dtypes are in tooltips.

    Args:
        what: a tensor or a graph; or a module or function, which is called with the examples.
        examples: arrays, tensors, or nests of them, such as a state.

    Returns:
        The picture, to be saved as .svg, .png, .pdf or .dot; a notebook shows it.

    Raises:
        GraphError: if the tensor, or what the module returns, does not require grad.
        TooLargeError: if there are more than 2,000 nodes.
        ConfigError: if `what` is none of these, or if there are examples for a tensor or graph.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn, viz
        >>> cell = nn.GRUCell(3, 4)
        >>> viz.draw(cell, np.ones((1, 3)), cell.initial_state(1)).save("gru.svg")  # doctest: +SKIP
    """
    if isinstance(what, (Tensor, Graph)):
        if examples:
            raise ConfigError(
                f"examples are inputs of a module or function; to draw a {type(what).__name__}, give none"
            )
        return Picture(dot(what if isinstance(what, Graph) else Graph.of(what)))
    if not callable(what):
        raise ConfigError(f"cannot draw a {type(what).__name__}; give a tensor, a graph, or a module with its inputs")
    return Picture(_draw_call(what, examples))


def _draw_call(function: Callable[..., Any], examples: tuple[Any, ...]) -> str:
    """Call a function with its examples made inputs of the graph, and draw what it returns."""
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
    return dot(Graph.of(*(recorded or results)), leaves, arrays, names.of_nodes())


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
