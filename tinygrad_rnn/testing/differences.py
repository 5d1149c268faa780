"""Central differences: derivatives from values alone, with steps that fit, and points where there are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..core.errors import GradcheckError
from ..core.node import Array

Flat = Callable[[Array], Array]
# Where the first step leaves a doubt, these multiples of it decide.
_STEPS = (512.0, 64.0, 8.0, 1.0, 1 / 8, 1 / 64, 1 / 512)
_FIRST = _STEPS.index(1.0)


class NotDifferentiableError(GradcheckError):
    """A point where a function has no derivative: a kink, a jump, or the edge of its domain."""


class Direction(NamedTuple):
    """A way to move all inputs at once.

    Attributes:
        way: one number for each input element.
        stretch: the length that fits the scale of the inputs; a step goes as far as that times its size.
        smallest: a length that fits the element itself where that is far smaller than its neighbours, else 0.
        number: the position of the element if only one moves, else None.
    """

    way: Array
    stretch: float
    smallest: float
    number: int | None


def scales(point: Array) -> Array:
    """Return the length that counts as 1 for each element: its size, or that of its neighbours where it is smaller."""
    size = np.abs(point)
    typical = float(np.sqrt(np.mean(size**2))) if point.size else 0.0
    return np.maximum(size, max(typical, 1e-3) if typical else 1.0)


def units(points: list[Array]) -> list[Direction]:
    """Return a direction for each element."""
    lengths = np.concatenate([scales(point).reshape(-1) for point in points])
    sizes = np.concatenate([np.abs(point).reshape(-1) for point in points])
    found = []
    for number, way in enumerate(np.eye(len(lengths))):
        small = float(sizes[number]) if 0 < sizes[number] < 0.1 * lengths[number] or sizes[number] < 1e-3 else 0.0
        found.append(Direction(way, float(lengths[number]), small, number))
    return found


def randoms(points: list[Array], count: int, rng: np.random.Generator) -> list[Direction]:
    """Return random directions that move every element in proportion to its scale, or to itself if it is tiny."""
    sizes = np.concatenate([np.abs(point).reshape(-1) for point in points])
    lengths = np.concatenate([scales(point).reshape(-1) for point in points])
    lengths = np.where((sizes > 0) & (sizes < 1e-3 * lengths), sizes, lengths)
    return [Direction(lengths * rng.uniform(-1, 1, len(lengths)), 1.0, 0.0, None) for _ in range(count)]


class Differences:
    """Central differences of a function of one flat vector, at one point.

    Args:
        function: from a vector of inputs to a vector of results.
        point: where to differentiate.
        step: the size of a step, relative to the scale of the inputs.
        precision: the machine epsilon that the function computes with.
    """

    def __init__(self, function: Flat, point: Array, step: float, precision: float) -> None:
        self.function = function
        self.point = point
        self.step = step
        self.base = function(point)
        self.size = float(np.abs(self.base[np.isfinite(self.base)]).max(initial=0.0))
        self.precision = precision

    def noise(self, length: float) -> float:
        """Return how far off rounding may put a slope over a step of some length."""
        return 20 * self.precision * self.size / length

    def _pair(self, way: Array, length: float) -> tuple[Array, Array]:
        """Return the slope over a step, and the slope to the right minus that to the left."""
        ahead = self.function(self.point + length * way)
        behind = self.function(self.point - length * way)
        return (ahead - behind) / (2 * length), (ahead - 2 * self.base + behind) / length

    def slope(self, way: Array) -> Array:
        """Return the slope along a way that is as long as the scale of the inputs, with one step."""
        return self._pair(way, self.step)[0]

    def table(self, directions: list[Direction]) -> tuple[Array, Array]:
        """Return the slopes along all directions, and the differences of one-sided slopes, with one step each."""
        pairs = [self._pair(way, self.step * stretch) for way, stretch, _, _ in directions]
        shape = (len(self.base), len(directions))
        slopes = np.stack([slope for slope, _ in pairs], axis=1) if pairs else np.zeros(shape)
        jumps = np.stack([jump for _, jump in pairs], axis=1) if pairs else np.zeros(shape)
        return slopes, jumps

    def refined(self, direction: Direction, tolerance: Array) -> tuple[Array, Array]:
        """Return slopes from steps of several sizes, and where there is a kink.

        Args:
            direction: the way to go.
            tolerance: for each result, the difference of one-sided slopes that is too small to be a kink.
        """
        lengths = [self.step * direction.stretch * size for size in _STEPS]
        if direction.smallest:
            lengths += [self.step * direction.smallest * size for size in (1.0, 1 / 8)]
        pairs = [self._pair(direction.way, length) for length in lengths]
        slopes = np.stack([slope for slope, _ in pairs])
        jumps = np.abs(np.stack([jump for _, jump in pairs]))
        off = np.abs(np.diff(slopes, axis=0))
        off = np.where(np.isfinite(off), off, np.inf)
        best = np.argmin(off, axis=0)
        columns = np.arange(slopes.shape[1])
        slope, doubt = slopes[best + 1, columns], off[best, columns]
        kinks = ~(doubt <= tolerance + 0.3 * np.abs(slope))
        # A smooth function's one-sided slopes approach each other with the step; at a kink they do not.
        kinked = jumps[_FIRST] > tolerance + self.noise(lengths[_FIRST + 2])
        for narrow in [_FIRST + 1, _FIRST + 2, *range(len(_STEPS), len(lengths))]:
            kinked &= jumps[narrow] > 0.5 * jumps[_FIRST]
        return slope, kinks | kinked
