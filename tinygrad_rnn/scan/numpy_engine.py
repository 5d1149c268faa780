"""The engine `numpy`: it writes NumPy source for the whole loop, with buffers made once and `out=` everywhere."""

from __future__ import annotations

import keyword
import linecache
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core import Node
from ..core.node import Array
from ..core.primitive import Primitive
from .compiled import Program
from .families import is_elementwise, is_product_with_matrix, is_reduction, is_view
from .passes.factor import factor
from .passes.lift import Lifted
from .passes.schedule import Schedule
from .passes.simplify import simplify
from .step import Edge, Step, described, spec_at
from .text import dtype_text, literal_text, number_text, shape_text, view_texts, widened


class Place(NamedTuple):
    """Where a value is found inside the loop.

    Args:
        name: of an array.
        at: None, or what the array is indexed with at every step, "t" or "t + 1".
        whole: the array is contiguous there.
        scalar: it has no axes there.
    """

    name: str
    at: str | None
    whole: bool = True
    scalar: bool = False


def numpy_engine(step: Step) -> Program:
    """Return the program that runs a step over time as NumPy source.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.core.node import Spec
        >>> from tinygrad_rnn.scan.numpy_engine import numpy_engine
        >>> from tinygrad_rnn.scan.step import traced
        >>> row = Spec((2,), np.dtype(float))
        >>> found = traced(lambda x, h: (h + x, h + x), (row,), (row,))
        >>> ys, last = numpy_engine(found.step)([np.zeros(2), np.ones((3, 2))], 3, False)
        >>> last
        array([3., 3.])
    """

    def program(arrays: Sequence[Array], time: int, reverse: bool) -> list[Array]:
        key = ("numpy", time.bit_length(), reverse)
        found = step.cache.get(key)
        if found is None:
            found = step.cache[key] = LoopText(simplified(step), time, reverse).function()
        return found(*arrays, time)  # type: ignore[no-any-return]

    return program


