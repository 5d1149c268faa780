"""The figure of a cell: symbols, lines and names in their places."""

from __future__ import annotations

from contextlib import suppress

from . import signs
from .arrange import arranged
from .compact import Room, positions
from .errors import CellLayoutError
from .grid import Grid
from .lines import Stroke, forks, strokes
from .model import SUBSCRIPT, TEXT_SIZE, Arrow, Cross, Dot, Figure, Item, Line, Point, Shape, Text, text_width
from .naming import named
from .rails import Problem, problem_of
from .symbols import Symbol
from .tiers import in_tiers, is_inner

# Millimetres: of a page with two columns of text.
COLUMN = 80.0
# The width of a drawing whose smallest letters have 5 points where it is made as small as a column.
LEGIBLE = COLUMN * SUBSCRIPT * TEXT_SIZE / (5 * 25.4 / 72.27)
_MARGIN, _END_GAP = 1.2, 0.8
_NAME_GAP, _BEND = 0.7, 1.6
_NAMED = ("gate", "pill", "box")
_OUTLINED = (*_NAMED, "circle")
# So many symbols hardly ever fit into a column with all gates in one row.
_CROWD = 17


def figure_of(symbols: list[Symbol]) -> Figure:
    """Lay out symbols, given in their order, and return the drawing.

    One that is wider than the column of a page is drawn with less room between its symbols, so that its letters can
    still be read where it is made as small as the column. Where that is not enough, gates that read what other gates
    led to stand in a row above them.

    Raises:
        CellLayoutError: if no layout was found.
    """
    problem = problem_of(symbols)
    tried = [problem, in_tiers(problem)]
    if len([kind for kind in problem.kinds if kind in _OUTLINED]) >= _CROWD:
        tried.reverse()
    found: list[Figure] = []
    for one in dict.fromkeys(tried):
        if found and not one.tiers and found[0].width <= _row_of_gates(symbols, problem):
            break
        try:
            found.append(_close(symbols, one))
        except CellLayoutError as error:
            reason = error
        else:
            if found[-1].width <= LEGIBLE:
                return found[-1]
    if not found:
        raise reason
    return min(found, key=lambda figure: figure.width)


def _close(symbols: list[Symbol], problem: Problem) -> Figure:
    """Draw a layout, with less room between its symbols, or the next best layout, where it is too wide."""
    best, *others = arranged(problem, _room(symbols) if problem.tiers else None)
    found = _drawn(symbols, problem, best, narrow=False)
    if found.width <= COLUMN:
        return found
    for grid in (best, *others):
        with suppress(CellLayoutError):
            narrow = _drawn(symbols, problem, grid, narrow=True)
            found = min(found, narrow, key=lambda figure: figure.width)
        if found.width <= LEGIBLE:
            break
    return found


def _row_of_gates(symbols: list[Symbol], problem: Problem) -> float:
    """Return the least width of a drawing whose gates stand in one row."""
    on_rails = {i for rail in problem.rails for i in rail.spine}
    row = [i for i, kind in enumerate(problem.kinds) if kind == "gate" and i not in on_rails]
    sides = _beside(symbols, "state") + _beside(symbols, "next")
    return sides + sum(signs.size(symbols[i], True)[0] for i in row if not is_inner(problem, i))


def _room(symbols: list[Symbol]) -> Room:
    """Return how much room there is between the ends of the lines if letters are to be legible."""
    sizes = tuple([signs.size(symbol, True) for symbol in symbols])
    return Room(sizes, tuple(_names(symbols)), LEGIBLE - _beside(symbols, "state") - _beside(symbols, "next"))


def _names(symbols: list[Symbol]) -> list[float]:
    """Return the widths of the names beside symbols."""
    shown = [signs.name(symbol) if symbol.kind in _NAMED else () for symbol in symbols]
    return [text_width(runs) + _NAME_GAP if runs else 0.0 for runs in shown]


def _beside(symbols: list[Symbol], kind: str) -> float:
    """Return the room for the names at one side of a drawing."""
    return _MARGIN + max([text_width(signs.end(s)) for s in symbols if s.kind == kind], default=0.0) + _END_GAP


def _drawn(symbols: list[Symbol], problem: Problem, grid: Grid, narrow: bool) -> Figure:
    sizes = [signs.size(symbol, narrow) for symbol in symbols]
    columns, rows = positions(grid, sizes, _names(symbols), narrow)
    return _Drawing(symbols, problem, grid, sizes, columns, rows).figure()


