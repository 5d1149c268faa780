"""Sketch: from the blocks of a graph to a diagram, with weights, inputs, states and constants around them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from ..core import Graph, Node, Spec
from . import labels
from .blocks import Block, Partition
from .diagram import Diagram, Edge, EdgeKind, Item
from .loops import Loop
from .moving import moving_args, moving_params
from .names import Names

Times = list["tuple[int | None, int | None]"]


def sketch(graph: Graph, partition: Partition, names: Names, show_shapes: bool = True) -> Diagram:
    """Return the diagram of a graph whose operations are in blocks."""
    return _Sketch(graph, partition, names, show_shapes).diagram


class _Sketch:
    def __init__(self, graph: Graph, partition: Partition, names: Names, show_shapes: bool) -> None:
        self._graph = graph
        self._partition = partition
        self._names = names
        self._show_shapes = show_shapes
        self.diagram = Diagram()
        self._results = set(graph.outputs)
        self._flows: dict[tuple[str, int | None, str, EdgeKind, int], tuple[Loop | None, Loop | None, Times]] = {}
        self._constants: dict[str, Any] = {}
        self._read: Counter[tuple[object, ...]] = Counter()
        self._states: dict[tuple[str, int, int], str] = {}
        self._uses: dict[Node, int] = {
            leaf: len(
                {partition.of[node].key if partition.of[node].loop else node for node, _ in graph.consumers[leaf]}
            )
            for leaf in graph.inputs
        }
        self._leaves()
        for block in partition.blocks:
            self._block(block)
        self._outputs()
        self._starts()
        self._write_flows()

    def _leaves(self) -> None:
        for leaf in self._graph.inputs:
            if leaf in self._names.inputs:
                self._put_leaf(leaf, self._key(leaf), "input", self._names.inputs[leaf], ())
            elif not self._graph.consumers[leaf]:
                self._put_leaf(leaf, self._key(leaf), "parameter", leaf.name or "", ())

    def _key(self, node: Node) -> str:
        return f"n{self._graph.number(node)}"

    def _put_leaf(self, leaf: Node, key: str, kind: Any, title: str, scope: Any, shared: int = 1) -> None:
        note = f"shared ×{shared}" if shared > 1 else ""
        tip = [labels.clean(leaf.name or title or "leaf", 200), labels.typed(leaf.specs[0]), note]
        shape = labels.shape(leaf.specs[0]) if self._show_shapes else ""
        small = " ".join(filter(None, [shape, note]))
        self.diagram.add(
            Item(
                key,
                kind,
                labels.clean(title) or "leaf",
                scope,
                notes=[small] if small else [],
                tooltip="\n".join(filter(None, tip)),
                is_shared=shared > 1,
                nodes=(leaf,),
            )
        )

    def _block(self, block: Block) -> None:
        if block.kind == "operation":
            self._operation(block)
        else:
            self._several(block)
        for node in block.nodes:
            self._read.clear()
            args = node.arguments
            for k, (parent, slot, arg) in enumerate(zip(node.parents, node.slots, args, strict=True)):
                self._argument(block, node, k, parent, slot, arg)
        # What an operation reads is written before it, and so stands left of what it computes.
        self.diagram.items[block.key] = self.diagram.items.pop(block.key)

    def _operation(self, block: Block) -> None:
        node = block.loop.representative(block.loop.place[block.nodes[0]][1]) if block.loop else block.nodes[0]
        params, args = moving_params(block.loop, node), moving_args(block.nodes, node)
        given = [self._names.of(block.nodes, slot) for slot in range(len(node.specs))]
        shapes = dict.fromkeys([labels.shape(spec) for spec in node.specs]) if self._show_shapes else {}
        several = len(given) > 1
        self.diagram.add(
            Item(
                block.key,
                "operation",
                labels.operation(node, params, args),
                block.scope,
                name="" if several else given[0],
                notes=[" ".join(shapes)] if shapes else [],
                fields=tuple(given) if several else (),
                tooltip=labels.details(node, params),
                ordered=node.operation in labels.ORDERED,
                nodes=tuple(block.nodes),
                loop=len(block.loop) if block.loop else 1,
            )
        )

    def _several(self, block: Block) -> None:
        if block.kind == "ellipsis":
            item = Item(block.key, "ellipsis", "⋮", block.scope, notes=[block.note], tooltip="steps left out")
        else:
            item = self._module(block)
        item.nodes = tuple(block.nodes)
        self.diagram.add(item)

    def _module(self, block: Block) -> Item:
        leaves = dict.fromkeys(
            parent
            for node in block.nodes
            for parent in node.parents
            if parent is not None and parent.primitive is None and parent not in self._names.inputs
        )
        count = sum(leaf.specs[0].size for leaf in leaves)
        loops = {
            id(loop): loop
            for node in block.nodes
            if node in self._partition.steps
            for loop in [self._partition.steps[node][0]]
        }
        notes = [f"{count:,} parameter{'s' * (count != 1)}"] if count else []
        inside = {part for part in block.scope if not isinstance(part, (str, int))}
        notes += [
            f"× {len(loop):,} steps" for loop in loops.values() if self._partition.repeats[id(loop)] not in inside
        ]
        names = [labels.clean(leaf.name or "leaf", 60) for leaf in leaves]
        tip = [labels.clean(labels.path(block.scope), 200), f"{len(block.nodes):,} operations", *names[:20]]
        return Item(
            block.key,
            "module",
            labels.clean(str(block.scope[-1])),
            block.scope[:-1],
            notes=notes,
            tooltip="\n".join(tip),
        )

    def _argument(self, block: Block, node: Node, k: int, parent: Node | None, slot: int, arg: Any) -> None:
        mine = self._partition.steps.get(node)
        carried = self._carried(mine, k) if mine else None
        if carried is not None and not self._is_hidden(block, mine[0], carried):  # type: ignore[index]
            assert mine is not None
            self._state(block, mine, node, parent, slot, arg, carried)
        elif parent is None and mine and mine[0].usual[mine[2]][k][0] == "step":
            return  # The first step has as a constant what the others compute.
        elif parent is None:
            if block.kind == "operation" or self._names.array(arg) is not None:
                self._constant(block, block.key, k, arg, "flow")
        elif parent.primitive is not None:
            self._flow(parent, slot, block, mine)
        elif parent in self._names.inputs:
            self._connect(self._key(parent), None, block.key, "flow", None, mine, parent)
        elif block.kind == "operation":
            self._weight(block, node, parent)

    def _carried(self, mine: tuple[Loop, int, int], k: int) -> tuple[int, int, int] | None:
        """Return (lag, position, slot) if an argument is carried over from an earlier step."""
        loop, _, j = mine
        usual = loop.usual[j][k]
        return usual[1:] if usual[0] == "step" and usual[1] > 0 else None

    def _is_hidden(self, block: Block, loop: Loop, carried: tuple[int, int, int]) -> bool:
        """Return whether a whole loop is inside of one block, so that what it carries is not seen."""
        return block.kind == "module" and self._partition.repeats[id(loop)] not in block.scope

    def _state(
        self,
        block: Block,
        mine: tuple[Loop, int, int],
        node: Node,
        parent: Node | None,
        slot: int,
        arg: Any,
        carried: tuple[int, int, int],
    ) -> None:
        """Draw a state as a node of its own, from which a step reads what an earlier one has left."""
        loop = mine[0]
        lag, position, from_slot = carried
        maker = loop.representative(position)
        producer = self._partition.of[maker]
        known = (f"{producer.key}.{position}", from_slot, lag)
        if known not in self._states:
            makers = loop.at(position)
            name = self._names.of(makers, from_slot) or self._initial_name(parent) or "state"
            key = self._states[known] = f"s{len(self._states)}"
            back = _shifted(-lag * (loop.numbers[1] - loop.numbers[0]))
            notes = [labels.shape(maker.specs[from_slot]), back] if self._show_shapes else [back]
            tip = f"state {name}\n{labels.typed(maker.specs[from_slot])}"
            scope = self._partition.scope_of(loop)
            self.diagram.add(
                Item(
                    key,
                    "state",
                    name,
                    scope,
                    notes=[" at ".join(notes)],
                    tooltip=tip,
                    nodes=tuple(makers),
                    loop=len(loop),
                )
            )
            several = from_slot if producer.kind == "operation" and len(maker.specs) > 1 else None
            self.diagram.edges.append(Edge(producer.key, key, several, "loop", f"{name}: {back} → t"))
        key = self._states[known]
        self._connect(key, None, block.key, "flow", None, None, key)
        if parent in self._partition.steps and self._partition.steps[parent][0] is loop:
            return
        if parent is None:
            self._constant(None, key, 0, arg, "side")
        elif parent.primitive is not None:
            self._flow(parent, slot, key, mine)
        elif parent in self._names.inputs:
            self._connect(self._key(parent), None, key, "flow", None, mine)
        else:
            self._weight(None, node, parent, key)

    def _initial_name(self, parent: Node | None) -> str:
        if parent is None:
            return ""
        return labels.clean(self._names.inputs.get(parent) or parent.name or "", 24)

    def _flow(self, parent: Node, slot: int, head: Block | str, mine: tuple[Loop, int, int] | None) -> None:
        tail = self._partition.of[parent]
        key = head if isinstance(head, str) else head.key
        if tail.key == key:
            return
        port = slot if tail.kind == "operation" and len(parent.specs) > 1 else None
        theirs = self._partition.steps.get(parent)
        self._connect(tail.key, port, key, "flow", theirs, mine, parent)

    def _connect(
        self,
        tail: str,
        slot: int | None,
        head: str,
        kind: EdgeKind,
        theirs: tuple[Loop, int, int] | None,
        mine: tuple[Loop, int, int] | None,
        value: object = None,
    ) -> None:
        """Note an edge with the steps at its ends; an operation that reads a value twice has two."""
        again = 0
        if value is not None and self.diagram.items[head].kind == "operation":
            again = self._read[tail, slot, head, value]
            self._read[tail, slot, head, value] += 1
        known = (tail, slot, head, kind, again)
        ends = (theirs[0] if theirs else None, mine[0] if mine else None)
        _, _, times = self._flows.setdefault(known, (*ends, []))
        times.append((theirs[0].numbers[theirs[1]] if theirs else None, mine[0].numbers[mine[1]] if mine else None))

    def _constant(self, block: Block | None, head: str, k: int, arg: Any, kind: EdgeKind) -> None:
        given = self._names.array(arg)
        if given is not None:
            key = f"a{[name for name, _ in self._names.arrays].index(given) + 1}"
            tip = f"input {labels.clean(given)}\n{labels.typed(arg)}"
            notes = [labels.shape(arg)] if self._show_shapes else []
            self.diagram.items.setdefault(key, Item(key, "input", labels.clean(given), (), notes=notes, tooltip=tip))
            self._connect(key, None, head, "flow", None, None)
            return
        if labels.is_number(arg) and block is not None:
            return
        key = f"{head}c{k}"
        before = self._constants.setdefault(key, arg)
        if before is not arg and isinstance(before, Spec) and isinstance(arg, np.ndarray):
            # One reader kept what another did not, which shows what it is.
            self._constants[key] = arg
            known = self.diagram.items[key]
            known.title = labels.constant(arg)[0]
        elif before is not arg and not _is_same(before, arg):
            self._varies(self.diagram.items[key], arg)
            return
        title, small = labels.constant(arg) if not labels.is_number(arg) else (labels.number(arg), "")
        scope = self.diagram.items[head].scope if block is not None else self.diagram.items[head].scope[:-1]
        notes = [small] if small and self._show_shapes else []
        self.diagram.items.setdefault(key, Item(key, "constant", title, scope, notes=notes, tooltip="a constant"))
        self._connect(key, None, head, "side", None, None)

    def _varies(self, item: Item, arg: Any) -> None:
        """Say of a constant that each step has another one."""
        item.title = labels.clean(str(arg.dtype)) if hasattr(arg, "dtype") else "constant"
        item.notes = [*filter(None, [labels.shape(arg) if self._show_shapes else ""]), "one for each t"]

    def _weight(self, block: Block | None, node: Node, leaf: Node, head: str = "") -> None:
        """Draw the edge from a weight: it stands beside each of its uses, or the layout falls to pieces."""
        uses = self._uses[leaf]
        head = head or self._partition.of[node].key
        copy = self._key(leaf) if uses == 1 else f"{self._key(leaf)}u{head.removeprefix('n')}"
        if copy not in self.diagram.items:
            scope = block.scope if block else self.diagram.items[head].scope[:-1]
            title = labels.short(leaf.name or self._names.of([leaf], 0), scope)
            self._put_leaf(leaf, copy, "parameter", title, scope, uses)
        self._connect(copy, None, head, "side", None, None, leaf)

    def _starts(self) -> None:
        """Draw a constant before each state whose start no operation reads, since it was not recorded."""
        started = {head for _, _, head, _, _ in self._flows}
        for key in self._states.values():
            if key not in started:
                self._constant(None, key, 0, None, "side")

    def _outputs(self) -> None:
        """Mark results; one that is computed in a loop is drawn beside it, with the step that it comes from."""
        for number, (node, slot) in enumerate(self._graph.outputs):
            kind: Any = "loss" if node.specs[slot].shape == () else "output"
            if node.primitive is None:
                continue
            block = self._partition.of[node]
            if block.loop is None and block.kind == "operation":
                self.diagram.items[block.key].kind = kind
                continue
            mine = self._partition.steps.get(node)
            position = f"{block.key}" if mine is None else f"{block.key}.{mine[2]}"
            key = f"o{position}.{slot}".replace(".", "_")
            if key not in self.diagram.items:
                name = self._names.of(block.nodes if block.loop else [node], slot) or (
                    "loss" if kind == "loss" else "output"
                )
                notes = [labels.shape(node.specs[slot])] if self._show_shapes else []
                tip = labels.typed(node.specs[slot])
                self.diagram.add(
                    Item(key, kind, name, (), notes=notes, tooltip=f"result {number}\n{tip}", nodes=(node,))
                )
            port = slot if block.kind == "operation" and len(node.specs) > 1 else None
            self._connect(block.key, port, key, "flow", mine, None)

    def _write_flows(self) -> None:
        for (tail, slot, head, kind, _), (source, target, times) in self._flows.items():
            label = _when(source, target, times, self.diagram.items[head].kind == "state")
            self.diagram.edges.append(Edge(tail, head, slot, kind, label))


def _is_same(a: Any, b: Any) -> bool:
    if isinstance(b, Spec):
        return getattr(a, "shape", None) == b.shape
    return type(a) is type(b) and bool(np.array_equal(a, b)) if isinstance(a, np.ndarray) else type(a) is type(b)


def _shifted(by: int) -> str:
    return f"t {'−' if by < 0 else '+'} {abs(by)}" if by else "t"


def _when(source: Loop | None, target: Loop | None, times: Times, is_start: bool) -> str:
    """Return which steps an edge belongs to, in words; nothing where that is plain."""
    if is_start:
        return ""
    if source is not None and target is not None:
        pairs = [(s, t) for s, t in times if s is not None and t is not None]
        if source is target:
            return ""
        if all(s == t for s, t in pairs):
            return "each t"
        if len({s + t for s, t in pairs}) == 1:
            return f"{pairs[0][0] + pairs[0][1]} − t"
        return f"{len(set(times))} pairs of steps"
    steps = sorted({s if source is not None else t for s, t in times if (s if source is not None else t) is not None})  # type: ignore[type-var]
    loop = source or target
    if loop is None or not steps:
        return ""
    if len(steps) == len(loop):
        return "every t" if source is not None else ""
    return f"t = {steps[0]}" if len(steps) == 1 else f"{len(steps)} steps"
