"""Initial values of parameters: functions of a shape that return float32 arrays.

Weights have the shape (in, out). Where no generator is given, the numbers come from `tg.random`, so `tg.random.seed`
makes them repeat.
"""

from __future__ import annotations

import math

import numpy as np

from ..core import errors, random
from ..core.node import Array

Shape = tuple[int, ...]


def zeros(shape: Shape) -> Array:
    """Return zeros.

    Args:
        shape: the shape of the result.

    Returns:
        A float32 array.

    Example:
        >>> from tinygrad_rnn import nn
        >>> nn.init.zeros((2,))
        array([0., 0.], dtype=float32)
    """
    return np.zeros(shape, np.float32)


def ones(shape: Shape) -> Array:
    """Return ones.

    Args:
        shape: the shape of the result.

    Returns:
        A float32 array.

    Example:
        >>> from tinygrad_rnn import nn
        >>> nn.init.ones((2,))
        array([1., 1.], dtype=float32)
    """
    return np.ones(shape, np.float32)


def uniform(shape: Shape, bound: float, rng: np.random.Generator | None = None) -> Array:
    """Return numbers drawn uniformly from -bound to bound.

    Args:
        shape: the shape of the result.
        bound: the largest magnitude.
        rng: where the numbers come from; `tg.random` by default.

    Returns:
        A float32 array.

    Example:
        >>> from tinygrad_rnn import nn
        >>> bool(abs(nn.init.uniform((100, 100), 0.1)).max() <= 0.1)
        True
    """
    return _float32(_generator(rng).uniform(-bound, bound, shape))


def normal(shape: Shape, std: float = 1.0, rng: np.random.Generator | None = None) -> Array:
    """Return numbers drawn from the normal distribution of mean 0.

    Args:
        shape: the shape of the result.
        std: the standard deviation.
        rng: where the numbers come from; `tg.random` by default.

    Returns:
        A float32 array.

    Example:
        >>> from tinygrad_rnn import nn
        >>> nn.init.normal((2, 3)).shape
        (2, 3)
    """
    return _float32(_generator(rng).normal(0.0, std, shape))


def glorot_uniform(shape: Shape, gain: float = 1.0, rng: np.random.Generator | None = None) -> Array:
    """Return uniform numbers of variance 2 gain² / (in + out).

    Args:
        shape: (..., in, out); leading axes count as a receptive field.
        gain: a factor for the nonlinearity behind the weight.
        rng: where the numbers come from; `tg.random` by default.

    Returns:
        A float32 array.

    Raises:
        ShapeError: if the shape has fewer than two axes.

    Source: Glorot and Bengio 2010, *Understanding the difficulty of training deep feedforward neural networks*, eq. 16.

    Example:
        >>> from tinygrad_rnn import nn
        >>> bool(abs(nn.init.glorot_uniform((300, 300))).max() <= 0.1)
        True
    """
    return uniform(shape, math.sqrt(3) * _glorot_std(shape, gain), rng)


def glorot_normal(shape: Shape, gain: float = 1.0, rng: np.random.Generator | None = None) -> Array:
    """Return normal numbers of variance 2 gain² / (in + out).

    Args:
        shape: (..., in, out); leading axes count as a receptive field.
        gain: a factor for the nonlinearity behind the weight.
        rng: where the numbers come from; `tg.random` by default.

    Returns:
        A float32 array.

    Raises:
        ShapeError: if the shape has fewer than two axes.

    Source: Glorot and Bengio 2010, *Understanding the difficulty of training deep feedforward neural networks*, eq. 12.

    Example:
        >>> from tinygrad_rnn import nn
        >>> nn.init.glorot_normal((20, 30)).shape
        (20, 30)
    """
    return normal(shape, _glorot_std(shape, gain), rng)


def orthogonal(shape: Shape, gain: float = 1.0, rng: np.random.Generator | None = None) -> Array:
    """Return a matrix with orthonormal rows or columns, whichever are fewer, times gain, uniform among all of them.

    Args:
        shape: (rows, columns). For the gates of a cell, draw a square block for each and join them along the columns.
        gain: the length of the vectors.
        rng: where the numbers come from; `tg.random` by default.

    Returns:
        A float32 array.

    Raises:
        ShapeError: if the shape does not have two axes.

    Source: Saxe et al. 2014, *Exact solutions to the nonlinear dynamics of learning in deep linear neural networks*;
        the signs as in Mezzadri 2007, *How to generate random matrices from the classical compact groups*.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> q = nn.init.orthogonal((3, 5))
        >>> np.allclose(q @ q.T, np.eye(3), atol=1e-6)
        True
    """
    if len(shape) != 2:
        raise errors.ShapeError(f"an orthogonal matrix of shape {shape}; give a shape (rows, columns)")
    rows, columns = shape
    gaussian = _generator(rng).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(gaussian)
    # Without the signs the result depends on how LAPACK chooses them, and is not uniform.
    q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return _float32(gain * (q if rows >= columns else q.T))


def forget_gate_bias(hidden_size: int, value: float = 1.0) -> Array:
    """Return the bias of an LSTM's four gates, in the order i, f, g, o: `value` for the forget gate, 0 for the others.

    Args:
        hidden_size: features of the state.
        value: how far the forget gate is open at first; about log(longest delay) for long memories.

    Returns:
        (4 * hidden_size,), float32.

    Source: Gers et al. 2000, *Learning to forget*; Jozefowicz et al. 2015, *An empirical exploration of recurrent
        network architectures*.

    Example:
        >>> from tinygrad_rnn import nn
        >>> nn.init.forget_gate_bias(1)
        array([0., 1., 0., 0.], dtype=float32)
    """
    bias = zeros((4, hidden_size))
    bias[1] = value
    return bias.reshape(-1)


def _generator(rng: np.random.Generator | None) -> np.random.Generator:
    return random.generator() if rng is None else rng


def _float32(array: Array) -> Array:
    return array.astype(np.float32)


def _glorot_std(shape: Shape, gain: float) -> float:
    if len(shape) < 2:
        raise errors.ShapeError(f"Glorot initialisation of shape {shape}; give a shape (in, out), or use zeros")
    *field, fan_in, fan_out = shape
    return gain * math.sqrt(2 / max(1, math.prod(field) * (fan_in + fan_out)))
