"""Cross entropy of scores and classes, in few passes over the scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.node import Array
from ..core.primitive import Primitive
from .activations import softmax


def _below_top(scores: Array, classes: Array) -> tuple[Array, tuple[Array, Array]]:
    """Return the scores as rows, less the greatest of each, and where in them the score of each class stands."""
    rows = scores.reshape(classes.size, scores.shape[-1])
    return rows - np.max(rows, axis=1, keepdims=True), (np.arange(classes.size), classes.ravel())


def _cross_entropy_forward(scores: Array, classes: Array) -> Array:
    below, places = _below_top(scores, classes)
    chosen = below[places]
    losses: Array = np.log(np.exp(below, out=below).sum(axis=1)) - chosen
    return losses.reshape(classes.shape)


def _excess_forward(scores: Array, classes: Array) -> Array:
    out, places = _below_top(scores, classes)
    np.exp(out, out=out)
    out /= out.sum(axis=1, keepdims=True)
    out[places] -= 1
    return out.reshape(scores.shape)


def _excess_rule(g: Any, out: Any, scores: Any, classes: Any) -> Any:
    weights = softmax(scores)
    return weights * (g - np.sum(weights * g, axis=-1, keepdims=True))


def _none(g: Any, out: Any, scores: Any, classes: Any) -> None:
    return None


# softmax(scores) - one_hot(classes), the derivative of the cross entropy.
softmax_excess = Primitive("softmax_excess", _excess_forward, saves=(0,))
softmax_excess.defvjp(_excess_rule, _none)
softmax_excess.defjvp(_excess_rule, _none)

# -log softmax(scores)[class], of scores (..., classes) and integers (...).
cross_entropy = Primitive("cross_entropy", _cross_entropy_forward, saves=(0, 1))
cross_entropy.defvjp(lambda g, out, scores, classes: g[..., None] * softmax_excess(scores, classes), _none)
cross_entropy.defjvp(
    lambda da, out, scores, classes: np.sum(da * softmax_excess(scores, classes), axis=-1),
    _none,
)
