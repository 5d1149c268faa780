"""Step: one step of a scan as a graph, with the places of its inputs and results. Every compiler pass reads this."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count, takewhile
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from ..core import Graph, Node, Spec, Tensor
from ..core.errors import TraceError
from ..core.modes import Modes
from ..core.names import LocalNames
from ..core.node import Array, leaf
from ..core.primitive import identity
from ..core.trace import Abstract, Captured, Literal, Trace, thaw, tracing
from ..core.tree import TreeDef, tree_flatten, tree_unflatten
from .checks import name_of

Edge = tuple[Node, int]
_PLAIN = Modes()
_numbers = count()


class Step:
    """One step `(carry, x, constants) -> (carry, y)`.

    Args:
        carry: the inputs that hold the state.
        xs: the inputs that differ from step to step.
        constants: the inputs that are the same at every step.
        ys: the results of every step.
        next_carry: the state after the step, one for each of `carry`, of its shape and dtype.
        fixed: arrays that belong to the step itself, by the leaves that stand for them.
        zeros: the leaves of the state that are 0 before the first step of every run.

    Attributes:
        graph: all nodes from the inputs to the results.
        saved: for the steps that `derive.saving` makes: which value is handed out at which of `ys`.
        cache: what was derived from this step or compiled for it, by key.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.core.node import Spec
        >>> from tinygrad_rnn.scan.step import traced
        >>> row = Spec((2,), np.dtype(float))
        >>> found = traced(lambda x, h: (h, np.tanh(x + h)), (row,), (row,))
        >>> print(found.step)
        %0 = leaf h                 float64[2]
        %1 = leaf x                 float64[2]
        %2 = add(%1, %0)            float64[2]
        %3 = tanh(%2)               float64[2]
        return %0, %3
    """

    def __init__(
        self,
        carry: Iterable[Node],
        xs: Iterable[Node],
        constants: Iterable[Node],
        ys: Iterable[Edge],
        next_carry: Iterable[Edge],
        fixed: dict[Node, Array] | None = None,
        zeros: Iterable[Node] = (),
    ) -> None:
        self.carry, self.xs, self.constants = tuple(carry), tuple(xs), tuple(constants)
        self.ys, self.next_carry = tuple(ys), tuple(next_carry)
        self.graph = Graph([*self.ys, *self.next_carry])
        known = set(self.graph.nodes)
        self.fixed = {node: value for node, value in (fixed or {}).items() if node in known}
        self.zeros = frozenset(zeros)
        self.saved: dict[Edge, int] = {}
        self._number = next(_numbers)
        self.cache: dict[Any, Any] = {}

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The state, what differs from step to step, and the constants."""
        return (*self.carry, *self.xs, *self.constants)

    def addend(self, k: int) -> Node | None:
        """Return what is added to a leaf of the state at every step, if nothing else happens to it."""
        node, (total, slot) = self.carry[k], self.next_carry[k]
        readers = [reader for reader, _ in self.graph.consumers.get(node, [])]
        if total.operation != "add" or readers != [total] or self.graph.consumers[total] or total.slots[1]:
            return None
        if [*self.next_carry, *self.ys].count((total, slot)) != 1 or (node, 0) in self.ys:
            return None
        return total.parents[1] if total.parents[0] is node else None

    def __str__(self) -> str:
        return str(self.graph)

    def __repr__(self) -> str:
        return f"<Step {self._number} of {len(self.graph)} nodes>"


def spec_at(edge: Edge) -> Spec:
    """Return shape and dtype of a value."""
    return edge[0].specs[edge[1]]


def described(edge: Edge) -> str:
    """Return the name of a value; of one that has none, what is done to what."""
    node, slot = edge
    name = node.name_of(slot)
    if name is not None or node.primitive is None:
        return name or "constant"
    if len(node.specs) > 1:
        return f"{node.operation}_{slot}"
    of = node.parents[0].name_of(node.slots[0]) if len(node.parents) == 1 and node.parents[0] is not None else None
    if node.operation == "transpose":
        return f"{of or 'value'}_T"
    return f"{node.operation}_{of}" if of else "product" if node.operation == "matmul" else node.operation


def give_name(edge: Edge, name: str | None) -> None:
    """Give a value a name, unless it has one or is an input."""
    if name and edge[0].primitive is not None and not edge[0].name_of(edge[1]):
        edge[0].watch(edge[1]).name = name


def set_line(node: Node, line: str | None) -> None:
    """Note for which line of the user's code an operation is done, unless that is known."""
    if line and not node.line:
        node.modes = Modes(line=line)


