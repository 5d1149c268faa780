"""How far back a cell's gradient reaches: no step where no input has one."""

import numpy as np

from tinygrad_rnn.lab.contestants import contestant
from tinygrad_rnn.lab.memory import horizons
from tinygrad_rnn.lab.named_tasks import named_task
from tinygrad_rnn.train import TaskModel

from .conftest import CELLS

TASK = named_task("Parity(length=9)")


def test_a_cell_whose_weights_are_zero_reaches_back_no_step():
    model = TaskModel(TASK.task, contestant("lstm").build)
    found = horizons(contestant("lstm"), TASK, 0, {name: 0 * value for name, value in model.state_dict().items()})
    assert found["at initialisation"]["reach"] > 0
    assert found["after training"] == {"horizon": [0.0] * 9, "reach": 0}


def test_a_cell_that_ignores_its_state_reaches_back_no_step():
    found = horizons(contestant(f"{CELLS}:Stateless"), TASK, 0, None)["at initialisation"]
    assert found["reach"] == 0 and np.flatnonzero(found["horizon"]).tolist() == [0]
