"""The engine `numpy`: it writes NumPy source for the whole loop, with buffers made once and `out=` everywhere."""

from __future__ import annotations

import keyword
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core import Node
from ..core.node import Array
from .compiled import Program
from .families import index_text, is_elementwise, is_product_with_matrix, is_reduction, is_view
from .passes.schedule import Schedule
from .passes.simplify import simplify
from .step import Edge, Step, spec_at


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
            found = step.cache[key] = Source(simplified(step), time, reverse).function()
        return found(*arrays, time)  # type: ignore[no-any-return]

    return program


def simplified(step: Step) -> Step:
    """Return the simplified step, made once."""
    if "simplified" not in step.cache:
        step.cache["simplified"] = simplify(step)
    return step.cache["simplified"]  # type: ignore[no-any-return]


class Source:
    """The source of a loop, as text.

    Args:
        step: the step.
        time: about how many steps there are.
        reverse: the loop runs from the last step to the first.
        name: of the function.
    """

    def __init__(self, step: Step, time: int, reverse: bool, name: str = "loop") -> None:
        self.step, self.reverse, self.name = step, reverse, name
        self.schedule = Schedule(step, time)
        self.functions: dict[str, Any] = {}
        self._names: Counter[str] = Counter()
        self._places: dict[Edge, Place] = {}
        self._setup: list[str] = []
        self._body: list[str] = []
        self._end: list[str] = []
        self._slices: dict[str, str] = {}
        self._free: dict[Any, list[str]] = {}
        self._stacks: dict[Edge, str] = {}
        self._parts: dict[Edge, tuple[Edge, str]] = {}
        self._root: dict[Edge, Edge] = {}
        self._scratch_of: dict[str, Edge] = {}
        self._sunk: set[Node] = set()
        self._overflow = False
        self._write()

    # Names

    def _name(self, hint: str) -> str:
        name = re.sub(r"\W+", "_", hint).strip("_") or "value"
        if name[0].isdigit() or keyword.iskeyword(name) or name in ("t", "time", "np"):
            name = f"_{name}"
        self._names[name] += 1
        number = self._names[name]
        return name if number == 1 else self._name(f"{name}_{number}")

    def _hint(self, edge: Edge) -> str:
        node, slot = edge
        hint = node.name or node.operation
        return hint if len(node.specs) == 1 else f"{hint}_{slot}"

    # The parts of the function

    def _write(self) -> None:
        step, schedule = self.step, self.schedule
        self.parameters = [self._name(node.name or kind) for kind, node in self._kinds()]
        named = dict(zip(step.inputs, self.parameters, strict=True))
        for node in (*step.xs, *step.constants):
            self._places[node, 0] = Place(named[node], "t" if node in step.xs else None, scalar=not node.specs[0].shape)
        for i, (node, value) in enumerate(step.fixed.items()):
            name = self._name(f"fixed{i}")
            self.functions[name] = value
            self._places[node, 0] = Place(name, None)
        for node in schedule.once:
            self._over_time(node, self._setup)
        for node in schedule.before:
            self._over_time(node, self._setup)
        self._plan(named)
        for node in schedule.loop:
            self._emit(node)
        self._finish(named)

    def _kinds(self) -> list[tuple[str, Node]]:
        step = self.step
        return [
            *[("state", node) for node in step.carry],
            *[("x", node) for node in step.xs],
            *[("constant", node) for node in step.constants],
        ]

    def _plan(self, named: dict[Node, str]) -> None:
        """Decide where the values of the loop are kept."""
        step, schedule = self.step, self.schedule
        self._inside = set(schedule.loop)
        made = {(node, slot) for node in schedule.loop if not is_view(node) for slot in range(len(node.specs))}
        before, after = ("t + 1", "t") if self.reverse else ("t", "t + 1")
        self._start, self._stop = ("time", "0") if self.reverse else ("0", "time")
        self._last: dict[int, str] = {}
        self._copies: list[tuple[Edge, Place]] = []
        moved: list[tuple[Edge, Place]] = []
        own: dict[Edge, int] = {}
        for k, (node, edge) in enumerate(zip(step.carry, step.next_carry, strict=True)):
            if k in schedule.deferred:
                continue
            spec, name = node.specs[0], self._name(f"{named[node]}_now")
            if (node, 0) in schedule.stacked or (edge in schedule.stacked and edge in made and edge not in own):
                self._setup.append(f"{name} = np.empty({self._shape('time + 1', spec.shape)}, {_dtype(spec)})")
                self._setup.append(f"{name}[{self._start}] = {named[node]}")
                self._places[node, 0] = Place(name, before, scalar=not spec.shape)
                self._last[k] = f"{name}[{self._stop}]"
                target = Place(name, after, scalar=not spec.shape)
            else:
                self._setup.append(f"{name} = np.array({named[node]})")
                self._places[node, 0] = Place(name, None)
                self._last[k] = name
                target = Place(name, None)
            if edge in made and edge not in own and (target.at or self._is_dead_at((node, 0), edge)):
                self._places[edge] = target
                own[edge] = k
            elif edge != (node, 0) or target.at:
                moved.append((edge, target))
        for edge in schedule.stacked:
            if edge[0] in self._inside and not (edge in own and self._places[edge].at):
                spec = spec_at(edge)
                name = self._name(f"all_{self._hint(edge)}")
                self._setup.append(f"{name} = np.empty({self._shape('time', spec.shape)}, {_dtype(spec)})")
                place = Place(name, "t", scalar=not spec.shape)
                self._stacks[edge] = name
                if edge in made and edge not in self._places:
                    self._places[edge] = place
                else:
                    self._copies.append((edge, place))
        # Copies of the state to elsewhere come first: the others write over it.
        self._copies += moved
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
            if node.operation != "concatenate":
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

    def _shape(self, first: str, shape: tuple[int, ...]) -> str:
        return (
            f"({', '.join([first, *map(str, shape)])},)" if not shape else f"({', '.join([first, *map(str, shape)])})"
        )

    def _text(self, edge: Edge) -> str:
        place = self._places[edge]
        return place.name if place.at is None else self._slice(place)

    def _slice(self, place: Place) -> str:
        text = f"{place.name}[{place.at}{', ...' * place.scalar}]"
        if text not in self._slices:
            self._slices[text] = self._name(place.name + ("_t" if place.at == "t" else "_next"))
        return self._slices[text]

    def _operand(self, node: Node, i: int) -> str:
        parent = node.parents[i]
        return _number(node.args[i]) if parent is None else self._text((parent, node.slots[i]))  # type: ignore[index]

    def _out(self, edge: Edge, reuse: Sequence[Edge] = ()) -> str:
        """Return the array that a result is written to; that of an operand which is not read again, if there is one."""
        if edge in self._places:
            return self._text(edge)
        if edge in self._parts:
            whole, index = self._parts[edge]
            array = self._out(whole)
            place = self._places[whole]
            name = self._name(self._hint(edge))
            lead = ":, " if place.at else ""
            self._setup.append(f"{name} = {place.name}[{lead}{index}]")
            self._places[edge] = Place(name, place.at, whole=False)
            del array
            return self._text(edge)
        spec = spec_at(edge)
        for operand in reuse:
            known = self._places.get(operand)
            if known is not None and known.name in self._scratch_of:
                same = spec_at(operand).shape == spec.shape and spec_at(operand).dtype == spec.dtype
                if same and self._last_read.get(operand) is edge[0] and operand not in self._root:
                    self._places[edge] = known
                    self._scratch_of[known.name] = edge
                    return known.name
        pool = self._free.setdefault((spec.shape, spec.dtype), [])
        if pool:
            name = pool.pop()
        else:
            name = self._name(self._hint(edge))
            self._setup.append(f"{name} = np.empty({spec.shape}, {_dtype(spec)})")
        self._places[edge] = Place(name, None)
        self._scratch_of[name] = edge
        return name

    def _release(self, node: Node) -> None:
        for parent, slot in zip(node.parents, node.slots, strict=True):
            if parent is None:
                continue
            base = self._base((parent, slot))
            place = self._places.get(base)
            if place is None or place.name not in self._scratch_of or self._scratch_of[place.name] != base:
                continue
            if self._last_read.get(base) is node:
                del self._scratch_of[place.name]
                spec = spec_at(base)
                self._free.setdefault((spec.shape, spec.dtype), []).append(place.name)

    # Operations inside the loop

    def _emit(self, node: Node) -> None:
        if is_view(node) and self._emit_view(node):
            return
        operation = node.operation
        edges = [(node, slot) for slot in range(len(node.specs))]
        parents = [(p, s) for p, s in zip(node.parents, node.slots, strict=True) if p is not None]
        can_reuse = is_elementwise(node) and operation not in ("where", "clip")
        out = self._out(edges[0], parents if can_reuse else ())
        a = [self._operand(node, i) for i in range(len(node.parents))]
        add = self._body.append
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
            add(f"np.logaddexp({a[0]}, 0, out={out})")
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
        call = f"{self._function(node)}({', '.join(a)})"
        if len(edges) == 1:
            self._body.append(f"{out}[...] = {call}")
            return
        outs = [out, *[self._out(edge) for edge in edges[1:]]]
        self._body.append(f"results = {call}")
        self._body += [f"{array}[...] = results[{i}]" for i, array in enumerate(outs)]

    def _function(self, node: Node) -> str:
        """Return the name of a function that computes a node from arrays."""
        name = self._name(f"{node.operation}_of")
        primitive, params = node.primitive, node.params
        self.functions[name] = lambda *args: primitive.forward(*args, **params)  # type: ignore[union-attr]
        return name

    def _emit_view(self, node: Node) -> bool:
        """Make a view before the loop begins; False if the operation has to copy at every step."""
        parent = (node.parents[0], node.slots[0])
        if parent[0] in self._inside and parent not in self._places:
            self._out(parent)  # type: ignore[arg-type]
        place = self._places[parent]  # type: ignore[index]
        if node.operation == "reshape" and not place.whole:
            return False
        shift = 0 if place.at is None else 1
        for slot, text in enumerate(_view_texts(node, place.name, shift)):
            name = self._name(self._hint((node, slot)))
            self._setup.append(f"{name} = {text}")
            self._places[node, slot] = Place(
                name, place.at, whole=place.whole and node.operation == "reshape", scalar=not node.specs[slot].shape
            )
        return True

    # Operations for all steps at once

    def _over_time(self, node: Node, lines: list[str]) -> None:
        """Write an operation outside the loop, on arrays with time as first axis or on constants."""
        parents = [(p, s) if p is not None else None for p, s in zip(node.parents, node.slots, strict=True)]
        over = [edge is not None and self._spans(edge) for edge in parents]
        shift = int(any(over))
        names = [
            self._whole(edge) if edge is not None else _number(arg)
            for edge, arg in zip(parents, node.args or (), strict=True)
        ]
        if is_view(node):
            texts = _view_texts(node, names[0], shift)
        elif is_product_with_matrix(node) and over[0] and not over[1]:
            *lead, inner = parents[0][0].specs[parents[0][1]].shape  # type: ignore[index]
            rows, columns = "*".join(["time", *map(str, lead)]), node.specs[0].shape[-1]
            shape = self._shape("time", node.specs[0].shape)
            texts = [f"np.matmul({names[0]}.reshape({rows}, {inner}), {names[1]}).reshape{shape}"]
            del columns
        else:
            params = dict(node.params)
            if shift and is_elementwise(node):
                ndim = len(node.specs[0].shape)
                names = [
                    _widened(name, ndim, edge) if spans and edge is not None else name
                    for name, edge, spans in zip(names, parents, over, strict=True)
                ]
            if shift and "axis" in params:
                axis = params["axis"]
                params["axis"] = tuple([i + 1 for i in axis]) if isinstance(axis, tuple) else axis + 1
            primitive = node.primitive
            forward = getattr(primitive, "forward", None)
            if isinstance(forward, np.ufunc) and not params:
                texts = [f"np.{forward.__name__}({', '.join(names)})"]
            else:
                function = self._name(f"{node.operation}_of")
                self.functions[function] = lambda *args: forward(*args, **params)  # type: ignore[misc]
                texts = [f"{function}({', '.join(names)})"]
                if len(node.specs) > 1:
                    lines.append(f"results = {texts[0]}")
                    texts = [f"results[{i}]" for i in range(len(node.specs))]
        for slot, text in enumerate(texts):
            name = self._name(self._hint((node, slot)))
            lines.append(f"{name} = {text}")
            self._places[node, slot] = Place(
                name, "t" if shift else None, not is_view(node), not node.specs[slot].shape
            )

    def _spans(self, edge: Edge) -> bool:
        return edge[0] not in self.schedule.constant

    def _whole(self, edge: Edge) -> str:
        """Return a value for all steps: a stack of the loop's, or an array from before it; a constant as it is."""
        if edge in self._stacks:
            return self._stacks[edge]
        place = self._places[edge]
        if edge[0] in self.schedule.early or edge[0] in self.schedule.constant or edge[0] in self._sunk:
            return place.name
        ahead = "1:" if place.at == "t + 1" else ":-1"
        return f"{place.name}[{ahead}]"

    def _finish(self, named: dict[Node, str]) -> None:
        step, schedule, end = self.step, self.schedule, self._end
        states = {self._places[node, 0].name for node in step.carry if (node, 0) in self._places}
        writes = []
        for edge, place in self._copies:
            text = self._text(edge)
            if place.at is None and self._places[self._base(edge)].name in states - {place.name}:
                # States may change places: all are read before the first is written.
                read, text = text, self._name(f"{place.name}_next")
                self._body.append(f"{text} = np.array({read})")
            writes.append(f"{place.name if place.at is None else self._slice(place)}[...] = {text}")
        self._body += writes
        for node in schedule.after:
            self._over_time(node, end)
            self._sunk.add(node)
        for k, deferred in schedule.deferred.items():
            rows = [
                "*".join(["time", *map(str, spec_at(edge).shape[:-1])]) + f", {spec_at(edge).shape[-1]}"
                for edge in deferred.operands
            ]
            arrays = [f"{self._whole(edge)}.reshape({r})" for edge, r in zip(deferred.operands, rows, strict=True)]
            name = self._name(f"{named[step.carry[k]]}_total")
            total = f"np.matmul({arrays[0]}.T, {arrays[1]})" if deferred.kind == "product" else f"{arrays[0]}.sum(0)"
            end.append(f"{name} = {named[step.carry[k]]} + {total}")
            self._last[k] = name
        results = [self._whole(edge) if self._spans(edge) else self._repeated(edge) for edge in step.ys]
        results += [
            self._last[k] if k in schedule.deferred else f"np.array({self._last[k]})" for k in range(len(step.carry))
        ]
        end.append(f"return [{', '.join(results)}]")

    def _repeated(self, edge: Edge) -> str:
        return f"np.broadcast_to({self._places[edge].name}, {self._shape('time', spec_at(edge).shape)})"

    def __str__(self) -> str:
        steps = "range(time - 1, -1, -1)" if self.reverse else "range(time)"
        loop = [
            *[f"{name} = {text}" for text, name in self._slices.items()],
            *self._body,
        ]
        lines = [f"def {self.name}({', '.join([*self.parameters, 'time'])}):"]
        lines += [f"    {line}" for line in self._setup]
        if loop:
            inside = [f"for t in {steps}:", *[f"    {line}" for line in loop]]
            if self._overflow:
                inside = ["with np.errstate(over='ignore'):", *[f"    {line}" for line in inside]]
            lines += [f"    {line}" for line in inside]
        lines += [f"    {line}" for line in self._end]
        return "\n".join(lines)

    def function(self) -> Any:
        """Return the compiled function."""
        namespace: dict[str, Any] = {"np": np, **self.functions}
        exec(compile(str(self), f"<{self.name}>", "exec"), namespace)
        return namespace[self.name]


