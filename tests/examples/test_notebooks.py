"""The notebooks of examples/notebooks are what the lessons make, and fail where a lesson fails."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("nbformat")
ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("notebooks", ROOT / "docs" / "notebooks.py")
notebooks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(notebooks)

LESSON = '''"""A lesson.

It claims something.
"""

import numpy as np
from checks import Checks

LIMIT = 1.0

# Far above.
OURS = 2.0


def main() -> int:
    checks = Checks()
    checks.at_least("a number", np.max([OURS]), LIMIT)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
'''


@pytest.fixture
def lesson(tmp_path):
    path = tmp_path / "lesson.py"
    path.write_text(LESSON, encoding="utf-8")
    return path


def test_every_notebook_is_what_its_script_makes():
    assert notebooks.stale() == [], "run python docs/notebooks.py"


def test_a_notebook_that_was_changed_by_hand_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path)
    for name in notebooks.LESSONS:
        (tmp_path / f"{name}.ipynb").write_text(notebooks.written(notebooks.EXAMPLES / f"{name}.py"), encoding="utf-8")
    assert notebooks.stale() == []
    with (tmp_path / "spiral.ipynb").open("a", encoding="utf-8") as file:
        file.write(" ")
    (tmp_path / "another.ipynb").write_text("{}", encoding="utf-8")
    assert notebooks.stale() == ["another.ipynb", "spiral.ipynb"]


def test_a_script_is_cut_into_its_parts(lesson):
    cells = [(cell.cell_type, cell.source) for cell in notebooks.notebook(lesson).cells]
    assert [kind for kind, _ in cells] == ["markdown", "code", "code", "code", "code", "markdown", "code"]
    assert cells[0][1].startswith("# A lesson.\n\nIt claims something.")
    assert cells[2][1] == "import numpy as np\nfrom checks import Checks"
    assert cells[3][1] == "LIMIT = 1.0\n\n# Far above.\nOURS = 2.0"
    assert cells[4][1].startswith("def main()")
    assert cells[6][1] == "assert main() == 0"


@pytest.mark.parametrize("script", ["x = 1\n", '"""A text."""\n\nprint(1)\n'])
def test_a_script_of_another_form_is_refused(script):
    with pytest.raises(ValueError, match="begins with a docstring"):
        notebooks.cells_of(script)


def test_a_claim_that_does_not_hold_fails_the_notebook(lesson):
    pytest.importorskip("ipykernel")
    client = pytest.importorskip("nbclient")
    assert "PASS" in notebooks.run(notebooks.notebook(lesson), notebooks.NOTEBOOKS)
    lesson.write_text(LESSON.replace("OURS = 2.0", "OURS = 0.0"), encoding="utf-8")
    with pytest.raises(client.exceptions.CellExecutionError, match="AssertionError"):
        notebooks.run(notebooks.notebook(lesson), notebooks.NOTEBOOKS)


@pytest.mark.parametrize("folder", ["examples/notebooks", "examples", "."])
def test_a_notebook_runs_from_the_folders_that_it_is_opened_in(lesson, folder):
    pytest.importorskip("ipykernel")
    pytest.importorskip("nbclient")
    assert "PASS" in notebooks.run(notebooks.notebook(lesson), ROOT / folder)
