"""A recording goes on where a training does: after an interruption, after an error, and not into another training."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import data, nn, optim, train, viz
from tinygrad_rnn.core.errors import ConfigError, DataError, NonFiniteError
from tinygrad_rnn.train import rows
from tinygrad_rnn.viz.through_time.recording import FILE, Recording

CONFIG = train.Config(hidden=4, embedding=3, seq=8, batch=4, epochs=1, cell="gru")


class Stop(train.Callback):
    """Stops a training after a step, as Ctrl-C does."""

    def __init__(self, step):
        self.step = step

    def after_step(self, trainer):
        trainer.interrupted = trainer.step == self.step


class Losses(train.Callback):
    """The loss of every step."""

    def __init__(self):
        self.of = {}

    def after_step(self, trainer):
        self.of[trainer.step] = trainer.loss


def small(callbacks, lr=0.1, cell=nn.GRUCell):
    tg.random.seed(0)
    model = train.CharModel(3, cell, train.Config(hidden=4, embedding=2))
    streams = data.Streams(np.tile([0, 1, 2, 2], 50), batch_size=2, seq_len=5)
    return train.Trainer(model, streams, optim.SGD(model.parameters(), lr=lr), callbacks=callbacks)


def until(trainer):
    """Train up to a stop."""
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()


def assert_same(one, other):
    for name in vars(one):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def assert_means(found, losses):
    """Every row is the mean of the steps since the row before that have a loss here."""
    before = 0
    for step, loss, seen in zip(found.steps, found.loss, found.seen, strict=True):
        steps = [losses[number] for number in range(before + 1, step + 1) if number in losses]
        assert loss == pytest.approx(np.mean(steps), rel=1e-12) and seen == len(steps)
        before = step


@pytest.mark.parametrize("most", [256, 8])
def test_a_resumed_training_has_the_recording_of_one_that_was_not_interrupted(tmp_path, text_file, monkeypatch, most):
    monkeypatch.setattr(rows, "MOST", most)
    losses = Losses()
    _, trainer = train.begin(
        tmp_path / "whole", CONFIG, file=text_file, callbacks=[train.Recorder(tmp_path / "whole"), losses]
    )
    trainer.fit()
    assert trainer.steps > 40
    folder = tmp_path / "parted"
    _, trainer = train.begin(folder, CONFIG, file=text_file, callbacks=[train.Recorder(folder), Stop(17)])
    until(trainer)
    assert 17 - 2 < Recording.read(folder).steps[-1] <= 17
    (folder / FILE).unlink()
    _, trainer = train.resume(folder, callbacks=[train.Recorder(folder), Stop(30)])
    until(trainer)
    _, trainer = train.resume(folder, callbacks=[train.Recorder(folder)])
    trainer.fit()
    whole, parted = Recording.read(tmp_path / "whole"), Recording.read(folder)
    assert_same(whole, parted)
    assert len(whole.steps) <= most
    assert_means(whole, losses.of)


@pytest.mark.parametrize("most", [256, 8])
def test_a_part_that_was_trained_without_a_recorder_takes_no_earlier_row_away(tmp_path, text_file, monkeypatch, most):
    monkeypatch.setattr(rows, "MOST", most)
    folder, losses = tmp_path / "run", Losses()
    _, trainer = train.begin(folder, CONFIG, file=text_file, callbacks=[train.Recorder(folder), losses, Stop(16)])
    until(trainer)
    earlier = Recording.read(folder)
    _, trainer = train.resume(folder, callbacks=[Stop(24)])
    until(trainer)
    _, trainer = train.resume(folder, callbacks=[train.Recorder(folder), losses])
    trainer.callbacks[0].start(trainer)
    assert_same(Recording.read(folder), earlier)
    trainer.fit()
    found = Recording.read(folder)
    assert found.steps[0] <= 16 and found.steps[-1] > trainer.steps - np.diff(found.steps).max()
    assert not ((found.steps > 16) & (found.steps <= 24)).any()
    assert sum(found.seen) == found.steps[-1] - 8
    assert_means(found, losses.of)


def test_rows_of_the_file_later_than_the_checkpoint_are_left_out(tmp_path):
    before = small([train.Recorder(tmp_path), Stop(10)])
    until(before)
    after = small([train.Recorder(tmp_path), Stop(8)])
    after.load_state_dict(before.state_dict() | {"step": 6, "callbacks": {}})
    until(after)
    assert Recording.read(tmp_path).steps.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("is_damaged", [True, False])
def test_a_file_whose_rows_cannot_be_gone_on_with_is_told_before_the_first_step_and_stays(tmp_path, is_damaged):
    before = small([Stop(3)])
    until(before)
    after = small([train.Recorder(tmp_path)])
    after.load_state_dict(before.state_dict())
    if is_damaged:
        (tmp_path / FILE).write_bytes(b"cut")
    else:  # of another model
        small([train.Recorder(tmp_path)], cell=nn.LSTMCell).fit()
    content = (tmp_path / FILE).read_bytes()
    with pytest.raises(DataError, match=r"delete recording\.npz there to record from step 4 on"):
        after.fit()
    assert (tmp_path / FILE).read_bytes() == content and after.step == 3


def test_a_training_that_begins_takes_the_place_of_an_earlier_recording(tmp_path):
    (tmp_path / FILE).write_bytes(b"old")
    trainer = small([train.Recorder(tmp_path)])
    trainer.callbacks[0].start(trainer)
    assert not (tmp_path / FILE).exists()


def test_a_recorder_goes_on_with_the_training_that_it_has_and_starts_anew_for_another(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "MOST", 8)
    recorder, fresh = train.Recorder(tmp_path / "one"), train.Recorder(tmp_path / "fresh")
    first = small([recorder, Stop(15)])
    until(first)
    first.fit()
    small([fresh]).fit()
    assert_same(Recording.read(tmp_path / "one"), Recording.read(tmp_path / "fresh"))
    small([recorder], lr=0.3).fit()
    small([train.Recorder(tmp_path / "fresh")], lr=0.3).fit()
    assert_same(Recording.read(tmp_path / "one"), Recording.read(tmp_path / "fresh"))


def test_weights_whose_squares_overflow_have_norms(tmp_path):
    with np.errstate(over="ignore", invalid="ignore"):  # of the steps, by the engines that compute with NumPy
        small([train.Recorder(tmp_path)], lr=1e30).fit()
    ratios = Recording.read(tmp_path).ratios
    assert np.isfinite(ratios).all() and (ratios[1] > 1e-9).any()


def test_a_training_that_diverges_leaves_the_rows_that_lead_up_to_it(tmp_path):
    pytest.importorskip("matplotlib", reason="plots are drawn by matplotlib, of the extra viz")
    trainer = small([train.Recorder(tmp_path)], lr=1e38)
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(NonFiniteError):
        trainer.fit()
    found = viz.training(tmp_path)
    assert found.recording.steps.tolist() == list(range(1, trainer.step + 1)) and trainer.step >= 1
    assert np.isfinite(found.recording.ratios).all() and found.recording.ratios.max() > 1e20
    found.save(tmp_path / "a.png")


def test_an_error_of_another_callback_leaves_the_rows(tmp_path):
    failing = train.Callback()
    failing.after_step = lambda trainer: 1 / (3 - trainer.step)
    with pytest.raises(ZeroDivisionError):
        small([failing, train.Recorder(tmp_path)]).fit()
    assert Recording.read(tmp_path).steps.tolist() == [1, 2]


def test_the_folder_is_made_when_the_training_starts(tmp_path):
    small([train.Recorder(str(tmp_path / "nodir" / "x"))]).fit()
    assert Recording.read(tmp_path / "nodir" / "x").steps[-1] == 19


@pytest.mark.parametrize("name", ["a.txt", "a.txt/x"])
def test_a_file_in_the_place_of_the_folder_is_told_before_the_first_step(tmp_path, name):
    (tmp_path / "a.txt").write_text("mine")
    trainer = small([train.Recorder(tmp_path / name)])
    with pytest.raises(ConfigError, match=r"a\.txt.* is a file, or lies in one; give the folder of the run"):
        trainer.fit()
    assert trainer.step == 0
