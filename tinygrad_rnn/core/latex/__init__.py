"""Equations in LaTeX: those of a graph, or of one step of a loop, and of their backward passes."""

from .equations import Equations
from .lines import aligned
from .parts import Parts

__all__ = ["Equations", "Parts", "aligned"]
