"""Named arrays as the bytes of a `.safetensors` file, and back: exact, and nothing in them is ever executed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as _load
from safetensors.numpy import save as _save

from ..core.errors import CheckpointError, DtypeError

_KINDS = "biuf"


def dumps(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the `.safetensors` bytes of named arrays.

    Args:
        arrays: name to array of any shape; bool, integers or floats.

    Returns:
        The content of a `.safetensors` file.

    Raises:
        DtypeError: if an array is complex, or not an array of numbers.

    Source: https://github.com/huggingface/safetensors; its issue 825 is why every array is made contiguous.

    Example:
        >>> import numpy as np
        >>> from ..interop import safetensors
        >>> data = safetensors.dumps({"weight": np.eye(2).T})
        >>> safetensors.loads(data)["weight"]
        array([[1., 0.],
               [0., 1.]])
    """
    ready = {}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in _KINDS or array.dtype.itemsize > 8:
            found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise DtypeError(f"{name} is {found}: a .safetensors file holds arrays of bool, integers or float16/32/64")
        # asarray, not ascontiguousarray: the latter makes a 0-d array 1-d.
        ready[name] = np.asarray(array, order="C")
    return bytes(_save(ready))


def loads(data: bytes) -> dict[str, np.ndarray]:
    """Return the named arrays in the bytes of a `.safetensors` file.

    Raises:
        CheckpointError: if the bytes are no `.safetensors` file, or hold a dtype that NumPy lacks.

    Example:
        >>> from ..interop import safetensors
        >>> safetensors.loads(b"not a file")
        Traceback (most recent call last):
            ...
        tinygrad_rnn.core.errors.CheckpointError: not the content of a .safetensors file: ...
    """
    try:
        return dict(_load(data))
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"not the content of a .safetensors file: {error}; give the bytes of an undamaged one"
        ) from None
