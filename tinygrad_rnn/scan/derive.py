"""Derivatives of steps: the vjp of a scan is a scan, and so is its jvp. Both come from the rules of the primitives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ..core import Addend, Node, Spec
from ..core.backward import sum_to
from ..core.trace import Abstract, Trace
from .step import Built, Edge, Step, described, is_float, result_value, spec_at

# What is computed again in the backward loop rather than kept from the forward loop.
_CHEAP = frozenset(
    {
        *("add", "subtract", "multiply", "negative", "square", "where", "astype", "stop", "identity", "relu", "sign"),
        *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_not", "logical_and"),
        *("split", "getitem", "reshape", "transpose", "broadcast_to", "concatenate", "maximum", "minimum"),
    }
)


class Source(NamedTuple):
    """Where an input of a derived step comes from.

    Args:
        kind: "cotangent" or "tangent" of a result or of an input, a "saved" result, an input "x", a "constant".
        number: which one.
    """

    kind: str
    number: int


class Derived(NamedTuple):
    """A derived step, where its inputs come from and where its results go.

    Args:
        step: the step.
        carry: the source of each leaf of its state.
        xs: the source of each input that differs from step to step.
        constants: the source of each constant.
        ys: which input x, or which result, each of its results is the cotangent or the tangent of.
    """

    step: Step
    carry: tuple[Source, ...]
    xs: tuple[Source, ...]
    constants: tuple[Source, ...]
    ys: tuple[int, ...]


class _Builder:
    """A trace whose inputs are known by their sources."""

    def __init__(self) -> None:
        self.trace = Trace()
        self.inputs: dict[Source, Abstract] = {}
        self.names: dict[int, str] = {}
        self.lines: dict[int, str] = {}

    def name(self, value: Any, name: str) -> None:
        """Name a value, unless it has a name."""
        if type(value) is Abstract:
            self.names.setdefault(value._value, name)

    def line(self, start: int, node: Node) -> None:
        """Note that the calls since a number were made for the sake of a node."""
        if node.line:
            self.lines |= dict.fromkeys(range(start, len(self.trace.calls)), node.line)

    def input(self, kind: str, number: int, spec: Spec, name: str) -> Abstract:
        """Return the input from a source, made when it is asked for first."""
        source = Source(kind, number)
        if source not in self.inputs:
            self.inputs[source] = self.trace.input(spec)
            self.name(self.inputs[source], name)
        return self.inputs[source]

    def derived(self, carry: list[Source], ys: dict[int, Any], next_carry: list[Any]) -> Derived:
        """Return the step from the inputs to some results; inputs that are not needed are left out."""
        values = [result_value(self.trace, value) for value in (*ys.values(), *next_carry)]
        built = Built(self.trace, self.names, self.lines)
        edges = [built.edges[value] for value in values]
        node_at = {source: built.edges[value._value][0] for source, value in self.inputs.items()}
        used = _reached(edges)
        others = [s for s in self.inputs if s not in carry and node_at[s] in used]
        constants = [s for s in others if s.kind in ("constant", "constant tangent")]
        xs = [s for s in others if s not in constants]
        fixed = {node: np.asarray(value) for node, value in zip(built.captured, self.trace.captured, strict=True)}
        step = Step(
            [node_at[source] for source in carry],
            [node_at[source] for source in xs],
            [node_at[source] for source in constants],
            edges[: len(ys)],
            edges[len(ys) :],
            fixed,
            [node_at[source] for source in carry if source.kind == "sum"],
        )
        return Derived(step, tuple(carry), tuple(xs), tuple(constants), tuple(ys))


def _reached(edges: Iterable[Edge]) -> set[Node]:
    seen = {node for node, _ in edges}
    stack = list(seen)
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return seen


class _Forward:
    """The values of a step as inputs of a derived one: those that are at hand, and the others computed from them."""

    def __init__(self, builder: _Builder, step: Step, everything: bool = False) -> None:
        self.builder = builder
        self.everything = everything
        self.numbers: dict[Edge, int] = dict(step.saved)
        self.values: dict[Edge, Any] = {}
        for kind, nodes in (("x", step.xs), ("constant", step.constants)):
            for i, node in enumerate(nodes):
                if node in step.graph.consumers:
                    self.values[node, 0] = builder.input(kind, i, node.specs[0], described((node, 0)))
        for node, value in step.fixed.items():
            self.values[node, 0] = value

    def __getitem__(self, edge: Edge) -> Any:
        value = self.values.get(edge)
        if value is None:
            node, _ = edge
            if edge in self.numbers or self.everything or node.primitive is None:
                # Negative numbers are no results: such a value is asked for, and then not used.
                number = self.numbers.setdefault(edge, len(self.numbers) if self.everything else ~len(self.numbers))
                value = self.values[edge] = self.builder.input("saved", number, spec_at(edge), described(edge))
            else:
                args = [self.argument(node, i) for i in range(len(node.parents))]
                found = self.builder.trace.record(node.primitive, tuple(args), node.params)  # type: ignore[arg-type]
                for slot, part in enumerate(found if isinstance(found, list) else [found]):
                    self.values.setdefault((node, slot), part)
                    self.builder.name(part, described((node, slot)))
                value = self.values[edge]
        return value

    def argument(self, node: Node, i: int) -> Any:
        """Return an argument of a node: a value, or the Python number that it is."""
        parent = node.parents[i]
        assert node.args is not None
        return node.args[i] if parent is None else self[parent, node.slots[i]]


class Wanted(NamedTuple):
    """What a vjp is to be taken of.

    Args:
        ys: for each result, whether it has a cotangent.
        xs: for each input x, whether its cotangent is needed.
        constants: the same for each constant.
    """

    ys: tuple[bool, ...]
    xs: tuple[bool, ...]
    constants: tuple[bool, ...]


def vjp(step: Step, wanted: Wanted) -> Derived:
    """Return the step of the backward loop: from cotangents of results to cotangents of inputs.

    Its state holds a cotangent for each floating leaf of the step's state, then a sum for each constant that is wanted.
    """
    key = ("vjp", wanted)
    if key not in step.cache:
        builder = _Builder()
        step.cache[key] = _vjp(step, wanted, builder, _Forward(builder, step))
    return step.cache[key]  # type: ignore[no-any-return]


def _vjp(step: Step, wanted: Wanted, builder: _Builder, forward: _Forward) -> Derived:
    totals = _Totals(builder.trace)
    for i, (edge, has) in enumerate(zip(step.ys, wanted.ys, strict=True)):
        if has and is_float(edge):
            name = "d_y" if sum(wanted.ys) == 1 else f"d_y{i}"
            totals.add(edge, builder.input("cotangent", i, spec_at(edge), name))
    carry: list[Source] = []
    for k, edge in enumerate(step.next_carry):
        if is_float(edge):
            carry.append(Source("carry", k))
            totals.add(edge, builder.input("carry", k, spec_at(edge), f"d_{described((step.carry[k], 0))}"))
    needed = {node for node in step.carry if is_float((node, 0))}
    needed |= {node for node, need in zip(step.xs, wanted.xs, strict=True) if need and is_float((node, 0))}
    needed |= {node for node, need in zip(step.constants, wanted.constants, strict=True) if need}
    for node in step.graph:
        if node.primitive is not None and any(parent in needed for parent in node.parents):
            needed.add(node)
    for node in reversed(step.graph.nodes):
        if node.primitive is None or node not in needed:
            continue
        gs = [totals.found.get((node, slot)) for slot in range(len(node.specs))]
        if all(g is None for g in gs):
            continue
        start = len(builder.trace.calls)
        args = [forward.argument(node, i) for i in range(len(node.parents))]
        outs = [forward[node, slot] for slot in range(len(node.specs))]
        needs = [
            parent is not None and parent in needed and is_float((parent, slot))
            for parent, slot in zip(node.parents, node.slots, strict=True)
        ]
        pulled = node.primitive.pull(gs, outs, args, needs, node.params)
        for need, cotangent, parent, slot in zip(needs, pulled, node.parents, node.slots, strict=True):
            if need and cotangent is not None:
                totals.add((parent, slot), cotangent)  # type: ignore[arg-type]
        builder.line(start, node)

    after = [totals.at((step.carry[source.number], 0)) for source in carry]
    for i, (node, need) in enumerate(zip(step.constants, wanted.constants, strict=True)):
        if need and (node, 0) in totals.found:
            carry.append(Source("constant", i))
            name = f"d_{described((node, 0))}"
            after.append(builder.input("sum", i, node.specs[0], name) + totals.found[node, 0])
            builder.name(after[-1], name)
    carry = [Source("sum", s.number) if s.kind == "constant" else s for s in carry]
    ys = {i: totals.found[node, 0] for i, node in enumerate(step.xs) if wanted.xs[i] and (node, 0) in totals.found}
    for edge, cotangent in totals.found.items():
        builder.name(cotangent, f"d_{described(edge)}")
    return builder.derived(carry, ys, after)


class _Totals:
    """The cotangents so far, each of the shape and dtype of its value."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.found: dict[Edge, Any] = {}

    def add(self, edge: Edge, cotangent: Any) -> None:
        if type(cotangent) is Addend:
            cotangent = cotangent.primitive(*cotangent.args, **cotangent.params)
        spec = spec_at(edge)
        if cotangent.shape != spec.shape:
            cotangent = sum_to(cotangent, spec)
        if cotangent.dtype != spec.dtype:
            cotangent = cotangent.astype(spec.dtype)
        self.found[edge] = self.found[edge] + cotangent if edge in self.found else cotangent

    def at(self, edge: Edge) -> Any:
        spec = spec_at(edge)
        return self.found[edge] if edge in self.found else np.zeros(spec.shape, spec.dtype)


