"""The notation of Python: how names, numbers, arrays and calls are written. `ops` adds how its operations are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .algebra import ATOM, SIGNED, Term, Writer, Written
from .node import Array, Spec


def in_brackets(part: Written, level: int) -> str:
    """Return a text, in brackets unless it holds together as strongly as what it stands in."""
    return part.text if part.level >= level else f"({part.text})"


def call(term: Term, parts: Sequence[Written], params: Mapping[str, Any]) -> Written:
    """Write an operation as the call of a function, with those parameters that a text can give back."""
    given = [(name, setting(value)) for name, value in params.items()]
    shown = [*[part.text for part in parts], *[f"{name}={text}" for name, text in given if text is not None]]
    return Written(f"{term.operation}({', '.join(shown)})" + (f"[{term.slot}]" if term.slot is not None else ""))


def setting(value: Any) -> str | None:
    """Return a parameter of an operation as one writes it; None for what no text gives back."""
    if isinstance(value, np.dtype):
        return str(value)
    if isinstance(value, tuple):
        parts = [setting(part) for part in value]
        if list(map(type, value)) == [int]:
            return parts.pop()
        return None if None in parts else f"({', '.join(map(str, parts))}{',' * (len(parts) == 1)})"
    if isinstance(value, float):
        return repr(float(value))  # which NumPy's is too, with a repr of its own
    return repr(value) if value is None or isinstance(value, (bool, int, str)) else None


def _leaf(symbol: Any, spec: Spec) -> Written:
    """Write a name as it is, a number in all its digits, an array as what makes it."""
    if isinstance(symbol, str):
        return Written(symbol)
    if isinstance(symbol, np.ndarray):
        return Written(_array(symbol))
    text = str(symbol)
    return Written(text, SIGNED if text.startswith("-") else ATOM)


def _array(value: Array) -> str:
    dtype = "" if value.dtype == np.float64 else f", {value.dtype.name}"
    for name, plain in (("zeros", np.zeros_like(value)), ("ones", np.ones_like(value))):
        if value.size and np.array_equal(value, plain):
            return f"{name}({value.shape}{dtype})"
    if value.ndim == 2 and np.array_equal(value, np.eye(*value.shape)):
        return f"eye{value.shape}" if not dtype else f"eye({value.shape[0]}, {value.shape[1]}, 0{dtype})"
    if value.size <= 16:
        return f"array({value.tolist()}{'' if value.dtype in (np.int64, np.bool) else dtype})"
    return f"constant {value.dtype}{list(value.shape)}"


def _generic(term: Term, parts: Sequence[Written]) -> Written:
    return call(term, parts, term.params)


PYTHON = Writer({}, _generic, _leaf)
