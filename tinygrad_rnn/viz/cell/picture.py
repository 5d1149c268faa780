"""CellPicture: the drawing of a cell, which becomes a file of any kind when it is saved or shown."""

from __future__ import annotations

import os

from ...core.errors import ConfigError
from ..files import file_at
from .model import Figure
from .paint import paint
from .svg import svg
from .tikz import tikz


class CellPicture:
    """A cell drawn as in a textbook; a notebook shows it by itself.

    Args:
        figure: what is drawn, in millimetres.
        title: what it shows, for those who cannot see it.

    Example:
        >>> from tinygrad_rnn import nn, viz
        >>> picture = viz.draw_cell(nn.RNNCell(3, 4))
        >>> picture.save("rnn.pdf")  # doctest: +SKIP
    """

    def __init__(self, figure: Figure, title: str) -> None:
        self.figure = figure
        self.title = title

    def svg(self) -> str:
        """Return the drawing as SVG text, an element `<svg>` that refers to nothing outside itself."""
        return svg(self.figure, self.title)

    def tikz(self) -> str:
        """Return the drawing as the source of a LaTeX document that needs no package but TikZ and geometry.

        Greek letters stand as such; other letters beyond ASCII are "?", since the fonts of the document are not known.
        """
        return tikz(self.figure)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the drawing to a file.

        Args:
            path: ends in .svg, .tex, .pdf or .png. A .pdf has its fonts in it, a .png 300 dots an inch.

        Raises:
            ConfigError: if it is no path or ends in something else, or its folder is not there.
            LayoutError: if matplotlib is not installed; .svg and .tex need none.
        """
        path = file_at(path)
        kind = path.suffix.lower().removeprefix(".")
        if kind == "svg":
            path.write_text(self.svg(), encoding="utf-8")
        elif kind == "tex":
            path.write_text(self.tikz(), encoding="utf-8")
        elif kind in ("pdf", "png"):
            path.write_bytes(paint(self.figure, kind))
        else:
            raise ConfigError(
                f"the drawing of a cell cannot be saved as {path.name!r}; end it in .svg, .tex, .pdf or .png"
            )

    def _repr_svg_(self) -> str:
        return self.svg()

    def __repr__(self) -> str:
        return f'<CellPicture, {self.figure.width:.0f} mm wide; save it with .save("cell.pdf")>'
