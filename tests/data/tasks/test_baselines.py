"""A baseline by arithmetic is what the predictor gets that it speaks of."""

import math
from itertools import islice, pairwise

import numpy as np
import pytest

from tinygrad_rnn.data import tasks

from .conftest import SMALL, agrees, rolls


def validation(task, size=4000):
    return task.batch(np.random.default_rng(11), size, "validation")


@pytest.mark.parametrize(("task", "mean"), [(tasks.Adding(20), 1.0), (tasks.Multiplication(20), 0.25)])
def test_the_mean_errs_by_the_variance(task, mean):
    batch = validation(task)
    errors = task.errors(np.full(batch.target.shape, mean), batch)
    assert agrees(errors, task.baseline().error)
    assert task.baseline().loss == task.baseline().error
    assert not agrees(errors, 1.2 * task.baseline().error)


def test_without_memory_the_blanks_are_certain_and_the_symbols_a_guess():
    task = tasks.CopyMemory(20, symbols=5, recall=4)
    batch = validation(task, 50)
    outputs = np.zeros((*batch.x.shape[:2], 6))
    outputs[:-4, :, 5], outputs[-4:, :, 5] = 100, -100
    assert task.loss(outputs, batch).item() == pytest.approx(task.baseline().loss)
    assert task.errors(outputs, batch).mean() == pytest.approx(task.baseline().error)


@pytest.mark.parametrize("task", [tasks.TemporalOrder(2), tasks.TemporalOrder(3), tasks.Parity(9)])
def test_a_guess_among_the_classes(task):
    batch = validation(task, 1000)
    outputs = np.zeros((batch.rows, task.output_size))
    assert task.loss(outputs, batch).item() == pytest.approx(task.baseline().loss)
    assert agrees(task.errors(outputs, batch), task.baseline().error)


def test_a_lag_without_memory_costs_one_choice():
    task = tasks.LongLag(7)
    batch = task.held_out("test")[0]
    outputs = np.where(np.arange(8) == batch.target[..., None], 100.0, 0.0)
    outputs[-1, :, 6:] = 100
    assert task.loss(outputs, batch).item() == pytest.approx(task.baseline().loss)
    assert task.errors(outputs, batch).mean() == task.baseline().error == 1.0
    outputs[-1, :, 6] += 1.0  # e / (1 + e) is below 3/4
    assert task.errors(outputs, batch).tolist() == [1.0, 1.0]
    outputs[-1, :, 6] += 0.2
    assert sorted(task.errors(outputs, batch).tolist()) == [0.0, 1.0]


@pytest.mark.parametrize("task", [tasks.EmbeddedReber(), tasks.ContinualReber()])
def test_the_grammar_without_the_second_symbol(task):
    batch = validation(task, 3000) if not task.carries else task.held_out("test")[0]
    outputs = np.where(batch.legal, 0.0, -100.0)
    letters = batch.x.argmax(-1)
    # T or P comes once more after the E inside; what follows the outer E is B.
    forgotten = batch.legal.sum(-1) == 1
    forgotten &= (letters == 6) & ~batch.legal[..., 0]
    outputs[forgotten] = -100
    outputs[forgotten, 1], outputs[forgotten, 4] = 1e-9, 0.0
    counted = batch.steps_that_count()
    losses = -(outputs - np.log(np.exp(outputs).sum(-1, keepdims=True)))
    losses = np.take_along_axis(losses, batch.target[..., None], -1)[..., 0]
    counted = np.ones(losses.shape, bool) if counted is None else counted
    gaps = np.where(counted, losses - task.baseline().loss, 0).sum(0)  # Independent rows of mean 0.
    assert agrees(gaps, 0.0)
    errors = task.errors(outputs, batch)
    assert agrees(errors, task.baseline().error)


@pytest.mark.parametrize("task", [tasks.AnBn(7), tasks.AnBnCn(7)])
def test_a_predictor_that_does_not_count(task):
    batch = task.held_out("validation")[0]
    last = batch.x.argmax(-1)
    outputs = np.where(batch.target > 0, 100.0, -100.0)
    p = 2 / 8
    for letter in range(2, task.letters + 1):
        at = last == letter
        outputs[at] = -100
        outputs[at, letter - 1], outputs[at, letter] = math.log((1 - p) / p), math.log(p / (1 - p))
    assert task.loss(outputs, batch).item() == pytest.approx(task.baseline().loss)
    assert task.errors(outputs, batch).mean() == task.baseline().error == 1.0