class _Drawing:
    def __init__(
        self,
        symbols: list[Symbol],
        problem: Problem,
        grid: Grid,
        sizes: list[tuple[float, float]],
        columns: dict[int, float],
        rows: dict[int, float],
    ) -> None:
        self._symbols, self._problem, self._grid, self._sizes = symbols, problem, grid, sizes
        self._left = _beside(symbols, "state")
        self._top = _MARGIN + signs.height_of_letters() + 1.6
        self._columns = {track: place + self._left for track, place in columns.items()}
        self._rows = {track: place + self._top for track, place in rows.items()}
        self.width = max(self._columns.values()) + _beside(symbols, "next")
        self.height = max(self._rows.values()) + signs.height_of_letters() + 2.2 + _MARGIN

    def figure(self) -> Figure:
        """Return the drawing."""
        rails = [self._rail(rail.state, rail.after) for rail in self._problem.rails if rail.is_whole]
        on_rails = {net for rail in self._problem.rails for net, _ in rail.edges()}
        found = [stroke for stroke in strokes(self._grid) if not self._is_on_rail(stroke, on_rails)]
        lines = [*rails, *[self._line(stroke) for stroke in found]]
        shapes = [self._shape(i) for i, (width, _) in enumerate(self._sizes) if width]
        texts = [*self._signs(), *self._ends()]
        heads = [*self._rail_heads(), *[head for stroke in found for head in self._heads(stroke)]]
        dots = [Dot(self._at(point)) for point in forks(self._grid)]
        items: list[Item] = [*lines, *dots, *shapes, *heads, *texts]
        items += named(self._symbols, items, (self.width, self.height))
        return Figure(round(self.width, 2), round(self.height, 2), tuple(items), len(self._grid.crossings()))

    def _at(self, point: tuple[int, int]) -> Point:
        return round(self._x(point[0]), 3), round(self._y(point[1]), 3)

    def _x(self, track: int) -> float:
        return self._columns[track]

    def _y(self, track: int) -> float:
        return self._rows[track]

    def _rail(self, state: int, after: int) -> Line:
        start, end = self._at(self._grid.centre[state]), self._at(self._grid.centre[after])
        return Line((start, end), state, (), True)

    def _is_on_rail(self, stroke: Stroke, on_rails: set[int]) -> bool:
        row = self._grid.centre[stroke.net][1]
        return stroke.net in on_rails and all(y == row for _, y in stroke.points)

    def _line(self, stroke: Stroke) -> Line:
        corners = stroke.corners()
        points = [self._corner(stroke, i, corners) for i in range(len(corners))]
        crossings = set(self._grid.crossings())
        jumps = [
            self._at(b)
            for a, b in zip(stroke.points, stroke.points[1:], strict=False)
            if b in crossings and a[0] == b[0]
        ]
        # It bends into the lines that it joins.
        if self._joins(stroke, -1) and corners[-1][0] == corners[-2][0]:
            points.append((round(points[-1][0] + _BEND, 3), points[-1][1]))
        if self._joins(stroke, 0) and corners[0][0] == corners[1][0]:
            points.insert(0, (round(points[0][0] + _BEND, 3), points[0][1]))
        return Line(tuple(points), stroke.net, tuple(jumps))

    def _joins(self, stroke: Stroke, end: int) -> bool:
        """Whether a stroke ends where lines run together."""
        owner = self._grid.owner.get(stroke.points[end])
        return owner is not None and owner != stroke.net and self._problem.kinds[owner] == "merge"

    def _corner(self, stroke: Stroke, i: int, corners: list[tuple[int, int]]) -> Point:
        """Return a corner; of an end at a symbol, the point on its outline."""
        x, y = corners[i]
        if 0 < i < len(corners) - 1:
            return self._at((x, y))
        owner = self._grid.owner.get((x, y))
        if owner is None:
            return self._at((x, y))
        cx, cy = self._at(self._grid.centre[owner])
        width, height = self._sizes[owner]
        gx, gy = self._grid.centre[owner]
        return (
            round(cx + width / 2 * ((x > gx) - (x < gx)), 3),
            round(cy + height / 2 * ((y > gy) - (y < gy)), 3),
        )

    def _heads(self, stroke: Stroke) -> list[Arrow]:
        """Return the heads at its ends: two where it leads from a fork to a symbol on either side."""
        found = []
        corners = stroke.corners()
        for end, beside, corner in ((-1, -2, len(corners) - 1), (0, 1, 0)):
            (x0, y0), (x1, y1) = stroke.points[beside], stroke.points[end]
            owner = self._grid.owner.get((x1, y1))
            if owner is not None and owner != stroke.net and self._problem.kinds[owner] != "merge":
                found.append(Arrow(self._corner(stroke, corner, corners), (x1 - x0, y1 - y0)))
        return found

    def _rail_heads(self) -> list[Arrow]:
        found = []
        for rail in self._problem.rails:
            for _, reader in rail.edges():
                if self._problem.kinds[reader] != "merge":
                    x, y = self._at(self._grid.centre[reader])
                    found.append(Arrow((round(x - self._sizes[reader][0] / 2, 3), y), (1, 0)))
        return found

    def _shape(self, i: int) -> Shape:
        width, height = self._sizes[i]
        return Shape(i, self._symbols[i].kind, self._at(self._grid.centre[i]), round(width, 3), height)

    def _signs(self) -> list[Item]:
        found: list[Item] = []
        for i, symbol in enumerate(self._symbols):
            x, y = self._at(self._grid.centre[i])
            if symbol.kind == "circle":
                found.append(Cross((x, y), symbol.label == "×"))
            elif symbol.kind in ("gate", "pill", "box"):
                found.append(Text((x, round(y + 0.31 * 3.0, 3)), signs.sign(symbol), "middle", "sign"))
        return found

    def _ends(self) -> list[Text]:
        found = []
        for i, symbol in enumerate(self._symbols):
            x, y = self._at(self._grid.centre[i])
            runs = signs.end(symbol) if symbol.kind in ("input", "state", "output", "next") else ()
            if symbol.kind == "state":
                found.append(Text((round(x - _END_GAP, 3), round(y + 0.9, 3)), runs, "end", "end"))
            elif symbol.kind == "next":
                found.append(Text((round(x + _END_GAP, 3), round(y + 0.9, 3)), runs, "start", "end"))
            elif symbol.kind == "input":
                found.append(Text((x, round(y + 3.0, 3)), runs, "middle", "end"))
            elif symbol.kind == "output":
                found.append(Text((x, round(y - 1.4, 3)), runs, "middle", "end"))
        return found
