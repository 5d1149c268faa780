"""The page: a walk through a graph, forward and backward, in one HTML file that works offline."""

from .explore import Page, explore

__all__ = ["Page", "explore"]
