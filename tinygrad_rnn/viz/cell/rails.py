"""Rails: which states run straight through the top of a drawing, which along its bottom, and what stands on them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from .symbols import Symbol

_POINTWISE = ("circle", "pill")
_ONE_TO_ONE = ("gate", "pill", "box")


@dataclass(frozen=True)
class Rail:
    """The line of one state, from the left edge to the right one.

    Attributes:
        spine: the state before the step, what stands on its line, the state after it; where what comes out is not
            made of the state by point-wise operations alone, the two ends only.
        is_top: whether it runs above the gates.
    """

    spine: tuple[int, ...]
    is_top: bool

    @property
    def state(self) -> int:
        """Where the line begins."""
        return self.spine[0]

    @property
    def after(self) -> int:
        """Where it ends."""
        return self.spine[-1]

    def edges(self) -> list[tuple[int, int]]:
        """Return the pieces of the line, from symbol to symbol; none where the line ends in between."""
        return [*zip(self.spine, self.spine[1:], strict=False)] if self.is_whole else []

    is_whole: bool = True


@dataclass(frozen=True)
class Problem:
    """What is to be laid out, by number: equal problems have equal layouts.

    Attributes:
        kinds: of the symbols.
        inputs: which symbols each reads.
        rails: from top to bottom.
        tiers: of the symbols, counted from the bottom; none where all gates stand in one row.
    """

    kinds: tuple[str, ...]
    inputs: tuple[tuple[int, ...], ...]
    rails: tuple[Rail, ...]
    tiers: tuple[int, ...] = ()

    def tier(self, i: int) -> int:
        """Return the tier of a symbol."""
        return self.tiers[i] if self.tiers else 0

    def edges(self) -> list[tuple[int, int]]:
        """Return every line from a symbol to one that reads it."""
        return [(read, i) for i, inputs in enumerate(self.inputs) for read in inputs]

    def nets(self) -> dict[int, list[int]]:
        """Return for each symbol that is read the symbols that read it."""
        found: dict[int, list[int]] = {}
        for read, reader in self.edges():
            found.setdefault(read, []).append(reader)
        return found


def problem_of(symbols: list[Symbol]) -> Problem:
    """Return the layout problem of some symbols in their order.

    A state that becomes the next one by point-wise operations runs on top; the one that no gate reads above those that
    gates read. The others run at the bottom; one that is a chain of gates and functions has them on its line.
    """
    number = {symbol: i for i, symbol in enumerate(symbols)}
    kinds = tuple([symbol.kind for symbol in symbols])
    inputs = tuple([tuple([number[read] for read in symbol.inputs]) for symbol in symbols])
    ends = {(symbol.kind, symbol.number): i for i, symbol in enumerate(symbols)}
    taken: set[int] = set()
    top, bottom = [], []
    for state in [i for i, symbol in enumerate(symbols) if symbol.kind == "state"]:
        after = ends["next", symbols[state].number]
        spine = _pointwise_path(kinds, inputs, state, after, taken)
        if spine:
            top.append(Rail(tuple(spine), True))
        else:
            spine = _chain(kinds, inputs, state, after, taken)
            bottom.append(Rail(tuple(spine or (state, after)), False, bool(spine)))
        taken |= set(spine)
    feeds_gates = {read for i, reads in enumerate(inputs) if kinds[i] in ("gate", "merge", "box") for read in reads}
    top.sort(key=lambda rail: rail.state in feeds_gates)
    return Problem(kinds, inputs, (*top, *bottom))


def _pointwise_path(
    kinds: tuple[str, ...], inputs: tuple[tuple[int, ...], ...], state: int, after: int, taken: set[int]
) -> list[int]:
    """Return the shortest way from a state to the next one over point-wise operations; nothing if there is none."""
    before = {after: after}
    queue = deque([after])
    while queue:
        at = queue.popleft()
        for read in inputs[at]:
            if read in before or read in taken or (kinds[read] not in _POINTWISE and read != state):
                continue
            before[read] = at
            queue.append(read)
    path = [state] if state in before else []
    while path and path[-1] != after:
        path.append(before[path[-1]])
    return path


def _chain(
    kinds: tuple[str, ...], inputs: tuple[tuple[int, ...], ...], state: int, after: int, taken: set[int]
) -> list[int]:
    """Return the way to the next state over operations of one value and places where other lines join the state's."""
    path = [after]
    while path[-1] != state:
        reads = inputs[path[-1]]
        if kinds[path[-1]] == "merge":
            reads = tuple([read for read in reads if read == state or _joins(kinds, inputs, read, state)])
        if len(reads) != 1 or reads[0] in taken or kinds[reads[0]] not in (*_ONE_TO_ONE, "merge", "state"):
            return []
        path.append(reads[0])
        if kinds[path[-1]] == "state" and path[-1] != state:
            return []
    return path[::-1]


def _joins(kinds: tuple[str, ...], inputs: tuple[tuple[int, ...], ...], symbol: int, state: int) -> bool:
    """Whether a state is one of those that run together in a place."""
    return kinds[symbol] == "merge" and any(
        read == state or _joins(kinds, inputs, read, state) for read in inputs[symbol]
    )
