"""Compaction: how far apart the tracks of a grid must be, so that what stands on them keeps a readable distance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .errors import CellLayoutError
from .grid import RIGHT, UP, Grid

# How far apart two tracks must be at least.
Gaps = dict[tuple[int, int], float]

# Between two symbols, a symbol and a line, two lines; the latter ones across where room is dear: a head of an arrow and
# a bridge still have their place.
_USUAL, _NARROW = (3.6, 2.8, 2.3), (2.2, 2.1, 1.9)
_TRACKS, _END = 0.9, 1.8
_CORNERS, _CLEAR, _REPAIRS, _NAME = 1.6, 1.2, 40, 1.6


@dataclass(frozen=True)
class _Item:
    """What stands on a track: its extent along the track, in tracks, and how far it reaches to both sides."""

    track: int
    low: int
    high: int
    before: float
    after: float
    is_line: bool


@dataclass(frozen=True)
class Room:
    """How much room there is for the columns of a drawing.

    Args:
        sizes: as `positions` takes them.
        names: the same.
        most: millimetres from the first column to the last one.
    """

    sizes: tuple[tuple[float, float], ...]
    names: tuple[float, ...]
    most: float

    def width(self, grid: Grid) -> float:
        """Return the width of a drawing whose columns stand as close as they may.

        Raises:
            CellLayoutError: if it cannot be drawn.
        """
        return max(positions(grid, self.sizes, self.names, narrow=True)[0].values())


def positions(
    grid: Grid, sizes: Sequence[tuple[float, float]], names: Sequence[float], narrow: bool = False
) -> tuple[dict[int, float], dict[int, float]]:
    """Return the place of every track in use, in millimetres.

    Each of two packings, one towards either end, keeps all distances, and so does the middle between them, which is
    more even.

    Args:
        grid: what was routed.
        sizes: width and height of each symbol.
        names: the width of the name that stands beside the line out of each symbol, 0 for none.
        narrow: columns stand as close as they may.

    Returns:
        Of columns and of rows, by track.

    Raises:
        CellLayoutError: if things that stand across each other's corners cannot be drawn apart.
    """
    across, down = _across(grid, sizes, names), _down(grid, sizes, names)
    gaps = _gaps(across, _NARROW if narrow else _USUAL), _gaps(down, _USUAL)
    for _ in range(_REPAIRS):
        columns, rows = _packed(across, gaps[0]), _packed(down, gaps[1])
        if not _repair(grid, sizes, (columns, rows), gaps):
            return columns, rows
    raise CellLayoutError(
        "the symbols of this cell cannot be drawn apart from each other; viz.draw(cell, x, state) draws it"
    )


def _repair(
    grid: Grid,
    sizes: Sequence[tuple[float, float]],
    places: tuple[dict[int, float], dict[int, float]],
    gaps: tuple[Gaps, Gaps],
) -> bool:
    """Ask for more room where two things on different tracks of both kinds lie over each other; say whether any do."""
    columns, rows = places
    found = False
    boxes = [(x, y, sizes[i][0] / 2, sizes[i][1] / 2) for i, (x, y) in enumerate(grid.centre) if grid.reach(i)]
    lines = [(x, low, high, True) for x, low, high in _pieces(grid, True)]
    lines += [(y, low, high, False) for y, low, high in _pieces(grid, False)]
    for k, (x, y, half, tall) in enumerate(boxes):
        for x1, y1, half1, tall1 in boxes[:k]:
            apart = abs(columns[x] - columns[x1]) - half - half1, abs(rows[y] - rows[y1]) - tall - tall1
            if max(apart) < _CORNERS:
                found = (
                    _ask(gaps[0], x, x1, half + half1 + _CORNERS)
                    or _ask(gaps[1], y, y1, tall + tall1 + _CORNERS)
                    or found
                )
        for at, low, high, is_upright in lines:
            own, other, along = (columns, rows, (y, tall)) if is_upright else (rows, columns, (x, half))
            centre, reach = (x, half) if is_upright else (y, tall)
            # A piece that ends at a symbol ends beside the middle of it, which has a track.
            start, end = other.get(low, other.get(low - 1, 0.0)), other.get(high, other.get(high + 1, 0.0))
            beside = max(start - other[along[0]] - along[1], other[along[0]] - along[1] - end)
            touches = low <= along[0] + 1 and along[0] - 1 <= high
            if not touches and beside < _CLEAR and abs(own[at] - own[centre]) - reach < _CLEAR:
                found = _ask(gaps[0 if is_upright else 1], at, centre, reach + _CLEAR) or found
    return found


def _ask(gaps: Gaps, a: int, b: int, apart: float) -> bool:
    """Note a distance that two tracks must keep, if they are two."""
    if a == b:
        return False
    pair = (min(a, b), max(a, b))
    gaps[pair] = max(gaps.get(pair, 0.0), apart + 1e-6)
    return True


def _across(grid: Grid, sizes: Sequence[tuple[float, float]], names: Sequence[float]) -> list[_Item]:
    items = [_Item(x, low, high, 0, 0, True) for x, low, high in _pieces(grid, upright=True)]
    for i, (x, y) in enumerate(grid.centre):
        half, reach = sizes[i][0] / 2, grid.reach(i)
        if grid.problem.kinds[i] in ("state", "next"):
            half = 0.8
        room = names[i] if _leaves(grid, i, RIGHT) else 0.0
        items.append(_Item(x, y - reach, y + reach, half, half + room, grid.reach(i) == 0))
        if names[i] and _leaves(grid, i, UP):
            items.append(_Item(x, y - 2, y - 2, 0, names[i], True))
    return items


def _down(grid: Grid, sizes: Sequence[tuple[float, float]], names: Sequence[float]) -> list[_Item]:
    items = [_Item(y, low, high, 0, 0, True) for y, low, high in _pieces(grid, upright=False)]
    for i, (x, y) in enumerate(grid.centre):
        half, reach = sizes[i][1] / 2, grid.reach(i)
        if grid.problem.kinds[i] in ("input", "output"):
            half = _END
        room = _NAME if names[i] and _leaves(grid, i, UP) else 0.0
        items.append(_Item(y, x - reach, x + reach, half + room, half, grid.reach(i) == 0))
    return items


def _leaves(grid: Grid, i: int, side: int) -> bool:
    """Whether the line of a symbol's value leaves it at a side."""
    return i in grid.arms.get(grid.port(i, side), {})


