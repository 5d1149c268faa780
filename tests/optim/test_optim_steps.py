"""Each optimiser takes PyTorch's steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinygrad_rnn import nn, optim
from tinygrad_rnn.core.errors import ConfigError

Options = dict[str, Any]
Gradients = list[list[NDArray[Any] | None]]

rates = st.floats(1e-4, 0.5)
decays = st.just(0.0) | st.floats(1e-3, 0.5)
epsilons = st.sampled_from([1e-10, 1e-8, 1e-3])
shapes = st.lists(st.sampled_from([(), (1,), (3,), (2, 3), (0, 2), (2, 1, 2)]), min_size=1, max_size=3)


@st.composite
def sgd(draw: st.DrawFn) -> Options:
    momentum = draw(st.just(0.0) | st.floats(0.1, 0.99))
    nesterov = momentum > 0 and draw(st.booleans())
    dampening = 0.0 if nesterov else draw(st.just(0.0) | st.floats(0.1, 0.9))
    return {
        "lr": draw(rates),
        "momentum": momentum,
        "nesterov": nesterov,
        "dampening": dampening,
        "weight_decay": draw(decays),
    }


rmsprop = st.fixed_dictionaries(
    {
        "lr": rates,
        "alpha": st.floats(0.55, 0.999),
        "eps": epsilons,
        "weight_decay": decays,
        "momentum": st.just(0.0) | st.floats(0.1, 0.99),
        "centered": st.booleans(),
    }
)
adagrad = st.fixed_dictionaries(
    {
        "lr": rates,
        "lr_decay": st.just(0.0) | st.floats(0.01, 1),
        "weight_decay": decays,
        "initial_accumulator_value": st.just(0.0) | st.floats(0.1, 2),
        "eps": epsilons,
    }
)
adam = st.fixed_dictionaries(
    {
        "lr": rates,
        "betas": st.tuples(st.floats(0, 0.99), st.floats(0.1, 0.9999)),
        "eps": epsilons,
        "weight_decay": decays,
    }
)
kinds = {"SGD": sgd(), "RMSprop": rmsprop, "Adagrad": adagrad, "Adam": adam, "AdamW": adam}
each_kind = pytest.mark.parametrize("kind", list(kinds))


@st.composite
def courses(draw: st.DrawFn) -> tuple[list[NDArray[Any]], Gradients]:
    """Values of several parameters, and for each of several steps their gradients, some of them None."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = [rng.normal(size=shape) for shape in draw(shapes)]
    scale = 10.0 ** draw(st.integers(-3, 3))
    present = st.lists(st.booleans() | st.just(True), min_size=len(values), max_size=len(values))
    steps = draw(st.lists(present, min_size=1, max_size=6))
    return values, [
        [scale * rng.normal(size=v.shape) if some else None for v, some in zip(values, step, strict=True)]
        for step in steps
    ]


def walk(
    optimizer: Any, parameters: list[Any], gradients: Gradients, convert: Callable[[NDArray[Any]], Any] = np.asarray
) -> None:
    for step in gradients:
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = None if gradient is None else convert(gradient)
        optimizer.step()


def compare(kind: str, options: Options, values: list[Any], gradients: Gradients, dtype: Any, tolerance: float) -> None:
    torch = pytest.importorskip("torch")
    values = [np.asarray(value, dtype) for value in values]
    gradients = [[None if g is None else np.asarray(g, dtype) for g in step] for step in gradients]
    ours = [nn.Parameter(value) for value in values]
    theirs = [torch.nn.Parameter(torch.tensor(value)) for value in values]
    walk(getattr(optim, kind)(ours, **options), ours, gradients)
    walk(getattr(torch.optim, kind)(theirs, **options), theirs, gradients, torch.tensor)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype == dtype
        assert mine.shape == tuple(other.shape)
        np.testing.assert_allclose(mine.data, other.detach().numpy(), rtol=tolerance, atol=tolerance)


@each_kind
@settings(max_examples=60, deadline=None)
@given(st.data(), courses())
def test_every_step_is_that_of_pytorch(kind: str, data: st.DataObject, course: tuple[Any, Gradients]) -> None:
    compare(kind, data.draw(kinds[kind]), *course, np.float64, 1e-12)


@each_kind
@settings(max_examples=25, deadline=None)
@given(st.data(), courses())
def test_float32_parameters_stay_float32(kind: str, data: st.DataObject, course: tuple[Any, Gradients]) -> None:
    compare(kind, data.draw(kinds[kind]), *course, np.float32, 2e-4)


