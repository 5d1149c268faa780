"""The gradient rules as lines of algebra: Python that computes what the rules compute, with no bracket too many."""

import ast
import pkgutil
from importlib import import_module

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tests.ops.test_table import each_row, parts
from tinygrad_rnn import ops
from tinygrad_rnn.core.explain import Numbers, rules

few = settings(max_examples=4)


def scatter_add(g, index, shape):
    whole = np.zeros(shape, np.asarray(g).dtype)
    np.add.at(whole, index, g)
    return whole


# What the lines may use: NumPy, the primitives that it lacks, and what scatter_add says.
SCOPE = dict(vars(np))
for info in pkgutil.iter_modules(ops.__path__):
    for value in vars(import_module(f"{ops.__name__}.{info.name}")).values():
        if isinstance(value, tg.Primitive):
            SCOPE.setdefault(value.name, value)
SCOPE |= {"scatter_add": scatter_add, "__builtins__": {}}


def value_of(text, names):
    return eval(text, SCOPE, names)


def held(node):
    """Return the cotangents, results and arguments of a step, by the names that they have in its rules."""
    one = len(node.specs) == 1
    names = {}
    for kind, values in (("g", None), ("out", node.outs)):
        for slot, spec in enumerate(node.specs):
            value = values[slot] if values is not None else np.random.default_rng(slot).normal(size=spec.shape)
            names[kind if one else f"{kind}{slot}"] = value
    letters = [chr(97 + i) if len(node.args) <= 6 else f"a{i}" for i in range(len(node.args))]
    return names | dict(zip(letters, node.args, strict=True))


def steps_of(row, data):
    """Return the steps of a function of the table."""
    arrays, keywords = data.draw(row.drawn)
    tensors = [tg.Tensor(array, requires_grad=True) for array in arrays]
    results = [part for part in parts(row.function(*tensors, **keywords)) if part.requires_grad]
    return [node for node in tg.Graph.of(*results) if node.primitive is not None]


def without_each_pair_of_brackets(text):
    """Return the text without each pair in turn, but for those of calls and tuples."""
    found, opened = [], []
    for i, sign in enumerate(text):
        if sign == "(":
            opened.append(i)
        elif sign == ")":
            start = opened.pop()
            inside = text[start + 1 : i]
            is_call = start and (text[start - 1].isalnum() or text[start - 1] in "_")
            if not is_call and not isinstance(ast.parse(f"({inside})", mode="eval").body, ast.Tuple):
                found.append(text[:start] + inside + text[i + 1 :])
    return found


@each_row
@given(data=st.data())
@few
def test_the_algebra_of_a_rule_computes_what_the_rule_does(row, data):
    for node in steps_of(row, data):
        if any(spec.dtype != np.float64 for spec in node.specs):
            continue
        names = held(node)
        gs = [names["g"]] if len(node.specs) == 1 else [names[f"g{i}"] for i in range(len(node.specs))]
        numbers = Numbers([], [])
        numbers._cotangents = {(node, slot): g for slot, g in enumerate(gs)}
        expected = numbers.passed(node)
        found = rules(node)
        for name, text in found.where:
            names[name] = value_of(text, names)
        assert [i for _, i, _ in found.cotangents] == list(expected)
        for _, i, text in found.cotangents:
            got = np.asarray(value_of(text, names))
            assert got.shape == expected[i].shape, text
            np.testing.assert_allclose(got, expected[i], rtol=1e-9, atol=1e-11, err_msg=text)


@each_row
@given(data=st.data())
@few
def test_no_bracket_of_a_rule_can_be_left_out(row, data):
    for node in steps_of(row, data):
        found = rules(node)
        for text in [*[text for _, text in found.where], *[text for _, _, text in found.cotangents]]:
            tree = ast.dump(ast.parse(text, mode="eval"))
            for fewer in without_each_pair_of_brackets(text):
                assert ast.dump(ast.parse(fewer, mode="eval")) != tree, text