def together(edges: Iterable[Edge]) -> str | None:
    """Return a name for parameters that are made one: what all their names begin with, and the last part they share."""
    heads = [(edge[0].name_of(edge[1]) or "").rpartition(".") for edge in edges]
    first, last = min(head for head, _, _ in heads), max(head for head, _, _ in heads)
    prefix = "".join([a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))])
    own = {leaf for _, _, leaf in heads}
    return "_".join([part for part in (prefix.rstrip("._"), *(own if len(own) == 1 else ())) if part]) or None


def constants_of(step: Step) -> set[Node]:
    """Return the nodes of a step whose values are the same at every step."""
    found: set[Node] = {*step.constants, *step.fixed}
    for node in step.graph:
        if node.primitive is not None and all(parent is None or parent in found for parent in node.parents):
            found.add(node)
    return found


def is_float(edge: Edge) -> bool:
    """Whether a value is of a floating dtype, so that it can have a gradient."""
    return spec_at(edge).dtype.kind == "f"


def node_of(primitive: Any, operands: list[Any], params: dict[str, Any], specs: tuple[Spec, ...]) -> Node:
    """Make a node of a step; an operand is an edge, or a Python number."""
    parents = tuple([operand[0] if type(operand) is tuple else None for operand in operands])
    slots = tuple([operand[1] if type(operand) is tuple else 0 for operand in operands])
    args = tuple([spec_at(operand) if type(operand) is tuple else operand for operand in operands])
    return Node(primitive, parents, slots, args, params, specs, specs, _PLAIN)


class Built:
    """The nodes of a trace: one leaf for each input and each captured array, one node for each call.

    Args:
        trace: what was recorded.
        names: of its values; the others get none.
        lines: of the user's code, by the number of a call.
    """

    def __init__(self, trace: Trace, names: dict[int, str], lines: dict[int, str]) -> None:
        self.inputs = [leaf(trace.specs[value], names.get(value)) for value in trace.inputs]
        self.edges: dict[int, Edge] = {value: (node, 0) for value, node in zip(trace.inputs, self.inputs, strict=True)}
        self.captured = [leaf(Spec(value.shape, value.dtype), _name(value)) for value in trace.captured]
        for number, call in enumerate(trace.calls):
            operands = [self._operand(operand) for operand in call.operands]
            node = node_of(call.primitive, operands, thaw(call.params), call.specs)
            set_line(node, lines.get(number))
            for slot in range(len(call.specs)):
                self.edges[call.first + slot] = (node, slot)
        for value, name in names.items():
            give_name(self.edges[value], name)

    def _operand(self, operand: Any) -> Any:
        if type(operand) is Literal:
            return operand.value
        return (self.captured[operand.number], 0) if type(operand) is Captured else self.edges[operand]


def _name(value: Any) -> str | None:
    return value.name if isinstance(value, Tensor) else None


class Traced:
    """A step, the tensors and arrays that its function closed over, and the nests of its results.

    Attributes:
        key: tells this trace apart from every other one of different calls.
        captured: one for each of the step's constants.
        draws: the shapes of random numbers that are drawn at every step, inputs behind those that the function takes.
    """

    def __init__(self, trace: Trace, counts: tuple[int, int], y: Any, carry: Any) -> None:
        y_leaves, self.y_structure = tree_flatten(y)
        carry_leaves, self.carry_structure = tree_flatten(carry)
        self._trace = trace
        self._counts = counts
        self._out = [result_value(trace, leaf) for leaf in (*y_leaves, *carry_leaves)]
        self._ys = len(y_leaves)
        self.captured = trace.captured
        self.draws = [trace.specs[value].shape for value in trace.draws]
        self.key = (
            counts,
            tuple([(trace.specs[value].shape, trace.specs[value].dtype) for value in trace.inputs]),
            tuple(trace.draws),
            tuple([(value.shape, value.dtype) for value in trace.captured]),
            tuple([call[:3] for call in trace.calls]),
            tuple(self._out),
            self._ys,
        )

    @property
    def is_known(self) -> bool:
        """Whether an equal trace has been made a graph already, and no array was made in the course of this one.

        An array that the function makes, of random numbers perhaps, is another one whenever it is called.
        """
        return self.key in _steps and all(_lasting.get(id(value)) is value for value in self.captured)

    def agrees(self, other: Traced) -> bool:
        """Whether another run of the same function called the same, on the same arrays."""
        if self.key != other.key:
            return False
        for a, b in zip(self.captured, other.captured, strict=True):
            if a is b:
                _lasting[id(a)] = a
            elif not _are_equal(a, b):
                return False
        return True

    @property
    def step(self) -> Step:
        """The step as a graph; one object for all equal traces."""
        found = _steps.get(self.key)
        if found is None:
            if len(_steps) >= 256:
                _steps.pop(next(iter(_steps)))
            found = _steps[self.key] = self._build({}, {})
        return found

    def named(self, names: LocalNames) -> Step:
        """Return a step of its own whose values have the names that were found while it was traced."""
        own = {value: name for (origin, value), name in names.found.items() if origin is self._trace}
        lines: dict[int, str] = {}
        for start, line in names.lines:
            lines |= dict.fromkeys(range(start, len(self._trace.calls)), line)
        step = self._build(own, lines)
        for node, value in zip(step.constants, self.captured, strict=True):
            if isinstance(value, Tensor) and not node.name and value.node is not None:
                node.watch(0).name = names.found.get((value.node, value._index))
        return step

    def _build(self, own: dict[int, str], lines: dict[int, str]) -> Step:
        carry, xs = self._counts
        names = _numbered("h", range(carry)) | _numbered("x", range(carry, carry + xs))
        names |= _numbered("uniform", self._trace.draws)
        built = Built(self._trace, names | own, lines)
        out = [built.edges[value] for value in self._out]
        return Step(
            built.inputs[:carry],
            built.inputs[carry:],
            built.captured,
            out[: self._ys],
            out[self._ys :],
        )


