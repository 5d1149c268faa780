"""Where the values of a loop are kept: arrays for all steps, buffers that values share, parts of a concatenation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..core import Node
from .families import is_elementwise, is_view
from .passes.schedule import Schedule
from .step import Edge, described, spec_at
from .text import Names, dtype_text, shape_text, view_texts


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

    @property
    def text(self) -> str:
        """The expression that gives the array of one step."""
        return self.name if self.at is None else f"{self.name}[{self.at}{', ...' * self.scalar}]"


class Places:
    """The place of each value of a loop, and the lines that make the arrays there.

    `places[edge]` is the place of a value. It is set from outside for what is not computed inside the loop; `plan` sets
    those of the state and of what is kept for all steps, `find` and `view` those of all others, one by one in the order
    in which they are computed.

    Args:
        schedule: of the step.
        reverse: the loop runs from the last step to the first.
        names: those that are taken.
        maker: the function, as the text calls it, that makes the arrays of all steps.

    Attributes:
        memory: lines that make the arrays that the loop writes to.
        ones: the name of the value of one step, by the name of the array of all steps.
        following: slices that hold a leaf of the state after the step.
        stacks: arrays of the values that are kept for all steps, but for those of the state.
        copies: values that are copied to another place at the end of each step.
        last: expressions for the leaves of the state after the last step, by their number.
        parts: values that are computed in their place of a concatenation: that, and their index there.
    """

    def __init__(self, schedule: Schedule, reverse: bool, names: Names, maker: str) -> None:
        self._maker = maker
        self._schedule, self._step, self._reverse, self._names = schedule, schedule.step, reverse, names
        self.memory: list[str] = []
        self.ones: dict[str, str] = {}
        self.following: set[str] = set()
        self.stacks: dict[Edge, str] = {}
        self.copies: list[tuple[Edge, Place]] = []
        self.last: dict[int, str] = {}
        self.parts: dict[Edge, tuple[Edge, str]] = {}
        self._inside = set(schedule.loop)
        self._at: dict[Edge, Place] = {}
        self._root: dict[Edge, Edge] = {}
        self._last_read: dict[Edge, Node | None] = {}
        self._free: dict[Any, list[str]] = {}
        self._buffers: dict[str, str] = {}
        self._held: dict[str, Edge] = {}
        self._hints: dict[str, str] = {}

    def __getitem__(self, edge: Edge) -> Place:
        return self._at[edge]

    def __setitem__(self, edge: Edge, place: Place) -> None:
        self._at[edge] = place

    def __contains__(self, edge: Edge) -> bool:
        return edge in self._at

    def stack_name(self, edge: Edge) -> str:
        """Return a name for the array of a value of all steps; `ones` gives that of one step."""
        one = self._names.new(described(edge))
        name = self._names.new(f"{one}_all")
        self.ones[name] = one
        return name

    def plan(self, parameters: Mapping[Node, str]) -> None:
        """Decide where the state is kept and what is kept for all steps.

        Args:
            parameters: the name under which each leaf of the state before the first step is given.
        """
        step, schedule = self._step, self._schedule
        made = {(node, slot) for node in schedule.loop if not is_view(node) for slot in range(len(node.specs))}
        before, after = ("t + 1", "t") if self._reverse else ("t", "t + 1")
        start, stop = ("time", "0") if self._reverse else ("0", "time")
        moved: list[tuple[Edge, Place]] = []
        own: dict[Edge, int] = {}
        for k, (node, edge) in enumerate(zip(step.carry, step.next_carry, strict=True)):
            if k in schedule.deferred:
                continue
            spec, given = node.specs[0], parameters[node]
            first = f"np.zeros({spec.shape}, {dtype_text(spec)})" if node in step.zeros else f"np.array({given})"
            if (node, 0) in schedule.stacked or (edge in schedule.stacked and edge in made and edge not in own):
                name = self._names.new(f"{given}_all")
                self.ones[name] = given
                self.memory.append(f"{name} = {self._maker}({shape_text('time + 1', spec.shape)}, {dtype_text(spec)})")
                self.memory.append(f"{name}[{start}] = {0 if node in step.zeros else given}")
                self._at[node, 0] = Place(name, before, scalar=not spec.shape)
                self.last[k] = f"{name}[{stop}]"
                target = Place(name, after, scalar=not spec.shape)
                self.following.add(target.text)
            else:
                self.memory.append(f"{given} = {first}")
                self._at[node, 0] = target = Place(given, None)
                self.last[k] = given
            if edge in made and edge not in own and (target.at or self._is_dead_at((node, 0), edge)):
                self._at[edge] = target
                own[edge] = k
            elif edge != (node, 0) or target.at:
                moved.append((edge, target))
        for edge in schedule.stacked:
            if edge[0] in self._inside and not (edge in own and self._at[edge].at):
                spec = spec_at(edge)
                name = self.stack_name(edge)
                self.memory.append(f"{name} = {self._maker}({shape_text('time', spec.shape)}, {dtype_text(spec)})")
                place = Place(name, "t", scalar=not spec.shape)
                self.stacks[edge] = name
                if edge in made and edge not in self._at:
                    self._at[edge] = place
                else:
                    self.copies.append((edge, place))
        # Copies of the state to elsewhere come first: the others write over it.
        self.copies += sorted(moved, key=lambda copy: copy[1].at is None)
        self._alias_parts(made)
        self._lifetimes()

    def _is_dead_at(self, carry: Edge, edge: Edge) -> bool:
        """Whether nothing reads a leaf of the state after the next one has been computed in its place."""
        node = edge[0]
        order = {other: i for i, other in enumerate(self._schedule.loop)}
        roots = {carry}
        for other in self._schedule.loop:
            if is_view(other) and (other.parents[0], other.slots[0]) in roots:
                roots |= {(other, slot) for slot in range(len(other.specs))}
        if roots & {*self._step.next_carry, *self._schedule.stacked}:
            return False
        readers = [
            reader
            for root in roots
            for reader, _ in self._step.graph.consumers.get(root[0], ())
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
        for node in self._schedule.loop:
            place = self._at.get((node, 0))
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
                free = edge in made and edge not in self._at and edge not in self.parts
                if free and parent.operation != "concatenate" and spec_at(edge).dtype == node.specs[0].dtype:
                    self.parts[edge] = ((node, 0), f"{lead}{start}:{stop}")
                start = stop

    def _lifetimes(self) -> None:
        """Find the last reader of every value, views counted as what they are views of."""
        loop = self._schedule.loop
        for edge, (whole, _) in self.parts.items():
            self._root[edge] = whole
        for node in loop:
            if is_view(node):
                for slot in range(len(node.specs)):
                    self._root[node, slot] = (node.parents[0], node.slots[0])  # type: ignore[assignment]
        for node in loop:
            for parent, slot in zip(node.parents, node.slots, strict=True):
                if parent is not None:
                    self._last_read[self.base((parent, slot))] = node
        for edge, _ in self.copies:
            self._last_read[self.base(edge)] = None

    def base(self, edge: Edge) -> Edge:
        """Return the value in whose memory a value lies: itself, or what it is a view or a part of."""
        while edge in self._root:
            edge = self._root[edge]
        return edge

    def find(self, edge: Edge, reuse: Sequence[Edge] = ()) -> None:
        """Decide what array a result is written to, where that is not decided yet.

        Args:
            edge: the result.
            reuse: operands that it may be written over, if one of them is not read again.
        """
        if edge in self._at:
            return
        if edge in self.parts:
            whole, index = self.parts[edge]
            self.find(whole)
            place = self._at[whole]
            name = self.stack_name(edge) if place.at else self._names.new(described(edge))
            self.memory.append(f"{name} = {place.name}[{':, ' if place.at else ''}{index}]")
            self._at[edge] = Place(name, place.at, whole=False)
            return
        spec = spec_at(edge)
        kind = (spec.shape, spec.dtype)
        for operand in reuse:
            held = self._at.get(operand)
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
        name = self._names.new(described(edge))
        self.memory.append(f"{name} = np.empty({spec.shape}, {dtype_text(spec)})")
        self._buffers[name] = name
        self._hold(edge, name)

    def _hold(self, edge: Edge, buffer: str) -> None:
        """Put a value into a buffer, which has a name for each of the named values that take turns in it."""
        name, hint, node = buffer, described(edge), edge[0]
        if self._hints.setdefault(buffer, hint) != hint and node.watches:
            name = self._names.new(hint)
            self.memory.append(f"{name} = {buffer}")
            self._buffers[name] = buffer
        self._held[buffer] = edge
        self._at[edge] = Place(name, None)

    def release(self, node: Node) -> None:
        """Give back the buffers of the operands that an operation was the last to read."""
        for parent, slot in zip(node.parents, node.slots, strict=True):
            if parent is None:
                continue
            base = self.base((parent, slot))
            place = self._at.get(base)
            if place is None or place.name not in self._buffers:
                continue
            buffer = self._buffers[place.name]
            if self._held.get(buffer) == base and self._last_read.get(base) is node:
                del self._held[buffer]
                spec = spec_at(base)
                self._free.setdefault((spec.shape, spec.dtype), []).append(buffer)

    def view(self, node: Node) -> bool:
        """Make a view once, before the loop begins; False if the operation has to copy at every step."""
        parent = (node.parents[0], node.slots[0])
        if parent[0] in self._inside:
            self.find(parent)  # type: ignore[arg-type]
        place = self._at[parent]  # type: ignore[index]
        if node.operation == "reshape" and not place.whole:
            return False
        shift = 0 if place.at is None else 1
        for slot, text in enumerate(view_texts(node, place.name, shift)):
            if not self.is_read((node, slot)):
                continue
            name = self.stack_name((node, slot)) if shift else self._names.new(described((node, slot)))
            self.memory.append(f"{name} = {text}")
            self._at[node, slot] = Place(
                name, place.at, whole=place.whole and node.operation == "reshape", scalar=not node.specs[slot].shape
            )
        return True

    def is_read(self, edge: Edge) -> bool:
        """Whether an operation, the next state or a result reads a value."""
        if edge in self._step.ys or edge in self._step.next_carry or edge[0] not in self._step.graph.consumers:
            return True
        return any(
            (parent, slot) == edge
            for reader, _ in self._step.graph.consumers[edge[0]]
            for parent, slot in zip(reader.parents, reader.slots, strict=True)
        )
