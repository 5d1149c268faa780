"""Activations and normalised exponentials: what NumPy lacks, accurate and without overflow at any argument."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.primitive import Primitive, as_operand, constant, every_value
from ..core.tensor import Tensor
from .reductions import axes_of, kept_shape

_ERF = np.frompyfunc(math.erf, 1, 1)


def _sigmoid_forward(a: Any) -> Any:
    if type(a) is not np.ndarray:
        a = np.asarray(a)
    if a.dtype.kind != "f":
        a = a.astype(np.float64)
    one, limit = _LIMITS[a.dtype.char]
    out = np.minimum(a, limit, out=np.empty(a.shape, a.dtype))
    np.exp(out, out=out)
    return np.divide(out, out + one, out=out)


# 1, and the largest argument whose exponential does not overflow: the sigmoid has long been 1 there.
_LIMITS = {
    char: (np.array(1, char), np.array(np.floor(np.log(np.finfo(char).max)), char)) for char in ("e", "f", "d", "g")
}

_sigmoid = Primitive("sigmoid", _sigmoid_forward, saves=("out",))
_sigmoid.defvjp(lambda g, out, a: g * (out - out * out))
_sigmoid.defjvp(lambda da, out, a: da * (out - out * out))


def sigmoid(x: Any) -> Any:
    """Return the logistic function 1 / (1 + exp(-x)).

    Args:
        x: an array or tensor of any shape.

    Returns:
        The same shape, values in [0, 1]; no overflow and no warning at any finite argument.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.sigmoid(tg.Tensor([-1e4, 0.0, 1e4])).data.round(3)
        array([0. , 0.5, 1. ])
    """
    return _sigmoid(as_operand(x))


_relu = Primitive("relu", lambda a: np.maximum(a, 0), saves=("out",))
_relu.defvjp(lambda g, out, a: g * (out > 0))
_relu.defjvp(lambda da, out, a: da * (out > 0))


def relu(x: Any) -> Any:
    """Return max(x, 0); its derivative at 0 is 0.

    Args:
        x: an array or tensor of any shape.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.relu(tg.Tensor([-1.0, 2.0]))
        Tensor([0., 2.])
    """
    return _relu(as_operand(x))


def _softplus_forward(a: Any) -> Any:
    # As exact as logaddexp(a, 0), which NumPy computes one element at a time.
    a = _floating(a)
    return np.maximum(a, 0) + np.log1p(np.exp(-np.abs(a)))


_softplus = Primitive("softplus", _softplus_forward, saves=(0,))
_softplus.defvjp(lambda g, out, a: g * _sigmoid(a))
_softplus.defjvp(lambda da, out, a: da * _sigmoid(a))


def softplus(x: Any) -> Any:
    """Return log(1 + exp(x)), exact at both ends.

    Args:
        x: an array or tensor of any shape.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.softplus(tg.Tensor([-1e4, 1e4]))
        Tensor([    0., 10000.])
    """
    return _softplus(as_operand(x))


_erf = Primitive("erf", lambda a: np.asarray(_ERF(a), np.asarray(a).dtype), saves=(0,))


def _erf_rule(g: Any, out: Any, a: Any) -> Any:
    a = np.clip(a, -28, 28)  # exp(-28²) is 0 in every dtype, and 28² overflows in none
    return g * (2 / math.sqrt(math.pi)) * np.exp(-a * a)


_erf.defvjp(_erf_rule)
_erf.defjvp(_erf_rule)


def gelu(x: Any, approximate: bool = False) -> Any:
    """Return x times the normal distribution function of x.

    Args:
        x: an array or tensor of any shape.
        approximate: use the form with tanh, several times faster and within 5e-4.

    Source: Hendrycks and Gimpel 2016, *Gaussian error linear units*.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.gelu(tg.Tensor([-1.0, 0.0, 1.0])).data.round(4)
        array([-0.1587,  0.    ,  0.8413])
    """
    x = as_operand(x)
    if approximate:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1 + _erf(x * math.sqrt(0.5)))


def silu(x: Any) -> Any:
    """Return x * sigmoid(x), also called swish.

    Args:
        x: an array or tensor of any shape.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.silu(tg.Tensor([0.0, 1.0])).data.round(4)
        array([0.    , 0.7311])
    """
    x = as_operand(x)
    return x * _sigmoid(x)


def _floating(a: Any) -> Any:
    a = np.asarray(a)
    return a if a.dtype.kind == "f" else a.astype(np.float64)


def _logsumexp_forward(a: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    a = _floating(a)
    top = np.max(a, axis=axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore", over="ignore"):  # beside an infinity anything may overflow
        out = np.log(np.sum(np.exp(a - top), axis=axis, keepdims=True)) + top
    return out if keepdims else out.reshape([n for i, n in enumerate(out.shape) if i not in axis])


def _logsumexp_weights(out: Any, a: Any, axis: tuple[int, ...]) -> Any:
    out = out.reshape(kept_shape(a.shape, axis))
    return np.exp(a - np.where(np.isneginf(out), 0, out))


_logsumexp = Primitive("logsumexp", _logsumexp_forward)
_logsumexp.defvjp(
    lambda g, out, a, axis, keepdims: g.reshape(kept_shape(a.shape, axis)) * _logsumexp_weights(out, a, axis)
)
_logsumexp.defjvp(
    lambda da, out, a, axis, keepdims: (da * _logsumexp_weights(out, a, axis)).sum(axis=axis, keepdims=keepdims)
)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return log(sum(exp(x))) without overflow.

    Args:
        x: an array or tensor of any shape.
        axis: the axis or axes to sum over, all by default.
        keepdims: keep the summed axes with length 1.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.logsumexp(tg.Tensor([1e4, 1e4]))
        Tensor(10000.69314718)
    """
    x = as_operand(x)
    return _logsumexp(x, axis=axes_of(x, axis), keepdims=keepdims)


