"""Every primitive: the value and its rules side by side, one family a file.

Importing this package makes NumPy's functions work on tensors; the names below are what NumPy lacks.
"""

from . import (
    algebra,
    aliases,
    arithmetic,
    classification,
    comparison,
    decompositions,
    elementwise,
    indexing,
    latex,
    layout,
    linalg,
    notation,
    pairs,
    reductions,
    shape,
    transcendental,
)
from .activations import gelu, log_softmax, logsumexp, one_hot, relu, sigmoid, silu, softmax, softplus

__all__ = [
    "algebra",
    "aliases",
    "arithmetic",
    "classification",
    "comparison",
    "decompositions",
    "elementwise",
    "gelu",
    "indexing",
    "latex",
    "layout",
    "linalg",
    "log_softmax",
    "logsumexp",
    "notation",
    "one_hot",
    "pairs",
    "reductions",
    "relu",
    "shape",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "transcendental",
]
