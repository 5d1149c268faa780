"""Time recurrent layers by every engine against PyTorch, JAX and hand-written NumPy, taking turns.

Forward and full backward (x and all weights), float32. In every round each contender has its turn, the first of them a
different one each time; the tables have the medians over the rounds of milliseconds and of the ratios within a round,
beside the figure asked for. A contender whose loss or gradients are not ours ends the run. Then: compilation, memory,
long sequences, sampling.

    python -m tests.benchmarks.recurrent [--against all|torch,jax,hand] [--cells lstm,gru] [--shapes 50x1x64x64]
        [--rounds N] [--threads N] [--clock wall|process] [--compile] [--quick]

`--clock process` counts the processor's time on one thread, which means something on a loaded machine too. `--compile`
adds the PyTorch loop under torch.compile, which takes minutes to start, five at most.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import math
import os
import platform
import statistics
import time
from pathlib import Path
from typing import NamedTuple

from tinygrad_rnn.scan.engines import available

from .contenders import Run, Shape, entrants, make_case
from .recurrent_cells import CELLS
from .recurrent_costs import CLOCKS, LENGTHS, Clock, best_rate, in_fresh_process, lengths, sampling, set_threads, turn

SHAPES = ((50, 1, 64, 64), (100, 64, 2, 32), (35, 32, 28, 256), (50, 50, 65, 128), (100, 64, 512, 512))
QUICK = SHAPES[:3]
GATES = {"rnn": 1, "lstm": 4, "gru": 3, "peephole": 4, "layernorm": 4}
COLUMNS = ("native", "numpy", "eager", "by hand", "torch.nn", "PyTorch loop", "torch.compile", "JAX scan")
ASKED = {"PyTorch loop": 0.35, "torch.compile": 0.35, "JAX scan": 0.7, "torch.nn": 0.7}
ASKED_OF_LSTM = 0.9
ASKED_OF_MEANS = {"JAX scan": 0.5, "torch.nn": 0.7}
ASKED_OF_NUMPY = 1.1
ASKED_OF_FLOPS = {(100, 64, 512, 512): 1.35, (35, 32, 28, 256): 1.7}
ASKED_TO_COMPILE = {"numpy": 0.050, "native": 0.300}
ASKED_OF_MEMORY = 1.2
ASKED_OF_LENGTHS = 1.1
ASKED_TO_SAMPLE = 30e-6
# BLAS and OpenMP threads look out for more work for a while after a product, on the core of whoever comes next.
PAUSE = 0.05


class Ratio(NamedTuple):
    """A row of the table of ratios: a figure and what it is to be at most, None where nothing was asked."""

    what: str
    found: float
    asked: float | None

    def __str__(self) -> str:
        if self.asked is None:
            return f"  {self.what:<64} {self.found:7.3f}"
        verdict = "PASS" if self.found <= self.asked else "FAIL"
        return f"  {self.what:<64} {self.found:7.3f}   at most {self.asked:5.2f}   {verdict}"


def head(options: argparse.Namespace) -> str:
    """Describe the machine, the versions and the settings."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    cpu = next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor())
    packages = [name for name in ("numpy", "llvmlite", "torch", "jax") if importlib.util.find_spec(name)]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{cpu}, {os.cpu_count()} cores{load}; Python {platform.python_version()}, {versions}; engines: "
        f"{', '.join(available())}\n{options.threads} threads, {options.clock} clock, {options.rounds} rounds"
    )


