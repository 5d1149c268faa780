"""A cell is named by the user, and what is wrong with its file is said in one line."""

import sys

import pytest

from tinygrad_rnn import nn, train
from tinygrad_rnn.core.errors import CellError, ConfigError
from tinygrad_rnn.train.cells import where

CELL = """
from neighbour import size
from tinygrad_rnn import nn
class Mine(nn.Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = size(hidden_size)
class NoCell: pass
number = 3
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "neighbour.py").write_text("def size(n): return n")
    path = tmp_path / "mine.py"
    path.write_text(CELL)
    return path


def test_a_class_comes_from_a_file_that_may_import_its_neighbours(file):
    before = list(sys.path)
    cell = train.import_cell(f"{file}:Mine")
    assert sys.path == before
    assert issubclass(cell, nn.Cell) and cell(2, 3).hidden_size == 3


def test_the_built_in_cells_have_names():
    assert [train.import_cell(name) for name in ("rnn", "lstm", "gru")] == [nn.RNNCell, nn.LSTMCell, nn.GRUCell]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("transformer", ConfigError, "give one of rnn, lstm, gru or FILE.py:CLASS"),
        ("{folder}/nothing.py:Mine", ConfigError, "there is no file"),
        ("{folder}/mine.py:", ConfigError, "FILE.py:CLASS"),
        ("{folder}/mine.py:Yours", ConfigError, "no class Yours; its cells are Mine"),
        ("{folder}/mine.py:number", ConfigError, "no class number"),
        ("{folder}/mine.py:NoCell", CellError, r"write `class NoCell\(nn.Cell\)`"),
    ],
)
def test_a_wrong_name_says_what_to_give(file, name, error, message):
    with pytest.raises(error, match=message):
        train.import_cell(name.format(folder=file.parent))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\ny = unknown\n", "line 2: NameError"),
        ("x = 1\n\nif\n", "line 3: SyntaxError"),
        ("import nothing_such", "line 1"),
    ],
)
def test_a_file_that_fails_is_named_with_the_line(tmp_path, source, message):
    path = tmp_path / "broken.py"
    path.write_text(source)
    with pytest.raises(CellError, match=f"broken.py failed while it was imported: {message}"):
        train.import_cell(f"{path}:Mine")


def test_an_error_is_told_in_one_line(tmp_path):
    assert where(ValueError("a\n b"), tmp_path) == "ValueError: a b"
    assert where(ValueError(), tmp_path) == "ValueError"
