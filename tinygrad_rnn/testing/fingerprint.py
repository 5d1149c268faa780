"""What a module holds, in a form that shows whether it has changed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..nn import Module

_DEPTH = 4


def fingerprint(module: Module) -> dict[str, Any]:
    """Return what every attribute of a module and of those inside it holds, by dotted name.

    Attributes of the classes that users wrote are among them, as `Class.name`.

    Example:
        >>> from tinygrad_rnn import nn
        >>> from tinygrad_rnn.testing.fingerprint import changes, fingerprint
        >>> layer = nn.Linear(2, 3)
        >>> before = fingerprint(layer)
        >>> layer.last = 1.0
        >>> changes(before, fingerprint(layer))
        ['last (new)']
    """
    found: dict[str, Any] = {}
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            if not isinstance(value, Module):
                found[f"{path}.{name}" if path else name] = _content(value, _DEPTH)
        for kind in type(part).__mro__:
            if not kind.__module__.startswith(Module.__module__.rsplit(".", 1)[0]) and kind is not object:
                for name, value in vars(kind).items():
                    if not name.startswith("__") and not callable(value):
                        found[f"{kind.__name__}.{name}"] = _content(value, _DEPTH)
    return found


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the names of the attributes that are new, gone or changed."""
    new = [f"{name} (new)" for name in after if name not in before]
    gone = [f"{name} (gone)" for name in before if name not in after]
    return [*new, *gone, *[name for name in before if name in after and before[name] != after[name]]]


def _content(value: Any, depth: int) -> Any:
    """Return something that is equal for equal contents, and holds on to none of them."""
    if isinstance(value, Tensor):
        value = value._data
    if isinstance(value, np.ndarray):
        return (value.shape, str(value.dtype), value.tobytes() if value.dtype.kind != "O" else repr(value))
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if depth == 0:
        return id(value)
    if isinstance(value, dict):
        return {repr(key): _content(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_content(item, depth - 1) for item in value]
    if isinstance(value, (str, bytes, int, float, complex, bool, type(None), set, frozenset, range)):
        return repr(value)
    if not callable(value) and hasattr(value, "__dict__"):
        return {name: _content(item, depth - 1) for name, item in vars(value).items()}
    return id(value)
