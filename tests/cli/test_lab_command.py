"""The command `tinygrad-rnn lab`: what is typed reaches the lab, and what is wrong is one line."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from tinygrad_rnn import lab
from tinygrad_rnn.cli.main import main

BROKEN = """
from tinygrad_rnn import nn
class Mine(nn.Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.weight = nn.Parameter([[1.0]])
    def forward(self, x, h):
        return x @ h, h
class Other:
    pass
"""


@pytest.fixture(autouse=True)
def _in_a_folder_with_a_cell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tinygrad-rnn"])
    Path("mine.py").write_text(BROKEN)
    Path("syntax.py").write_text("x = 1\nclass Mine(:\n")
    Path("leaves.py").write_text("import sys\nsys.exit('no file to read')\n")


def refused(capsys, line):
    assert main(shlex.split(line)) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and "Traceback" not in captured.err
    return captured.err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("lab", "required: FILE.py:CLASS"),
        ("lab nothing.py:Mine", "there is no file nothing.py"),
        ("lab mine.py", "a file; give the class in it as well: mine.py:Mine"),
        ("lab mine.py:Yours", "defines no class Yours; its cells are Mine"),
        ("lab mine.py:Other", "Other in mine.py is no cell; write `class Other(nn.Cell)`"),
        ("lab syntax.py:Mine", "syntax.py failed while it was imported: line 2: SyntaxError"),
        ("lab leaves.py:Mine", "leaves.py failed while it was imported: line 2: SystemExit: no file to read"),
        ("lab mine.py:Mine", "Mine is refused: it fails the check shapes: ShapeError at mine.py:9"),
        ("lab mine.py:Mine --init 64", "'64' is no argument; write name=value"),
        ("lab mine.py:Mine --tasks chess", "a task is 'chess'; give one of adding, "),
        ("lab mine.py:Mine --tasks ''", "tasks is []; give a list"),
        ("lab mine.py:Mine --against transformer", "give one of rnn, lstm, gru, "),
        ("lab mine.py:Mine --budget long", "budget is 'long'"),
        ("lab mine.py:Mine --seeds 1", "seeds is 1"),
        ("lab mine.py:Mine --seeds few", "--seeds: 'few' is no whole number"),
        ("lab mine.py:Mine --jobs 0", "jobs is 0"),
        ("lab mine.py:Mine --learning-rates fast", "'fast' are no numbers; write them with commas between"),
        ("lab mine.py:Mine(hidden_size=8) --init hidden_size=9", "hidden_size of mine.py:Mine(hidden_size=8) is given"),
        ("lab mine.py:Mine --init weight=1", "Mine(2, weight=1, hidden_size=32) failed: TypeError"),
        ("lab mine.py:Mine --cells lstm", "unrecognized arguments"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(capsys, line, message):
    assert message in refused(capsys, line)


def test_what_is_typed_reaches_the_lab_and_the_folders_are_numbered(capsys, monkeypatch):
    given = []

    def run(cell, **arguments):
        given.append((cell, arguments))
        Path(arguments["out"], "plan.json").write_text("{}")
        return "the summary"

    monkeypatch.setattr(lab, "run", run)
    line = "lab mine.py:Mine --init hidden_size=8,bias=False --against gru,a.py:B --tasks adding,Parity(length=3) "
    assert main([*line.split(), "--budget", "5m", "--seeds", "3", "--jobs", "1"]) == 0
    assert main(["lab", "mine.py:Mine"]) == 0
    (cell, first), (_, second) = given
    assert cell == "mine.py:Mine" and first.pop("say") is not None
    assert first == {
        "init": {"hidden_size": 8, "bias": False},
        "against": ["gru", "a.py:B"],
        "tasks": ["adding", "Parity(length=3)"],
        "budget": "5m",
        "seeds": 3,
        "jobs": 1,
        "learning_rates": [0.003, 0.01, 0.03],
        "out": "lab/1",
    }
    assert second["out"] == "lab/2" and second["against"] == ["lstm", "gru"] and second["seeds"] is None
    out = capsys.readouterr().out
    assert out.count("the summary") == 2 and "lab/2/report.html" in out


def test_after_ctrl_c_the_line_that_goes_on_can_be_typed(capsys, monkeypatch):
    given = []

    def run(cell, **arguments):
        given.append((cell, {key: value for key, value in arguments.items() if key != "say"}))
        Path(arguments["out"], "plan.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(lab, "run", run)
    line = "lab mine.py:Mine --init hidden_size=8 --tasks 'Parity(length=3)' --learning-rates 0.1,1"
    assert main(shlex.split(line)) == 130
    (line,) = re.findall(r"go on with: \S+ (lab .*)$", capsys.readouterr().err.strip())
    assert main(shlex.split(line)) == 130
    assert given[0] == given[1]


def test_ctrl_c_before_anything_is_kept_leaves_no_folder(capsys, monkeypatch):
    def run(cell, **arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(lab, "run", run)
    assert main(["lab", "mine.py:Mine"]) == 130
    assert "stopped before anything was trained" in capsys.readouterr().err and not Path("lab").exists()


def test_a_refused_cell_leaves_no_folder(capsys):
    refused(capsys, "lab mine.py:Mine")
    assert not Path("lab").exists()


def test_help_names_the_tasks_and_every_default(capsys):
    with pytest.raises(SystemExit):
        main(["lab", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for words in ("adding", "continual-reber", "default: lstm,gru", "default: adding,order,text", "default: 10m"):
        assert words in text
