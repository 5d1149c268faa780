"""ReadOnlyArray: the view of a tensor's value that users get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import ImmutableError


def _in_place(method: Callable[..., Any]) -> Any:
    """Return a method of ndarray that says what to write instead where it would write to a tensor's value."""

    def refused(self: ReadOnlyArray, *args: Any, **kwargs: Any) -> Any:
        self._refuse()
        return method(self, *args, **kwargs)

    refused.__name__ = method.__name__
    refused.__doc__ = f"Do what `ndarray.{method.__name__}` does; refused where the array is a tensor's value."
    return refused


class ReadOnlyArray(np.ndarray[Any, np.dtype[Any]]):
    """The view that `Tensor.data` gives: an ndarray whose refusal to be written says what to write instead."""

    __setitem__ = _in_place(np.ndarray.__setitem__)
    fill = _in_place(np.ndarray.fill)
    partition = _in_place(np.ndarray.partition)
    put = _in_place(np.ndarray.put)
    resize = _in_place(np.ndarray.resize)
    setfield = _in_place(np.ndarray.setfield)
    sort = _in_place(np.ndarray.sort)

    def byteswap(self, inplace: Any = False) -> Any:
        """Return the array with its bytes in the other order."""
        if inplace:
            self._refuse()
        return super().byteswap(inplace)

    def setflags(self, write: Any = None, align: Any = None, uic: Any = None) -> None:
        """Set flags of the array; a tensor's value cannot be made writeable."""
        if write and self.base is not None:
            self._refuse()
        super().setflags(write=write, align=align, uic=uic)

    def _refuse(self) -> None:
        if not self.flags.writeable:
            raise ImmutableError(WRITE_ADVICE)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        _refuse_outputs(args[:1] if func in _WRITERS else (), kwargs.get("out"))
        return super().__array_function__(func, types, args, kwargs)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        outs = kwargs.get("out", ())
        _refuse_outputs(inputs[:1] if method == "at" else (), *outs)
        if outs:
            kwargs["out"] = tuple([_plain(out) for out in outs])
        return getattr(ufunc, method)(*[_plain(value) for value in inputs], **kwargs)

    def __repr__(self) -> str:
        return repr(_plain(self))


WRITE_ADVICE = (
    "a tensor's value cannot be written in place: the graph has saved it. Build the new value with NumPy functions "
    "(np.where, np.concatenate), write parameter.assign(array) for a parameter, or take a copy: tensor.data.copy()"
)


# NumPy's functions that write to their first argument and do not ask it, as they ask the methods above.
_WRITERS = frozenset({np.copyto, np.fill_diagonal, np.place, np.putmask})


def _refuse_outputs(written: tuple[Any, ...], *outs: Any) -> None:
    for array in (*written, *outs):
        if isinstance(array, ReadOnlyArray):
            array._refuse()


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, ReadOnlyArray) else value
