"""check_cell: everything that can be told about a cell of one's own by running it."""

from __future__ import annotations

import os
import traceback
import unittest
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..core import random
from ..core.errors import CellCheckError, DtypeError, TraceError
from ..nn import Cell
from ..nn.cells.base import state_hint
from ..scan import engine
from . import step_checks, time_checks, training_checks
from .report import Finding, Report, Result
from .subject import Subject, UncopiedError

Check = Callable[[Subject], str]
_PACKAGE = str(Path(__file__).resolve().parent.parent)

# In the order of the table, each with the hint that is shown where the check has no better one.
CHECKS: dict[Check, str] = {
    step_checks.shapes: "a step is forward(x, state) -> (y, state), on x (batch, features)",
    step_checks.repeatable: "keep nothing between calls, and draw noise in training only: check_cell(cell.eval())",
    step_checks.unchanged: "what one step tells the next belongs in the state, not on the module",
    step_checks.rows: "the first axis is the batch: reduce, roll, sort and normalise along other axes, such as -1",
    step_checks.values_unseen: "write np.where(condition, a, b) in place of if; no .data, item() or float()",
    step_checks.finite: "zeros are what a state starts with: keep roots, norms, logs and quotients away from them",
    step_checks.gradients: "look for .data, detach() and no_grad() in the step, and at the vjp rules of own primitives",
    step_checks.forward_mode: "look at the vjp and jvp rules of own primitives",
    step_checks.per_sample_gradients: "a row's loss may depend on that row alone, and the step on no tensor's value",
    time_checks.unrolled: "what one step tells the next belongs in the state, not on the module",
    time_checks.padding: "a step must treat rows one by one, whatever their number, 0 included",
    time_checks.reversed_time: "a step must not count calls; give it the time as a feature of x",
    time_checks.carried_state: "what one step tells the next belongs in the state, not on the module",
    training_checks.float32: "look for differences of large numbers and for logs of exponentials",
    training_checks.parameters_reached: "use the parameter in forward, or do not make it",
    training_checks.saturation: "start with smaller weights, or normalise what goes into the gate",
    time_checks.long_gradient: "",
    time_checks.engines: "compare what each engine's program computes with the step",
    training_checks.saving: "keep arrays as nn.Parameter or with register_buffer, made in __init__",
    training_checks.released: "let no hook or attribute of a tensor refer to a result of the step",
}


class CellWarning(UserWarning):
    """A check of a cell that ends with a warning."""


class CellCheck:
    """One check of one cell, to be called by a test; `pytest` shows its name.

    Calling it returns nothing if the check passes, raises `CellCheckError` if it fails, gives a `CellWarning` where
    there is something to look at, and raises `unittest.SkipTest`, which pytest knows, where there is nothing to check.
    """

    def __init__(self, subject: Subject, check: Check, hint: str) -> None:
        self._subject, self._check, self._hint = subject, check, hint
        self.__name__ = check.__name__
        self.__doc__ = check.__doc__

    def result(self) -> Result:
        """Run the check and return what it finds; an error that the cell raises is a failure."""
        before = random.get_state()
        random.seed(0)
        try:
            # A compiled loop runs the step once: what a step does wrong in later calls shows in eager loops alone.
            with np.errstate(all="ignore"), engine("eager"):
                return Result(self.__name__, "pass", self._check(self._subject))
        except TraceError:
            return Result(self.__name__, "skip", "compiled engines take no step of this kind, see values_unseen")
        except UncopiedError as error:
            if self._check is not step_checks.shapes:
                return Result(self.__name__, "skip", "the cell cannot be copied, see shapes")
            hint = "checks work on copies of the cell; keep graphs, locks and files out of its attributes"
            return Result(self.__name__, "fail", str(error), hint)
        except Finding as finding:
            hint = finding.hint or (self._hint if finding.outcome != "skip" else "")
            return Result(self.__name__, finding.outcome, finding.reason, hint)
        except Exception as error:
            if self._check is not step_checks.shapes and self._beginning().result().outcome == "fail":
                return Result(self.__name__, "skip", "the step itself is wrong, see shapes")
            hint = state_hint(error) or self._hint
            if isinstance(error, (DtypeError, IndexError)) and not self._subject.eats_tokens:
                hint += ", or on tokens (batch,): give check_cell(cell, example_input=np.array([0, 4, 2])) for those"
            return Result(self.__name__, "fail", f"{type(error).__name__}{_place(error)}: {error}", hint)
        finally:
            random.set_state(before)

    def __call__(self) -> None:
        """Run the check, and raise or warn unless it passes."""
        result = self.result()
        if result.outcome == "fail":
            raise CellCheckError(f"{self._subject.name}, {result}")
        if result.outcome == "warn":
            warnings.warn(f"{self._subject.name}, {result}", CellWarning, stacklevel=2)
        if result.outcome == "skip":
            raise unittest.SkipTest(f"{self._subject.name}, {result}")

    def _beginning(self) -> CellCheck:
        return CellCheck(self._subject, step_checks.shapes, "")

    def __repr__(self) -> str:
        return f"<check {self.__name__} of {self._subject.name}>"


