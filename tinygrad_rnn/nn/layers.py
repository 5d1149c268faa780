"""Layers without a state: linear map, embedding, dropout, layer normalisation, and a chain of layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import Tensor, errors, random
from ..core.primitive import constant, every_value
from . import init
from .checks import positive
from .containers import ModuleList
from .module import Module
from .parameter import Parameter


class Linear(Module):
    """The affine map x W + b of the last axis.

    Weight and bias start uniform in ±1/√in_features, as in PyTorch; the weight is stored as (in, out).

    Args:
        in_features: length of the last axis of x.
        out_features: length of the last axis of the result.
        bias: add b.

    Raises:
        ConfigError: if a size is no positive integer.
        ShapeError: from a call with another last axis.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> nn.Linear(3, 2)(np.ones((5, 3), np.float32)).shape
        (5, 2)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.in_features = positive("in_features", in_features)
        self.out_features = positive("out_features", out_features)
        bound = in_features**-0.5
        self.weight = Parameter(init.uniform((in_features, out_features), bound))
        self.bias = Parameter(init.uniform((out_features,), bound)) if bias else None

    def forward(self, x: Any) -> Tensor:
        """Map x (..., in_features) to (..., out_features)."""
        y: Tensor = x @ self.weight
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.in_features}, {self.out_features}"


class Embedding(Module):
    """A table of vectors, read by integers; the vectors start standard normal, as in PyTorch.

    Args:
        num_embeddings: number of vectors.
        embedding_dim: length of each.

    Raises:
        ConfigError: if a size is no positive integer.
        DtypeError: from a call with indices that are no integers.
        DataError: from a call with indices outside 0 … num_embeddings - 1.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> nn.Embedding(65, 8)(np.array([[1, 64], [0, 1]])).shape
        (2, 2, 8)
    """

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        super().__init__()
        self.num_embeddings = positive("num_embeddings", num_embeddings)
        self.embedding_dim = positive("embedding_dim", embedding_dim)
        self.weight = Parameter(init.normal((num_embeddings, embedding_dim)))

    def forward(self, indices: Any) -> Tensor:
        """Map integers (...) to vectors (..., embedding_dim)."""
        array = every_value(indices)
        if array.dtype.kind not in "iu":
            raise errors.DtypeError(
                f"an embedding read by {array.dtype}; give integers, such as indices.astype(np.intp)"
            )
        # NumPy would count negative indices from the end and read another vector without a word.
        if array.size and (array.min() < 0 or array.max() >= self.num_embeddings):
            raise errors.DataError(
                f"indices from {array.min()} to {array.max()} in an embedding of {self.num_embeddings} vectors; give "
                f"integers from 0 to {self.num_embeddings - 1}"
            )
        vectors: Tensor = self.weight[constant(indices)]
        return vectors

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.num_embeddings}, {self.embedding_dim}"


class Dropout(Module):
    """While training, sets elements to 0 at a rate and divides the others by 1 - rate; otherwise does nothing.

    Args:
        rate: the probability of 0, from 0 to 1.

    Raises:
        ConfigError: if the rate is outside that range.

    Source: Srivastava et al. 2014, *Dropout: a simple way to prevent neural networks from overfitting*.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn import nn
        >>> x = tg.Tensor(np.ones(1000))
        >>> sorted(set(nn.Dropout(0.5)(x).tolist()))
        [0.0, 2.0]
        >>> nn.Dropout(0.5).eval()(x) is x
        True
    """

    def __init__(self, rate: float = 0.5) -> None:
        super().__init__()
        if isinstance(rate, bool) or not isinstance(rate, (int, float, np.number)) or not 0 <= rate <= 1:
            raise errors.ConfigError(f"dropout at a rate of {rate!r}; give a number from 0 to 1")
        self.rate = rate

    def forward(self, x: Any) -> Any:
        """Drop elements of x (...)."""
        if not self.training or self.rate == 0:
            return x
        kept = random.uniform(x.shape) >= self.rate
        if not isinstance(kept, np.ndarray):  # a traced step: the mask of each step comes from numbers of its own
            return np.where(kept, x / (1 - self.rate) if self.rate < 1 else x, 0)
        mask = kept.astype(x.dtype)
        if self.rate < 1:
            mask /= 1 - self.rate
        # As a tensor, the mask is saved without a copy.
        return x * Tensor._wrap(mask)

    def extra_repr(self) -> str:
        """Return the rate."""
        return f"{self.rate}"


class LayerNorm(Module):
    """Brings the last axes to mean 0 and variance 1, then scales and shifts them.

    Args:
        normalized_shape: length of the last axis, or the shape of the last axes.
        eps: added to the variance.

    Raises:
        ConfigError: if a size is no positive integer, or eps is negative.
        ShapeError: from a call with other last axes.

    Source: Ba et al. 2016, *Layer normalization*.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> nn.LayerNorm(2)(np.array([[1.0, 3.0]], np.float32)).data.round(2)
        array([[-1.,  1.]], dtype=float32)
    """

    def __init__(self, normalized_shape: int | tuple[int, ...], eps: float = 1e-5) -> None:
        super().__init__()
        sizes = (normalized_shape,) if isinstance(normalized_shape, (int, np.integer)) else tuple(normalized_shape)
        self.normalized_shape = tuple([positive("normalized_shape", size) for size in sizes])
        if isinstance(eps, bool) or not isinstance(eps, (int, float, np.number)) or not eps >= 0:
            raise errors.ConfigError(f"eps is {eps!r}; give a number of at least 0, such as 1e-5")
        self.eps = eps
        self.weight = Parameter(init.ones(self.normalized_shape))
        self.bias = Parameter(init.zeros(self.normalized_shape))
        self._axes = tuple(range(-len(sizes), 0))

    def forward(self, x: Any) -> Tensor:
        """Normalise x (..., *normalized_shape)."""
        if x.shape[-len(self._axes) :] != self.normalized_shape:
            raise errors.ShapeError(
                f"LayerNorm({self.extra_repr()}) of shape {x.shape}; give a shape (..., {self.extra_repr()})"
            )
        centred = x - np.mean(x, axis=self._axes, keepdims=True)
        variance = np.mean(np.square(centred), axis=self._axes, keepdims=True)
        y: Tensor = centred / np.sqrt(variance + self.eps) * self.weight + self.bias
        return y

    def extra_repr(self) -> str:
        """Return the normalised shape."""
        return ", ".join(map(str, self.normalized_shape))


class Sequential(ModuleList):
    """A chain: each module, or function of one tensor, takes what the one before gave.

    Args:
        parts: modules and functions, such as `np.tanh`.

    Raises:
        ConfigError: if a part cannot be called.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> model = nn.Sequential(nn.Linear(3, 4), np.tanh, nn.Linear(4, 2))
        >>> model
        Sequential, 26 parameters
          0: Linear(3, 4), 16 parameters: weight (3, 4), bias (4,)
          1: tanh
          2: Linear(4, 2), 10 parameters: weight (4, 2), bias (2,)
        >>> model(np.ones((5, 3), np.float32)).shape
        (5, 2)
    """

    _set_scope_of = Module._set_scope_of

    def __init__(self, *parts: Callable[..., Any]) -> None:
        super().__init__(parts)

    def forward(self, x: Any) -> Any:
        """Run the parts in order."""
        for part in self:
            x = part(x)
        return x

    def _checked(self, item: Any) -> Any:
        if not callable(item):
            raise errors.ConfigError(f"nn.Sequential cannot hold a {type(item).__name__}; give modules or functions")
        return item
