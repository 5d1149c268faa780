"""Mutation testing of core/ and ops/: change one operator, number or condition at a time; does a test fail?

    pip install cosmic-ray coverage
    python -m tests.benchmarks.mutants            # every mutant without a result so far, into runs/mutants/
    python -m tests.benchmarks.mutants --sample 1600    # a random sample, each file by its share
    python -m tests.benchmarks.mutants --again    # the survivors once more, after new tests
    python -m tests.benchmarks.mutants --report   # the figures of docs/mutants.md

The operators of cosmic-ray make the mutants; its runner would start an interpreter and collect the tests for each. Here
the tests are collected once, and a fork of that process gets the mutated function's code in place of the original's. A
mutant of what runs at import gets a fork that has imported neither the package nor the tests yet. A mutant meets the
tests that run its line, which a first run under coverage tells, until one fails or `--seconds` of them have passed.

No behaviour, and left out: annotations, texts of errors and warnings, assertions, and `strict=` of `zip`, which is one.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.abc
import importlib.util
import json
import os
import random
import re
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
MUTATED = ("tinygrad_rnn/core", "tinygrad_rnn/ops")
TESTS = (
    *("tests/core", "tests/ops", "tests/scan", "tests/testing/test_planted_bugs.py"),
    *("tests/viz/test_latex.py", "tests/viz/test_opened.py", "tests/viz/test_playback.py"),
)
STATE = ROOT / "runs" / "mutants"

# One replacement for each operator: the other ten of cosmic-ray's nearly all raise a TypeError, which proves nothing.
OPERATORS = (
    *[
        f"ReplaceBinaryOperator_{change}"
        for change in (
            *("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_Add", "Pow_Mul"),
            *("BitAnd_BitOr", "BitOr_BitAnd", "BitXor_BitAnd", "RShift_LShift", "LShift_RShift"),
        )
    ],
    *[
        f"ReplaceComparisonOperator_{change}"
        for change in (
            *("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is"),
            *("Lt_LtE", "Lt_Gt", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_Lt", "GtE_Gt", "GtE_Lt"),
        )
    ],
    *("ReplaceUnaryOperator_USub_UAdd", "ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Delete_Invert"),
    *("ReplaceAndWithOr", "ReplaceOrWithAnd", "AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop"),
    *("NumberReplacer", "ExceptionReplacer", "RemoveDecorator"),
)


class Mutant(NamedTuple):
    """A change of a file: the `occurrence`-th that `operator` can make."""

    path: str
    operator: str
    occurrence: int
    line: int
    column: int

    @property
    def key(self) -> str:
        """What names the mutant in the results."""
        return f"{self.path}:{self.line}:{self.column} {self.operator} {self.occurrence}"

    def source(self) -> str:
        """Return the mutated text of the file."""
        from cosmic_ray.mutating import mutate_code
        from cosmic_ray.plugins import get_operator

        text = mutate_code(
            (ROOT / self.path).read_text("utf-8"), get_operator(f"core/{self.operator}")(), self.occurrence
        )
        assert text is not None
        return text


def module_name(path: str) -> str:
    """Return the dotted name of a file of the package."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def files() -> list[str]:
    """Return the files that are mutated."""
    return sorted(str(path.relative_to(ROOT)) for folder in MUTATED for path in (ROOT / folder).glob("*.py"))


def no_behaviour(tree: ast.Module) -> list[ast.AST]:
    """Return the parts of a file whose mutants would be no change, or the change of a message."""
    found: list[ast.AST | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef):
            found.append(node.returns)
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            found += node.exc.args
        elif isinstance(node, ast.Assert):
            found.append(node)
        elif isinstance(node, ast.keyword) and node.arg == "strict":
            found.append(node.value)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript) and node in tree.body:
            found.append(node.value)  # an alias of a type
    return [part for part in found if part is not None]


