"""Pictures of graphs: a reader of `core.Graph` that knows no layer and no class of operation."""

from .dot import TooLargeError
from .drawing import draw
from .latex import latex
from .layout import LayoutError
from .picture import Picture

__all__ = ["LayoutError", "Picture", "TooLargeError", "draw", "latex"]
