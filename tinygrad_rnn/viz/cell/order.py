"""Order: symbols in an order that depends on how they hang together, not on how the cell was written."""

from __future__ import annotations

from typing import Any

from .symbols import Symbol

Readers = dict[Symbol, list[Symbol]]


def readers_of(symbols: list[Symbol]) -> Readers:
    """Return for each symbol the symbols that read it."""
    found: Readers = {symbol: [] for symbol in symbols}
    for symbol in symbols:
        for read in symbol.inputs:
            found[read].append(symbol)
    return found


def ordered(symbols: list[Symbol]) -> list[Symbol]:
    """Return the symbols, what is read before what reads it, in the same order for every way to write a cell.

    Each symbol is told apart by its sign, then by what it reads and what reads it, again and again. Where two cannot
    be told apart, exchanging them gives the same drawing.

    Source: Weisfeiler and Leman 1968, *The reduction of a graph to canonical form*.
    """
    reads, readers = {symbol: symbol.inputs for symbol in symbols}, readers_of(symbols)
    ends: dict[tuple[str, int], Symbol] = {(symbol.kind, symbol.number): symbol for symbol in symbols}
    other = {"state": "next", "next": "state"}
    # In which order the parts of a state were given is no matter, but which end of a line belongs to which is.
    far = {symbol: [ends[other[symbol.kind], symbol.number]] if symbol.kind in other else [] for symbol in symbols}
    rank = _ranks({symbol: (symbol.kind, symbol.label) for symbol in symbols})
    while True:
        around = {
            symbol: (rank[symbol], *[sorted(rank[s] for s in near[symbol]) for near in (reads, readers, far)])
            for symbol in symbols
        }
        finer = _ranks(around)
        if len(set(finer.values())) == len(set(rank.values())):
            return _sources_first(symbols, finer)
        rank = finer


def _ranks(keys: dict[Symbol, Any]) -> dict[Symbol, int]:
    places = {key: i for i, key in enumerate(sorted({_frozen(key) for key in keys.values()}))}
    return {symbol: places[_frozen(key)] for symbol, key in keys.items()}


def _frozen(key: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple([tuple(part) if isinstance(part, list) else part for part in key])


def _sources_first(symbols: list[Symbol], rank: dict[Symbol, int]) -> list[Symbol]:
    """Sort by rank, as far as what is read comes first."""
    found: dict[Symbol, None] = {}
    waiting = sorted(symbols, key=lambda symbol: rank[symbol])
    while waiting:
        ready = next(symbol for symbol in waiting if all(read in found for read in symbol.inputs))
        found[ready] = None
        waiting.remove(ready)
    for symbol in found:
        symbol.inputs.sort(key=lambda read: rank[read])
    return [*found]
