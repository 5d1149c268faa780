"""A run's folder is all that is needed to sample it and to go on, and opening it executes nothing."""

import json
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, train
from tinygrad_rnn.core.errors import CheckpointError, ConfigError, DataError, StateDictError

SMALL = {"hidden": 6, "embedding": 4, "seq": 8, "batch": 4, "epochs": 1}


class Stop(train.Callback):
    """Stops a run after a step, as Ctrl-C does."""

    def __init__(self, step):
        self.step = step

    def after_step(self, trainer):
        if trainer.step == self.step:
            trainer.interrupted = True


def trained(folder, text_file, stop=None, **settings):
    callbacks = [Stop(stop)] if stop is not None else []
    run, trainer = train.begin(folder, train.Config(**(SMALL | settings)), file=text_file, callbacks=callbacks)
    if stop is None:
        trainer.fit()
    else:
        with pytest.raises(KeyboardInterrupt):
            trainer.fit()
    return run, trainer


def outcome(folder):
    """What a run leaves, apart from the time it took."""
    newest = max((folder / "checkpoints").iterdir())
    record = json.loads((newest / "checkpoint.json").read_text())
    training = record["record"]["training"]
    for row in (training, *training["history"]):
        del row["seconds"]
    arrays = [(newest / f"{name}.safetensors").read_bytes() for name in ("weights", "training")]
    rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    return arrays, record["record"], [[*row[:2], *row[3:]] for row in rows]


def test_a_run_is_loaded_as_it_was(tmp_path, text_file):
    run, _ = trained(tmp_path / "run", text_file)
    loaded = train.Run.load(tmp_path / "run")
    assert loaded.config == run.config and loaded.vocabulary == run.vocabulary and loaded.source == run.source
    assert not loaded.model.training
    assert loaded.step == run.step and loaded.history == run.history
    for name, value in run.model.state_dict().items():
        np.testing.assert_array_equal(loaded.model.state_dict()[name], value)
    sample = {"temperature": 0.8, "length": 40}
    assert loaded.sample("and ", **sample, rng=np.random.default_rng(1)) == run.sample(
        "and ", **sample, rng=np.random.default_rng(1)
    )
    assert "".join(loaded.stream("and ", **sample, rng=np.random.default_rng(1))) == loaded.sample(
        "and ", **sample, rng=np.random.default_rng(1)
    )


def test_loading_uses_up_no_random_numbers(tmp_path, text_file):
    trained(tmp_path / "run", text_file)
    state = tg.random.get_state()
    train.Run.load(tmp_path / "run").sample(length=5)
    assert tg.random.get_state() == state


@pytest.mark.parametrize(
    "settings",
    [
        {"cell": "rnn", "optimizer": "sgd", "schedule": "constant"},
        {"cell": "gru", "optimizer": "rmsprop", "clip": 0.0},
        {"cell": "lstm", "layers": 2, "dropout": 0.3, "epochs": 2},
    ],
)
@pytest.mark.parametrize("stops", [[0], [1], [30, 31, 64]])
def test_an_interrupted_run_ends_in_the_same_bits(tmp_path, text_file, settings, stops):
    trained(tmp_path / "whole", text_file, **settings)
    callback = Stop(stops[0])
    run, trainer = train.begin(
        tmp_path / "run", train.Config(**(SMALL | settings)), file=text_file, callbacks=[callback]
    )
    if stops[0] == 0:
        trainer.interrupted = True
        run.save(trainer)
    else:
        with pytest.raises(KeyboardInterrupt):
            trainer.fit()
    for stop in stops[1:]:
        tg.random.seed(stop)
        _, trainer = train.resume(tmp_path / "run", callbacks=[Stop(stop)])
        with pytest.raises(KeyboardInterrupt):
            trainer.fit()
    tg.random.seed(12345)
    _, trainer = train.resume(tmp_path / "run")
    trainer.fit()
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_samples_and_messages_do_not_change_the_training(tmp_path, text_file):
    trained(tmp_path / "silent", text_file, dropout=0.3)
    said = []
    _, trainer = train.begin(
        tmp_path / "loud", train.Config(**SMALL, dropout=0.3), file=text_file, seconds=0.0, say=said.append
    )
    trainer.fit()
    assert said and outcome(tmp_path / "loud")[::2] == outcome(tmp_path / "silent")[::2]


