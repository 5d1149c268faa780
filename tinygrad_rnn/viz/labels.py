"""Labels: what stands in and behind a node of a drawing, as text that is safe whatever users call their things."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core import Node, Spec
from . import looks
from .diagram import Repeat, Scope

# By the name of the operation; what is missing here is shown by its name.
SYMBOLS = {
    "absolute": "|·|",
    "add": "+",
    "broadcast_to": "broadcast",
    "concatenate": "concat",
    "divide": "÷",
    "matmul": "@",
    "multiply": "×",
    "negative": "−",
    "power": "^",
    "prod": "Π",
    "scatter_add": "scatter",
    "sigmoid": "σ",
    "sqrt": "√",
    "square": "^ 2",
    "subtract": "−",
    "sum": "Σ",
    "transpose": "ᵀ",
}
# Operations whose first and second argument are not alike: drawn from left to right.
ORDERED = frozenset({"divide", "matmul", "power", "subtract"})


def clean(text: str, limit: int = 48) -> str:
    """Return a name on one line, no longer than `limit`, without characters that XML or a screen cannot show."""
    if len(text) > limit:
        text = f"{text[: limit // 2]}…{text[-(limit // 2) :]}"
    # Control and format characters, lone surrogates, code points that stand for nothing.
    shown = ["\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Cn", "Co") else c for c in text]
    return "".join(shown)


def escaped(text: str) -> str:
    """Return text for an HTML-like label."""
    return html.escape(clean(text, 120))


class Moving(NamedTuple):
    """A number that differs from step to step, as text: "t", "t + 1", "9 − t"."""

    text: str

    def __str__(self) -> str:
        return self.text


def markup(title: str, name: str = "", notes: Sequence[str] = (), colour: str = looks.GREY) -> str:
    """Return an HTML-like label: a title and, below it in small letters, a name and grey notes, a line each."""
    # The sign hangs below its line and would touch what stands there.
    top = '<FONT POINT-SIZE="10">@</FONT>' if title == "@" else html.escape(title) or " "
    small = [f'<FONT POINT-SIZE="8" COLOR="{colour}">{html.escape(note)}</FONT>' for note in notes]
    if name:
        small[:1] = [" ".join([f'<FONT POINT-SIZE="10"><I>{html.escape(name)}</I></FONT>', *small[:1]])]
    return f"<{'<BR/>'.join([top, *small])}>"


def ports(title: str, names: Sequence[str], notes: Sequence[str]) -> str:
    """Return an HTML-like label with one field for each result, so that edges leave from their own."""
    small = "<BR/>".join([f'<FONT POINT-SIZE="8" COLOR="{looks.GREY}">{html.escape(note)}</FONT>' for note in notes])
    fields = "".join(
        [
            f'<TD PORT="s{i}" WIDTH="34">{f"<I>{html.escape(name)}</I>" if name else i}</TD>'
            for i, name in enumerate(names)
        ]
    )
    return (
        '<<TABLE BORDER="0" CELLBORDER="1" CELLSPACING="0" CELLPADDING="3" COLOR="#444444">'
        f'<TR><TD COLSPAN="{len(names)}">{html.escape(title)} {small}</TD></TR><TR>{fields}</TR></TABLE>>'
    )


def shape(spec: Any) -> str:
    """Return a shape as NumPy writes it; nothing where there is none."""
    dims = getattr(spec, "shape", None)
    return "" if dims is None else f"({', '.join(map(str, dims))}{',' * (len(dims) == 1)})"


def typed(spec: Any) -> str:
    """Return dtype and shape."""
    return f"{spec.dtype} {shape(spec)}"


def operation(node: Node, params: Mapping[str, Any] | None = None, args: Sequence[Any] | None = None) -> str:
    """Return the symbol of a node's operation, with the numbers it works on: "1 −" for 1 - x.

    Args:
        node: the node.
        params: settings to show in place of its own, in which the time may stand as a letter.
        args: arguments to show in place of its own.
    """
    name = node.operation
    if name == "getitem":
        return f"[{_index((node.params if params is None else params).get('index'))}]"
    symbol = SYMBOLS.get(name, clean(name.lstrip("_"), 24))
    args = node.arguments if args is None else args
    # What is computed is seen by its edge.
    args = [None if parent is not None else arg for parent, arg in zip(node.parents, args, strict=False)]
    before = [number(arg) for arg in args[:1] if is_number(arg)]
    after = [number(arg) for arg in args[1:] if is_number(arg)]
    return " ".join([*before, symbol, *after])


def is_number(arg: Any) -> bool:
    """Return whether a constant is a single number whose value is known, which stands in the label itself."""
    return isinstance(arg, (bool, int, float, np.generic, Moving)) or (isinstance(arg, np.ndarray) and arg.ndim == 0)


def number(value: Any) -> str:
    """Return a number in at most six digits."""
    return f"{value:g}" if isinstance(value, (float, np.floating)) else clean(str(value), 12)


def constant(arg: Any) -> tuple[str, str]:
    """Return what to write on a constant array: a title and its shape."""
    if isinstance(arg, np.ndarray) and arg.size and arg.dtype.kind in "fiub":
        first = arg.flat[0]
        if first in (0, 1) and (arg == first).all():
            return ("zeros", "ones")[int(first)], shape(arg)
    if isinstance(arg, (np.ndarray, Spec)):
        return clean(str(arg.dtype)), shape(arg)
    return "constant", ""


def details(node: Node, params: Mapping[str, Any] | None = None) -> str:
    """Return the tooltip: the operation with its settings, the type of its result, where it was made."""
    shown = node.params if params is None else params
    settings = ", ".join([f"{key}={_setting(value)}" for key, value in shown.items()])
    call = f"{node.operation}({settings})" if settings else node.operation
    lines = [clean(node.name, 200)] if node.name else []
    lines += [clean(call, 200), ", ".join([typed(spec) for spec in node.specs[:8]])]
    return "\n".join([*lines, clean(path(node.scope), 200)] if node.scope else lines)


def path(scope: Scope) -> str:
    """Return a scope as text; an integer in it is a time step."""
    return " / ".join(
        [part.title if isinstance(part, Repeat) else f"t = {part}" if isinstance(part, int) else part for part in scope]
    )


def short(name: str, scope: Scope) -> str:
    """Return a parameter's name without the path that the boxes around it show already."""
    owner, _, last = name.rpartition(".")
    around = ".".join([part for part in scope if isinstance(part, str)])
    inside = owner == around or around.endswith(f".{owner}") or owner.endswith(f".{around}")
    return clean(last if owner and around and inside else name, 40)


def _index(index: Any) -> str:
    return ", ".join(map(_setting, index)) if isinstance(index, tuple) else _setting(index)


def _setting(value: Any) -> str:
    if value is None or isinstance(value, (bool, int, float, str, np.generic, np.dtype, Moving)):
        return str(value)
    if value is Ellipsis:
        return "..."
    if isinstance(value, slice):
        parts = ["" if part is None else _setting(part) for part in (value.start, value.stop, value.step)]
        return ":".join(parts if parts[2] else parts[:2])
    if isinstance(value, (tuple, list)):
        inner = ", ".join(map(_setting, value))
        return f"({inner}{',' * (len(value) == 1)})"
    # No repr: that of an object without one is its address, another in every run.
    return "·"
