"""What cannot be trained is refused under the name that the user gave it by, before the first step."""

import re

import numpy as np
import pytest

from tinygrad_rnn import data, nn, optim, train
from tinygrad_rnn.core.errors import CellError, ConfigError

SMALL = train.Config(hidden=4, embedding=2)


def trainer(batches=None, **options):
    model = train.CharModel(3, nn.RNNCell, SMALL)
    batches = data.Streams(np.arange(10) % 3, 2, 2) if batches is None else batches
    return train.Trainer(model, batches, optim.SGD(model.parameters(), lr=0.1), **options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: trainer([]), "batches has no window; give data.Streams"),
        (lambda: trainer(epochs=0), "epochs is 0; give a whole number of at least 1"),
        (lambda: trainer(epochs=1.5), "epochs is 1.5; give a whole number"),
        (lambda: trainer(clip=-1), "clip is -1; give a number of at least 0; 0 does not clip"),
        (lambda: trainer(clip="a"), "clip is 'a'"),
        (lambda: trainer(clip=float("nan")), "clip is nan"),
        (lambda: train.Evaluate([], times=0), "times is 0; give the evaluations in one pass"),
        (lambda: train.SaveCheckpoint(print, seconds=-1), "seconds is -1; give the seconds between two checkpoints"),
        (lambda: train.SaveCheckpoint(print, share=0), "share is 0; give a number above 0"),
        (lambda: train.CharModel(0, nn.RNNCell, SMALL), "symbols is 0; give the number of characters"),
        (lambda: train.CharModel("abc", nn.RNNCell, SMALL), "symbols is 'abc'; give the number of characters"),
        (lambda: train.begin("nothing", {"hidden": 4}), "config is {'hidden': 4}; give train.Config("),
    ],
)
def test_an_argument_that_cannot_be_is_refused_by_its_own_name(make, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        make()


def test_a_layer_in_the_place_of_a_cell_is_refused():
    with pytest.raises(CellError, match=r"cell makes a RNN; give a class derived from nn\.Cell"):
        train.CharModel(3, nn.RNN, SMALL)