def test_a_damaged_checkpoint_means_the_one_before_and_the_same_end(tmp_path, text_file):
    trained(tmp_path / "whole", text_file)
    _, trainer = train.begin(tmp_path / "run", train.Config(**SMALL), file=text_file, seconds=0.0, callbacks=[Stop(20)])
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    newest = max((tmp_path / "run" / "checkpoints").iterdir())
    path = newest / "training.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.warns(train.CheckpointWarning, match="training.safetensors is damaged.*going on from step-00000019"):
        _, trainer = train.resume(tmp_path / "run")
    assert trainer.step == 19
    trainer.fit()
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_more_epochs_go_on_from_the_end(tmp_path, text_file):
    trained(tmp_path / "run", text_file)
    _run, trainer = train.resume(tmp_path / "run", epochs=2)
    assert trainer.step * 2 == trainer.steps
    trainer.fit()
    assert train.Run.load(tmp_path / "run").config.epochs == 2 and trainer.finished


def test_another_text_is_refused(tmp_path, text_file):
    trained(tmp_path / "run", text_file, stop=3)
    moved = Path(tmp_path, "moved.txt")
    text_file.rename(moved)
    with pytest.raises(DataError, match="no such file"):
        train.resume(tmp_path / "run")
    _, trainer = train.resume(tmp_path / "run", file=moved)
    assert trainer.step == 3
    moved.write_text("Z" + moved.read_text()[1:])
    with pytest.raises(DataError, match="is not the text"):
        train.resume(tmp_path / "run", file=moved)


def test_a_folder_that_holds_something_is_not_begun_in(tmp_path, text_file):
    trained(tmp_path / "run", text_file, stop=1)
    with pytest.raises(ConfigError, match="holds a run already"):
        train.begin(tmp_path / "run", train.Config(**SMALL), file=text_file)
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"is not empty, it holds notes.txt"):
        train.begin(tmp_path / "papers", train.Config(**SMALL), file=text_file)


def test_a_folder_whose_run_was_killed_before_its_first_checkpoint_can_be_begun_in(tmp_path, text_file):
    (tmp_path / "run" / "checkpoints" / ".step-00000000.tmp").mkdir(parents=True)
    trained(tmp_path / "run", text_file)
    assert train.Run.load(tmp_path / "run").step > 0


def test_a_short_text_gets_fewer_streams_and_a_shorter_one_is_refused(tmp_path):
    path = Path(tmp_path, "short.txt")
    path.write_text("abcdefghij" * 5)
    run, trainer = train.begin(tmp_path / "run", train.Config(**SMALL | {"batch": 32}), file=path)
    assert run.config.batch == 5 and len(trainer.batches) == 1
    trainer.fit()
    with pytest.raises(DataError, match=r"50 characters, of which 45 to train on, do not fill one window of 48 \+ 1"):
        train.begin(tmp_path / "other", train.Config(), file=path)
    assert not (tmp_path / "other").exists()


class Wide(nn.Cell):
    """A cell whose output is wider than its state."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(input_size, hidden_size)

    def forward(self, x, h):
        h = np.tanh(self.from_input(x) + h)
        return np.concatenate([h, -h], axis=-1), h


def test_a_cell_of_ones_own_is_trained_loaded_and_resumed_from_its_class(tmp_path, text_file):
    settings = train.Config(**SMALL, cell="wide.py:Wide", layers=2)
    with pytest.raises(ConfigError, match="give its class"):
        train.begin(tmp_path / "run", settings, file=text_file)
    _, trainer = train.begin(tmp_path / "run", settings, file=text_file, cell=Wide, callbacks=[Stop(5)])
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    with pytest.raises(ConfigError, match=r"executes nothing.*--cell wide.py:Wide"):
        train.Run.load(tmp_path / "run")
    assert len(train.Run.load(tmp_path / "run", cell=Wide).sample(length=9)) == 9
    _, trainer = train.resume(tmp_path / "run", cell=Wide)
    trainer.fit()
    with pytest.raises(StateDictError):
        train.Run.load(tmp_path / "run", cell=nn.LSTMCell)


def test_another_cell_for_a_run_of_a_built_in_one_is_refused(tmp_path, text_file):
    trained(tmp_path / "run", text_file, stop=1)
    with pytest.raises(ConfigError, match="uses the cell lstm"):
        train.Run.load(tmp_path / "run", cell=nn.GRUCell)


def test_settings_that_make_no_sense_in_a_checkpoint_are_a_named_error(tmp_path, text_file):
    run, trainer = trained(tmp_path / "run", text_file, stop=1)
    object.__setattr__(run.config, "hidden", -1)
    trainer.step = 2
    run.save(trainer)
    with pytest.raises(CheckpointError, match="is no run of this version: ConfigError: hidden is -1"):
        train.Run.load(tmp_path / "run")
