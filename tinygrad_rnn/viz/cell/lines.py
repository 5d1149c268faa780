"""Lines: what was laid on the grid as strokes from symbol to symbol, with forks, bridges and heads of arrows."""

from __future__ import annotations

from .grid import DOWN, LEFT, RIGHT, STEPS, UP, Grid, Point, opposite


class Stroke:
    """A line along tracks, from where it begins to where it ends.

    Attributes:
        net: the symbol whose value it carries.
        points: every point of the grid on it.
    """

    def __init__(self, net: int, points: list[Point]) -> None:
        self.net, self.points = net, points

    def corners(self) -> list[Point]:
        """Return its ends and the points where it turns."""
        inner = [
            b
            for a, b, c in zip(self.points, self.points[1:], self.points[2:], strict=False)
            if (b[0] - a[0], b[1] - a[1]) != (c[0] - b[0], c[1] - b[1])
        ]
        return [self.points[0], *inner, self.points[-1]]


def strokes(grid: Grid) -> list[Stroke]:
    """Return the strokes that lines are drawn with, each from the symbol it leaves, or the fork, to its end.

    Where three pieces of a line meet, the two that lie straight are one stroke, and the third begins there.
    """
    found = []
    for net in grid.problem.nets():
        arms = {point: here[net] for point, here in grid.arms.items() if net in here}
        starts = [(point, _only(mask)) for point, mask in arms.items() if mask.bit_count() == 1]
        starts += [(point, _branch(mask)) for point, mask in arms.items() if mask.bit_count() == 3]
        done: set[frozenset[Point]] = set()
        for point, direction in sorted(starts, key=lambda start: (_is_end(grid, net, *start), start)):
            path = _followed(arms, point, direction)
            if frozenset((path[0], path[-1])) not in done:
                done.add(frozenset((path[0], path[-1])))
                found.append(Stroke(net, path if _ends_well(grid, net, path) else path[::-1]))
    # The one that leaves the symbol first: the name of the value stands there.
    return sorted(found, key=lambda stroke: (stroke.net, grid.owner.get(stroke.points[0]) != stroke.net))


def forks(grid: Grid) -> list[Point]:
    """Return the points where a value is copied."""
    return sorted(point for point, here in grid.arms.items() if any(mask.bit_count() == 3 for mask in here.values()))


def _only(mask: int) -> int:
    return mask.bit_length() - 1


def _branch(mask: int) -> int:
    """Return the direction of three that has no opposite among them."""
    return next(d for d in (RIGHT, DOWN, LEFT, UP) if mask >> d & 1 and not mask >> opposite(d) & 1)


def _followed(arms: dict[Point, int], point: Point, direction: int) -> list[Point]:
    path = [point]
    while True:
        point = (point[0] + STEPS[direction][0], point[1] + STEPS[direction][1])
        path.append(point)
        back, mask = opposite(direction), arms[point]
        if mask.bit_count() == 1 or (mask.bit_count() == 3 and not mask >> direction & 1):
            return path
        if mask.bit_count() == 2:
            direction = _only(mask & ~(1 << back))


def _is_end(grid: Grid, net: int, point: Point, direction: int) -> bool:
    """Whether a point is where a line enters a symbol."""
    return point in grid.owner and grid.owner[point] != net


def _ends_well(grid: Grid, net: int, path: list[Point]) -> bool:
    """Whether a stroke leads away from its symbol."""
    if path[0] in grid.owner:
        return grid.owner[path[0]] == net
    return path[-1] in grid.owner and grid.owner[path[-1]] != net
