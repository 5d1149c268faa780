"""Loss and errors of each kind of task, element by element, with what does not count left out."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_rnn.data import tasks

few = settings(deadline=None, max_examples=20)
seeds = st.integers(0, 2**32)


def drawn(seed, outputs=3):
    """A batch with lengths or a mask, and numbers of a read-out."""
    rng = np.random.default_rng(seed)
    time, rows = rng.integers(1, 6), rng.integers(1, 5)
    lengths = rng.integers(1, time + 1, rows)
    lengths[0] = time
    inside = np.arange(time)[:, None] < lengths
    x = np.zeros((time, rows, 1), np.float32)
    classes = rng.integers(0, outputs, (time, rows))
    return rng, tasks.Batch(x, classes, lengths), inside, rng.normal(size=(time, rows, outputs))


def cross_entropy(row, target):
    return math.log(sum(math.exp(v) for v in row)) - row[target]


@few
@given(seeds)
def test_cross_entropy_is_the_mean_over_the_steps_within_the_lengths(seed):
    _, batch, inside, outputs = drawn(seed)
    losses = [cross_entropy(outputs[t, b], batch.target[t, b]) for t, b in zip(*np.nonzero(inside), strict=True)]

    class Each(tasks.NextSymbol):
        pass

    assert Each().loss(outputs, batch).item() == pytest.approx(np.mean(losses))
    assert np.allclose(Each().errors(outputs, batch), losses)


@few
@given(seeds)
def test_a_sequence_is_wrong_if_any_step_that_counts_is(seed):
    rng, batch, inside, outputs = drawn(seed)
    task = tasks.Classification()
    wrong = outputs.argmax(-1) != batch.target
    rows = range(batch.rows)
    assert task.errors(outputs, batch).tolist() == [
        float(any(wrong[t, b] and inside[t, b] for t in range(len(wrong)))) for b in rows
    ]
    counted = rng.random(inside.shape) < 0.5
    masked = batch._replace(counted=counted)
    assert task.errors(outputs, masked).tolist() == [float((wrong & counted)[:, b].any()) for b in rows]


@few
@given(seeds)
def test_legal_symbols_must_have_the_greatest_scores(seed):
    rng, batch, inside, outputs = drawn(seed, outputs=4)
    legal = rng.random(outputs.shape) < 0.5
    legal[..., 0] |= ~legal.any(-1)
    errors = tasks.Classification().errors(outputs, batch._replace(legal=legal))
    for b in range(batch.rows):
        wrong = False
        for t in np.flatnonzero(inside[:, b]):
            best = set(np.argsort(-outputs[t, b])[: legal[t, b].sum()].tolist())
            wrong |= best != set(np.flatnonzero(legal[t, b]).tolist())
        assert errors[b] == wrong


def test_an_illegal_symbol_that_scores_as_much_is_an_error():
    batch = tasks.Batch(np.zeros((1, 1, 1), np.float32), np.zeros((1, 1), int), legal=np.array([[[True, False]]]))
    task = tasks.Classification()
    for outputs, wrong in (([1.0, 0.0], 0), ([1.0, 1.0], 1), ([0.0, 1.0], 1), ([math.nan, 0.0], 1)):
        assert task.errors(np.array([[outputs]]), batch).tolist() == [wrong]


@few
@given(seeds)
def test_the_squared_error_leaves_out_what_does_not_count(seed):
    rng, batch, inside, outputs = drawn(seed)

    class Each(tasks.Regression):
        every_step = True

    batch = batch._replace(target=rng.normal(size=outputs.shape))
    squares = np.square(outputs - batch.target).mean(-1)[inside]
    assert Each().loss(outputs, batch).item() == pytest.approx(squares.mean())
    assert np.allclose(Each().errors(outputs, batch), squares)
    assert Each().loss(outputs, batch._replace(lengths=None)).item() == pytest.approx(
        np.square(outputs - batch.target).mean()
    )


@few
@given(seeds)
def test_labels_are_summed_and_steps_averaged(seed):
    rng, batch, inside, outputs = drawn(seed)
    batch = batch._replace(target=rng.integers(0, 2, outputs.shape).astype(np.float32))
    p = 1 / (1 + np.exp(-outputs))
    nats = -np.where(batch.target > 0, np.log(p), np.log(1 - p)).sum(-1)
    task = tasks.MultiLabel()
    assert task.loss(outputs, batch).item() == pytest.approx(nats[inside].mean())
    assert np.allclose(task.errors(outputs, batch), nats[inside])
    assert task.loss(outputs, batch._replace(lengths=None)).item() == pytest.approx(nats.mean())


@few
@given(seeds)
def test_a_string_is_wrong_if_a_symbol_is_missing_or_one_too_many(seed):
    rng, batch, inside, outputs = drawn(seed)
    target = rng.integers(0, 2, outputs.shape).astype(np.float32)
    batch = batch._replace(target=target)
    task = tasks.LegalSymbols()
    assert task.errors(target - 0.5, batch).tolist() == [0.0] * batch.rows
    t, b, k = (int(rng.integers(0, n)) for n in outputs.shape)
    flipped = target.copy()
    flipped[t, b, k] = 1 - flipped[t, b, k]
    expected = np.zeros(batch.rows)
    expected[b] = inside[t, b]
    assert task.errors(flipped - 0.5, batch).tolist() == expected.tolist()


def test_a_class_for_the_whole_sequence_needs_no_lengths():
    batch = tasks.Batch(np.zeros((3, 2, 1), np.float32), np.array([1, 0]), lengths=np.array([3, 1]))
    outputs = np.array([[0.0, 2.0], [0.0, 2.0]])
    assert tasks.Classification().errors(outputs, batch).tolist() == [0.0, 1.0]
    expected = (cross_entropy(outputs[0], 1) + cross_entropy(outputs[1], 0)) / 2
    assert tasks.Classification().loss(outputs, batch).item() == pytest.approx(expected)
