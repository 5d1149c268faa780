"""The cell lab: from an idea for a cell to an answer, in one call."""

from .study import Report, run

__all__ = ["Report", "run"]
