"""Arrangement: several placements are tried, and the one whose lines run best is taken and made better."""

from __future__ import annotations

import math
from functools import lru_cache

from .errors import CellLayoutError
from .grid import Grid
from .place import Placement, Placer
from .rails import Problem
from .route import Router

_SEEDS, _MOVES, _CHANGES, _WORSE, _PATIENCE = 8, 150, 100, 15.0, 12.0


@lru_cache(maxsize=64)
def arranged(problem: Problem) -> Grid:
    """Place the symbols of a cell and lay its lines; the same arrangement for the same problem.

    Raises:
        CellLayoutError: if no placement was found in which every line has a way.
    """
    tried: dict[tuple[tuple[float, ...], tuple[int, ...]], tuple[float, Grid] | None] = {}
    best: tuple[float, Grid] | None = None
    now: tuple[float, Placement] | None = None
    placers = [Placer(problem, seed) for seed in range(_SEEDS)]
    for turn in range(_SEEDS + _CHANGES):
        placer = placers[turn % _SEEDS]
        placement = placer.place(_MOVES) if turn < _SEEDS or now is None else placer.changed(now[1], _WORSE)
        key = placement.column, placement.row
        if key in tried:
            continue
        patience = _PATIENCE * (1 - (turn - _SEEDS) / _CHANGES) if turn >= _SEEDS else 0.0
        tried[key] = found = _routed(problem, placement, now[0] + patience if now else math.inf)
        if found is None:
            continue
        if best is None or found[0] < best[0] - 1e-9:
            best = found
        # A little worse now may be better in the end.
        if now is None or found[0] < now[0] + patience:
            now = found[0], placement
    if best is None:
        raise CellLayoutError(
            "there is no way for the lines of this cell that runs through no symbol; viz.draw(cell, x, state) draws it"
        )
    return best[1]


def _routed(problem: Problem, placement: Placement, limit: float) -> tuple[float, Grid] | None:
    """Lay all lines for a placement; nothing if there is no way for one of them."""
    grid = Grid(problem, placement)
    try:
        return Router(problem, grid).route(limit), grid
    except CellLayoutError:
        return None
