"""The command takes other kernels only where that is sure, in the same process and with the same arguments."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn
from tinygrad_rnn.cli import start
from tinygrad_rnn.cli.kernels import better_kernels

AVX512 = ["avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"]


def processor(vendor="AuthenticAMD", flags=("fpu", "avx2", *AVX512)):
    one = f"processor\t: 0\nvendor_id\t: {vendor}\nmodel name\t: A: B\nflags\t\t: {' '.join(flags)}\n"
    return f"{one}\n{one}\n"


def test_an_amd_chip_with_avx512_takes_the_kernels_of_skylake():
    assert better_kernels(processor()) == "SKYLAKEX"


@pytest.mark.parametrize("vendor", ["GenuineIntel", "HygonGenuine", ""])
def test_other_makers_chips_are_left_to_openblas(vendor):
    assert better_kernels(processor(vendor)) is None


@pytest.mark.parametrize("lacking", AVX512)
def test_a_chip_that_lacks_a_part_of_avx512_is_left_to_openblas(lacking):
    flags = [flag for flag in AVX512 if flag != lacking]
    assert better_kernels(processor(flags=[*flags, f"{lacking}_other"])) is None


@given(st.text())
def test_a_text_of_any_other_kind_is_left_to_openblas(text):
    assert better_kernels(text) is None


@pytest.fixture
def begun(monkeypatch):
    """The programs that were begun in place of this one, on Linux and with nothing set."""
    programs = []
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    monkeypatch.setattr(os, "execve", lambda *program: programs.append(program))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "orig_argv", ["python", "-B", "-m", "tinygrad_rnn", "sample", "a b"])
    return programs


def test_the_process_begins_anew_with_the_kernels_set(begun):
    start.choose_kernels(processor())
    line = [sys.executable, "-B", "-m", "tinygrad_rnn", "sample", "a b"]
    assert begun == [(sys.executable, line, {**os.environ, "OPENBLAS_CORETYPE": "SKYLAKEX"})]
    assert "OPENBLAS_CORETYPE" not in os.environ


def test_the_process_goes_on_where_other_kernels_are_not_sure_to_be_better(begun):
    start.choose_kernels(processor("GenuineIntel"))
    assert begun == []


@pytest.mark.parametrize("kernels", ["SKYLAKEX", "Haswell", ""])
def test_the_process_goes_on_where_the_kernels_are_set(begun, monkeypatch, kernels):
    monkeypatch.setenv("OPENBLAS_CORETYPE", kernels)
    start.choose_kernels(processor())
    assert begun == []


def test_the_process_goes_on_under_windows(begun, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    start.choose_kernels(processor())
    assert begun == []


def test_a_process_that_cannot_begin_anew_goes_on_as_it_is(begun, monkeypatch):
    def refuse(*program):
        raise FileNotFoundError

    monkeypatch.setattr(os, "execve", refuse)
    start.choose_kernels(processor())
    assert "OPENBLAS_CORETYPE" not in os.environ


# Python runs a module of this name before anything else.
SITE = """
import json, os, sys
import tinygrad_rnn.cli.kernels, tinygrad_rnn.cli.main
def command():
    print(json.dumps([os.getpid(), sys.argv[1:], sys._xoptions, os.environ["OPENBLAS_CORETYPE"]]))
    return 3
tinygrad_rnn.cli.kernels.cpuinfo = lambda: {text!r}
tinygrad_rnn.cli.main.main = command
print("begun", flush=True)
"""
SCRIPT = "import sys\nfrom tinygrad_rnn.cli.start import main\nif __name__ == '__main__':\n    sys.exit(main())\n"
ARGUMENTS = ["sample", "runs/a b", "--prime", "", "-m", "'$HOME'\n*", "ü\udcff"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no exec")
@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["-m", "tinygrad_rnn"], {}),
        (["-X", "own=a b", "-m", "tinygrad_rnn"], {"own": "a b"}),
        (["-X", "own=a b", "tinygrad-rnn"], {"own": "a b"}),
    ],
)
def test_a_process_begins_anew_once_and_keeps_its_number_and_its_arguments(tmp_path, words, options):
    (tmp_path / "sitecustomize.py").write_text(SITE.format(text=processor()))
    (tmp_path / "tinygrad-rnn").write_text(SCRIPT)
    path = os.pathsep.join([str(tmp_path), str(Path(tinygrad_rnn.__file__).parent.parent)])
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    with subprocess.Popen(
        [sys.executable, *words, *ARGUMENTS],
        env=environment | {"PYTHONPATH": path},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        out, _ = process.communicate(timeout=120)
    *begun, said = out.splitlines()
    assert begun == ["begun", "begun"] and process.returncode == 3
    assert json.loads(said) == [process.pid, ARGUMENTS, options, "SKYLAKEX"]
