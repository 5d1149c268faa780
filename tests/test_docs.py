"""The pages of docs/ and the README: their examples run, and the source they quote is the source."""

import doctest
import re
from pathlib import Path

import numpy as np
import pytest

from tinygrad_rnn.core.dispatch import implementations

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture
def _rules_of_pages_forgotten():
    before = dict(implementations)
    yield
    implementations.clear()
    implementations.update(before)


@pytest.mark.usefixtures("_rules_of_pages_forgotten")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_run(page):
    failed, _ = doctest.testfile(str(page), module_relative=False, optionflags=OPTIONS, encoding="utf-8")
    assert failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_source_quoted_in_a_page_stands_in_the_file_it_names(page):
    for name, code in re.findall(r"<!-- (\S+\.py) -->\n```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        assert code in (ROOT / name).read_text("utf-8"), f"{page.name} quotes {name}, which has changed:\n{code}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_to_files_of_the_project(page):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for path in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / path).exists(), f"{page.name} links to {path}"


def test_the_code_of_the_readme_runs():
    blocks = re.findall(r"```python\n(.*?)```", PAGES[0].read_text("utf-8"), re.DOTALL)
    given = {
        "x": np.ones((5, 3, 28), np.float32),
        "lengths": [5, 2, 0],
        "target": np.zeros((5, 3, 64), np.float32),
    }
    for block in blocks:
        exec(block, given)
    assert given["h"].shape == (1, 3, 64)


def test_lines_of_the_readme_are_at_most_120_characters_long():
    assert [line for line in PAGES[0].read_text("utf-8").splitlines() if len(line) > 120] == []
