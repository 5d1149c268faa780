"""The start of the command `tinygrad-rnn`, with the kernels that this processor can run."""

from __future__ import annotations

import contextlib
import os
import sys

from .kernels import VARIABLE, better_kernels, cpuinfo
from .main import main as command


def main() -> int:
    """Run the command, in a process whose products take the kernels that suit this processor.

    Returns:
        What the process is to exit with.
    """
    choose_kernels(cpuinfo())
    return command()


def choose_kernels(text: str) -> None:
    """Begin this process anew with OPENBLAS_CORETYPE, where `better_kernels` is sure and nobody has set it.

    Where that cannot be done, the process goes on as it is.

    Args:
        text: of /proc/cpuinfo.
    """
    kernels = better_kernels(text)
    # On Windows, exec starts a second process and the shell does not wait for it.
    if kernels is None or VARIABLE in os.environ or sys.platform == "win32":
        return
    # OpenBLAS reads the variable as it is loaded, which the package has done by now. The new process finds it set.
    with contextlib.suppress(OSError):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, VARIABLE: kernels})