def mutants() -> Iterator[Mutant]:
    """Yield every mutant of every file."""
    from cosmic_ray.ast import ast_nodes, get_ast_from_path
    from cosmic_ray.plugins import get_operator

    for path in files():
        nodes = list(ast_nodes(get_ast_from_path(ROOT / path)))
        ranges: list[Any] = no_behaviour(ast.parse((ROOT / path).read_text("utf-8")))
        spans = [((part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)) for part in ranges]
        for name in OPERATORS:
            operator = get_operator(f"core/{name}")()
            places = [place for node in nodes for place in operator.mutation_positions(node)]
            for occurrence, (start, _) in enumerate(places):
                if not any(first <= start < last for first, last in spans):
                    yield Mutant(path, name, occurrence, *start)


class Sources(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the mutated folders from text, so that the code objects in the process are known, or are a mutant's."""

    def __init__(self, mutated: dict[str, str] | None = None) -> None:
        self.mutated = mutated or {}
        self.codes: dict[str, CodeType] = {}
        self.paths = {module_name(path): path for path in files()}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Claim the modules of the mutated folders."""
        if name not in self.paths:
            return None
        return importlib.util.spec_from_file_location(
            name,
            ROOT / self.paths[name],
            loader=self,
            submodule_search_locations=[str((ROOT / self.paths[name]).parent)]
            if "__init__" in self.paths[name]
            else None,
        )

    def create_module(self, spec: Any) -> None:
        """Leave the making of the module to Python."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's text."""
        path = self.paths[module.__name__]
        text = self.mutated.get(path) or (ROOT / path).read_text("utf-8")
        self.codes[path] = compile(text, str(ROOT / path), "exec")
        exec(self.codes[path], module.__dict__)


def exchanges(old: CodeType, new: CodeType) -> list[tuple[CodeType, CodeType]] | None:
    """Pair the code of functions that differs; None where the difference is in what runs at import."""
    inner = [[part for part in code.co_consts if isinstance(part, CodeType)] for code in (old, new)]
    if len(inner[0]) != len(inner[1]) or old.co_freevars != new.co_freevars:
        return None
    looks = [
        (c.co_code, c.co_names, c.co_exceptiontable, repr([p for p in c.co_consts if not isinstance(p, CodeType)]))
        for c in (old, new)
    ]
    is_function = bool(old.co_flags & 1)
    if looks[0] != looks[1] and not is_function:
        return None
    found = [(old, new)] if looks[0] != looks[1] else []
    for pair in zip(*inner, strict=True):
        deeper = exchanges(*pair)
        if deeper is None:
            return None
        found += deeper
    # A closure is made from the constants of the function around it: that one has to be exchanged as well.
    return [(old, new), *found] if found and is_function else found


def run_at_import(pairs: list[tuple[CodeType, CodeType]], lines: set[int]) -> bool:
    """Return whether importing the package runs one of these functions, so that an exchange would come too late."""
    return any(
        line in lines and line != old.co_firstlineno
        for old, _ in pairs
        if old.co_name != "<lambda>"
        for *_, line in old.co_lines()
    ) or any(old.co_name.endswith(("comp>", "expr>")) and old.co_firstlineno in lines for old, _ in pairs)


class Tests:
    """What the first run told: which tests run a line, and how long each takes."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.seconds: dict[str, float] = told["seconds"]
        self.names = list(self.seconds)
        self.lines: dict[str, dict[str, list[int]]] = told["lines"]
        seen: Counter[str] = Counter()
        self.order: dict[str, tuple[int, float]] = {}
        for name in sorted(self.names, key=self.seconds.__getitem__):
            function = name.split("[")[0]
            self.order[name] = (seen[function], self.seconds[name])
            seen[function] += 1
        self.killers: dict[str, list[str]] = {}

    def of(self, mutant: Mutant, seconds: float) -> list[str]:
        """Return the tests to run, those that killed a neighbour first, then one of each function, then the others."""
        lines = self.lines.get(mutant.path, {})
        found = set(lines.get(str(mutant.line), ()))
        if not found:
            text = (ROOT / mutant.path).read_text("utf-8")
            near = statement(ast.parse(text), mutant.line)
            found = {test for line in near for test in lines.get(str(line), ())}
            name = re.match(r"\w+", text.splitlines()[near[0] - 1])
            if not found and name:  # of a module's variable, the lines that read it
                readers = [i for i, line in enumerate(text.splitlines(), 1) if re.search(rf"\b{name[0]}\b", line)]
                found = {test for line in readers for test in lines.get(str(line), ())}
        if not found:
            found = {test for tests in lines.values() for test in tests}
        names = sorted([self.names[test] for test in found], key=self.order.__getitem__)
        known = [name for name in self.killers.get(mutant.path, ()) if name in set(names)]
        chosen, spent = [], 0.0
        for name in dict.fromkeys([*known, *names]):
            if not chosen or spent + self.seconds[name] <= seconds:
                spent += self.seconds[name]
                chosen.append(name)
        return chosen

    def killed(self, mutant: Mutant, test: str) -> None:
        """Remember who killed."""
        killers = self.killers.setdefault(mutant.path, [])
        if test in killers:
            killers.remove(test)
        killers.insert(0, test)


def statement(tree: ast.Module, line: int) -> range:
    """Return the lines of the innermost statement at a line; of an `if` or a loop only its head."""
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt)
        and min([node.lineno, *[d.lineno for d in getattr(node, "decorator_list", ())]])
        <= line
        <= (node.end_lineno or 0)
    ]
    if not around:
        return range(0)
    node = min(around, key=lambda node: (node.end_lineno or 0) - node.lineno)
    if isinstance(node, ast.If | ast.For | ast.While | ast.With):
        return range(node.lineno, node.body[0].lineno)
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


class Plugin:
    """What pytest calls: keeps the chosen tests in their order, and ends the process at the first failure."""

    def __init__(self, failed: Callable[[str], Any], chosen: list[str] | None = None) -> None:
        self.failed = failed
        self.chosen = chosen

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keep the chosen tests."""
        if self.chosen is not None:
            by_name = {item.nodeid: item for item in items}
            items[:] = [by_name[name] for name in self.chosen]

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Tell of a failure."""
        if report.failed:
            self.failed(report.nodeid)


def pytest_main(arguments: list[str], plugin: Any) -> int:
    """Run pytest in this process."""
    import pytest

    os.chdir(ROOT)
    options = ["-q", "-x", "-s", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:faulthandler"]
    options.append("--ignore=tests/ops/test_jax.py")  # JAX has threads, which a fork does not take along
    return int(pytest.main([*options, *arguments], plugins=[plugin]))


def in_child(seconds: float, work: Callable[[Callable[[str], Any]], Any]) -> tuple[str, str]:
    """Run `work` in a fork; return "killed", "timeout" or "survived", and the test that failed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**32,) * 2)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(seconds))

        def failed(test: str) -> None:
            os.write(writing, test.encode())
            os._exit(1)

        try:
            work(failed)
        except MemoryError:
            os._exit(1)
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
            os._exit(2)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        test = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return ("timeout" if os.WTERMSIG(status) == signal.SIGALRM else "killed"), test
    return {0: "survived", 1: "killed"}.get(os.WEXITSTATUS(status), "broken"), test


