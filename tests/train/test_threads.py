"""Threads of the native loop change nothing from one call, or one process, to the next."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import data, nn, optim, train

pytest.importorskip("llvmlite")
from tinygrad_rnn.scan import step
from tinygrad_rnn.scan.native import engine as native

IDS = np.random.default_rng(0).integers(0, 5, 400)


def trainer():
    tg.random.seed(1)
    network = train.CharModel(5, nn.LSTMCell, train.Config(hidden=24, layers=2, embedding=7, dropout=0.2))
    adam = optim.Adam(network.parameters(), lr=0.01)
    return train.Trainer(network, data.Streams(IDS, 9, 8), adam, clip=1.0, epochs=4)


def weights(trained):
    return b"".join(parameter.data.tobytes() for parameter in trained.model.parameters())


@pytest.fixture(params=[2, 3])
def threads(request, monkeypatch):
    """As many threads as that, for any amount of work."""
    monkeypatch.setattr(step, "_steps", {})  # Loops are laid out for a number of threads.
    monkeypatch.setattr(native, "_cores", lambda: request.param)
    monkeypatch.setattr(native, "_WORTH_A_THREAD", 1)


def test_a_resumed_training_on_several_threads_ends_in_the_bits_of_one_that_went_through(threads):
    with tg.engine("native"):
        whole = trainer()
        whole.fit()
        first = trainer()
        first.steps = 7
        first.fit()
        saved = first.model.state_dict(), first.state_dict()
        rest = trainer()
        rest.model.load_state_dict(saved[0])
        rest.load_state_dict(saved[1])
        rest.fit()
    assert first.step < rest.step == whole.step and weights(rest) == weights(whole)


def test_the_same_step_gives_the_same_bits_whatever_else_the_threads_are_doing(threads):
    def gradients():
        trained = trainer()
        trained.train_step(*trained.batches[0])
        return weights(trained)

    with tg.engine("native"):
        assert len({gradients() for _ in range(20)}) == 1