@each_kind
def test_the_options_have_the_defaults_of_pytorch(kind: str) -> None:
    torch = pytest.importorskip("torch")
    ours = getattr(optim, kind)([nn.Parameter([1.0])]).param_groups[0]
    theirs = getattr(torch.optim, kind)([torch.nn.Parameter(torch.ones(1))]).param_groups[0]
    assert {name: theirs[name] for name in ours if name != "params"} == {n: v for n, v in ours.items() if n != "params"}


@each_kind
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_groups_have_options_of_their_own(kind: str, data: st.DataObject) -> None:
    torch = pytest.importorskip("torch")
    first, second = data.draw(kinds[kind]), data.draw(kinds[kind])
    # PyTorch takes this one from the first group for all of them.
    second.pop("initial_accumulator_value", None)
    gradients: Gradients = [[np.array([0.3, -2.0]), np.array([1.0])]] * 3
    ours = [nn.Parameter([1.0, 2.0]), nn.Parameter([3.0])]
    theirs = [torch.nn.Parameter(torch.tensor(p.data.copy())) for p in ours]
    walk(getattr(optim, kind)([{"params": ours[:1]}, {"params": ours[1:], **second}], **first), ours, gradients)
    groups = [{"params": theirs[:1]}, {"params": theirs[1:], **second}]
    walk(getattr(torch.optim, kind)(groups, **first), theirs, gradients, torch.tensor)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.data, other.detach().numpy(), rtol=1e-12, atol=1e-12)


@each_kind
@given(st.data(), courses())
@settings(max_examples=20, deadline=None)
def test_a_step_writes_to_no_array_that_others_hold(
    kind: str, data: st.DataObject, course: tuple[Any, Gradients]
) -> None:
    values, gradients = course
    parameters = [nn.Parameter(value) for value in values]
    optimizer = getattr(optim, kind)(parameters, **data.draw(kinds[kind]))
    held: list[tuple[NDArray[Any], NDArray[Any]]] = []
    for step in gradients:
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = gradient
        held += [(array, array.copy()) for p in parameters for array in (p.data, p.grad) if array is not None]
        optimizer.step()
        assert all(np.array_equal(array, copy) for array, copy in held)


@each_kind
def test_a_parameter_without_gradient_keeps_value_and_state(kind: str) -> None:
    moved, still = nn.Parameter([1.0]), nn.Parameter([1.0])
    optimizer = getattr(optim, kind)([moved, still], weight_decay=0.5)
    moved.grad = np.array([2.0])
    optimizer.step()
    assert moved.tolist() != [1.0]
    assert still.tolist() == [1.0]
    assert "1" not in optimizer.state_dict()["state"]


@each_kind
def test_a_parameter_converted_to_another_dtype_is_trained_on(kind: str) -> None:
    options: Options = {"momentum": 0.9} if kind in ("SGD", "RMSprop") else {}
    layer = nn.Linear(2, 2)
    optimizer = getattr(optim, kind)(layer.parameters(), lr=0.01, **options)
    for dtype in (np.float32, np.float64):
        layer.astype(dtype)
        before = layer.weight.data.copy()
        layer.weight.grad = np.ones((2, 2))
        optimizer.step()
        assert layer.weight.dtype == dtype
        assert (layer.weight.data < before).all()
    state = optimizer.state_dict()["state"]["0"]
    assert all(v.dtype == np.float64 for v in state.values() if isinstance(v, np.ndarray))


def test_a_centered_rmsprop_survives_rounding_below_zero() -> None:
    w = nn.Parameter(np.ones(50))
    optimizer = optim.RMSprop([w], lr=1e-3, alpha=0.5, centered=True, eps=1e-3)
    for _ in range(200):
        w.grad = np.linspace(0.1, 7, 50)
        optimizer.step()
    assert np.isfinite(w.data).all()


