"""Wrappers: cells around any cell, which add noise, connections or a new start to what it does."""

from .around import Projection, Residual
from .base import WrappedCell
from .dropout import RecurrentDropout, VariationalDropout, WeightDrop
from .reset import ResetAt, ResetWhere
from .zoneout import Zoneout

__all__ = [
    "Projection",
    "RecurrentDropout",
    "ResetAt",
    "ResetWhere",
    "Residual",
    "VariationalDropout",
    "WeightDrop",
    "WrappedCell",
    "Zoneout",
]