class Session:
    """Runs mutants and writes what became of them."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.tests = Tests(json.loads((STATE / "tests.json").read_text("utf-8")))
        self.imported: dict[str, list[int]] = json.loads((STATE / "imported.json").read_text("utf-8"))
        self.sources = Sources()
        self.functions: dict[int, list[FunctionType]] = {}
        self.items: dict[str, Any] = {}
        self.in_functions: list[tuple[Mutant, CodeType]] = []

    def run(self, todo: list[Mutant]) -> None:
        """Run mutants: those of what happens at import first, before the package is imported here."""
        sys.meta_path.insert(0, self.sources)
        compiled = {path: compile((ROOT / path).read_text("utf-8"), str(ROOT / path), "exec") for path in files()}
        for mutant in todo:
            text = mutant.source()
            try:
                code = compile(text, str(ROOT / mutant.path), "exec")
            except SyntaxError:
                continue
            pairs = exchanges(compiled[mutant.path], code)
            if pairs is None or run_at_import(pairs, set(self.imported[mutant.path])):
                self._record(mutant, self._afresh(mutant, text))
            else:
                self.in_functions.append((mutant, code))
        if self.in_functions:
            pytest_main(list(TESTS), self)

    def _afresh(self, mutant: Mutant, text: str) -> tuple[str, str, int]:
        chosen = self.tests.of(mutant, self.seconds)

        def work(failed: Callable[[str], Any]) -> None:
            sys.meta_path[0] = Sources({mutant.path: text})
            if pytest_main(sorted({name.split("::")[0] for name in chosen}), Plugin(failed, chosen)):
                failed("import")

        return *in_child(self._limit(chosen), work), len(chosen)

    def _limit(self, chosen: list[str]) -> float:
        return 15 + 4 * sum(self.tests.seconds[name] for name in chosen)

    def pytest_runtestloop(self, session: Any) -> bool:
        """Run the mutants of functions, now that all tests are collected."""
        import gc

        self.items = {item.nodeid: item for item in session.items}
        for thing in gc.get_objects():
            if type(thing) is FunctionType:
                self.functions.setdefault(id(thing.__code__), []).append(thing)
        gc.freeze()
        everything = [name for name in self.tests.names if name in self.items][::40]
        outcome = in_child(600, lambda failed: self._go(session, failed, [], everything))
        assert outcome == ("survived", ""), f"the tests fail without a mutant: {outcome}"
        for mutant, code in self.in_functions:
            chosen = self.tests.of(mutant, self.seconds)
            pairs = exchanges(self.sources.codes[mutant.path], code) or []
            outcome = in_child(
                self._limit(chosen), lambda failed, pairs=pairs, chosen=chosen: self._go(session, failed, pairs, chosen)
            )
            self._record(mutant, (*outcome, len(chosen)))
        return True

    def _go(self, session: Any, failed: Callable[[str], Any], pairs: Any, chosen: list[str]) -> None:
        session.config.pluginmanager.register(Plugin(failed))
        for old, new in pairs:
            for function in self.functions.get(id(old), ()):
                function.__code__ = new
        items = [self.items[name] for name in chosen]
        for item, following in pairwise([*items, None]):
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)

    def _record(self, mutant: Mutant, outcome: tuple[str, str, int]) -> None:
        what, test, count = outcome
        if test:
            self.tests.killed(mutant, test)
        with (STATE / "results.jsonl").open("a", encoding="utf-8") as results:
            print(json.dumps({"mutant": mutant.key, "outcome": what, "by": test, "tests": count}), file=results)
        print(f"{what:8} {mutant.key} {test}", file=sys.__stdout__, flush=True)


class Watching:
    """The plugin of the first run: which lines of the package each test runs."""

    def __init__(self) -> None:
        from coverage import Coverage

        self.coverage = Coverage(
            data_file=None, include=[f"{ROOT}/{folder}/*" for folder in MUTATED], config_file=False
        )
        self.seconds: dict[str, float] = {}

    def pytest_runtest_setup(self, item: Any) -> None:
        """Name the test whose lines follow."""
        self.coverage.switch_context(item.nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add up the time of a test."""
        if not report.passed:
            return
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration

    def write(self) -> None:
        """Write what was seen."""
        data = self.coverage.get_data()
        numbers = {name: i for i, name in enumerate(self.seconds)}
        lines = {
            path: {
                str(line): [numbers[name] for name in names if name in numbers]
                for line, names in data.contexts_by_lineno(str(ROOT / path)).items()
            }
            for path in files()
        }
        (STATE / "tests.json").write_text(json.dumps({"seconds": self.seconds, "lines": lines}), "utf-8")


