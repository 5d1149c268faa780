"""Plots: what every figure of this package shares, and matplotlib, which is imported here and only when it is used."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ConfigError, TinygradRNNError
from ..files import file_at

Array = NDArray[Any]

KINDS = ("svg", "png", "pdf")
# Okabe and Ito 2008: told apart by every kind of colour vision; marks and dashes tell them apart in print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":")
MARKS = ("o", "s", "^", "D", "v")
# Its lightness grows evenly, so that it reads the same in grey and with every kind of colour vision.
HEAT = "cividis"
_STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "pdf.fonttype": 42,
    "svg.hashsalt": "tinygrad_rnn",
}
_LEAST = 1e-290
_UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
_SIGNS = {"\n": "↵", "\t": "→", " ": "·", "\r": "←"}


class PlottingError(TinygradRNNError, ImportError):
    """A plot was asked for and matplotlib is not installed."""


class Plot:
    """Numbers with a figure of them; a notebook shows it by itself."""

    def figure(self) -> Any:
        """Draw the figure.

        Returns:
            A `matplotlib.figure.Figure`, a new one at every call.

        Raises:
            PlottingError: if matplotlib is not installed.
        """
        with style():
            return self._draw()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the figure to a file.

        Args:
            path: ends in .svg, .png or .pdf.

        Raises:
            ConfigError: if it is no path or ends in something else, or its folder is not there.
            PlottingError: if matplotlib is not installed.
        """
        path = file_at(path)
        kind = path.suffix.lower().removeprefix(".")
        if kind not in KINDS:
            raise ConfigError(f"a figure cannot be saved as {path.name!r}; end it in .svg, .png or .pdf")
        path.write_bytes(self._drawn(kind))

    def _draw(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no _draw; write it")

    def _drawn(self, kind: str) -> bytes:
        file = io.BytesIO()
        with style():
            more = {"pil_kwargs": {"optimize": True}} if kind == "png" else {}
            self._draw().savefig(file, format=kind, dpi=110, metadata=_UNDATED[kind], **more)
        return file.getvalue()

    def _repr_png_(self) -> bytes:
        return self._drawn("png")


def style() -> Any:
    """Return a context in which figures look alike, whatever the user has set.

    Raises:
        PlottingError: if matplotlib is not installed.
    """
    matplotlib = _matplotlib()
    return matplotlib.rc_context({**matplotlib.rcParamsDefault, **_STYLE, "backend": "agg"})


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure of a size in inches, which pyplot knows nothing of."""
    _matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError:
        raise PlottingError(
            'plots need matplotlib, which is not installed; pip install "tinygrad_rnn[viz]" brings it'
        ) from None
    return matplotlib


def heat(axes: Any, values: Array, **scale: Any) -> Any:
    """Draw an array (rows, steps) as a heat map with one column a step, and return what a colour bar needs."""
    image = axes.imshow(values, aspect="auto", interpolation="nearest", cmap=HEAT, origin="upper", **scale)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image


def log_scale(values: Array, decades: float = 8) -> dict[str, Any]:
    """Return the logarithmic scale of a heat map: from the greatest number down, so many decades at most."""
    from matplotlib.colors import LogNorm

    positive = on_log_scale(values)
    top = float(positive.max()) if positive.size else 1.0
    bottom = max(float(positive.min()) if positive.size else 0.1, top * 10**-decades)
    return {"norm": LogNorm(min(bottom, top / 10), top, clip=True)}


def on_log_scale(values: Array) -> Array:
    """Return the numbers that a logarithmic scale can show; the least that there are count as zeros."""
    found: Array = values[np.isfinite(values) & (values > _LEAST)]
    return found


def show_text(axes: Any, text: str, room: int = 120) -> None:
    """Write a text under a heat map with one column a character; its places alone where it is longer than the room."""
    if len(text) > room:
        axes.set_xlabel("place in the text (characters)")
        return
    axes.set_xticks(range(len(text)), [shown(character) for character in text], va="baseline")
    axes.tick_params(axis="x", length=0, labelsize=7, pad=8)
    axes.set_xlabel("character read")


def shown(character: str) -> str:
    """Return a sign for a character that a figure can show: blanks as signs, what the font does not have as a box."""
    if character in _SIGNS:
        return _SIGNS[character]
    return plain(character) if character.isprintable() and _has_glyph(character) else "□"


def plain(text: str) -> str:
    """Return a name that matplotlib writes as it is: dollars would make a formula of it."""
    return "".join([character if character.isprintable() else "□" for character in text]).replace("$", r"\$")


def _has_glyph(character: str) -> bool:
    from matplotlib import font_manager

    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return bool(font.get_char_index(ord(character)))


def row_norms(values: Array, first: int) -> Array:
    """Return the norms over all axes from the first of them on, in float64."""
    norms: Array = np.sqrt(np.square(values, dtype=float).sum(axis=tuple(range(first, values.ndim))))
    return norms
