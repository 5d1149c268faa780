"""Losses: values and gradients against PyTorch and central differences, and the ends of their ranges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import ConfigError, DataError, DtypeError, ShapeError
from tinygrad_rnn.testing import gradcheck

leads = hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4)
reductions = st.sampled_from(["mean", "sum", "none"])
seeds = st.integers(0, 2**32 - 1)
by_class = pytest.mark.parametrize("loss", [nn.cross_entropy, nn.nll_loss])
by_element = pytest.mark.parametrize("loss", [nn.mse_loss, nn.binary_cross_entropy_with_logits])


@st.composite
def class_problems(draw, ignore_index=-100):
    """Draw logits (..., classes), and targets of which some, none or all are ignored."""
    lead, classes, seed = draw(leads), draw(st.integers(1, 6)), draw(seeds)
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, lead)
    ignored = rng.random(lead) < draw(st.sampled_from([0.0, 0.0, 0.4, 1.0]))
    return rng.normal(size=(*lead, classes)) * 3, np.where(ignored, ignore_index, targets)


def equals_torch(ours, theirs, *arrays):
    """Compare a loss and its gradients with respect to the arrays with PyTorch's."""
    torch = pytest.importorskip("torch")
    mine = [tg.Tensor(a, requires_grad=True) for a in arrays]
    other = [torch.tensor(a, requires_grad=True) for a in arrays]
    loss, expected = ours(*mine), theirs(*other)
    np.testing.assert_allclose(loss.data, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    g = np.random.default_rng(0).normal(size=loss.shape)
    loss.backward(g)
    expected.backward(torch.tensor(g))
    for a, b in zip(mine, other, strict=True):
        np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-9, atol=1e-12)


@by_class
@given(class_problems(ignore_index=-100), reductions)
@settings(deadline=None)
def test_a_loss_over_classes_equals_pytorch(loss, problem, reduction):
    torch = pytest.importorskip("torch")
    scores, targets = problem
    if reduction == "mean" and (targets == -100).all():
        reduction = "sum"  # PyTorch's mean over nothing is NaN
    theirs = torch.nn.functional.cross_entropy if loss is nn.cross_entropy else torch.nn.functional.nll_loss
    labels = torch.tensor(targets).reshape(-1)

    def expected(x):
        out = theirs(x.reshape(-1, x.shape[-1]), labels, reduction=reduction)
        return out.reshape(targets.shape) if reduction == "none" else out

    equals_torch(lambda x: loss(x, targets, reduction=reduction), expected, scores)
    if loss is nn.cross_entropy:
        again = nn.nll_loss(tg.log_softmax(tg.Tensor(scores)), tg.Tensor(targets), reduction=reduction)
        np.testing.assert_allclose(again.data, loss(scores, targets, reduction=reduction).data, rtol=1e-12, atol=1e-12)


@by_class
@given(class_problems(ignore_index=2), reductions)
@settings(max_examples=25, deadline=None)
def test_gradients_of_a_loss_over_classes_equal_central_differences(loss, problem, reduction):
    scores, targets = problem
    gradcheck(lambda x: loss(x, targets, ignore_index=2, reduction=reduction), [scores])


@by_class
@given(class_problems(), reductions, st.sampled_from([np.nan, np.inf, -np.inf, 1e30]))
@settings(deadline=None)
def test_whatever_stands_at_ignored_targets_changes_nothing(loss, problem, reduction, junk):
    scores, targets = problem
    clean = tg.Tensor(scores, requires_grad=True)
    spoilt = tg.Tensor(np.where((targets == -100)[..., None], junk, scores), requires_grad=True)
    results = [loss(x, targets, reduction=reduction) for x in (clean, spoilt)]
    for result in results:
        result.backward(np.ones(result.shape))
    np.testing.assert_array_equal(results[0].data, results[1].data)
    np.testing.assert_array_equal(clean.grad, spoilt.grad)
    assert not spoilt.grad[targets == -100].any()


@by_class
@pytest.mark.parametrize("shape", [(3, 4), (0, 4)])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_mean_over_no_target_is_zero_with_a_gradient_of_zeros(loss, shape, reduction):
    scores = tg.Tensor(np.ones(shape), requires_grad=True)
    result = loss(scores, np.full(shape[:-1], -100), reduction=reduction)
    result.backward()
    assert result.item() == 0
    assert scores.grad.shape == shape
    assert not scores.grad.any()


def test_cross_entropy_of_uniform_logits_is_the_logarithm_of_the_number_of_classes():
    assert nn.cross_entropy(np.zeros((5, 65)), np.arange(5)).item() == pytest.approx(np.log(65))


def test_cross_entropy_is_exact_where_probabilities_underflow():
    logits = tg.Tensor([[1e4, -1e4], [1e4, -1e4]], requires_grad=True)
    loss = nn.cross_entropy(logits, np.array([0, 1]), reduction="none")
    assert loss.tolist() == [0, 2e4]
    assert not np.signbit(loss.data).any()
    loss.backward([1.0, 1.0])
    assert logits.grad.tolist() == [[0, 0], [1, -1]]


