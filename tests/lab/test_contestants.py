"""Cells and tasks are found by name, class and file."""

import json

import pytest

from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import ConfigError
from tinygrad_rnn.data import tasks
from tinygrad_rnn.lab.arguments import called, keywords, split_at_commas
from tinygrad_rnn.lab.contestants import contestant, distinct
from tinygrad_rnn.lab.jobs import Job, job_of
from tinygrad_rnn.lab.named_tasks import TASKS, named_task

from .conftest import CELLS


@pytest.mark.parametrize("name", ["peephole-lstm", "PeepholeLSTMCell", nn.PeepholeLSTMCell])
def test_a_known_cell_is_the_same_by_every_name(name):
    found = contestant(name)
    expected = "PeepholeLSTM", "peephole-lstm", nn.PeepholeLSTMCell, False
    assert (found.label, found.source, found.make, found.own) == expected


def test_a_class_of_a_file_is_found_by_other_processes_and_one_of_a_function_is_not():
    named = contestant(f"{CELLS}:Renamed")
    assert named.is_importable and named.own and named.label == "Renamed"

    class Local(nn.RNNCell):
        pass

    assert not contestant(Local).is_importable


def test_a_missing_hidden_size_is_filled_in_where_the_class_takes_one():
    assert contestant("gru").options == {"hidden_size": 32}
    assert contestant("gru", {"hidden_size": 7, "bias": False}).build(3).hidden_size == 7

    class Fixed(nn.RNNCell):
        def __init__(self, features):
            super().__init__(features, 4)

    assert contestant(Fixed).options == {}


def test_cells_of_one_name_are_told_apart():
    labels = [one.label for one in distinct([contestant("lstm"), contestant("lstm"), contestant("lstm")])]
    assert labels == ["LSTM", "LSTM 2", "LSTM 3"]


@pytest.mark.parametrize("name", [name for name in TASKS if name not in {"names", "sunspots", "digits"}])
def test_every_task_of_the_lab_gives_batches_and_has_a_baseline(name):
    task = named_task(name).task
    assert next(task.batches(size=2)).x.shape[2] == task.input_size
    assert task.baseline().error > 0


def test_a_task_of_a_file_takes_arguments():
    found = named_task(f"{CELLS}:Recall()")
    assert found.label == "Recall()" and found.task.input_size == 2 and found.is_importable
    assert not named_task(tasks.Parity(length=3)).is_importable


@pytest.mark.parametrize("task", ["adding", "Parity(length=3)", f"{CELLS}:Recall"])
def test_a_job_that_was_sent_to_another_process_is_the_same(task):
    job = Job("", "trial", (contestant("gru", {"hidden_size": 3}),), named_task(task), {"lr": 0.1})
    assert job_of(json.loads(json.dumps(job.message()))) == job


def test_cells_and_tasks_of_modules_are_found_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "lab_of_mine.py").write_text(CELLS.read_text())
    monkeypatch.chdir(tmp_path)
    cell, task = contestant("lab_of_mine:Renamed"), named_task("lab_of_mine:Recall()")
    assert cell.is_importable and cell.source == "lab_of_mine:Renamed" and cell.label == "Renamed"
    assert task.is_importable and task.source == "lab_of_mine:Recall()" and task.label == "Recall()"


def test_arguments_are_literals_or_text():
    assert keywords("a=1, b=(2, 3), c=None, d=relu") == {"a": 1, "b": (2, 3), "c": None, "d": "relu"}
    assert keywords("a='x,(y', b=2") == {"a": "x,(y", "b": 2}
    with pytest.raises(ConfigError, match="a is given twice"):
        keywords("a=1,a=2")


def test_a_list_is_parted_at_commas_outside_of_brackets_and_quotes():
    assert split_at_commas("a.py:M(f='x(y'),gru, rnn(a=(1,2))") == ["a.py:M(f='x(y')", "gru", "rnn(a=(1,2))"]
    assert called("rnn(a=1))") is None and called("rnn(a=(1)") is None
