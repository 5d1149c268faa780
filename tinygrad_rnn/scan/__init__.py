"""Loops over time, and the compiler that makes them fast."""

from .engines import engine
from .loop import scan

__all__ = ["engine", "scan"]
