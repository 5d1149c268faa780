"""Studies without their measurements of time: the known answers need none."""

from pathlib import Path

import pytest

from tinygrad_rnn.lab.comparison import comparisons, standings
from tinygrad_rnn.lab.contestants import contestant, distinct
from tinygrad_rnn.lab.folder import Folder
from tinygrad_rnn.lab.named_tasks import named_task
from tinygrad_rnn.lab.outcomes import QUESTIONS, at_equal_parameters
from tinygrad_rnn.lab.plan import Plan, Settings, equal_sizes
from tinygrad_rnn.lab.trials import carry_out

CELLS = Path(__file__).with_name("cells_of_users.py")
PACE = {"step": 0.01, "processor": 0.01, "scoring": 0.01, "rest": 0.01, "memory": 0.0}


def plan_of(cells, tasks, *, steps, seeds=5, rates=(0.02,), hidden=8, processes=1):
    """A plan for trials of so many steps, as if every cell took the same time."""
    first, *others = cells
    found = distinct([contestant(first, {"hidden_size": hidden}), *map(contestant, others)])
    settings = Settings(tuple(found), tuple(map(named_task, tasks)), seeds, rates, 60.0, steps, processes)
    sizes = equal_sizes(settings)
    return Plan(settings, sizes, [[PACE] * len(cells)] * len(tasks), [steps] * len(tasks))


@pytest.fixture
def compared(tmp_path):
    """Train cells on tasks, and return the standings and the comparisons at equal parameters."""

    def compare(*arguments, **more):
        plan = plan_of(*arguments, **more)
        results = carry_out(plan.trials(), Folder(tmp_path / "study"), 1, "trials", lambda line: None)
        cells = at_equal_parameters(plan, results)
        return [of(plan.settings, cells, QUESTIONS[0]) for of in (standings, comparisons)]

    return compare
