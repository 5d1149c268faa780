"""Every primitive: the value and its rules side by side, one family a file.

Importing this package makes NumPy's functions work on tensors; the names below are what NumPy lacks.
"""

from . import arithmetic, comparison, elementwise, indexing, linalg, reductions, shape
from .activations import gelu, log_softmax, logsumexp, one_hot, relu, sigmoid, silu, softmax, softplus

__all__ = [
    "arithmetic",
    "comparison",
    "elementwise",
    "gelu",
    "indexing",
    "linalg",
    "log_softmax",
    "logsumexp",
    "one_hot",
    "reductions",
    "relu",
    "shape",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
]
