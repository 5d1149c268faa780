"""Text of NumPy: names, numbers, views, operations, as one writes them."""

from __future__ import annotations

import keyword
import linecache
import math
import re
from collections import Counter
from typing import Any

import numpy as np

from ..core import Node, Spec
from ..ops.indexing import _ARRAY
from .families import index_text, is_reduction

_RESERVED = frozenset({"t", "time", "np", "saved", "bool", "len", "range", "reversed", "results", "empty"})


class Names:
    """The names of one function, each given once."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def new(self, hint: str) -> str:
        """Return a name that is not taken."""
        name = re.sub(r"\W+", "_", hint).strip("_") or "value"
        if name[0].isdigit() or keyword.iskeyword(name) or name in _RESERVED:
            name = f"{name}_" if not name[0].isdigit() else f"_{name}"
        self._taken[name] += 1
        number = self._taken[name]
        return name if number == 1 else self.new(f"{name}_{number}")


def shape_text(first: str, shape: tuple[int, ...]) -> str:
    """Return a shape whose first length has a name."""
    return f"({', '.join([first, *map(str, shape)])}{',' * (not shape)})"


def dtype_text(spec: Spec) -> str:
    """Return a dtype."""
    return f"np.{spec.dtype.name}" if spec.dtype.kind != "b" else "bool"


def number_text(value: Any) -> str:
    """Return a Python number."""
    if isinstance(value, float) and not math.isfinite(value):
        return "np.nan" if math.isnan(value) else "np.inf" if value > 0 else "-np.inf"
    return repr(value)


def literal_text(value: Any) -> str | None:
    """Return a parameter of an operation; None where no text gives it back."""
    if isinstance(value, np.dtype):
        return f"np.dtype({value.name!r})"
    if type(value) is tuple:
        parts = [literal_text(part) for part in value]
        return None if None in parts else f"({', '.join(parts)}{',' * (len(parts) == 1)})"  # type: ignore[arg-type]
    if value is None or value is Ellipsis or type(value) in (bool, int, str, slice):
        return repr(value)
    return number_text(value) if type(value) is float else None


def gather_text(node: Node, a: list[str]) -> str:
    """Return the text that reads elements of an array by index arrays: the array and they are the operands."""
    return f"{a[0]}[{_gathering(node, a)}]"


def scatter_texts(node: Node, a: list[str], out: str) -> list[str]:
    """Return the lines that add elements up where index arrays say, in a new array.

    Args:
        node: the operation.
        a: what to add, and the index arrays.
        out: the name of the new array.
    """
    key = a[1] if node.params["index"] == (_ARRAY,) else f"np.s_[{_gathering(node, a)}]"
    return [f"{out} = np.zeros({node.specs[0].shape}, {dtype_text(node.specs[0])})", f"np.add.at({out}, {key}, {a[0]})"]


def _gathering(node: Node, a: list[str]) -> str:
    rest = iter(a[1:])
    return ", ".join([next(rest) if part is _ARRAY else index_text(part) for part in node.params["index"]])


def widened(name: str, ndim: int, own: int) -> str:
    """Return an array over time with axes put in, so that it broadcasts as its value of one step does.

    Args:
        name: of the array.
        ndim: axes of what it is to be combined with.
        own: axes of the value of one step.
    """
    return name if own >= ndim else f"{name}[:, {', '.join(['None'] * (ndim - own))}]"


def view_texts(node: Node, name: str, shift: int) -> list[str]:
    """Return the text of each result of a view, `shift` axes behind those of its own."""
    lead = ":, " * shift
    params = node.params
    if node.operation == "split":
        axis, start, texts = params["axis"], 0, []
        for stop in params["bounds"]:
            texts.append(f"{name}[{lead}{':, ' * axis}{start}:{stop}]")
            start = stop
        return texts
    if node.operation == "getitem":
        index = index_text(params["index"])
        return [f"{name}[{lead}{index}]" if index != "()" or shift else f"{name}[()]"]
    if node.operation == "transpose":
        if not shift and params["axes"] == (1, 0):
            return [f"{name}.T"]
        axes = (0, *[axis + 1 for axis in params["axes"]]) if shift else params["axes"]
        return [f"np.transpose({name}, {axes})"]
    shape = node.specs[0].shape
    first = shape_text(f"{name}.shape[0]", shape) if shift else repr(shape)
    if node.operation == "reshape":
        return [f"{name}.reshape({first})"]
    parent = node.parents[0]
    assert parent is not None
    wide = widened(name, len(shape), len(parent.specs[node.slots[0]].shape)) if shift else name
    return [f"np.broadcast_to({wide}, {first})"]


def statements(node: Node, a: list[str], out: str) -> list[str] | None:
    """Return the lines that write the result of an operation into an array; None for what has no such lines of its own.

    Args:
        node: the operation.
        a: its operands.
        out: the array; it may be an operand of an elementwise operation other than `where`, `clip` and `softplus`.
    """
    operation, forward = node.operation, getattr(node.primitive, "forward", None)
    if operation == "sigmoid":
        return [
            f"np.negative({a[0]}, out={out})",
            f"np.exp({out}, out={out})",
            f"np.add({out}, 1, out={out})",
            f"np.reciprocal({out}, out={out})",
        ]
    if operation == "relu":
        return [f"np.maximum({a[0]}, 0, out={out})"]
    if operation == "softplus":
        return [
            f"np.absolute({a[0]}, out={out})",
            f"np.negative({out}, out={out})",
            f"np.exp({out}, out={out})",
            f"np.log1p({out}, out={out})",
            f"np.add({out}, np.maximum({a[0]}, 0), out={out})",
        ]
    if operation == "where":
        return [f"np.copyto({out}, {a[2]})", f"np.copyto({out}, {a[1]}, where={a[0]})"]
    if operation == "astype":
        return [f"np.copyto({out}, {a[0]}, casting='unsafe')"]
    if operation == "clip":
        return [f"np.clip({', '.join(a)}, out={out})"]
    if isinstance(forward, np.ufunc):
        return [f"np.{forward.__name__}({', '.join(a)}, out={out})"]
    if is_reduction(node):
        given = ", ".join([f"{key}={value!r}" for key, value in node.params.items()])
        return [f"np.{operation}({a[0]}, {given}, out={out})"]
    return None


def code_of(line: str) -> str:
    """Return the code that stands in a line of a file; the line itself where the file cannot be read."""
    file, _, number = line.rpartition(":")
    return linecache.getline(file, int(number)).strip() or line
