"""The primitive `scan`: a whole loop over time as one operation, run by a compiled engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..core import Primitive, Tensor
from ..core.modes import current
from ..core.node import Array
from . import derive
from .derive import Source
from .opening import Origin
from .step import Step, is_float, spec_at
from .telling import told

Program = Callable[[Sequence[Array], int, bool], list[Array]]


def _forward(
    *arrays: Any, step: Step, time: int, reverse: bool, engine: Callable[[Step], Program], origin: Origin | None
) -> tuple[Any, ...]:
    return tuple(engine(step)(arrays, time, reverse))


scan_primitive = Primitive("scan", _forward)


def run(
    step: Step,
    init: Sequence[Any],
    xs: Sequence[Any],
    constants: Sequence[Any],
    time: int,
    reverse: bool,
    engine: Callable[[Step], Program],
    origin: Origin | None = None,
) -> tuple[list[Any], list[Any]]:
    """Run a step over time and record that, if need be, as one operation.

    Args:
        step: the step.
        init: the state before the first step, an array or tensor for each leaf.
        xs: for each input that differs from step to step, (time, ...).
        constants: for each constant.
        time: the number of steps, at least 1.
        reverse: run from the last step to the first.
        engine: compiles a step.
        origin: what the step was traced from; None for one that was derived.

    Returns:
        The results of all steps, each (time, ...), and the leaves of the last state.
    """
    count = len(step.ys)
    if current().recording and any(isinstance(arg, Tensor) and arg.requires_grad for arg in (*init, *xs, *constants)):
        step = derive.saving(step, needs(xs), needs(constants))
    args = (*init, *xs, *constants)
    outs = scan_primitive(*args, step=step, time=time, reverse=reverse, engine=engine, origin=origin)
    return list(outs[:count]), list(outs[len(step.ys) :])


def needs(values: Sequence[Any]) -> tuple[bool, ...]:
    """Return which of some values require a gradient."""
    return tuple([isinstance(value, Tensor) and value.requires_grad for value in values])


def _parts(step: Step, args: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
    first, second = len(step.carry), len(step.carry) + len(step.xs)
    return args[:first], args[first:second], args[second:]


def _vjp(
    gs: Any,
    outs: Any,
    args: Any,
    needs: Any,
    step: Step,
    time: int,
    reverse: bool,
    engine: Callable[[Step], Program],
    origin: Origin | None,
) -> list[Any]:
    _, xs, constants = _parts(step, args)
    _, x_needs, constant_needs = _parts(step, needs)
    count = len(step.ys)
    has = tuple([g is not None for g in gs[:count]])
    derived = derive.vjp(step, derive.Wanted(has, tuple(x_needs), tuple(constant_needs)))

    def find(source: Source) -> Any:
        if source.kind == "carry":
            g = gs[count + source.number]
            return _zeros(spec_at(step.next_carry[source.number])) if g is None else g
        if source.kind == "sum":
            return _zeros(step.constants[source.number].specs[0])
        return {"cotangent": gs, "saved": outs, "x": xs, "constant": constants}[source.kind][source.number]

    ys, last = run(
        derived.step,
        [find(source) for source in derived.carry],
        [find(source) for source in derived.xs],
        [find(source) for source in derived.constants],
        time,
        not reverse,
        engine,
    )
    offsets = {"carry": 0, "sum": len(step.carry) + len(step.xs)}
    answer: list[Any] = [None] * len(args)
    for source, value in zip(derived.carry, last, strict=True):
        answer[offsets[source.kind] + source.number] = value
    for i, value in zip(derived.ys, ys, strict=True):
        answer[len(step.carry) + i] = value
    return answer


def _jvp(
    tangents: Any,
    outs: Any,
    args: Any,
    step: Step,
    time: int,
    reverse: bool,
    engine: Callable[[Step], Program],
    origin: Origin | None,
) -> tuple[Any, ...]:
    init, xs, constants = _parts(step, args)
    _, x_moves, constant_moves = _parts(step, [t is not None for t in tangents])
    d_init, d_xs, d_constants = _parts(step, tangents)
    # A state whose tangent starts at 0 moves too, as soon as anything does.
    carry = tuple([is_float(edge) for edge in step.next_carry])
    derived = derive.jvp(step, carry, tuple(x_moves), tuple(constant_moves))

    def find(source: Source) -> Any:
        if source.kind == "carry":
            tangent = d_init[source.number]
            return _zeros(spec_at(step.next_carry[source.number])) if tangent is None else tangent
        found = {
            "state": init,
            "x": xs,
            "tangent": d_xs,
            "constant": constants,
            "constant tangent": d_constants,
        }
        return found[source.kind][source.number]

    ys, last = run(
        derived.step,
        [find(source) for source in derived.carry],
        [find(source) for source in derived.xs],
        [find(source) for source in derived.constants],
        time,
        reverse,
        engine,
    )
    moved = dict(zip(derived.carry, last, strict=True))
    slopes = dict(zip(derived.ys, ys, strict=True))
    after = [moved.get(Source("carry", k)) for k in range(len(step.carry))]
    return (*[slopes.get(i) for i in range(len(step.ys))], *after)


@lru_cache
def _zeros(spec: Any) -> Array:
    # What a sum starts from, be it as large as a weight, takes no memory.
    return np.broadcast_to(np.zeros((), spec.dtype), spec.shape)


scan_primitive.defvjp_joint(_vjp)
scan_primitive.defjvp_joint(_jvp)
scan_primitive.deftold(told, hides=("step", "engine"))