def jvp(step: Step, carry: tuple[bool, ...], xs: tuple[bool, ...], constants: tuple[bool, ...]) -> Derived:
    """Return the step that computes the state along with its tangent, and the tangents of the results.

    Args:
        step: the step.
        carry: for each leaf of the state, whether it may move; its tangent stands behind the state itself.
        xs: the same for each input x.
        constants: the same for each constant.
    """
    key = ("jvp", carry, xs, constants)
    if key not in step.cache:
        step.cache[key] = _jvp(step, carry, xs, constants)
    return step.cache[key]  # type: ignore[no-any-return]


def _jvp(step: Step, carry: tuple[bool, ...], xs: tuple[bool, ...], constants: tuple[bool, ...]) -> Derived:
    builder = _Builder()
    forward = _Forward(builder, step)
    forward.numbers = {}
    sources = [Source("state", i) for i in range(len(step.carry))]
    for i, node in enumerate(step.carry):
        forward.values[node, 0] = builder.input("state", i, node.specs[0], described((node, 0)))
    moving: dict[Edge, Any] = {}
    kinds = (("carry", step.carry, carry), ("tangent", step.xs, xs), ("constant tangent", step.constants, constants))
    for kind, nodes, flags in kinds:
        for i, (node, moves) in enumerate(zip(nodes, flags, strict=True)):
            if moves:
                moving[node, 0] = builder.input(kind, i, node.specs[0], f"tangent_{described((node, 0))}")
    for node in step.graph:
        if node.primitive is None:
            continue
        along = [
            moving.get((parent, slot)) if parent is not None else None
            for parent, slot in zip(node.parents, node.slots, strict=True)
        ]
        if all(tangent is None for tangent in along):
            continue
        args = [forward.argument(node, i) for i in range(len(node.parents))]
        outs = [forward[node, slot] for slot in range(len(node.specs))]
        for slot, tangent in enumerate(node.primitive.push(along, outs, args, node.params)):
            if tangent is not None:
                spec = node.specs[slot]
                if tangent.shape != spec.shape:
                    tangent = np.broadcast_to(tangent, spec.shape)
                moving[node, slot] = tangent if tangent.dtype == spec.dtype else tangent.astype(spec.dtype)

    def tangent_of(edge: Edge) -> Any:
        spec = spec_at(edge)
        return moving[edge] if edge in moving else np.zeros(spec.shape, spec.dtype)

    after = [forward[edge] for edge in step.next_carry]
    for i, (edge, moves) in enumerate(zip(step.next_carry, carry, strict=True)):
        if moves:
            sources.append(Source("carry", i))
            after.append(tangent_of(edge))
    ys = {i: tangent_of(edge) for i, edge in enumerate(step.ys) if is_float(edge)}
    for edge, tangent in moving.items():
        builder.name(tangent, f"tangent_{described(edge)}")
    return builder.derived(sources, ys, after)


