"""The page: a walk through a graph, forward and backward, in one HTML file that works offline."""

from .explore import Page, explore, page_of
from .first import explore_text

__all__ = ["Page", "explore", "explore_text", "page_of"]
