"""Arrays come back from the bytes of a .safetensors file to the last bit, however they lay in memory."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load

from tinygrad_rnn.core.errors import CheckpointError, DtypeError
from tinygrad_rnn.interop.safetensors import dumps, loads

dtypes = st.sampled_from(["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"])
arrays = hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))


def layouts(array):
    yield array
    yield array.T
    yield np.asfortranarray(array)
    if array.ndim:
        yield array[::-1]
        yield np.repeat(array, 2, axis=-1)[..., ::2]
    yield np.broadcast_to(array, (2, *array.shape))
    yield array.astype(array.dtype.newbyteorder())


@given(array=arrays)
def test_every_layout_of_an_array_comes_back_exactly(array):
    named = {str(number): layout for number, layout in enumerate(layouts(array))}
    for read in (loads, load):
        found = read(dumps(named))
        assert set(found) == set(named)
        for name, wanted in named.items():
            assert found[name].dtype == wanted.dtype.newbyteorder("=") and found[name].shape == wanted.shape
            np.testing.assert_array_equal(found[name], wanted)


def test_what_is_loaded_can_be_written_to_and_shares_nothing():
    data = dumps({"a": np.zeros(3), "b": np.zeros(3)})
    first = loads(data)
    first["a"][:] = 1
    assert not loads(data)["a"].any() and not first["b"].any()


@pytest.mark.parametrize("value", [np.zeros(1, complex), np.array(["a"]), np.array([None]), np.float64(1), [1.0]])
def test_what_is_no_array_of_numbers_is_a_named_error(value):
    with pytest.raises(DtypeError, match="weight is"):
        dumps({"weight": value})


@given(cut=st.integers(0, 200), junk=st.binary(max_size=20))
def test_damaged_bytes_are_a_named_error_or_arrays_but_never_a_crash(cut, junk):
    data = dumps({"a": np.arange(6.0).reshape(2, 3), "b": np.array(1)})
    with suppress(CheckpointError):
        loads(data[:cut] + junk)


def test_an_empty_file_is_a_named_error():
    with pytest.raises(CheckpointError, match="give the bytes of an undamaged one"):
        loads(b"")
