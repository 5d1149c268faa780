"""The command `tinygrad-rnn`: train, sample, draw, explore, lab, doctor."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from .. import train, viz
from ..core.errors import ConfigError, TinygradRNNError
from ..train.cells import built_in, where_in_cell
from ..train.files import replace
from . import lab
from .doctor import as_json, as_text, examine
from .draw import draw
from .explore import explore
from .options import given_settings, parser

_FAILED, _INTERRUPTED = 2, 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: what stands after the command's name; None takes them from the command line.

    Returns:
        0; 2 where something is wrong with what was given, said in one line on stderr; 130 after Ctrl-C.

    Example:
        >>> from tinygrad_rnn.cli.main import main
        >>> main(["sample", "no/such/folder"])
        2
    """
    program = "python -m tinygrad_rnn" if Path(sys.argv[0]).name == "__main__.py" else "tinygrad-rnn"
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # A terminal that lacks a character shows another one in its place.
            stream.reconfigure(errors="replace")
    options = argparse.Namespace(cell=None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", train.CheckpointWarning)
            warnings.showwarning = _show_warning
            words = (sys.argv[1:] if arguments is None else arguments) or ["train"]
            if words[0].startswith("--") and words[0] != "--help":
                raise ConfigError(f"no command before {words[0]}; write {program} train {words[0]}")
            options = parser(program).parse_args(words)
            if options.command == "sample":
                _sample(options)
            elif options.command == "train":
                _train(options, program)
            elif options.command == "draw":
                _draw_picture(options)
            elif options.command == "explore":
                _explore(options)
            elif options.command == "lab":
                lab.study(options, program, _say)
            elif options.command == "doctor":
                print(as_json(examine()) if options.json else as_text(examine()))
            else:
                raise ConfigError(f"give a command: train, sample, draw, explore, lab or doctor (see {program} --help)")
            sys.stdout.flush()
            return 0
    except KeyboardInterrupt as interrupt:
        return _complain(str(interrupt) or "stopped", _INTERRUPTED)
    except BrokenPipeError:  # Whoever read the output, such as `head`, has read enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError as error:
        return _complain(f"not enough memory: {error}; take a smaller model, batch or window")
    except Exception as error:
        line = _in_own_cell(options.cell, error)
        if line is not None:
            return _complain(line)
        if isinstance(error, (TinygradRNNError, OSError)):
            return _complain(str(error))
        raise


def _train(options: argparse.Namespace, program: str) -> None:
    settings = given_settings(options)
    if not options.checkpoint >= 0:
        raise ConfigError(f"checkpoint is {options.checkpoint}; give the seconds between two checkpoints, 0 or more")
    cell = train.import_cell(options.cell) if options.cell is not None else None
    folder = Path(options.resume or options.out or _next_folder())
    usual: dict[str, Any] = {
        "file": options.text,
        "cell": cell,
        "seconds": options.checkpoint,
        "callbacks": [train.Progress(), train.Recorder(folder)],
        "say": _say,
    }
    if options.resume is not None:
        run, trainer = _resume(options, settings, usual)
    else:
        run, trainer = train.begin(folder, train.Config(**settings), **usual)
        if run.config.batch < train.Config(**settings).batch:
            _say(
                f"The text is short: batch is {run.config.batch}, "
                f"as many streams as there is room for with --seq {run.config.seq}."
            )
    trainer.callbacks.append(train.Picture(lambda: _draw(run)))
    config, source = run.config, run.source
    _say(
        f"{config.cell}, {config.layers} x {config.hidden}, {sum(p.size for p in run.model.parameters()):,} parameters "
        f"on {source.file or 'the manual that comes with Python'}: {source.characters:,} characters, "
        f"{len(run.vocabulary)} different ones. The run's folder is {run.folder}"
    )
    own = f" --cell {shlex.quote(options.cell)}" if config.own_cell else ""
    quoted = shlex.quote(str(run.folder))
    try:
        trainer.fit()
    except KeyboardInterrupt:
        done = f"stopped after step {run.step:,} of {trainer.steps:,}, checkpoint written"
        command = "sample" if run.step == trainer.steps else "train --resume"
        raise KeyboardInterrupt(f"{done}; go on with: {program} {command} {quoted}{own}") from None
    last = trainer.history[-1]
    _say(
        f"Validation loss {last['val_loss']:.3f} nats/char after {last['seconds']:.0f} s. "
        f"In {run.folder}: {_contents(run.folder)}"
    )
    prime = " --prime 'The '" if set("The ") <= set(run.vocabulary.symbols) else ""
    _say(f"Next: {program} sample {quoted}{own}{prime}")


def _resume(
    options: argparse.Namespace, settings: dict[str, Any], usual: dict[str, Any]
) -> tuple[train.Run, train.Trainer]:
    """Go on with a run; its settings stay, but for the number of epochs."""
    if options.out is not None:
        raise ConfigError("--resume goes on in the run's own folder; leave --out away")
    epochs = settings.pop("epochs", None)
    run, trainer = train.resume(options.resume, epochs=epochs, **usual)
    kept, given = run.config.to_dict() | {"lr": run.config.learning_rate}, train.Config(**settings).to_dict()
    for name in settings.keys() - {"cell"} if run.config.own_cell else settings.keys():
        if given[name] != kept[name]:
            raise ConfigError(
                f"{options.resume} was begun with --{name} {kept[name]}, which resuming keeps; leave --{name} away"
            )
    missing = _missing(run.folder)
    if trainer.finished and not missing:
        raise ConfigError(
            f"{options.resume} is finished, with {run.config.epochs} epochs; give --epochs {2 * run.config.epochs}"
        )
    if trainer.finished:
        _say(f"All {trainer.steps:,} steps are done; what is still to be written: {', '.join(missing)}.")
    else:
        _say(f"Going on after step {trainer.step:,} of {trainer.steps:,}.")
    return run, trainer


def _sample(options: argparse.Namespace) -> None:
    cell = train.import_cell(options.cell) if options.cell is not None else None
    run = train.Run.load(options.folder, cell)
    if options.seed is not None and options.seed < 0:
        raise ConfigError(f"seed is {options.seed}; give a whole number of at least 0")
    stream = run.stream(
        options.prime, temperature=options.temperature, length=options.length, rng=np.random.default_rng(options.seed)
    )
    print(options.prime, end="", flush=True)
    for character in stream:
        print(character, end="", flush=True)
    print()


def _draw_picture(options: argparse.Namespace) -> None:
    shown = tuple([name for name in options.show.split(",") if name])
    names = ("time", "depth", "direction", "forward", "backward", "legend")
    picture = draw(options.what, options.cell, show=shown, **{name: getattr(options, name) for name in names})
    picture.save(options.out)
    print(f"{options.what} is drawn in {options.out}")


def _explore(options: argparse.Namespace) -> None:
    values = not options.no_values
    page = explore(options.what, options.text, options.cell, options.hidden, options.seed, values)
    page.save(options.out)
    print(
        f"{options.out}, {len(page.html) / 1024:,.0f} KB: open it in a browser. → and ← take a step, ? lists the keys."
    )


def _draw(run: train.Run) -> None:
    """Draw one step of the model; without a layout program, write down what it would draw."""
    model = run.model.eval()
    ids = np.zeros((1, 1), dtype=np.int64)
    _, state = model(ids)
    picture = viz.draw(model, ids, state)
    try:
        replace(run.folder / "graph.svg", picture.svg().encode())
    except viz.LayoutError:
        replace(run.folder / "graph.dot", picture.source.encode())
        _say(
            "No program to draw with was found, so the picture of the model is left as graph.dot: "
            "pip install 'tinygrad_rnn[viz]' brings one."
        )


def _missing(folder: Path) -> list[str]:
    """Return what a finished run lacks: its process may have been killed between the last checkpoint and its end."""
    missing = [name for name in ("metrics.csv", "loss.svg") if not (folder / name).exists()]
    if not (folder / "graph.svg").exists() and not (folder / "graph.dot").exists():
        missing.append("graph.svg")
    return missing


def _contents(folder: Path) -> str:
    return ", ".join(sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")))


def _next_folder() -> Path:
    runs = Path("runs")
    numbers = [int(path.name) for path in runs.iterdir() if path.name.isdecimal()] if runs.is_dir() else []
    return runs / str(max(numbers, default=0) + 1)


def _say(text: str) -> None:
    tqdm.write(text)
    sys.stdout.flush()


def _show_warning(message: Warning | str, *details: Any, **more: Any) -> None:
    tqdm.write(f"tinygrad-rnn: warning: {_one_line(str(message))}", file=sys.stderr)


def _complain(text: str, code: int = _FAILED) -> int:
    print(f"tinygrad-rnn: {_one_line(text)}", file=sys.stderr)
    return code


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _in_own_cell(cell: str | None, error: Exception) -> str | None:
    """Return where in the user's own cell an error arose, if it passed through that file."""
    if cell is None or built_in(cell) is not None:
        return None
    path = Path(cell.rpartition(":")[0])
    line = where_in_cell(error, path)
    return f"{path}, {line}" if line.startswith("line ") else None
