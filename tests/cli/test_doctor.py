"""The doctor says what is there, and advises only what it has found to help."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import threadpoolctl

import tinygrad_rnn
from tinygrad_rnn.cli import doctor
from tinygrad_rnn.cli.main import main
from tinygrad_rnn.scan.engines import available

AVX512 = "avx2 fma avx512f avx512dq avx512bw avx512vl avx512cd"
INTEL = f"vendor_id\t: GenuineIntel\nmodel name\t: A Xeon\nflags\t\t: fpu {AVX512}\n"
AMD = f"vendor_id\t: AuthenticAMD\nmodel name\t: An EPYC\nflags\t\t: fpu {AVX512}\n"
OLD = "vendor_id\t: AuthenticAMD\nmodel name\t: An Opteron\nflags\t\t: fpu avx2 fma\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd crc32 sve\nCPU implementer\t: 0x41\n"


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine whose speed is 50 GFLOP/s in this process, by kernels and in other processes as a test says."""

    class Machine:
        def has(self, kernels="Haswell", setting=None, elsewhere=None, library="openblas"):
            pool = {"user_api": "blas", "internal_api": library, "version": "0.3", "num_threads": 4}
            monkeypatch.setattr(
                threadpoolctl, "threadpool_info", lambda: [{"user_api": "openmp"}, {**pool, "architecture": kernels}]
            )
            monkeypatch.setattr(doctor, "product_speed", lambda seconds=1.0: 50.0)
            monkeypatch.setattr(doctor, "_speed_of_process", lambda kernels: elsewhere)
            monkeypatch.setattr(doctor, "_extra_advice", lambda found: [])
            environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
            monkeypatch.setattr(
                os, "environ", environment | ({"OPENBLAS_CORETYPE": setting} if setting is not None else {})
            )

    return Machine()


def test_the_command_says_each_thing_in_a_line(machine, capsys, monkeypatch):
    machine.has()
    monkeypatch.setattr(doctor, "cpuinfo", lambda: OLD)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    rows = dict(line.split(maxsplit=1) for line in said.split("\n\n")[0].splitlines())
    assert list(rows) == ["Python", "NumPy", "BLAS", "CPU", "Vectors", "Engines", "Layout", "Extras", "Product"]
    assert rows["NumPy"] == np.__version__ and rows["Engines"] == ", ".join(available())
    assert rows["BLAS"] == "openblas 0.3, threads: 4, kernels for Haswell"
    assert rows["CPU"].startswith("An Opteron, cores: ") and rows["Vectors"] == "avx2 fma"
    assert rows["Product"] == "50.0 GFLOP/s (float32, 512 x 512 x 512, one thread)"
    assert "hypothesis" in rows["Extras"]
    assert said.endswith("\n\nNothing to set and nothing missing.\n")


def test_json_says_the_same(machine, capsys):
    machine.has(elsewhere=100.0)
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == doctor.examine()


@pytest.mark.parametrize("kernels", ["Haswell", "Zen"])
@pytest.mark.parametrize("chip", [INTEL, AMD])
@pytest.mark.parametrize(
    ("elsewhere", "says"),
    [
        (80.0, "set OPENBLAS_CORETYPE=SKYLAKEX before Python starts: 1.6 times faster here (80.0 GFLOP/s)."),
        (65.0, "set OPENBLAS_CORETYPE=SKYLAKEX before Python starts: 1.3 times faster here (65.0 GFLOP/s)."),
        (64.0, "hardly faster here (64.0 GFLOP/s), so there is nothing to set."),
        (None, "set OPENBLAS_CORETYPE=SKYLAKEX before Python starts, and compare."),
    ],
)
def test_kernels_for_an_older_chip_are_told_with_the_gain_that_was_measured(machine, kernels, chip, elsewhere, says):
    machine.has(kernels, elsewhere=elsewhere)
    (advice,) = doctor.examine(chip)["advice"]
    assert advice.startswith(f"OpenBLAS has taken the kernels for {kernels}, an older chip than this one; ")
    assert advice.endswith(says)


@pytest.mark.parametrize(
    ("chip", "has"),
    [
        (OLD, {"kernels": "Haswell"}),
        (INTEL, {"kernels": "SkylakeX"}),
        (INTEL, {"kernels": "SapphireRapids", "setting": "SAPPHIRERAPIDS"}),
        (INTEL, {"kernels": None}),
        (INTEL, {"kernels": "Haswell", "library": "mkl"}),
        (ARM, {"kernels": "neoversen1"}),
        ("", {"kernels": "SkylakeX"}),
    ],
)
def test_where_openblas_has_chosen_well_there_is_nothing_to_set(machine, chip, has):
    machine.has(**has, elsewhere=1000.0)
    assert doctor.examine(chip)["advice"] == []


@pytest.mark.parametrize(("before", "says"), [(25.0, "set: 2.0 times faster here."), (45.0, "set."), (None, "set.")])
def test_what_the_command_sets_for_itself_is_told_for_other_programs(machine, before, says):
    machine.has("SkylakeX", setting="SKYLAKEX", elsewhere=before)
    (advice,) = doctor.examine(AMD)["advice"]
    assert advice.startswith(f"OPENBLAS_CORETYPE=SKYLAKEX is {says} On this chip the command sets it for itself")


def test_a_machine_of_which_little_is_known_is_described_all_the_same(machine, monkeypatch):
    machine.has()
    monkeypatch.setattr(threadpoolctl, "threadpool_info", list)
    found = doctor.examine("")
    assert found["blas"] is None and found["advice"] == []
    assert "BLAS     unknown" in doctor.as_text(found)
    assert doctor.examine(ARM)["cpu"]["vectors"] == ["asimd", "sve"]


def test_what_is_missing_is_told_with_what_brings_it(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(doctor, "EXTRAS", ("no-such-package",))
    found = doctor.examine(OLD, seconds=0.0)
    assert found["layout"] is None and found["extras"] == {}
    assert ["'tinygrad_rnn[fast]'" in found["advice"][0], "'tinygrad_rnn[viz]'" in found["advice"][1]] == [True, True]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(metadata, "version", lambda name: "1.0")
    monkeypatch.setattr(doctor, "EXTRAS", ("llvmlite",))
    found = doctor.examine(OLD, seconds=0.0)
    assert found["layout"] == "pygraphviz" and found["extras"] == {"llvmlite": "1.0"} and found["advice"] == []
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    assert doctor.examine(OLD, seconds=0.0)["layout"] == "dot"


def test_products_are_measured_on_one_thread(monkeypatch):
    threads, matmul = set(), np.matmul

    def counting(*args, **more):
        threads.update(pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas")
        return matmul(*args, **more)

    monkeypatch.setattr(np, "matmul", counting)
    assert doctor.product_speed(0.0) > 0
    assert threads <= {1}


def test_another_process_measures_with_the_kernels_it_is_given(monkeypatch):
    monkeypatch.setattr(doctor, "_MEASURE", "import os; print(len(os.environ.get('OPENBLAS_CORETYPE', '')))")
    assert doctor._speed_of_process("SKYLAKEX") == 8
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert doctor._speed_of_process(None) == 0
    monkeypatch.setattr(doctor, "_MEASURE", "raise SystemExit(1)")
    assert doctor._speed_of_process(None) is None


def test_the_doctor_runs_on_this_machine():
    environment = {**os.environ, "PYTHONPATH": str(Path(tinygrad_rnn.__file__).parent.parent)}
    line = [sys.executable, "-m", "tinygrad_rnn", "doctor", "--json"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stderr == ""
    assert json.loads(done.stdout)["gflops"] > 0
