"""Whatever users call their things does no harm in the page, and nothing gets out of it."""

import json
import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import viz
from tinygrad_rnn.viz.page.document import as_script_data, document
from tinygrad_rnn.viz.page.sources import place

HOSTILE = [
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 1</script>",
    "<!--<script>",
    '"><img src=x onerror="window.hacked = 1">',
    "<<IMG SRC=x>>",
    "URL=javascript:alert(1)",
    "a\\\"'`${1}\n\r\t\v\x00\x1b[31m\x7f\u2028\u2029\ud800\udc00 \udfff \u202e",
    "<!--DATA--><!--SCRIPT-->",
    "x" * 1_000_000,
]


def named(*names):
    """A loss with hostile names on leaves, scopes and results."""
    parts = []
    for name in names:
        x = tg.Tensor([1.0, 2.0], requires_grad=True, name=name)
        with tg.scope(name), tg.scope(0):
            made = np.tanh(x)
            made.name = name
            parts.append(made)
    return np.sum(np.stack(parts) * 2.0)


def test_hostile_names_are_texts_like_any_other(browse):
    page = viz.explore(named(*HOSTILE), title="".join(HOSTILE))
    assert len(page.html) < 250_000
    opened = browse(page)
    assert opened.errors == [] and len(opened.requests) == 1
    assert opened.page.locator("body img").count() == 0
    rows = opened.page.locator("#tape .row").all_text_contents()
    assert len(rows) == 2 * (2 * len(HOSTILE) + 3)
    for name in HOSTILE:
        start = re.split(r"[^ -~]", name)[0][:20].split(".")[0]
        assert any(start in row for row in rows)
    for key in ("End", "c", "t", "Home", "o"):
        opened.press(key)
    assert opened.errors == [] and opened.page.evaluate("window.hacked") is None


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_title_is_a_text_like_any_other(name):
    html = viz.explore(named("x"), title=name).html
    title = re.search(r"<title>(.*?)</title>", html, re.DOTALL)[1]
    assert "<" not in title and len(title) < 900
    assert html.count("<script") == 2


def test_every_less_than_sign_in_the_data_is_an_escape():
    text = as_script_data({"<": ["</script>", "<!--", "\u2028\ud800"]})
    assert "<" not in text and text.isascii()
    assert json.loads(text) == {"<": ["</script>", "<!--", "\u2028\ud800"]}


def test_the_policy_stands_first_in_the_head_and_names_the_scripts_by_their_hash():
    html = document("t", {}, "<svg></svg>")
    policy = re.search(r'<head>\s*<meta http-equiv="Content-Security-Policy" content="([^"]*)">', html)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy
    assert "base-uri 'none'" in policy and "form-action 'none'" in policy


def test_the_page_lets_no_other_script_run_and_nothing_out(browse):
    opened = browse(viz.explore(named("x")))
    page = opened.page
    page.evaluate("""() => {
        const script = document.createElement('script');
        script.textContent = 'window.hacked = 1';
        document.body.append(script);
        const image = document.createElement('img');
        image.src = 'https://example.org/x.png';
        document.body.append(image);
    }""")
    refused = page.evaluate("fetch('https://example.org/').then(() => 'sent', () => 'refused')")
    assert refused == "refused" and page.evaluate("window.hacked") is None
    assert opened.refused == ["https://example.org/x.png: csp"]
    assert page.locator("a[href], form, iframe, object, embed, link[href]").count() == 0


def test_no_script_or_style_of_the_page_refers_to_an_address():
    html = document("t", {}, "<svg></svg>")
    addresses = set(re.findall(r"[a-z]+://[^\s\"'`)]+", html))
    assert addresses == {"http://www.w3.org/2000/svg"}


def test_paths_are_relative_to_the_project_and_tell_nothing_of_a_home(tmp_path, monkeypatch):
    project = tmp_path / "home" / "ada" / "project"
    (project / "cells").mkdir(parents=True)
    file = project / "cells" / "mine.py"
    file.write_text("a = 1\nb = 2\n")
    assert place(f"{file}:2")[0] in ("mine.py:2", "cells/mine.py:2")
    (project / "pyproject.toml").touch()
    other = project / "cells" / "other.py"
    other.write_text("a = 1\nb = 2\n")
    assert place(f"{other}:2") == ("cells/other.py:2", "b = 2")
    assert place("/home/ada/gone.py:3")[0] == "gone.py:3"
    assert place("<stdin>:1") == ("<stdin>:1", "")
