"""Where pictures and pages are written: a folder that is not there is told, with the way out."""

from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import data, nn, train, viz
from tinygrad_rnn.core.errors import ConfigError


def result():
    return np.sum(np.tanh(tg.Tensor([1.0, 2.0], requires_grad=True, name="w")))


def reader():
    vocabulary = data.CharVocabulary.from_text("abc")
    return SimpleNamespace(model=train.CharModel(3, nn.GRUCell, train.Config(hidden=2)), vocabulary=vocabulary)


SAVED = {
    "a picture": (lambda: viz.draw(result()), "x.dot"),
    "a cell": (lambda: viz.draw_cell(nn.RNNCell(3, 4)), "x.svg"),
    "a page": (lambda: viz.explore(result()), "x.html"),
    "a figure": (lambda: viz.gradient_flow(nn.RNN(2, 3), np.ones((3, 1, 2))), "x.svg"),
    "neurons": (lambda: viz.neurons(reader(), "abcabc", lambda text: np.arange(len(text)) % 3), "x.html"),
}


@pytest.mark.parametrize("kind", SAVED)
def test_a_folder_that_is_not_there_is_told_with_the_way_out(kind, tmp_path):
    make, name = SAVED[kind]
    with pytest.raises(ConfigError, match=r"no folder .*nodir.* for 'x\.\w+'; make it first, with os\.makedirs"):
        make().save(tmp_path / "nodir" / name)


@pytest.mark.parametrize("kind", SAVED)
@pytest.mark.parametrize("path", [None, 3, b"x.svg"])
def test_what_is_no_path_is_told(kind, path):
    with pytest.raises(ConfigError, match=r"^path is .*; give the name of a file as a str"):
        SAVED[kind][0]().save(path)


def test_a_path_that_is_a_folder_is_told(tmp_path):
    (tmp_path / "x.dot").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        viz.draw(result()).save(tmp_path / "x.dot")
