"""Places: where each box of a band stands, worked out once for all steps of a loop."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, NamedTuple

from ...core.modes import Scope
from ..layout import render
from .scene import Box, Scene

_INCH = 72.0
_HEAD = (
    'digraph {rankdir=BT; nodesep=0.2; ranksep=0.3; node [shape=box fixedsize=true label=""]; edge [arrowhead=none];'
)


class Places(NamedTuple):
    """The layout of a band, in points from its upper left corner.

    Attributes:
        roles: number of each role.
        boxes: for each role the middle of its box, its width and its height.
        paths: for each pair of roles with a line in between, the control points of that line: a Bézier curve.
        size: width and height of the whole.
    """

    roles: dict[Hashable, int]
    boxes: list[list[float]]
    paths: list[list[Any]]
    size: list[float]


def places(scene: Scene) -> list[Places]:
    """Lay out each band of a scene: what happens at any step of a loop has one place there.

    Raises:
        LayoutError: if no Graphviz is installed.
    """
    return [_Band(scene, band).placed() for band in range(1 + max(box.band for box in scene.boxes))]


def size(box: Box) -> tuple[float, float]:
    """Return width and height of a box from what is written in it."""
    text = max(9.0 * len(box.title) + 16, 6.1 * len(box.note) + 12)
    width = max(34.0, min(text, 190.0), 43.0 * box.numbers + 6)
    height = 36.0 if box.note else 24.0
    return width, height + (36.0 if box.numbers else 0.0)


class _Band:
    def __init__(self, scene: Scene, band: int) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._sizes: list[tuple[float, float]] = []
        self._inside: dict[Scope, list[int]] = {(): []}
        self._pairs: dict[tuple[int, int], None] = {}
        for box in scene.boxes:
            if box.band == band:
                self._add(box)
        for tail, head, _ in scene.lines:
            first, second = scene.boxes[tail], scene.boxes[head]
            if first.band == second.band == band and first.time == second.time:
                self._pairs[self._numbers[first.role], self._numbers[second.role]] = None

    def _add(self, box: Box) -> None:
        number = self._numbers.setdefault(box.role, len(self._numbers))
        width, height = size(box)
        if number < len(self._sizes):
            self._sizes[number] = (max(width, self._sizes[number][0]), max(height, self._sizes[number][1]))
            return
        self._sizes.append((width, height))
        for depth in range(len(box.module)):
            self._inside.setdefault(box.module[: depth + 1], [])
        self._inside[box.module].append(number)

    def placed(self) -> Places:
        text = render(self._source(), "plain").decode()
        lines = [line.split() for line in re.sub(r"\\\n", "", text).splitlines()]
        width, height = (float(number) * _INCH for number in lines[0][2:4])
        boxes: list[list[float]] = [[] for _ in self._sizes]
        paths: list[list[Any]] = []
        for kind, *words in lines[1:]:
            if kind == "node":
                number = int(words[0][1:])
                x, y = (float(word) * _INCH for word in words[1:3])
                boxes[number] = [round(x, 1), round(height - y, 1), *self._sizes[number]]
            elif kind == "edge":
                count = int(words[2])
                points = [float(word) * _INCH for word in words[3 : 3 + 2 * count]]
                points[1::2] = [height - y for y in points[1::2]]
                paths.append([int(words[0][1:]), int(words[1][1:]), [round(point) for point in points]])
        return Places(self._numbers, boxes, paths, [round(width, 1), round(height, 1)])

    def _source(self) -> str:
        parts = [_HEAD]
        self._write((), parts)
        parts += [f"n{tail} -> n{head};" for tail, head in self._pairs]
        return "\n".join([*parts, "}"])

    def _write(self, scope: Scope, parts: list[str]) -> None:
        for number in self._inside[scope]:
            width, height = self._sizes[number]
            parts.append(f"n{number} [width={width / _INCH:.3f} height={height / _INCH:.3f}];")
        for i, child in enumerate(self._inside):
            if len(child) == len(scope) + 1 and child[: len(scope)] == scope:
                parts.append(f'subgraph cluster_{i} {{margin=9; label="module"; labelloc=b; fontsize=13;')
                self._write(child, parts)
                parts.append("}")
