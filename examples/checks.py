"""What every lesson here ends with: our number beside the reference, the tolerance, and PASS or FAIL."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np


def wants_quick(lesson: str | None) -> bool:
    """Read the command line: `--quick` asks for the short form of a lesson that takes more than some seconds."""
    parser = argparse.ArgumentParser(description=(lesson or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the short form, for continuous integration")
    return bool(parser.parse_args().quick)


class Checks:
    """Collects comparisons, prints each as a line, and knows whether all of them held."""

    def __init__(self) -> None:
        self.failed = 0
        self.made = 0

    def close(self, what: str, ours: Any, reference: Any, tolerance: float) -> None:
        """Claim that no element of `ours` is further from `reference` than `tolerance`."""
        ours, reference = np.asarray(ours, float), np.asarray(reference, float)
        difference = float(np.max(np.abs(ours - reference), initial=0.0))
        same_shape = ours.shape == reference.shape
        self._line(
            what,
            same_shape and difference <= tolerance,
            f"ours {_short(ours)}  reference {_short(reference)}  difference {difference:.1e}  tolerance {tolerance:g}",
        )

    def at_most(self, what: str, ours: float, limit: float) -> None:
        """Claim that a number is not above a limit; NaN is."""
        self._line(what, ours <= limit, f"ours {ours:.3g}  at most {limit:g}")

    def at_least(self, what: str, ours: float, limit: float) -> None:
        """Claim that a number is not below a limit; NaN is."""
        self._line(what, ours >= limit, f"ours {ours:.3g}  at least {limit:g}")

    def inside(self, what: str, reference: float, ours: Any) -> None:
        """Claim that a reference lies between the least and the greatest of our numbers."""
        low, high = np.min(ours), np.max(ours)
        self._line(what, bool(low <= reference <= high), f"ours {low:.4f} to {high:.4f}  reference {reference:.4f}")

    def same(self, what: str, ours: Any, reference: Any) -> None:
        """Claim that two things are equal."""
        self._line(what, ours == reference, f"ours {ours!r}  reference {reference!r}")

    def finish(self) -> int:
        """Print the verdict and return the exit code: 0 if every claim held, 1 if not."""
        print(f"\n{self.made - self.failed} of {self.made} claims hold: {'FAIL' if self.failed else 'PASS'}")
        return int(self.failed > 0)

    def _line(self, what: str, passed: bool, numbers: str) -> None:
        self.made += 1
        self.failed += not passed
        print(f"{'PASS' if passed else 'FAIL'}  {what}: {numbers}")


def _short(array: np.ndarray) -> str:
    """Show a small array whole and a large one by its shape and largest element."""
    if array.ndim == 0:
        return f"{float(array):.12g}"
    if array.size <= 10:
        return "[" + " ".join(f"{x:.8f}" for x in array.ravel()) + "]"
    return f"{array.shape}, largest {np.abs(array).max():.6g},"
