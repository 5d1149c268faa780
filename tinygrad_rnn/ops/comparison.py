"""Functions whose results are no numbers to differentiate: comparisons, tests, indices, shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.primitive import Primitive, implements, value_of
from ..core.stacked import Stacked, on_members
from ..core.tensor import Tensor
from ..core.trace import Abstract
from ..core.tree import tree_map

# The shape of what these give follows from shapes alone, so that they can be traced.
_TRACEABLE: tuple[Callable[..., Any], ...] = (
    *(np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal),
    *(np.isnan, np.isfinite, np.isinf, np.isneginf, np.isposinf, np.signbit),
    *(np.logical_and, np.logical_or, np.logical_not, np.logical_xor),
    *(np.any, np.all, np.count_nonzero, np.argmax, np.argmin, np.argsort),
)

_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    *_TRACEABLE,
    *(np.nonzero, np.flatnonzero, np.argwhere, np.searchsorted),
    *(np.array_equal, np.allclose, np.isclose),
    *(np.array_repr, np.array_str, np.array2string),
)

# These ask for shape and dtype alone, which a stack inside vmap can tell.
_OF_SPECS: tuple[Callable[..., Any], ...] = (
    *(np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj, np.isrealobj),
    *(np.zeros_like, np.ones_like, np.full_like, np.empty_like),
)


def _on_values(function: Callable[..., Any]) -> None:
    traced = Primitive(function.__name__, function, saves=()) if function in _TRACEABLE else None
    if traced is not None:
        traced.defjvp_joint(lambda tangents, outs, args, **params: (None,))

    @implements(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if traced is not None and any(type(arg) is Abstract for arg in args):
            return traced(*args, **kwargs)
        if any(isinstance(arg, Stacked) for arg in args):
            return on_members(function, args, kwargs)
        return function(*tree_map(value_of, args), **tree_map(value_of, kwargs))


def _on_specs(function: Callable[..., Any]) -> None:
    @implements(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*tree_map(_stand_in, args), **tree_map(_stand_in, kwargs))


def _stand_in(arg: Any) -> Any:
    return np.broadcast_to(np.zeros((), arg.dtype), arg.shape) if isinstance(arg, Tensor) else arg


for _function in _FUNCTIONS:
    _on_values(_function)
for _function in _OF_SPECS:
    _on_specs(_function)
