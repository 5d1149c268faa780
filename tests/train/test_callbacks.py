"""What happens while a model trains costs little and is repeated exactly after an interruption."""

from types import SimpleNamespace

import pytest
import threadpoolctl

from tinygrad_rnn import train
from tinygrad_rnn.train import callbacks


def row(step):
    return {"step": step, "chars": 10 * step, "seconds": 0.5, "train_loss": 1 / 3, "val_loss": 2.0, "lr": 0.1}


class Clock:
    """A clock that only moves when somebody works."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.mark.parametrize("cost", [0.001, 0.1, 5.0])
def test_checkpoints_take_a_bounded_share_of_the_time_however_slow_the_disk(monkeypatch, cost):
    clock = Clock()
    monkeypatch.setattr(callbacks, "time", clock)
    spent = []

    def save(trainer):
        clock.now += cost
        spent.append(cost)

    saving = train.SaveCheckpoint(save, seconds=10.0, share=0.02)
    trainer = SimpleNamespace(step=1)
    saving.start(trainer)
    for _ in range(20_000):
        clock.now += 0.05
        saving.after_step(trainer)
    assert sum(spent) <= 0.021 * clock.now + cost
    assert len(spent) >= 0.9 * min(1000 / 10, 0.02 * 1000 / cost) - 1


def test_without_a_pause_there_is_a_checkpoint_after_every_step():
    saved = []
    saving = train.SaveCheckpoint(lambda trainer: saved.append(trainer.step), seconds=0.0)
    for step in range(4):
        (saving.after_step if step else saving.start)(SimpleNamespace(step=step))
    assert saved == [0, 1, 2, 3]


def test_a_resumed_run_does_not_write_the_checkpoint_it_came_from_again():
    saved = []
    train.SaveCheckpoint(saved.append).start(SimpleNamespace(step=5))
    assert saved == []


def test_metrics_lose_the_rows_after_the_checkpoint_and_repeat_none(tmp_path):
    (tmp_path / "metrics.csv").write_text("rows of a killed process\n1\n2\n3\n")
    trainer = SimpleNamespace(history=[row(1), row(2)], step=2)
    metrics = train.Metrics(tmp_path)
    metrics.start(trainer)
    trainer.history.append(row(3))
    metrics.after_step(trainer)
    metrics.after_step(trainer)
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert lines[0] == "step,chars,seconds,train_loss,val_loss,lr"
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3"]
    assert float(lines[1].split(",")[3]) == 1 / 3
    assert (tmp_path / "loss.svg").read_text().count("<circle") == 6


def test_metrics_of_a_run_that_was_killed_before_its_first_checkpoint_are_removed(tmp_path):
    (tmp_path / "metrics.csv").write_text("step\n1\n")
    train.Metrics(tmp_path).start(SimpleNamespace(history=[], step=0))
    assert not (tmp_path / "metrics.csv").exists()


@pytest.mark.parametrize(("product", "during"), [(2**23, 1), (2**23 + 1, 2)])
def test_a_small_model_has_one_thread_while_it_trains(product, during):
    def threads():
        return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}

    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        if threads() != {2}:
            pytest.skip("this BLAS has no second thread")
        one = callbacks.OneThread(product)
        one.start(SimpleNamespace())
        assert threads() == {during}
        one.close()
        assert threads() == {2}


def test_samples_are_said_once_per_row():
    said = []
    trainer = SimpleNamespace(history=[row(0)], step=0)
    sample = train.Sample(lambda step: f"a\nsample of {step}", said.append)
    sample.start(trainer)
    for step in (1, 2, 3):
        trainer.step = step
        if step == 2:
            trainer.history.append(row(2))
        sample.after_step(trainer)
    assert said == ["    a\n    sample of 2\n"]


def test_the_bar_shows_loss_bits_speed_and_the_time_left(monkeypatch):
    written = []

    class Terminal:
        encoding = "utf-8"

        def write(self, text):
            written.append(text)

        def flush(self):
            pass

        def isatty(self):
            return True

    real = callbacks.tqdm
    monkeypatch.setattr(
        callbacks,
        "tqdm",
        lambda **more: real(**{**more, "file": Terminal(), "mininterval": 0, "ncols": 120, "dynamic_ncols": False}),
    )
    trainer = SimpleNamespace(step=0, steps=3, characters_per_step=1000, loss=0.693147)
    bar = train.Progress()
    bar.start(trainer)
    for step in (1, 2):
        trainer.step = step
        bar.after_step(trainer)
    bar.close()
    text = "".join(written)
    assert "loss 0.693, 1.000 bits/char" in text and "chars/s" in text and "left" in text and "67%" in text
