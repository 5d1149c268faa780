"""gradcheck: the gradients of a function against central differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.errors import ConfigError, GradcheckError, NoRuleError
from .blame import blame, check, unsaved
from .derivatives import Options
from .differences import NotDifferentiableError
from .problem import Function, Problem

__all__ = ["NotDifferentiableError", "dot_product_check", "gradcheck"]


@np.errstate(all="ignore")
def gradcheck(
    function: Function,
    inputs: Sequence[Any],
    order: int = 2,
    modes: Sequence[str] = ("reverse", "forward"),
    eps: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
) -> None:
    """Compare the derivatives of a function with central differences.

    First order: the whole Jacobian of up to 200 input elements, random directions beyond that, which are narrowed down
    to one entry where they disagree. Second order: the derivative of a random combination of first derivatives along a
    random direction, by every pair of the modes, with the function between two curves: then tangents and cotangents
    move with the point, and a rule that takes them for constants is found.

    Floating inputs are converted to float64, so that a function of float32 is checked with its digits; where the
    function computes in a coarser dtype all the same, step and tolerances fit that. Random numbers from `tg.random`
    are the same in every call.

    Args:
        function: takes nests of tensors, returns a nest of tensors.
        inputs: a nest of arrays for each argument (tuples, lists, dicts). Floating leaves are differentiated, others
            are passed on as they are.
        order: 1 or 2.
        modes: "reverse", "forward" or both.
        eps: the step, relative to the scale of the input; by default the cube root of the machine epsilon.
        rtol: tolerance relative to the largest derivative of the same result by the same input; by default 1.4e-6 for
            float64 and 2.5e-3 for float32.
        atol: absolute tolerance; by default what rounding does to the differences.
        seed: of directions and combinations.

    Raises:
        GradcheckError: naming the worst entry, both values and their ratio, and the primitive whose own rule is wrong,
            if there is one; or that the function changes its inputs in place.
        NotDifferentiableError: if there is a kink, a jump or an edge at the point; a GradcheckError too.
        ConfigError: if the inputs or an option are not usable: no list of arguments, no floats, NaN, a step of 0.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.testing import gradcheck
        >>> gradcheck(lambda p, x: np.tanh(x @ p["w"] + p["b"]), [{"w": np.ones((3, 2)), "b": np.zeros(2)}, np.ones(3)])
    """
    if order not in (1, 2) or isinstance(modes, str) or not set(modes) <= {"reverse", "forward"} or not modes:
        raise ConfigError(f"gradcheck: order {order!r}, modes {modes!r}; give order 1 or 2 and ('reverse', 'forward')")
    if (eps is not None and not eps > 0) or any(
        tolerance is not None and not tolerance >= 0 for tolerance in (rtol, atol)
    ):
        raise ConfigError(
            f"gradcheck: eps={eps}, rtol={rtol}, atol={atol}; give a step above 0 and tolerances of 0 or more"
        )
    options = Options(tuple(modes), eps, rtol, atol, seed)
    problem = _problem("gradcheck", function, inputs)
    point = problem.inputs.join(problem.points)
    _check_that_calls_agree(problem)
    for now in range(1, order + 1):
        found = check(problem, options, now)
        if found is None:
            continue
        if isinstance(found, NoRuleError):
            raise NoRuleError(
                f"gradcheck, modes {options.modes}: {found}; or leave out the mode that needs it"
            ) from found
        if isinstance(found, Exception):
            guilty = unsaved(function, inputs, options, now) or blame(lambda: problem.record(point), options, now)
            if guilty is None:
                raise found
            raise GradcheckError(f"gradcheck, order {now}: {guilty}") from found
        error = NotDifferentiableError if found.mode == "kink" else GradcheckError
        guilty = blame(lambda: problem.record(point), options, now)
        other = "Each primitive is right by itself: does the function leave the graph, with .data, .item() or detach()?"
        raise error(f"gradcheck, order {now}: {found.text}. {guilty or other}")


def _problem(name: str, function: Function, inputs: Sequence[Any]) -> Problem:
    if not isinstance(inputs, (list, tuple)):
        raise ConfigError(
            f"{name}: inputs is a {type(inputs).__name__}; give a list with one entry for each argument: [a]"
        )
    problem = Problem(function, inputs)
    point = problem.inputs.join(problem.points)
    if not np.isfinite(point).all():
        number = int(np.argmin(np.isfinite(point)))
        raise ConfigError(
            f"{name}: {problem.inputs.name(number)} is {point[number]}, where nothing has a derivative; give finite "
            "numbers, and let the function put in others itself"
        )
    for label, tensor, given in zip(problem.inputs.labels, problem.first.tensors, problem.points, strict=True):
        if not np.array_equal(tensor._data, given.astype(tensor.dtype)):
            raise GradcheckError(
                f"{name}: the function changed {label} in place; return new arrays: a = a + 1, not a += 1"
            )
    if not problem.first.results:
        raise ConfigError(f"{name}: the function returned nothing that holds floats; return what it computes")
    return problem


def _check_that_calls_agree(problem: Problem) -> None:
    assert problem.outputs is not None
    first = problem.outputs.join([getattr(out, "_data", out) for out in problem.first.results])
    again = problem.values(problem.inputs.join(problem.points))
    if not np.allclose(first, again, rtol=1e-9, atol=0, equal_nan=True):
        raise GradcheckError(
            "gradcheck: the function gave other values when it was called again on the same inputs; take random "
            "numbers from tg.random.generator(), which are held still here, and keep no state between calls"
        )


@np.errstate(all="ignore")
def dot_product_check(
    function: Function, inputs: Sequence[Any], rtol: float | None = None, trials: int = 3, seed: int = 0
) -> None:
    """Check that forward and reverse mode agree: ⟨J v, u⟩ = ⟨v, Jᵀ u⟩ for random v and u.

    It needs no differences, so it is exact to rounding at any size and at kinks too.

    Args:
        function: takes nests of tensors, returns a nest of tensors.
        inputs: a nest of arrays for each argument, as for `gradcheck`.
        rtol: tolerance relative to the size of the terms of both products; by default 1e-10 in float64.
        trials: how many pairs of directions.
        seed: of the directions.

    Raises:
        GradcheckError: with both products, and the primitive whose own rules disagree, if there is one.
        ConfigError: if the inputs are not usable, as for `gradcheck`.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.testing import dot_product_check
        >>> dot_product_check(lambda a: np.cumsum(np.exp(a)), [np.ones(1000)])
    """
    problem = _problem("dot_product_check", function, inputs)
    assert problem.outputs is not None
    rng = np.random.default_rng(seed)
    allowed = max(1e-10, 1e3 * problem.precision) if rtol is None else rtol
    for _ in range(trials):
        v, u = rng.normal(size=problem.inputs.size), rng.normal(size=problem.outputs.size)
        forward, reverse = problem.first.tangent(v) * u, problem.first.gradient(u) * v
        a, b = float(forward.sum()), float(reverse.sum())
        size = max(float(np.abs(forward).sum()), float(np.abs(reverse).sum()))
        if not abs(a - b) <= allowed * size:
            options = Options(("reverse", "forward"), None, None, None, seed)
            guilty = blame(lambda: problem.record(problem.inputs.join(problem.points)), options, 1)
            raise GradcheckError(
                f"dot_product_check: ⟨Jv, u⟩ = {a:.12g} but ⟨v, Jᵀu⟩ = {b:.12g}, ratio {a / b if b else np.inf:.9g}. "
                f"{guilty or 'Each primitive is right by itself'}"
            )
