"""The loop carries state between windows, detached, and stops between steps."""

import math
import os
import signal

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, train
from tinygrad_rnn.core.errors import CheckpointError, NonFiniteError
from tinygrad_rnn.data import Streams

IDS = np.random.default_rng(0).integers(0, 5, 101)


class Watched(nn.Module):
    """A model that keeps the states it was given."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.given = ()
        self.modes = ()

    def forward(self, ids, state=None):
        self.given = (*self.given, state)
        self.modes = (*self.modes, self.training)
        return self.model(ids, state)


def model(dropout=0.0):
    tg.random.seed(1)
    return train.CharModel(5, nn.LSTMCell, train.Config(hidden=6, embedding=4, dropout=dropout))


def trainer(network, epochs=2, callbacks=(), lr=0.1, **more):
    streams = Streams(IDS, 2, 10)
    return train.Trainer(
        network, streams, optim.SGD(network.parameters(), lr=lr), epochs=epochs, callbacks=callbacks, **more
    )


class At(train.Callback):
    """Does something after one step."""

    def __init__(self, step, work):
        self.step, self.work = step, work

    def after_step(self, trainer):
        if trainer.step == self.step:
            self.work()


def test_state_is_carried_within_an_epoch_and_forgotten_at_its_start():
    watched = Watched(model())
    trainer(watched).fit()
    assert [state is None for state in watched.given] == [True, *[False] * 4] * 2
    streams = Streams(IDS, 2, 10)
    fresh = model()
    with tg.no_grad():
        _, expected = fresh(streams[0][0])
    np.testing.assert_array_equal(watched.given[1][0].data, expected[0].data)


def test_carried_state_is_detached():
    watched = Watched(model())
    trainer(watched).fit()
    assert not any(leaf.requires_grad for state in watched.given if state is not None for leaf in state)


def test_the_loop_does_what_its_lines_say():
    mine, theirs = model(), model()
    streams = Streams(IDS, 2, 10)
    trainer(mine, clip=0.3).fit()
    optimizer = optim.SGD(theirs.parameters(), lr=0.1)
    for _ in range(2):
        state = None
        for x, y in streams:
            logits, state = theirs(x, state)
            optimizer.zero_grad()
            nn.cross_entropy(logits, y).backward()
            optim.clip_grad_norm(theirs.parameters(), 0.3)
            optimizer.step()
            state = tuple(leaf.detach() for leaf in state)
    for name, value in theirs.state_dict().items():
        np.testing.assert_array_equal(mine.state_dict()[name], value)


def test_clipping_bounds_the_step():
    network = model()
    before = network.state_dict()
    at_one = trainer(network, lr=1.0, clip=1e-3)
    at_one.train_step(*at_one.batches[0])
    moved = math.sqrt(sum(((value - before[name]) ** 2).sum() for name, value in network.state_dict().items()))
    assert moved == pytest.approx(1e-3, rel=1e-3)


def test_a_loss_that_is_no_number_is_an_error_and_leaves_the_weights():
    network = model()
    network.head.bias.assign(np.full(5, np.nan))
    before = network.state_dict()
    with pytest.raises(NonFiniteError, match=r"step 1: the loss is nan.*take a smaller one"):
        trainer(network).fit()
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_validation_loss_that_is_no_number_is_an_error():
    network = model()
    training = trainer(network, callbacks=[train.Evaluate(Streams(IDS, 1, 20), times=5)])
    training.callbacks.insert(0, At(1, lambda: network.head.bias.assign(np.full(5, np.nan))))
    with pytest.raises(NonFiniteError, match="step 1: the validation loss is nan"):
        training.fit()


def test_every_callback_is_closed_after_an_error_also_where_one_cannot_be():
    class Closed(train.Callback):
        was = False

        def close(self):
            self.was = True
            raise OSError("no space left")

    def fail():
        raise RuntimeError("mine")

    first, second = Closed(), Closed()
    with pytest.raises(OSError, match="no space left") as caught:
        trainer(model(), callbacks=[first, At(1, fail), second]).fit()
    assert first.was and second.was
    assert isinstance(caught.value.__context__.__context__, RuntimeError)


def test_the_schedule_takes_one_step_per_window():
    network = model()
    streams = Streams(IDS, 2, 10)
    optimizer = optim.SGD(network.parameters(), lr=0.1)
    schedule = optim.CosineLR(optimizer, total=2 * len(streams))
    train.Trainer(network, streams, optimizer, schedule=schedule, epochs=2).fit()
    assert optimizer.lr == pytest.approx(0, abs=1e-12)


def test_callbacks_are_told_in_order_and_closed_even_after_an_error():
    told = []

    class Tell(train.Callback):
        def __init__(self, name):
            self.name = name

        def start(self, trainer):
            told.append((self.name, "start", trainer.step))

        def after_step(self, trainer):
            told.append((self.name, "step", trainer.step))
            if trainer.step == 2:
                raise ZeroDivisionError

        def end(self, trainer):
            told.append((self.name, "end", trainer.step))

        def close(self):
            told.append((self.name, "close", None))

    with pytest.raises(ZeroDivisionError):
        trainer(model(), callbacks=[Tell("a"), Tell("b")]).fit()
    steps = [("a", "step", 1), ("b", "step", 1), ("a", "step", 2)]
    assert told == [("a", "start", 0), ("b", "start", 0), *steps, ("a", "close", None), ("b", "close", None)]


def test_ctrl_c_ends_after_the_step_and_raises_once_the_callbacks_have_ended():
    ended = []

    class End(train.Callback):
        def end(self, trainer):
            ended.append(trainer.step)

    before = signal.getsignal(signal.SIGINT)
    training = trainer(model(), callbacks=[At(3, lambda: os.kill(os.getpid(), signal.SIGINT)), End()])
    with pytest.raises(KeyboardInterrupt):
        training.fit()
    assert ended == [3] and training.step == 3
    assert signal.getsignal(signal.SIGINT) is before
    training.fit()
    assert training.finished


def test_a_second_ctrl_c_does_not_wait():
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the second one was not heard")

    with pytest.raises(KeyboardInterrupt):
        trainer(model(), callbacks=[At(1, twice)]).fit()


def test_a_handler_of_ones_own_is_kept():
    heard = []
    before = signal.signal(signal.SIGINT, lambda *details: heard.append(1))
    try:
        training = trainer(model(), callbacks=[At(1, lambda: os.kill(os.getpid(), signal.SIGINT))])
        training.fit()
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [1] and training.finished


def test_training_and_evaluation_have_their_modes():
    watched = Watched(model(dropout=0.5)).eval()
    evaluation = train.Evaluate(Streams(IDS, 1, 20), times=1)
    trainer(watched, epochs=1, callbacks=[evaluation]).fit()
    assert watched.modes == (True,) * 5 + (False,) * 5
    assert watched.training


def test_the_loss_of_an_evaluation_is_the_mean_over_the_whole_text_with_state_carried():
    network, streams = model(), Streams(IDS, 2, 10)
    x, y = (np.concatenate(parts) for parts in zip(*streams, strict=True))
    with tg.no_grad():
        expected = nn.cross_entropy(network(x)[0], y).item()
    assert train.evaluate(network, streams) == pytest.approx(expected, abs=1e-6)


def test_rows_of_the_history_stand_at_even_distances_and_average_the_training_loss():
    losses = []

    class Loss(train.Callback):
        def after_step(self, trainer):
            losses.append(trainer.loss)

    training = trainer(model(), epochs=2, callbacks=[Loss(), train.Evaluate(Streams(IDS, 1, 20), times=2)])
    training.fit()
    assert [row["step"] for row in training.history] == [3, 5, 8, 10]
    assert [row["chars"] for row in training.history] == [60, 100, 160, 200]
    assert training.history[1]["train_loss"] == pytest.approx(np.mean(losses[3:5]))
    seconds = [row["seconds"] for row in training.history]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adagrad", "Adam", "AdamW"])
@pytest.mark.parametrize("stop", [1, 4, 5, 7])
def test_a_trainer_goes_on_bit_for_bit_from_its_state(name, stop):
    def new():
        network = model(dropout=0.3)
        optimizer = getattr(optim, name)(network.parameters(), lr=0.01)
        schedule = optim.WarmUp(optimizer, 3, after=optim.CosineLR(optimizer, total=10))
        evaluation = train.Evaluate(Streams(IDS, 1, 20), times=2)
        return train.Trainer(
            network, Streams(IDS, 2, 10), optimizer, schedule=schedule, clip=1.0, epochs=2, callbacks=[evaluation]
        )

    whole, first = new(), new()
    tg.random.seed(7)
    whole.fit()
    tg.random.seed(7)
    first.callbacks.append(At(stop, lambda: os.kill(os.getpid(), signal.SIGINT)))
    with pytest.raises(KeyboardInterrupt):
        first.fit()
    weights, state = first.model.state_dict(), first.state_dict()
    second = new()
    tg.random.seed(99)
    second.model.load_state_dict(weights)
    second.load_state_dict(state)
    second.fit()
    for key, value in whole.model.state_dict().items():
        np.testing.assert_array_equal(second.model.state_dict()[key], value)
    without_seconds = [[{**row, "seconds": 0} for row in each.history] for each in (whole, second)]
    assert without_seconds[0] == without_seconds[1]


def test_a_state_that_does_not_fit_is_a_named_error():
    network = model()
    training = trainer(network)
    with pytest.raises(CheckpointError, match="does not fit"):
        training.load_state_dict({"step": 1})


def test_two_callbacks_of_a_class_keep_their_states_apart():
    evaluations = [train.Evaluate(Streams(IDS, 1, 20)), train.Evaluate(Streams(IDS, 1, 20))]
    training = trainer(model(), callbacks=evaluations)
    training.train_step(*training.batches[0])
    evaluations[1].after_step(training)
    state = training.state_dict()
    again = [train.Evaluate(Streams(IDS, 1, 20)), train.Evaluate(Streams(IDS, 1, 20))]
    trainer(model(), callbacks=again).load_state_dict(state)
    assert [each.state_dict()["count"] for each in again] == [0, 1]
