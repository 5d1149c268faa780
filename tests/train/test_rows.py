"""Each row of a recording is the mean of all steps since the row before, however often rows were dropped."""

import math
from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_rnn.train import rows
from tinygrad_rnn.train.rows import Rows
from tinygrad_rnn.viz.through_time.recording import FILE, Recording


def of_file(found, step):
    """The rows up to a step, as a later recorder finds them in the file."""
    names = {"clip": np.array(0.0), "parameters": np.array(["w"]), "activations": np.array(["h"])}
    return Rows.up_to(step, Recording(**found.columns(), **names))


def kept(found):
    """The rows of a checkpoint."""
    again = Rows()
    again.load_state_dict(found.state_dict())
    return again


ways = st.sampled_from(["kept", "of file"])
stretches = st.lists(st.tuples(st.integers(1, 60), ways, st.integers(0, 40)), max_size=6)


@settings(deadline=None)
@given(stretches=stretches, most=st.sampled_from([2, 3, 4, 8]))
def test_a_row_is_the_mean_of_the_steps_that_were_seen_since_the_row_before(stretches, most):
    found, step, losses = Rows(), 0, {}
    with mock.patch.object(rows, "MOST", most):
        for length, way, gap in stretches:
            for _ in range(length):
                step += 1
                losses[step] = math.sin(step)
                found.gather(losses[step])
                if step % found.apart == 0:
                    state = [np.array([[step / 50]])]
                    found.add({"steps": step, "gradient": 1.0, "gradients": [1.0], "ratios": [0.1]}, state)
            if way == "kept":
                found = kept(found)
            else:
                last = max(found.columns()["steps"], default=0)
                losses = {number: loss for number, loss in losses.items() if number <= last}
                found, step = of_file(found, step), step + gap
    columns = found.columns()
    assert len(columns["steps"]) <= most
    before = 0
    for number, last in enumerate(columns["steps"]):
        seen = [losses[between] for between in range(before + 1, last + 1) if between in losses]
        assert columns["seen"][number] == len(seen) and math.isclose(columns["loss"][number], np.mean(seen))
        assert columns["counts"][number].sum() == 1
        before = last


def test_rows_of_a_recording_that_begin_late_go_on_as_far_apart_as_they_were():
    found = Rows()
    for step in range(61, 64):
        found.gather(1.0)
        found.add({"steps": step, "gradient": 1.0, "gradients": [1.0], "ratios": [0.1]}, [])
    again = of_file(found, 62)
    assert again.apart == 1 and again.columns()["steps"].tolist() == [61, 62]
    assert of_file(found, 60).columns()["steps"].size == 0


def test_what_lacks_the_numbers_of_steps_holds_them_all(tmp_path):
    found = Rows()
    for step in (2, 4):
        found.gather(1.0)
        found.add({"steps": step, "gradient": 1.0, "gradients": [1.0], "ratios": [0.1]}, [])
    state = found.state_dict()
    del state["rows"]["seen"]
    again = Rows()
    again.load_state_dict(state)
    assert again.columns()["seen"].tolist() == [2, 2]
    columns = found.columns()
    del columns["seen"]
    np.savez(tmp_path / FILE, **columns, clip=0.0, parameters=["w"], activations=np.array([], str))
    assert Recording.read(tmp_path).seen.tolist() == [2, 2]
