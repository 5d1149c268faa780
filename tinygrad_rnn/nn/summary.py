"""The text that `repr` gives of a module: its parts, their shapes and how many parameters they have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .parameter import Parameter


def summary(module: Any) -> str:
    """Return a line for a module and for each module inside it, indented as they are nested."""
    return "\n".join(_lines(module, "", "", set()))


def _lines(module: Any, label: str, indent: str, seen: set[int]) -> Iterator[str]:
    extra = module.extra_repr()
    head = f"{indent}{label}{type(module).__name__}{f'({extra})' if extra else ''}"
    if id(module) in seen:
        yield f"{head}, shared with the one above"
        return
    seen.add(id(module))
    count = sum(parameter.size for parameter in module.parameters())
    own = [
        f"{name} {part.shape}{'' if part.requires_grad else ' frozen'}"
        for name, part in module._members()
        if isinstance(part, Parameter)
    ]
    own += [f"buffer {name} {getattr(module, name).shape}" for name in module._buffers if name in vars(module)]
    counted = f", {count:,} parameter{'s' * (count != 1)}" if count else ""
    yield f"{head}{counted}{': ' * bool(own)}{', '.join(own)}"
    inner = {name: part for name, part in module._members() if not isinstance(part, Parameter)}
    for name, value in vars(module).items():
        if name in inner:
            yield from _lines(inner[name], f"{name}: ", f"{indent}  ", seen)
        elif name.isdigit() and callable(value):
            yield f"{indent}  {name}: {getattr(value, '__name__', value)}"
