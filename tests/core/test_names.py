"""Results get the names of the local variables that hold them."""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.core import Spec
from tinygrad_rnn.core.names import LocalNames
from tinygrad_rnn.core.trace import Trace


def two_names(x):
    gate = tg.sigmoid(x)
    memory = np.tanh(gate)
    return gate * memory


class TwoNames:
    def forward(self, x):
        gate = tg.sigmoid(x)
        memory = np.tanh(gate)
        _hidden = memory + 1
        return _hidden * gate


class OneName:
    def forward(self, x):
        y = np.tanh(x)
        return y


class Parts:
    def forward(self, x):
        first, second, third = np.split(x, 3)
        return first * second + third


def leaf():
    return tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)


def found_in(call):
    x = leaf()
    with LocalNames() as names:
        y = call(x)
    return {name: (node, slot) for (node, slot), name in names.of_nodes().items()}, x, y


def test_a_forward_method_with_two_names_gives_them_to_its_results():
    found, x, y = found_in(TwoNames().forward)
    assert set(found) == {"gate", "memory", "x"}
    assert found["gate"][0].operation == "sigmoid" and found["memory"][0].operation == "tanh"
    assert found["x"] == (x.node, 0)
    assert y.node not in [node for node, _ in found.values()]


def test_a_forward_method_with_one_name_says_nothing():
    assert found_in(OneName().forward)[0] == {}


def test_every_part_of_a_result_has_its_own_name():
    found, *_ = found_in(Parts().forward)
    assert {name: slot for name, (_, slot) in found.items()} == {"first": 0, "second": 1, "third": 2, "x": 0}


def test_other_functions_are_watched_where_their_code_is_given():
    x = leaf()
    with LocalNames() as names:
        two_names(x)
    assert names.found == {}
    with LocalNames(two_names.__code__) as names:
        two_names(x)
    assert sorted(names.found.values()) == ["gate", "memory", "x"]

    def one_name(x):
        y = np.tanh(x)
        return y

    with LocalNames(one_name.__code__) as names:
        one_name(x)
    assert sorted(names.found.values()) == ["x", "y"]


def test_what_an_inner_function_is_given_keeps_the_name_that_its_caller_gave():
    class Inner:
        def forward(self, given):
            left = np.exp(given)
            right = np.cos(given)
            return left + right

    class Outer:
        def forward(self, x):
            outer = np.tanh(x)
            inner = Inner().forward(outer)
            return inner * outer

    found, *_ = found_in(Outer().forward)
    assert {name: node.operation for name, (node, _) in found.items() if node.primitive is not None} == {
        "outer": "tanh",
        "inner": "add",
        "left": "exp",
        "right": "cos",
    }


def test_the_lines_of_a_traced_function_say_how_many_calls_came_before():
    def step(x):
        y = np.tanh(x)
        z = y + y
        return z * y

    trace = Trace()
    x = trace.input(Spec((2,), np.dtype(float)))
    with LocalNames(step.__code__) as names:
        step(x)
    first = step.__code__.co_firstlineno
    assert [(calls, int(place.rsplit(":", 1)[1]) - first) for calls, place in names.lines] == [(0, 1), (1, 2), (2, 3)]
    assert all(place.startswith(__file__) for _, place in names.lines)
    assert {name: number for (_, number), name in names.found.items()} == {"x": 0, "y": 1, "z": 2}


def test_the_lines_of_functions_that_are_not_asked_for_are_not_noted():
    trace = Trace()
    x = trace.input(Spec((2,), np.dtype(float)))
    with LocalNames() as names:
        TwoNames().forward(x)
    assert names.lines == []
    assert {"gate", "memory"} <= set(names.found.values())


def test_a_line_that_comes_again_is_noted_again_but_not_twice_in_a_row():
    def step(x):
        for _ in range(2):
            y = np.tanh(x)
        x = y
        return x

    trace = Trace()
    x = trace.input(Spec((2,), np.dtype(float)))
    with LocalNames(step.__code__) as names:
        step(x)
    first = step.__code__.co_firstlineno
    lines = [(calls, int(place.rsplit(":", 1)[1]) - first) for calls, place in names.lines]
    assert lines[:5] == [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1)]

    def without_calls(x):
        n = 0
        while n < 2:
            n += 1
        return x

    with LocalNames(without_calls.__code__) as names:
        without_calls(x)
    first = without_calls.__code__.co_firstlineno
    assert [int(place.rsplit(":", 1)[1]) - first for _, place in names.lines][:4] == [1, 2, 3, 2]
