"""Transforms of functions: gradients, vector-Jacobian and Jacobian-vector products, composable to any depth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .backward import sweep
from .errors import CotangentError
from .modes import enable_grad
from .node import Node, ancestors
from .primitive import Primitive
from .tensor import Tensor, cotangent_of


def gradients(
    y: Tensor, xs: Any, cotangent: Any = None, record: bool = False, retain_graph: bool | None = None
) -> list[Any]:
    """Return the gradients of `y` with respect to several tensors, leaving every `.grad` as it is.

    Args:
        y: the result, of one element unless a cotangent is given.
        xs: tensors that require grad, leaves or intermediate results.
        cotangent: the gradient of the final result with respect to `y`.
        record: return tensors that can be differentiated again.
        retain_graph: keep what the graph saved; by default that is kept when `record` is.

    Returns:
        For each of `xs` an array of its shape (a tensor with `record=True`), zeros where `y` does not depend on it.

    Raises:
        CotangentError, FreedGraphError: as `Tensor.backward`.
        GraphError: if `y` or one of `xs` does not require grad.

    Example:
        >>> import tinygrad_rnn as tg
        >>> x = tg.Tensor(3.0, requires_grad=True)
        >>> (slope,) = tg.gradients(x**3, [x], record=True)
        >>> tg.gradients(slope, [x])
        [array(18.)]
    """
    targets = [(x._recorded("gradients() with respect to"), x._index) for x in xs]
    node = y._recorded("gradients()")
    seed = cotangent_of(y, cotangent)
    keep = record if retain_graph is None else retain_graph
    if record:
        with enable_grad():
            found = sweep(
                [(node, y._index, seed if isinstance(seed, Tensor) else Tensor._wrap(seed))],
                targets,
                Tensor._wrap,
                keep,
            )
        return [Tensor._wrap(np.zeros(x.shape, x.dtype)) if g is None else g for x, g in zip(xs, found, strict=True)]
    found = sweep([(node, y._index, seed._data if isinstance(seed, Tensor) else seed)], targets, None, keep)
    return [np.zeros(x.shape, x.dtype) if g is None else np.array(g) for x, g in zip(xs, found, strict=True)]


# A fresh node in front of every input tells the inputs of nested transforms apart.
_identity = Primitive("identity", lambda a: a, saves=())
_identity.defvjp(lambda g, out, a: g)
_identity.defjvp(lambda da, out, a: da)


def _fresh(value: Any) -> Tensor:
    if isinstance(value, Tensor) and value.requires_grad:
        return _identity(value)  # type: ignore[no-any-return]
    return Tensor(value.data if isinstance(value, Tensor) else value, requires_grad=True)


def value_and_grad(function: Callable[..., Any]) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return a function that gives the value of `function` and its gradient with respect to the first argument.

    Args:
        function: takes arrays or tensors, returns a tensor of one element.

    Raises:
        CotangentError: when called, if the value has several elements.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.value_and_grad(lambda x: x**3)(2.0)
        (Tensor(8.), Tensor(12.))
    """

    def call(x: Any, *args: Any) -> tuple[Tensor, Tensor]:
        with enable_grad():
            fresh = _fresh(x)
            value = function(fresh, *args)
            if not isinstance(value, Tensor) or not value.requires_grad:
                return value, Tensor(np.zeros(fresh.shape, fresh.dtype))
            (slope,) = gradients(value, [fresh], record=True)
        return _settle(value, [fresh], value), _settle(slope, [fresh], value)

    return call


def grad(function: Callable[..., Any]) -> Callable[..., Tensor]:
    """Return the gradient of a function of one element with respect to its first argument.

    Args:
        function: takes arrays or tensors, returns a tensor of one element.

    Raises:
        CotangentError: when called, if the value has several elements.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.grad(tg.grad(lambda x: x**3))(2.0)
        Tensor(12.)
    """

    def call(x: Any, *args: Any) -> Tensor:
        return value_and_grad(function)(x, *args)[1]

    return call


def vjp(function: Callable[..., Tensor], *primals: Any) -> tuple[Tensor, Callable[[Any], list[Tensor]]]:
    """Return the value of a function and the map from a cotangent of it to cotangents of its arguments.

    Example:
        >>> import tinygrad_rnn as tg
        >>> y, pull = tg.vjp(lambda a, b: a * b, 2.0, 5.0)
        >>> pull(1.0)
        [Tensor(5.), Tensor(2.)]
    """
    with enable_grad():
        fresh = [_fresh(primal) for primal in primals]
        value = function(*fresh)

    def pull(cotangent: Any) -> list[Tensor]:
        return [_settle(slope, fresh, value) for slope in gradients(value, fresh, cotangent, record=True)]

    return _settle(value, fresh, value), pull


def jvp(function: Callable[..., Tensor], primals: Any, tangents: Any) -> tuple[Tensor, Tensor]:
    """Return the value of a function and its derivative along a direction.

    Args:
        function: takes as many tensors as there are primals and returns one.
        primals: the point.
        tangents: the direction, one for each primal and of its shape.

    Raises:
        CotangentError: if a tangent has another shape than its primal.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.jvp(lambda a, b: a * b, (2.0, 5.0), (1.0, 0.0))
        (Tensor(10.), Tensor(5.))
    """
    with enable_grad():
        fresh = [_fresh(primal) for primal in primals]
        moving: dict[tuple[Node, int], Any] = {}
        for primal, tangent in zip(fresh, tangents, strict=True):
            direction = tangent if isinstance(tangent, Tensor) else Tensor(tangent, dtype=primal.dtype)
            if direction.shape != primal.shape:
                raise CotangentError(f"a tangent of shape {direction.shape} for a primal of shape {primal.shape}")
            assert primal.node is not None
            moving[primal.node, 0] = direction
        value = function(*fresh)
        if not isinstance(value, Tensor) or value.node is None:
            return value, Tensor(np.zeros(np.shape(value)))
        for node in ancestors([value.node]):
            if node.primitive is None or (node, 0) in moving:
                continue
            along = [
                moving.get((parent, slot)) if parent else None
                for parent, slot in zip(node.parents, node.slots, strict=True)
            ]
            if all(tangent is None for tangent in along):
                continue
            assert node.args is not None and node.outs is not None
            args = [
                Tensor._wrap(arg, parent, slot) if isinstance(arg, np.ndarray) else arg
                for arg, parent, slot in zip(node.args, node.parents, node.slots, strict=True)
            ]
            outs = [
                Tensor._wrap(out, node, i) if isinstance(out, np.ndarray) else out for i, out in enumerate(node.outs)
            ]
            for i, tangent in enumerate(node.primitive.push(along, outs, args, node.params)):
                if tangent is not None:
                    spec = node.specs[i]
                    if tangent.shape != spec.shape:
                        tangent = np.broadcast_to(tangent, spec.shape)
                    moving[node, i] = tangent if tangent.dtype == spec.dtype else tangent.astype(spec.dtype)
        found = moving.get((value.node, value._index))
    slope = Tensor(np.zeros(value.shape, value.dtype)) if found is None else found
    return _settle(value, fresh, value, slope), _settle(slope, fresh, value, slope)


def _settle(result: Tensor, fresh: list[Tensor], *behind: Tensor) -> Tensor:
    """Detach a result of a transform unless it depends on tensors from outside, which require grad there."""
    own = {tensor.node for tensor in fresh}
    nodes = ancestors([tensor.node for tensor in behind if tensor.node is not None])
    outside = any(node.primitive is None and node not in own for node in nodes)
    return result if outside else result.detach()
