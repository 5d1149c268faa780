"""Still: the picture of one step of every loop, as SVG, for where the page's script does not run."""

from __future__ import annotations

import html

from .places import Places
from .scene import Box, Scene

_FILLS = {
    "operation": ("#ffffff", "#444444"),
    "parameter": ("#d7e9f7", "#0072b2"),
    "input": ("#d9f2e8", "#009e73"),
    "constant": ("#f3f3f3", "#777777"),
    "result": ("#fdebdc", "#d55e00"),
}


def still(scene: Scene, places: list[Places]) -> str:
    """Return SVG with one box for each role, the bands one above another."""
    parts: list[str] = []
    y, width = 10.0, max(band.size[0] for band in places) + 20
    for number in reversed(range(len(places))):
        band = places[number]
        for _, _, points in band.paths:
            moved = [f"{value + (y if i % 2 else 10):.0f}" for i, value in enumerate(points)]
            curve = f"M{' '.join(moved[:2])}C{' '.join(moved[2:])}"
            parts.append(f'<path d="{curve}" fill="none" stroke="#777777"/>')
        shown: set[int] = set()
        for box in scene.boxes:
            role = band.roles.get(box.role) if box.band == number else None
            if role is not None and role not in shown:
                shown.add(role)
                parts.append(_box(box, band.boxes[role], y))
        y += band.size[1] + 30
    size = f'width="{width:.0f}" height="{y:.0f}" viewBox="0 0 {width:.0f} {y:.0f}"'
    return f'<svg {size} role="img" aria-label="one step of the graph" font-family="sans-serif">{"".join(parts)}</svg>'


def _box(box: Box, place: list[float], down: float) -> str:
    x, y, width, height = place
    x, y = x + 10, y + down
    fill, stroke = _FILLS[box.kind]
    rectangle = (
        f'<rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'rx="5" fill="{fill}" stroke="{stroke}"/>'
    )
    return rectangle + _text(box.title, x, y, 13, width) + _text(box.note, x, y + 13, 10, width)


def _text(text: str, x: float, y: float, size: int, width: float) -> str:
    """Return a line of text; one of letters so wide that it would overrun its box is pressed together."""
    wide = size * sum(1.0 if letter in "mwMW@%" or ord(letter) >= 0x2E80 else 0.58 for letter in text)
    pressed = f' textLength="{width - 6:.1f}" lengthAdjust="spacingAndGlyphs"' if wide > width else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" font-size="{size}"{pressed}>{html.escape(text)}</text>'
