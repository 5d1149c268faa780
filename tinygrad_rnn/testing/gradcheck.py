"""gradcheck: the gradients of a function against central differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import Tensor, gradients, jvp
from ..core.errors import ConfigError, GradcheckError
from ..core.node import Array

Function = Callable[..., Any]


def gradcheck(
    function: Function,
    inputs: Sequence[Any],
    order: int = 2,
    modes: Sequence[str] = ("reverse", "forward"),
    eps: float = 1e-5,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    seed: int = 0,
) -> None:
    """Compare the derivatives of a function with central differences in float64.

    The result is contracted with a random cotangent. First order: every entry of the gradient (reverse), and the
    derivative along a random direction (forward). Second order: the derivative of the gradient along that direction.

    Args:
        function: takes tensors, returns one tensor of any shape (or several in a tuple or list).
        inputs: arrays; floating ones are converted to float64 and differentiated, others are passed on as they are.
        order: 1 or 2.
        modes: "reverse", "forward" or both.
        eps: the step, relative to max(1, |x|).
        rtol: tolerance relative to the largest entry of the gradient.
        atol: absolute tolerance.
        seed: of the cotangent and the direction.

    Raises:
        GradcheckError: naming the worst entry, both values and their ratio.
        ConfigError: if `order`, `modes` or the inputs are not usable.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.testing import gradcheck
        >>> gradcheck(lambda a, b: np.tanh(a @ b), [np.ones((2, 3)), np.ones(3)])
    """
    if order not in (1, 2) or not set(modes) <= {"reverse", "forward"} or not modes:
        raise ConfigError(f"gradcheck: order {order!r}, modes {modes!r}; give order 1 or 2 and 'reverse', 'forward'")
    moving = [i for i, value in enumerate(inputs) if np.asarray(value).dtype.kind == "f"]
    if not moving:
        raise ConfigError("gradcheck: no floating input to differentiate; give at least one float array")
    points = [np.array(inputs[i], dtype=np.float64) for i in moving]
    rng = np.random.default_rng(seed)
    cotangents: list[Array] = []

    def contracted(*values: Any) -> Any:
        """Return the sum of the results, each multiplied with its cotangent."""
        args = list(inputs)
        for i, value in zip(moving, values, strict=True):
            args[i] = value
        results = function(*args)
        results = list(results) if isinstance(results, (tuple, list)) else [results]
        if not cotangents:
            cotangents.extend([rng.uniform(0.5, 1.5, result.shape) for result in results])
        total = 0.0
        for result, cotangent in zip(results, cotangents, strict=True):
            total = total + np.sum(result * cotangent)
        return total

    def value_at(*values: Array) -> float:
        total = contracted(*[Tensor(value) for value in values])
        return float(total.item())

    def slopes_at(*values: Array) -> list[Array]:
        tensors = [Tensor(value, requires_grad=True) for value in values]
        total = contracted(*tensors)
        if not isinstance(total, Tensor) or not total.requires_grad:
            return [np.zeros(value.shape) for value in values]
        return gradients(total, tensors)

    slopes = slopes_at(*points)
    direction = [rng.uniform(-1, 1, point.shape) for point in points]
    if "reverse" in modes:
        for number, (point, slope) in enumerate(zip(points, slopes, strict=True)):
            numeric = np.empty_like(point)
            for place in np.ndindex(point.shape):
                numeric[place] = _central(value_at, points, _unit(points, number, place), eps, point[place])
            _compare(slope, numeric, f"gradient of input {moving[number]}", rtol, atol)
    if "forward" in modes:
        _, along = jvp(contracted, points, direction)
        expected = sum(float(np.vdot(s, d)) for s, d in zip(slopes, direction, strict=True))
        _compare(np.asarray(along.data), np.asarray(expected), "forward derivative along a direction", rtol, atol)
    if order == 2:
        tensors = [Tensor(value, requires_grad=True) for value in points]
        first = gradients(contracted(*tensors), tensors, record=True)
        along_first: Any = 0.0
        for slope, d in zip(first, direction, strict=True):
            along_first = along_first + np.sum(slope * d)
        linear = not isinstance(along_first, Tensor) or not along_first.requires_grad
        second = [np.zeros(p.shape) for p in points] if linear else gradients(along_first, tensors)
        step = eps * max(1.0, max((float(np.abs(p).max(initial=0.0)) for p in points), default=1.0))
        ahead = slopes_at(*[p + step * d for p, d in zip(points, direction, strict=True)])
        behind = slopes_at(*[p - step * d for p, d in zip(points, direction, strict=True)])
        for number, hvp in enumerate(second):
            numeric = (ahead[number] - behind[number]) / (2 * step)
            _compare(hvp, numeric, f"second derivative of input {moving[number]} along a direction", rtol, atol)


def _unit(points: list[Array], number: int, place: tuple[int, ...]) -> list[Array]:
    steps = [np.zeros(point.shape) for point in points]
    steps[number][place] = 1.0
    return steps


def _central(f: Callable[..., float], points: list[Array], way: list[Array], eps: float, at: float) -> float:
    step = eps * max(1.0, abs(float(at)))
    ahead = f(*[p + step * d for p, d in zip(points, way, strict=True)])
    behind = f(*[p - step * d for p, d in zip(points, way, strict=True)])
    return (ahead - behind) / (2 * step)


def _compare(found: Array, expected: Array, what: str, rtol: float, atol: float) -> None:
    if found.shape != expected.shape:
        raise GradcheckError(f"{what}: shape {found.shape}, central differences have {expected.shape}")
    if not found.size:
        return
    scale = float(np.abs(expected).max())
    off = np.abs(found - expected)
    if bool((off <= atol + rtol * scale).all()):
        return
    worst = np.unravel_index(int(np.argmax(np.where(np.isnan(off), np.inf, off))), off.shape)
    a, b = float(found[worst]), float(expected[worst])
    ratio = a / b if b else float("inf")
    place = tuple(int(i) for i in worst)
    raise GradcheckError(
        f"{what}: worst at {place}: the graph gives {a:.10g}, central differences {b:.10g}, ratio {ratio:.6g}. "
        "Check the vjp and jvp of the primitives in between, or move the point away from a kink"
    )
