"""What the benchmark of recurrent layers times computes the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from .contenders import Case, contenders, entrants, make_case, verify
from .recurrent_cells import CELLS


@pytest.fixture(scope="module", params=CELLS)
def case(request: pytest.FixtureRequest) -> Case:
    return make_case(request.param, (3, 2, 3, 4))


def test_all_contenders_give_the_same_loss_and_gradients(case: Case) -> None:
    runs = entrants(case, {"all"})
    assert set(runs) == {contender.name for contender in contenders(case, {"all"})}
    assert {"numpy", "by hand"} <= set(runs)


def test_a_contender_with_a_wrong_gradient_is_refused() -> None:
    right = np.linspace(-1, 1, 5, dtype=np.float32)
    verify("x", right + 5e-5, right)
    with pytest.raises(AssertionError, match="lstm by hand: x"):
        verify("lstm by hand: x", right + np.float32(2e-4), right)
