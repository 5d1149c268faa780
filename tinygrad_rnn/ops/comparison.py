"""Functions whose results are no numbers to differentiate: comparisons, tests, indices, shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.primitive import implements, value_of
from ..core.tree import tree_map

_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    *(np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal),
    *(np.isnan, np.isfinite, np.isinf, np.isneginf, np.isposinf, np.signbit),
    *(np.logical_and, np.logical_or, np.logical_not, np.logical_xor),
    *(np.any, np.all, np.count_nonzero, np.nonzero, np.flatnonzero, np.argwhere),
    *(np.argmax, np.argmin, np.argsort, np.searchsorted),
    *(np.array_equal, np.allclose, np.isclose),
    *(np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj, np.isrealobj),
    *(np.zeros_like, np.ones_like, np.full_like, np.empty_like),
    *(np.array_repr, np.array_str, np.array2string),
)


def _on_values(function: Callable[..., Any]) -> None:
    @implements(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*tree_map(value_of, args), **tree_map(value_of, kwargs))


for _function in _FUNCTIONS:
    _on_values(_function)
