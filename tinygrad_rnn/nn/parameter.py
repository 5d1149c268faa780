"""Parameter: a tensor that training changes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..core.errors import DtypeError, ShapeError
from ..core.node import Array
from ..core.tensor import Tensor


def array_of(value: Any) -> Array:
    """Return the array of a tensor, whether or not it requires grad; anything else as `np.asarray` reads it."""
    return value._data if isinstance(value, Tensor) else np.asarray(value)


def misfit(array: Array, target: Array | Tensor) -> tuple[type[ShapeError | DtypeError], str] | None:
    """Say why an array cannot take the place of another, with the error to raise; None where it can."""
    if array.shape != target.shape:
        return ShapeError, f"has shape {target.shape} and was given shape {array.shape}; give {target.shape}"
    if not np.can_cast(array.dtype, target.dtype, "same_kind"):
        return DtypeError, f"has dtype {target.dtype} and was given {array.dtype}; give array.astype({target.dtype})"
    return None


class Parameter(Tensor):
    """A tensor that a module owns and training changes; a leaf of every graph.

    Args:
        value: anything that `np.array` takes; it is copied and keeps its dtype. The layers of `nn` and the functions of
            `nn.init` make float32.
        requires_grad: False for a parameter that is saved and listed but not trained.
        dtype: the dtype to convert to.

    Raises:
        DtypeError: if it requires grad and is not of a floating dtype.

    Example:
        >>> from tinygrad_rnn import nn
        >>> scale = nn.Parameter([1.0, 2.0])
        >>> scale.requires_grad
        True
    """

    __slots__ = ()

    def __init__(self, value: ArrayLike | Tensor, requires_grad: bool = True, dtype: DTypeLike | None = None) -> None:
        super().__init__(value, requires_grad, dtype)

    def assign(self, value: ArrayLike | Tensor) -> None:
        """Give the parameter another value; graphs that were made before keep the old one.

        Args:
            value: an array or tensor of the parameter's shape; it is copied and converted to the parameter's dtype.

        Raises:
            ShapeError: if the shape differs.
            DtypeError: if the dtype is of another kind, such as complex.

        Example:
            >>> from tinygrad_rnn import nn
            >>> scale = nn.Parameter([1.0, 2.0])
            >>> scale.assign([3.0, 4.0])
            >>> scale.tolist()
            [3.0, 4.0]
        """
        array = array_of(value)
        problem = misfit(array, self)
        if problem is not None:
            error, text = problem
            raise error(f"{self.name or 'the parameter'} {text}")
        self._rebind(np.array(array, dtype=self.dtype))
