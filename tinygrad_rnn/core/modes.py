"""Modes that hold for a block of code: recording, debugging and the scope written on nodes.

They live in a context variable, so every thread and every asynchronous task has its own and starts from the defaults.
"""

from __future__ import annotations

import inspect
import sys
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from pathlib import Path
from types import TracebackType
from typing import Any

from .errors import ConfigError

Scope = tuple[str | int, ...]

_PACKAGE = str(Path(__file__).resolve().parent.parent)


class Modes:
    """What is in force now: `recording` of nodes, `debug` checks, `keeping` of values, and the `scope` of new nodes.

    A node holds on to the modes that it was made in; in debug mode it gets a copy of its own with the user's `line`.
    """

    __slots__ = ("debug", "keeping", "line", "recording", "scope")

    def __init__(
        self,
        recording: bool = True,
        debug: bool = False,
        scope: Scope = (),
        keeping: bool = False,
        line: str | None = None,
    ) -> None:
        self.recording = recording
        self.debug = debug
        self.scope = scope
        self.keeping = keeping
        self.line = line


_modes: ContextVar[Modes] = ContextVar("tinygrad_rnn_modes", default=Modes())  # noqa: B039  (never changed in place)
current = _modes.get


def push_scope(part: str | int) -> Token[Modes]:
    """Append `part` (a module's name, or a time step as an int) to the scope; undo it with `pop_scope`."""
    modes = current()
    return _modes.set(Modes(modes.recording, modes.debug, (*modes.scope, part), modes.keeping))


pop_scope = _modes.reset


class _Mode(ContextDecorator):
    """A context manager and decorator that replaces the modes and puts the earlier ones back."""

    def __init__(self, *function: Any) -> None:
        if function:
            raise ConfigError(f"@{type(self).__name__} without brackets; write @{type(self).__name__}()")
        self._tokens: list[Token[Modes]] = []

    def __call__(self, function: Any) -> Any:
        """Decorate a function: the mode holds during its calls."""
        if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
            name = type(self).__name__
            raise ConfigError(
                f"{name} cannot decorate the generator or coroutine {function.__name__}, whose body runs later; write "
                f"`with {name}():` inside it, around code without yield or await"
            )
        return super().__call__(function)

    def _changed(self, modes: Modes) -> Modes:
        raise AssertionError("each mode says what it changes")

    def __enter__(self) -> None:
        self._tokens.append(_modes.set(self._changed(current())))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _modes.reset(self._tokens.pop())


class no_grad(_Mode):
    """Record nothing inside the block, or inside the decorated function: results do not require grad.

    Example:
        >>> import tinygrad_rnn as tg
        >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
        >>> with tg.no_grad():
        ...     y = 2 * x
        >>> y.requires_grad
        False
    """

    def _recreate_cm(self) -> no_grad:
        return no_grad()

    def _changed(self, modes: Modes) -> Modes:
        return Modes(False, modes.debug, modes.scope, modes.keeping)


class enable_grad(_Mode):
    """Record again inside the block, even within `no_grad`; the transforms use it.

    Example:
        >>> import tinygrad_rnn as tg
        >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
        >>> with tg.no_grad(), tg.enable_grad():
        ...     y = 2 * x
        >>> y.requires_grad
        True
    """

    def _recreate_cm(self) -> enable_grad:
        return enable_grad()

    def _changed(self, modes: Modes) -> Modes:
        return Modes(True, modes.debug, modes.scope, modes.keeping)


class debug(_Mode):
    """Check every value and every cotangent: a NaN or an infinity raises at once, naming operation and line.

    Nodes made inside the block keep the user's line and all values, as with `keep_values`.

    Raises:
        NonFiniteError: from the operation that made the value, or whose gradient rule made the cotangent.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> x = tg.Tensor([0.0], requires_grad=True)
        >>> with tg.debug(), np.errstate(divide="ignore"):
        ...     np.log(x)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        tinygrad_rnn.core.errors.NonFiniteError: log gave -inf ...
    """

    def _recreate_cm(self) -> debug:
        return debug()

    def _changed(self, modes: Modes) -> Modes:
        return Modes(modes.recording, True, modes.scope, True)


class keep_values(_Mode):
    """Keep every argument and every result on the nodes made inside the block, not only what their rules read.

    So everything in a graph can be shown afterwards, until a backward pass frees it. It takes more memory; `debug` does
    it too.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
        >>> with tg.keep_values():
        ...     y = np.sum(2 * x)
        >>> y.node.args
        (array([2., 4.]),)
    """

    def _recreate_cm(self) -> keep_values:
        return keep_values()

    def _changed(self, modes: Modes) -> Modes:
        return Modes(modes.recording, modes.debug, modes.scope, True)


class again(_Mode):
    """Record and keep values inside the block, with the scope that was in force at another time.

    Args:
        modes: of that time, such as a node has them.
    """

    def __init__(self, modes: Modes) -> None:
        super().__init__()
        self._modes = modes

    def _recreate_cm(self) -> again:
        return again(self._modes)

    def _changed(self, modes: Modes) -> Modes:
        return Modes(True, False, self._modes.scope, True)


class scope(_Mode):
    """Write `name` on the scope of every node made inside the block; an int is a time step.

    Args:
        name: a part of a path, such as a module's name, or the number of a time step.

    Example:
        >>> import tinygrad_rnn as tg
        >>> x = tg.Tensor([1.0], requires_grad=True)
        >>> with tg.scope("encoder"), tg.scope(0):
        ...     y = 2 * x
        >>> y.node.scope
        ('encoder', 0)
    """

    def __init__(self, name: str | int) -> None:
        super().__init__()
        self._name = name

    def _recreate_cm(self) -> scope:
        return scope(self._name)

    def _changed(self, modes: Modes) -> Modes:
        return Modes(modes.recording, modes.debug, (*modes.scope, self._name), modes.keeping)


def user_line() -> str:
    """Return file and line of the innermost frame outside this package and NumPy, as "file:line"."""
    frame = sys._getframe()
    while frame.f_back is not None:
        name = frame.f_code.co_filename
        if not name.startswith(_PACKAGE) and f"{'/'}numpy{'/'}" not in name.replace("\\", "/"):
            break
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
