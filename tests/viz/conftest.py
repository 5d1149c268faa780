"""Small character models, trained or not, that pictures through time are drawn of."""

from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import data, nn, train

TEXT = 'a "b (c)" d\n' * 8


class Reader(nn.Module):
    """A model of one layer that reads tokens as they are."""

    def __init__(self, cell):
        super().__init__()
        self.layer = nn.Recurrent(cell)

    def forward(self, ids):
        return self.layer(ids)


@pytest.fixture
def untrained():
    """Make a run that has not been trained: of any cell, for any text."""

    def make(cell=nn.LSTMCell, text=TEXT, **settings):
        vocabulary = data.CharVocabulary.from_text(text)
        tg.random.seed(0)
        config = train.Config(**{"hidden": 4, "embedding": 3, "layers": 1, **settings})
        return SimpleNamespace(model=train.CharModel(len(vocabulary), cell, config), vocabulary=vocabulary)

    return make


@pytest.fixture
def reading():
    """Make a run whose only cell is the one given, which gets the characters as their code points."""

    def make(cell):
        vocabulary = SimpleNamespace(encode=lambda text: np.array([ord(character) for character in text]))
        return SimpleNamespace(model=Reader(cell), vocabulary=vocabulary)

    return make


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The folder of a run of a few steps, recorded."""
    home = tmp_path_factory.mktemp("run")
    text = home / "text.txt"
    text.write_text(TEXT * 5, encoding="utf-8")
    config = train.Config(hidden=4, embedding=3, layers=2, seq=8, batch=2, epochs=2, cell="gru", dropout=0.0)
    _, trainer = train.begin(home / "run", config, file=text, callbacks=[train.Recorder(home / "run")])
    trainer.fit()
    return home / "run"