def test_training_goes_through_the_graph() -> None:
    w = nn.Parameter([3.0, -2.0])
    optimizer = optim.Adam([w], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        ((w - np.array([1.0, 1.0])) ** 2).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(w.data, [1, 1], atol=1e-3)


def test_a_graph_made_before_a_step_keeps_its_gradient() -> None:
    w = nn.Parameter([3.0])
    loss = (w * w).sum()
    w.grad = np.array([1.0])
    optimizer = optim.SGD([w], lr=1.0)
    optimizer.step()
    optimizer.zero_grad()
    loss.backward()
    assert w.tolist() == [2.0]
    assert w.grad is not None and w.grad.tolist() == [6.0]


def test_zero_grad_clears_every_group() -> None:
    a, b, frozen = nn.Parameter([1.0]), nn.Parameter([2.0]), nn.Parameter([1.0], requires_grad=False)
    a.grad = b.grad = np.array([1.0])
    optimizer = optim.SGD([{"params": [a]}, {"params": [b, frozen]}])
    optimizer.zero_grad()
    assert a.grad is None and b.grad is None


def test_the_learning_rate_is_read_and_set() -> None:
    groups = [{"params": [nn.Parameter([1.0])], "lr": 0.5}, {"params": [nn.Parameter([1.0])]}]
    optimizer = optim.SGD(groups, lr=0.1)
    assert optimizer.lr == 0.5
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.1]
    optimizer.lr = np.float32(0.25)  # type: ignore[assignment]
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]
    assert type(optimizer.lr) is float
    with pytest.raises(ConfigError, match=r"lr is -1; give a finite number, 0 or more"):
        optimizer.lr = -1
    assert optimizer.lr == 0.25


def test_the_repr_names_options_and_sizes() -> None:
    text = repr(optim.Adam([nn.Parameter(np.ones((50, 30))), nn.Parameter([1.0])], lr=0.1))
    assert text == "Adam(lr=0.1, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0): 2 parameters, 1,501 numbers"


w = nn.Parameter([1.0])


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ([], "no parameters to optimise"),
        ([{"params": []}], "no parameters to optimise"),
        ([w, w], "parameter 0 is given twice|parameter 1 is given twice"),
        ([{"params": [w]}, {"params": [w]}], "given twice"),
        (w, r"write \[parameter\]"),
        ({"params": [w]}, "write model.parameters()"),
        (3, "3 was given"),
        (nn.Linear(2, 2), r"write module\.parameters\(\)"),
        ([nn.Linear(2, 2)], "number 0 of the parameters is a Linear"),
        ([w, 2.0 * w], "number 1 of the parameters is a Tensor; write nn.Parameter"),
        ([{"params": [w]}, w], 'is a dict with "params"'),
        ([{"lr": 0.1}], 'is a dict with "params"'),
        ([{"params": [w], "rate": 1}], "SGD has no option 'rate'; its options are lr, momentum"),
        ([{"params": [w], "lr": -1}], "lr is -1"),
    ],
)
def test_what_is_no_list_of_parameters_is_a_named_error(params: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        optim.SGD(params)


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        ("SGD", {"lr": "fast"}, "lr is 'fast'; give a finite number, 0 or more"),
        ("SGD", {"lr": float("nan")}, "lr is nan"),
        ("SGD", {"lr": float("inf")}, "lr is inf"),
        ("SGD", {"lr": True}, "lr is True"),
        ("SGD", {"momentum": -0.1}, "momentum is -0.1"),
        ("SGD", {"nesterov": True}, r"nesterov=True with momentum=0\.0"),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, r"dampening=0\.1; give a momentum above 0"),
        ("SGD", {"nesterov": 1, "momentum": 0.9}, "nesterov is 1; give True or False"),
        ("RMSprop", {"alpha": 1}, "alpha is 1; give a number below 1, 0 or more"),
        ("RMSprop", {"centered": "yes"}, "centered is 'yes'"),
        ("Adagrad", {"lr_decay": -1}, "lr_decay is -1"),
        ("Adagrad", {"initial_accumulator_value": -1}, "initial_accumulator_value is -1"),
        ("Adam", {"betas": (0.9, 1.0)}, r"betas\[1\] is 1\.0; give a number below 1"),
        ("Adam", {"betas": 0.9}, "betas is 0.9; give two numbers"),
        ("Adam", {"betas": (0.9,)}, r"betas is \(0\.9,\); give two numbers"),
        ("Adam", {"eps": -1e-8}, "eps is -1e-08"),
        ("AdamW", {"weight_decay": -1}, "weight_decay is -1"),
    ],
)
def test_an_option_out_of_its_range_is_a_named_error(kind: str, options: Options, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        getattr(optim, kind)([nn.Parameter([1.0])], **options)


def test_an_optimizer_without_update_says_so() -> None:
    w = nn.Parameter([1.0])
    w.grad = np.array([1.0])
    with pytest.raises(NotImplementedError, match="Optimizer has no update"):
        optim.Optimizer([w], lr=0.1).step()
