"""tinygrad_rnn: recurrent cells as NumPy algebra, with gradients that come from the graph.

NumPy's functions and operators work on tensors; this namespace adds only what NumPy lacks. It is no part of the
library tinygrad.
"""

from .core import (
    Graph,
    Node,
    Primitive,
    Spec,
    Tensor,
    debug,
    enable_grad,
    errors,
    grad,
    gradients,
    implements,
    jvp,
    no_grad,
    random,
    scope,
    value_and_grad,
    vjp,
)
from .ops import gelu, log_softmax, logsumexp, one_hot, relu, sigmoid, silu, softmax, softplus

__version__ = "0.1.0"

__all__ = [
    "Graph",
    "Node",
    "Primitive",
    "Spec",
    "Tensor",
    "debug",
    "enable_grad",
    "errors",
    "gelu",
    "grad",
    "gradients",
    "implements",
    "jvp",
    "log_softmax",
    "logsumexp",

    "no_grad",
    "one_hot",

    "random",
    "relu",
    "scope",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "value_and_grad",
    "vjp",
]
