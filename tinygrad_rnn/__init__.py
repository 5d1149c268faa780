"""tinygrad_rnn: recurrent cells as NumPy algebra, with gradients that come from the graph.

NumPy's functions and operators work on tensors; this namespace adds only what NumPy lacks. It is no part of the
library tinygrad.
"""

from . import data, interop, lab, nn, optim, testing, train, viz
from .core import (
    Graph,
    Node,
    Primitive,
    Spec,
    Tensor,
    checkpoint,
    debug,
    enable_grad,
    errors,
    grad,
    gradients,
    hessian,
    hvp,
    implements,
    jacobian,
    jvp,
    keep_values,
    no_grad,
    per_sample_grad,
    random,
    scope,
    value_and_grad,
    vjp,
    vmap,
)
from .ops import gelu, log_softmax, logsumexp, one_hot, relu, sigmoid, silu, softmax, softplus
from .scan import engine, linear_recurrence

__version__ = "0.1.0"

__all__ = [
    "Graph",
    "Node",
    "Primitive",
    "Spec",
    "Tensor",
    "checkpoint",
    "data",
    "debug",
    "enable_grad",
    "engine",
    "errors",
    "gelu",
    "grad",
    "gradients",
    "hessian",
    "hvp",
    "implements",
    "interop",
    "jacobian",
    "jvp",
    "keep_values",
    "lab",
    "linear_recurrence",
    "log_softmax",
    "logsumexp",
    "nn",
    "no_grad",
    "one_hot",
    "optim",
    "per_sample_grad",
    "random",
    "relu",
    "scope",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "testing",
    "train",
    "value_and_grad",
    "viz",
    "vjp",
    "vmap",
]
