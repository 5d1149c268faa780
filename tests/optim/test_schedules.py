"""Schedules give PyTorch's learning rates."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_rnn import nn, optim
from tinygrad_rnn.core.errors import ConfigError, StateDictError

BASES = [0.5, 0.02]
gammas = st.floats(0.1, 1.1)
counts = st.integers(1, 30)


def make() -> optim.SGD:
    return optim.SGD([{"params": [nn.Parameter([1.0])], "lr": lr} for lr in BASES])


def make_torch() -> Any:
    torch = pytest.importorskip("torch")
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.ones(1))], "lr": lr} for lr in BASES])


def rates(schedule: Any, steps: int) -> list[list[float]]:
    """The learning rate of every group before each step."""
    found = []
    for _ in range(steps):
        found.append([group["lr"] for group in schedule.optimizer.param_groups])
        if not isinstance(schedule, optim.Schedule):
            schedule.optimizer.step()
        schedule.step()
    return found


def assert_close(ours: list[list[float]], theirs: list[list[float]]) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(other, rel=1e-10, abs=1e-14)


@settings(deadline=None)
@given(counts, gammas)
def test_step_lr_is_that_of_pytorch(step_size: int, gamma: float) -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.optim.lr_scheduler.StepLR(make_torch(), step_size, gamma)
    assert_close(rates(optim.StepLR(make(), step_size, gamma), 40), rates(theirs, 40))


@settings(deadline=None)
@given(gammas)
def test_exponential_lr_is_that_of_pytorch(gamma: float) -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.optim.lr_scheduler.ExponentialLR(make_torch(), gamma)
    assert_close(rates(optim.ExponentialLR(make(), gamma), 20), rates(theirs, 20))


@settings(deadline=None)
@given(counts, st.floats(0, 0.01))
def test_cosine_lr_is_that_of_pytorch_until_its_end(total: int, minimum: float) -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(make_torch(), total, minimum)
    assert_close(rates(optim.CosineLR(make(), total, minimum), total + 1), rates(theirs, total + 1))


@settings(deadline=None)
@given(counts, st.floats(0, 0.01))
def test_cosine_lr_stays_at_its_minimum(total: int, minimum: float) -> None:
    assert rates(optim.CosineLR(make(), total, minimum), total + 20)[total:] == [[minimum] * 2] * 20


@settings(deadline=None)
@given(counts)
def test_warm_up_is_the_linear_schedule_of_pytorch(steps: int) -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.optim.lr_scheduler.LambdaLR(make_torch(), lambda count: min(1, (count + 1) / steps))
    ours = rates(optim.WarmUp(make(), steps), 40)
    assert_close(ours, rates(theirs, 40))
    assert ours[0] == pytest.approx([base / steps for base in BASES])
    assert ours[steps - 1] == BASES


@settings(deadline=None)
@given(counts, counts)
def test_after_the_warm_up_the_other_schedule_begins(steps: int, total: int) -> None:
    alone = rates(optim.CosineLR(make(), total, 0.001), 20)
    optimizer = make()
    schedule = optim.WarmUp(optimizer, steps, after=optim.CosineLR(optimizer, total, 0.001))
    assert rates(schedule, steps + 20)[steps:] == alone


def test_a_warm_up_within_a_warm_up_knows_the_full_rate() -> None:
    optimizer = make()
    schedule = optim.WarmUp(optimizer, 2, after=optim.WarmUp(optimizer, 2))
    assert [rate[0] for rate in rates(schedule, 5)] == [0.25, 0.5, 0.25, 0.5, 0.5]


@settings(deadline=None)
@given(st.lists(st.sampled_from([1.0, 2.0, 3.0, math.nan, math.inf])), st.integers(1, 5), st.floats(0.1, 0.9))
def test_a_plateau_is_that_of_pytorch(scores: list[float], patience: int, gamma: float) -> None:
    torch = pytest.importorskip("torch")
    theirs = make_torch()
    # PyTorch waits for one score more than its patience.
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, factor=gamma, patience=patience - 1, threshold=0)
    schedule = optim.PlateauLR(make(), patience, gamma)
    for score in scores:
        schedule.observe(score)
        reference.step(score)
        now = [[group["lr"] for group in optimizer.param_groups] for optimizer in (schedule.optimizer, theirs)]
        assert now[0] == pytest.approx(now[1], rel=1e-6)  # PyTorch lets changes below 1e-8 be.


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(0, 20), st.integers(1, 4))
def test_a_plateau_goes_on_where_it_was(scores: list[float], cut: int, patience: int) -> None:
    whole, first, second = (optim.PlateauLR(make(), patience) for _ in range(3))
    for score in scores[:cut]:
        first.observe(score)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for score in scores[cut:]:
        second.observe(score)
    for score in scores:
        whole.observe(score)
    assert second.state_dict() == whole.state_dict()
    assert second.optimizer.lr == whole.optimizer.lr


makers: list[Any] = [
    lambda o: optim.PlateauLR(o, 3, 0.5),
    lambda o: optim.StepLR(o, 3, 0.5),
    lambda o: optim.ExponentialLR(o, 0.9),
    lambda o: optim.CosineLR(o, 17, 0.001),
    lambda o: optim.WarmUp(o, 4, after=optim.ExponentialLR(o, 0.9)),
]


@pytest.mark.parametrize("maker", makers)
@settings(deadline=None)
@given(before=st.integers(0, 12))
def test_a_schedule_goes_on_from_its_state(maker: Any, before: int) -> None:
    first = maker(make())
    rates(first, before)
    second = maker(optim.SGD([{"params": [nn.Parameter([1.0])]}, {"params": [nn.Parameter([1.0])]}], lr=0.9))
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert rates(second, 10) == rates(first, 10)


@pytest.mark.parametrize("maker", makers)
def test_a_schedule_and_its_optimizer_go_on_whichever_is_loaded_first(maker: Any) -> None:
    optimizer = make()
    schedule = maker(optimizer)
    rates(schedule, 5)
    saved = optimizer.state_dict(), schedule.state_dict()
    for order in (0, 1):
        other = make()
        again = maker(other)
        for part in (order, 1 - order):
            (other, again)[part].load_state_dict(saved[part])
        assert [g["lr"] for g in other.param_groups] == [g["lr"] for g in optimizer.param_groups]
        assert other.state_dict() == optimizer.state_dict()


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({}, "no state of a schedule"),
        ([], "no state of a schedule"),
        ({"schedule": "StepLR", "count": 1, "base_lrs": [1, 1]}, "a state of StepLR for ExponentialLR"),
        ({"schedule": "ExponentialLR", "count": 1, "base_lrs": [1]}, "1 groups for an optimiser of 2"),
    ],
)
def test_a_state_that_does_not_fit_a_schedule_is_a_named_error(state: Any, says: str) -> None:
    schedule = optim.ExponentialLR(make(), 0.9)
    with pytest.raises(StateDictError, match=says):
        schedule.load_state_dict(state)
    assert schedule.count == 0
    assert schedule.base_lrs == BASES


@pytest.mark.parametrize(
    ("make_wrong", "says"),
    [
        (lambda o: optim.StepLR(o, 0), "step_size is 0"),
        (lambda o: optim.StepLR(o, 2.0), "step_size is 2.0"),  # type: ignore[arg-type]
        (lambda o: optim.StepLR(o, 2, 0), "gamma is 0, which would stop all learning"),
        (lambda o: optim.StepLR(o, True), "step_size is True"),
        (lambda o: optim.ExponentialLR(o, -1), "gamma is -1; give a finite number"),
        (lambda o: optim.ExponentialLR(o, math.nan), "gamma is nan"),
        (lambda o: optim.CosineLR(o, 0), "total is 0"),
        (lambda o: optim.PlateauLR(o, 0), "patience is 0"),
        (lambda o: optim.PlateauLR(o, 2, 0), "gamma is 0"),
        (lambda o: optim.CosineLR(o, 3, -1), "minimum is -1"),
        (lambda o: optim.WarmUp(o, 0), "steps is 0"),
        (lambda o: optim.WarmUp(o, 2, after=optim.StepLR(make(), 2)), "no schedule of this optimiser"),
        (lambda o: optim.WarmUp(o, 2, after=3), "after=3 is no schedule"),  # type: ignore[arg-type]
        (lambda o: optim.StepLR(0.1, 2), "a schedule for 0.1"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_argument_of_a_schedule_is_a_named_error(make_wrong: Any, says: str) -> None:
    optimizer = make()
    with pytest.raises(ConfigError, match=says):
        make_wrong(optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == BASES


def test_a_schedule_without_value_says_so() -> None:
    with pytest.raises(NotImplementedError, match="Schedule has no value"):
        optim.Schedule(make())
