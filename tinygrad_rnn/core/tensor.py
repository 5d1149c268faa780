"""Tensor: an immutable array that remembers how it was made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from .backward import sweep
from .dispatch import NumpyMethods
from .errors import ConversionError, CotangentError, DtypeError, GraphError, ImmutableError, ShapeError
from .node import Array, Node, Spec, leaf
from .readonly import WRITE_ADVICE, ReadOnlyArray


class HookHandle:
    """What registering a hook returns: `remove()` takes the hook away again."""

    def __init__(self, hooks: dict[Any, Any], key: object) -> None:
        self._hooks = hooks
        self._key = key

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._hooks.pop(self._key, None)


def add_hook(hooks: dict[Any, Any], hook: Callable[..., Any]) -> HookHandle:
    """Put a hook at the end of a dict of hooks."""
    key = object()
    hooks[key] = hook
    return HookHandle(hooks, key)


class Tensor(NumpyMethods):
    """An array that remembers how it was made, so that gradients can be taken through it.

    NumPy's functions and operators work on tensors. The value never changes; a result that depends on a tensor which
    requires grad requires grad itself and holds a node of the graph.

    Args:
        value: anything that `np.array` takes, of a real, integer or bool dtype; it is copied.
        requires_grad: record what is computed from this tensor; floating dtypes only.
        dtype: the dtype to convert to.
        name: shown in errors, print-outs and pictures.

    Raises:
        ConversionError: if `value` holds tensors that require grad.
        DtypeError: if the dtype is complex or no number, or if an integer tensor is to require grad.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
        >>> loss = np.sum(w * w)
        >>> loss.backward()
        >>> w.grad
        array([2., 4.])
    """

    __slots__ = ("__weakref__", "_data", "_index", "_name", "_node")
    __hash__ = object.__hash__

    _data: Array
    _node: Node | None
    _index: int
    _name: str | None

    def __init__(self, value: Any, requires_grad: bool = False, dtype: Any = None, name: str | None = None) -> None:
        data = np.array(value, dtype=dtype)
        if data.dtype.kind not in "fiub":
            raise DtypeError(f"a tensor cannot hold dtype {data.dtype}; give real, integer or bool numbers")
        if not data.dtype.isnative:
            data = data.astype(data.dtype.newbyteorder("="))
        self._data = data.view(np.ndarray)
        self._node = None
        self._index = 0
        self._name = name
        if requires_grad:
            self.requires_grad_()

    @staticmethod
    def _wrap(data: Array, node: Node | None = None, index: int = 0) -> Tensor:
        """Make a tensor of an array that nobody will write to, without a copy."""
        tensor = Tensor.__new__(Tensor)
        tensor._data = data
        tensor._node = node
        tensor._index = index
        tensor._name = None
        return tensor

    def _rebind(self, data: Array) -> None:
        """Give a leaf another value, an array that nobody else will write to. Graphs made before keep the old one."""
        node = self._node
        if node is not None:
            if node.primitive is not None:
                raise GraphError(f"{self!r} is the result of {node.operation}; only a leaf can be given another value")
            (spec,) = node.specs
            if spec.shape != data.shape or spec.dtype != data.dtype:
                self._node = leaf(Spec(data.shape, data.dtype), self._name)
                self._node.watch(0).hooks = node.watch(0).hooks
            self._node.watch(0).hold(data)  # type: ignore[union-attr]
        self._data = data

    @property
    def data(self) -> Array:
        """The value, as a view that refuses to be written."""
        view = self._data.view()
        view.flags.writeable = False
        read_only: Array = view.view(ReadOnlyArray)
        return read_only

    @data.setter
    def data(self, value: Any) -> NoReturn:
        raise ImmutableError(WRITE_ADVICE)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the elements."""
        return self._data.dtype

    @property
    def T(self) -> Tensor:
        """The tensor with its axes in reverse order."""
        reversed_axes: Tensor = self.transpose()
        return reversed_axes

    @property
    def node(self) -> Node | None:
        """The node of the graph that made this tensor; None where it does not require grad."""
        return self._node

    @property
    def name(self) -> str | None:
        """The name shown in errors, print-outs and pictures."""
        return self._name

    @name.setter
    def name(self, name: str | None) -> None:
        self._name = name
        if self._node is not None:
            self._node.watch(self._index).name = name

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are taken with respect to this tensor, or through it."""
        return self._node is not None

    @property
    def is_leaf(self) -> bool:
        """Whether the tensor is no recorded result: an input, a parameter or a constant."""
        return self._node is None or self._node.primitive is None

    @property
    def grad(self) -> Array | None:
        """The gradient that `backward` left on this leaf, or on a tensor after `retain_grad()`; None before."""
        watches = self._node and self._node.watches
        watch = watches.get(self._index) if watches else None
        return watch.grad if watch else None

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is None and self._node is None:
            return
        if self._node is None:
            raise GraphError(f"{self!r} does not require grad, so it has no .grad; call requires_grad_() first")
        if value is not None:
            value = np.array(value, dtype=self.dtype)
            if value.shape != self.shape:
                raise ShapeError(
                    f"a gradient of shape {value.shape} for a tensor of shape {self.shape}; give {self.shape}"
                )
        self._node.watch(self._index).grad = value

    def requires_grad_(self, flag: bool = True) -> Tensor:
        """Make this leaf require grad, or not any more.

        Raises:
            DtypeError: if the dtype is not floating.
            GraphError: if the tensor is a recorded result and `flag` is False.

        Example:
            >>> import tinygrad_rnn as tg
            >>> tg.Tensor([1.0]).requires_grad_().requires_grad
            True
        """
        if flag and self._node is None:
            if self.dtype.kind != "f":
                raise DtypeError(
                    f"a tensor of dtype {self.dtype} cannot require grad; write tensor.astype(np.float64), or give the "
                    "numbers as floats"
                )
            self._node = leaf(Spec(self.shape, self.dtype), self._name)
            self._node.watch(0).hold(self._data)
        elif not flag and self._node is not None:
            if self._node.primitive is not None:
                raise GraphError(
                    f"{self!r} is the result of {self._node.operation}; write detach() for its value alone"
                )
            self._node = None
        return self

    def retain_grad(self) -> Tensor:
        """Ask `backward` to leave a `.grad` on this intermediate result too.

        Raises:
            GraphError: if the tensor does not require grad.

        Example:
            >>> import tinygrad_rnn as tg
            >>> x = tg.Tensor(3.0, requires_grad=True)
            >>> y = (x * x).retain_grad()
            >>> (2 * y).backward()
            >>> y.grad
            array(2.)
        """
        self._recorded("retain_grad()").watch(self._index).keeps_grad = True
        return self

    def register_hook(self, hook: Callable[[Any], Any]) -> HookHandle:
        """Call `hook(gradient)` when this tensor's whole gradient is known, before it is used any further.

        Args:
            hook: takes the gradient (a read-only array; a tensor where the sweep is recorded) and returns another of
                the same shape to put in its place, or None.

        Returns:
            A handle whose `remove()` takes the hook away.

        Raises:
            GraphError: if the tensor does not require grad.

        Example:
            >>> import tinygrad_rnn as tg
            >>> x = tg.Tensor(3.0, requires_grad=True)
            >>> handle = x.register_hook(lambda gradient: 10 * gradient)
            >>> (2 * x).backward()
            >>> x.grad
            array(20.)
        """
        return add_hook(self._recorded("register_hook()").watch(self._index).hooks, hook)

    def detach(self) -> Tensor:
        """Return a tensor with the same value that is a constant for every gradient.

        Example:
            >>> import tinygrad_rnn as tg
            >>> x = tg.Tensor([1.0], requires_grad=True)
            >>> (2 * x).detach().requires_grad
            False
        """
        return Tensor._wrap(self._data)

    def backward(self, cotangent: Any = None, retain_graph: bool = False) -> None:
        """Add the gradient of this tensor to the `.grad` of every leaf that it depends on.

        Args:
            cotangent: the gradient of the final result with respect to this tensor, of the same shape; 1 for a tensor
                of one element.
            retain_graph: keep what the graph saved, for another backward pass.

        Raises:
            CotangentError: if the tensor has several elements and no cotangent is given, or one of another shape.
            FreedGraphError: if an earlier pass went through this graph without `retain_graph=True`.
            GraphError: if the tensor does not require grad.

        Example:
            >>> import tinygrad_rnn as tg
            >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
            >>> (3 * x).backward([1.0, 10.0])
            >>> x.grad
            array([ 3., 30.])
        """
        node = self._recorded("backward()")
        sweep([(node, self._index, cotangent_of(self, cotangent))], None, None, retain_graph)

    def _recorded(self, asked: str) -> Node:
        if self._index < 0:
            raise GraphError(
                f"{asked} inside vmap, where {self!r} has no graph of its own; write tg.grad(function), or another "
                "transform of a function, or take gradients outside of it"
            )
        if self._node is None:
            raise GraphError(
                f"{asked} on {self!r}, which does not require grad: nothing was recorded. Give requires_grad=True to "
                "the inputs, or leave no_grad()"
            )
        return self._node

    def item(self) -> Any:
        """Return the only element as a Python number."""
        return self._data.item()

    def tolist(self) -> Any:
        """Return the value as nested lists of Python numbers."""
        return self._data.tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self._node is not None:
            raise ConversionError(
                f"{self!r} would become a plain array and lose its graph. Write tensor.data for the value alone; "
                "np.stack([a, b]) or np.concatenate to join tensors; np.where instead of array[index] = tensor"
            )
        data = self.data
        if dtype is not None and data.dtype != dtype:
            return data.astype(dtype)
        return data.copy() if copy else data

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise ImmutableError(WRITE_ADVICE)

    def __len__(self) -> int:
        return len(self._data)

    def __bool__(self) -> bool:
        return bool(self._data)

    def __float__(self) -> float:
        return float(self._number())

    def __int__(self) -> int:
        return int(self._number())

    def _number(self) -> Any:
        # NumPy's `array[0] = tensor` asks for float(tensor): without this the graph would be lost there.
        if self._node is not None:
            raise ConversionError(
                f"{self!r} would become a plain number and lose its graph; write tensor.item() for the number alone, "
                "or np.where and np.stack instead of array[index] = tensor"
            )
        return self._data.item()

    def __index__(self) -> int:
        return self._data.__index__()

    def __format__(self, spec: str) -> str:
        return format(self.item() if self.size == 1 and spec else str(self), spec)

    def __repr__(self) -> str:
        text = np.array2string(self._data, separator=", ", prefix="Tensor(", threshold=100)
        parts = [text] if self.dtype == np.float64 else [text, f"dtype={self.dtype}"]
        if self._name:
            parts.append(f"name={self._name!r}")
        if self._node is not None:
            parts.append("requires_grad=True")
        return f"Tensor({', '.join(parts)})"

    def __reduce__(self) -> Any:
        if not self.is_leaf:
            raise GraphError(f"{self!r} holds a graph, which is not copied or pickled; copy its value with detach()")
        extra = dict(getattr(self, "__dict__", {}))
        return _restore, (type(self), self._data.copy(), self.requires_grad, self._name, extra)


def _restore(cls: type[Tensor], data: Array, requires_grad: bool, name: str | None, extra: dict[str, Any]) -> Tensor:
    tensor = cls.__new__(cls)
    tensor._data, tensor._node, tensor._index, tensor._name = data, None, 0, name
    for key, value in extra.items():
        setattr(tensor, key, value)
    return tensor.requires_grad_() if requires_grad else tensor


def cotangent_of(tensor: Tensor, cotangent: Any) -> Any:
    """Return the cotangent to start a sweep with, checked; 1 where none is given for a single element."""
    if cotangent is None:
        if tensor.size != 1:
            found = tensor if tensor._index < 0 else tensor._node
            raise CotangentError(
                f"{found!r} has shape {tensor.shape}: only a tensor of one element has a gradient without a "
                "cotangent. Reduce it, for instance with np.sum, or write backward(cotangent) of that shape"
            )
        return np.ones(tensor.shape, tensor.dtype)
    if not isinstance(cotangent, Tensor):
        cotangent = np.array(cotangent, dtype=tensor.dtype)
    if cotangent.shape != tensor.shape:
        raise CotangentError(
            f"a cotangent of shape {cotangent.shape} for a tensor of shape {tensor.shape}; give {tensor.shape}"
        )
    return cotangent