_steps: dict[Any, Step] = {}
# What two calls of a function met alike, by its id: parameters, and arrays of closures.
_lasting: WeakValueDictionary[int, Any] = WeakValueDictionary()


def _are_equal(a: Any, b: Any) -> bool:
    if any(isinstance(value, Tensor) and value._index < 0 for value in (a, b)):
        return True  # values of an outer trace, or of all members of a stack: nobody knows them
    a, b = [value.data if isinstance(value, Tensor) else value for value in (a, b)]
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def _numbered(name: str, values: Sequence[int]) -> dict[int, str]:
    return {value: name if len(values) == 1 else f"{name}{i}" for i, value in enumerate(values)}


def result_value(trace: Trace, value: Any) -> int:
    """Return the number of a result; one that does not come from the inputs is made one of the trace."""
    if type(value) is Abstract and value._trace is trace:
        return value._value
    return trace.record(identity, (value,), {})._value  # type: ignore[no-any-return]


def traced(
    function: Callable[[Any, Any], tuple[Any, Any]],
    x: Any,
    carry: Any,
    structures: tuple[TreeDef, TreeDef] | None = None,
    extents: list[Any] | None = None,
) -> Traced:
    """Run a function once on abstract tensors and return what it called, as a step.

    Args:
        function: `(x, carry) -> (y, carry)`.
        x: specs of its leaves.
        carry: specs of its leaves.
        structures: the nests that the function takes; a single leaf each where None.
        extents: for each leaf of x, None or a function that returns its least and greatest element.

    Raises:
        TraceError: if the function asks for a value, draws random numbers, or keeps a tensor of the trace.
    """
    trace = Trace()
    before = trace.living()
    found = _run(trace, function, x, carry, structures, extents)
    if trace.living() != before + 1:  # `found` refers to it as well
        refuse_kept(trace, function)
    return found


def _run(
    trace: Trace,
    function: Callable[[Any, Any], tuple[Any, Any]],
    x: Any,
    carry: Any,
    structures: tuple[TreeDef, TreeDef] | None,
    extents: list[Any] | None,
) -> Traced:
    carry_in = [trace.input(spec) for spec in carry]
    x_in = [trace.input(spec, extents[i] if extents else None) for i, spec in enumerate(x)]
    with tracing(trace):
        if structures is None:
            y, after = function(x_in[0], carry_in[0])
        else:
            y, after = function(tree_unflatten(structures[0], x_in), tree_unflatten(structures[1], carry_in))
    return Traced(trace, (len(carry_in), len(x_in)), y, after)


def refuse_kept(trace: Trace, function: Any) -> None:
    """Raise TraceError if tensors of a trace that has ended are still in use: nobody could ever read their values."""
    kept = trace.kept()
    if kept:
        raise TraceError(
            f"{name_of(function)} keeps a tensor of shape {kept[0].shape} that it was given or made, such as by "
            "append() to a list; a compiled loop would do that once and not at every step, and its value would never "
            "be known. Hand it on as part of the output or of the state, or choose engine='eager'"
        )


def extent_of(leaf: Any) -> Callable[[], Any] | None:
    """Return what finds the least and the greatest of some integers, such as tokens, to check them by."""
    if leaf.dtype.kind not in "iu" or type(leaf) is not Tensor:
        return None
    array = leaf._data
    return lambda: np.array([array.min(), array.max()], array.dtype) if array.size else array.reshape(-1)
