"""The state of an optimiser goes out and comes back bit for bit."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinygrad_rnn import nn, optim
from tinygrad_rnn.core.errors import ConfigError, StateDictError

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("SGD", {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("Adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.5}),
    ("Adam", {"betas": (0.8, 0.95)}),
    ("AdamW", {"weight_decay": 0.1}),
]
each_kind = pytest.mark.parametrize(("kind", "options"), KINDS)
SHAPES = [(2, 3), (), (4,)]


def parameters(rng: np.random.Generator) -> list[nn.Parameter]:
    return [nn.Parameter(rng.normal(size=shape), dtype=np.float32) for shape in SHAPES]


def walk(optimizer: optim.Optimizer, ps: list[nn.Parameter], steps: int, rng: np.random.Generator) -> None:
    for _ in range(steps):
        for p in ps:
            p.grad = rng.normal(size=p.shape) if rng.random() < 0.8 else None
        optimizer.step()


def through_json(state: Any, arrays: list[NDArray[Any]]) -> Any:
    """Write and read the nest as JSON, the arrays kept apart as they are."""

    def pack(value: Any) -> Any:
        assert isinstance(value, np.ndarray)
        arrays.append(value)
        return {"$array": len(arrays) - 1}

    return json.loads(
        json.dumps(state, default=pack, allow_nan=False),
        object_hook=lambda d: arrays[d["$array"]] if "$array" in d else d,
    )


@each_kind
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 5), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_going_on_from_a_saved_state_is_bit_for_bit_the_same(
    kind: str, options: dict[str, Any], before: int, after: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    one = parameters(rng)
    first = getattr(optim, kind)(one, lr=0.1, **options)
    walk(first, one, before, rng)
    first.lr = 0.05
    saved = through_json(first.state_dict(), [])
    two = [nn.Parameter(p.data) for p in one]
    second = getattr(optim, kind)(two, lr=0.7)
    second.load_state_dict(saved)
    for optimizer, ps in ((first, one), (second, two)):
        walk(optimizer, ps, after, np.random.default_rng(seed))
    assert all(a.data.tobytes() == b.data.tobytes() for a, b in zip(one, two, strict=True))
    arrays: list[list[NDArray[Any]]] = [[], []]
    assert json.dumps(through_json(first.state_dict(), arrays[0]), default=repr) == json.dumps(
        through_json(second.state_dict(), arrays[1]), default=repr
    )
    assert all(a.tobytes() == b.tobytes() and a.dtype == b.dtype for a, b in zip(*arrays, strict=True))


@each_kind
def test_a_saved_state_is_a_copy_and_so_is_a_loaded_one(kind: str, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    ps = parameters(rng)
    optimizer = getattr(optim, kind)(ps, **options)
    walk(optimizer, ps, 3, rng)
    saved = optimizer.state_dict()
    kept = copy.deepcopy(saved)
    walk(optimizer, ps, 1, rng)
    np.testing.assert_equal(saved, kept)
    optimizer.load_state_dict(saved)
    walk(optimizer, ps, 1, rng)
    np.testing.assert_equal(saved, kept)


def test_the_state_of_a_converted_parameter_is_loaded_in_its_dtype() -> None:
    p = nn.Parameter(np.ones(2, np.float32))
    p.grad = np.ones(2)
    single = optim.Adam([p])
    single.step()
    double = optim.Adam([nn.Parameter(np.ones(2))])
    double.load_state_dict(single.state_dict())
    assert double.state_dict()["state"]["0"]["exp_avg"].dtype == np.float64


def test_the_groups_of_a_state_are_ready_for_json() -> None:
    groups = trained().state_dict()["param_groups"]
    assert json.loads(json.dumps(groups)) == groups


def trained() -> optim.Adam:
    ps = parameters(np.random.default_rng(0))
    ps[0].name = "encoder.weight"
    optimizer = optim.Adam(ps, lr=0.1)
    for p in ps:
        p.grad = np.ones(p.shape)
    optimizer.step()
    return optimizer


def damaged(*path: Any, value: Any = None, remove: bool = False) -> dict[str, Any]:
    state = trained().state_dict()
    place: Any = state
    for key in path[:-1]:
        place = place[key]
    if remove:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return state


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({}, "no state of an optimiser"),
        (None, "no state of an optimiser"),
        (damaged("state", remove=True), "no state of an optimiser"),
        (damaged("state", value=[]), "no state of an optimiser"),
        (damaged("state", "0", value=3), "no state of an optimiser"),
        (damaged("param_groups", value=[3]), "no state of an optimiser"),
        (damaged("optimizer", value="SGD"), "a state of SGD for Adam"),
        (damaged("param_groups", value=[]), r"groups of parameters \[\] for an optimiser of \[\[0, 1, 2\]\]"),
        (damaged("param_groups", 0, "params", value=[0, 1]), r"parameters \[\[0, 1\]\]"),
        (damaged("param_groups", 0, "eps", remove=True), r"options \['betas', 'lr', 'params', 'weight_decay'\]"),
        (damaged("param_groups", 0, "alpha", value=0.9), "options .*alpha"),
        (damaged("state", "3", value={}), "a state of parameter '3', expected 0 to 2"),
        (
            damaged("state", "0", "exp_avg", remove=True),
            r"encoder\.weight holds .* expected step, exp_avg,",
        ),
        (damaged("state", "1", "sum", value=np.ones(())), "parameter 1 holds .*'sum'"),
        (damaged("state", "0", "exp_avg", value=np.ones(4)), r"exp_avg of shape \(4,\), expected \(2, 3\)"),
        (damaged("state", "2", "step", value=0), "has step 0"),
        (damaged("state", "2", "step", value=True), "has step True"),
        (damaged("state", "2", "step", value=np.ones(4)), "has step array"),
    ],
)
def test_a_state_that_does_not_fit_is_a_named_error_and_changes_nothing(state: Any, says: str) -> None:
    optimizer = trained()
    before = optimizer.state_dict()
    with pytest.raises(StateDictError, match=says):
        optimizer.load_state_dict(state)
    np.testing.assert_equal(optimizer.state_dict(), before)


def test_an_option_out_of_range_in_a_state_is_a_named_error() -> None:
    optimizer = trained()
    with pytest.raises(ConfigError, match="lr is -1"):
        optimizer.load_state_dict(damaged("param_groups", 0, "lr", value=-1))
    assert optimizer.lr == 0.1


def test_momentum_switched_on_in_the_middle_begins_with_the_gradient() -> None:
    w = nn.Parameter([1.0])
    optimizer = optim.SGD([w], lr=0.1)
    w.grad = np.array([1.0])
    optimizer.step()
    optimizer.param_groups[0]["momentum"] = 0.9
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.step()
    np.testing.assert_allclose(w.data, [0.8])