def simplified(step: Step) -> Step:
    """Return the simplified step, made once."""
    if "simplified" not in step.cache:
        step.cache["simplified"] = simplify(factor(simplify(step)))
    return step.cache["simplified"]  # type: ignore[no-any-return]


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
        self.primitives: dict[str, Primitive] = {}
        self.functions: dict[str, Any] = {}
        self.parameters: dict[Node, str] = {}
        self.once: list[str] = []
        self.before: list[str] = []
        self.memory: list[str] = []
        self.body: list[str] = []
        self.end: list[str] = []
        self.results: list[str] = []
        self._names: Counter[str] = Counter()
        self._places: dict[Edge, Place] = {}
        self._ones: dict[str, str] = {}
        self._slices: dict[str, str] = {}
        self._free: dict[Any, list[str]] = {}
        self._stacks: dict[Edge, str] = {}
        self._parts: dict[Edge, tuple[Edge, str]] = {}
        self._root: dict[Edge, Edge] = {}
        self._buffers: dict[str, str] = {}
        self._held: dict[str, Edge] = {}
        self._hints: dict[str, str] = {}
        self._after: set[str] = set()
        self._last: dict[int, str] = {}
        self._copies: list[tuple[Edge, Place]] = []
        self._sunk: set[Node] = set()
        self._overflow = False
        self._line: str | None = None
        self._write()

    # Names

    def name(self, hint: str) -> str:
        """Return a name that is not taken."""
        name = re.sub(r"\W+", "_", hint).strip("_") or "value"
        if name[0].isdigit() or keyword.iskeyword(name) or name in ("t", "time", "np", "saved", "bool", "results"):
            name = f"{name}_" if not name[0].isdigit() else f"_{name}"
        self._names[name] += 1
        number = self._names[name]
        return name if number == 1 else self.name(f"{name}_{number}")

    def _stack_name(self, edge: Edge) -> str:
        one = self.name(described(edge))
        name = self.name(f"{one}_all")
        self._ones[name] = one
        return name

    # The parts of the function

    def _write(self) -> None:
        step, schedule = self.step, self.schedule
        for node in (*step.carry, *step.xs, *self.constants):
            self.parameters[node] = self._stack_name((node, 0)) if node in step.xs else self.name(described((node, 0)))
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
        self._plan()
        for node in schedule.loop:
            self._emit(node)
        self._finish()

    def _plan(self) -> None:
        """Decide where the values of the loop are kept."""
        step, schedule = self.step, self.schedule
        self._inside = set(schedule.loop)
        made = {(node, slot) for node in schedule.loop if not is_view(node) for slot in range(len(node.specs))}
        before, after = ("t + 1", "t") if self.reverse else ("t", "t + 1")
        start, stop = ("time", "0") if self.reverse else ("0", "time")
        moved: list[tuple[Edge, Place]] = []
        own: dict[Edge, int] = {}
        for k, (node, edge) in enumerate(zip(step.carry, step.next_carry, strict=True)):
            if k in schedule.deferred:
                continue
            spec, given = node.specs[0], self.parameters[node]
            first = f"np.zeros({spec.shape}, {dtype_text(spec)})" if node in step.zeros else f"np.array({given})"
            if (node, 0) in schedule.stacked or (edge in schedule.stacked and edge in made and edge not in own):
                name = self.name(f"{given}_all")
                self._ones[name] = given
                self.memory.append(f"{name} = np.empty({shape_text('time + 1', spec.shape)}, {dtype_text(spec)})")
                self.memory.append(f"{name}[{start}] = {0 if node in step.zeros else given}")
                self._places[node, 0] = Place(name, before, scalar=not spec.shape)
                self._last[k] = f"{name}[{stop}]"
                target = Place(name, after, scalar=not spec.shape)
                self._after.add(f"{name}[{after}{', ...' * (not spec.shape)}]")
            else:
                self.memory.append(f"{given} = {first}")
                self._places[node, 0] = target = Place(given, None)
                self._last[k] = given
            if edge in made and edge not in own and (target.at or self._is_dead_at((node, 0), edge)):
                self._places[edge] = target
                own[edge] = k
            elif edge != (node, 0) or target.at:
                moved.append((edge, target))
        for edge in schedule.stacked:
            if edge[0] in self._inside and not (edge in own and self._places[edge].at):
                spec = spec_at(edge)
                name = self._stack_name(edge)
                self.memory.append(f"{name} = np.empty({shape_text('time', spec.shape)}, {dtype_text(spec)})")
                place = Place(name, "t", scalar=not spec.shape)
                self._stacks[edge] = name
                if edge in made and edge not in self._places:
                    self._places[edge] = place
                else:
                    self._copies.append((edge, place))
        # Copies of the state to elsewhere come first: the others write over it.
        self._copies += sorted(moved, key=lambda copy: copy[1].at is None)
        self._alias_parts(made)
        self._lifetimes()

    def _is_dead_at(self, carry: Edge, edge: Edge) -> bool:
        """Whether nothing reads a leaf of the state after the next one has been computed in its place."""
        node = edge[0]
        order = {other: i for i, other in enumerate(self.schedule.loop)}
        roots = {carry}
        for other in self.schedule.loop:
            if is_view(other) and (other.parents[0], other.slots[0]) in roots:
                roots |= {(other, slot) for slot in range(len(other.specs))}
        if roots & {*self.step.next_carry, *self.schedule.stacked}:
            return False
        readers = [
            reader
            for root in roots
            for reader, _ in self.step.graph.consumers.get(root[0], ())
            if reader in order
            if any((p, s) == root for p, s in zip(reader.parents, reader.slots, strict=True))
        ]
        limit = order[node]
        inplace = is_elementwise(node) and node.operation != "where" and roots == {carry}
        return all(order[reader] < limit or (inplace and reader is node) for reader in readers) and (
            spec_at(edge).shape == spec_at(carry).shape
        )

    def _alias_parts(self, made: set[Edge]) -> None:
        """Let the parts of a concatenation be computed in their place of the whole."""
        for node in self.schedule.loop:
            place = self._places.get((node, 0))
            # In the place of a state, a part that is computed early would write over what others have yet to read.
            if node.operation != "concatenate" or (place is not None and place.at is None):
                continue
            start, axis = 0, node.params["axis"]
            lead = ":, " * axis
            for parent, slot in zip(node.parents, node.slots, strict=True):
                if parent is None:
                    break
                stop = start + parent.specs[slot].shape[axis]
                edge = (parent, slot)
                free = edge in made and edge not in self._places and edge not in self._parts
                if free and parent.operation != "concatenate" and spec_at(edge).dtype == node.specs[0].dtype:
                    self._parts[edge] = ((node, 0), f"{lead}{start}:{stop}")
                start = stop

    def _lifetimes(self) -> None:
        """Find the last reader of every value, views counted as what they are views of."""
        loop = self.schedule.loop
        for edge, (whole, _) in self._parts.items():
            self._root[edge] = whole
        for node in loop:
            if is_view(node):
                for slot in range(len(node.specs)):
                    self._root[node, slot] = (node.parents[0], node.slots[0])  # type: ignore[assignment]
        self._last_read: dict[Edge, Any] = {}
        for node in loop:
            for parent, slot in zip(node.parents, node.slots, strict=True):
                if parent is not None:
                    self._last_read[self._base((parent, slot))] = node
        for edge, _ in self._copies:
            self._last_read[self._base(edge)] = None

    def _base(self, edge: Edge) -> Edge:
        while edge in self._root:
            edge = self._root[edge]
        return edge

    # Reading and writing values

    def _text(self, edge: Edge) -> str:
        place = self._places[edge]
        return place.name if place.at is None else self._slice(place)

    def _slice(self, place: Place) -> str:
        text = f"{place.name}[{place.at}{', ...' * place.scalar}]"
        if text not in self._slices:
            one = self._ones[place.name]
            self._slices[text] = self.name(f"{one}_next") if text in self._after else one
            self.body.append(f"{self._slices[text]} = {text}")
        return self._slices[text]

    def _operand(self, node: Node, i: int) -> str:
        parent = node.parents[i]
        return number_text(node.args[i]) if parent is None else self._text((parent, node.slots[i]))  # type: ignore[index]

    def _find_place(self, edge: Edge, reuse: Sequence[Edge] = ()) -> None:
        """Decide what array a result is written to: that of an operand which is not read again, if there is one."""
        if edge in self._places:
            return
        if edge in self._parts:
            whole, index = self._parts[edge]
            self._find_place(whole)
            place = self._places[whole]
            name = self._stack_name(edge) if place.at else self.name(described(edge))
            self.memory.append(f"{name} = {place.name}[{':, ' if place.at else ''}{index}]")
            self._places[edge] = Place(name, place.at, whole=False)
            return
        spec = spec_at(edge)
        kind = (spec.shape, spec.dtype)
        for operand in reuse:
            held = self._places.get(operand)
            if held is None or held.name not in self._buffers or operand in self._root:
                continue
            buffer = self._buffers[held.name]
            dead = self._held.get(buffer) == operand and self._last_read.get(operand) is edge[0]
            if dead and (spec_at(operand).shape, spec_at(operand).dtype) == kind:
                self._hold(edge, buffer)
                return
        pool = self._free.setdefault(kind, [])
        if pool:
            self._hold(edge, pool.pop())
            return
        name = self.name(described(edge))
        self.memory.append(f"{name} = np.empty({spec.shape}, {dtype_text(spec)})")
        self._buffers[name] = name
        self._hold(edge, name)

    def _hold(self, edge: Edge, buffer: str) -> None:
        """Put a value into a buffer, which has a name for each of the named values that take turns in it."""
        name, hint, node = buffer, described(edge), edge[0]
        if self._hints.setdefault(buffer, hint) != hint and node.watches:
            name = self.name(hint)
            self.memory.append(f"{name} = {buffer}")
            self._buffers[name] = buffer
        self._held[buffer] = edge
        self._places[edge] = Place(name, None)

    def _release(self, node: Node) -> None:
        for parent, slot in zip(node.parents, node.slots, strict=True):
            if parent is None:
                continue
            base = self._base((parent, slot))
            place = self._places.get(base)
            if place is None or place.name not in self._buffers:
                continue
            buffer = self._buffers[place.name]
            if self._held.get(buffer) == base and self._last_read.get(base) is node:
                del self._held[buffer]
                spec = spec_at(base)
                self._free.setdefault((spec.shape, spec.dtype), []).append(buffer)

    # Operations inside the loop

    def _emit(self, node: Node) -> None:
        if is_view(node) and self._emit_view(node):
            return
        operation = node.operation
        edges = [(node, slot) for slot in range(len(node.specs))]
        parents = [(p, s) for p, s in zip(node.parents, node.slots, strict=True) if p is not None]
        can_reuse = is_elementwise(node) and operation not in ("where", "clip", "softplus")
        if node.line and node.line != self._line:
            self._line = node.line
            self.body.append(f"# {self.comment}{_code_of(node.line)}")
        self._find_place(edges[0], parents if can_reuse else ())
        a = [self._operand(node, i) for i in range(len(node.parents))]
        out = self._text(edges[0])
        add = self.body.append
        forward = getattr(node.primitive, "forward", None)
        if operation == "sigmoid":
            self._overflow = True
            add(f"np.negative({a[0]}, out={out})")
            add(f"np.exp({out}, out={out})")
            add(f"np.add({out}, 1, out={out})")
            add(f"np.reciprocal({out}, out={out})")
        elif operation == "relu":
            add(f"np.maximum({a[0]}, 0, out={out})")
        elif operation == "softplus":
            add(f"np.absolute({a[0]}, out={out})")
            add(f"np.negative({out}, out={out})")
            add(f"np.exp({out}, out={out})")
            add(f"np.log1p({out}, out={out})")
            add(f"np.add({out}, np.maximum({a[0]}, 0), out={out})")
        elif operation == "where":
            add(f"np.copyto({out}, {a[2]})")
            add(f"np.copyto({out}, {a[1]}, where={a[0]})")
        elif operation == "astype":
            add(f"np.copyto({out}, {a[0]}, casting='unsafe')")
        elif operation == "clip":
            add(f"np.clip({', '.join(a)}, out={out})")
        elif isinstance(forward, np.ufunc):
            add(f"np.{forward.__name__}({', '.join(a)}, out={out})")
        elif is_reduction(node):
            given = ", ".join([f"{key}={value!r}" for key, value in node.params.items()])
            add(f"np.{operation}({a[0]}, {given}, out={out})")
        elif operation == "concatenate":
            start, axis = 0, node.params["axis"]
            for i, text in enumerate(a):
                parent, slot = node.parents[i], node.slots[i]
                stop = start + (parent.specs[slot].shape[axis] if parent is not None else 0)
                place = f"{':, ' * axis}{start}:{stop}"
                if self._parts.get((parent, slot)) != (edges[0], place):  # type: ignore[arg-type]
                    add(f"{out}[{place}] = {text}")
                start = stop
        else:
            self._emit_other(node, edges, a, out)
        self._release(node)

    def _emit_other(self, node: Node, edges: list[Edge], a: list[str], out: str) -> None:
        call = self._call(node, a, node.params)
        if len(edges) == 1:
            self.body.append(f"{out}[...] = {call}")
            return
        for edge in edges[1:]:
            self._find_place(edge)
        self.body.append(f"results = {call}")
        self.body += [f"{self._text(edge)}[...] = results[{i}]" for i, edge in enumerate(edges)]

    def _call(self, node: Node, a: list[str], params: dict[str, Any]) -> str:
        """Return the call of a primitive on arrays."""
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

    def _emit_view(self, node: Node) -> bool:
        """Make a view before the loop begins; False if the operation has to copy at every step."""
        parent = (node.parents[0], node.slots[0])
        if parent[0] in self._inside:
            self._find_place(parent)  # type: ignore[arg-type]
        place = self._places[parent]  # type: ignore[index]
        if node.operation == "reshape" and not place.whole:
            return False
        shift = 0 if place.at is None else 1
        for slot, text in enumerate(view_texts(node, place.name, shift)):
            if not self._is_read((node, slot)):
                continue
            name = self._stack_name((node, slot)) if shift else self.name(described((node, slot)))
            self.memory.append(f"{name} = {text}")
            self._places[node, slot] = Place(
                name, place.at, whole=place.whole and node.operation == "reshape", scalar=not node.specs[slot].shape
            )
        return True

    def _is_read(self, edge: Edge) -> bool:
        if edge in self.step.ys or edge in self.step.next_carry or edge[0] not in self.step.graph.consumers:
            return True
        return any(
            (parent, slot) == edge
            for reader, _ in self.step.graph.consumers[edge[0]]
            for parent, slot in zip(reader.parents, reader.slots, strict=True)
        )

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
            shape = shape_text("time", node.specs[0].shape)
            texts = [f"np.matmul({names[0]}.reshape({rows}, {inner}), {names[1]}).reshape{shape}"]
        else:
            texts = self._texts_over_time(node, parents, names, over)
            if len(node.specs) > 1:
                lines.append(f"results = {texts[0]}")
                texts = [f"results[{i}]" for i in range(len(node.specs))]
        for slot, text in enumerate(texts):
            edge = (node, slot)
            if len(texts) > 1 and not self._is_read(edge):
                continue
            name = self._stack_name(edge) if shift else self.name(described(edge))
            lines.append(f"{name} = {text}")
            self._places[edge] = Place(name, "t" if shift else None, not is_view(node), not node.specs[slot].shape)

    def _texts_over_time(
        self, node: Node, parents: Sequence[Edge | None], names: list[str], over: list[bool]
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
        return [self._call(node, names, params)]

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
        if edge in self._stacks:
            return self._stacks[edge]
        place = self._places[edge]
        if edge[0] in self.schedule.early or edge[0] in self._fixed or edge[0] in self._sunk:
            return place.name
        ahead = "1:" if place.at == "t + 1" else ":-1"
        return f"{place.name}[{ahead}]"

    def _finish(self) -> None:
        step, schedule = self.step, self.schedule
        states = {self._places[node, 0].name for node in step.carry if (node, 0) in self._places}
        writes = []
        for edge, place in self._copies:
            text = self._text(edge)
            if place.at is None and self._places[self._base(edge)].name in states - {place.name}:
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
            self._last[k] = name
        self.results = [self._whole(edge) if self._spans(edge) else self._repeated(edge) for edge in step.ys]
        self.results += [
            self._last[k] if k in schedule.deferred else f"np.array({self._last[k]})" for k in range(len(step.carry))
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
        self._places |= {(node, 0): Place(self._last[k], None) for node, k in cotangents.items()}
        self._places |= {(node, 0): self._places[given, 0] for node, given in constants.items()}
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
        namespace: dict[str, Any] = {"np": np, **self.functions}
        exec(compile(str(self), "<loop>", "exec"), namespace)
        return namespace["loop"]


def _code_of(line: str) -> str:
    """Return the code that stands in a line of a file; the line itself where the file cannot be read."""
    file, _, number = line.rpartition(":")
    return linecache.getline(file, int(number)).strip() or line
