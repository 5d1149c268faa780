"""Arrangement: several placements are tried, and the one whose lines run best is taken."""

from __future__ import annotations

from functools import lru_cache

from .errors import CellLayoutError
from .grid import Grid
from .place import Placement, Placer
from .rails import Problem
from .route import Router

_SEEDS, _MOVES, _ROUTED = 4, 250, 4


@lru_cache(maxsize=64)
def arranged(problem: Problem) -> Grid:
    """Place the symbols of a cell and lay its lines; the same arrangement for the same problem.

    Raises:
        CellLayoutError: if no placement was found in which every line has a way.
    """
    found: dict[tuple[tuple[float, ...], tuple[int, ...]], Placement] = {}
    for seed in range(_SEEDS):
        placement = Placer(problem, seed).place(_MOVES)
        found.setdefault((placement.column, placement.row), placement)
    best: tuple[float, Grid] | None = None
    failure = CellLayoutError("no placement of this cell's symbols was found")
    for placement in sorted(found.values(), key=lambda placement: placement.cost)[:_ROUTED]:
        grid = Grid(problem, placement)
        try:
            cost = Router(problem, grid).route()
        except CellLayoutError as error:
            failure = error
            continue
        if best is None or cost < best[0]:
            best = (cost, grid)
    if best is None:
        raise failure
    return best[1]
