"""Weights to and from PyTorch's names and layout."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_rnn import nn
from tinygrad_rnn.core import errors
from tinygrad_rnn.interop import load_torch_state_dict, torch_state_dict

CLASSES = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
shapes = st.fixed_dictionaries(
    {
        "input_size": st.integers(1, 4),
        "hidden_size": st.integers(1, 4),
        "num_layers": st.integers(1, 3),
        "bidirectional": st.booleans(),
        "bias": st.booleans(),
    }
)


@pytest.mark.parametrize("kind", CLASSES)
@settings(deadline=None, max_examples=30)
@given(options=shapes)
def test_weights_from_pytorch_and_back_are_the_same_bits(kind, options):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, kind)(**options)
    ours = CLASSES[kind](**options)
    load_torch_state_dict(ours, theirs.state_dict())
    back = torch_state_dict(ours)
    assert list(back) == list(theirs.state_dict())
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(back[name], tensor.numpy())
        assert back[name].dtype == np.float32
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in back.items()})


@pytest.mark.parametrize("kind", CLASSES)
@given(options=shapes, dtype=st.sampled_from([np.float32, np.float64]))
def test_weights_to_pytorch_and_back_are_the_same_bits(kind, options, dtype):
    layer, other = CLASSES[kind](**options).astype(dtype), CLASSES[kind](**options).astype(dtype)
    load_torch_state_dict(other, torch_state_dict(layer))
    for (name, a), (_, b) in zip(layer.named_parameters(), other.named_parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data, err_msg=name)
        assert b.dtype == dtype


def test_names_and_shapes_are_pytorchs():
    layer = nn.GRU(3, 2, num_layers=2, bidirectional=True)
    found = {name: array.shape for name, array in torch_state_dict(layer).items()}
    assert list(found)[:5] == ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_ih_l0_reverse"]
    assert found["weight_ih_l0_reverse"] == (6, 3)
    assert found["weight_ih_l1"] == (6, 4)
    assert found["bias_hh_l1_reverse"] == (6,)


def test_what_is_given_out_is_a_copy():
    layer = nn.RNN(1, 1)
    before = layer.cells[0].from_input.weight.data.copy()
    torch_state_dict(layer)["weight_ih_l0"][:] = 9.0
    given = {name: array + 1 for name, array in torch_state_dict(layer).items()}
    np.testing.assert_array_equal(layer.cells[0].from_input.weight.data, before)
    load_torch_state_dict(layer, given)
    given["weight_ih_l0"][:] = 9.0
    np.testing.assert_array_equal(layer.cells[0].from_input.weight.data, before + 1)


def test_all_that_does_not_fit_is_listed_and_nothing_is_changed():
    layer = nn.LSTM(3, 2)
    before = copy.deepcopy(torch_state_dict(layer))
    arrays = {name: array + 1 for name, array in before.items()}
    arrays["weight_ih_l1"] = arrays.pop("bias_hh_l0")
    arrays["weight_hh_l0"] = arrays["weight_hh_l0"].T
    arrays["bias_ih_l0"] = arrays["bias_ih_l0"].astype(int)
    with pytest.raises(errors.StateDictError) as caught:
        load_torch_state_dict(layer, arrays)
    for words in (
        "missing: bias_hh_l0",
        "unexpected: weight_ih_l1",
        "weight_hh_l0: shape (2, 8), expected (8, 2)",
        "dtype int",
    ):
        assert words in str(caught.value)
    for name, array in torch_state_dict(layer).items():
        np.testing.assert_array_equal(array, before[name])


class Own(nn.LSTMCell):
    """Same weights, perhaps another formula."""


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Recurrent(Own(2, 3)), "no Own"),
        (lambda: nn.GRU(2, 3, reset_after=False), "reset_after=True"),
        (lambda: nn.GRU(2, 3, learned_state=True), "learned_state=False"),
        (lambda: nn.Recurrent([nn.GRUCell(2, 3), nn.RNNCell(3, 3)]), "one kind of cell"),
        (lambda: nn.Linear(2, 3), "Linear is no recurrent layer"),
    ],
)
def test_what_pytorch_has_no_counterpart_for_is_named(make, words):
    with pytest.raises(errors.StateDictError, match=words):
        torch_state_dict(make())
    with pytest.raises(errors.StateDictError, match=words):
        load_torch_state_dict(make(), {})
