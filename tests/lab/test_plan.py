"""The plan fits the budget, or says which one it would fit."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.core.errors import ConfigError
from tinygrad_rnn.lab import plan as planning
from tinygrad_rnn.lab.contestants import contestant
from tinygrad_rnn.lab.named_tasks import named_task
from tinygrad_rnn.lab.plan import LEAST_STEPS, Settings, as_text, duration, made
from tinygrad_rnn.lab.study import seconds

CELLS = tuple(contestant(name, {"hidden_size": 4}) for name in ("gru", "lstm"))
TASKS = tuple(named_task(name) for name in ("Parity(length=2)", "Adding(length=10)"))
SIZES = planning.equal_sizes(Settings(CELLS, TASKS, 5, (0.01,), 60.0, None, 1))
PACE = st.fixed_dictionaries({key: st.floats(1e-4, 0.1) for key in ("step", "processor", "scoring", "rest", "memory")})
PACES = st.lists(st.lists(PACE, min_size=2, max_size=2), min_size=2, max_size=2)


@given(PACES, st.floats(1, 7200), st.integers(2, 8), st.integers(1, 8), st.floats(0, 60))
def test_the_expected_time_and_what_is_gone_fit_the_budget_or_a_longer_one_is_named(
    paces, budget, seeds, processes, gone
):
    def planned(budget):
        settings = Settings(CELLS, TASKS, seeds, (0.01, 0.1), budget, None, processes)
        return made(settings, SIZES, paces, gone)

    try:
        plan = planned(budget)
    except ConfigError as error:
        plan = planned(seconds(re.search(r"give (\S+),", str(error))[1]))
        assert min(plan.steps) >= LEAST_STEPS
    else:
        assert gone + plan.expected() <= budget
        assert min(plan.steps) >= LEAST_STEPS and all(steps % 10 == 0 for steps in plan.steps)


@given(PACES)
def test_equal_time_is_the_time_that_the_fastest_cell_needs_to_a_step(paces):
    plan = made(Settings(CELLS, TASKS, 2, (0.01,), 60.0, 100, 1), SIZES, paces)
    for task, row in enumerate(paces):
        times = [plan.equal_time(task, cell) * pace["processor"] for cell, pace in enumerate(row)]
        fastest = min(pace["processor"] for pace in row)
        for cell, (time, pace) in enumerate(zip(times, row, strict=True)):
            # A slow cell gets one step at least.
            assert time == pace["processor"] or abs(time - 100 * fastest) <= pace["processor"] / 2 + 1e-12
            trial, beginning = plan.trial(task, cell, 0, 0), plan.trial(task, cell, 0, 0, plan.equal_time(task, cell))
            assert trial.settings["scored"][-1] == 100 and beginning.settings["steps"] == plan.equal_time(task, cell)
            assert trial.settings["scored"][: len(beginning.settings["scored"])] == beginning.settings["scored"]
        assert len({tuple(plan.trial(task, cell, 0, 0).settings["scored"]) for cell in range(len(row))}) == 1


def test_a_task_that_is_slow_gets_the_least_steps_and_the_others_share_what_is_left():
    rest = {"scoring": 0.0, "rest": 0.0, "memory": 0.0}
    slow, quick = ([{"step": step, "processor": step, **rest}] * 2 for step in (0.1, 0.01))
    settings = Settings(CELLS, TASKS, 2, (0.01,), 45.0, None, 1)
    steps, (even, _) = (made(settings, SIZES, paces).steps for paces in ([slow, quick], [quick, quick]))
    assert steps[0] == LEAST_STEPS and steps[1] > LEAST_STEPS and even > steps[1]


def test_the_plan_says_what_so_few_seeds_cannot_tell():
    pace = {"step": 0.01, "processor": 0.01, "scoring": 0.01, "rest": 0.01, "memory": 0.0}
    texts = {
        seeds: as_text(made(Settings(CELLS, TASKS, seeds, (0.01,), 60.0, 100, 1), SIZES, [[pace] * 2] * 2))
        for seeds in (3, 5)
    }
    assert "with so few no difference can be told" in texts[3] and "--seeds 5" in texts[3]
    assert "so few" not in texts[5]


@given(st.integers(1, 10**5))
def test_a_duration_in_words_is_not_shorter_than_it_was(whole):
    hours, minutes, rest = re.fullmatch(r"(?:(\d+) h)? ?(?:(\d+) min)? ?(?:(\d+) s)?", duration(whole)).groups(
        default="0"
    )
    assert whole <= 3600 * int(hours) + 60 * int(minutes) + int(rest) < whole + 60


@pytest.mark.parametrize("budget", ["", "soon", "10 minutes", "-5s", "0", "nan", "1d"])
def test_a_budget_that_is_no_time_is_refused(budget):
    with pytest.raises(ConfigError, match="give a time such as 90s, 10m or 1h"):
        seconds(budget)


def test_a_cell_that_cannot_be_measured_counts_as_the_slowest_and_a_task_that_nobody_learns_is_refused():
    settings = Settings((*CELLS, contestant("rnn")), TASKS[:1], 5, (0.01,), 60.0, None, 1)
    failed = {"failure": "step 1: the loss is nan"}
    paces = [{"failure": None, "step": 0.1}, failed, {"failure": None, "step": 0.2}]
    together = {"pace-0": {"failure": None, "paces": paces}}
    assert planning.paces_of(settings, together) == [[paces[0], paces[2], paces[2]]]
    with pytest.raises(ConfigError, match=r"no cell can be trained on Parity\(length=2\): step 1: the loss is nan"):
        planning.paces_of(settings, {"pace-0": {"failure": None, "paces": [failed] * 3}})


def test_cells_are_measured_apart_where_one_took_the_measurement_along():
    settings = Settings((*CELLS, contestant("rnn")), TASKS, 5, (0.01,), 60.0, None, 1)
    dead, pace = {"failure": "its process ended by the signal SIGKILL"}, {"failure": None, "step": 0.1}
    measured = {"pace-0": dead, "pace-1": {"failure": None, "paces": [pace] * 3}}
    none, apart = planning.pace_jobs_apart(settings, planning.equal_sizes(settings), measured)[::-1]
    assert none == [] and [[cell.label for cell in job.cells] for job in apart] == [["GRU"], ["LSTM"], ["RNN"]]
    alone = dict(zip([job.name for job in apart], [pace, dead, pace], strict=True))
    found = {name: {"failure": None, "paces": [one]} if one is pace else one for name, one in alone.items()}
    assert planning.paces_of(settings, measured | found) == [[pace] * 3] * 2
