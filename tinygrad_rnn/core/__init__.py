"""The engine: tensors, nodes, primitives and the reverse sweep. It knows no operation by name."""

from . import errors, random
from .backward import Addend
from .checkpoint import checkpoint
from .graph import Graph
from .modes import debug, enable_grad, keep_values, no_grad, scope
from .node import Array, Node, Spec
from .per_sample import per_sample_grad
from .primitive import Primitive, implements
from .stacked import vmap
from .tensor import HookHandle, Tensor
from .transforms import grad, gradients, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__all__ = [
    "Addend",
    "Array",
    "Graph",
    "HookHandle",
    "Node",
    "Primitive",
    "Spec",
    "Tensor",
    "checkpoint",
    "debug",
    "enable_grad",
    "errors",
    "grad",
    "gradients",
    "hessian",
    "hvp",
    "implements",
    "jacobian",
    "jvp",
    "keep_values",
    "no_grad",
    "per_sample_grad",
    "random",
    "scope",
    "value_and_grad",
    "vjp",
    "vmap",
]
