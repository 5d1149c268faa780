"""Checks that users run on their own functions and cells."""

from .gradcheck import NotDifferentiableError, dot_product_check, gradcheck

__all__ = ["NotDifferentiableError", "dot_product_check", "gradcheck"]
