"""Transforms of functions: gradients, vector-Jacobian and Jacobian-vector products, composable to any depth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import numpy as np

from .backward import sweep
from .call import Call
from .errors import ConfigError, CotangentError, DtypeError, GraphError
from .modes import enable_grad
from .primitive import every_value
from .tensor import Tensor, cotangent_of
from .tree import tree_flatten, tree_unflatten


def gradients(
    y: Tensor, xs: Any, cotangent: Any = None, record: bool = False, retain_graph: bool | None = None
) -> list[Any]:
    """Return the gradients of `y` with respect to several tensors, leaving every `.grad` as it is.

    Args:
        y: the result, of one element unless a cotangent is given.
        xs: tensors that require grad, leaves or intermediate results; one alone is taken as a list of one.
        cotangent: the gradient of the final result with respect to `y`.
        record: return tensors that can be differentiated again.
        retain_graph: keep what the graph saved; by default that is kept when `record` is.

    Returns:
        For each of `xs` an array of its shape (a tensor with `record=True`), zeros where `y` does not depend on it.

    Raises:
        CotangentError, FreedGraphError: as `Tensor.backward`.
        GraphError: if `y` or one of `xs` does not require grad, or is no tensor.

    Example:
        >>> import tinygrad_rnn as tg
        >>> x = tg.Tensor(3.0, requires_grad=True)
        >>> (slope,) = tg.gradients(x**3, [x], record=True)
        >>> tg.gradients(slope, [x])
        [array(18.)]
    """
    xs = list(xs) if isinstance(xs, Iterable) and not isinstance(xs, (Tensor, np.ndarray)) else [xs]
    for name, given in (("y", y), *[("one of xs", x) for x in xs]):
        if not isinstance(given, Tensor):
            raise GraphError(
                f"gradients() of what has no graph: {name} is {given!r}; give the tensor itself, not its value"
            )
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


def _numbers(argnums: int | tuple[int, ...], args: tuple[Any, ...]) -> tuple[int, ...]:
    numbers = argnums if isinstance(argnums, tuple) else (argnums,)
    known = all(isinstance(i, int) and -len(args) <= i < len(args) for i in numbers)
    if not known or len({i % len(args) for i in numbers}) < len(numbers):
        raise ConfigError(f"argnums {argnums!r} of {len(args)} arguments; give a position that is there, or several")
    return tuple([i % len(args) for i in numbers])


def value_and_grad(function: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., tuple[Any, Any]]:
    """Return a function that gives the value of `function` and its gradient.

    Args:
        function: takes nests of arrays or tensors, returns a tensor of one element.
        argnums: the argument to differentiate by, or several in a tuple.

    Returns:
        A function of the same arguments. The gradient is a nest like the argument, or a tuple of them. Value and
        gradient can be differentiated again where an argument, or a tensor that `function` closes over, requires grad.

    Raises:
        CotangentError: when called, if the value has several elements.
        DtypeError: when called, if an argument to differentiate by holds integers.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.value_and_grad(lambda p: p["w"] ** 3)({"w": 2.0})
        (Tensor(8.), {'w': Tensor(12.)})
    """

    @wraps(function)
    def call(*args: Any) -> tuple[Any, Any]:
        run = Call(function, args, _numbers(argnums, args))
        run.refuse_integers()
        if not isinstance(run.value, Tensor):
            raise CotangentError(
                f"the function returned {type(run.value).__name__}; return a tensor of one element, as np.sum does"
            )
        slopes = tree_unflatten(run.structure, run.pull([None]))
        return run.result(run.value), tuple(slopes) if isinstance(argnums, tuple) else slopes[0]

    return call


def grad(function: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """Return the gradient of a function whose value has one element.

    Args:
        function: takes nests of arrays or tensors, returns a tensor of one element.
        argnums: the argument to differentiate by, or several in a tuple.

    Returns:
        A function of the same arguments: a nest like the argument, or a tuple of them. It raises what that of
        `value_and_grad` raises.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.grad(tg.grad(lambda x: x**3))(2.0)
        Tensor(12.)
    """

    both = value_and_grad(function, argnums)
    return wraps(function)(lambda *args: both(*args)[1])


def vjp(function: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Return the value of a function, and the map from its cotangent to the cotangents of the arguments.

    Args:
        function: takes nests of arrays or tensors, returns a nest of tensors.
        primals: the arguments.

    Returns:
        The value, and a function that takes a cotangent (a nest like the value) and returns a tuple with a nest for
        each argument.

    Raises:
        CotangentError: from that function, if the cotangent has not the structure and shapes of the value.

    Example:
        >>> import tinygrad_rnn as tg
        >>> y, pull = tg.vjp(lambda a, b: a * b, 2.0, 5.0)
        >>> pull(1.0)
        (Tensor(5.), Tensor(2.))
    """
    run = Call(function, primals, tuple(range(len(primals))))

    def pull(cotangent: Any) -> tuple[Any, ...]:
        leaves, structure = tree_flatten(cotangent)
        if structure != run.out_structure:
            raise CotangentError(f"a cotangent of structure {structure} for a value of structure {run.out_structure}")
        return tuple(tree_unflatten(run.structure, run.pull(leaves)))

    return run.result(run.value), pull


