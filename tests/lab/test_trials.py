"""Trials in processes: what fails is told and stops nothing else, and what is done is not done again."""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time

import pytest

from tinygrad_rnn.lab import processes
from tinygrad_rnn.lab.contestants import contestant
from tinygrad_rnn.lab.folder import Folder
from tinygrad_rnn.lab.jobs import Job, perform
from tinygrad_rnn.lab.named_tasks import named_task
from tinygrad_rnn.lab.outcomes import FAILED, at_equal_parameters, at_equal_time, beginnings
from tinygrad_rnn.lab.plan import Plan
from tinygrad_rnn.lab.processes import done
from tinygrad_rnn.lab.trials import carry_out

from .conftest import CELLS, PACE, plan_of

RECALL = f"{CELLS}:Recall"


def silent(line):
    pass


def carried_out(plan, folder, processes=1):
    return carry_out(plan.trials(), Folder(folder), processes, "trials", silent)


def without_times(results):
    return {name: {key: value for key, value in result.items() if key != "seconds"} for name, result in results.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A small study, carried out at once."""
    plan = plan_of(["gru", "rnn"], [RECALL], steps=20, seeds=2)
    folder = tmp_path_factory.mktemp("whole")
    return plan, folder, carried_out(plan, folder)


def test_two_processes_find_the_same_as_one_and_as_this_one(whole, tmp_path):
    plan, _, results = whole
    assert without_times(carried_out(plan, tmp_path, processes=2)) == without_times(results)
    here = json.loads(json.dumps({job.name: perform(job) for job in plan.trials()}))
    assert without_times(here) == without_times(results)


def test_a_study_that_is_done_starts_no_process(whole, monkeypatch):
    plan, folder, results = whole
    monkeypatch.setattr(processes, "_started", lambda: pytest.fail("a process was started"))
    assert carried_out(plan, folder) == results


def test_a_trial_that_was_asked_for_with_other_settings_is_made_again(whole):
    plan, folder, _ = whole
    other = plan_of(["gru", "rnn"], [RECALL], steps=30, seeds=2)
    kept = Folder(folder)
    assert all(kept.result(job) is not None for job in plan.trials())
    assert all(kept.result(job) is None for job in other.trials())


def test_the_seeds_of_two_cells_share_no_random_numbers(whole):
    plan, _, _ = whole
    seeds = [job.settings["seed"] for job in plan.trials()]
    assert len(set(seeds)) == len(seeds)


def test_a_gradient_that_is_no_number_is_told_and_the_other_cells_trials_go_on(tmp_path):
    plan = plan_of([f"{CELLS}:RootOfZero", "gru"], [RECALL], steps=30, seeds=2, rates=(0.5, 1.0))
    results = carried_out(plan, tmp_path)
    for job in plan.trials():
        failure = results[job.name]["failure"]
        assert ("gradient's norm inf" in failure) if job.cells[0].label == "RootOfZero" else (failure is None)
    cells = at_equal_parameters(plan, results)
    assert cells[0, 0, 0] is FAILED and cells[0, 1, 0].test < 1


def test_an_exception_of_the_users_is_told_with_its_line(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(CELLS.read_text().replace("return np.tanh(self.from_input(x)), h", "return x @ h, h"))
    line = file.read_text().splitlines().index("        return x @ h, h") + 1
    job = plan_of(["gru", "rnn"], [RECALL], steps=20, seeds=2).trials()[0]
    broken = Job(job.name, "trial", (contestant(f"{file}:Stateless"),), job.task, job.settings)
    assert perform(broken)["failure"].startswith(f"line {line}: ShapeError")


def test_a_process_that_dies_takes_its_own_trial_along_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setenv("STOPS", "dies")
    plan = plan_of([f"{CELLS}:Stops", "gru"], [RECALL], steps=20, seeds=2)
    results = carried_out(plan, tmp_path, processes=2)
    failures = [results[job.name]["failure"] for job in plan.trials()]
    assert failures == ["its process ended by the signal SIGKILL", None] * 2


def test_a_trial_that_never_ends_is_ended_and_told(tmp_path, monkeypatch):
    monkeypatch.setenv("STOPS", "hangs")
    monkeypatch.setattr(processes, "LEAST_LIMIT", 3.0)
    (hanging, *_) = plan_of([f"{CELLS}:Stops", "gru"], [RECALL], steps=20, seeds=2).trials()
    (event,) = done([dataclasses.replace(hanging, work=0.0)], 1)
    assert event.result == {"failure": "its process was ended, since it took longer than 3 s"}


def test_classes_that_no_file_holds_are_trained_in_this_process(monkeypatch):
    monkeypatch.setattr(processes, "_started", lambda: pytest.fail("a process was started"))

    def made():
        class Mine(contestant("rnn").make):
            pass

        return Mine

    cell = contestant(made(), {"hidden_size": 4})
    assert not cell.is_importable
    settings = {"steps": 10, "scored": [10], "memory": False, "lr": 0.01, "seed": 0, "batch_size": 4}
    (event,) = done([Job("a", "trial", (cell,), named_task("Parity(length=2)"), settings)], 2)
    assert event.result["failure"] is None


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="the process is killed by a signal")
def test_a_study_that_is_killed_goes_on_and_ends_with_the_same_numbers(whole, tmp_path):
    plan, _, results = whole
    program = "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; import conftest, test_killed\n"
    (tmp_path / "test_killed.py").write_text(
        "from conftest import *\n"
        f"plan = plan_of(['gru', 'rnn'], [{RECALL!r}], steps=20, seeds=2)\n"
        f"carry_out(plan.trials(), Folder(Path({str(tmp_path / 'study')!r})), 1, 'trials', print)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CELLS.parents[2]), str(tmp_path)])}
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(CELLS.parent)], env=environment, stdout=subprocess.DEVNULL
    )
    while not (kept := list(tmp_path.glob("study/results/*.json"))):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < len(kept) < len(results)
    before = {path: path.stat().st_mtime_ns for path in kept}
    assert without_times(carried_out(plan, tmp_path / "study")) == without_times(results)
    assert {path: path.stat().st_mtime_ns for path in kept} == before


def test_at_equal_time_a_slower_cell_is_judged_by_what_it_had_learnt_by_then(whole, tmp_path):
    plan, folder, results = whole
    slow = Plan(plan.settings, plan.sizes, [[PACE, {**PACE, "processor": 0.02}]], plan.steps)
    again = carry_out(beginnings(slow, results), Folder(folder), 1, "trials at equal time", silent)
    cells = at_equal_time(slow, results, again)
    whole_trials = at_equal_parameters(slow, results)
    for seed in range(2):
        assert cells[0, 0, seed] == whole_trials[0, 0, seed]
        half = perform(slow.trial(0, 1, 0, seed, 10))
        assert half["curve"] == results[f"trial-0-1-0-{seed}"]["curve"][:5]
        assert cells[0, 1, seed].test == half["test"]["error"]
        assert cells[0, 1, seed].curve == whole_trials[0, 1, seed].curve[:5]


def test_what_fails_after_the_equal_time_does_not_count_then(whole):
    plan, _, results = whole
    slow = Plan(plan.settings, plan.sizes, [[PACE, {**PACE, "processor": 0.02}]], plan.steps)
    broken = dict(results)
    for seed in range(2):
        name = f"trial-0-1-0-{seed}"
        curve = results[name]["curve"][:8]
        broken[name] = {**results[name], "failure": "step 17: the loss is nan", "curve": curve, "memory": None}
    again = {job.name: perform(job) for job in beginnings(slow, broken)}
    assert sorted(again) == ["trial-0-1-0-0-10", "trial-0-1-0-1-10"]
    then, whole_trials = at_equal_time(slow, broken, again), at_equal_parameters(slow, broken)
    for seed in range(2):
        assert then[0, 1, seed].test == again[f"trial-0-1-0-{seed}-10"]["test"]["error"]
        assert whole_trials[0, 1, seed].test == math.inf
