"""The named errors of cell pictures."""

from __future__ import annotations

from ...core.errors import TinygradRNNError


class CellLayoutError(TinygradRNNError, ValueError):
    """A cell that cannot be laid out in the manner of a textbook."""
