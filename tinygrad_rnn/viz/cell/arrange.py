"""Arrangement: several placements are tried, and the one whose lines run best is taken and made better."""

from __future__ import annotations

import math
from functools import lru_cache
from operator import itemgetter

from .compact import Room
from .errors import CellLayoutError
from .grid import Grid
from .place import Placement, Placer
from .rails import Problem
from .route import Router

_SEEDS, _MOVES, _CHANGES, _WORSE, _PATIENCE = 8, 150, 100, 15.0, 12.0
_KEPT = 16
# The cost of a millimetre more than there is room for.
_TOO_WIDE = 4.0


@lru_cache(maxsize=64)
def arranged(problem: Problem, room: Room | None = None) -> tuple[Grid, ...]:
    """Place the symbols of a cell and lay its lines; the same arrangements for the same problem, the best one first.

    Args:
        problem: what is to be laid out.
        room: what is too wide counts as worse.

    Raises:
        CellLayoutError: if no placement was found in which every line has a way.
    """
    tried: dict[tuple[tuple[float, ...], tuple[int, ...]], tuple[float, Grid] | None] = {}
    now: tuple[float, Placement] | None = None
    placers = [Placer(problem, seed) for seed in range(_SEEDS)]
    for turn in range(_SEEDS + _CHANGES):
        placer = placers[turn % _SEEDS]
        placement = placer.place(_MOVES) if turn < _SEEDS or now is None else placer.changed(now[1], _WORSE)
        key = placement.column, placement.row
        if key in tried:
            continue
        patience = _PATIENCE * (1 - (turn - _SEEDS) / _CHANGES) if turn >= _SEEDS else 0.0
        tried[key] = found = _routed(problem, room, placement, now[0] + patience if now else math.inf)
        if found is None:
            continue
        # A little worse now may be better in the end.
        if now is None or found[0] < now[0] + patience:
            now = found[0], placement
    laid = [found for found in tried.values() if found is not None and found[0] < math.inf]
    if not laid:
        raise CellLayoutError(
            "there is no way for the lines of this cell that runs through no symbol; viz.draw(cell, x, state) draws it"
        )
    return tuple([grid for _, grid in sorted(laid, key=itemgetter(0))[:_KEPT]])


def _routed(problem: Problem, room: Room | None, placement: Placement, limit: float) -> tuple[float, Grid] | None:
    """Lay all lines for a placement; nothing if there is no way for one of them."""
    grid = Grid(problem, placement)
    try:
        cost = Router(problem, grid).route(limit)
        if room is not None and cost < limit:
            cost += _TOO_WIDE * max(0.0, room.width(grid) - room.most)
    except CellLayoutError:
        return None
    return cost, grid
