"""ReadOnlyArray: the view of a tensor's value that users get."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ImmutableError


class ReadOnlyArray(np.ndarray[Any, np.dtype[Any]]):
    """The view that `Tensor.data` gives: an ndarray whose refusal to be written says what to write instead."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if not self.flags.writeable:
            raise ImmutableError(WRITE_ADVICE)
        super().__setitem__(key, value)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        outs = kwargs.get("out", ())
        if any(isinstance(out, ReadOnlyArray) and not out.flags.writeable for out in outs):
            raise ImmutableError(WRITE_ADVICE)
        if outs:
            kwargs["out"] = tuple([_plain(out) for out in outs])
        return getattr(ufunc, method)(*[_plain(value) for value in inputs], **kwargs)

    def __repr__(self) -> str:
        return repr(_plain(self))


WRITE_ADVICE = (
    "a tensor's value cannot be written in place: the graph has saved it. Build the new value with NumPy functions "
    "(np.where, np.concatenate), write parameter.assign(array) for a parameter, or take a copy: tensor.data.copy()"
)


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, ReadOnlyArray) else value
