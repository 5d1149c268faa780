"""How many properties the tests hold, and on how many drawn examples.

    python -m tests.benchmarks.properties               # of all tests
    python -m tests.benchmarks.properties tests/core    # of some

Runs the tests and adds up what hypothesis says of each: the examples that it drew and that satisfied the property.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TITLE = re.compile(r"^(tests/\S+?)::(.+):$")
COUNTS = re.compile(r"(\d+) passing[^,]*, (\d+) failing")


def count(report: str) -> dict[str, Counter[str]]:
    """Return by folder of tests the numbers of properties, of passing examples and of failing ones.

    A test that several parameters run is as many properties as functions: one.
    """
    found: dict[str, Counter[str]] = {}
    functions: set[str] = set()
    folder = name = ""
    for line in report.splitlines():
        if title := TITLE.match(line):
            folder = "/".join(title[1].split("/")[:2])
            name = f"{title[1]}::{title[2].split('[')[0]}"
        elif folder and (numbers := COUNTS.search(line)):
            own = found.setdefault(folder, Counter())
            own.update(examples=int(numbers[1]), failing=int(numbers[2]))
            if name not in functions:
                functions.add(name)
                own.update(properties=1)
    return found


def main() -> None:
    """Run the tests and print the counts as a table."""
    arguments = sys.argv[1:] or ["tests"]
    command = [sys.executable, "-m", "pytest", "-q", "--hypothesis-show-statistics", *arguments]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = count(run.stdout)
    print("| tests | properties | examples | failing |\n|---|---|---|---|")
    total: Counter[str] = Counter()
    for folder, own in sorted(found.items()):
        total.update(own)
        print(f"| {folder} | {own['properties']} | {own['examples']:,} | {own['failing']} |")
    print(f"| all | {total['properties']} | {total['examples']:,} | {total['failing']} |")
    print(run.stdout.strip().splitlines()[-1])
    sys.exit(run.returncode)


if __name__ == "__main__":
    main()