def jvp(function: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
    """Return the value of a function and its derivative along a direction.

    Args:
        function: takes nests of arrays or tensors, returns a nest of tensors.
        primals: the arguments, in a tuple.
        tangents: the direction: for each argument a nest of its structure and shapes; None for one that does not move.

    Returns:
        The value, and the derivative, a nest like the value.

    Raises:
        CotangentError: if a tangent has another structure or shape than its primal.
        DtypeError: if a tangent that is not 0 is given for integers.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.jvp(lambda a, b: a * b, (2.0, 5.0), (1.0, 0.0))
        (Tensor(10.), Tensor(5.))
    """
    primals = tuple(primals)
    run = Call(function, primals, tuple(range(len(primals))))
    moved = run.push(_directions(run, primals, tangents))
    return run.result(run.value), tree_unflatten(run.out_structure, moved)


def _directions(run: Call, primals: tuple[Any, ...], tangents: Any) -> list[Any]:
    tangents = list(tangents)
    if len(tangents) != len(primals):
        raise CotangentError(f"{len(tangents)} tangents for {len(primals)} primals; give one for each, or None")
    filled: list[Any] = []
    for primal, tangent in zip(primals, tangents, strict=True):
        places, structure = tree_flatten(primal)
        if tangent is None:
            filled += [None] * len(places)
            continue
        leaves, given = tree_flatten(tangent)
        if given != structure:
            raise CotangentError(f"a tangent of structure {given} for a primal of structure {structure}")
        filled += leaves
    directions: list[Any] = []
    for x, whole, tangent in zip(run.inputs, run.whole_inputs, filled, strict=True):
        if tangent is not None:
            tangent = tangent if isinstance(tangent, Tensor) else Tensor(tangent, dtype=x.dtype)
            if tangent.shape != x.shape:
                raise CotangentError(f"a tangent of shape {tangent.shape} for a primal of shape {x.shape}")
            if whole.node is None and np.any(every_value(tangent)):
                raise DtypeError(f"a tangent of a primal of dtype {x.dtype}; give floats, or a tangent of 0")
        directions.append(tangent)
    return directions


def hvp(function: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, ...]:
    """Return the product of a function's Hessian with a direction, forward over reverse.

    Args:
        function: takes nests of arrays or tensors, returns a tensor of one element.
        primals: the arguments, in a tuple.
        tangents: the direction, as for `jvp`.

    Returns:
        A nest for each argument.

    Example:
        >>> import tinygrad_rnn as tg
        >>> tg.hvp(lambda a, b: a * a * b, (2.0, 5.0), (1.0, 0.0))
        (Tensor(10.), Tensor(4.))
    """
    primals = tuple(primals)
    return jvp(grad(function, tuple(range(len(primals)))), primals, tangents)[1]  # type: ignore[no-any-return]


def jacobian(function: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """Return the Jacobian of a function: forward where it has fewer inputs than outputs, else in reverse.

    Args:
        function: takes nests of arrays or tensors, returns a nest of tensors.
        argnums: the argument to differentiate by, or several in a tuple.

    Returns:
        A function of the same arguments. In place of each tensor of the value stands a nest like the argument (or a
        tuple of them), with tensors of the shape of the value's followed by that of the argument's.

    Raises:
        DtypeError: when called, if an argument to differentiate by holds integers.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> tg.jacobian(lambda x: x * x)(np.array([1.0, 2.0]))
        Tensor([[2., 0.],
                [0., 4.]])
    """

    @wraps(function)
    def call(*args: Any) -> Any:
        run = Call(function, args, _numbers(argnums, args))
        run.refuse_integers()
        sizes = [x.size for x in run.inputs], [np.size(out) for out in run.outputs]
        blocks = _columns(run) if sum(sizes[0]) < sum(sizes[1]) else _rows(run)
        nests = []
        for row in blocks:
            slopes = tree_unflatten(run.structure, row)
            nests.append(tuple(slopes) if isinstance(argnums, tuple) else slopes[0])
        return run.result(tree_unflatten(run.out_structure, nests))

    return call


def _unit(shape: tuple[int, ...], place: int, dtype: Any) -> Any:
    return np.eye(1, math.prod(shape), place, dtype=dtype).reshape(shape)


def _rows(run: Call) -> list[list[Any]]:
    """Return the Jacobian's blocks, a list of inputs for each output, by a pull for each output element."""
    blocks = []
    for number, out in enumerate(run.outputs):
        pulled = []
        for place in range(np.size(out)):
            cotangents = [np.zeros(np.shape(other), other.dtype) for other in run.outputs]
            cotangents[number] = _unit(out.shape, place, out.dtype)
            pulled.append(run.pull(cotangents))
        blocks.append(
            [
                np.stack([row[i] for row in pulled]).reshape((*out.shape, *x.shape))
                if pulled
                else np.zeros((*out.shape, *x.shape), x.dtype)
                for i, x in enumerate(run.inputs)
            ]
        )
    return blocks


def _columns(run: Call) -> list[list[Any]]:
    """Return the same blocks by a push for each input element."""
    blocks: list[list[Any]] = [[] for _ in run.outputs]
    for number, x in enumerate(run.inputs):
        pushed = []
        for place in range(x.size):
            tangents: list[Any] = [None] * len(run.inputs)
            tangents[number] = Tensor._wrap(_unit(x.shape, place, x.dtype))
            pushed.append(run.push(tangents))
        for i, out in enumerate(run.outputs):
            shape = (*np.shape(out), *x.shape)
            block = np.stack([column[i] for column in pushed], axis=-1) if pushed else np.zeros(shape, x.dtype)
            blocks[i].append(block.reshape(shape))
    return blocks


def hessian(function: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """Return the Hessian of a function whose value has one element: the Jacobian of its gradient.

    Args:
        function: takes nests of arrays or tensors, returns a tensor of one element.
        argnums: the argument to differentiate by, or several in a tuple.

    Returns:
        A function of the same arguments; for an argument of shape s, a tensor of shape (*s, *s).

    Raises:
        DtypeError: when called, if an argument to differentiate by holds integers.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> tg.hessian(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
        Tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    return jacobian(grad(function, argnums), argnums)
