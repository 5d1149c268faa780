"""The command `explore` writes a page of a text, of a cell of one's own, and of a run."""

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
        self.mix = nn.Linear(input_size, hidden_size)
    def forward(self, x, h):
        h = np.sin(self.mix(x) + h)
        return h, h
class Fails(Mine):
    def forward(self, x, h):
        return 1 / 0
class OneTensor(Mine):
    def forward(self, x, h):
        return np.sin(self.mix(x) + h)
class Grows(Mine):
    def forward(self, x, h):
        h = np.sin(self.mix(x) + h)
        return h, np.concatenate([h, h], axis=0)
class Flat(Mine):
    def forward(self, x, h):
        return h.sum(axis=0), h
class Odd(nn.Cell):
    def __init__(self):
        super().__init__()
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(line, code=0):
    assert main(line.split()) == code


def refused(capsys, line):
    run(line, code=2)
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and "Traceback" not in out + err
    return err


def test_a_text_gives_a_page(capsys):
    run("explore --text hello --cell rnn --hidden 3")
    assert capsys.readouterr().out.startswith("explore.html, ")
    assert "RNNCell reads &#x27;hello&#x27;" in Path("explore.html").read_text(encoding="utf-8")


def test_a_cell_of_ones_own_gives_a_page():
    Path("mine.py").write_text(CELL)
    run("explore mine.py:Mine --text abc --out mine.html --no-values")
    html = Path("mine.html").read_text(encoding="utf-8")
    assert "Mine reads" in html and '"records":[]' in html


@pytest.mark.parametrize("name", [*BUILT_IN, "other_cells.py:Mine", "other_cells:Mine"])
def test_a_cell_is_named_as_everywhere_else(name):
    Path("other_cells.py").write_text(CELL)
    run(f"explore {name} --hidden 4 --text ab --no-values")
    assert "reads &#x27;ab&#x27;" in Path("explore.html").read_text(encoding="utf-8")


def test_a_run_gives_a_page_of_what_it_writes_or_reads(capsys):
    text = "".join(f"The number {number} times {number} is {number * number}.\n" for number in range(40))
    Path("text.txt").write_text(text)
    settings = train.Config(hidden=4, embedding=3, seq=8, batch=4, epochs=1)
    train.begin("run", settings, file="text.txt", seconds=0)[1].fit()
    run("explore run")
    first = Path("explore.html").read_text(encoding="utf-8")
    assert "lstm after" in first and "embedding.weight" in first
    run("explore run --text The")
    assert "reads &#x27;The&#x27;" in Path("explore.html").read_text(encoding="utf-8")
    assert "leave it away" in refused(capsys, "explore run --hidden 7")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("explore nothing", "give a run's folder, which must exist, or a cell"),
        ("explore --text x", "from 2 to 60"),
        ("explore --hidden 0", "at least 1"),
        ("explore --seed -1", "at least 0"),
        ("explore --out page.svg", r"end it in .html"),
        ("explore --cell nothing", "give one of rnn, lstm, gru"),
        ("explore mine.py:Mine --cell rnn", "two cells"),
        ("explore mine.py:Fails", "Fails failed in mine.py, line 14: ZeroDivisionError"),
        ("explore mine.py:OneTensor", "OneTensor, step 0: it returned float32[1, 3]; return a pair"),
        ("explore mine.py:Grows", "given the state float32[1, 3] and returned the state float32[2, 3]"),
        ("explore mine.py:Flat", "return one array of shape (batch, features)"),
        ("explore mine.py", "mine.py:Mine or mine.py:Fails or mine.py:OneTensor"),
        ("explore --cell mine.py", "mine.py:Mine or mine.py:Fails or mine.py:OneTensor"),
        ("explore mine.py:Odd", "write def __init__(self, input_size, hidden_size)"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(capsys, line, said):
    Path("mine.py").write_text(CELL)
    assert said in refused(capsys, line)


def test_an_empty_name_is_no_folder(capsys):
    assert main(["explore", ""]) == 2
    assert "cannot explore ''" in capsys.readouterr().err
    assert main(["explore", "--cell", ""]) == 2
    assert "cell is ''" in capsys.readouterr().err
