"""Picture: a drawing as text, which becomes a file of any kind when it is saved or shown."""

from __future__ import annotations

import html
import os
import warnings

from ..core.errors import ConfigError
from .files import file_at
from .layout import KINDS, LayoutError, render

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
</head>
<body>
{svg}</body>
</html>
"""


class Picture:
    """A drawing in Graphviz' language DOT; a notebook shows it by itself.

    Args:
        source: the text, the same for the same graph.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn import viz
        >>> picture = viz.draw(np.tanh(tg.Tensor([1.0], requires_grad=True, name="w")))
        >>> picture.save("tanh.svg")  # doctest: +SKIP
    """

    def __init__(self, source: str) -> None:
        self.source = source

    def svg(self) -> str:
        """Return the drawing as SVG text, an element `<svg>` that refers to nothing outside itself.

        Raises:
            LayoutError: if no Graphviz is installed.
        """
        return render(self.source, "svg").decode()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the drawing to a file.

        Args:
            path: ends in .svg, .png, .pdf, .html or .dot. A page in HTML asks the browser to load nothing.

        Raises:
            ConfigError: if it is no path or ends in something else, or its folder is not there.
            LayoutError: if no Graphviz is installed; .dot needs none.
        """
        path = file_at(path)
        kind = path.suffix.lower().removeprefix(".")
        if kind == "dot":
            path.write_text(self.source, encoding="utf-8")
        elif kind == "html":
            path.write_text(_PAGE.format(title=html.escape(path.stem), svg=self.svg()), encoding="utf-8")
        elif kind in KINDS:
            path.write_bytes(render(self.source, kind))
        else:
            raise ConfigError(f"a picture cannot be saved as {path.name!r}; end it in .svg, .png, .pdf, .html or .dot")

    def _repr_svg_(self) -> str | None:
        try:
            return self.svg()
        except LayoutError as error:
            warnings.warn(str(error), stacklevel=2)
            return None

    def __repr__(self) -> str:
        return f'<Picture, {self.source.count(chr(10))} lines of DOT; save it with .save("graph.svg")>'
