"""Checks that users run on their own functions and cells."""

from .cells import CellWarning, cell_checks, check_cell
from .gradcheck import NotDifferentiableError, dot_product_check, gradcheck

__all__ = [
    "CellWarning",
    "NotDifferentiableError",
    "cell_checks",
    "check_cell",
    "dot_product_check",
    "gradcheck",
]
