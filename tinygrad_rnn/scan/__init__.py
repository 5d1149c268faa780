"""Loops over time."""

from .eager import scan

__all__ = ["scan"]
