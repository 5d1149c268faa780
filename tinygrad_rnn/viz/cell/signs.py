"""Signs: how large each symbol is, and what is written on and beside it."""

from __future__ import annotations

from .. import labels
from .model import TEXT_SIZE, Runs, text_width
from .symbols import Symbol

_CIRCLE, _HEIGHT = 4.4, 5.6
# The least width of a gate, and the room beside what is written on it; the latter ones where room is dear.
_GATE_WIDTHS, _MARGINS = (7.0, 5.2), (2.6, 1.6)
_LONGEST = 24
# What the sign of a function looks like where it is more than its name.
_SET: dict[str, Runs] = {
    "W": (("W", "italic"),),
    "|x|": (("|", "roman"), ("x", "italic"), ("|", "roman")),
    "1/x": (("1/", "roman"), ("x", "italic")),
    "√x": (("√", "roman"), ("x", "italic")),
    "σ": (("σ", "italic"),),
}


def sign(symbol: Symbol) -> Runs:
    """Return what is written on a symbol."""
    if symbol.label in _SET:
        return _SET[symbol.label]
    if symbol.label == "x²":
        return (("x", "italic"), ("2", "sup"))
    if symbol.label.startswith("x^"):
        return (("x", "italic"), (symbol.label[2:].replace("-", "−"), "sup"))
    return ((labels.clean(symbol.label, _LONGEST), "roman"),)


def size(symbol: Symbol, narrow: bool = False) -> tuple[float, float]:
    """Return width and height of a symbol in millimetres; 0 of what has no outline."""
    if symbol.kind == "circle":
        return _CIRCLE, _CIRCLE
    width = text_width(sign(symbol)) + _MARGINS[narrow]
    if symbol.kind in ("gate", "box"):
        return max(_GATE_WIDTHS[narrow], width), _HEIGHT
    if symbol.kind == "pill":
        return max(_HEIGHT, width + 0.8), _CIRCLE
    return 0.0, 0.0


def name(symbol: Symbol) -> Runs:
    """Return the name of the value that a symbol computes; nothing where none is shown."""
    if symbol.kind in ("merge", "input", "state", "output", "next") or not symbol.name:
        return ()
    return _with_index(symbol.name)


def end(symbol: Symbol) -> Runs:
    """Return what stands where a line begins or ends, with the time."""
    base, *index = _with_index(symbol.name)
    time = (("t", "sub italic"), ("−1", "sub")) if symbol.kind == "state" else (("t", "sub italic"),)
    comma = ((",", "sub"),) if index else ()
    return (base, *index, *comma, *time)


def _with_index(text: str) -> Runs:
    """Set what follows the first low line of a name, or the digits at its end, as its index."""
    text = labels.clean(text, _LONGEST)
    base, _, index = text.strip("_").partition("_")
    if not index:
        base = text.rstrip("0123456789")
        index = text[len(base) :]
    if not base or not index:
        return ((text, "italic"),)
    return ((base, "italic"), (index, "sub" if index.isdigit() else "sub italic"))


def height_of_letters() -> float:
    """Return the height of a capital letter."""
    return 0.66 * TEXT_SIZE