def compete(runs: dict[str, Run], rounds: int, clock: Clock, pause: float) -> dict[str, list[float]]:
    """Return the seconds of every contender in every round."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for r in range(rounds):
        first = r % len(names)
        for name in names[first:] + names[:first]:
            time.sleep(pause)
            runs[name]()  # the first run after a pause finds cold caches and sleeping threads
            seconds[name].append(turn(runs[name], clock))
    return seconds


def ratio(seconds: dict[str, list[float]], name: str, other: str) -> float:
    """Return the median over the rounds of the ratio of two contenders."""
    return statistics.median(a / b for a, b in zip(seconds[name], seconds[other], strict=True))


def ratios_of(kind: str, shape: Shape, seconds: dict[str, list[float]], rate: float | None) -> list[Ratio]:
    """Return the rows of one cell and shape."""
    case = f"{kind} {shape}: "
    best = next(iter(seconds))
    rows = []
    for other in seconds:
        if other in ASKED:
            asked = ASKED_OF_LSTM if (kind, other) == ("lstm", "torch.nn") else ASKED[other]
            rows.append(Ratio(f"{case}{best} / {other}", ratio(seconds, best, other), asked))
    if "by hand" in seconds:
        rows.append(Ratio(f"{case}numpy / by hand", ratio(seconds, "numpy", "by hand"), ASKED_OF_NUMPY))
        if best != "numpy":
            rows.append(Ratio(f"{case}{best} / by hand", ratio(seconds, best, "by hand"), None))
    if rate is not None and shape in ASKED_OF_FLOPS:
        steps, batch, features, hidden = shape
        flops = 6 * steps * batch * (features + hidden) * GATES[kind] * hidden
        found = statistics.median(seconds[best]) / (flops / rate)
        rows.append(Ratio(f"{case}{best} / its FLOPs at the best rate", found, ASKED_OF_FLOPS[shape]))
    return rows


def means(rows: list[Ratio]) -> list[Ratio]:
    """Return the geometric means of what was asked for as one, over all shapes."""
    found = []
    for other, asked in ASKED_OF_MEANS.items():
        wanted = "lstm" if other == "torch.nn" else ""
        ratios = [row.found for row in rows if row.what.startswith(wanted) and row.what.endswith(f" / {other}")]
        if ratios:
            name = f"{wanted or 'all cells'}, all shapes, geometric mean: / {other}"
            found.append(Ratio(name, math.exp(statistics.fmean(map(math.log, ratios))), asked))
    return found


def race(options: argparse.Namespace) -> list[Ratio]:
    """Print the table of milliseconds as it comes, and return the rows of the table of ratios."""
    clock = CLOCKS[options.clock]
    rate = best_rate(options.threads, options.clock)
    if rate is not None:
        print(f"the best rate of the kernel of products, on all threads at once: {rate / 1e9:.0f} GFLOP/s")
    columns = [name for name in COLUMNS if name != "torch.compile" or options.compile]
    print("\nmilliseconds for forward and backward; (time, batch, features, hidden)")
    print(" " * 34 + "".join(f"{name:>14}" for name in columns))
    rows = []
    for kind in options.cells:
        for shape in options.shapes:
            runs = entrants(make_case(kind, shape), options.against, options.compile)
            seconds = compete(runs, options.rounds, clock, PAUSE if options.threads > 1 else 0.0)
            times = {name: 1e3 * statistics.median(row) for name, row in seconds.items()}
            cells = [f"{times[name]:14.2f}" if name in times else " " * 13 + "-" for name in columns]
            print(f"  {kind:<10}{shape!s:<22}" + "".join(cells), flush=True)
            rows += ratios_of(kind, shape, seconds, rate)
    return rows + means(rows)


def costs(options: argparse.Namespace) -> None:
    """Print compilation, memory, long sequences and sampling."""
    clock = CLOCKS[options.clock]
    engines = [name for name in ("numpy", "native") if name in available()]
    print("\ncosts, LSTM")
    for name in engines:
        imported, seconds = in_fresh_process("compile", name, options.clock, options.threads)
        asked = ASKED_TO_COMPILE[name]
        print(Ratio(f"{name}: seconds to compile ({imported:.3f} to import the engine)", seconds, asked))
    if not options.quick:
        hand, _ = in_fresh_process("memory", "hand", options.clock, options.threads)
        for name in engines:
            peak, files = in_fresh_process("memory", name, options.clock, options.threads)
            what = f"{name}: peak memory ({peak / 2**20:.0f} MiB) / by hand ({hand / 2**20:.0f} MiB)"
            print(Ratio(what, peak / hand, ASKED_OF_MEMORY))
            what = f"{name}: the same without pages of program files ({files / 2**20:.0f} MiB)"
            print(Ratio(what, (peak - files) / hand, None))
    for name in engines:
        _, *relative = lengths(name, max(3, options.rounds // 3), clock)
        for steps, found in zip(LENGTHS[1:], relative, strict=True):
            print(Ratio(f"{name}: a step of {steps} / a step of {LENGTHS[0]}", found, ASKED_OF_LENGTHS))
    seconds = sampling(options.rounds, clock)
    print(Ratio("microseconds to sample a character, 2 x 128", 1e6 * seconds, 1e6 * ASKED_TO_SAMPLE))


def shapes_of(text: str) -> list[Shape]:
    """Read shapes written as 50x1x64x64,100x64x2x32."""
    found = []
    for part in text.split(","):
        steps, batch, features, hidden = map(int, part.split("x"))
        found.append((steps, batch, features, hidden))
    return found


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=lambda text: set(text.split(",")), default={"all"})
    parser.add_argument("--cells", type=lambda text: text.split(","), default=list(CELLS))
    parser.add_argument("--shapes", type=shapes_of, default=None)
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--compile", action="store_true", help="the PyTorch loop under torch.compile too")
    parser.add_argument("--quick", action="store_true", help="three shapes, three rounds, no figures of memory")
    options = parser.parse_args(arguments)
    if unknown := set(options.cells) - set(CELLS) or options.against - {"all", "torch", "jax", "hand"}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if options.clock == "process" and options.threads not in (None, 1):
        parser.error("--clock process counts the time of one thread; leave --threads out")
    options.threads = options.threads or (1 if options.clock == "process" else 2)
    options.rounds = options.rounds or (3 if options.quick else 9)
    options.shapes = options.shapes or (QUICK if options.quick else SHAPES)
    return options


def main() -> None:
    """Print the head, both tables and the costs."""
    options = options_of()
    print(head(options), flush=True)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    set_threads(options.threads)
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(options.threads)
    rows = race(options)
    print("\nratios", *rows, sep="\n", flush=True)
    costs(options)


if __name__ == "__main__":
    main()
