"""The learning curve is an SVG whose points lie where the numbers say."""

import math
import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.train.curve import draw_curve, ticks

numbers = st.floats(-1e6, 1e6).map(lambda x: round(x, 6))
points = st.lists(st.tuples(st.floats(0, 1e9), numbers), max_size=5).map(sorted)


@given(a=points, b=points)
def test_every_point_lies_inside_the_picture(a, b):
    root = ElementTree.fromstring(draw_curve("loss & <more>", {"a": a, "b": b}, "x", "y"))
    circles = [node for node in root.iter() if node.tag.endswith("circle")]
    assert len(circles) == len(a) + len(b)
    for circle in circles:
        assert 63 <= float(circle.get("cx")) <= 697 and 39 <= float(circle.get("cy")) <= 365


def test_greater_values_lie_higher_and_later_ones_further_right():
    text = draw_curve("loss", {"a": [(1, 3.0), (2, 2.0), (3, 1.0)]}, "x", "y")
    places = [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', text)]
    xs, ys = zip(*places, strict=True)
    assert list(xs) == sorted(set(xs)) and list(ys) == sorted(set(ys)) and len(set(ys)) == 3
    assert "a 1.000" in text


def test_a_point_that_is_not_finite_is_left_out():
    text = draw_curve("loss", {"a": [(1, 3.0), (2, math.nan), (3, math.inf)]}, "x", "y")
    assert text.count("<circle") == 1 and "nan" not in text


@given(low=numbers, span=st.floats(1e-3, 1e6))
def test_ticks_are_few_and_cover_most_of_the_range(low, span):
    found = ticks(low, low + span)
    assert 2 <= len(found) <= 8
    assert found[0] <= low + 1e-6 and found[-1] >= low + span / 2 - 1e-6
    assert found == sorted(set(found))
