"""Blocks: which operations of a graph one item of a drawing stands for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..core import Graph, Node
from .diagram import Repeat, Scope
from .loops import Found, Loop
from .steps import Step

Time = Literal["fold", "unroll", "full"]
# Of a loop that is unrolled: the steps before the ellipsis; no more steps than `_WHOLE` are left whole.
_FIRST, _WHOLE = 2, 4


@dataclass
class Block:
    """Operations that are drawn as one item.

    Attributes:
        key: the id of the item.
        kind: one operation (at every step of a loop where `loop` is given), a module, or the steps left out.
        scope: the boxes around it.
        nodes: the operations.
        loop: the loop of which it is one position.
        note: which steps were left out.
    """

    key: str
    kind: Literal["operation", "module", "ellipsis"]
    scope: Scope
    nodes: list[Node] = field(default_factory=list)
    loop: Loop | None = None
    note: str = ""


class Partition:
    """All operations of a graph in blocks.

    Args:
        graph: the graph.
        found: its loops.
        time: draw a step once for all, or the first ones and the last, or all of them.
        depth: levels of modules that are drawn; deeper ones are one block each. None draws all.

    Attributes:
        blocks: in the order in which they are drawn.
        of: the block of each operation.
        steps: for each operation in a loop that is folded, the loop, the number of the step and the position in it.
    """

    def __init__(self, graph: Graph, found: Found, time: Time, depth: int | None) -> None:
        self.of: dict[Node, Block] = {}
        self.steps: dict[Node, tuple[Loop, int, int]] = {}
        self.repeats: dict[int, Repeat] = {}
        self._graph = graph
        self._depth = depth
        self._modules: dict[Scope, Block] = {}
        if time == "fold":
            for number, loop in enumerate(found.loops):
                self._fold(number, loop)
        elif time == "unroll":
            beside = Counter([loop.scope for loop in found.loops])
            for number, loop in enumerate(found.loops):
                title = f"t = {loop.numbers[0]} … {loop.numbers[-1]}"
                # Steps of several loops in one module, such as two directions, would else share their boxes.
                box = (Repeat(number, title),) if beside[loop.scope] > 1 else ()
                self._unroll(number, loop.steps, loop.scope, loop.numbers, loop.has_times, box)
            if found.boundaries:
                self._unroll(0, found.boundaries, (), range(len(found.boundaries)), False)
        self.blocks: list[Block] = []
        known: set[int] = set()
        for node in graph:
            if node.primitive is None:
                continue
            if node not in self.of:
                self._place(self._key(node), node.scope, [node])
            block = self.of[node]
            if id(block) not in known:
                known.add(id(block))
                self.blocks.append(block)

    def scope_of(self, loop: Loop) -> Scope:
        """Return the box of a loop that is folded."""
        return (*loop.scope, self.repeats[id(loop)])

    def _key(self, node: Node) -> str:
        return f"n{self._graph.number(node)}"

    def _place(self, key: str, scope: Scope, nodes: list[Node], loop: Loop | None = None) -> None:
        """Put operations into a block of their own, or into that of the module which is drawn as one."""
        block = self._module(scope, key)
        if block is None:
            block = Block(key, "operation", scope, [], loop)
        block.nodes += nodes
        for node in nodes:
            self.of[node] = block

    def _module(self, scope: Scope, key: str) -> Block | None:
        if self._depth is None:
            return None
        names = [i for i, part in enumerate(scope) if isinstance(part, str)]
        if len(names) < self._depth:
            return None
        inside = scope[: names[self._depth - 1] + 1]
        return self._modules.setdefault(inside, Block(f"m{key}", "module", inside))

    def _fold(self, number: int, loop: Loop) -> None:
        first, last = loop.numbers[0], loop.numbers[-1]
        repeat = self.repeats[id(loop)] = Repeat(number, f"× {len(loop):,}   t = {first} … {last}")
        for node, (t, j) in loop.place.items():
            self.steps[node] = (loop, t, j)
        for j in range(len(loop.usual)):
            node = loop.representative(j)
            inner = node.scope[len(loop.scope) + loop.has_times :]
            scope = (*loop.scope, repeat, *inner)
            self._place(self._key(node), scope, loop.at(j), loop)

    def _unroll(
        self,
        number: int,
        steps: Sequence[Step],
        scope: Scope,
        numbers: Sequence[int],
        has_times: bool,
        box: tuple[Repeat, ...] = (),
    ) -> None:
        left_out = range(_FIRST, len(steps) - 1) if len(steps) > _WHOLE else range(0)
        for t, step in enumerate(steps):
            if t in left_out:
                continue
            for node in step:
                if node is not None:
                    inner = node.scope[len(scope) :]
                    own = (*scope, *box, *(inner if has_times else (t, *inner)))
                    self._place(self._key(node), own, [node])
        if left_out:
            nodes = [node for t in left_out for node in steps[t] if node is not None]
            block = self._module(scope, self._key(nodes[0])) or Block(f"e{number}", "ellipsis", (*scope, *box))
            block.nodes += nodes
            block.note = f"t = {numbers[left_out[0]]} … {numbers[left_out[-1]]}"
            self.of.update(dict.fromkeys(nodes, block))
