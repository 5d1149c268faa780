"""The start of the command `tinygrad-rnn`: what must happen before NumPy is imported.

It stands beside the package, because importing anything inside a package imports the package first, and that one NumPy.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

VARIABLE = "OPENBLAS_CORETYPE"
_NEEDED = {"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"}
_INTERRUPTED = 130


def main() -> int:
    """Run the command, with the kernels that this processor can run, and without a traceback at Ctrl-C.

    Returns:
        What the process is to exit with.
    """
    stoppable = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    try:
        # An exception in the middle of an import may be swallowed, or reported as a broken package.
        if stoppable:
            signal.signal(signal.SIGINT, _stop)
        choose_kernels(cpuinfo())
        # Imported here, because before this line Ctrl-C would show a traceback and OpenBLAS would choose for itself.
        from tinygrad_rnn.cli.main import main as command

        if stoppable:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return command()
    except KeyboardInterrupt:
        return _INTERRUPTED


def cpuinfo() -> str:
    """Return what Linux says of the processor; nothing elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def first_of(text: str) -> dict[str, str]:
    """Return the fields of the first processor in the text of /proc/cpuinfo."""
    lines = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def better_kernels(text: str) -> str | None:
    """Return the kernels that OpenBLAS should take and does not by itself, where that is sure.

    An AMD processor with the AVX-512 of Intel's Skylake servers runs the kernels made for these, but OpenBLAS may give
    it those for an older chip, with vectors half as long. Intel's own chips it knows.

    Args:
        text: of /proc/cpuinfo.

    Returns:
        The value for OPENBLAS_CORETYPE; None to leave the choice to OpenBLAS.
    """
    processor = first_of(text)
    amd = processor.get("vendor_id") == "AuthenticAMD"
    return "SKYLAKEX" if amd and set(processor.get("flags", "").split()) >= _NEEDED else None


def choose_kernels(text: str) -> None:
    """Set OPENBLAS_CORETYPE for this process where `better_kernels` is sure and nobody else has set it.

    Args:
        text: of /proc/cpuinfo.
    """
    kernels = better_kernels(text)
    if kernels is None or VARIABLE in os.environ:
        return
    os.environ[VARIABLE] = kernels
    # `python -m tinygrad_rnn` has imported NumPy by now; the same process begins anew, so that both ways of writing the
    # command give the same bits.
    if "numpy" in sys.modules and sys.orig_argv[1:3] == ["-m", "tinygrad_rnn"]:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    os.write(2, b"tinygrad-rnn: stopped\n")
    os._exit(_INTERRUPTED)
