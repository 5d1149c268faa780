"""Document: a page's parts joined to one HTML file that needs nothing else and lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

_SCRIPTS = (
    "data.js",
    "walk.js",
    "layout.js",
    "picture.js",
    "panel.js",
    "tape.js",
    "paint.js",
    "gif.js",
    "zip.js",
    "export.js",
    "main.js",
)


def document(title: str, data: Any, still: str) -> str:
    """Return the page as HTML.

    Its policy allows the page's own script and style, by their hashes, and nothing else: no request, no frame, no form,
    no other base of addresses.

    Args:
        title: any text.
        data: what the script shows, as JSON can hold it.
        still: SVG that is shown where scripts do not run.

    Example:
        >>> from tinygrad_rnn.viz.page.document import document
        >>> "</title>" in document("<b>", {}, "<svg></svg>").split("&lt;b&gt;", 1)[1]
        True
    """
    script, style = _script(), _text("page.css")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "POLICY": policy,
        "TITLE": html.escape(title.encode("utf-8", "replace").decode()),
        "STYLE": style,
        "SCRIPT": script,
        "DATA": as_script_data(data),
        "STILL": still,
    }
    # In one pass: a mark in a user's text is no mark.
    return re.sub(r"<!--([A-Z]+)-->", lambda mark: parts[mark[1]], _text("page.html"))


def as_script_data(data: Any) -> str:
    """Return JSON that may stand in a `<script>`: every `<` written as an escape, and nothing beyond ASCII.

    Escaping `</` alone would leave `<!--<script>`, which hides the end of the script from the browser.

    Example:
        >>> from tinygrad_rnn.viz.page.document import as_script_data
        >>> print(as_script_data("<!--<script>"))
        "\\u003c!--\\u003cscript>"
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


@cache
def _text(name: str) -> str:
    return (files(__package__) / "files" / name).read_text(encoding="utf-8")


@cache
def _script() -> str:
    body = "\n".join([_text(name) for name in _SCRIPTS])
    return f'"use strict";\n(() => {{\n{body}\n}})();\n'


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
