"""Pictures of graphs and of what happens through time: readers that know no layer and no class of operation."""

from .cell import CellLayoutError, CellPicture, draw_cell
from .drawing import FoldError, TooLargeError, draw
from .latex import latex
from .layout import LayoutError
from .page import Page, explore
from .picture import Picture
from .through_time import PlottingError, gates, gradient_flow, neurons, training

__all__ = [
    "CellLayoutError",
    "CellPicture",
    "FoldError",
    "LayoutError",
    "Page",
    "Picture",
    "PlottingError",
    "TooLargeError",
    "draw",
    "draw_cell",
    "explore",
    "gates",
    "gradient_flow",
    "latex",
    "neurons",
    "training",
]