def _softmax_forward(a: Any, axis: tuple[int, ...]) -> Any:
    a = _floating(a)
    out = np.exp(a - np.max(a, axis=axis, keepdims=True))
    out /= out.sum(axis=axis, keepdims=True)
    return out


_softmax = Primitive("softmax", _softmax_forward, saves=("out",))
_softmax.defvjp(lambda g, out, a, axis: out * (g - (g * out).sum(axis=axis, keepdims=True)))
_softmax.defjvp(lambda da, out, a, axis: out * (da - (da * out).sum(axis=axis, keepdims=True)))


def softmax(x: Any, axis: Any = -1) -> Any:
    """Return exp(x) normalised to a sum of 1 over `axis`.

    Args:
        x: an array or tensor with at least one axis.
        axis: the axis or axes that sum to 1.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.softmax(tg.Tensor([0.0, 0.0, -1e4]))
        Tensor([0.5, 0.5, 0. ])
    """
    x = as_operand(x)
    return _softmax(x, axis=axes_of(x, axis))


def _log_softmax_forward(a: Any, axis: tuple[int, ...]) -> Any:
    a = _floating(a)
    out = a - np.max(a, axis=axis, keepdims=True)
    out -= np.log(np.exp(out).sum(axis=axis, keepdims=True))
    return out


_log_softmax = Primitive("log_softmax", _log_softmax_forward, saves=("out",))
_log_softmax.defvjp(lambda g, out, a, axis: g - np.exp(out) * g.sum(axis=axis, keepdims=True))
_log_softmax.defjvp(lambda da, out, a, axis: da - (np.exp(out) * da).sum(axis=axis, keepdims=True))


def log_softmax(x: Any, axis: Any = -1) -> Any:
    """Return the logarithm of `softmax`, exact where a probability underflows.

    Args:
        x: an array or tensor with at least one axis.
        axis: the axis or axes whose probabilities sum to 1.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.log_softmax(tg.Tensor([0.0, -1e4]))
        Tensor([     0., -10000.])
    """
    x = as_operand(x)
    return _log_softmax(x, axis=axes_of(x, axis))


def one_hot(indices: Any, num_classes: int, dtype: Any = np.float32) -> Tensor:
    """Return vectors that are 1 at an index and 0 elsewhere.

    Args:
        indices: integers of any shape, each from 0 to num_classes - 1.
        num_classes: the length of the new last axis.
        dtype: the dtype of the result.

    Raises:
        IndexError: if an index is out of range.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.one_hot([2, 0], 3, dtype=float)
        Tensor([[0., 0., 1.],
                [1., 0., 0.]])
    """
    every = every_value(indices)
    if every.size and (every.min() < 0 or every.max() >= num_classes):
        raise IndexError(
            f"one_hot: indices from {every.min()} to {every.max()}; give integers from 0 to {num_classes - 1}"
        )
    rows: Tensor = Tensor._wrap(np.eye(num_classes, dtype=dtype))[constant(indices)]
    return rows
