"""Names of results as their author wrote them: the local variables of the methods that computed them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import CodeType, FrameType, TracebackType
from typing import Any

from .node import Node
from .tensor import Tensor
from .trace import Abstract, Trace

Key = tuple[Node | Trace, int]


class LocalNames:
    """While active, notes under which local variables the results of `forward` methods were kept.

    A method in which fewer than two results have a name is passed over: `y = x @ weight` tells a reader nothing.

    Args:
        code: of one more function to watch, whatever it is called; its names count be they ever so few.

    Attributes:
        found: name of a result, by node and output; of one in a trace, by the trace and its number there.
        lines: for each line that was run of the function that `code` is of, how many calls a trace had recorded before,
            with the file and the number of the line.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn.core.names import LocalNames
        >>> def step(x):
        ...     gate = tg.sigmoid(x)
        ...     memory = np.tanh(x)
        ...     return gate * memory
        >>> with LocalNames(step.__code__) as names:
        ...     y = step(tg.Tensor([1.0], requires_grad=True))
        >>> sorted(names.found.values())
        ['gate', 'memory', 'x']
    """

    def __init__(self, code: CodeType | None = None) -> None:
        self.found: dict[Key, str] = {}
        self.lines: list[tuple[int, str]] = []
        self._code = code
        self._local: dict[FrameType, dict[Key, str]] = {}
        self._given: dict[FrameType, set[Key]] = {}
        self._before: Any = None

    def of_nodes(self) -> dict[tuple[Node, int], str]:
        """Return the names of results that were recorded, by node and output."""
        return {(origin, slot): name for (origin, slot), name in self.found.items() if isinstance(origin, Node)}

    def __enter__(self) -> LocalNames:
        self._before = sys.gettrace()
        sys.settrace(self._enter_frame)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.settrace(self._before)
        self._local.clear()
        self._given.clear()

    def _enter_frame(self, frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_name != "forward" and frame.f_code is not self._code:
            return None
        # What a function is given was named by its caller, unless it is a leaf.
        self._given[frame] = {key for key, _ in _results(frame) if not _is_input(key)}
        self._local[frame] = {}
        return self._look

    def _look(self, frame: FrameType, event: str, arg: Any) -> Any:
        local = self._local.get(frame)
        if local is None:
            return None
        for key, name in _results(frame):
            if key not in self._given[frame]:
                local.setdefault(key, name)
            if event == "line" and frame.f_code is self._code and isinstance(key[0], Trace):
                place = (len(key[0].calls), f"{frame.f_code.co_filename}:{frame.f_lineno}")
                if place not in self.lines[-1:]:
                    self.lines.append(place)
        if event == "return":
            own = {name for key, name in local.items() if not _is_input(key)}
            if len(own) > 1 or frame.f_code is self._code:
                self.found = local | self.found
            del self._local[frame], self._given[frame]
        return self._look


def _results(frame: FrameType) -> Iterator[tuple[Key, str]]:
    for name, value in frame.f_locals.items():
        if isinstance(value, Tensor) and value._node is not None and not name.startswith("_"):
            if type(value) is Abstract:
                yield (value._trace, value._value), name
            elif value._index >= 0:
                yield (value._node, value._index), name


def _is_input(key: Key) -> bool:
    origin, number = key
    return number in origin.inputs if isinstance(origin, Trace) else origin.primitive is None