@by_class
def test_targets_that_do_not_fit_are_named(loss):
    scores = np.zeros((3, 4))
    with pytest.raises(ShapeError, match=r"\(4,\).*\(3, 4\)"):
        loss(scores, np.zeros(4, int))
    with pytest.raises(ShapeError, match="classes"):
        loss(scores, np.zeros((3, 4), int))
    with pytest.raises(ShapeError, match="classes"):
        loss(np.float64(1), np.array(0))
    with pytest.raises(DtypeError, match="float64"):
        loss(scores, np.zeros(3))
    for wrong in (-1, 4):
        with pytest.raises(DataError, match=f"{wrong} .*4 classes.*0 to 3.*-100"):
            loss(scores, np.full(3, wrong))


@by_element
@given(leads, reductions, seeds)
@settings(deadline=None)
def test_a_loss_over_elements_equals_pytorch_with_respect_to_both_arguments(loss, shape, reduction, seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    theirs = getattr(torch.nn.functional, loss.__name__)
    equals_torch(
        lambda x, t: loss(x, t, reduction=reduction),
        lambda x, t: theirs(x, t, reduction=reduction),
        rng.normal(size=shape) * 4,
        rng.random(shape),
    )


@by_element
@given(leads, reductions, seeds)
@settings(max_examples=25, deadline=None)
def test_gradients_of_a_loss_over_elements_equal_central_differences(loss, shape, reduction, seed):
    rng = np.random.default_rng(seed)
    gradcheck(lambda x, t: loss(x, t, reduction=reduction), [rng.normal(size=shape), rng.random(shape)])


@by_element
def test_nothing_is_broadcast_between_prediction_and_target(loss):
    with pytest.raises(ShapeError, match=r"\(3, 1\) and \(3,\)"):
        loss(np.zeros((3, 1)), np.zeros(3))


@by_element
def test_a_mean_over_no_element_is_zero(loss):
    x = tg.Tensor(np.zeros((0, 3)), requires_grad=True)
    result = loss(x, np.zeros((0, 3)))
    result.backward()
    assert result.item() == 0
    assert x.grad.shape == (0, 3)


@given(st.sampled_from([1e4, -1e4, 60.0, -60.0, 20.0, -20.0]), st.sampled_from([0.0, 1.0]), st.booleans())
@settings(deadline=None)
def test_binary_cross_entropy_is_exact_at_both_ends(x, t, double):
    dtype = np.float64 if double else np.float32
    logits = tg.Tensor([x], requires_grad=True, dtype=dtype)
    loss = nn.binary_cross_entropy_with_logits(logits, np.array([t], dtype))
    away = -x if t else x  # how far the logit lies on the wrong side
    assert loss.dtype == dtype
    np.testing.assert_allclose(loss.item(), np.logaddexp(0, away), rtol=1e-6)
    loss.backward()
    sign = -1 if t else 1
    np.testing.assert_allclose(logits.grad, [sign * np.exp(-np.logaddexp(0, -away))], rtol=2e-5, atol=1e-37)


@pytest.mark.parametrize("targets", [np.array([True, False]), np.array([1, 0]), [1, 0], tg.Tensor([1, 0])])
def test_binary_targets_may_be_bools_and_integers(targets):
    logits = np.array([2.0, 3.0], np.float32)
    loss = nn.binary_cross_entropy_with_logits(logits, targets)
    assert loss.dtype == np.float32
    expected = nn.binary_cross_entropy_with_logits(logits, np.array([1, 0], np.float32))
    assert loss.item() == expected.item()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses_keep_the_dtype(dtype, reduction):
    scores = tg.Tensor(np.ones((3, 4), dtype), requires_grad=True)
    for loss in (
        nn.cross_entropy(scores, np.array([0, -100, 2]), reduction=reduction),
        nn.nll_loss(scores, np.array([0, 1, 2]), reduction=reduction),
        nn.mse_loss(scores, np.zeros((3, 4), dtype), reduction),
        nn.binary_cross_entropy_with_logits(scores, np.zeros((3, 4), dtype), reduction),
    ):
        assert loss.dtype == dtype


def test_losses_of_arrays_are_tensors_too():
    scores, targets = np.ones((3, 4)), np.zeros(3, int)
    for reduction in ("mean", "sum", "none"):
        assert isinstance(nn.cross_entropy(scores, targets, reduction=reduction), tg.Tensor)
        assert isinstance(nn.nll_loss(scores, targets, reduction=reduction), tg.Tensor)
        assert isinstance(nn.mse_loss(scores, scores, reduction), tg.Tensor)
        assert isinstance(nn.binary_cross_entropy_with_logits(scores, scores, reduction), tg.Tensor)


def test_an_unknown_reduction_is_refused():
    for make in (
        lambda: nn.cross_entropy(np.ones((3, 4)), np.zeros(3, int), reduction="average"),
        lambda: nn.nll_loss(np.ones((3, 4)), np.zeros(3, int), reduction="average"),
        lambda: nn.mse_loss(np.ones(3), np.ones(3), "average"),
        lambda: nn.binary_cross_entropy_with_logits(np.ones(3), np.ones(3), "average"),
    ):
        with pytest.raises(ConfigError, match="average"):
            make()
