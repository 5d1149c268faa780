"""The page of neurons: a text coloured by each of them, in one file that loads nothing and runs no script."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from itertools import groupby
from typing import Any

import numpy as np

from .plotting import Array

_LEVELS = 8
_DARKEST = 60  # per cent: text of either theme stays readable on it
_POSITIVE, _NEGATIVE = "0 114 178", "213 94 0"


def page(text: str, probe: str, values: Array, ranking: Any, top: int) -> str:
    """Return the page as HTML.

    Args:
        text: what was read.
        probe: what the probe is called.
        values: of the probe, (characters,).
        ranking: neurons, the best one first.
        top: how many are shown.
    """
    half, best = len(text) // 2, ranking[:top]
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    name = _shown(probe)
    rows = "".join(
        f'<tr><td>{place}</td><td><a href="#n{place}">{_shown(neuron.name)}</a></td>'
        f"<td>{neuron.found:+.3f}</td><td>{neuron.score:+.3f}</td></tr>\n"
        for place, neuron in enumerate(best, 1)
    )
    sections = "".join(
        f'<h2 id="n{place}">{place}. {_shown(neuron.name)}</h2>\n'
        f"<p>Held-out correlation {neuron.score:+.3f}; activations from {neuron.activation.min():.3g} to "
        f"{neuron.activation.max():.3g}.</p>\n{_halves(text, neuron.activation, half)}"
        for place, neuron in enumerate(best, 1)
    )
    return f"""<!doctype html>
<html lang="en"><head><meta http-equiv="Content-Security-Policy" content="{policy}">
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Neurons for: {name}</title><style>{style}</style></head>
<body><main>
<h1>Neurons for: {name}</h1>
<p>{len(ranking):,} neurons (every number of every state) read {len(text):,} characters. They are ranked by the size of
their correlation (Pearson’s r) with the probe in the first half of the text, characters 1 to {half:,}. The score is
their correlation in the second half, which had no part in the ranking.</p>
<table><thead><tr><th>rank</th><th>neuron</th><th>r, first half</th><th>score: r, held-out half</th></tr></thead>
<tbody>
{rows}</tbody></table>
<p>{_legend()}</p>
<h2>The probe: {name}</h2>
{_halves(text, values, half)}{sections}</main></body></html>
"""


def _halves(text: str, values: Array, half: int) -> str:
    """Return both halves of a text, coloured by values on one scale."""
    levels = _levels(values)
    return (
        f'<h3>First half: ranked by</h3>\n<pre tabindex="0">{_coloured(text[:half], levels[:half])}</pre>\n'
        f'<h3>Second half: held out</h3>\n<pre tabindex="0">{_coloured(text[half:], levels[half:])}</pre>\n'
    )


def _levels(values: Array) -> Any:
    """Return levels from -8 to 8; 0 is no colour."""
    greatest = float(np.abs(values).max())
    return np.rint(values / greatest * _LEVELS).astype(int) if greatest else np.zeros(len(values), int)


def _coloured(text: str, levels: Any) -> str:
    parts = []
    for level, group in groupby(zip(text, levels.tolist(), strict=True), key=lambda pair: pair[1]):
        piece = _shown("".join([character for character, _ in group]), newlines=True)
        parts.append(f'<i class="{_class(level)}">{piece}</i>' if level else piece)
    return "".join(parts)


def _class(level: int) -> str:
    return f"{'p' if level > 0 else 'm'}{abs(level)}"


def _legend() -> str:
    swatches = [f'<i class="{_class(level)}">&nbsp;</i>' for level in range(-_LEVELS, _LEVELS + 1) if level]
    return (
        f"Each character is coloured by the number after reading it: negative (underlined) "
        f"{''.join(swatches[:_LEVELS])} 0 {''.join(swatches[_LEVELS:])} positive, each neuron on a scale of its own."
    )


def _shown(text: str, newlines: bool = False) -> str:
    """Return text that a page shows as it is: markup escaped, with signs for what is invisible or turns lines round."""
    signs = {"\n": "↵\n" if newlines else "↵", "\t": "⇥", "\xa0": " "}
    return escape("".join([signs.get(c, c if c.isprintable() else "\ufffd") for c in text]))


def _style() -> str:
    levels = "".join(
        f".{sign}{level}{{background:rgb({colour} / {_DARKEST * level // _LEVELS}%)}}\n"
        for sign, colour in (("p", _POSITIVE), ("m", _NEGATIVE))
        for level in range(1, _LEVELS + 1)
    )
    return f"""
:root{{color-scheme:light dark}}
body{{margin:0;font:16px/1.5 system-ui,sans-serif;background:#fff;color:#111}}
main{{max-width:60rem;margin:0 auto;padding:1rem}}
h1{{font-size:1.5rem}} h2{{font-size:1.2rem;margin-top:2rem}} h3{{font-size:1rem;font-weight:600;margin:.8rem 0 .2rem}}
pre{{margin:0;padding:.6rem;border:1px solid #999;white-space:pre-wrap;overflow-wrap:anywhere;font:14px/1.5 monospace;
max-height:24rem;overflow:auto}}
i{{font-style:normal}}
table{{border-collapse:collapse}} td,th{{padding:.2rem .8rem .2rem 0;text-align:left;border-bottom:1px solid #999}}
td:nth-child(n+3){{font-variant-numeric:tabular-nums}}
a{{color:inherit}}
[class^=m]{{text-decoration:underline dotted}}
{levels}@media (prefers-color-scheme:dark){{body{{background:#111;color:#eee}}}}
"""
