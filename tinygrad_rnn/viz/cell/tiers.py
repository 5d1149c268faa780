"""Tiers: gates that read what other gates led to stand above them, as the layers of a network do."""

from __future__ import annotations

from dataclasses import replace

from .rails import Problem, Rail


def is_inner(problem: Problem, gate: int) -> bool:
    """Whether a gate reads one value alone, computed by something else than a place where lines run together."""
    read = problem.inputs[gate]
    return len(read) == 1 and problem.kinds[read[0]] not in ("merge", "input", "state")


def in_tiers(problem: Problem) -> Problem:
    """Return a problem whose gates stand in several rows, each with its own states; itself if one row is enough.

    The tier of a symbol is the longest chain of gates that it depends on; of what depends on none, that of the first
    symbol that reads it.
    """
    readers, on_rails = problem.nets(), {i for rail in problem.rails for i in rail.spine}
    depth: list[int] = []
    for i, inputs in enumerate(problem.inputs):
        is_gate = problem.kinds[i] == "gate" and i not in on_rails and not is_inner(problem, i)
        depth.append(max([depth[read] for read in inputs], default=0) + is_gate)
    top = max(0, max(depth) - 1)
    tiers = [max(0, deep - 1) for deep in depth]
    for i in reversed(range(len(tiers))):
        if problem.kinds[i] == "merge":
            tiers[i] = min([tiers[reader] for reader in readers[i] if problem.kinds[reader] != "next"], default=top)
        elif depth[i] == 0 and i in readers:
            tiers[i] = min(tiers[reader] for reader in readers[i])
    for rail in problem.rails:
        inner = rail.spine[1:-1]
        tier = max([tiers[i] for i in inner], default=tiers[rail.state]) if rail.is_top else tiers[rail.state]
        for i in rail.spine:
            tiers[i] = tier
    if not any(tiers):
        return problem
    return replace(problem, tiers=tuple(tiers), rails=_from_top_to_bottom(problem.rails, tiers))


def _from_top_to_bottom(rails: tuple[Rail, ...], tiers: list[int]) -> tuple[Rail, ...]:
    return tuple(sorted(rails, key=lambda rail: (-tiers[rail.state], not rail.is_top)))