def watch() -> None:
    """Import the package, then run all tests once, and write which lines that runs, each of the tests by itself."""

    def importing(failed: Callable[[str], Any]) -> None:
        from coverage import Coverage

        coverage = Coverage(data_file=None, include=[f"{ROOT}/{folder}/*" for folder in MUTATED], config_file=False)
        with coverage.collect():
            importlib.import_module("tinygrad_rnn")
        data = coverage.get_data()
        lines = {path: data.lines(str(ROOT / path)) or [] for path in files()}
        (STATE / "imported.json").write_text(json.dumps(lines), "utf-8")

    def work(failed: Callable[[str], Any]) -> None:
        plugin = Watching()
        plugin.coverage.start()
        answer = pytest_main(list(TESTS), plugin)
        plugin.coverage.stop()
        if answer:
            failed("a test fails, or lines cannot be watched")
        plugin.write()

    assert in_child(60, importing)[0] == "survived"
    outcome = in_child(1800, work)
    assert outcome == ("survived", ""), f"the tests fail without a mutant: {outcome}"


def results() -> dict[str, dict[str, Any]]:
    """Return the last result of each mutant that there is now."""
    try:
        lines = (STATE / "results.jsonl").read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return {row["mutant"]: row for row in map(json.loads, lines)}


def report(every: list[Mutant]) -> None:
    """Print killed and survived by file, and the survivors with their lines."""
    known = results()
    print("| file | mutants | killed | survived |\n|---|---|---|---|")
    total: Counter[str] = Counter()
    for path in files():
        found = [known[mutant.key]["outcome"] for mutant in every if mutant.path == path and mutant.key in known]
        survived = found.count("survived")
        total.update(all=len(found), survived=survived, timeout=found.count("timeout"))
        if found:
            print(f"| {path.removeprefix('tinygrad_rnn/')} | {len(found)} | {len(found) - survived} | {survived} |")
    killed = total["all"] - total["survived"]
    print(f"| all | {total['all']} | {killed} | {total['survived']} |")
    rate = killed / max(total["all"], 1)
    unknown = (1 - total["all"] / len(every)) * rate * (1 - rate) / max(total["all"], 1)
    print(f"\n{total['all']} of {len(every)} mutants: {rate:.1%} ± {1.96 * unknown**0.5:.1%} killed, ", end="")
    print(f"{total['timeout']} of them by running out of time\n")
    for mutant in every:
        if known.get(mutant.key, {}).get("outcome") == "survived":
            print(f"{mutant.key}\n{changed_line(mutant)}")


