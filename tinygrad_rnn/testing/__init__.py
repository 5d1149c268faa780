"""Checks that users run on their own functions and cells."""

from .gradcheck import gradcheck

__all__ = ["gradcheck"]