def _place(error: Exception) -> str:
    """Return file and line of the user's code that an error came from, in words."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_PACKAGE)]
    own = [frame for frame in frames if f"{os.sep}numpy{os.sep}" not in frame.filename]
    return f" at {os.path.basename(own[-1].filename)}:{own[-1].lineno}" if own else ""


def cell_checks(cell: Cell, *, input_size: int | None = None, example_input: Any = None) -> list[CellCheck]:
    """Return the checks of `check_cell` as callables, to be run one by one by `pytest`.

    Args:
        cell: as in `check_cell`, and likewise `input_size` and `example_input`.

    Returns:
        A list for `@pytest.mark.parametrize("check", ...)`; the test calls `check()`.

    Raises:
        CellError, ConfigError: as `check_cell`.

    Example:
        >>> from tinygrad_rnn import nn, testing
        >>> checks = testing.cell_checks(nn.GRUCell(3, 5))
        >>> [check.__name__ for check in checks[:4]]
        ['shapes', 'repeatable', 'unchanged', 'rows']
        >>> checks[0]()
    """
    subject = Subject(cell, input_size, example_input)
    return [CellCheck(subject, check, hint) for check, hint in CHECKS.items()]


def check_cell(cell: Cell, *, input_size: int | None = None, example_input: Any = None) -> Report:
    """Run every check of a cell and return the table of results.

    The cell itself stays as it is: the checks work on copies of it, in float64 unless float32 is what they look at, in
    the mode (training or not) that the cell is in, with `nn.Dropout` switched off. They draw the same numbers at every
    call. Results are "pass", "warn" (something to look at), "fail" or "skip" (nothing to check here).

    Args:
        cell: an instance of a class derived from `nn.Cell`; small sizes, such as 3 and 5, find as much as large ones.
        input_size: features of x; by default the cell's `input_size`, or the one length that its parameters allow.
        example_input: typical inputs of one step that differ, for cells that take other inputs than standard normal
            features: (rows,) integer tokens, or (rows, ...) numbers.

    Returns:
        A `Report`; printed, it is a table with a reason, and where something is wrong a hint, for each check.

    Raises:
        CellCheckError: if a check fails, with the table of those that do.
        CellError: if `cell` is no cell.
        ConfigError: if the size of its input cannot be told.

    Source: the idea is that of `sklearn.utils.estimator_checks.check_estimator`.

    Example:
        >>> from tinygrad_rnn import nn, testing
        >>> report = testing.check_cell(nn.GRUCell(3, 5))
        >>> print(report["rows"])
        rows: each of 4 rows gives the same alone, in other company and in another order; gradients keep to their row
        >>> len(report.failures)
        0
    """
    subject = Subject(cell, input_size, example_input)
    report = Report(subject.name, [CellCheck(subject, check, hint).result() for check, hint in CHECKS.items()])
    if report.failures:
        passed = len(report) - len(report.failures)
        raise CellCheckError(f"{Report(subject.name, list(report.failures))}\n({passed} other checks do not fail)")
    return report
