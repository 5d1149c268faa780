"""Grid: the tracks on which lines run, what stands on them, and which line goes where."""

from __future__ import annotations

from itertools import pairwise

from .place import Placement
from .rails import Problem

PITCH = 6
RIGHT, DOWN, LEFT, UP = 0, 1, 2, 3
STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
_THIN = ("merge", "input", "state", "output", "next")

Point = tuple[int, int]


def opposite(direction: int) -> int:
    """Return the direction that leads back."""
    return direction ^ 2


class Grid:
    """Symbols on tracks, six from one column or row to the next, and the lines between them.

    Attributes:
        centre: of each symbol.
        owner: the symbol that covers a point; those at the edges of the drawing are closed to lines.
        arms: for each point the lines that run there, each with the directions in which it goes on.
        used: for each symbol the sides at which a line touches it.
    """

    def __init__(self, problem: Problem, placement: Placement) -> None:
        self.problem, self.rows = problem, placement.rows
        self.width = int(max(placement.column) + 1) * PITCH
        self.height = placement.rows.bottom * PITCH
        self.centre: list[Point] = [
            (int(column + 1) * PITCH, row * PITCH) for column, row in zip(placement.column, placement.row, strict=True)
        ]
        self.owner: dict[Point, int] = {}
        for i, (x, y) in enumerate(self.centre):
            reach = self.reach(i)
            self.owner |= {(x + a, y + b): i for a in range(-reach, reach + 1) for b in range(-reach, reach + 1)}
        # Beside the line that leaves a gate stands its name.
        self.lettered = {
            (x + side, y - 2) for i, (x, y) in enumerate(self.centre) if problem.kinds[i] == "gate" for side in (-1, 1)
        }
        self.arms: dict[Point, dict[int, int]] = {}
        self.used: list[set[int]] = [set() for _ in self.centre]

    def reach(self, i: int) -> int:
        """Return how many tracks a symbol covers on each side of its centre."""
        return 0 if self.problem.kinds[i] in _THIN else 1

    def is_inside(self, point: Point) -> bool:
        """Whether lines may run at a point: the edges of the drawing belong to what stands there."""
        return 0 < point[0] < self.width and 0 < point[1] < self.height

    def port(self, i: int, side: int) -> Point:
        """Return the point where a line touches a side of a symbol."""
        (x, y), reach = self.centre[i], self.reach(i)
        return x + STEPS[side][0] * reach, y + STEPS[side][1] * reach

    def cost_of_side(self, i: int, side: int, leaves: bool) -> float | None:
        """Return how odd it looks if a line comes in or leaves at a side; None where it must not."""
        kind = self.problem.kinds[i]
        if side in self.used[i]:
            return None
        if kind in ("input", "state", "output", "next"):
            only = {"input": UP, "state": RIGHT, "output": DOWN, "next": LEFT}[kind]
            return 0.0 if side == only else None
        if self.rows.is_gate(i, self.centre[i][1] / PITCH) and i not in self.rows.rail_of:
            return self._at_gate(side, leaves)
        if kind == "circle":
            return 3.0 if leaves and side == LEFT else 0.0
        if kind == "merge":
            # Lines run together as they go on to the right.
            return 0.0 if leaves == (side == RIGHT) else None
        # A function is read in one direction.
        odd = 6.0 if self.used[i] and opposite(side) not in self.used[i] else 0.0
        return odd + (3.0 if side == (LEFT if leaves else RIGHT) else 0.0)

    def _at_gate(self, side: int, leaves: bool) -> float | None:
        if leaves:
            return 0.0 if side == UP else None
        return {DOWN: 0.0, LEFT: 3.0, RIGHT: 4.0}.get(side)

    def lay(self, net: int, path: list[Point]) -> None:
        """Let a line run along neighbouring points."""
        for a, b in pairwise(path):
            direction = STEPS.index((b[0] - a[0], b[1] - a[1]))
            for point, arm in ((a, direction), (b, opposite(direction))):
                here = self.arms.setdefault(point, {})
                here[net] = here.get(net, 0) | 1 << arm

    def take_up(self, net: int) -> dict[Point, int]:
        """Remove a line and return where it ran, and in which directions it went on there."""
        found = {point: here.pop(net) for point, here in self.arms.items() if net in here}
        for point in found:
            if not self.arms[point]:
                del self.arms[point]
        return found

    def put_back(self, net: int, arms: dict[Point, int]) -> None:
        """Let a line run as it did before it was taken up."""
        for point, mask in arms.items():
            self.arms.setdefault(point, {})[net] = mask

    def crossings(self) -> list[Point]:
        """Return the points where two lines cross."""
        return sorted(point for point, here in self.arms.items() if len(here) > 1 and point not in self.owner)
