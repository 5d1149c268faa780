"""Clipping does to gradients what PyTorch does."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_rnn import nn, optim
from tinygrad_rnn.core.errors import ConfigError


@st.composite
def with_gradients(draw: st.DrawFn) -> list[nn.Parameter]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = 10.0 ** draw(st.integers(-6, 6))
    parameters = []
    for shape in draw(st.lists(st.sampled_from([(), (3,), (2, 3), (0,), (1, 4, 2)]), min_size=1, max_size=4)):
        parameters.append(nn.Parameter(np.ones(shape)))
        if draw(st.booleans()):
            parameters[-1].grad = scale * rng.normal(size=shape)
    return parameters


limits = st.just(0.0) | st.floats(1e-6, 1e6)


def twins(parameters: list[nn.Parameter]) -> list[Any]:
    torch = pytest.importorskip("torch")
    theirs = [torch.nn.Parameter(torch.tensor(p.data.copy())) for p in parameters]
    for mine, other in zip(parameters, theirs, strict=True):
        other.grad = None if mine.grad is None else torch.tensor(mine.grad)
    return theirs


def assert_same_gradients(parameters: list[nn.Parameter], theirs: list[Any]) -> None:
    for mine, other in zip(parameters, theirs, strict=True):
        if other.grad is None:
            assert mine.grad is None
        else:
            np.testing.assert_allclose(mine.grad, other.grad.numpy(), rtol=1e-12, atol=0)


@settings(deadline=None)
@given(with_gradients(), limits)
def test_clipping_by_norm_is_that_of_pytorch(parameters: list[nn.Parameter], limit: float) -> None:
    torch = pytest.importorskip("torch")
    theirs = twins(parameters)
    expected = torch.nn.utils.clip_grad_norm_(theirs, limit)
    norm = optim.clip_grad_norm(iter(parameters), limit)
    assert type(norm) is float
    assert norm == pytest.approx(float(expected), rel=1e-12)
    assert_same_gradients(parameters, theirs)


@settings(deadline=None)
@given(with_gradients(), limits)
def test_clipping_by_value_is_that_of_pytorch(parameters: list[nn.Parameter], limit: float) -> None:
    torch = pytest.importorskip("torch")
    theirs = twins(parameters)
    if any(other.grad is not None for other in theirs):
        torch.nn.utils.clip_grad_value_(theirs, limit)
    optim.clip_grad_value(iter(parameters), limit)
    assert_same_gradients(parameters, theirs)


@settings(deadline=None)
@given(with_gradients(), st.floats(1e-3, 1e3))
def test_the_norm_after_clipping_is_at_most_the_limit(parameters: list[nn.Parameter], limit: float) -> None:
    before = optim.clip_grad_norm(parameters, limit)
    after = optim.clip_grad_norm(parameters, math.inf)
    assert after <= limit
    assert after == pytest.approx(min(before, limit), rel=1e-2)


@settings(deadline=None)
@given(with_gradients(), st.floats(0.3, 3))
def test_a_limit_near_the_norm_clips_as_in_pytorch(parameters: list[nn.Parameter], part: float) -> None:
    torch = pytest.importorskip("torch")
    theirs = twins(parameters)
    limit = part * optim.clip_grad_norm(parameters, math.inf)
    torch.nn.utils.clip_grad_norm_(theirs, limit)
    optim.clip_grad_norm(parameters, limit)
    assert_same_gradients(parameters, theirs)


def test_the_norm_of_many_float16_numbers_is_summed_in_float32() -> None:
    w = nn.Parameter(np.ones(5000, np.float16))
    w.grad = np.full(5000, 0.3)
    assert optim.clip_grad_norm([w], math.inf) == pytest.approx(float(np.float16(0.3)) * math.sqrt(5000), rel=1e-6)


def test_an_infinite_limit_keeps_an_infinite_gradient() -> None:
    w = nn.Parameter([1.0])
    w.grad = np.array([-math.inf])
    optim.clip_grad_value([w], math.inf)
    assert w.grad is not None and w.grad.tolist() == [-math.inf]


@settings(deadline=None)
@given(with_gradients())
def test_an_infinite_limit_measures_only(parameters: list[nn.Parameter]) -> None:
    held = [p.grad for p in parameters]
    optim.clip_grad_norm(parameters, math.inf)
    optim.clip_grad_value(parameters, math.inf)
    assert all(
        (now.grad is None and then is None) or np.array_equal(now.grad, then)
        for now, then in zip(parameters, held, strict=True)
    )


@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        (np.float16, 6e4),
        (np.float32, 1e25),
        (np.float32, 1e-30),
        (np.float64, 1e200),
        (np.float64, 1e-200),
    ],
)
def test_the_norm_of_very_large_and_very_small_gradients_is_right(dtype: Any, size: float) -> None:
    parameters = [nn.Parameter(np.ones(3, dtype)), nn.Parameter(np.ones((1, 1), dtype))]
    for parameter in parameters:
        parameter.grad = np.full(parameter.shape, -size)
    assert optim.clip_grad_norm(parameters, max(1.0, size)) == pytest.approx(2 * size, rel=1e-3, abs=0)
    for parameter in parameters:
        assert parameter.grad is not None and parameter.grad.dtype == dtype
        np.testing.assert_allclose(parameter.grad, -size / 2 if size > 1 else -size, rtol=1e-3)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_gradients_of_no_finite_norm_stay_as_they_are(bad: float) -> None:
    parameters = [nn.Parameter([1.0, 1.0]), nn.Parameter([1.0])]
    parameters[0].grad = np.array([3.0, 4.0])
    parameters[1].grad = np.array([bad])
    assert not math.isfinite(optim.clip_grad_norm(parameters, 1.0))
    assert parameters[0].grad.tolist() == [3.0, 4.0]


def test_gradients_held_elsewhere_are_not_written() -> None:
    w = nn.Parameter([1.0, 1.0])
    w.grad = [3.0, 4.0]  # type: ignore[assignment]
    held = w.grad
    optim.clip_grad_norm([w], 1.0)
    optim.clip_grad_value([w], 0.1)
    assert held is not None and held.tolist() == [3.0, 4.0]
    assert w.grad is not None and w.grad.tolist() == [0.1, 0.1]


def test_parameters_without_gradients_have_norm_0() -> None:
    assert optim.clip_grad_norm([nn.Parameter([1.0])], 1.0) == 0.0
    assert optim.clip_grad_norm([], 1.0) == 0.0


def test_a_value_beyond_the_range_of_float16_clips_nothing() -> None:
    w = nn.Parameter(np.ones(1, np.float16))
    w.grad = np.array([6e4])
    optim.clip_grad_value([w], 1e6)
    assert w.grad is not None and w.grad.tolist() == [np.float16(6e4)]


@pytest.mark.parametrize("limit", [-1, math.nan, "1", None, True])
def test_a_limit_is_a_number_from_0(limit: Any) -> None:
    with pytest.raises(ConfigError, match="max_norm is"):
        optim.clip_grad_norm([nn.Parameter([1.0])], limit)
    with pytest.raises(ConfigError, match="value is"):
        optim.clip_grad_value([nn.Parameter([1.0])], limit)


def test_clipping_a_module_says_what_to_write() -> None:
    with pytest.raises(ConfigError, match=r"write module\.parameters\(\)"):
        optim.clip_grad_norm(nn.Linear(2, 2), 1.0)  # type: ignore[arg-type]