@pytest.mark.parametrize("task", [tasks.Dyck(2, 3, 10), tasks.Dyck(1, 2, 4), tasks.Dyck(3, 9, 5)])
def test_the_frequency_of_each_bracket(task):
    batch = validation(task, 10000)
    p = np.clip(batch.target.mean((0, 1), dtype=np.float64), 1e-300, 1 - 1e-16)
    outputs = np.broadcast_to(np.log(p / (1 - p)), batch.target.shape)
    nats = -np.where(batch.target > 0, np.log(p), np.log(1 - p)).sum(-1).mean(0)
    assert agrees(nats, task.baseline().loss)
    assert nats.mean() == pytest.approx(task.loss(outputs, batch).item())
    assert task.errors(outputs, batch).mean() == task.baseline().error


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_the_frequency_of_each_digit_of_a_sum(digits):
    task = tasks.DigitAddition(digits)
    sums = np.add.outer(np.arange(10**digits), np.arange(10**digits)).ravel()
    texts = np.array([list(str(s).ljust(digits + 1)) for s in range(2 * 10**digits - 1)])[sums]
    nats, said = 0.0, []
    for place in texts.T:
        symbols, counts = np.unique(place, return_counts=True)
        nats -= (counts / counts.sum() * np.log(counts / counts.sum())).sum() / (digits + 1)
        said.append(symbols[counts.argmax()])
    assert task.baseline().loss == pytest.approx(nats)
    assert task.baseline().error == pytest.approx(1 - (texts == said).all(-1).mean())


def test_the_frequencies_of_characters_and_of_pairs():
    text = "abra cadabra, " * 90 + "simsalabim. " * 20
    task = tasks.CharacterText(text)
    cut = [len(text) * share // 100 for share in (90, 95)]
    train, test = text[: cut[0]], text[cut[1] :]
    symbols = sorted(set(text))
    one = [-math.log((train[1:].count(c) + 1) / (len(train) - 1 + len(symbols))) for c in test[1:]]
    assert task.baseline().loss == pytest.approx(np.mean(one))
    pairs = list(pairwise(train))
    two = [-math.log((pairs.count((a, b)) + 1) / (train[:-1].count(a) + len(symbols))) for a, b in pairwise(test)]
    assert task.threshold == pytest.approx(np.mean(two))


def test_the_frequencies_of_letters_and_of_pairs_within_names():
    task = SMALL["names"]()
    symbols = task.vocabulary.symbols

    def spelt(batches):
        return {
            "".join(symbols[i] for i in batch.target[:length, b])
            for batch in batches
            for b, length in enumerate(batch.lengths)
        }

    train, test = spelt(islice(task.batches(6), 40)), spelt(task.held_out("test"))
    letters = "".join(train)
    pairs = [pair for name in train for pair in pairwise("\n" + name)]
    asked = [pair for name in test for pair in pairwise("\n" + name)]
    one = [-math.log((letters.count(b) + 1) / (len(letters) + len(symbols))) for _, b in asked]
    two = [-math.log((pairs.count((a, b)) + 1) / (sum(c == a for c, _ in pairs) + len(symbols))) for a, b in asked]
    assert task.baseline().loss == pytest.approx(np.mean(one))
    assert task.threshold == pytest.approx(np.mean(two))


def test_the_frequencies_of_keys():
    given = rolls()
    task = tasks.PianoRolls(given, threshold=1.0)
    known = np.concatenate([roll[1:] for roll in given["train"]])
    p = [(sum(known[:, key]) + 1) / (len(known) + 2) for key in range(4)]
    nats = [
        sum(-math.log(p[key] if frame[key] else 1 - p[key]) for key in range(4))
        for roll in given["test"]
        for frame in roll[1:]
    ]
    assert task.baseline().loss == pytest.approx(np.mean(nats))
    assert task.baseline().error == task.baseline().loss
