"""What all tasks have in common: streams that a seed decides, parts that differ, batches that are what they say."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_rnn.core.errors import ConfigError, DataError
from tinygrad_rnn.data import tasks
from tinygrad_rnn.data.tasks.base import checked_batch, generator

from .conftest import SMALL, agrees, same

few = settings(deadline=None, max_examples=15)
seeds = st.integers(0, 2**64 - 1)
small = st.sampled_from(sorted(SMALL)).map(lambda name: SMALL[name]())


def first(task, size, seed, number=3):
    return list(itertools.islice(task.batches(size, seed), number))


@few
@given(small, st.integers(1, 4), seeds)
def test_a_seed_decides_every_batch_whatever_ran_before(task, size, seed):
    once = first(task, size, seed)
    np.random.random()
    assert all(map(same, once, first(task, size, seed)))


def test_another_seed_gives_other_batches(task):
    if task.name == "LongLag":
        pytest.skip("two sequences only: batches of both may be equal")
    assert not all(map(same, first(task, 4, 0), first(task, 4, 1)))


def test_every_batch_of_a_stream_is_another_one(task):
    if task.name == "LongLag":
        pytest.skip("two sequences only: batches of both may be equal")
    one, two, three = first(task, 4, 0)
    assert not same(one, two) and not same(two, three)


def test_the_held_out_sequences_are_always_the_same(task):
    for split in ("validation", "test"):
        assert all(map(same, task.held_out(split), type(task).held_out(task, split)))


def test_validation_test_and_training_differ(task):
    if task.name == "LongLag":
        pytest.skip("two sequences only: all splits have both")
    validation, test = task.held_out("validation")[0], task.held_out("test")[0]
    assert not same(validation, test)
    rows = min(validation.rows, 4)
    assert not any(
        batch.x[:, :rows].shape == part.x[:, :rows].shape and (batch.x[:, :rows] == part.x[:, :rows]).all()
        for batch in first(task, rows, 0)
        for part in (validation, test)
    )


@few
@given(seeds, st.sampled_from([("train", "validation"), ("train", "test"), ("validation", "test")]))
def test_no_two_splits_share_random_numbers(seed, splits):
    one, two = (generator(seed, split, 5).random(50) for split in splits)
    assert not np.isin(one, two).any()


@few
@given(small, st.integers(1, 5), seeds, st.sampled_from(["train", "validation", "test"]))
def test_a_batch_is_what_its_task_says(task, size, seed, split):
    batch = checked_batch(task, task.batch(np.random.default_rng(seed), size, split))
    assert batch.rows == size
    assert batch.x.dtype == np.float32
    assert np.isfinite(batch.x).all()
    assert batch.lengths is None or batch.lengths.max() == len(batch.x)
    if task.every_step and batch.target.ndim == 2:
        assert 0 <= batch.target.min() <= batch.target.max() < task.output_size


def test_a_random_predictor_errs_and_solves_nothing(task):
    batch = task.held_out("test")[0]
    lead = batch.x.shape[:2] if task.every_step else batch.x.shape[1:2]
    outputs = np.random.default_rng(0).normal(size=(*lead, task.output_size)).astype(np.float32)
    errors = task.errors(outputs, batch)
    assert errors.ndim == 1
    assert errors.min() >= 0
    assert not task.solved(tasks.Score(task.loss(outputs, batch).item(), float(errors.mean())))
    assert task.threshold < task.baseline().error


def test_a_task_says_where_it_is_from_and_what_it_measures(task):
    if task.name != "PianoRolls":
        assert task.source
    assert task.measures
    assert repr(task).startswith(f"{task.name}(")


def test_the_name_of_a_task_tells_its_arguments():
    assert repr(tasks.CopyMemory(5, symbols=4, recall=3)) == "CopyMemory(delay=5, symbols=4, recall=3)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tasks.Adding(1), "length is 1; give an integer from 2"),
        (lambda: tasks.CopyMemory(0), "delay is 0"),
        (lambda: tasks.CopyMemory(5, symbols=1), "symbols is 1"),
        (lambda: tasks.TemporalOrder(4), r"relevant is 4; give 2 \(experiment 6a\) or 3"),
        (lambda: tasks.TemporalOrder(length=19), "length is 19"),
        (lambda: tasks.LongLag(1), "p is 1"),
        (lambda: tasks.AnBn(1), "longest is 1"),
        (lambda: tasks.AnBn(5, held_out_to=5), "held_out_to is 5"),
        (lambda: tasks.Dyck(kinds=0), "kinds is 0"),
        (lambda: tasks.Parity(0), "length is 0"),
        (lambda: tasks.DigitAddition(7), "digits is 7; give 1 to 6"),
        (lambda: tasks.SequentialDigits(3), "pixels is 3; give the pixels of a step"),
        (lambda: tasks.Adding().batches(0), "size is 0"),
        (lambda: tasks.Adding().batches(4, -1), "seed is -1"),
        (lambda: tasks.ContinualReber().batches(0), "size is 0"),
        (lambda: tasks.Adding().held_out("train"), 'split is \'train\'; give "validation" or "test"'),
        (lambda: tasks.AnBn().held_out("train"), "split is 'train'"),
        (lambda: tasks.ContinualReber().held_out("train"), "split is 'train'"),
        (lambda: SMALL["names"]().held_out("train"), "split is 'train'"),
        (lambda: SMALL["text"]().held_out("train"), "split is 'train'"),
        (lambda: SMALL["rolls"]().batches(10), "size is 10, and PianoRolls has 9 sequences"),
    ],
)
def test_an_argument_out_of_its_range_is_refused_by_its_name(make, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        make()


class Own(tasks.Classification):
    """A task in a few lines: was the first number the greater one?"""

    input_size, output_size, threshold = 1, 2, 0.05

    def batch(self, rng, size, split):
        x = rng.random((2, size, 1), np.float32)
        return tasks.Batch(x, (x[0, :, 0] > x[1, :, 0]).astype(int))

    def baseline(self):
        return tasks.Score(np.log(2), 0.5)


def test_a_task_of_the_user_is_a_class_of_a_few_lines():
    task = Own()
    batch = checked_batch(task, first(task, 7, 0)[0])
    right = np.eye(2)[batch.target]
    assert task.errors(right, batch).tolist() == [0.0] * 7
    assert task.errors(1 - right, batch).tolist() == [1.0] * 7
    guesses = [task.errors(np.tile([1.0, 0.0], (b.rows, 1)), b) for b in task.held_out("test")]
    assert agrees(np.concatenate(guesses), task.baseline().error)
    assert task.solved(tasks.Score(0.1, 0.05))
    assert not task.solved(tasks.Score(0.1, 0.06))
    assert not task.solved(tasks.Score(0.1, float("nan")))


class Wrong(Own):
    def __init__(self, batch):
        self._batch = batch

    def batch(self, rng, size, split):
        return self._batch


X = np.zeros((4, 2, 1), np.float32)
Y = np.zeros(2, int)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((X, Y), "returned a tuple; return tasks.Batch"),
        (tasks.Batch(X[0], Y), r"x of shape \(2, 1\)"),
        (tasks.Batch(np.zeros((4, 2, 3)), Y), r"x of shape \(4, 2, 3\) and float64; return floats \(time, batch, 1\)"),
        (tasks.Batch(X.astype(int), Y), "int64; return floats"),
        (tasks.Batch(X, np.zeros((4, 2))), r"target of shape \(4, 2\).*every_step = True"),
        (tasks.Batch(X, Y, lengths=np.array([4, 0])), r"lengths \[4 0\]; return 2 of them, 1 to 4"),
        (tasks.Batch(X, Y, lengths=np.array([5, 1])), "lengths"),
        (tasks.Batch(X, Y, lengths=np.array([4])), "lengths"),
        (tasks.Batch(X, Y, counted=np.ones((4, 2))), r"counted of shape \(4, 2\) and float64; return bools"),
        (tasks.Batch(X, Y, counted=np.ones((4, 3), bool)), r"counted of shape \(4, 3\)"),
        (tasks.Batch(X, Y, legal=np.ones((4, 2), bool)), r"legal of shape \(4, 2\) and bool; return bools \(4, 2, 2\)"),
    ],
)
def test_a_batch_that_is_not_what_its_task_says_is_refused(batch, message):
    task = Wrong(batch)
    with pytest.raises(DataError, match=message):
        checked_batch(task, task.batch(None, 2, "train"))


class Nothing(tasks.Task):
    pass


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Nothing().batch(None, 1, "train"), r"Nothing has no batch\(rng, size, split\); write it"),
        (lambda: Nothing().loss(None, None), "Nothing has no loss; derive it from tasks.Classification"),
        (lambda: Nothing().errors(None, None), "Nothing has no errors"),
        (lambda: Nothing().baseline(), r"Nothing has no baseline\(\); write it"),
    ],
)
def test_what_a_task_lacks_is_named(call, message):
    with pytest.raises(NotImplementedError, match=message):
        call()


def test_a_task_without_a_threshold_cannot_be_solved():
    with pytest.raises(ConfigError, match=r"Nothing has no threshold; write threshold = 0\.01"):
        Nothing().solved(tasks.Score(0.0, 0.0))
