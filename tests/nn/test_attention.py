"""Attention, the cell that reads a memory, and sequence to sequence."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, testing
from tinygrad_rnn.core import errors
from tinygrad_rnn.scan import scan
from tinygrad_rnn.scan.engines import available


@settings(max_examples=20)
@given(batch=st.integers(1, 3), rows=st.integers(1, 4), seed=st.integers(0, 9999))
def test_attention_is_the_mean_of_rows_by_the_softmax_of_their_scores(batch, rows, seed):
    rng = np.random.default_rng(seed)
    attention = nn.AdditiveAttention(2, 3, 4).astype(np.float64)
    query, memory = rng.normal(size=(batch, 2)), rng.normal(size=(batch, rows, 3))
    counts = rng.integers(1, rows + 1, batch)
    answer, weights = attention(query, memory, np.arange(rows) < counts[:, None])
    for k in range(batch):
        a = query[k] @ attention.from_query.weight.data + attention.from_query.bias.data
        known = memory[k, : counts[k]]
        scores = [np.tanh(a + m @ attention.from_memory.weight.data) @ attention.score.weight.data[:, 0] for m in known]
        expected = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(weights.data[k], np.pad(expected, (0, rows - counts[k])), atol=1e-12)
        np.testing.assert_allclose(answer.data[k], expected @ known, atol=1e-12)


def test_a_cell_with_a_memory_of_its_own_passes_every_check():
    report = testing.check_cell(nn.AttentionCell(nn.MGUCell(3, 2), memory_size=1, slots=2))
    assert {result.check for result in report if result.outcome != "pass"} <= {"long_gradient"}


def test_the_cell_inside_gets_the_input_beside_the_answer_to_its_last_output():
    tg.random.seed(0)
    cell = nn.AttentionCell(nn.LSTMCell(2 + 3, 4), memory_size=3)
    rng = np.random.default_rng(0)
    memory, xs = rng.normal(size=(2, 5, 3)).astype(np.float32), rng.normal(size=(4, 2, 2)).astype(np.float32)
    ys, _ = scan(cell, cell.start(memory, [5, 2]), xs)
    y, state = np.zeros((2, 4), np.float32), cell.cell.initial_state(2)
    for t in range(4):
        answer, weights = cell.attention(y, memory, np.arange(5) < np.array([[5], [2]]))
        assert not weights.data[1, 2:].any()
        y, state = cell.cell(np.concatenate([xs[t], answer], axis=-1), state)
        np.testing.assert_allclose(ys.data[t], np.concatenate([y, answer], axis=-1).data, atol=1e-5)


def small(seed=0, cell=nn.GRUCell):
    tg.random.seed(seed)
    return nn.Seq2Seq(5, 6, embedding_size=3, hidden_size=4, cell=cell)


def test_what_stands_behind_a_source_changes_nothing():
    model, rng = small(), np.random.default_rng(0)
    source, target = rng.integers(5, size=(7, 2)), rng.integers(6, size=(4, 2))
    other = source.copy()
    other[4:, 1] = (other[4:, 1] + 1) % 5
    first, second = (model(ids, target, source_lengths=[7, 4]) for ids in (source, other))
    np.testing.assert_array_equal(first.data, second.data)
    alone = model(source[:4, 1:], target[:, 1:])
    np.testing.assert_allclose(first.data[:, 1:], alone.data, atol=1e-6)
    assert not np.allclose(model(other, target).data[:, 1], first.data[:, 1])


@pytest.mark.parametrize("cell", [nn.LSTMCell, nn.ProjectedLSTMCell])
def test_all_engines_give_the_same_scores_and_gradients(cell):
    source, target = np.arange(12).reshape(4, 3) % 5, np.arange(15).reshape(5, 3) % 6
    found = []
    for engine in available():
        model = small(cell=cell).astype(np.float64)
        with tg.engine(engine):
            logits = model(source, target, source_lengths=[4, 1, 3])
            nn.cross_entropy(logits, (target + 1) % 6).backward()
        found.append([logits.data, *[parameter.grad for parameter in model.parameters()]])
    for other in found[1:]:
        for a, b in zip(other, found[0], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-10)


def test_greedy_answers_are_the_best_symbols_of_the_scores():
    model, source = small(3), np.arange(12).reshape(4, 3) % 5
    lengths = [4, 1, 3]
    answers = model.greedy(source, start=0, end=5, limit=7, source_lengths=lengths)
    for row, answer in enumerate(answers):
        given_symbols = np.array([[0], *[[symbol] for symbol in answer]])
        best = model(source[: lengths[row], row : row + 1], given_symbols).data.argmax(-1)[:, 0].tolist()
        assert best[: len(answer)] == answer
        assert len(answer) == 7 or best[len(answer)] == 5


def test_a_model_learns_to_turn_sequences_round():
    tg.random.seed(0)
    rng, start, end = np.random.default_rng(0), 4, 5
    model = nn.Seq2Seq(4, 6, embedding_size=8, hidden_size=24)
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    for _ in range(120):
        source = rng.integers(4, size=(4, 32))
        answer = np.concatenate([source[::-1], np.full((1, 32), end)])
        given_symbols = np.concatenate([np.full((1, 32), start), source[::-1]])
        loss = nn.cross_entropy(model(source, given_symbols), answer)
        model.zero_grad()
        loss.backward()
        optimizer.step()
    source = rng.integers(4, size=(4, 50))
    answers = model.greedy(source, start, end, limit=8)
    assert np.mean([answer == source[::-1, row].tolist() for row, answer in enumerate(answers)]) > 0.9


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: nn.AttentionCell(nn.GRUCell(3, 4), 3),
            errors.ConfigError,
            "GRUCell takes 3 features, of which 3",
        ),
        (lambda: nn.AttentionCell(nn.GRUCell(5, 4), 0), errors.ConfigError, "memory_size is 0"),
        (lambda: nn.AttentionCell(nn.GRU(5, 4), 3), errors.CellError, "AttentionCell of a GRU; give an instance"),
        (
            lambda: nn.AttentionCell(nn.GRUCell(5, 4), 3).initial_state(2),
            errors.CellError,
            "an AttentionCell without slots has no memory to begin with",
        ),
        (
            lambda: nn.AttentionCell(nn.GRUCell(5, 4), 3).start(np.ones((2, 3))),
            errors.ShapeError,
            "a memory of shape (2, 3); give (batch, rows, 3)",
        ),
        (
            lambda: nn.AttentionCell(nn.GRUCell(5, 4), 3).start(np.ones((2, 2, 3)), [2, 0]),
            errors.DataError,
            "a memory of no rows; give lengths of at least 1",
        ),
    ],
)
def test_what_is_no_memory_is_refused(make, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        make()
