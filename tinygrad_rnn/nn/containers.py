"""ModuleList: modules in a list that the module around it finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..core.errors import ConfigError
from .module import Module
from .parameter import Parameter


class ModuleList(Module):
    """A list of modules, or of parameters, that the module around it finds: names "0", "1", ….

    Args:
        items: modules or parameters.

    Raises:
        ConfigError: if an item is neither.

    Example:
        >>> from tinygrad_rnn import nn
        >>> layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(4)])
        >>> layers.append(nn.Linear(3, 2))
        >>> [layer.out_features for layer in layers]
        [3, 3, 3, 3, 2]
    """

    def __init__(self, items: Iterable[Any] = ()) -> None:
        super().__init__()
        for item in items:
            self.append(item)

    def append(self, item: Any) -> None:
        """Put an item at the end."""
        setattr(self, str(len(self)), self._checked(item))

    def __setitem__(self, index: int, item: Any) -> None:
        setattr(self, str(range(len(self))[index]), self._checked(item))

    def _checked(self, item: Any) -> Any:
        if not isinstance(item, (Parameter, Module)):
            raise ConfigError(f"nn.ModuleList cannot hold a {type(item).__name__}; give modules or parameters")
        return item

    def __getitem__(self, index: Any) -> Any:
        return list(self)[index]

    def __iter__(self) -> Iterator[Any]:
        return iter([item for name, item in vars(self).items() if name.isdigit()])

    def __len__(self) -> int:
        return sum(map(str.isdigit, vars(self)))

    # A list is not called itself, so its place in the scope is written by its items: "layers.0".
    def _set_scope(self, name: str) -> None:
        super()._set_scope(name)
        for index, item in self._members():
            if isinstance(item, Module):
                self._set_scope_of(item, index)

    def _set_scope_of(self, child: Module, name: str) -> None:
        if "_scope" in vars(self):
            child._set_scope(f"{self._scope}.{name}")
