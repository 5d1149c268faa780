"""The command starts without a traceback at Ctrl-C, and takes other kernels only where it is sure."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn
import tinygrad_rnn_start as start

AVX512 = ["avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"]


def processor(vendor="AuthenticAMD", flags=("fpu", "avx2", *AVX512)):
    one = f"processor\t: 0\nvendor_id\t: {vendor}\nmodel name\t: A: B\nflags\t\t: {' '.join(flags)}\n"
    return f"{one}\n{one}\n"


def python(*words, **more):
    environment = {**os.environ, "PYTHONPATH": str(Path(tinygrad_rnn.__file__).parent.parent), **more}
    return subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, timeout=120)


def test_an_amd_chip_with_avx512_takes_the_kernels_of_skylake():
    assert start.better_kernels(processor()) == "SKYLAKEX"


@pytest.mark.parametrize("vendor", ["GenuineIntel", "HygonGenuine", ""])
def test_other_makers_chips_are_left_to_openblas(vendor):
    assert start.better_kernels(processor(vendor)) is None


@pytest.mark.parametrize("lacking", AVX512)
def test_a_chip_that_lacks_a_part_of_avx512_is_left_to_openblas(lacking):
    flags = [flag for flag in AVX512 if flag != lacking]
    assert start.better_kernels(processor(flags=[*flags, f"{lacking}_other"])) is None


@given(st.text())
def test_a_text_of_any_other_kind_is_left_to_openblas(text):
    assert start.better_kernels(text) is None


def test_the_kernels_are_set_where_nobody_has_set_them(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    start.choose_kernels(processor("GenuineIntel"))
    assert os.environ == {}
    start.choose_kernels(processor())
    assert os.environ == {"OPENBLAS_CORETYPE": "SKYLAKEX"}
    os.environ["OPENBLAS_CORETYPE"] = "Haswell"
    start.choose_kernels(processor())
    assert os.environ == {"OPENBLAS_CORETYPE": "Haswell"}


@pytest.mark.parametrize(
    "words", [["-m", "tinygrad_rnn", "sample", "a b"], ["-m", "pytest"], ["tinygrad-rnn"]], ids=str
)
def test_only_a_process_of_its_own_begins_anew_once_numpy_is_there(monkeypatch, words):
    begun = []
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(sys, "orig_argv", ["python", *words])
    monkeypatch.setattr(os, "execv", lambda program, line: begun.append((program, line)))
    start.choose_kernels(processor())
    start.choose_kernels(processor())
    own = [(sys.executable, [sys.executable, *words])]
    assert begun == (own if words[:2] == ["-m", "tinygrad_rnn"] else [])


def test_the_start_imports_neither_numpy_nor_the_package():
    code = "import sys, tinygrad_rnn_start; print({'numpy', 'tinygrad_rnn'} & set(sys.modules))"
    assert python("-c", code).stdout == "set()\n"


INTERRUPTED = """
import os, signal, sys
import tinygrad_rnn_start
module, sys.argv[1] = sys.argv[1], "--help"
class Finder:
    def find_spec(name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder)
{before}
sys.exit(tinygrad_rnn_start.main())
"""
MODULES = ["tinygrad_rnn", "numpy._core.multiarray", "tinygrad_rnn.core.tensor", "tinygrad_rnn.cli.options"]


@pytest.mark.parametrize("module", MODULES)
def test_ctrl_c_during_any_import_is_one_line_and_130(module):
    done = python("-c", INTERRUPTED.format(before=""), module)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "tinygrad-rnn: stopped\n")


def test_a_process_that_ignores_ctrl_c_goes_on(tmp_path):
    before = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
    assert "Train a recurrent network" in python("-c", INTERRUPTED.format(before=before), MODULES[2]).stdout


def test_ctrl_c_after_the_imports_is_handled_by_the_command(monkeypatch):
    def stopped():
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        raise KeyboardInterrupt

    monkeypatch.setattr("tinygrad_rnn.cli.main.main", stopped)
    monkeypatch.setattr(start, "choose_kernels", lambda text: None)
    assert start.main() == 130
