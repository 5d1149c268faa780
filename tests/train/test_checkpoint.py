"""A checkpoint is complete or absent, damage is found, and the one before is used."""

import json
import shutil
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_rnn.core.errors import CheckpointError
from tinygrad_rnn.train import Checkpoint, CheckpointFolder, CheckpointWarning

FILES = ("weights.safetensors", "training.safetensors", "checkpoint.json")


def checkpoint(step):
    rng = np.random.default_rng(step)
    record = {"history": [{"step": step, "loss": 1 / 3}], "moments": {"w": [rng.normal(size=4), np.int64(step)]}}
    return Checkpoint(step, {"w": rng.normal(size=(3, 2)).astype(np.float32), "b": np.array(1.5)}, record)


def assert_same(found, expected):
    assert found.step == expected.step
    assert_equal_nests(found.weights, expected.weights)
    assert_equal_nests(found.record, expected.record)


def assert_equal_nests(a, b):
    if isinstance(b, np.ndarray):
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    elif isinstance(b, dict):
        assert set(a) == set(b)
        for key in b:
            assert_equal_nests(a[key], b[key])
    elif isinstance(b, (list, tuple)):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_equal_nests(one, other)
    else:
        assert (a == b and type(a) is type(b)) or (a == b and isinstance(b, np.generic))


def saved(folder, *steps):
    checkpoints = CheckpointFolder(folder)
    for step in steps:
        checkpoints.save(checkpoint(step))
    return checkpoints


def names(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


arrays = st.builds(
    lambda values, dtype: np.array(values).astype(dtype),
    st.lists(st.integers(-100, 100), max_size=4),
    st.sampled_from(["f2", "f4", "f8", "i4", "i8", "u1", "?"]),
)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
nests = st.recursive(
    arrays | scalars | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(record=st.dictionaries(st.sampled_from(["a", "a.b", "a.b.c", "b", "0"]), nests, max_size=4))
def test_what_is_saved_is_loaded_to_the_last_bit(tmp_path_factory, record):
    folder = tmp_path_factory.mktemp("run")
    wanted = Checkpoint(7, {"w": np.arange(6.0).reshape(2, 3).T}, record)
    CheckpointFolder(folder).save(wanted)
    assert_same(CheckpointFolder(folder).load(), wanted)


def test_arrays_whose_paths_are_spelt_alike_stay_apart(tmp_path):
    record = {"a.b": np.zeros(1), "a": {"b": np.ones(2)}}
    CheckpointFolder(tmp_path).save(Checkpoint(1, {}, record))
    assert_equal_nests(CheckpointFolder(tmp_path).load().record, record)


def test_the_last_two_are_kept(tmp_path):
    saved(tmp_path, 0, 5, 10, 15)
    assert names(tmp_path) == ["step-00000010", "step-00000015"]


def test_steps_are_ordered_as_numbers_however_many_digits_they_have(tmp_path):
    saved(tmp_path, 99_999_999, 100_000_000)
    assert CheckpointFolder(tmp_path).load().step == 100_000_000


@pytest.mark.parametrize("name", FILES)
def test_any_flipped_byte_of_a_file_means_the_checkpoint_before(tmp_path, name):
    saved(tmp_path, 1, 2)
    path = tmp_path / "checkpoints" / "step-00000002" / name
    whole = path.read_bytes()
    for position in range(len(whole)):
        for flip in (0x01, 0x20, 0xFF):
            path.write_bytes(whole[:position] + bytes([whole[position] ^ flip]) + whole[position + 1 :])
            with pytest.warns(CheckpointWarning, match=r"is damaged.*going on from step-00000001"):
                assert_same(CheckpointFolder(tmp_path).load(), checkpoint(1))


@pytest.mark.parametrize("name", FILES)
def test_any_truncation_of_a_file_means_the_checkpoint_before(tmp_path, name):
    saved(tmp_path, 1, 2)
    path = tmp_path / "checkpoints" / "step-00000002" / name
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.warns(CheckpointWarning, match="is damaged"):
            assert_same(CheckpointFolder(tmp_path).load(), checkpoint(1))
    path.unlink()
    with pytest.warns(CheckpointWarning, match="cannot be read"):
        assert_same(CheckpointFolder(tmp_path).load(), checkpoint(1))


def test_a_file_of_another_checkpoint_is_damage(tmp_path):
    saved(tmp_path, 1, 2)
    new, old = (tmp_path / "checkpoints" / f"step-0000000{step}" for step in (2, 1))
    shutil.copy(old / "weights.safetensors", new / "weights.safetensors")
    with pytest.warns(CheckpointWarning, match="weights.safetensors is damaged"):
        assert CheckpointFolder(tmp_path).load().step == 1


def test_when_all_are_damaged_the_error_names_each_file(tmp_path):
    saved(tmp_path, 1, 2)
    (tmp_path / "checkpoints" / "step-00000002" / "checkpoint.json").write_bytes(b"{}")
    (tmp_path / "checkpoints" / "step-00000001" / "weights.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"step-00000002.checkpoint.json.*step-00000001.weights.safetensors"):
        CheckpointFolder(tmp_path).load()


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_without_checkpoints_is_no_run(tmp_path, there):
    if there:
        (tmp_path / "checkpoints" / "notes").mkdir(parents=True)
    with pytest.raises(CheckpointError, match="is no run"):
        CheckpointFolder(tmp_path).load()


def test_the_good_one_outlives_the_damaged_one_when_training_goes_on(tmp_path):
    saved(tmp_path, 10, 20)
    damaged = tmp_path / "checkpoints" / "step-00000020" / "weights.safetensors"
    damaged.write_bytes(b"damaged")
    resumed = CheckpointFolder(tmp_path)
    with pytest.warns(CheckpointWarning):
        resumed.load()
    resumed.save(checkpoint(15))
    assert names(tmp_path) == ["step-00000010", "step-00000015"]
    resumed.save(checkpoint(20))
    assert names(tmp_path) == ["step-00000015", "step-00000020"]
    assert_same(CheckpointFolder(tmp_path).load(), checkpoint(20))


def test_a_damaged_checkpoint_of_the_same_step_is_replaced(tmp_path):
    saved(tmp_path, 10, 20)
    (tmp_path / "checkpoints" / "step-00000020" / "checkpoint.json").unlink()
    resumed = CheckpointFolder(tmp_path)
    with pytest.warns(CheckpointWarning):
        resumed.load()
    resumed.save(checkpoint(20))
    assert_same(CheckpointFolder(tmp_path).load(), checkpoint(20))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"a": float("nan")}, "JSON"),
        ({"a": object()}, "JSON"),
        ({"a": {1: 2}}, "str keys"),
        ({"$array": ""}, "str keys"),
    ],
)
def test_what_cannot_be_written_is_an_error_that_leaves_the_earlier_one(tmp_path, record, message):
    checkpoints = saved(tmp_path, 1)
    with pytest.raises(CheckpointError, match=message):
        checkpoints.save(Checkpoint(2, {}, record))
    assert_same(CheckpointFolder(tmp_path).load(), checkpoint(1))