def _pieces(grid: Grid, upright: bool) -> list[tuple[int, int, int]]:
    """Return the straight pieces of all lines in one direction: the track, and where on it they begin and end."""
    bits = (1 << 1, 1 << 3) if upright else (1 << 0, 1 << 2)
    runs: dict[tuple[int, int], list[int]] = {}
    for (x, y), here in grid.arms.items():
        for net, arms in here.items():
            if arms & (bits[0] | bits[1]):
                runs.setdefault((net, x if upright else y), []).append(y if upright else x)
    found = []
    for (_, track), places in sorted(runs.items()):
        places.sort()
        start = places[0]
        for a, b in zip(places, [*places[1:], places[-1] + 2], strict=True):
            if b > a + 1:
                found.append((track, start, a))
                start = b
    return found


def _packed(items: list[_Item], gaps: Gaps) -> dict[int, float]:
    tracks = sorted({item.track for item in items})
    forward = _pushed(tracks, gaps, lambda pair: pair)
    end = max(forward.values())
    backward = _pushed([-track for track in tracks], gaps, lambda pair: (-pair[1], -pair[0]))
    return {track: (forward[track] + end - backward[-track]) / 2 for track in tracks}


def _gaps(items: list[_Item], distances: tuple[float, float, float]) -> Gaps:
    """Return how far apart two tracks must be at least."""
    found: Gaps = {}
    for a in items:
        for b in items:
            if a.track < b.track and a.low <= b.high + 1 and b.low <= a.high + 1:
                lines = a.is_line + b.is_line
                apart = a.after + b.before + distances[lines]
                found[a.track, b.track] = max(found.get((a.track, b.track), 0.0), apart)
    return found


def _pushed(tracks: list[int], gaps: Gaps, turned: Callable[[tuple[int, int]], tuple[int, int]]) -> dict[int, float]:
    """Return the least place of each track from one end."""
    after: dict[int, list[tuple[int, float]]] = {}
    for pair, gap in gaps.items():
        low, high = turned(pair)
        after.setdefault(high, []).append((low, gap))
    found: dict[int, float] = {}
    last = -_TRACKS
    for track in sorted(tracks):
        last = max([last + _TRACKS, *[found[low] + gap for low, gap in after.get(track, ())]])
        found[track] = last
    return found
