"""Every lesson in examples/ holds what it claims: its short form exits with 0."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LESSONS = sorted(path.name for path in (ROOT / "examples").glob("*.py") if path.name != "checks.py")


def run(*arguments, folder=None):
    path = os.pathsep.join([str(ROOT), str(ROOT / "examples"), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
    )


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_holds_what_it_claims(lesson, tmp_path):
    done = run(ROOT / "examples" / lesson, "--quick", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout


CLAIMS = {
    "close": "close('a', 1.0, 1.1, 0.01)",
    "close of a NaN": "close('a', float('nan'), 1.0, 0.01)",
    "close of another shape": "close('a', [1.0, 1.0], 1.0, 0.01)",
    "at most": "at_most('a', 2.0, 1.0)",
    "at most of a NaN": "at_most('a', float('nan'), 1.0)",
    "at least": "at_least('a', 0.0, 1.0)",
    "inside": "inside('a', 3.0, [1.0, 2.0])",
    "same": "same('a', 'b', 'c')",
}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_a_claim_that_does_not_hold_fails_the_lesson(claim):
    done = run("-c", f"import checks; c = checks.Checks(); c.{claim}; raise SystemExit(c.finish())")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL" in done.stdout
