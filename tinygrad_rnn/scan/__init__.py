"""Loops over time, and the compiler that makes them fast."""

from .engines import engine
from .linear import linear_recurrence
from .loop import scan

__all__ = ["engine", "linear_recurrence", "scan"]