def test_a_full_disk_leaves_the_earlier_checkpoints(tmp_path, monkeypatch):
    checkpoints = saved(tmp_path, 1, 2)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            checkpoints.save(checkpoint(3))
    assert_same(CheckpointFolder(tmp_path).load(), checkpoint(2))
    checkpoints.save(checkpoint(4))
    assert names(tmp_path) == ["step-00000002", "step-00000004"]


def test_a_format_of_the_future_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tinygrad_rnn.train.checkpoint.FORMAT", 2)
    saved(tmp_path, 1)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="format 2; this version reads 1"):
        CheckpointFolder(tmp_path).load()


def test_the_record_is_json_and_the_weights_are_safetensors(tmp_path):
    saved(tmp_path, 1)
    folder = tmp_path / "checkpoints" / "step-00000001"
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    content = json.loads((folder / "checkpoint.json").read_text())
    assert content["record"]["history"] == [{"step": 1, "loss": 1 / 3}]
    from safetensors.numpy import load_file

    assert_equal_nests(load_file(folder / "weights.safetensors"), checkpoint(1).weights)


def test_a_checkpoint_that_is_replaced_while_it_is_read_is_no_damage(tmp_path, monkeypatch):
    trained, reader = saved(tmp_path, 1), CheckpointFolder(tmp_path)
    listed = reader._names

    def names_then_two_new_ones():
        found = listed()
        if found == ["step-00000001"]:
            trained.save(checkpoint(2))
            trained.save(checkpoint(3))
        return found

    monkeypatch.setattr(reader, "_names", names_then_two_new_ones)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reader.load().step == 3


@pytest.mark.parametrize("power", [True, False], ids=["power stays", "power is cut"])
def test_killing_at_every_file_operation_leaves_a_good_checkpoint(tmp_path, disk, power):
    saved(tmp_path / "start", 1, 2)

    def save():
        checkpoints = CheckpointFolder(tmp_path / "run")
        checkpoints.load()
        checkpoints._good = ["step-00000001", "step-00000002"]
        checkpoints.save(checkpoint(3))

    kill_at, killed, found = 0, True, []
    while killed:
        kill_at += 1
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.copytree(tmp_path / "start", tmp_path / "run")
        killed, operations = disk.run(save, kill_at)
        if not power:
            disk.cut_power()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            loaded = CheckpointFolder(tmp_path / "run").load()
        assert_same(loaded, checkpoint(loaded.step))
        found.append(loaded.step)
        again = CheckpointFolder(tmp_path / "run")
        again.load()
        again.save(checkpoint(3))
        again.save(checkpoint(4))
        assert_same(CheckpointFolder(tmp_path / "run").load(), checkpoint(4))
        assert not any(name.startswith(".") for name in names(tmp_path / "run"))
    assert operations >= 15
    assert found == sorted(found) and set(found) == {2, 3}
    assert found[-1] == 3, "once save() has returned, the checkpoint is there"
