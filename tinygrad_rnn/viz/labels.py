"""Labels: what stands in and behind a node of a drawing, as text that is safe whatever users call their things."""

from __future__ import annotations

import html
import unicodedata
from typing import Any

import numpy as np

from ..core import Node, Spec

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
_GREY = "#666666"


def clean(text: str, limit: int = 48) -> str:
    """Return a name on one line, no longer than `limit`, without characters that XML or a screen cannot show."""
    if len(text) > limit:
        text = f"{text[: limit // 2]}…{text[-(limit // 2) :]}"
    # Control and format characters, lone surrogates, code points that stand for nothing.
    shown = ["\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Cn", "Co") else c for c in text]
    return "".join(shown)


def markup(title: str, name: str = "", small: str = "") -> str:
    """Return an HTML-like label: a title and, below it in small letters, a name and a grey note."""
    # The sign hangs below its line and would touch what stands there.
    top = '<FONT POINT-SIZE="10">@</FONT>' if title == "@" else html.escape(title) or " "
    bottom = [f'<FONT POINT-SIZE="10"><I>{html.escape(name)}</I></FONT>'] if name else []
    if small:
        bottom.append(f'<FONT POINT-SIZE="8" COLOR="{_GREY}">{html.escape(small)}</FONT>')
    return f"<{'<BR/>'.join([top, *([' '.join(bottom)] if bottom else [])])}>"


def ports(title: str, names: list[str], small: str) -> str:
    """Return an HTML-like label with one field for each result, so that edges leave from their own."""
    fields = "".join(
        [
            f'<TD PORT="s{i}" WIDTH="34">{f"<I>{html.escape(name)}</I>" if name else i}</TD>'
            for i, name in enumerate(names)
        ]
    )
    return (
        '<<TABLE BORDER="0" CELLBORDER="1" CELLSPACING="0" CELLPADDING="3" COLOR="#444444">'
        f'<TR><TD COLSPAN="{len(names)}">{html.escape(title)} '
        f'<FONT POINT-SIZE="8" COLOR="{_GREY}">{html.escape(small)}</FONT></TD></TR><TR>{fields}</TR></TABLE>>'
    )


def shape(spec: Any) -> str:
    """Return a shape as NumPy writes it; nothing where there is none."""
    dims = getattr(spec, "shape", None)
    return "" if dims is None else f"({', '.join(map(str, dims))}{',' * (len(dims) == 1)})"


def typed(spec: Any) -> str:
    """Return dtype and shape."""
    return f"{spec.dtype} {shape(spec)}"


def operation(node: Node) -> str:
    """Return the symbol of a node's operation, with the numbers it works on: "1 −" for 1 - x."""
    name = node.operation
    if name == "getitem":
        return f"[{_index(node.params.get('index'))}]"
    symbol = SYMBOLS.get(name, clean(name.lstrip("_"), 24))
    # What came from a node is no constant, be it one number that was kept.
    args = [None if parent is not None else arg for parent, arg in zip(node.parents, node.args or (), strict=False)]
    before = [number(arg) for arg in args[:1] if is_number(arg)]
    after = [number(arg) for arg in args[1:] if is_number(arg)]
    return " ".join([*before, symbol, *after])


def is_number(arg: Any) -> bool:
    """Return whether a constant is a single number whose value is known, which stands in the label itself."""
    return isinstance(arg, (bool, int, float, np.generic)) or (isinstance(arg, np.ndarray) and arg.ndim == 0)


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


def details(node: Node) -> str:
    """Return the tooltip: the operation with its settings, the type of its result, where it was made."""
    settings = ", ".join([f"{key}={_setting(value)}" for key, value in node.params.items()])
    call = f"{node.operation}({settings})" if settings else node.operation
    lines = [clean(node.name, 200)] if node.name else []
    lines += [clean(call, 200), ", ".join([typed(spec) for spec in node.specs[:8]])]
    return "\n".join([*lines, clean(path(node.scope), 200)] if node.scope else lines)


def path(scope: tuple[str | int, ...]) -> str:
    """Return a scope as text; an integer in it is a time step."""
    return " / ".join([f"t = {part}" if isinstance(part, int) else part for part in scope])


def short(name: str, scope: tuple[str | int, ...]) -> str:
    """Return a parameter's name without the path that the boxes around it show already."""
    owner, _, last = name.rpartition(".")
    around = ".".join([part for part in scope if isinstance(part, str)])
    inside = owner == around or around.endswith(f".{owner}") or owner.endswith(f".{around}")
    return clean(last if owner and around and inside else name, 40)


def _index(index: Any) -> str:
    return ", ".join(map(_setting, index)) if isinstance(index, tuple) else _setting(index)


def _setting(value: Any) -> str:
    if value is None or isinstance(value, (bool, int, float, str, np.generic, np.dtype)):
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
