"""Calling: what is called with examples, made inputs of a graph under the names that the function gives them."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import Array, Node, Tensor
from ..core.errors import ConfigError
from ..core.tree import tree_flatten, tree_unflatten
from ..nn import Cell
from ..testing.subject import found_input_size


def examples_of(what: Any) -> tuple[Any, ...]:
    """Return an input and a state of a cell that was given without; nothing for what is no cell."""
    if not isinstance(what, Cell):
        return ()
    dtype = next((p.dtype for p in what.parameters()), np.dtype(np.float32))
    try:
        return np.ones((1, found_input_size(what)), dtype), what.initial_state(1)
    except ConfigError:
        raise ConfigError(
            f"what goes into a {type(what).__name__} cannot be told: give an example of x and one of the state"
        ) from None


def check_examples(function: Callable[..., Any], examples: Sequence[Any]) -> None:
    """Refuse examples of which there are too few or too many, before the function is called with them."""
    try:
        made = isinstance(function, type)
        called = inspect.signature(function if made else getattr(function, "forward", function))
        called.bind(*examples)
    except ValueError:
        return  # It does not say what it takes.
    except TypeError as error:
        if made:
            raise ConfigError(f"{function.__name__} is a class; make an instance of it, and give that") from None
        name = getattr(function, "__name__", None) or type(function).__name__
        raise ConfigError(f"{name}{called} was given {len(examples)} examples: {error}; give one for each") from None


def named_inputs(
    function: Callable[..., Any], examples: Sequence[Any]
) -> tuple[list[Any], dict[Node, str], list[tuple[str, Array]]]:
    """Return examples as inputs of a graph, each under the name that its tensor has, or the function's argument.

    Args:
        function: that is to be called with them.
        examples: arrays, tensors, or nests of them.

    Returns:
        The inputs; the names of those that gradients are taken of, by their leaves; names and values of the others.

    Raises:
        ConfigError: if there are too few or too many.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.viz.calling import named_inputs
        >>> inputs, leaves, arrays = named_inputs(lambda ids, state: ids, [np.array([0]), (np.ones(2), np.ones(2))])
        >>> list(leaves.values()), [name for name, _ in arrays]
        (['state[0]', 'state[1]'], ['ids'])
    """
    check_examples(function, examples)
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
    return inputs, leaves, arrays


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