def saving(step: Step, xs: tuple[bool, ...], constants: tuple[bool, ...]) -> Step:
    """Return the step that also hands out what its backward loop needs and does not compute again.

    The states before each step are always among it, so that any other value can be computed from what is at hand; but
    for sums over time, which no value is computed from.

    Args:
        step: the step.
        xs: for each input x, whether its cotangent will be needed.
        constants: the same for each constant.
    """
    key = ("saving", xs, constants)
    if key not in step.cache:
        builder = _Builder()
        forward = _Forward(builder, step, everything=True)
        wanted = Wanted((True,) * len(step.ys), xs, constants)
        derived = _vjp(step, wanted, builder, forward)
        used = {source.number for source in derived.xs if source.kind == "saved"}
        kept = _kept(step, [edge for edge, number in forward.numbers.items() if number in used])
        ys = [*step.ys, *[edge for edge in kept if edge not in step.ys]]
        found = Step(step.carry, step.xs, step.constants, ys, step.next_carry, step.fixed, step.zeros)
        found.saved = {edge: ys.index(edge) for edge in kept}
        step.cache[key] = found
    return step.cache[key]  # type: ignore[no-any-return]


def _kept(step: Step, used: list[Edge]) -> list[Edge]:
    """Choose what to keep of the values that a backward loop uses: the states, and what is dear to compute."""
    inputs = {(node, 0) for node in step.inputs} | {(node, 0) for node in step.fixed}
    kept = {(node, 0): None for k, node in enumerate(step.carry) if step.addend(k) is None}
    # The next state costs nothing: it is kept as the state of the step after.
    at_no_cost = {edge for k, edge in enumerate(step.next_carry) if step.addend(k) is None}
    dear = [edge for edge in used if edge not in inputs and (edge in at_no_cost or edge[0].operation not in _CHEAP)]
    kept |= dict.fromkeys(dear)
    at_hand: dict[Edge, bool] = dict.fromkeys([*inputs, *kept], True)

    def is_cheap(edge: Edge) -> bool:
        if edge not in at_hand:
            node = edge[0]
            at_hand[edge] = node.operation in _CHEAP and all(
                parent is None or is_cheap((parent, slot))
                for parent, slot in zip(node.parents, node.slots, strict=True)
            )
        return at_hand[edge]

    return [*kept, *[edge for edge in used if edge not in kept and not is_cheap(edge)]]
