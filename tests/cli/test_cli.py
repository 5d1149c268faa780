"""The command trains, samples and goes on; whatever is wrong is one line on stderr, without a traceback."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn
from tinygrad_rnn import train, viz
from tinygrad_rnn.cli import main as command
from tinygrad_rnn.cli.main import main
from tinygrad_rnn.train.cells import BUILT_IN
from tinygrad_rnn.viz import picture

SMALL = ["--hidden", "6", "--embedding", "4", "--seq", "8", "--batch", "4", "--epochs", "1"]
TEXT = "".join(f"The number {number} times {number} is {number * number}.\n" for number in range(40))
CELL = """
from pathlib import Path
import numpy as np
from tinygrad_rnn import nn
Path(__file__).with_name("executed").touch()
class Mine(nn.Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(input_size, hidden_size)
    def forward(self, x, h):
        h = np.tanh(self.from_input(x) + h)
        return h, h
"""


@pytest.fixture(autouse=True)
def _in_a_folder_with_a_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tinygrad-rnn"])
    Path("text.txt").write_text(TEXT)
    Path("mine.py").write_text(CELL)


def run(capsys, line, code=0):
    """Run a command line and return what it wrote to stdout and stderr."""
    assert main(line.split() if isinstance(line, str) else line) == code
    return capsys.readouterr()


def trained(capsys, *more):
    return run(capsys, ["train", "--text", "text.txt", *SMALL, *more])


@pytest.fixture(scope="module")
def _finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    (folder / "text.txt").write_text(TEXT)
    settings = train.Config(hidden=6, embedding=4, seq=8, batch=4, epochs=1)
    train.begin(folder / "run", settings, file=folder / "text.txt", seconds=0)[1].fit()
    return folder / "run"


@pytest.fixture
def finished(_finished):
    """The folder runs/1 of a run that is finished."""
    shutil.copytree(_finished, "runs/1")
    Path("runs/1/graph.dot").write_text("digraph {}")


def refused(capsys, line):
    """Run a command line that must fail, and return the one line that it says."""
    out, err = run(capsys, line, code=2)
    assert err.count("\n") == 1 and err.startswith("tinygrad-rnn: ") and "Traceback" not in out + err
    return err


def test_a_training_that_diverges_leaves_a_recording_of_what_led_up_to_it(capsys):
    line = ["train", "--text", "text.txt", *SMALL, "--optimizer", "sgd", "--lr", "1e38", "--clip", "0", "--out", "run"]
    with np.errstate(over="ignore"):
        assert "take a smaller one, or clip the gradient" in run(capsys, line, code=2).err
    assert viz.training("run").recording.steps[0] == 1


def test_a_run_leaves_a_checkpoint_metrics_a_curve_and_a_picture(capsys):
    out, err = trained(capsys)
    assert err == ""
    names = {path.name for path in Path("runs/1").iterdir()}
    assert names == {"checkpoints", "graph.svg", "loss.svg", "metrics.csv", "recording.npz"}
    header, *rows = Path("runs/1/metrics.csv").read_text().splitlines()
    assert header.split(",")[:5] == ["step", "chars", "seconds", "train_loss", "val_loss"]
    assert len(rows) == 2 and "validation" in out
    assert "<svg" in Path("runs/1/graph.svg").read_text() and "<svg" in Path("runs/1/loss.svg").read_text()
    assert out.splitlines()[-1] == "Next: tinygrad-rnn sample runs/1 --prime 'The '"


def test_a_run_is_recorded_and_goes_on_recording_when_it_is_resumed(capsys):
    trained(capsys)
    first = viz.training("runs/1").recording
    steps = list(first.steps)
    assert steps == list(range(1, steps[-1] + 1)) and np.isfinite(first.loss).all()
    run(capsys, "train --resume runs/1 --epochs 2")
    assert list(viz.training("runs/1").recording.steps) == list(range(1, 2 * steps[-1] + 1))


def test_what_the_last_line_says_can_be_typed(capsys):
    out, _ = trained(capsys)
    _, program, *arguments = shlex.split(out.splitlines()[-1])
    assert program == "tinygrad-rnn"
    assert run(capsys, [*arguments, "--length", "30"]).out.startswith("The ")


def test_the_folders_of_runs_are_numbered(capsys):
    for number in ("1", "2"):
        trained(capsys)
        assert Path("runs", number, "metrics.csv").exists()


def test_without_a_layout_program_the_dot_file_is_left_with_advice(capsys, monkeypatch):
    def no_program(*what):
        raise viz.LayoutError("no program")

    monkeypatch.setattr(picture, "render", no_program)
    out, _ = trained(capsys)
    assert Path("runs/1/graph.dot").read_text().startswith("digraph") and not Path("runs/1/graph.svg").exists()
    assert len(re.findall(r"^.*graph\.dot: pip install.*$", out, re.MULTILINE)) == 1


def test_a_sample_is_the_prime_and_what_follows_and_a_seed_repeats_it(capsys, finished):
    one, two, other = (
        run(capsys, ["sample", "runs/1", "--prime", "The ", "--length", "60", "--seed", seed]).out for seed in "112"
    )
    assert one == two != other and one.startswith("The ") and len(one) == 4 + 60 + 1
    run_ = train.Run.load("runs/1")
    assert one == "The " + run_.sample("The ", length=60, rng=np.random.default_rng(1)) + "\n"


def test_without_arguments_it_trains(monkeypatch, capsys):
    monkeypatch.setattr(command, "_train", lambda options, program: print(options.command, options.text))
    assert run(capsys, []).out == "train None\n"


def test_an_interrupted_run_says_how_to_go_on_and_goes_on(capsys, monkeypatch):
    trained(capsys, "--out", "whole")

    class Stop(train.Progress):
        def after_step(self, trainer):
            super().after_step(trainer)
            if trainer.step == 30:
                os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(train, "Progress", Stop)
        _, err = run(capsys, ["train", "--text", "text.txt", *SMALL, "--out", "a run"], code=130)
    assert re.fullmatch(
        r"tinygrad-rnn: stopped after step 30 of \d+, checkpoint written; "
        r"go on with: tinygrad-rnn train --resume 'a run'\n",
        err,
    )
    assert "Going on after step 30" in run(capsys, ["train", "--resume", "a run"]).out
    weights = [max(Path(folder, "checkpoints").iterdir()) / "weights.safetensors" for folder in ("whole", "a run")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_ctrl_c_while_the_picture_is_drawn_leaves_a_finished_run_that_resuming_completes(capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(command, "_draw", lambda run: os.kill(os.getpid(), signal.SIGINT))
        _, err = run(capsys, ["train", "--text", "text.txt", *SMALL], code=130)
    assert "go on with: tinygrad-rnn sample runs/1" in err
    assert run(capsys, "sample runs/1 --length 3").out
    assert run(capsys, "train --resume runs/1").out and Path("runs/1/graph.svg").exists()


def test_a_real_ctrl_c_writes_a_checkpoint_and_leaves_with_130():
    environment = {**os.environ, "PYTHONPATH": str(Path(tinygrad_rnn.__file__).parent.parent)}
    arguments = ["train", "--text", "text.txt", *SMALL, "--epochs", "1000", "--out", "run"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tinygrad_rnn", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not Path("run/metrics.csv").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.count("\n") == 1 and "go on with: python -m tinygrad_rnn train --resume run" in err
    assert train.Run.load("run").step > 0


def test_a_damaged_checkpoint_is_a_warning_of_one_line(capsys, finished):
    newest = max(Path("runs/1/checkpoints").iterdir())
    (newest / "weights.safetensors").write_bytes(b"damaged")
    _, err = run(capsys, "sample runs/1 --length 5")
    assert err.count("\n") == 1 and "warning" in err and "weights.safetensors is damaged" in err


def test_an_own_cell_is_executed_only_when_it_is_named_on_the_command_line(capsys):
    out, _ = trained(capsys, "--cell", "mine.py:Mine")
    assert "sample runs/1 --cell mine.py:Mine" in out.splitlines()[-1]
    Path("executed").unlink()
    assert "executes nothing" in refused(capsys, "sample runs/1")
    assert "executes nothing" in refused(capsys, "train --resume runs/1 --epochs 2")
    assert not Path("executed").exists()
    run(capsys, "sample runs/1 --cell mine.py:Mine --length 5")
    assert Path("executed").exists()
    assert "Going on" in run(capsys, "train --resume runs/1 --epochs 2 --cell mine.py:Mine").out


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_cell_of_nn_is_trained_sampled_and_gone_on_with_by_its_name(capsys, name):
    Path("text.txt").write_text(TEXT[:400])
    run(capsys, ["train", "--text", "text.txt", "--cell", name, *SMALL])
    assert run(capsys, "sample runs/1 --prime The --length 5").out.startswith("The")
    again = f"train --resume runs/1 --epochs 2 --cell {BUILT_IN[name].__name__}"
    assert f"{name}, 1 x 6" in run(capsys, again).out


def test_another_cell_than_that_of_the_run_is_refused(capsys):
    trained(capsys, "--cell", "MGUCell")
    assert "uses the cell mgu; open it without another cell" in refused(capsys, "train --resume runs/1 --cell gru")


def test_an_own_cell_that_fails_is_told_by_its_line(capsys):
    Path("mine.py").write_text(CELL.replace("np.tanh(self.from_input(x) + h)", "self.from_input(x) @ h"))
    assert re.search(r"mine.py, line 12: ShapeError", refused(capsys, "train --text text.txt --cell mine.py:Mine"))
    Path("mine.py").write_text(CELL.replace("np.tanh(self.from_input(x) + h)", "sum([a for a, b in [h]])"))
    for words in ("train --text text.txt --cell", "draw"):
        told = refused(capsys, f"{words} mine.py:Mine")
        assert "line 12: ValueError" in told and "needs def initial_state(self, batch_size): " in told
    Path("mine.py").write_text(CELL.replace("forward", "backward"))
    assert "Mine has no forward" in refused(capsys, "train --text text.txt --cell mine.py:Mine")
    Path("mine.py").write_text(CELL.replace("hidden_size):", "):"))
    assert "write def __init__(self, input_size, hidden_size)" in refused(
        capsys, "train --text text.txt --cell mine.py:Mine"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "is empty"),
        (b"a", "one character"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"too short", "do not fill one window"),
    ],
)
def test_a_text_that_cannot_be_learnt_is_refused(capsys, content, message):
    if content is not None:
        Path("bad.txt").write_bytes(content)
    assert message in refused(capsys, ["train", "--text", "bad.txt"])
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train --text .", "is a folder"),
        ("train --hidden 0", "hidden is 0"),
        ("train --hidden many", "--hidden: 'many' is no whole number; give one"),
        ("train --lr fast", "--lr: 'fast' is no number; give one"),
        ("sample . --length 2.5", "--length: '2.5' is no whole number; give one"),
        ("--text text.txt", "no command before --text; write tinygrad-rnn train --text"),
        ("train --lr 0", "lr is 0"),
        ("train --lr nan", "lr is nan"),
        ("train --cell transformer", "give one of rnn, lstm, gru"),
        ("train --cell nothing.py:Mine", "there is no file nothing.py"),
        ("train --cell mine.py:Yours", "no class Yours"),
        ("train --optimizer lion", "give one of sgd"),
        ("train --checkpoint -1", "checkpoint is -1"),
        ("train --checkpoint nan", "checkpoint is nan"),
        ("train --out text.txt --text text.txt --seq 8", "text.txt is a file; give a folder"),
        ("train --resume nothing", "is no run"),
        ("train --resume . --out elsewhere", "leave --out away"),
        ("train --hid 3", "unrecognized arguments"),
        ("sample", "required: DIR"),
        ("sample .", "is no run"),
        ("sample text.txt", "is no run"),
        ("dance", "invalid choice: 'dance'"),
    ],
)
def test_bad_input_is_refused_in_one_line(capsys, line, message):
    assert message in refused(capsys, line)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--prime ÄÖ", "'Ä', 'Ö'"),
        ("--temperature -1", "temperature is -1"),
        ("--temperature nan", "temperature is nan"),
        ("--length -1", "length is -1"),
        ("--seed -1", "seed is -1"),
        ("--cell gru", "uses the cell lstm"),
    ],
)
def test_a_sample_that_cannot_be_is_refused(capsys, more, message, finished):
    assert message in refused(capsys, f"sample runs/1 {more}")


def test_resuming_keeps_the_settings_and_wants_more_epochs_of_a_finished_run(capsys, finished):
    assert "is finished, with 1 epochs; give --epochs 2" in refused(capsys, "train --resume runs/1")
    assert "was begun with --hidden 6" in refused(capsys, "train --resume runs/1 --epochs 2 --hidden 7")
    assert "holds a run already" in refused(capsys, "train --text text.txt --out runs/1 --seq 8")
    assert "Going on" in run(capsys, "train --resume runs/1 --epochs 2 --hidden 6 --text text.txt").out


@pytest.mark.parametrize("lost", [["graph.svg"], ["loss.svg"], ["metrics.csv", "graph.svg"]], ids=str)
def test_resuming_a_finished_run_writes_what_it_still_lacks_and_trains_no_further(capsys, lost):
    trained(capsys)
    newest = max(Path("runs/1/checkpoints").iterdir())
    before = {path: path.read_bytes() for path in [*newest.iterdir(), *(Path("runs/1", name) for name in lost)]}
    for name in lost:
        Path("runs/1", name).unlink()
    out, err = run(capsys, "train --resume runs/1")
    assert f"steps are done; what is still to be written: {', '.join(lost)}." in out and err == ""
    assert {path: path.read_bytes() for path in before} == before
    assert newest == max(Path("runs/1/checkpoints").iterdir())
    assert "is finished" in refused(capsys, "train --resume runs/1")


def test_a_finished_run_whose_picture_was_left_as_dot_lacks_nothing(capsys):
    trained(capsys)
    Path("runs/1/graph.svg").rename("runs/1/graph.dot")
    assert "is finished" in refused(capsys, "train --resume runs/1")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loss_that_explodes_is_told_with_advice(capsys):
    options = ["--optimizer", "sgd", "--lr", "1e38", "--clip", "0", "--cell", "rnn"]
    err = run(capsys, ["train", "--text", "text.txt", *SMALL, *options], code=2).err
    assert re.fullmatch(
        r"tinygrad-rnn: .*(take a smaller one|smaller learning rate), or clip the gradient", err.splitlines()[-1]
    )


def test_a_full_disk_is_told_in_one_line(capsys, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in refused(capsys, ["train", "--text", "text.txt", *SMALL])


def test_whoever_reads_the_beginning_of_a_sample_only_gets_no_traceback(finished):
    environment = {**os.environ, "PYTHONPATH": str(Path(tinygrad_rnn.__file__).parent.parent), "LC_ALL": "C"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tinygrad_rnn", "sample", "runs/1", "--length", "100000"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait(timeout=60) != 0
    process.stderr.close()


def test_a_terminal_that_lacks_a_character_shows_another(tmp_path):
    Path("text.txt").write_text(TEXT.replace("number", "nümber"), encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(tinygrad_rnn.__file__).parent.parent),
        "PYTHONIOENCODING": "ascii",
    }
    line = [sys.executable, "-m", "tinygrad_rnn", "train", "--text", "text.txt", *SMALL, "--out", "rün"]
    done = subprocess.run(line, env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_help_names_every_option_with_its_default(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for name in train.Config().to_dict():
        assert f"--{name}" in text
    assert "(default: 256)" in text and "(default: 0.008)" in text
