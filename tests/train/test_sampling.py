"""A sample follows the model's probabilities, and sampling disturbs nothing."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import data, nn, train
from tinygrad_rnn.core.errors import ConfigError, DataError, NonFiniteError
from tinygrad_rnn.scan.engines import available
from tinygrad_rnn.train.sampling import draw, stream

VOCABULARY = data.CharVocabulary("\n abc")


def model(cell=nn.GRUCell, layers=2, dropout=0.0):
    tg.random.seed(3)
    network = train.CharModel(5, cell, train.Config(hidden=8, layers=layers, embedding=4, dropout=dropout))
    for parameter in network.parameters():
        parameter.assign(3 * parameter.data)  # So that what was read matters.
    return network.eval()


def text(network=None, prime="", seed=0, **more):
    more.setdefault("length", 50)
    return "".join(stream(network or model(), VOCABULARY, prime, rng=np.random.default_rng(seed), **more))


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_steps_give_what_the_whole_text_gives(cell):
    network, ids = model(cell), VOCABULARY.encode("abc cab a")
    with tg.no_grad():
        together = network(ids[:, None])[0].data[:, 0]
    state, one_by_one = None, []
    for number in ids:
        logits, state = network.step(np.array([number]), state)
        one_by_one.append(logits[0])
    np.testing.assert_allclose(one_by_one, together, atol=1e-6)


@pytest.mark.parametrize("engine", available())
@pytest.mark.parametrize("cell", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_every_engine_writes_the_text_of_steps_that_are_taken_as_they_are(cell, engine):
    network, numbers = model(cell), VOCABULARY.encode("abc cab a")
    read, state = network.stepper(engine), None
    for number in numbers.tolist():
        logits, state = network.step(np.array([number]), state)
        np.testing.assert_allclose(read(number), logits[0], atol=1e-5)
    with tg.engine("eager"):
        wanted = [text(network, temperature=temperature) for temperature in (0, 1.0)]
    with tg.engine(engine):
        assert [text(network, temperature=temperature) for temperature in (0, 1.0)] == wanted


def test_a_stream_keeps_the_weights_that_it_began_with():
    network, wanted = model(), text()
    begun = stream(network, VOCABULARY, length=50, rng=np.random.default_rng(0))
    first = next(begun)
    for parameter in network.parameters():
        parameter.assign(0 * parameter.data)
    assert first + "".join(begun) == wanted


def test_temperature_zero_takes_the_best_character_always():
    assert text(temperature=0, seed=1) == text(temperature=0, seed=2)
    assert draw(np.array([1.0, 3.0, 2.0]), 0, np.random.default_rng(0)) == 1


def test_the_same_chance_gives_the_same_text_and_another_one_another():
    assert text(seed=1, temperature=1.0) == text(seed=1, temperature=1.0) != text(seed=2, temperature=1.0)


def test_draws_have_the_probabilities_of_the_softmax():
    logits, rng = np.log([0.1, 0.2, 0.7]), np.random.default_rng(0)
    for temperature, expected in ((1.0, [0.1, 0.2, 0.7]), (0.5, np.array([0.01, 0.04, 0.49]) / 0.54)):
        counts = np.bincount([draw(logits, temperature, rng) for _ in range(20_000)], minlength=3)
        np.testing.assert_allclose(counts / 20_000, expected, atol=0.015)


@given(
    logits=st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=6),
    temperature=st.floats(0, 1e6),
    seed=st.integers(0, 5),
)
def test_extreme_scores_and_temperatures_draw_a_class_without_a_warning(logits, temperature, seed):
    chosen = draw(np.array(logits, np.float32), temperature, np.random.default_rng(seed))
    assert 0 <= chosen < len(logits)
    if 0 < temperature < 1e-3:
        assert logits[chosen] >= max(logits) - 50


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers_are_a_named_error(score):
    with pytest.raises(NonFiniteError, match="smaller learning rate"):
        draw(np.array([0.0, score]), 1.0, np.random.default_rng(0))


def test_the_greatest_random_number_draws_a_class_that_is_possible():
    class Almost:
        def random(self):
            return np.nextafter(1.0, 0.0)

    assert draw(np.array([0.0, 0.1, -1e4]), 1.0, Almost()) == 1


def test_the_prime_changes_what_follows_and_an_empty_one_is_the_start_of_a_line():
    assert text(prime="\n", temperature=1.0) == text(prime="", temperature=1.0) != text(prime="abc", temperature=1.0)
    assert text(prime="aac", temperature=1.0) != text(prime="bbc", temperature=1.0)


def test_a_vocabulary_without_line_ends_can_start_too():
    network, vocabulary = model(), data.CharVocabulary("abcde")
    assert len("".join(stream(network, vocabulary, length=9))) == 9


def test_a_stream_without_a_length_goes_on():
    endless = stream(model(), VOCABULARY, rng=np.random.default_rng(0))
    assert "".join(itertools.islice(endless, 70)) == text(length=70)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"temperature": -0.1}, ConfigError, "temperature is -0.1"),
        ({"temperature": float("nan")}, ConfigError, "temperature is nan"),
        ({"temperature": float("inf")}, ConfigError, "temperature is inf"),
        ({"length": -1}, ConfigError, "length is -1"),
        ({"length": 2.5}, ConfigError, "length is 2.5"),
        ({"prime": "xyz"}, DataError, "'x', 'y', 'z'"),
    ],
)
def test_wrong_arguments_are_refused_before_the_first_character(wrong, error, message):
    with pytest.raises(error, match=message):
        stream(model(), VOCABULARY, **wrong)


def test_a_model_in_training_is_sampled_without_dropout_and_stays_in_training():
    network = model(dropout=0.5)
    wanted = text(network)
    network.train()
    state = tg.random.get_state()
    assert text(network) == wanted
    assert network.training and tg.random.get_state() == state


def test_numbers_of_numpy_are_numbers():
    assert text(temperature=np.float32(0.5), length=np.int64(7)) == text(temperature=0.5, length=7)
