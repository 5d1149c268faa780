"""A size, a rate or a cell that cannot be is refused under the name that the user gave it by."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import CellError, ConfigError

LAYERS = [nn.RNN, nn.LSTM, nn.GRU, nn.MinGRU, nn.MinLSTM]
CELLS = [
    nn.RNNCell,
    nn.IRNNCell,
    nn.IndRNNCell,
    nn.GRUCell,
    nn.MGUCell,
    *nn.GREFF_VARIANTS.values(),
    nn.ProjectedLSTMCell,
    nn.LayerNormLSTMCell,
    nn.LayerNormGRUCell,
    nn.DepthGatedLSTMCell,
    nn.GridLSTMCell,
    nn.LSTMNCell,
    nn.MinGRUCell,
    nn.MinLSTMCell,
]
NO_SIZES = st.one_of(
    st.integers(max_value=0), st.floats(), st.text(max_size=3), st.booleans(), st.none(), st.just(np.array([2]))
)


@settings(max_examples=20)
@given(NO_SIZES)
@pytest.mark.parametrize(
    ("make", "name"),
    [(kind, name) for kind in LAYERS + CELLS for name in ("input_size", "hidden_size")]
    + [(kind, "num_layers") for kind in LAYERS]
    + [(nn.Linear, "in_features"), (nn.Linear, "out_features")]
    + [(nn.Embedding, "num_embeddings"), (nn.Embedding, "embedding_dim")],
)
def test_a_size_that_is_no_positive_integer_is_refused_by_its_own_name(make, name, value):
    names = {
        nn.Linear: ("in_features", "out_features"),
        nn.Embedding: ("num_embeddings", "embedding_dim"),
    }.get(make, ("input_size", "hidden_size"))
    sizes = dict.fromkeys(names, 2) | {name: value}
    with pytest.raises(ConfigError, match=f"^{re.escape(f'{name} is {value!r}')}; give an integer of at least 1$"):
        make(**sizes)


@pytest.mark.parametrize("kind", LAYERS + CELLS)
def test_sizes_may_be_integers_of_numpy(kind):
    sizes = kind(np.int64(2), np.int32(3))
    assert sum(p.size for p in sizes.parameters()) == sum(p.size for p in kind(2, 3).parameters())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Dropout("a"), "dropout at a rate of 'a'; give a number from 0 to 1"),
        (lambda: nn.Dropout(True), "dropout at a rate of True"),
        (lambda: nn.LSTM(2, 3, 2, dropout="a"), "dropout at a rate of 'a'"),
        (lambda: nn.LayerNorm(3, eps=-1), "eps is -1; give a number of at least 0"),
        (lambda: nn.LayerNorm(3, eps=float("nan")), "eps is nan; give a number"),
        (lambda: nn.LayerNorm(3, eps="a"), "eps is 'a'; give a number"),
    ],
)
def test_a_rate_that_cannot_be_is_refused(make, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        make()


def test_a_layer_in_the_place_of_a_cell_is_refused_in_one_line():
    with pytest.raises(CellError, match=r"^a LSTM is neither a cell nor a pair of cells; derive from nn\.Cell[^\n]*$"):
        nn.Recurrent(nn.LSTM(3, 4))
