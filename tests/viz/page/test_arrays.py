"""Arrays in a page: small ones come back bit for bit, large ones as their block means."""

import base64

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_rnn.viz.page.arrays import Arrays, block_means, statistics

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=20)


def decoded(encoded, number):
    """What the page reads of an array: its numbers, or statistics and block means."""
    shape, wide, start, rows, columns, bad = encoded["records"][number]
    numbers = np.frombuffer(base64.b64decode(encoded["float64" if wide else "float32"]), "<f8" if wide else "<f4")
    if rows:
        found = numbers[start : start + 4 + rows * columns]
        return found[:4], found[4:].reshape(rows, columns), bad
    return numbers[start : start + int(np.prod(shape))].reshape(shape), bad


# None has more than the 4,096 numbers that an array may have to be whole.
@given(
    st.lists(
        hnp.arrays(st.sampled_from([np.float32, np.float64]), hnp.array_shapes(max_dims=3, max_side=12)),
        min_size=1,
        max_size=5,
    )
)
def test_small_arrays_come_back_bit_for_bit_nan_and_infinity_too(given_arrays):
    arrays = Arrays()
    numbers = [arrays.add(array) for array in given_arrays]
    encoded = arrays.encoded()
    for number, array in zip(numbers, given_arrays, strict=True):
        found, bad = decoded(encoded, number)
        np.testing.assert_array_equal(found.view(f"i{found.itemsize}"), array.view(f"i{array.itemsize}"))
        assert bad == (~np.isfinite(array)).sum()


def test_equal_arrays_are_written_once_and_different_ones_are_not():
    arrays = Arrays()
    first = arrays.add(np.zeros(4))
    assert arrays.add(np.zeros(4)) == first
    others = [np.zeros((2, 2)), np.zeros(4, np.float32), -np.zeros(4), np.ones(4), np.zeros(4, bool)]
    assert len({first, *map(arrays.add, others)}) == len(others)  # bools are shown as float64


def test_integers_bools_and_half_floats_are_numbers_like_others():
    arrays = Arrays()
    for values, dtype in (([1, 0], bool), ([3, -4], np.int64), ([0.5, 2.0], np.float16)):
        number = arrays.add(np.array(values, dtype))
        np.testing.assert_array_equal(decoded(arrays.encoded(), number)[0], values)


def test_a_page_of_many_large_arrays_stays_small():
    arrays = Arrays()
    rng = np.random.default_rng(0)
    numbers = [arrays.add(rng.normal(size=(64, 64)).astype(np.float32)) for _ in range(1000)]
    encoded = arrays.encoded()
    assert encoded["whole"] < 4096
    assert len(encoded["float32"]) + len(encoded["float64"]) < 1_000_000
    (least, mean, most, norm), means, bad = decoded(encoded, numbers[0])
    assert means.size <= encoded["cells"] and bad == 0
    assert least < mean < most and norm > 0


@given(hnp.arrays(np.float64, SHAPES, elements=st.floats(-100, 100)), st.integers(1, 64))
def test_block_means_cover_every_number_once(array, cells):
    means = block_means(array, cells)
    rows, columns = array.size // array.shape[-1], array.shape[-1]
    assert means.size <= max(cells, 1)
    heights = np.diff([*(np.arange(len(means)) * rows // len(means)), rows])
    widths = np.diff([*(np.arange(means.shape[1]) * columns // means.shape[1]), columns])
    np.testing.assert_allclose((means * np.outer(heights, widths)).sum(), array.sum(), atol=1e-6)


@given(hnp.arrays(np.float64, SHAPES, elements=st.floats(-1e6, 1e6)))
def test_statistics_are_those_of_numpy(array):
    expected = [array.min(), array.mean(), array.max(), np.linalg.norm(array.ravel())]
    np.testing.assert_allclose(statistics(array), expected, rtol=1e-9, atol=1e-9)


def test_statistics_leave_out_what_is_not_finite():
    np.testing.assert_array_equal(statistics(np.array([np.nan, 3.0, np.inf, -4.0])), [-4, -0.5, 3, 5])
    assert np.isnan(statistics(np.array([np.nan]))).all()