def changed_line(mutant: Mutant) -> str:
    """Return the lines that a mutant changes, before and after."""
    import difflib

    before = (ROOT / mutant.path).read_text("utf-8").splitlines()
    delta = difflib.unified_diff(before, mutant.source().splitlines(), lineterm="", n=0)
    return "\n".join([line for line in list(delta)[2:] if not line.startswith("@@")])


def drawn(every: list[Mutant], seed: int = 0) -> list[Mutant]:
    """Return the mutants in an order whose every beginning is a random sample with each file's share of mutants."""
    generator = random.Random(seed)
    places = []
    for path in files():
        own = [mutant for mutant in every if mutant.path == path]
        generator.shuffle(own)
        places += [((i + generator.random()) / len(own), mutant) for i, mutant in enumerate(own)]
    return [mutant for _, mutant in sorted(places)]


def main() -> None:
    """Run the mutants that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--again", action="store_true", help="run the survivors again, under a new watch")
    parser.add_argument("--report", action="store_true", help="print the figures of the results so far and end")
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    parser.add_argument("--seconds", type=float, default=12.0, help="of tests for a mutant (default: 12)")
    parser.add_argument("--sample", type=int, default=10**9, help="run a random sample of this size (default: all)")
    options = parser.parse_args()
    STATE.mkdir(parents=True, exist_ok=True)
    every = list(mutants())
    if options.report:
        report(every)
        return

    os.environ["HYPOTHESIS_PROFILE"] = "mutants"
    import hypothesis
    import hypothesis.extra.numpy
    import numpy  # noqa: F401  (what is imported here, forks need not import)
    import torch

    torch.set_num_threads(1)
    ci = {"max_examples": 40, "derandomize": True, "database": None, "deadline": None}
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # no shrinking: a failure is enough
    checks = (hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large)
    hypothesis.settings.register_profile("mutants", phases=phases, suppress_health_check=checks, **ci)

    if options.again or not (STATE / "tests.json").exists():
        watch()
    known = results()
    todo = [
        mutant
        for mutant in drawn(every)[: options.sample]
        if options.only in mutant.key
        and (known.get(mutant.key, {}).get("outcome") == "survived" if options.again else mutant.key not in known)
    ]
    started = time.time()
    Session(options.seconds).run(todo)
    print(f"{len(todo)} mutants in {time.time() - started:.0f} s")
    report(every)


if __name__ == "__main__":
    main()