def _dtype(spec: Any) -> str:
    return f"np.{spec.dtype.name}" if spec.dtype.kind != "b" else "bool"


def _number(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "np.nan" if math.isnan(value) else "np.inf" if value > 0 else "-np.inf"
    return repr(value)


def _widened(name: str, ndim: int, edge: Edge) -> str:
    """Return an array over time with axes put in, so that it broadcasts as its value of one step does."""
    missing = ndim - len(spec_at(edge).shape)
    return name if missing <= 0 else f"{name}[:, {', '.join(['None'] * missing)}]"


def _view_texts(node: Node, name: str, shift: int) -> list[str]:
    """Return the text of each result of a view, `shift` axes behind those of its own."""
    lead = ":, " * shift
    params = node.params
    if node.operation == "split":
        axis, start, texts = params["axis"], 0, []
        for stop in params["bounds"]:
            texts.append(f"{name}[{lead}{':, ' * axis}{start}:{stop}]")
            start = stop
        return texts
    if node.operation == "getitem":
        index = index_text(params["index"])
        return [f"{name}[{lead}{index}]" if index != "()" or shift else f"{name}[()]"]
    if node.operation == "transpose":
        axes = (0, *[axis + 1 for axis in params["axes"]]) if shift else params["axes"]
        return [f"np.transpose({name}, {axes})"]
    shape = node.specs[0].shape
    first = f"({name}.shape[0], {', '.join(map(str, shape))})" if shift else repr(shape)
    if node.operation == "reshape":
        return [f"{name}.reshape({first})"]
    widened = name
    if shift:
        widened = _widened(name, len(shape), (node.parents[0], node.slots[0]))  # type: ignore[arg-type]
    return [f"np.broadcast_to({widened}, {first})"]
