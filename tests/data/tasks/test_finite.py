"""Tasks over given sequences: epochs, splits without anything in common, and the files of the extras."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_rnn.core.errors import DataError
from tinygrad_rnn.data import tasks
from tinygrad_rnn.data.tasks import chorales

from .conftest import SMALL, rolls


class Numbered(tasks.FiniteTask, tasks.Classification):
    """Sequences whose class is their number."""

    input_size, output_size, threshold = 1, 50, 0.0

    def __init__(self, number, held_out=(3, 4)):
        self._numbers = dict(zip(("train", "validation", "test"), (number, *held_out), strict=True))

    def lengths_of(self, split):
        return np.arange(self._numbers[split]) % 7 + 1

    def select(self, split, rows):
        lengths = self.lengths_of(split)[rows]
        return tasks.Batch(np.zeros((lengths.max(), len(rows), 1), np.float32), rows, lengths)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**64 - 1))
def test_every_epoch_has_every_sequence_once_in_an_order_of_its_own(number, size, seed):
    size = min(size, number)
    stream = Numbered(number).batches(size, seed)
    batches = [next(stream) for _ in range(-(-3 * number // size))]
    assert {batch.rows for batch in batches} == {size}
    seen = np.concatenate([batch.target for batch in batches])
    epochs = [seen[k * number : (k + 1) * number] for k in range(3)]
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(number))
    if number > 12:
        assert epochs[0].tolist() != epochs[1].tolist()


class Alike(Numbered):
    """The same, sequences of like length together."""

    by_length = True


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**64 - 1))
def test_batches_by_length_leave_no_sequence_behind(number, size, seed):
    size = min(size, number)
    stream, seen = Alike(number).batches(size, seed), np.zeros(number, int)
    for epochs in range(1, 5):
        whole = epochs * number // size - (epochs - 1) * number // size
        batches = [next(stream) for _ in range(whole)]
        assert {batch.rows for batch in batches} == {size}
        # No row of a batch is longer than the shortest one of another that has longer ones.
        spans = sorted((batch.lengths.min(), batch.lengths.max()) for batch in batches)
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
        seen += np.bincount(np.concatenate([batch.target for batch in batches]), minlength=number)
        assert set(seen) <= {epochs - 1, epochs}


def test_batches_by_length_come_in_an_order_of_their_own():
    stream = Alike(49).batches(7, seed=3)
    longest = [[next(stream).lengths.max() for _ in range(7)] for _ in range(3)]
    assert all(sorted(epoch) == list(range(1, 8)) for epoch in longest)
    assert longest[0] != longest[1] and longest[0] != sorted(longest[0])


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 50), st.integers(1, 50))
def test_every_held_out_sequence_comes_once(number, steps):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinygrad_rnn.data.tasks.finite._STEPS", steps)
        batches = Numbered(1, (number, 1)).held_out("validation")
    assert sorted(np.concatenate([batch.target for batch in batches]).tolist()) == list(range(number))
    assert all(batch.rows == 1 or batch.x.shape[0] * batch.rows <= steps for batch in batches)


def names_in(task, split):
    symbols = task.vocabulary.symbols
    for batch in task.held_out(split):
        for b, length in enumerate(batch.lengths):
            yield "".join(symbols[i] for i in batch.target[:length, b])
            assert batch.x[1:length, b].argmax(-1).tolist() == batch.target[: length - 1, b].tolist()
            assert symbols[batch.x[0, b].argmax()] == "\n"


def test_a_name_belongs_to_one_split_and_ends():
    given_names = [a + b + c for a in "abe" for b in "lmnor" for c in ("", "a", "anna", "ebo")]
    task = tasks.Names(given_names + given_names[:9])
    found = {split: list(names_in(task, split)) for split in ("validation", "test")}
    trained = [
        "".join(task.vocabulary.symbols[i] for i in batch.target[:length, b])
        for batch in itertools.islice(task.batches(4), 12)
        for b, length in enumerate(batch.lengths)
    ]
    parts = [set(trained), set(found["validation"]), set(found["test"])]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 60
    assert {name.rstrip("\n") for name in set().union(*parts)} == set(given_names)
    assert all(name.count("\n") == 1 and name.endswith("\n") for part in parts for name in part)


def test_the_windows_of_a_text_go_on_where_the_last_one_ended():
    task = SMALL["text"]()
    symbols = task.vocabulary.symbols
    one, two = itertools.islice(task.batches(3, seed=5), 2)
    assert (one.target[-1] == two.x[0].argmax(-1)).all()
    assert (one.x[1:].argmax(-1) == one.target[:-1]).all()
    text = "".join(np.random.default_rng(2).choice(list("abcde"), 2500))
    for split, part in (("validation", text[2250:2375]), ("test", text[2375:])):
        (batch,) = task.held_out(split)
        read = "".join(symbols[i] for i in batch.target.T.ravel())
        assert read == part[1 : 1 + len(read)]
        assert len(part) - len(read) <= 20
    train = text[:2250] * 2
    for b in range(3):
        assert "".join(symbols[i] for i in one.target[:, b]) in train


def test_a_roll_is_predicted_frame_by_frame_from_the_second_on():
    given_rolls = rolls()
    task = tasks.PianoRolls(given_rolls, threshold=2.0)
    for split in ("validation", "test"):
        found = [
            (batch.x[:length, b], batch.target[:length, b])
            for batch in task.held_out(split)
            for b, length in enumerate(batch.lengths)
        ]
        for roll in given_rolls[split]:
            assert any(np.array_equal(x, roll[:-1]) and np.array_equal(target, roll[1:]) for x, target in found)
        assert len(found) == len(given_rolls[split])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tasks.Names(["a", "b"]), "2 different names; give ten or more"),
        (lambda: tasks.Names([*"abcdefghij", ""]), "none of them empty"),
        (lambda: tasks.CharacterText("ab" * 100), "a text of 200 characters; give one of 420 or more"),
        (lambda: tasks.PianoRolls({"train": [np.eye(3)]}, 1.0), r"rolls of validation have the shapes \[\]"),
        (lambda: tasks.PianoRolls({split: [np.eye(1)] for split in rolls()}, 1.0), r"\(1, 1\)"),
        (
            lambda: tasks.PianoRolls({"train": [np.eye(3)], "validation": [np.eye(4)], "test": [np.eye(3)]}, 1.0),
            "the same keys",
        ),
        (
            lambda: tasks.CharacterText("abcde" * 100, window=60).batch(np.random.default_rng(0), 1, "test"),
            "25 characters of test for a window of 60",
        ),
    ],
)
def test_sequences_that_cannot_be_used_are_refused(make, message):
    with pytest.raises(DataError, match=message):
        make()


def test_chorales_are_read_from_their_file(tmp_path, monkeypatch):
    io = pytest.importorskip("scipy.io", reason="SciPy reads the files of chorales")
    given_rolls, fields = rolls(), {"train": "traindata", "validation": "validdata", "test": "testdata"}
    content = {}
    for split, field in fields.items():
        content[field] = np.empty((1, len(given_rolls[split])), object)
        content[field][0] = given_rolls[split]
    io.savemat(tmp_path / "JSB_Chorales.mat", content)
    monkeypatch.setattr(chorales, "fetch", lambda name: tmp_path / name)
    chorales._rolls.cache_clear()
    try:
        task = tasks.JSBChorales()
    finally:
        chorales._rolls.cache_clear()
    assert task.baseline() == tasks.PianoRolls(given_rolls, 1.0).baseline()
    assert task.solved(tasks.Score(8.5, 8.5)) and not task.solved(tasks.Score(8.6, 8.6))


@pytest.mark.parametrize(("name", "make"), [("scipy", tasks.Nottingham), ("sklearn", tasks.SequentialDigits)])
def test_an_extra_that_is_missing_is_named(name, make, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, f"{name}.io" if name == "scipy" else f"{name}.datasets", None)
    chorales._rolls.cache_clear()
    tasks.digits._images.cache_clear()
    with pytest.raises(DataError, match=r"which is not installed; write pip install 'tinygrad_rnn\[tasks\]'"):
        make()


def test_images_are_read_pixel_by_pixel():
    sklearn = pytest.importorskip("sklearn.datasets", reason="the handwritten digits come with scikit-learn")
    images, digits = sklearn.load_digits(return_X_y=True)
    known = {image.tobytes(): digit for image, digit in zip(images, digits, strict=True)}
    seen = []
    for pixels in (1, 8):
        task = tasks.SequentialDigits(pixels)
        stream = task.batches(100)
        batches = [*itertools.islice(stream, 12), *task.held_out("validation"), *task.held_out("test")]
        for batch in batches:
            assert batch.x.shape[::2] == (64 // pixels, pixels)
            for b in range(batch.rows):
                image = (batch.x[:, b].ravel() * 16).astype(images.dtype)
                assert known[image.tobytes()] == batch.target[b]
                seen.append(image.tobytes())
    assert len(set(seen[: len(seen) // 2])) == len(seen) // 2
    assert task.baseline().loss == pytest.approx(np.log(10), abs=0.02)
    counts = np.bincount(task.held_out("test")[0].target, minlength=10)
    assert task.baseline().error in (1 - counts / 250).tolist()


def test_sunspots_of_a_year_follow_from_all_years_before():
    pytest.importorskip("statsmodels", reason="the sunspots come with statsmodels")
    numbers = np.asarray(tasks.series.sunspots_of_years())
    mean, deviation = numbers[:221].mean(), numbers[:221].std()
    task = tasks.Sunspots(window=30)
    (batch,) = task.held_out("test")
    assert np.allclose(batch.x[:, 0, 0] * deviation + mean, numbers[:-1], atol=1e-3)
    assert np.allclose(batch.target[:, 0, 0] * deviation + mean, numbers[1:], atol=1e-3)
    assert batch.counted[:, 0].tolist() == [year >= 1956 for year in range(1701, 1980)]
    last = task.errors(batch.x, batch)
    assert np.allclose(last, np.square(np.diff(numbers))[-24:] / numbers.var(), rtol=1e-4)
    zero = task.errors(np.zeros_like(batch.x), batch).mean()
    assert zero == pytest.approx(task.baseline().error, rel=1e-5)
    assert task.threshold < last.mean() < zero
    train = next(task.batches(200))
    assert (train.x[1:] == train.target[:-1]).all()
    assert train.target.max() <= batch.target[:220].max()
