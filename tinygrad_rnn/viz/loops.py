"""Loops: the steps that a graph repeats, found in its operations alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from ..core import Graph, Node
from . import labels
from .growth import refusal
from .runs import find_runs
from .steps import Code, Operand, Step, Steps, begins_like, integers, moves_evenly

Scope = tuple["str | int", ...]
# Cells that alternate: no more of them than this are looked for in one step.
_ALTERNATING = 8


class Loop:
    """One step of a graph that repeats.

    Attributes:
        steps: the operations of each step, the same ones in the same order; the first and the last may lack some.
        usual: where the arguments of each operation come from, in all steps but the first, as `Steps.operands` has it.
        place: (step, position) of each node.
        numbers: the time of each step: that of its scope, or else its position.
        scope: of what the whole loop stands in.
    """

    def __init__(self, steps: Sequence[Step], usual: list[list[Operand]], inputs: Collection[Node] = ()) -> None:
        self.steps = [tuple(step) for step in steps]
        self.usual = usual
        self.place = Steps(self.steps, inputs).place
        times, self.scope = self._times()
        self.has_times = times is not None
        self.numbers = times or list(range(len(steps)))

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def is_chained(self) -> bool:
        """Whether a step reads what an earlier one computed."""
        return any(operand[0] == "step" and operand[1] > 0 for operands in self.usual for operand in operands)

    @property
    def has_weights(self) -> bool:
        """Whether every step reads the same weight."""
        return any(operand[0] == "weight" for operands in self.usual for operand in operands)

    def at(self, position: int) -> list[Node]:
        """Return the operation at a position, of each step that has it."""
        return [node for step in self.steps for node in step[position : position + 1] if node is not None]

    def representative(self, position: int) -> Node:
        """Return the operation at a position that best stands for all: of a step that is neither first nor last."""
        middle = self.steps[len(self) // 2][position]
        return middle if middle is not None else self.at(position)[0]

    def _times(self) -> tuple[list[int] | None, Scope]:
        """Return the time that stands in the scopes of each step, if any, and what stands before it."""
        scopes = [[node.scope for node in step if node is not None] for step in self.steps]
        common = _common([scope for of_step in scopes for scope in of_step])
        times = []
        for of_step in scopes:
            found = {scope[len(common)] if len(scope) > len(common) else None for scope in of_step}
            time = found.pop()
            if found or not isinstance(time, int):
                return None, common
            times.append(time)
        return (times if moves_evenly([[time] for time in times]) else None), common


def _common(scopes: list[Scope]) -> Scope:
    first, last = min(scopes, key=repr), max(scopes, key=repr)
    same = [a == b for a, b in zip(first, last, strict=False)]
    return first[: same.index(False) if False in same else len(same)]


class Found:
    """What was found in a graph.

    Attributes:
        loops: in the order of their first operations.
        refusal: why a loop that is there cannot be drawn as one step; None where nothing was refused.
        boundaries: the steps of a loop that was refused, which can still be drawn one by one.
        untied: the weights that keep a repetition from being a loop, in words.
    """

    def __init__(self, loops: list[Loop], untied: str | None, refused: str | None, boundaries: list[Step]) -> None:
        self.loops = loops
        self.untied = untied
        self.refusal = refused
        self.boundaries = boundaries


def find_loops(graph: Graph, inputs: Collection[Node] = ()) -> Found:
    """Find the steps that a graph repeats; scopes and names take no part in it.

    A loop is a stretch of operations that follows itself at least once more: the same operations on the same shapes,
    the same weights, and what a step reads of earlier ones is always as many steps back. Time is linear in the graph.

    Args:
        graph: to be searched.
        inputs: leaves that are no weights.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn.viz.loops import find_loops
        >>> w, h = tg.Tensor(0.5, requires_grad=True), tg.Tensor(1.0)
        >>> for _ in range(10):
        ...     h = np.tanh(w * h)
        >>> [len(loop) for loop in find_loops(tg.Graph.of(h)).loops]
        [10]
    """
    operations = [node for node in graph if node.primitive is not None]
    refused, boundaries = refusal(graph, operations, (), growing_only=True)
    if refused is not None:
        return Found([], None, refused, boundaries)
    search = _Search(graph, operations, inputs)
    loops = search.loops()
    if not any(loop.is_chained for loop in loops):
        refused, boundaries = refusal(graph, operations, inputs, growing_only=False)
    return Found([] if refused else loops, search.untied, refused, boundaries)


class _Search:
    def __init__(self, graph: Graph, operations: list[Node], inputs: Collection[Node]) -> None:
        self._consumers = graph.consumers
        self._results = {node for node, _ in graph.outputs}
        self._operations = operations
        self._inputs = inputs
        code = Code()
        self._codes = np.array([code.of(node) for node in operations], dtype=np.int64)
        self._taken = np.zeros(len(operations) + 1, dtype=bool)
        self._position = {node: i for i, node in enumerate(operations)}
        self._owner: dict[Node, tuple[int, int, int]] = {}
        self._lengths: list[int] = []
        self.untied: str | None = None

    def loops(self) -> list[Loop]:
        """Return the loops; of two that overlap, the one that leaves less to draw."""
        found: list[Loop] = []
        for start, period, length in find_runs(self._codes):
            for first, end in self._free(start, start + length):
                if end - first >= 2 * period:
                    for loop in self._in_stretch(first, end, period):
                        found.append(loop)
                        self._lengths.append(len(loop))
                        self._owner |= {node: (len(found) - 1, *place) for node, place in loop.place.items()}
                        self._taken[[self._position[node] for node in loop.place]] = True
        return sorted(found, key=lambda loop: min(map(self._position.__getitem__, loop.place)))

    def _free(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield what is left of a stretch between loops that were found before."""
        taken = self._taken[start:end]
        if not taken.any():
            yield start, end
            return
        edges = np.flatnonzero(np.diff(np.concatenate([[True], taken, [True]])))
        for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            yield start + first, start + last

    def _in_stretch(self, start: int, end: int, period: int) -> Iterator[Loop]:
        first = self._cut(start, end, period)
        count = (end - first) // period
        steps = [self._operations[first + t * period : first + (t + 1) * period] for t in range(count)]
        alike = list(self._alike(steps))
        if not alike and count > 2:
            # What all other steps read of the first one comes from outside once that is no part of the loop.
            alike = [(begin + 1, size, number) for begin, size, number in self._alike(steps[1:])]
        for begin, size, number in alike:
            merged = [
                [node for step in steps[t : t + size] for node in step]
                for t in range(begin, begin + size * number, size)
            ]
            loop = self._checked(self._completed(merged))
            if loop is not None:
                yield loop

    def _cut(self, start: int, end: int, period: int) -> int:
        """Return where the first step begins: where the fewest results are carried from a step to the next."""
        spare = (end - start) % period
        if not spare:
            return start
        crossing = np.zeros(2 * period + 1, dtype=np.int64)
        reach: dict[tuple[Node, int], int] = {}
        window = self._operations[start : start + 2 * period]
        inside = {node: i for i, node in enumerate(window)}
        for i, node in enumerate(window):
            for parent, slot in zip(node.parents, node.slots, strict=True):
                if parent in inside:
                    reach[parent, slot] = i
        for (parent, _), last in reach.items():
            crossing[inside[parent] + 1] += 1
            crossing[last + 1] -= 1
        carried = np.cumsum(crossing)[period : period + spare + 1]

        def badness(offset: int) -> tuple[int, bool, int, int]:
            """Rate a place: not inside of a time step; after what others read; so that the last step is complete."""
            before, after = window[period + offset - 1], window[period + offset]
            readers = len(self._consumers[before]) + (before in self._results)
            return int(carried[offset]), _times(before) == _times(after), -readers, -offset

        return start + min(range(spare + 1), key=badness)

    def _alike(self, steps: list[list[Node]]) -> Iterator[tuple[int, int, int]]:
        """Yield (first step, steps in one, how many) for stretches in which steps read the same weights."""
        view = Steps(steps, self._inputs)
        keys = [view.operands(t) for t in range(len(steps))]
        lag = _lag(keys[-1])
        for size in range(1, min(_ALTERNATING, len(steps) // 2) + 1):
            last = len(steps) - size
            if all(
                begins_like(keys[t], keys[last + (t - last) % size]) if t < size * lag else keys[t] == keys[t + size]
                for t in range(last)
            ):
                yield 0, size, len(steps) // size
                return
        numbers: dict[str, int] = {}
        ids = np.array([numbers.setdefault(repr(_named(key)), len(numbers)) for key in keys], dtype=np.int64)
        free = np.ones(len(steps), dtype=bool)
        for first, size, length in find_runs(ids):
            end = first + length
            while first > 0 and free[first - 1] and begins_like(keys[first - 1], keys[first - 1 + size]):
                first -= 1
            # Two steps in the middle of others that differ are alike by chance.
            if free[first:end].all() and length > 2 * size:
                free[first:end] = False
                yield first, size, (end - first) // size
        if free.all():
            self.untied = self.untied or _untied_weights(keys)

    def _completed(self, steps: list[list[Node]]) -> list[Step]:
        """Return steps with what is there of one more before them, and of one more behind them."""
        operations, size = self._operations, len(steps[0])
        codes = self._codes[[self._position[node] for node in steps[0]]]
        complete: list[Step] = list(steps)
        for is_first in (True, False):
            edge = self._position[steps[0][0]] - 1 if is_first else self._position[steps[-1][-1]] + 1
            extra: list[Node | None] = [None] * size
            places = range(size - 1, -1, -1) if is_first else range(size)
            i = edge
            for j in places:
                if 0 <= i < len(operations) and not self._taken[i] and self._codes[i] == codes[j]:
                    extra[j] = operations[i]
                    i += -1 if is_first else 1
            if i == edge:
                continue
            longer = [extra, *complete] if is_first else [*complete, extra]
            view = Steps(longer, self._inputs)
            usual = view.operands(len(longer) - 1 if is_first else len(longer) - 2)
            near = range(min(len(longer), 1 + _lag(usual))) if is_first else range(len(longer) - 1, len(longer))
            complete = longer if all(view.fits(t, usual) for t in near) else complete
        return complete

    def _checked(self, steps: list[Step]) -> Loop | None:
        """Return the loop of some steps if they are that, and worth to be drawn as one."""
        view = Steps(steps, self._inputs)
        ends = [view.operands(len(steps) - 1), view.operands(len(steps) - 2)]
        # The last step may lack operations, the first ones what they carry over.
        usual = [max(late, before, key=len) for late, before in zip(*ends, strict=True)]
        if not all(view.fits(t, usual) for t in range(len(steps))):
            return None
        loop = Loop(steps, usual, self._inputs)
        for j, operands in enumerate(usual):
            nodes = loop.at(j)
            if not all(moves_evenly([integers(node.params[name]) for node in nodes]) for name in nodes[0].params):
                return None
            for k, operand in enumerate(operands):
                columns = [node.parents[k] for node in nodes]
                if operand[0] != "outside":
                    continue
                read = [node for node in columns if node is not None]
                if self._are_untied(read):
                    self.untied = self.untied or _difference(read)
                    return None
                if not self._are_in_step(read):
                    return None
        return loop if self._is_worth(loop) else None

    def _are_untied(self, column: list[Node]) -> bool:
        """Return whether what the steps read comes from weights that differ from step to step."""
        seen: set[Node] = set()
        stack = [column]
        while stack:
            nodes = set(stack.pop()) - seen
            if len(nodes) < 2 or nodes <= self._owner.keys():
                continue
            seen |= nodes
            weights = [node for node in nodes if node.primitive is None and node not in self._inputs]
            if len(weights) > 1:
                return True
            ordered = sorted(nodes, key=lambda node: node.sequence)
            for k in range(max(len(node.parents) for node in ordered)):
                column = [node.parents[k] for node in ordered if k < len(node.parents)]  # type: ignore[misc]
                stack.append([node for node in column if node is not None])
        return False

    def _are_in_step(self, column: list[Node]) -> bool:
        """Return whether the steps read the same thing, or one each of a kind; of another loop, step by step."""
        if len({node.primitive for node in column}) > 1:
            return False
        owners = [self._owner.get(node) for node in column]
        found = [owner for owner in owners if owner is not None]
        if len(set(column)) == 1 or not found:
            return True
        same = len(found) == len(column) and len({(loop, position) for loop, _, position in found}) == 1
        return same and moves_evenly([[t] for _, t, _ in found])

    def _is_worth(self, loop: Loop) -> bool:
        """Return whether a repetition is a loop to its reader: a sum of three terms is none."""
        read = {self._owner[parent][0] for node in loop.place for parent in node.parents if parent in self._owner}
        reads_loop = any(self._lengths[number] == len(loop) for number in read)
        return len(loop) > (1 if reads_loop or (loop.is_chained and loop.has_weights) else 2 if loop.has_weights else 3)


def _times(node: Node) -> list[int]:
    return [part for part in node.scope if isinstance(part, int)]


def _lag(operands: list[list[Operand]]) -> int:
    """Return how many steps back a step reads at most."""
    return max([o[1] for of_one in operands for o in of_one if o[0] == "step"], default=0)


def _named(key: list[list[Operand]]) -> list[list[tuple[object, ...]]]:
    """Return operands with a number in place of a leaf, to be compared as text."""
    return [[(o[0], o[1].sequence) if o[0] == "weight" else o for o in operands] for operands in key]


def _untied_weights(keys: list[list[list[Operand]]]) -> str | None:
    """Return which weights differ between the last two steps, if any do."""
    for mine, theirs in zip(keys[-2], keys[-1], strict=True):
        for a, b in zip(mine, theirs, strict=False):
            if a[0] == b[0] == "weight" and a != b:
                return _difference([a[1], b[1]])
    return None


def _difference(nodes: Sequence[Node | None]) -> str:
    names = [labels.clean(node.name or "a leaf without a name", 60) for node in nodes[-2:] if node is not None]
    return f"the weights are not tied: one step reads {names[0]}, the next {names[-1]}"
