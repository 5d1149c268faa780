"""The gradient of every example of a batch by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from .errors import ShapeError
from .stacked import vmap
from .transforms import grad
from .tree import tree_flatten


def per_sample_grad(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that gives the gradient of every example by itself, in one call.

    Args:
        function: `function(parameters, *example)`, the loss of one example, of one element.

    Returns:
        A function `(parameters, *batch)`, where the leading axis of everything in `batch` counts the examples. Its
        result is a nest like the parameters with that axis in front.

    Raises:
        ShapeError: when called, if there is no batch, or if its parts differ in length.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> loss = lambda w, x: np.sum((w * x) ** 2)
        >>> tg.per_sample_grad(loss)(np.array([1.0, 2.0]), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
        Tensor([[2., 0.],
                [0., 4.],
                [2., 4.]])
    """

    @wraps(function)
    def call(parameters: Any, *batch: Any) -> Any:
        leaves = tree_flatten(batch)[0]
        if not leaves or not all(np.shape(value) for value in leaves):
            raise ShapeError("per_sample_grad needs a batch: arrays whose leading axis counts the examples")
        return vmap(grad(function), (None, *[0 for _ in batch]))(parameters, *batch)

    return call
