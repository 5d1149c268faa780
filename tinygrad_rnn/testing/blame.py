"""Whose rule is wrong: every operation of a graph is checked by itself, on the arguments that it had there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from ..core import Tensor
from ..core.errors import TinygradRNNError
from ..core.node import Node, ancestors
from ..core.primitive import Primitive
from ..scan import engine
from .derivatives import Mismatch, Options, first_order, second_order
from .problem import Function, Problem, Record

_EVERYTHING = frozenset({"out", "specs", *range(10_000)})
# What a rule raises if it is wrong about shapes, names or what it saved.
RULE_ERRORS = (TinygradRNNError, ValueError, TypeError, AttributeError, IndexError, KeyError, AssertionError)


@contextmanager
def _saving_everything(primitives: set[Primitive]) -> Iterator[None]:
    """Make primitives keep all their arguments and results, whether their rules read them or not."""
    saves = {primitive: (primitive._saves, primitive._saves_out, primitive._specs_too) for primitive in primitives}
    try:
        for primitive in primitives:
            primitive._saves, primitive._saves_out, primitive._specs_too = _EVERYTHING, True, True
        yield
    finally:
        for primitive, (kept, out, specs) in saves.items():
            primitive._saves, primitive._saves_out, primitive._specs_too = kept, out, specs


def _operations(record: Record) -> list[Node]:
    """Return the nodes with a primitive that depend on the inputs, in the order in which they were made."""
    roots = [out.node for out in record.roots() if out.node is not None]
    moving = record.moving()
    return [node for node in ancestors(roots) if node in moving and isinstance(node.primitive, Primitive)]


def _alone(node: Node, moving: set[Node]) -> Problem | None:
    """Return one operation as a function of those of its arguments that depend on the inputs."""
    primitive, saved, params = node.primitive, node.args, node.params
    if saved is None or any(arg is None or type(arg).__name__ == "Spec" for arg in saved):
        return None
    args: list[Any] = list(saved)
    free = [
        i
        for i, (parent, arg) in enumerate(zip(node.parents, args, strict=True))
        if parent in moving and getattr(getattr(arg, "dtype", None), "kind", "") == "f"
    ]

    def function(*values: Any) -> Any:
        assert isinstance(primitive, Primitive)
        given = list(args)
        for i, value in zip(free, values, strict=True):
            given[i] = value
        return primitive(*given, **params)

    return Problem(function, [args[i] for i in free], "its result") if free else None


def _verdict(node: Node, found: Mismatch | Exception, within: str = "") -> str:
    shapes = ", ".join(map(repr, node.specs))
    scope = f" in {'/'.join(map(str, node.scope))}" if node.scope else ""
    if not isinstance(found, Exception) and found.mode == "kink":
        return f"The kink is that of primitive {node.operation}{within} ({shapes}{scope})"
    if isinstance(found, Exception):
        said = f"a rule of it raises {type(found).__name__}: {found}"
    else:
        said = f"its {found.mode} rule disagrees with its own central differences: {found.text}"
    return f"To blame is primitive {node.operation}{within} ({shapes}{scope}): {said}"


def blame(record: Callable[[], Record], options: Options, order: int, within: str = "") -> str | None:
    """Return which primitive's rule is wrong, and how; None where each is right by itself.

    Args:
        record: runs the function and records it; called twice.
        options: as for the check that failed.
        order: 2 if first derivatives agreed and second ones did not.
        within: which rules the operations are part of, for the message.
    """
    try:
        # A compiled loop is one operation; run eagerly, it shows those that it is made of.
        with engine("eager"):
            primitives = {node.primitive for node in _operations(record()) if isinstance(node.primitive, Primitive)}
        with _saving_everything(primitives), engine("eager"):
            run = record()
            moving = run.moving()
            for node in _operations(run):
                found = _judge(node, moving, options, order, within)
                if found is not None:
                    return found
    except RULE_ERRORS:  # some operation cannot be called by itself
        return None
    return None


def unsaved(function: Function, inputs: Sequence[Any], options: Options, order: int) -> str | None:
    """Return which primitive's rule raises for want of an argument or result that `saves` leaves out.

    Args:
        function: whose derivatives could not be computed.
        inputs: as for `Problem`.
        options: as for the check that failed.
        order: of that check.
    """
    problem = Problem(function, inputs)
    operations = _operations(problem.first)
    if order == 2:
        with suppress(*RULE_ERRORS):  # where a first derivative cannot be recorded, there are no others to look at
            operations += _operations(_derivative(problem, options))
    nodes = {node.primitive: node for node in operations}
    for primitive, node in nodes.items():
        assert isinstance(primitive, Primitive)
        with _saving_everything({primitive}):
            found = check(Problem(function, inputs), options, order)
        if not isinstance(found, Exception):
            shapes = ", ".join(map(repr, node.specs))
            return (
                f"To blame is primitive {node.operation} ({shapes}): its rules read an argument or a result that it "
                'does not save; name it in saves=, by its position or as "out"'
            )
    return None


def _judge(node: Node, moving: set[Node], options: Options, order: int, within: str) -> str | None:
    try:
        problem = _alone(node, moving)
    except RULE_ERRORS:
        return None
    if problem is None:
        return None
    found = check(problem, options, 1)
    if found is not None:
        return _verdict(node, found, within)
    if order == 2 and (found := check(problem, options, 2)) is not None:
        # Its own rules are right: then it is one of the operations that they are written in, or how they are written.
        inner = blame(lambda: _derivative(problem, options), options, 1, f"{within} in the rules of {node.operation}")
        return inner or _verdict(node, found, within)
    return None


def _derivative(problem: Problem, options: Options) -> Record:
    """Return the record of an operation's gradients and tangents."""
    rng = np.random.default_rng(options.seed)
    assert problem.outputs is not None
    run = problem.record(problem.inputs.join(problem.points))
    found: list[Any] = []
    if "reverse" in options.modes:
        found += run.pull(rng.uniform(0.5, 1.5, problem.outputs.size), record=True)
    if "forward" in options.modes:
        found += run.push(rng.uniform(0.5, 1.5, problem.inputs.size), record=True)
    return run.of([part for part in found if isinstance(part, Tensor)], problem.outputs)


def check(problem: Problem, options: Options, order: int) -> Mismatch | Exception | None:
    """Check one order of derivatives; what a rule raises is returned."""
    try:
        return first_order(problem, options) if order == 1 else second_order(problem, options)
    except RULE_ERRORS as error:
        return error
