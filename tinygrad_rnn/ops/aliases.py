"""Second names that NumPy has for functions which tensors know by their first."""

from __future__ import annotations

import numpy as np

from ..core.dispatch import implementations
from ..core.primitive import implements
from . import algebra, elementwise, linalg, reductions, shape  # noqa: F401  (they declare the first names)

for _first, _second in (
    (np.max, np.amax),
    (np.min, np.amin),
    (np.round, np.around),
    (np.matmul, np.linalg.matmul),
    (np.outer, np.linalg.outer),
    (np.tensordot, np.linalg.tensordot),
    (np.cross, np.linalg.cross),
    (np.matrix_transpose, np.linalg.matrix_transpose),
):
    implements(_second)(implementations[_first])
