"""Graph: an ordered, read-only view of the nodes behind some results. Every reader reads this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .backward import Addend
from .errors import GraphError
from .modes import enable_grad
from .node import Node, Spec, ancestors, leaf
from .tensor import Tensor


class Graph:
    """The nodes that some tensors came from, in the order in which they were made.

    Attributes:
        nodes: parents before children.
        outputs: (node, output) for each result.
        inputs: the leaves among the nodes.
        consumers: for each node the (node, argument) pairs that read it.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
        >>> print(tg.Graph.of(np.sum(2 * x)))
        %0 = leaf x                 float64[2]
        %1 = multiply(2, %0)        float64[2]
        %2 = sum(%1, axis=(0,), keepdims=False) float64[]
        return %2
    """

    def __init__(self, outputs: list[tuple[Node, int]]) -> None:
        self.outputs = tuple(outputs)
        self.nodes = tuple(ancestors(node for node, _ in outputs))
        self.inputs = tuple([node for node in self.nodes if node.primitive is None])
        self.consumers: dict[Node, list[tuple[Node, int]]] = {node: [] for node in self.nodes}
        for node in self.nodes:
            for argument, parent in enumerate(node.parents):
                if parent is not None:
                    self.consumers[parent].append((node, argument))
        self._numbers = {node: i for i, node in enumerate(self.nodes)}

    @staticmethod
    def of(*tensors: Tensor) -> Graph:
        """Return the graph behind some tensors.

        Raises:
            GraphError: if one of them does not require grad: then nothing was recorded.
        """
        return Graph([(tensor._recorded("Graph.of()"), tensor._index) for tensor in tensors])

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def number(self, node: Node) -> int:
        """Return the position of a node in the graph."""
        return self._numbers[node]

    def check(self) -> None:
        """Check that parents come before children, that every edge names an output, and that the maps agree.

        Raises:
            GraphError: naming the node that breaks an invariant.
        """
        for i, node in enumerate(self.nodes):
            if len(node.parents) != len(node.slots):
                raise GraphError(f"%{i} {node!r} has {len(node.parents)} parents and {len(node.slots)} slots")
            for parent, slot in zip(node.parents, node.slots, strict=True):
                if parent is None:
                    continue
                if self._numbers.get(parent, i) >= i or parent.sequence >= node.sequence:
                    raise GraphError(f"%{i} {node!r} does not come after its parent {parent!r}")
                if not 0 <= slot < len(parent.specs):
                    raise GraphError(f"%{i} {node!r} reads output {slot} of {parent!r}, which has {len(parent.specs)}")
            for parent, arg, slot in zip(node.parents, node.args or (), node.slots, strict=False):
                if parent is not None and arg is not None and arg.shape != parent.specs[slot].shape:
                    raise GraphError(f"%{i} {node!r} saved shape {arg.shape} of an argument of {parent!r}")

    def __str__(self) -> str:
        lines = [self.line(node) for node in self.nodes]
        results = ", ".join([self.reference(node, slot) for node, slot in self.outputs])
        return "\n".join([*lines, f"return {results}"])

    def reference(self, node: Node, slot: int) -> str:
        """Return how the program refers to an output."""
        return f"%{self._numbers[node]}" + (f".{slot}" if len(node.specs) > 1 else "")

    def line(self, node: Node) -> str:
        """Return the line of the program that computes a node."""
        if node.primitive is None:
            call = f"leaf {node.name}" if node.name else "leaf"
        else:
            args = node.args or (None,) * len(node.parents)
            shown = [
                self.reference(parent, slot) if parent is not None else _constant(arg)
                for parent, slot, arg in zip(node.parents, node.slots, args, strict=True)
            ]
            shown += [f"{key}={value!r}" for key, value in node.params.items()]
            call = f"{node.operation}({', '.join(shown)})"
        names = _names(node) if node.primitive is not None else ""
        name = f"  # {names}" if names else ""
        scope = f"  {'/'.join(map(str, node.scope))}" if node.scope else ""
        return f"{f'%{self._numbers[node]} = {call}':<27} {', '.join(map(repr, node.specs))}{scope}{name}"

    def explain(self) -> str:
        """Return the program with the gradient rule of every step below it, as a program of its own.

        In a rule, g is the cotangent of the step's result, out the result, and a, b, … its arguments.

        Example:
            >>> import numpy as np
            >>> import tinygrad_rnn as tg
            >>> x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
            >>> print(tg.Graph.of(np.exp(x)).explain())
            %0 = leaf x                 float64[2]
            %1 = exp(%0)                float64[2]
                cotangent of a:
                    %0 = leaf g                 float64[2]
                    %1 = leaf out               float64[2]
                    %2 = multiply(%0, %1)       float64[2]
                    return %2
            return %1
        """
        lines = []
        for node in self.nodes:
            lines.append(self.line(node))
            if node.primitive is not None:
                for title, rule in _rules(node):
                    lines.append(f"    cotangent of {title}:")
                    lines += [f"        {line}" for line in str(rule).splitlines()]
        results = ", ".join([self.reference(node, slot) for node, slot in self.outputs])
        return "\n".join([*lines, f"return {results}"])


def _names(node: Node) -> str:
    """Return the names of the results of a node, "_" for one without; nothing where none has a name."""
    names = [node.name_of(slot) or "_" for slot in range(len(node.specs))] if node.watches else []
    return ", ".join(names) if set(names) - {"_"} else ""


def _constant(arg: Any) -> str:
    if arg is None:
        return "constant"
    return repr(arg) if not hasattr(arg, "shape") else f"constant {Spec(arg.shape, arg.dtype)!r}"


def _stand_in(spec: Any, name: str) -> Any:
    """Return a tensor of ones to run a rule on; its value does not matter, only what is computed from it."""
    if not hasattr(spec, "shape"):
        return spec
    array = np.ones(spec.shape, spec.dtype)
    node = leaf(Spec(spec.shape, spec.dtype), name) if spec.dtype.kind == "f" else None
    return Tensor._wrap(array, node)


def _rules(node: Node) -> list[tuple[str, Graph | str]]:
    """Run the gradient rules of a node on stand-ins and return what each of them recorded."""
    primitive = node.primitive
    assert primitive is not None
    single = len(node.specs) == 1
    gs = [_stand_in(spec, "g" if single else f"g{i}") for i, spec in enumerate(node.specs)]
    outs = [_stand_in(spec, "out" if single else f"out{i}") for i, spec in enumerate(node.specs)]
    letters = [chr(97 + i) if len(node.parents) <= 6 else f"a{i}" for i in range(len(node.parents))]
    args: list[Any] = []
    for i, (parent, slot) in enumerate(zip(node.parents, node.slots, strict=True)):
        arg = node.args[i] if node.args is not None else None
        args.append(_stand_in(parent.specs[slot] if parent is not None else arg, letters[i]))
    needs = [parent is not None for parent in node.parents]
    if node.args is None and not all(needs):
        return [("its arguments", "freed by an earlier backward pass")]
    with enable_grad(), np.errstate(all="ignore"):
        pulled = primitive.pull(gs, outs, args, needs, node.params)
    found: list[tuple[str, Graph | str]] = []
    for letter, need, cotangent in zip(letters, needs, pulled, strict=True):
        if type(cotangent) is Addend:
            with enable_grad():
                cotangent = cotangent.primitive(*cotangent.args, **cotangent.params)
        if need and isinstance(cotangent, Tensor) and cotangent.requires_grad:
            found.append((letter, Graph.of(cotangent)))
        elif need:
            found.append((letter, "zero"))
    return found
