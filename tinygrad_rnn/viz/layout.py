"""Layout: from DOT source to a file's bytes, by whichever Graphviz this machine has."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import subprocess

from ..core.errors import TinygradRNNError

KINDS = ("svg", "png", "pdf")
_ADVICE = 'pip install "tinygrad_rnn[viz]" brings one; .save("graph.dot") needs none'


class LayoutError(TinygradRNNError, RuntimeError):
    """No Graphviz on this machine to lay a picture out, or one that failed."""


def render(source: str, kind: str) -> bytes:
    """Lay out and draw: by the `dot` program where there is one, else by pygraphviz inside this process.

    Args:
        source: a graph in Graphviz' language DOT.
        kind: "svg", "png" or "pdf".

    Returns:
        The contents of such a file. An SVG refers to nothing outside itself.

    Raises:
        LayoutError: if neither is installed, or if what is installed cannot draw.

    Source: Gansner, Koutsofios, North and Vo 1993, *A technique for drawing directed graphs*.

    Example:
        >>> from tinygrad_rnn.viz.layout import render
        >>> render("digraph { a -> b }", "svg")[:4]
        b'<svg'
    """
    drawn = _by_program(source, kind)
    if not drawn:
        drawn = _in_process(source, kind)
    return _plain(drawn) if kind == "svg" else drawn


def _by_program(source: str, kind: str) -> bytes:
    """Return what the `dot` program draws; nothing where it is missing or was built without that kind of file."""
    program = shutil.which("dot")
    if program is None:
        return b""
    command = [program, f"-T{kind}", *_resolution(kind)]
    return subprocess.run(command, input=source.encode(), capture_output=True, check=False).stdout


def _in_process(source: str, kind: str) -> bytes:
    try:
        from pygraphviz import AGraph
    except ImportError:
        raise LayoutError(f"no program to lay out the picture was found: {_ADVICE}") from None
    try:
        # It warns about large graphs on stderr; what is too large was refused before.
        with contextlib.redirect_stderr(io.StringIO()):
            drawn: bytes = AGraph(string=source).draw(format=kind, prog="dot", args=" ".join(_resolution(kind)))
    except (ValueError, TypeError, OSError) as error:  # TypeError is pygraphviz stumbling over a failure
        reason = " ".join(str(error).split())[:200]
        raise LayoutError(f"the installed Graphviz cannot draw .{kind} ({reason}): {_ADVICE}") from error
    return drawn


def _resolution(kind: str) -> list[str]:
    return ["-Gdpi=192"] if kind == "png" else []


def _plain(svg: bytes) -> bytes:
    """Take away what stands before the picture: a document type at a foreign address, and the version's comment."""
    text = svg.decode()
    text = re.sub(r"<!--.*?-->\n?", "", text[text.index("<svg") :], flags=re.DOTALL)
    return text.encode()
