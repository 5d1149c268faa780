"""Loops over time, and the compiler that makes them fast."""

from .engines import engine
from .linear import linear_recurrence
from .loop import scan
from .source import source
from .stepper import Stepper

__all__ = ["Stepper", "engine", "linear_recurrence", "scan", "source"]
