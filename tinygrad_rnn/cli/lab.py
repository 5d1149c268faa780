"""The command `tinygrad-rnn lab`: from the file of a cell to its report."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import lab
from ..lab.arguments import keywords, numbers, split_at_commas
from ..lab.folder import claimed
from ..lab.named_tasks import TASKS
from ..lab.plan import LEARNING_RATES
from ..train.cells import BUILT_IN


def add_options(commands: Any, whole: Callable[[str], int]) -> None:
    """Add the command to a parser.

    Args:
        commands: what `add_subparsers` returned.
        whole: turns text into a whole number, or refuses it.
    """
    parser = commands.add_parser(
        "lab",
        help="check a cell of your own, train it beside others, and write a report",
        description="Check a cell, train it beside others at equal parameters and at equal time, rank them, and write "
        "a report. Executes the files that are named. The same command with --out of a study that was stopped goes on.",
        allow_abbrev=False,
    )
    parser.add_argument("cell", metavar="FILE.py:CLASS", help="the cell, a class derived from nn.Cell; or MODULE:CLASS")
    parser.add_argument(
        "--init", default="", metavar="NAME=VALUE,…", help="arguments of that class (default: hidden_size=32)"
    )
    parser.add_argument(
        "--against",
        default="lstm,gru",
        metavar="CELLS",
        help=f"{', '.join(BUILT_IN)}, or FILE.py:CLASS, with arguments as in 'rnn(nonlinearity=relu)' or without, and "
        "with commas between (default: lstm,gru)",
    )
    parser.add_argument(
        "--tasks",
        default="adding,order,text",
        metavar="TASKS",
        help=f"{', '.join(TASKS)}, a class of data.tasks such as 'Adding(length=20)', or FILE.py:CLASS, with commas "
        "between (default: adding,order,text)",
    )
    parser.add_argument(
        "--budget", default="10m", metavar="TIME", help="that all may take: 90s, 10m, 1h (default: 10m)"
    )
    parser.add_argument(
        "--seeds",
        type=whole,
        metavar="N",
        help="trials of each kind (default: 5, or as many as it takes to tell a difference among all comparisons)",
    )
    parser.add_argument(
        "--learning-rates",
        default=",".join(map(str, LEARNING_RATES)),
        metavar="RATES",
        help="that every cell tries (default: %(default)s)",
    )
    parser.add_argument("--jobs", type=whole, metavar="N", help="processes side by side (default: one for each core)")
    parser.add_argument("--out", metavar="DIR", help="folder of the report (default: the next free lab/N)")


def study(options: argparse.Namespace, program: str, say: Callable[[str], None]) -> None:
    """Make the study and print its summary.

    Args:
        options: of the command line.
        program: the command's name.
        say: prints a line.
    """
    with claimed(options.out) as folder:
        _study(options, program, say, str(folder))


def _study(options: argparse.Namespace, program: str, say: Callable[[str], None], folder: str) -> None:
    try:
        report = lab.run(
            options.cell,
            init=keywords(options.init),
            against=split_at_commas(options.against),
            tasks=split_at_commas(options.tasks),
            budget=options.budget,
            seeds=options.seeds,
            learning_rates=numbers(options.learning_rates),
            jobs=options.jobs,
            out=folder,
            say=say,
        )
    except KeyboardInterrupt:
        if not any(Path(folder).glob("*")):
            raise KeyboardInterrupt("stopped before anything was trained") from None
        words = [options.cell, "--budget", options.budget, "--out", folder]
        for name in ("init", "against", "tasks", "seeds", "learning_rates", "jobs"):
            words += [f"--{name.replace('_', '-')}", str(getattr(options, name))] if getattr(options, name) else []
        again = f"{program} lab {shlex.join(words)}"
        raise KeyboardInterrupt(f"stopped; what is done is kept, go on with: {again}") from None
    say(str(report))
    say(f"\nThe report: {folder}/report.html; all figures: {folder}/report.csv")
