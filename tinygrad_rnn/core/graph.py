"""Graph: an ordered, read-only view of the nodes behind some results. Every reader reads this."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np

from .errors import ConfigError, GraphError
from .explain import Known, Numbers, Rules, explained
from .latex import Equations, Parts, aligned
from .node import Node, Spec, ancestors
from .tensor import Tensor


class Graph:
    """The nodes that some tensors came from, in the order in which they were made.

    Printed, it is a program, one node a line. In names and scopes, newlines and all that does not print are escaped.

    Args:
        outputs: (node, output) for each result; `Graph.of` takes tensors.

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
        %0 = leaf x                             float64[2]
        %1 = multiply(2, %0)                    float64[2]
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

        Args:
            tensors: one or more, given one by one.

        Raises:
            GraphError: if one of them is no tensor, or does not require grad: then nothing was recorded.

        Example:
            >>> import tinygrad_rnn as tg
            >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
            >>> len(tg.Graph.of(2 * x, 3 * x))
            3
        """
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                several = ", and several as Graph.of(*tensors)" if isinstance(tensor, (list, tuple, set)) else ""
                raise GraphError(
                    f"Graph.of() of a {type(tensor).__name__}, which has no graph; give a tensor that requires grad, "
                    f"or one computed from such{several}"
                )
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
        return "\n".join([*self._lines(), self._return()])

    def _lines(self) -> list[str]:
        """Return the line of every node, in columns."""
        rows = [self._columns(node) for node in self.nodes]
        widths = [max([len(row[i]) for row in rows if len(row[i]) <= most], default=0) for i, most in enumerate(_MOST)]
        return [
            _row(*[part.ljust(width) for part, width in zip(row, widths, strict=True)], names) for *row, names in rows
        ]

    def _return(self) -> str:
        return f"return {', '.join([self.reference(node, slot) for node, slot in self.outputs])}"

    def reference(self, node: Node, slot: int) -> str:
        """Return how the program refers to an output."""
        return f"%{self._numbers[node]}" + (f".{slot}" if len(node.specs) > 1 else "")

    def line(self, node: Node) -> str:
        """Return the line of the program that computes a node."""
        return _row(*self._columns(node))

    def _columns(self, node: Node) -> tuple[str, str, str, str]:
        """Return what is computed, shapes and dtypes, the scope, and names."""
        if node.primitive is None:
            call = f"leaf {_on_one_line(str(node.name))}" if node.name else "leaf"
        else:
            shown = [
                self.reference(parent, slot) if parent is not None else _constant(arg)
                for parent, slot, arg in zip(node.parents, node.slots, node.arguments, strict=True)
            ]
            hidden = node.primitive.hides
            shown += [f"{key}={_setting(value)}" for key, value in node.params.items() if key not in hidden]
            call = f"{node.operation}({', '.join(shown)})"
        names = _names(node) if node.primitive is not None else ""
        scope = _on_one_line("/".join(map(str, node.scope)))
        return f"%{self._numbers[node]} = {call}", _specs(node.specs), scope, f"# {names}" if names else ""

    def explain(self) -> str:
        """Return the program with the gradient rules of every step below it, as algebra.

        In a rule, g is the cotangent of the step's result, out the result, and a, b, … are its arguments. With several
        results they are g0, g1, … and out0, out1, …

        A loop over time that ran compiled is told as the program of its step, once, with the rules of that; the numbers
        are those of all steps, (time, ...).

        Once a backward pass has left gradients, numbers stand beside the formulas: of a graph with one result of one
        element, those of `backward()`. What an earlier pass has freed is not there any more:
        `backward(retain_graph=True)` keeps it. A note stands below a gradient that is not the one that such a pass
        leaves: it came from another graph, from several passes, or from `backward(cotangent)`, or was changed since.

        Example:
            >>> import numpy as np
            >>> import tinygrad_rnn as tg
            >>> x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
            >>> y = np.sum(np.exp(x))
            >>> print(tg.Graph.of(y).explain())
            %0 = leaf x                             float64[2]
            %1 = exp(%0)                            float64[2]
                cotangent of a: g * out
            %2 = sum(%1, axis=(0,), keepdims=False) float64[]
                cotangent of a: broadcast_to(g, (2,))
            return %2
            >>> y.backward(retain_graph=True)
            >>> print(tg.Graph.of(y).explain())
            %0 = leaf x                             float64[2]
                gradient = [2.718, 7.389]
            %1 = exp(%0)                            float64[2]
                out = [2.718, 7.389]
                g = [1, 1]
                cotangent of a: g * out = [2.718, 7.389]
            %2 = sum(%1, axis=(0,), keepdims=False) float64[]
                out = 10.11
                g = 1
                cotangent of a: broadcast_to(g, (2,)) = [1, 1]
            return %2
        """
        numbers = Numbers(self.nodes, self.outputs)
        return "\n".join([*self.told(numbers), self._return(), *numbers.notes])

    def told(self, numbers: Known) -> list[str]:
        """Return the lines of the program, with gradient rules and numbers below each.

        Args:
            numbers: that stand beside the formulas.
        """
        rules: dict[Any, Rules] = {}
        lines = []
        for node, line in zip(self.nodes, self._lines(), strict=True):
            lines += [line, *[f"    {told}" for told in explained(node, numbers, rules)]]
        return lines

    def latex(self, backward: bool = True) -> str:
        r"""Return the equations of the graph and of its backward pass as LaTeX.

        The names are those that tensors were given; what has none is written where it is used. x W is a product of
        matrices, ⊙ one of elements, and a constant array is a C with its shape. Of the backward pass, δv is the
        gradient in v of the one number that the graph computes, which is L without a name; of several results, or one
        of several elements, Δ is the cotangent. It is derived from the rules of the operations, as the gradients
        themselves are.

        `viz.latex` writes those of one step of a loop in the same way, with the names of its local variables.

        Args:
            backward: True or False: the equations of the backward pass stand below the others.

        Returns:
            The text of an `align*` environment. It needs the package amsmath, and no other.

        Raises:
            ConfigError: if `backward` is neither True nor False.
            GraphError: if a loop in the graph ran compiled, which is no equation.
            FreedGraphError: if an earlier backward pass has freed constants that stand in the equations.
            TraceError: if a gradient rule asks for values.

        Example:
            >>> import numpy as np
            >>> import tinygrad_rnn as tg
            >>> x, w = [tg.Tensor([1.0, 2.0], requires_grad=True, name=name) for name in ("x", "w")]
            >>> print(tg.Graph.of(np.sum(np.tanh(w * x))).latex())
            \begin{align*}
            L &= \operatorname{sum}(\tanh(w \odot x)) \\[2ex]
            \delta x &= (\mathbf{1} - \tanh(w \odot x)^{2}) \odot w \\
            \delta w &= (\mathbf{1} - \tanh(w \odot x)^{2}) \odot x
            \end{align*}
        """
        if not isinstance(backward, (bool, np.bool_)):
            raise ConfigError(f"backward is {backward!r}; give True or False")
        for node in self.nodes:
            if node.primitive is not None and node.primitive.told is not None:
                raise GraphError(
                    f"%{self._numbers[node]} {node.operation} is a program of its own and no equation; write "
                    "viz.latex(cell, x, state) for the equations of its step, or run it under tg.engine('eager')"
                )
        return aligned(Equations(Parts(self.nodes, self.inputs, self.outputs)), backward)


_LEAST = 27
# A column is as wide as its longest entry, but for those longer than this, which stick out.
_MOST = (64, 32, 40)


def _row(call: str, *rest: str) -> str:
    """Return a line of columns, but for empty ones."""
    return f"{call:<{_LEAST}} {'  '.join([part for part in rest if part])}".rstrip()


def _specs(specs: tuple[Spec, ...]) -> str:
    """Return shapes and dtypes; several in a row that are the same as one."""
    runs = [(text, len(list(run))) for text, run in groupby(map(repr, specs))]
    return ", ".join([f"{n} × {text}" if n > 2 else ", ".join([text] * n) for text, n in runs])


def _setting(value: Any) -> str:
    """Return a parameter, of a function the name alone: its repr is another one in every process."""
    return getattr(value, "__name__", "function") if callable(value) else repr(value)


def _names(node: Node) -> str:
    """Return the names of the results of a node, "_" for one without; nothing where none has a name."""
    names = [node.name_of(slot) or "_" for slot in range(len(node.specs))] if node.watches else []
    return _on_one_line(", ".join(names)) if set(names) - {"_"} else ""


def _on_one_line(name: str) -> str:
    """Return a name with escapes in place of newlines and of all that has no place in a column, as `repr` has them."""
    return "".join([character if character.isprintable() else repr(character)[1:-1] for character in name])


def _constant(arg: Any) -> str:
    if arg is None:
        return "constant"
    return repr(arg) if not hasattr(arg, "shape") else f"constant {Spec(arg.shape, arg.dtype)!r}"
