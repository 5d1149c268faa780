"""Rules: what a node computes and what each of its gradient rules computes, as a line of algebra."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import NamedTuple

from ...core import Node, explain
from ...core.algebra import Term
from ...core.errors import TraceError
from ...core.node import Spec
from ...core.notation import PYTHON
from ...core.trace import freeze, thaw
from ...scan.families import is_elementwise


class Formula(NamedTuple):
    """A line of algebra: g is the cotangent of the result, out the result, a, b, … the arguments.

    Attributes:
        text: the line.
        elementwise: whether each element of the result comes from one element of each argument, unless it is a sum over
            those that an argument was broadcast to.
    """

    text: str
    elementwise: bool


class Rules(NamedTuple):
    """What a node computes.

    Attributes:
        value: its result.
        cotangents: for each argument that has a gradient its number and the cotangent that it gets.
    """

    value: Formula
    cotangents: list[tuple[int, Formula]]


def key(node: Node) -> Hashable:
    """Return what nodes have in common that compute the same by the same rules."""
    args = node.arguments
    shapes = [
        parent.specs[slot] if parent is not None else getattr(arg, "shape", arg)
        for parent, slot, arg in zip(node.parents, node.slots, args, strict=True)
    ]
    return (node.primitive, node.specs, tuple(map(str, shapes)), node.args is None, repr(node.params))


def rules(node: Node) -> Rules:
    """Return what a node computes and what its gradient rules compute.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn.viz.page.rules import rules
        >>> rules(np.tanh(tg.Tensor([0.5], requires_grad=True)).node).cotangents
        [(0, Formula(text='g * (1 - out * out)', elementwise=True))]
    """
    each = is_elementwise(node)
    value = Formula(_value(node), each)
    wanted = [i for i, parent in enumerate(node.parents) if parent is not None]
    if any(parent is None and arg is None for parent, arg in zip(node.parents, node.arguments, strict=True)):
        return Rules(value, [(i, Formula("freed by an earlier backward pass", False)) for i in wanted])
    try:
        where, cotangents = explain.rules(node)
    except TraceError:
        return Rules(value, [(i, Formula(f"the rule of {node.operation}", False)) for i in wanted])
    return Rules(value, [(i, Formula(_with_names(text, where), each and not where)) for _, i, text in cotangents])


def _with_names(text: str, where: tuple[tuple[str, str], ...]) -> str:
    """Add what the names in a line stand for."""
    parts: list[str] = []
    for name, meaning in reversed(where):
        if any(re.search(rf"\b{name}\b", part) for part in [text, *parts]):
            parts.insert(0, f"{name} = {meaning}")
    return f"{text} where {', '.join(parts)}" if parts else text


def _value(node: Node) -> str:
    operands = []
    args = node.arguments
    for i, (parent, slot, arg) in enumerate(zip(node.parents, node.slots, args, strict=True)):
        letter = chr(97 + i) if len(node.parents) <= 6 else f"a{i}"
        spec = parent.specs[slot] if parent is not None else arg
        if hasattr(spec, "shape") or spec is None:
            known = spec if spec is not None else Spec((), node.specs[0].dtype)
            operands.append(Term("", (), {}, None, known, letter, i))
        else:
            operands.append(Term("", (), {}, None, Spec((), node.specs[0].dtype), spec, i))
    params = thaw(freeze(node.params))
    return PYTHON.text(Term(node.operation, tuple(operands), params, None, node.specs[0], None, len(operands)))
