"""Drawings of recurrent cells in the manner of a textbook, each made from the graph of one step."""

from .draw import draw_cell
from .errors import CellLayoutError
from .picture import CellPicture

__all__ = ["CellLayoutError", "CellPicture", "draw_cell"]
