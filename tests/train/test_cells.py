"""A cell is named by the user, and what is wrong with its file is said in one line."""

import inspect
import sys

import pytest

from tinygrad_rnn import nn, train
from tinygrad_rnn.core.errors import CellError, ConfigError
from tinygrad_rnn.train.cells import BUILT_IN, built_in
from tinygrad_rnn.train.user_files import where

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


WHOLE = [
    found
    for found in vars(nn).values()
    if isinstance(found, type) and list(inspect.signature(found).parameters)[:2] == ["input_size", "hidden_size"]
    if issubclass(found, nn.Cell) and found is not nn.FeatureCell
]


def test_the_built_in_cells_have_names():
    assert [train.import_cell(name) for name in ("rnn", "lstm", "gru")] == [nn.RNNCell, nn.LSTMCell, nn.GRUCell]
    assert list(BUILT_IN)[:3] == ["rnn", "lstm", "gru"] and set(BUILT_IN.values()) == set(WHOLE) and len(WHOLE) > 20
    assert train.import_cell("no-forget-gate-lstm") is nn.NoForgetGateLSTMCell


@pytest.mark.parametrize("cell", WHOLE)
def test_a_built_in_cell_is_found_by_its_class_and_by_any_spelling_of_its_name(cell):
    (name,) = [name for name, known in BUILT_IN.items() if known is cell]
    for spelling in (name, cell.__name__, cell.__name__.removesuffix("Cell"), name.replace("-", "_"), name.upper()):
        assert built_in(spelling) == name and train.import_cell(spelling) is cell


@pytest.mark.parametrize("name", ["", "cell", "Cell", "FeatureCell", "LinearCell", "Zoneout", "lstm2", "rnn:cell"])
def test_what_is_no_whole_cell_has_no_name(name):
    assert built_in(name) is None


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("transformer", ConfigError, "give one of rnn, lstm, gru, .*, FILE.py:CLASS or MODULE:CLASS"),
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


def test_a_class_comes_from_a_module_in_the_current_folder(file, monkeypatch):
    package = file.parent / "package_of_cells"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "plain.py").write_text("from tinygrad_rnn import nn\nclass Mine(nn.Cell): pass")
    (package / "broken.py").write_text("1 / 0")
    (package / "lacking.py").write_text("import no_such_module")
    monkeypatch.chdir(file.parent)
    before = list(sys.path)
    assert issubclass(train.import_cell("package_of_cells.plain:Mine"), nn.Cell)
    assert train.import_cell("tinygrad_rnn.nn:GRUCell") is nn.GRUCell
    for name, error, message in [
        ("package_of_cells.plain:Yours", ConfigError, "no class Yours; its cells are Mine"),
        ("package_of_cells.nothing:Mine", ConfigError, "there is no module package_of_cells.nothing"),
        ("no_such_package.at.all:Mine", ConfigError, "there is no module no_such_package"),
        ("package_of_cells.broken:Mine", CellError, "broken failed while it was imported: ZeroDivisionError"),
        ("package_of_cells.lacking:Mine", CellError, "lacking failed while it was imported: ModuleNotFoundError"),
        ("not a module:Mine", ConfigError, "FILE.py:CLASS or MODULE:CLASS"),
    ]:
        with pytest.raises(error, match=message):
            train.import_cell(name)
    assert sys.path == before


def test_an_error_is_told_in_one_line(tmp_path):
    assert where(ValueError("a\n b"), tmp_path) == "ValueError: a b"
    assert where(ValueError(), tmp_path) == "ValueError"
