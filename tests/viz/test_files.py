"""Where pictures and pages are written: a folder that is not there is told, with the way out."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.core.errors import ConfigError


def result():
    return np.sum(np.tanh(tg.Tensor([1.0, 2.0], requires_grad=True, name="w")))


SAVED = {
    "a picture": (lambda: viz.draw(result()), "x.dot"),
    "a cell": (lambda: viz.draw_cell(nn.RNNCell(3, 4)), "x.svg"),
    "a page": (lambda: viz.explore(result()), "x.html"),
    "a figure": (lambda: viz.gradient_flow(nn.RNN(2, 3), np.ones((3, 1, 2))), "x.svg"),
}


@pytest.mark.parametrize("kind", SAVED)
def test_a_folder_that_is_not_there_is_told_with_the_way_out(kind, tmp_path):
    make, name = SAVED[kind]
    with pytest.raises(ConfigError, match=r"no folder .*nodir.* for 'x\.\w+'; make it first, with os\.makedirs"):
        make().save(tmp_path / "nodir" / name)


def test_a_path_that_is_a_folder_is_told(tmp_path):
    (tmp_path / "x.dot").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        viz.draw(result()).save(tmp_path / "x.dot")
