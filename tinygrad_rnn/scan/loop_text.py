"""The NumPy source of a whole loop over time, with buffers made once and `out=` everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Node
from ..core.primitive import Primitive
from .families import is_elementwise, is_product_with_matrix, is_reduction, is_view
from .memory import memory
from .passes.lift import Lifted
from .passes.schedule import Schedule
from .places import Place, Places
from .step import Edge, Step, described, spec_at
from .text import (
    Names,
    code_of,
    dtype_text,
    gather_text,
    literal_text,
    number_text,
    scatter_texts,
    shape_text,
    statements,
    view_texts,
    widened,
)

# These give a tuple, also of a single result.
_TUPLES = frozenset({"unstack", "split", "scan"})


class LoopText:
    """The source of a loop, as text: a function of the leaves of the state, what differs from step to step, constants.

    What is named `i` at one step is named `i_all` for all of them.

    Args:
        step: the step.
        time: about how many steps there are.
        reverse: the loop runs from the last step to the first.
        lifted: how the constants of the step are computed, where the text is to do that too.
        numbers: which constant of the lifted step each of the constants is.
        comment: what to write before a line of the user's code, above what is done for it.

    Attributes:
        parameters: names of the arguments, by the input that they stand for.
        once: lines on what is the same at every step.
        before: lines for all steps at once.
        memory: lines that make the arrays that the loop writes to.
        body: the lines of one step.
        end: the lines after the loop.
        results: expressions for what is returned: a stack for each result, then the last state.
        primitives: of the package, by the name under which the text calls them.
        functions: all that the text needs beside NumPy, by name.
    """

    def __init__(
        self,
        step: Step,
        time: int,
        reverse: bool,
        lifted: Lifted | None = None,
        numbers: Sequence[int] = (),
        comment: str = "",
    ) -> None:
        self.step, self.reverse, self.comment = step, reverse, comment
        self.lifted, self.numbers = lifted, numbers
        self.schedule = Schedule(step, time)
        self._names = Names()
        # A text to read says what NumPy says; what is run takes memory that is used again.
        self._places = Places(self.schedule, reverse, self._names, "empty" if lifted is None else "np.empty")
        self.memory = self._places.memory
        self.primitives: dict[str, Primitive] = {}
        self.functions: dict[str, Any] = {}
        self.parameters: dict[Node, str] = {}
        self.once: list[str] = []
        self.before: list[str] = []
        self.body: list[str] = []
        self.end: list[str] = []
        self.results: list[str] = []
        self._slices: dict[str, str] = {}
        self._sunk: set[Node] = set()
        self._overflow = False
        self._line: str | None = None
        self._write()

    def name(self, hint: str) -> str:
        """Return a name that is not taken."""
        return self._names.new(hint)

    # The parts of the function

    def _write(self) -> None:
        step, schedule = self.step, self.schedule
        for node in (*step.carry, *step.xs, *self.constants):
            edge = (node, 0)
            self.parameters[node] = self._places.stack_name(edge) if node in step.xs else self.name(described(edge))
        for node in (*step.xs, *self.constants):
            at = "t" if node in step.xs else None
            self._places[node, 0] = Place(self.parameters[node], at, scalar=not node.specs[0].shape)
        self._fixed = set(schedule.constant)
        if self.lifted is not None:
            self._fixed |= {*self.lifted.given, *self.lifted.operations}
            read = {node for node, _ in [self.lifted.edges[number] for number in self.numbers]}
            for node in reversed(self.lifted.operations):
                read |= {parent for parent in node.parents if parent is not None and node in read}
            for node in self.lifted.operations:
                if node in read:
                    self._over_time(node, self.once)
            for number, node in zip(self.numbers, step.constants, strict=True):
                self._places[node, 0] = self._places[self.lifted.edges[number]]
        for i, (node, value) in enumerate(step.fixed.items()):
            name = self.name(f"constant_{i}")
            self.functions[name] = value
            self._places[node, 0] = Place(name, None)
        for node in schedule.once:
            self._over_time(node, self.once)
        for node in schedule.before:
            self._over_time(node, self.before)
        self._places.plan(self.parameters)
        for node in schedule.loop:
            self._emit(node)
        self._finish()

    # Reading and writing values

    def _text(self, edge: Edge) -> str:
        place = self._places[edge]
        return place.name if place.at is None else self._slice(place)

    def _slice(self, place: Place) -> str:
        text = place.text
        if text not in self._slices:
            one = self._places.ones[place.name]
            self._slices[text] = self.name(f"{one}_next") if text in self._places.following else one
            self.body.append(f"{self._slices[text]} = {text}")
        return self._slices[text]

    def _operand(self, node: Node, i: int) -> str:
        parent = node.parents[i]
        return number_text(node.args[i]) if parent is None else self._text((parent, node.slots[i]))  # type: ignore[index]

    # Operations inside the loop

    def _emit(self, node: Node) -> None:
        if is_view(node) and self._places.view(node):
            return
        operation = node.operation
        edges = [(node, slot) for slot in range(len(node.specs))]
        parents = [(p, s) for p, s in zip(node.parents, node.slots, strict=True) if p is not None]
        can_reuse = is_elementwise(node) and operation not in ("where", "clip", "softplus")
        if node.line and node.line != self._line:
            self._line = node.line
            self.body.append(f"# {self.comment}{code_of(node.line)}")
        self._places.find(edges[0], parents if can_reuse else ())
        a = [self._operand(node, i) for i in range(len(node.parents))]
        out = self._text(edges[0])
        lines = statements(node, a, out)
        self._overflow |= operation == "sigmoid"
        if lines is not None:
            self.body += lines
        elif operation == "concatenate":
            self._emit_concatenate(node, a, out)
        else:
            self._emit_other(node, edges, a, out)
        self._places.release(node)

    def _emit_concatenate(self, node: Node, a: list[str], out: str) -> None:
        start, axis = 0, node.params["axis"]
        for text, parent, slot in zip(a, node.parents, node.slots, strict=True):
            stop = start + (parent.specs[slot].shape[axis] if parent is not None else 0)
            place = f"{':, ' * axis}{start}:{stop}"
            if self._places.parts.get((parent, slot)) != ((node, 0), place):  # type: ignore[arg-type]
                self.body.append(f"{out}[{place}] = {text}")
            start = stop

    def _emit_other(self, node: Node, edges: list[Edge], a: list[str], out: str) -> None:
        call = self._call(node, a, node.params, self.body)
        if len(edges) == 1 and node.operation not in _TUPLES:
            self.body.append(f"{out}[...] = {call}")
            return
        for edge in edges[1:]:
            self._places.find(edge)
        self.body.append(f"results = {call}")
        self.body += [f"{self._text(edge)}[...] = results[{i}]" for i, edge in enumerate(edges)]

    def _call(self, node: Node, a: list[str], params: dict[str, Any], lines: list[str]) -> str:
        """Return the call of a primitive on arrays, behind what has to stand in lines before it."""
        if node.operation == "getitem" and len(a) > 1:
            return gather_text(node, a)
        if node.operation == "scatter_add" and len(a) > 1 and self.lifted is not None:
            lines += scatter_texts(node, a, out := self.name("scattered"))
            return out
        primitive = node.primitive
        assert isinstance(primitive, Primitive)
        texts = {key: literal_text(value) for key, value in params.items()}
        if None in texts.values():
            name = self.name(f"{node.operation}_of")
            self.functions[name] = lambda *args: primitive.forward(*args, **params)
            return f"{name}({', '.join(a)})"
        known = [name for name, other in self.primitives.items() if other is primitive]
        name = known[0] if known else self.name(f"{node.operation}_of")
        self.primitives[name], self.functions[name] = primitive, primitive.forward
        return f"{name}({', '.join([*a, *[f'{key}={text}' for key, text in texts.items()]])})"

    # Operations for all steps at once

    def _over_time(self, node: Node, lines: list[str]) -> None:
        """Write an operation outside the loop, on arrays with time as first axis or on constants."""
        parents = [(p, s) if p is not None else None for p, s in zip(node.parents, node.slots, strict=True)]
        over = [edge is not None and self._spans(edge) for edge in parents]
        shift = int(any(over))
        names = [
            self._whole(edge) if edge is not None else number_text(arg)
            for edge, arg in zip(parents, node.args or (), strict=True)
        ]
        if is_view(node):
            texts = view_texts(node, names[0], shift)
        elif is_product_with_matrix(node) and over[0] and not over[1]:
            *lead, inner = parents[0][0].specs[parents[0][1]].shape  # type: ignore[index]
            rows = " * ".join(["time", *map(str, lead)])
            spec = node.specs[0]
            shape = shape_text("time", spec.shape)
            # Memory that is used again; a text to read has no need of it.
            out = f", out=empty(({rows}, {spec.shape[-1]}), {dtype_text(spec)})" if self.lifted is None else ""
            texts = [f"np.matmul({names[0]}.reshape({rows}, {inner}), {names[1]}{out}).reshape{shape}"]
        else:
            texts = self._texts_over_time(node, parents, names, over, lines)
            if len(node.specs) > 1:
                lines.append(f"results = {texts[0]}")
                texts = [f"results[{i}]" for i in range(len(node.specs))]
        for slot, text in enumerate(texts):
            edge = (node, slot)
            if len(texts) > 1 and not self._places.is_read(edge):
                continue
            name = self._places.stack_name(edge) if shift else self.name(described(edge))
            lines.append(f"{name} = {text}")
            self._places[edge] = Place(name, "t" if shift else None, not is_view(node), not node.specs[slot].shape)

    def _texts_over_time(
        self, node: Node, parents: Sequence[Edge | None], names: list[str], over: list[bool], lines: list[str]
    ) -> list[str]:
        params, shift = dict(node.params), any(over)
        if shift and is_elementwise(node):
            ndim = len(node.specs[0].shape)
            names = [
                widened(name, ndim, len(spec_at(edge).shape)) if spans and edge is not None else name
                for name, edge, spans in zip(names, parents, over, strict=True)
            ]
        if shift and "axis" in params:
            axis = params["axis"]
            params["axis"] = tuple([i + 1 for i in axis]) if isinstance(axis, tuple) else axis + 1
        forward = getattr(node.primitive, "forward", None)
        if isinstance(forward, np.ufunc) and not params:
            last = [i for i, edge in enumerate(parents) if edge is not None and self._is_spent(edge, node)]
            return [f"np.{forward.__name__}({', '.join([*names, *[f'out={names[i]}' for i in last[:1]]])})"]
        if node.operation == "concatenate":
            return [f"np.concatenate([{', '.join(names)}], axis={params['axis']})"]
        if is_reduction(node):
            return [f"np.{node.operation}({names[0]}, axis={params['axis']}, keepdims={params['keepdims']})"]
        return [self._call(node, names, params, lines)]

    def _is_spent(self, edge: Edge, reader: Node) -> bool:
        """Whether a value that was computed for all steps is read by one operation alone, which can take its place."""
        node, spec = edge[0], reader.specs[0]
        if node not in self.schedule.before or is_view(node) or len(node.specs) > 1 or not is_elementwise(reader):
            return False
        free = edge not in (*self.step.ys, *self.step.next_carry) and len(self.step.graph.consumers[node]) == 1
        return free and (spec_at(edge).shape, spec_at(edge).dtype) == (spec.shape, spec.dtype)

    def _spans(self, edge: Edge) -> bool:
        return edge[0] not in self._fixed

    def _whole(self, edge: Edge) -> str:
        """Return a value for all steps: a stack of the loop's, or an array from before it; a constant as it is."""
        if edge in self._places.stacks:
            return self._places.stacks[edge]
        place = self._places[edge]
        if edge[0] in self.schedule.early or edge[0] in self._fixed or edge[0] in self._sunk:
            return place.name
        ahead = "1:" if place.at == "t + 1" else ":-1"
        return f"{place.name}[{ahead}]"

    def _finish(self) -> None:
        step, schedule = self.step, self.schedule
        states = {self._places[node, 0].name for node in step.carry if (node, 0) in self._places}
        writes = []
        for edge, place in self._places.copies:
            text = self._text(edge)
            if place.at is None and self._places[self._places.base(edge)].name in states - {place.name}:
                # States may change places: all are read before the first is written.
                read, text = text, self.name(f"{place.name}_next")
                self.body.append(f"{text} = np.array({read})")
            writes.append(f"{place.name if place.at is None else self._slice(place)}[...] = {text}")
        self.body += writes
        for node in schedule.after:
            self._over_time(node, self.end)
            self._sunk.add(node)
        for k, deferred in schedule.deferred.items():
            node = step.carry[k]
            arrays = [self._all_rows(edge) for edge in deferred.operands]
            name = self.parameters[node]
            total = f"{arrays[0]}.sum(0)"
            if deferred.kind == "product":
                stacks = len(spec_at(deferred.operands[0]).shape) > 2
                left = f"np.swapaxes({arrays[0]}, -1, -2)" if stacks else f"{arrays[0]}.T"
                total = f"np.matmul({left}, {arrays[1]})"
            self.end.append(f"{name} = {total}" if node in step.zeros else f"{name} = {name} + {total}")
            self._places.last[k] = name
        self.results = [self._whole(edge) if self._spans(edge) else self._repeated(edge) for edge in step.ys]
        self.results += [
            self._places.last[k] if k in schedule.deferred else f"np.array({self._places.last[k]})"
            for k in range(len(step.carry))
        ]

    def _all_rows(self, edge: Edge) -> str:
        """Return the matrix of the rows of all steps, or a stack of such matrices."""
        *stacks, rows, columns = spec_at(edge).shape
        shape = ", ".join([*map(str, stacks), f"time * {rows}", str(columns)])
        whole = self._whole(edge)
        return f"np.moveaxis({whole}, 0, -3).reshape({shape})" if stacks else f"{whole}.reshape({shape})"

    def _repeated(self, edge: Edge) -> str:
        # A copy: the array may be one that a user writes to.
        return f"np.broadcast_to(np.array({self._places[edge].name}), {shape_text('time', spec_at(edge).shape)})"

    @property
    def constants(self) -> tuple[Node, ...]:
        """What is the same at every step, among the parameters."""
        return self.step.constants if self.lifted is None else self.lifted.given

    def place_of(self, node: Node) -> str:
        """Return the name of an input or a constant."""
        return self._places[node, 0].name

    def pull_back(
        self, derived: Step, cotangents: dict[Node, int], constants: dict[Node, Node], results: Sequence[Node]
    ) -> dict[Node, str]:
        """Write, after the loop, a derived step that is done once.

        Args:
            derived: from cotangents of the lifted step's constants to those of what they are computed from.
            cotangents: for each of its inputs, which leaf of the loop's last state it is.
            constants: what its constants stand for.
            results: what the leaves of its state are the cotangents of.

        Returns:
            An expression for the cotangent of each of `results`.
        """
        self._fixed |= {*derived.graph.nodes}
        for node, k in cotangents.items():
            self._places[node, 0] = Place(self._places.last[k], None)
        for node, given in constants.items():
            self._places[node, 0] = self._places[given, 0]
        sums = {total for total, _ in derived.next_carry}
        for node in derived.graph:
            if node.primitive is not None and node not in sums:
                self._over_time(node, self.end)
        return {
            node: self._places[total.parents[1], total.slots[1]].name  # type: ignore[index]
            for node, (total, _) in zip(results, derived.next_carry, strict=True)
        }

    def loop(self) -> list[str]:
        """Return the lines of the loop itself."""
        if not self.body:
            return []
        lines = [f"for t in {'reversed(range(time))' if self.reverse else 'range(time)'}:"]
        lines += [f"    {line}" for line in self.body]
        return ["with np.errstate(over='ignore'):", *[f"    {line}" for line in lines]] if self._overflow else lines

    def __str__(self) -> str:
        lines = [*self.once, *self.before, *self.memory, *self.loop(), *self.end]
        lines.append(f"return [{', '.join(self.results)}]")
        return "\n".join(
            [f"def loop({', '.join([*self.parameters.values(), 'time'])}):", *[f"    {line}" for line in lines]]
        )

    def function(self) -> Any:
        """Return the compiled function."""
        namespace: dict[str, Any] = {"np": np, "empty": memory.empty, **self.functions}
        exec(compile(str(self), "<loop>", "exec"), namespace)
        return namespace["loop"]
