"""Nests of values: tuples (named ones too), lists and dicts, taken apart and put together again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from .errors import GraphError


class TreeDef:
    """The structure of a nest without its leaves; equal for nests of equal structure."""

    __slots__ = ("children", "keys", "kind")

    def __init__(self, kind: type | None, keys: tuple[Any, ...], children: tuple[TreeDef, ...]) -> None:
        self.kind = kind
        self.keys = keys
        self.children = children

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TreeDef)
            and (self.kind, self.keys) == (other.kind, other.keys)
            and self.children == other.children
        )

    def __hash__(self) -> int:
        return hash((self.kind, self.keys, self.children))

    def __repr__(self) -> str:
        if self.kind is None:
            return "*"
        if self.kind is type(None):
            return "None"
        if issubclass(self.kind, dict):
            return "{" + ", ".join(f"{k!r}: {c!r}" for k, c in zip(self.keys, self.children, strict=True)) + "}"
        inside = ", ".join(map(repr, self.children))
        return f"[{inside}]" if issubclass(self.kind, list) else f"({inside}{',' * (len(self.children) == 1)})"


_LEAF = TreeDef(None, (), ())
_EMPTY = TreeDef(type(None), (), ())


def tree_flatten(nest: Any) -> tuple[list[Any], TreeDef]:
    """Return the leaves of a nest in order, and its structure.

    Args:
        nest: tuples, lists and dicts of leaves, to any depth; None is a nest without leaves.

    Returns:
        The leaves, and a `TreeDef` that `tree_unflatten` takes. Dicts keep the order of their keys.

    Example:
        >>> from tinygrad_rnn.core.tree import tree_flatten
        >>> tree_flatten((1, {"a": 2, "b": [3, None]}))
        ([1, 2, 3], (*, {'a': *, 'b': [*, None]}))
    """
    leaves: list[Any] = []
    return leaves, _flatten(nest, leaves)


def _flatten(nest: Any, leaves: list[Any]) -> TreeDef:
    if nest is None:
        return _EMPTY
    if isinstance(nest, (tuple, list)):
        return TreeDef(type(nest), (), tuple([_flatten(child, leaves) for child in nest]))
    if isinstance(nest, dict):
        return TreeDef(type(nest), tuple(nest), tuple([_flatten(child, leaves) for child in nest.values()]))
    leaves.append(nest)
    return _LEAF


def tree_unflatten(treedef: TreeDef, leaves: Any) -> Any:
    """Put leaves into a structure: the inverse of `tree_flatten`.

    Raises:
        GraphError: if there are more or fewer leaves than the structure has places.

    Example:
        >>> from tinygrad_rnn.core.tree import tree_flatten, tree_unflatten
        >>> leaves, treedef = tree_flatten((1, [2]))
        >>> tree_unflatten(treedef, ["a", "b"])
        ('a', ['b'])
    """
    rest = iter(leaves)
    try:
        nest = _unflatten(treedef, rest)
    except StopIteration:
        raise GraphError(f"too few leaves for the structure {treedef}; give one for each *") from None
    if next(rest, rest) is not rest:
        raise GraphError(f"too many leaves for the structure {treedef}; give one for each *")
    return nest


def _unflatten(treedef: TreeDef, rest: Any) -> Any:
    kind = treedef.kind
    if kind is None:
        return next(rest)
    if kind is type(None):
        return None
    children = [_unflatten(child, rest) for child in treedef.children]
    if issubclass(kind, dict):
        return dict_of(kind, zip(treedef.keys, children, strict=True))
    make: Any = kind
    return make(*children) if hasattr(kind, "_fields") else make(children)


def dict_of(kind: Any, pairs: Iterable[tuple[Any, Any]]) -> Any:
    """Return a dict of some class with these keys and values; a `defaultdict` has no default.

    Example:
        >>> from collections import defaultdict
        >>> from tinygrad_rnn.core.tree import dict_of
        >>> dict_of(defaultdict, [("h", 1)])
        defaultdict(None, {'h': 1})
    """
    return kind(None, pairs) if issubclass(kind, defaultdict) else kind(pairs)


def tree_map(function: Callable[..., Any], nest: Any, *more: Any) -> Any:
    """Apply a function to the leaves of one nest, or of several of the same structure.

    Raises:
        GraphError: if the structures differ.

    Example:
        >>> from tinygrad_rnn.core.tree import tree_map
        >>> tree_map(lambda a, b: a + b, (1, [2]), (10, [20]))
        (11, [22])
    """
    leaves, treedef = tree_flatten(nest)
    columns = [leaves]
    for other in more:
        column, structure = tree_flatten(other)
        if structure != treedef:
            raise GraphError(
                f"nests of different structure: {treedef} and {structure}; give nests of the same structure"
            )
        columns.append(column)
    return tree_unflatten(treedef, [function(*row) for row in zip(*columns, strict=True)])
