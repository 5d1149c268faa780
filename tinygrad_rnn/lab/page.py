"""The report as one HTML page: it opens offline, runs nothing, and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import NamedTuple

from .rows import Row
from .verdict import Sentence

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #24303c; max-width: 1000px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.7em; margin-bottom: 0; }
h2 { font-size: 1.25em; margin: 2em 0 .5em; border-bottom: 1px solid #d9dee3; }
h3 { font-size: 1em; margin: 1.3em 0 .3em; }
p, ol { margin: .5em 0; max-width: 75ch; }
table { border-collapse: collapse; margin: .6em 0; font-size: .9em; }
th, td { text-align: left; padding: .22em .8em .22em 0; border-bottom: 1px solid #e8ecef; vertical-align: top; }
th { font-weight: 600; }
td.short { white-space: nowrap; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.row { color: #6b7884; }
tr:target td, tr:target { background: #fff3c4; }
.charts { display: flex; flex-wrap: wrap; gap: 1em; }
.charts svg { width: 460px; height: auto; max-width: 100%; }
.wide { overflow-x: auto; }
.wide svg { max-width: 100%; height: auto; }
.cell svg { height: 280px; width: auto; max-width: 100%; }
.chart svg { width: 560px; height: auto; max-width: 100%; }
math { font-size: 1.1em; margin: .5em 0; }
mtd[columnalign="right"] { text-align: right; }
mtd[columnalign="left"] { text-align: left; }
.good { color: #00694b; } .bad { color: #a33c00; } .open { color: #6b5900; }
pre { white-space: pre-wrap; font-size: .85em; background: #f5f7f8; padding: .7em 1em; overflow-x: auto; }
"""


class Html(str):
    """Text that is HTML already; every other text is escaped."""

    __slots__ = ()


class Column(NamedTuple):
    """A column of a table.

    Args:
        head: stands above it.
        value: what a row has there; a float is written with three digits.
    """

    head: str
    value: Callable[[Row], object]


def page(title: str, subtitle: str, sections: Mapping[str, Sequence[Html]]) -> str:
    """Return the page.

    Args:
        title: of the page.
        subtitle: below it.
        sections: heading to parts.
    """
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    body = [f"<h1>{escape(title)}</h1>", f"<p>{escape(subtitle)}</p>"]
    for heading, parts in sections.items():
        body += [f"<section><h2>{escape(heading)}</h2>", *parts, "</section>"]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style></head><body>",
            *body,
            "</body></html>\n",
        ]
    )


def paragraph(text: str) -> Html:
    """Return a paragraph."""
    return Html(f"<p>{escape(text)}</p>")


def heading(text: str) -> Html:
    """Return a heading inside a section."""
    return Html(f"<h3>{escape(text)}</h3>")


def preformatted(text: str) -> Html:
    """Return lines that stay as they are."""
    return Html(f"<pre>{escape(text)}</pre>")


def figure(svg: str) -> Html:
    """Return a picture that may be wider than the page."""
    return Html(f'<div class="wide">{svg[svg.index("<svg") :]}</div>')


def textbook(svg: str) -> Html:
    """Return the picture of a cell, large enough to be read."""
    return Html(f'<div class="cell">{svg[svg.index("<svg") :]}</div>')


def chart(svg: str) -> Html:
    """Return a chart of the report's own."""
    return Html(f'<div class="chart">{svg}</div>')


def side_by_side(charts: Sequence[str]) -> Html:
    """Return charts beside each other."""
    return Html(f'<div class="charts">{"".join(charts)}</div>')


def sentences(verdict: Sequence[Sentence]) -> Html:
    """Return the verdict, in which each row number leads to the row."""
    items = []
    for sentence in verdict:
        links = ", ".join(f'<a href="#row-{number}">{number}</a>' for number in sentence.rows)
        plural = "s" * (len(sentence.rows) > 1)
        items.append(f"<li>{escape(sentence.text)} (row{plural} {links}).</li>")
    return Html(f"<ol>{''.join(items)}</ol>")


def table(rows: Sequence[Row], columns: Sequence[Column]) -> Html:
    """Return a table of rows, with the number that each has in the CSV.

    Args:
        rows: what stands in it.
        columns: what is shown of them.
    """
    head = "".join(f"<th>{escape(column.head)}</th>" for column in columns)
    lines = []
    for row in rows:
        cells = "".join(_cell(column.value(row)) for column in columns)
        lines.append(f'<tr id="row-{row["row"]}"><td class="row">{row["row"]}</td>{cells}</tr>')
    return Html(f'<div class="wide"><table><tr><th>row</th>{head}</tr>{"".join(lines)}</table></div>')


def _cell(value: object) -> str:
    if value is None:
        return "<td></td>"
    if isinstance(value, float):
        return f'<td class="number">{f"{value:.3g}" if math.isfinite(value) else "none"}</td>'
    if isinstance(value, int):
        return f'<td class="number">{value:,}</td>'
    text = str(value)
    classes = [*_CLASSES.get(text.split(",")[0], ()), *(["short"] if len(text) < _SHORT else [])]
    return f'<td class="{" ".join(classes)}">{escape(text)}</td>'


_SHORT = 40
_CLASSES = {
    "pass": ["good"],
    "better": ["good"],
    "warn": ["open"],
    "cannot tell": ["open"],
    "worse": ["bad"],
    "failed": ["bad"],
}
