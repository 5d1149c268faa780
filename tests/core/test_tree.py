"""Nests of values: what is taken apart comes together again."""

from collections import OrderedDict, namedtuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.core.errors import GraphError
from tinygrad_rnn.core.tree import tree_flatten, tree_map, tree_unflatten

State = namedtuple("State", ["h", "c"])
nests = st.recursive(
    st.one_of(st.integers(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=2), inner, max_size=3),
        st.tuples(inner, inner).map(lambda pair: State(*pair)),
    ),
    max_leaves=8,
)


def same(a, b):
    """Compare nests, types of containers and the order of keys included."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@given(nests)
def test_unflatten_is_the_inverse_of_flatten(nest):
    leaves, treedef = tree_flatten(nest)
    assert None not in leaves
    assert same(tree_unflatten(treedef, leaves), nest)


@given(nests)
def test_the_structure_does_not_depend_on_the_leaves_and_hashes(nest):
    leaves, treedef = tree_flatten(nest)
    doubled = tree_map(lambda leaf: 2 * leaf, nest)
    found, other = tree_flatten(doubled)
    assert found == [2 * leaf for leaf in leaves]
    assert treedef == other and hash(treedef) == hash(other) and repr(treedef) == repr(other)


def test_containers_keep_their_types_and_keys_their_order():
    nest = State(h=[1, (2,)], c=OrderedDict(b=3, a={"x": None}))
    leaves, treedef = tree_flatten(nest)
    assert leaves == [1, 2, 3]
    assert same(tree_unflatten(treedef, leaves), nest)
    assert repr(treedef) == "([*, (*,)], {'b': *, 'a': {'x': None}})"


@pytest.mark.parametrize(
    ("a", "b"),
    [((1,), [1]), ({"a": 1}, {"b": 1}), (1, (1,)), (None, 1), ((1, 2), (1,)), (State(1, 2), (1, 2)), ((), None)],
)
def test_other_structures_are_not_equal_and_are_not_mapped_over_together(a, b):
    assert tree_flatten(a)[1] != tree_flatten(b)[1]
    with pytest.raises(GraphError, match="nests of different structure"):
        tree_map(lambda x, y: x, a, b)


def test_too_few_and_too_many_leaves_are_refused():
    treedef = tree_flatten((1, [2]))[1]
    with pytest.raises(GraphError, match=r"too few leaves for the structure \(\*, \[\*\]\)"):
        tree_unflatten(treedef, [1])
    with pytest.raises(GraphError, match="too many leaves"):
        tree_unflatten(treedef, [1, 2, 3])
