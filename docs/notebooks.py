"""Makes a notebook of every lesson in examples/, and runs them all in their short form.

    python docs/notebooks.py            # writes examples/notebooks/*.ipynb, without outputs
    python docs/notebooks.py --check    # says which of them are not what their scripts make
    python docs/notebooks.py --run      # executes every one

It needs nbformat, nbclient and ipykernel, which the extra `test` brings. The docstring of a script becomes text, its
imports one cell, every function and class a cell of its own, and the last cell runs `main`. So a lesson is changed in
its script only.
"""

from __future__ import annotations

import argparse
import ast
import time
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NOTEBOOKS = EXAMPLES / "notebooks"
LESSONS = (
    "coursera_rnn",
    "wildml_rnn",
    "wildml_gru",
    "three_sentences",
    "understanding_lstms",
    "trees",
    "hello",
    "min_char_rnn",
    "char_rnn",
    "neurons",
    "spiral",
    "d2l_rnn",
    "long_range_memory",
)
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
SETUP = """\
import sys
from pathlib import Path

# The notebook runs beside itself, in examples, or in the root of the project.
here = [folder for folder in (Path(".."), Path(), Path("examples")) if (folder / "checks.py").exists()]
sys.path.insert(0, str(here[0].resolve()))
sys.argv = ["{name}.py", "--quick"]  # take "--quick" away for the whole lesson, with the figures of docs/lessons.md
"""


def cells_of(source: str) -> tuple[str, list[str], str]:
    """Return a script's docstring, its code cut into cells, and the call that it ends with.

    Raises:
        ValueError: if the script does not begin with a docstring or end with `raise SystemExit(main())`.
    """
    tree, lines = ast.parse(source), source.splitlines()
    text, last = ast.get_docstring(tree), tree.body[-1]
    if text is None or ast.unparse(last) != "if __name__ == '__main__':\n    raise SystemExit(main())":
        raise ValueError("a lesson begins with a docstring and ends with `raise SystemExit(main())` for __main__")
    parts: list[tuple[str, str]] = []
    for before, node in zip(tree.body, tree.body[1:-1], strict=False):
        kind = {ast.Import: "imports", ast.ImportFrom: "imports", ast.FunctionDef: "", ast.ClassDef: ""}
        own = kind.get(type(node), "values")
        code = "\n".join(lines[before.end_lineno : node.end_lineno]).strip("\n")
        if own and parts and parts[-1][0] == own:
            gap = "\n" * (1 + source_gap(lines, before.end_lineno))
            parts[-1] = own, parts[-1][1] + gap + code
        else:
            parts.append((own, code))
    return text, [code for _, code in parts], "assert main() == 0"


def source_gap(lines: list[str], end: int) -> int:
    """Return how many empty lines follow a line, at most one."""
    return int(end < len(lines) and not lines[end].strip())


def notebook(script: Path) -> nbformat.NotebookNode:
    """Return the notebook of a script."""
    source = script.read_text(encoding="utf-8")
    text, code, call = cells_of(source)
    title, _, rest = text.partition("\n")
    setup = SETUP.format(name=script.stem)
    if "__file__" in source:
        setup += f'__file__ = str(here[0].resolve() / "{script.name}")\n'
    made_from = f"Made by `python docs/notebooks.py` from `examples/{script.name}`, which is the place to change it."
    whole = [
        new_markdown_cell(f"# {title}\n{rest}\n\n{made_from}"),
        new_code_cell(setup.rstrip()),
        *map(new_code_cell, code),
        new_markdown_cell("## The lesson, in its short form"),
        new_code_cell(call),
    ]
    for number, cell in enumerate(whole):
        cell["id"] = f"cell-{number}"
    return new_notebook(cells=whole, metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}})


def written(script: Path) -> str:
    """Return the file of a script's notebook."""
    return nbformat.writes(notebook(script)) + "\n"


def stale() -> list[str]:
    """Return which files in examples/notebooks are not what the scripts make."""
    wanted = {f"{name}.ipynb": written(EXAMPLES / f"{name}.py") for name in LESSONS}
    found = {path.name: path.read_text(encoding="utf-8") for path in NOTEBOOKS.glob("*.ipynb")}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def run(made: nbformat.NotebookNode, folder: Path) -> str:
    """Execute a notebook in a folder, and return what its last cell printed.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell raises, so also if a claim of the lesson does not hold.
    """
    from nbclient import NotebookClient

    NotebookClient(made, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return "".join(output.get("text", "") for output in made.cells[-1].outputs)


def main() -> int:
    """Do what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, say what is not as it would be made")
    parser.add_argument("--run", action="store_true", help="write nothing, execute all")
    given = parser.parse_args()
    if given.check:
        for name in stale():
            print(f"examples/notebooks/{name} is not what its script makes; run python docs/notebooks.py")
        return int(bool(stale()))
    if given.run:
        for name in LESSONS:
            started = time.perf_counter()
            verdict = run(notebook(EXAMPLES / f"{name}.py"), NOTEBOOKS).strip().splitlines()[-1]
            print(f"{name:20} {time.perf_counter() - started:5.1f} s  {verdict}", flush=True)
        return 0
    NOTEBOOKS.mkdir(exist_ok=True)
    for name in stale():
        if name.removesuffix(".ipynb") in LESSONS:
            (NOTEBOOKS / name).write_text(written(EXAMPLES / name.replace(".ipynb", ".py")), encoding="utf-8")
        else:
            (NOTEBOOKS / name).unlink()
        print(f"examples/notebooks/{name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
