"""Equations in LaTeX: those of a graph, or of one step of a loop, and of their backward passes."""

from .equations import Equations, Parts
from .lines import aligned

__all__ = ["Equations", "Parts", "aligned"]
