"""What is told of two cells, from test errors that are given."""

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.lab.comparison import comparisons, standings
from tinygrad_rnn.lab.contestants import contestant
from tinygrad_rnn.lab.named_tasks import named_task
from tinygrad_rnn.lab.outcomes import PARAMETERS, Outcome
from tinygrad_rnn.lab.plan import Settings
from tinygrad_rnn.lab.rows import Rows, add_ranking

ERRORS = st.lists(st.integers(0, 50).map(lambda n: n / 100) | st.just(math.inf), min_size=5, max_size=5)
PARITY = ("Parity(length=3)",)  # a trivial predictor errs at half of the sequences: 0.05 counts


def told(*cells, tasks=PARITY):
    """The standings and comparisons of cells whose seeds have these errors on every task."""
    contestants = tuple(contestant("rnn") for _ in cells)
    settings = Settings(contestants, tuple(map(named_task, tasks)), len(cells[0]), (0.1,), 60.0, 10, 1)
    outcomes = {
        (task, cell, seed): Outcome(0.1, 1, 0.0, error, (), None)
        for task in range(len(tasks))
        for cell, errors in enumerate(cells)
        for seed, error in enumerate(errors)
    }
    return standings(settings, outcomes, PARAMETERS), comparisons(settings, outcomes, PARAMETERS)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([0.1, 0.11, 0.12, 0.13, 0.14], [0.4, 0.41, 0.42, 0.43, 0.44], "better"),
        ([0.4, 0.41, 0.42, 0.43, 0.44], [0.1, 0.11, 0.12, 0.13, 0.14], "worse"),
        ([0.1, 0.101, 0.102, 0.103, 0.104], [0.11, 0.111, 0.112, 0.113, 0.114], "better, by less than counts"),
        ([0.1, 0.11, 0.12, 0.13, 0.14], [0.105, 0.115, 0.125, 0.135, 0.095], "no difference"),
        ([0.0, 0.0, 0.0, 0.0, 0.5], [0.0, 0.0, 0.0, 0.0, 0.0], "cannot tell, needs about 125 seeds"),
        ([0.0, 0.0, 0.0, 0.0, math.inf], [0.1, 0.2, 0.3, 0.4, 0.5], "cannot tell, needs about 15 seeds"),
        ([math.inf] * 5, [0.1, 0.2, 0.3, 0.4, 0.5], "worse"),
        ([math.inf] * 5, [math.inf] * 5, "both failed"),
    ],
)
def test_the_answer_follows_from_the_errors(first, second, words):
    _, (found,) = told(first, second)
    assert found.in_words() == words


def test_among_more_comparisons_a_difference_is_harder_to_tell():
    first, second = [0.1, 0.11, 0.12, 0.13, 0.14], [0.4, 0.41, 0.42, 0.43, 0.44]
    tasks = [f"Parity(length={length})" for length in range(2, 9)]
    _, found = told(first, second, tasks=tasks[:6])
    assert {one.answer for one in found} == {"better"}
    _, found = told(first, second, tasks=tasks)
    assert {one.in_words() for one in found} == {"cannot tell, needs about 6 seeds"}


@pytest.mark.parametrize(
    ("errors", "answer"),
    [
        ([0.1, 0.2, 0.44, 0.5, 0.5], "place 1 of 2"),
        ([0.1, 0.2, 0.46, 0.5, 0.5], "place 1 of 2, learnt nothing with most seeds"),
        ([0.5] * 5, "place 1 of 2, learnt nothing"),
    ],
)
def test_a_cell_has_learnt_nothing_where_a_trivial_predictor_is_as_good(errors, answer):
    found, compared = told(errors, [0.6] * 5)
    settings = Settings(tuple(contestant("rnn") for _ in "ab"), (named_task(*PARITY),), 5, (0.1,), 60.0, 10, 1)
    rows = Rows()
    add_ranking(rows, SimpleNamespace(settings=settings), found, compared)
    assert [row["answer"] for row in rows.all(table="standing")] == [answer, "place 2 of 2, learnt nothing"]


def test_a_cell_that_ended_no_trial_is_said_to():
    found, compared = told([math.inf] * 5, [0.1] * 5)
    settings = Settings(tuple(contestant("rnn") for _ in "ab"), (named_task(*PARITY),), 5, (0.1,), 60.0, 10, 1)
    rows = Rows()
    add_ranking(rows, SimpleNamespace(settings=settings), found, compared)
    assert [row["answer"] for row in rows.all(table="standing")] == ["place 2 of 2, ended no trial", "place 1 of 2"]


@given(ERRORS, ERRORS)
def test_two_cells_that_change_places_change_their_answers(first, second):
    _, (one,) = told(first, second)
    _, (other,) = told(second, first)
    turned = {"better": "worse", "worse": "better"}
    assert other.answer == turned.get(one.answer, one.answer) and other.seeds == one.seeds


@given(st.lists(ERRORS, min_size=2, max_size=4))
def test_a_cell_whose_every_seed_is_worse_than_all_others_takes_the_last_place(cells):
    cells = [[min(error, 0.5) for error in errors] for errors in cells]
    found, _ = told(*cells, [0.6, 0.7, 0.8, math.inf, math.inf])
    assert found[-1].place == len(cells) + 1 and found[-1].failed == 2
    assert min(one.place for one in found) == 1
