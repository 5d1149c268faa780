"""A training process that is killed at any moment goes on bit for bit as if nothing had happened."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

import tinygrad_rnn
from tinygrad_rnn import train
from tinygrad_rnn.core.errors import CheckpointError

SETTINGS = {"hidden": 6, "layers": 2, "embedding": 4, "dropout": 0.3, "seq": 8, "batch": 4}
KILLS = 20


def outcome(folder):
    """What a run leaves, apart from the time it took."""
    newest = max((folder / "checkpoints").iterdir())
    record = json.loads((newest / "checkpoint.json").read_text())["record"]
    for row in (record["training"], *record["training"]["history"]):
        del row["seconds"]
    arrays = [(newest / f"{name}.safetensors").read_bytes() for name in ("weights", "training")]
    rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    return arrays, record, [[*row[:2], *row[3:]] for row in rows]


class Until(train.Callback):
    """Ends a run early, as if its last step were this one; the schedule is not told."""

    def __init__(self, step):
        self.step = step

    def start(self, trainer):
        trainer.steps = self.step


def go(folder, text_file, steps):
    """Begin a run or go on with it, with a checkpoint after every step."""
    more = {"seconds": 0.0, "callbacks": [Until(steps)]}
    try:
        _, trainer = train.resume(folder, **more)
    except CheckpointError:
        _, trainer = train.begin(folder, train.Config(**SETTINGS, evaluate=100), file=text_file, **more)
    trainer.fit()


@pytest.mark.parametrize("power", [True, False], ids=["power stays", "power is cut"])
def test_killing_at_every_write_flush_and_rename_of_training_changes_nothing(tmp_path, text_file, disk, power):
    go(tmp_path / "whole", text_file, 2)
    wanted = outcome(tmp_path / "whole")
    folder, kill_at, killed = tmp_path / "run", 0, True
    while killed:
        kill_at += 1
        shutil.rmtree(folder, ignore_errors=True)
        killed, operations = disk.run(lambda: go(folder, text_file, 1), kill_at)
        if not power:
            disk.cut_power()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            go(folder, text_file, 2)
        assert outcome(folder) == wanted, f"killed at operation {kill_at}"
    assert operations > 40


def command(folder, text_file, resume):
    more = ["--resume", str(folder)] if resume else ["--out", str(folder), "--text", str(text_file), "--epochs", "6"]
    if not resume:
        more += [word for name, value in SETTINGS.items() for word in (f"--{name}", str(value))]
    environment = {**os.environ, "PYTHONPATH": str(Path(tinygrad_rnn.__file__).parent.parent)}
    line = [sys.executable, "-m", "tinygrad_rnn", "train", "--checkpoint", "0", *more]
    with open(folder.with_suffix(".log"), "ab") as log:
        return subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=log)


def newest(folder):
    """The step of the newest checkpoint; -1 where there is none."""
    return max((int(path.name[5:]) for path in folder.glob("checkpoints/step-*")), default=-1)


def complete(folder, text_file):
    """Let a run go on undisturbed to its end; one that was killed after its end has nothing left to do."""
    code = command(folder, text_file, resume=newest(folder) >= 0).wait()
    said = folder.with_suffix(".log").read_text()
    assert code == 0 or (code == 2 and "is finished" in said.splitlines()[-1]), said
    assert "Traceback" not in said and "damaged" not in said
    assert {path.name for path in folder.iterdir()} > {"checkpoints", "metrics.csv", "loss.svg"}
    assert any((folder / f"graph.{kind}").exists() for kind in ("svg", "dot"))


def test_a_process_that_is_killed_twenty_times_ends_in_the_same_bits(tmp_path, text_file):
    chance = random.Random(0)
    whole = tmp_path / "whole"
    begun = time.monotonic()
    complete(whole, text_file)
    duration, last, wanted = time.monotonic() - begun, newest(whole), outcome(whole)

    # On a loaded machine a run may reach its end before it is killed; it is compared, and another one is begun.
    kills, runs = 0, 0
    while kills < KILLS:
        runs += 1
        folder = tmp_path / f"run {runs}"
        while kills < KILLS and newest(folder) < last:
            before = newest(folder)
            process = command(folder, text_file, resume=before >= 0)
            if chance.random() < 0.25:
                time.sleep(chance.uniform(0, duration / 4))
            else:
                # In the mean the kills together leave part of the training to be done at the end.
                step = before + chance.randint(1, 2 * last // KILLS)
                while newest(folder) < step and process.poll() is None:
                    time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            code = process.wait()
            assert code in (0, -signal.SIGKILL), folder.with_suffix(".log").read_text()
            kills += code == -signal.SIGKILL
        complete(folder, text_file)
        assert outcome(folder) == wanted
