"""The options of the command, as argparse reads them."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from ..core.errors import ConfigError
from ..train import Config
from ..train.cells import BUILT_IN
from ..train.config import LEARNING_RATES, SCHEDULES
from . import lab

_DEFAULT = Config()
CELLS = ", ".join(BUILT_IN)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number; give one, such as 3") from None


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number; give one, such as 0.5") from None


_SETTINGS: dict[str, tuple[Any, str, str]] = {
    "cell": (str, "NAME", f"{CELLS}, or a class of your own as my_cell.py:MyCell"),
    "hidden": (_whole, "N", "size of the state"),
    "layers": (_whole, "N", "cells on top of each other"),
    "embedding": (_whole, "N", "size of the vector that stands for a character"),
    "dropout": (_real, "X", "share of the values dropped between layers and before the output"),
    "seq": (_whole, "N", "steps of time in a window of truncated backpropagation"),
    "batch": (_whole, "N", "streams of text read side by side"),
    "optimizer": (str, "NAME", ", ".join(LEARNING_RATES)),
    "lr": (_real, "X", "learning rate"),
    "schedule": (str, "NAME", f"of the learning rate: {', '.join(SCHEDULES)}"),
    "clip": (_real, "X", "greatest norm of the gradient; 0 does not clip"),
    "epochs": (_whole, "N", "passes over the text"),
    "evaluate": (_whole, "N", "evaluations in one pass"),
    "seed": (_whole, "N", "of everything random"),
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, in place of the usage and a line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message} (see {self.prog} --help)")


def parser(program: str) -> argparse.ArgumentParser:
    """Return the parser of the command line.

    Example:
        >>> from tinygrad_rnn.cli.options import parser
        >>> parser("tinygrad-rnn").parse_args(["sample", "runs/1"]).folder
        'runs/1'
    """
    top = _Parser(program, description="Train a recurrent network on text, and let it write.", allow_abbrev=False)
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    train = commands.add_parser(
        "train",
        help="train a character language model (this is what happens without a command, too)",
        description="Train a character language model on a text. Without --text: the manual that comes with Python.",
        allow_abbrev=False,
    )
    train.add_argument("--text", metavar="FILE", help="UTF-8 text to learn")
    for name, (kind, metavar, explanation) in _SETTINGS.items():
        default = _DEFAULT.learning_rate if name == "lr" else getattr(_DEFAULT, name)
        train.add_argument(f"--{name}", type=kind, metavar=metavar, help=f"{explanation} (default: {default})")
    train.add_argument("--out", metavar="DIR", help="folder of the run (default: the next free runs/N)")
    train.add_argument("--resume", metavar="DIR", help="go on with the run in this folder where its checkpoint stands")
    train.add_argument(
        "--checkpoint",
        type=_real,
        default=10.0,
        metavar="SECONDS",
        help="between two checkpoints; 0: one after every step",
    )
    sample = commands.add_parser(
        "sample", help="let a trained model write", description="Let a trained model write.", allow_abbrev=False
    )
    sample.add_argument("folder", metavar="DIR", help="folder of the run")
    sample.add_argument("--prime", default="", metavar="TEXT", help="what the model reads first")
    sample.add_argument(
        "--temperature", type=_real, default=0.7, metavar="X", help="0: safest, 1: as learnt (default: 0.7)"
    )
    sample.add_argument("--length", type=_whole, default=500, metavar="N", help="characters to write (default: 500)")
    sample.add_argument("--seed", type=_whole, metavar="N", help="the same number gives the same text")
    sample.add_argument(
        "--cell", metavar="FILE:CLASS", help="needed if the run's cell is a class of your own: executes FILE"
    )
    explore = commands.add_parser(
        "explore",
        help="write a page that walks through a network, forward and backward, a step at a time",
        description="Write a page that walks through what a cell, or a run, makes of a text: forward, then backward.",
        allow_abbrev=False,
    )
    explore.add_argument(
        "what", nargs="?", metavar="WHAT", help="a run's folder, or a cell as for --cell (default: the cell of --cell)"
    )
    explore.add_argument("--text", metavar="TEXT", help="what is read (default: hello; a run writes something itself)")
    explore.add_argument("--cell", metavar="NAME", help=f"{CELLS}, FILE.py:CLASS or MODULE:CLASS (default: rnn)")
    explore.add_argument("--hidden", type=_whole, metavar="N", help="size of the state of a new cell (default: 3)")
    explore.add_argument("--seed", type=_whole, default=0, metavar="N", help="of the weights (default: 0)")
    explore.add_argument("--no-values", action="store_true", help="leave all data out of the page")
    explore.add_argument("--out", default="explore.html", metavar="FILE", help="the page (default: explore.html)")
    draw = commands.add_parser(
        "draw",
        help="draw a cell as a layer over time, or the model of a run",
        description="Draw a cell as a layer over time, or the model of a run.",
        allow_abbrev=False,
    )
    draw.add_argument("what", metavar="WHAT", help=f"{CELLS}, FILE.py:CLASS, MODULE:CLASS, or a run's folder")
    draw.add_argument("--time", default="fold", metavar="HOW", help="fold, unroll or full (default: fold)")
    draw.add_argument("--depth", type=_whole, metavar="N", help="levels of modules to draw (default: all)")
    draw.add_argument("--show", default="shapes", metavar="LIST", help="of shapes, values, grads, saved, with commas")
    draw.add_argument("--direction", default="TB", metavar="WAY", help="TB, BT, LR or RL (default: TB)")
    draw.add_argument("--backward", action="store_true", help="draw the gradients too")
    draw.add_argument("--no-forward", dest="forward", action="store_false", help="draw the gradients alone")
    draw.add_argument("--legend", action="store_true", help="explain outlines and colours")
    draw.add_argument("--cell", metavar="FILE:CLASS", help="needed if the run's cell is a class of your own")
    draw.add_argument(
        "--out",
        default="graph.svg",
        metavar="FILE",
        help="ends in .svg, .png, .pdf, .html or .dot (default: graph.svg)",
    )
    lab.add_options(commands, _whole)
    doctor = commands.add_parser(
        "doctor",
        help="say what was found on this machine, how fast its products are, and what would help",
        description="Say what was found on this machine, how fast its products are, and what would help.",
        allow_abbrev=False,
    )
    doctor.add_argument("--json", action="store_true", help="as JSON, for programs")
    doctor.set_defaults(cell=None)
    return top


def given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that stand on the command line."""
    return {name: value for name in _SETTINGS if (value := getattr(options, name)) is not None}
