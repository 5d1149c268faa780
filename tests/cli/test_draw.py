"""The command draws cells and runs; whatever is wrong is one line on stderr."""

import sys
from pathlib import Path

import pytest

from tinygrad_rnn import train
from tinygrad_rnn.cli.main import main
from tinygrad_rnn.train.cells import BUILT_IN

CELL = """
import numpy as np
from tinygrad_rnn import nn
class Mine(nn.Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(input_size, hidden_size)
    def forward(self, x, h):
        h = np.cos(self.from_input(x) + h)
        return h, h
class Fails(Mine):
    def forward(self, x, h):
        return 1 / 0
class Odd(nn.Cell):
    def __init__(self):
        super().__init__()
"""


@pytest.fixture(autouse=True)
def _in_a_folder_with_a_cell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tinygrad-rnn"])
    Path("my_own_cells.py").write_text(CELL)
    Path("no_cells.py").write_text("from math import pi\n")


@pytest.fixture
def run_folder():
    settings = train.Config(cell="gru", hidden=6, embedding=4, seq=8, batch=4, epochs=1)
    Path("text.txt").write_text("one two three four five six seven eight nine ten\n" * 20)
    train.begin("runs/1", settings, file="text.txt", seconds=0)[1].fit()
    return "runs/1"


def drawn(line):
    """Run a command line and return the source of its picture."""
    assert main(["draw", *line.split(), "--out", "a.dot"]) == 0
    return Path("a.dot").read_text("utf-8")


@pytest.mark.parametrize("name", [*BUILT_IN, "my_own_cells.py:Mine", "my_own_cells:Mine"])
def test_a_cell_is_drawn_as_a_layer_over_time(name):
    assert "× 10   t = 0 … 9" in drawn(name)


def test_the_options_are_those_of_draw():
    assert "t = 2 … 8" in drawn("rnn --time unroll")
    assert drawn("lstm --depth 2").count("box3d") == 1
    source = drawn("gru --backward --show shapes,values --direction LR --legend")
    for text in ("∂h", "‖∂‖", "rankdir=LR", "cluster_legend", "label=<mean<"):
        assert text in source
    assert "label=<mean<" not in drawn("gru --backward --no-forward")


def test_the_same_command_draws_the_same_picture():
    assert drawn("lstm --backward") == drawn("lstm --backward")


def test_a_run_is_drawn_with_its_weights_and_its_loss(run_folder):
    source = drawn(f"{run_folder} --depth 2")
    assert "embedding" in source and "head" in source
    source = drawn(f"{run_folder} --backward")
    assert "doubleoctagon" in source and "∂weight" in source


def test_a_picture_is_written_where_it_is_asked_for(capsys):
    pytest.importorskip("pygraphviz", reason="the extra viz lays pictures out")
    assert main(["draw", "rnn"]) == 0
    assert Path("graph.svg").read_text("utf-8").startswith("<svg")
    assert capsys.readouterr().out == "rnn is drawn in graph.svg\n"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("transformer", "cannot draw 'transformer'; give rnn, lstm, gru, "),
        ("nothing.py:Mine", "there is no file nothing.py"),
        ("my_own_cells.py:Yours", "no class Yours"),
        ("nothing.py", "there is no such file; give FILE.py:CLASS"),
        ("my_own_cells.py", "my_own_cells.py:Mine or my_own_cells.py:Fails or my_own_cells.py:Odd"),
        ("no_cells.py", "write `class Mine(nn.Cell)` in it, and give no_cells.py:Mine"),
        ("my_own_cells.py:Odd", "write def __init__(self, input_size, hidden_size)"),
        ("my_own_cells.py:Fails", "Fails failed in my_own_cells.py, line 14: ZeroDivisionError"),
        ("my_own_cells:Fails", "Fails failed in my_own_cells.py, line 14: ZeroDivisionError"),
        ("no_such_module:Mine", "there is no module no_such_module"),
        ("lstm --time sideways", "time is 'sideways'"),
        ("lstm --show norms", "show is ('norms',)"),
        ("lstm --depth none", "'none' is no whole number"),
        ("lstm --direction up", "direction is 'up'"),
        ("lstm --no-forward", "neither forward nor backward"),
        ("lstm --out a.gif", "end it in .svg"),
        ("lstm --cell my_own_cells.py:Mine", "leave --cell away"),
        (".", "no checkpoint"),
        ("", "required: WHAT"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(capsys, line, reason):
    assert main(["draw", *line.split()]) == 2
    out, err = capsys.readouterr()
    assert reason in err and err.count("\n") == 1 and not out


def test_an_empty_name_is_no_folder(capsys):
    assert main(["draw", ""]) == 2
    assert "cannot draw ''" in capsys.readouterr().err
