"""How NumPy's functions, operators and methods reach what `ops` does with tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from .errors import ConversionError, ImmutableError, NoRuleError

# From a NumPy function to the function that does the same on tensors; `ops` fills it. Indexing, iteration and `astype`,
# which are methods only, stand for themselves.
implementations: dict[Any, Callable[..., Any]] = {}


def _operator(function: Any) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """Return an operator and its reflection, which do what `implementations` says of a NumPy function."""

    def operate(self: Any, other: Any) -> Any:
        return implementations[function](self, other)

    def reflected(self: Any, other: Any) -> Any:
        return implementations[function](other, self)

    return operate, reflected


class NumpyMethods:
    """The methods, operators and protocols of NumPy; each looks up `implementations`, so this file knows no rule."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        function = implementations.get(ufunc if method == "__call__" else (ufunc, method))
        if function is not None and not kwargs:
            return function(*inputs)
        name = _name_of(ufunc, method)
        if any(out is not None for out in kwargs.pop("out", ())):
            raise ImmutableError(
                f"np.{name} with a tensor cannot write into an array: the result would lose its graph. "
                "Write a = a + t instead of a += t, and leave out= away"
            )
        if function is None:
            _refuse(name)
        if method == "__call__" and kwargs:
            raise NoRuleError(f"np.{name} with {next(iter(kwargs))}= has no rule for tensors; leave it away")
        return _call(function, ufunc, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        function = implementations.get(func)
        if function is None:
            _refuse(_name_of(func))
        return _call(function, func, args, kwargs)

    @property
    def _mask(self) -> NoReturn:
        # A masked array on the left takes the other operand's `_data` for its value without asking anybody; but then it
        # asks for the mask too, and what is raised here ends the operation.
        refuse_algebra("MaskedArray")

    def __getitem__(self, key: Any) -> Any:
        return implementations[NumpyMethods.__getitem__](self, key)

    def __iter__(self) -> Iterator[Any]:
        if np.ndim(self) == 0:  # type: ignore[arg-type]
            raise TypeError("iteration over a 0-d tensor; write tensor.item() for its number")
        return iter(implementations[NumpyMethods.__iter__](self))

    __add__, __radd__ = _operator(np.add)
    __sub__, __rsub__ = _operator(np.subtract)
    __mul__, __rmul__ = _operator(np.multiply)
    __truediv__, __rtruediv__ = _operator(np.divide)
    __floordiv__, __rfloordiv__ = _operator(np.floor_divide)
    __mod__, __rmod__ = _operator(np.remainder)
    __pow__, __rpow__ = _operator(np.power)
    __matmul__, __rmatmul__ = _operator(np.matmul)
    __lt__, __gt__ = _operator(np.less)
    __le__, __ge__ = _operator(np.less_equal)
    __eq__ = _operator(np.equal)[0]
    __ne__ = _operator(np.not_equal)[0]

    def __neg__(self) -> Any:
        return implementations[np.negative](self)

    def __abs__(self) -> Any:
        return implementations[np.absolute](self)

    def __pos__(self) -> Any:
        return implementations[np.positive](self)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Return the sum over `axis`, as `np.sum` does."""
        return implementations[np.sum](self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Return the mean over `axis`, as `np.mean` does."""
        return implementations[np.mean](self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Return the largest element along `axis`; ties share the gradient, as `np.max` does."""
        return implementations[np.max](self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Return the smallest element along `axis`; ties share the gradient, as `np.min` does."""
        return implementations[np.min](self, axis=axis, keepdims=keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Return the product over `axis`, as `np.prod` does."""
        return implementations[np.prod](self, axis=axis, keepdims=keepdims)

    def var(self, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
        """Return the variance over `axis`, as `np.var` does."""
        return implementations[np.var](self, axis=axis, ddof=ddof, keepdims=keepdims)

    def std(self, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
        """Return the standard deviation over `axis`, as `np.std` does."""
        return implementations[np.std](self, axis=axis, ddof=ddof, keepdims=keepdims)

    def cumsum(self, axis: Any = None) -> Any:
        """Return the running sum along `axis`, as `np.cumsum` does."""
        return implementations[np.cumsum](self, axis=axis)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        """Return the tensor with two axes exchanged, as `np.swapaxes` does."""
        return implementations[np.swapaxes](self, axis1, axis2)

    def squeeze(self, axis: Any = None) -> Any:
        """Return the tensor without its axes of length 1, as `np.squeeze` does."""
        return implementations[np.squeeze](self, axis=axis)

    def clip(self, min: Any = None, max: Any = None) -> Any:
        """Return the tensor limited to [min, max]; the gradient passes at the bounds, as `np.clip` does."""
        return implementations[np.clip](self, min, max)

    def dot(self, other: Any) -> Any:
        """Return NumPy's dot product, as `np.dot` does."""
        return implementations[np.dot](self, other)

    def ravel(self) -> Any:
        """Return the tensor as one axis."""
        return implementations[np.reshape](self, (self.size,))  # type: ignore[attr-defined]

    def reshape(self, *shape: Any) -> Any:
        """Return the tensor with another shape, given as one tuple or as several numbers."""
        target = shape[0] if len(shape) == 1 else shape
        return implementations[np.reshape](self, target)

    def transpose(self, *axes: Any) -> Any:
        """Return the tensor with its axes in another order, reversed by default."""
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else (axes or None)
        return implementations[np.transpose](self, order)

    def astype(self, dtype: Any) -> Any:
        """Return the tensor in another dtype; the gradient is converted back."""
        return implementations[NumpyMethods.astype](self, dtype)


def refuse_algebra(kind: str) -> NoReturn:
    """Refuse an array whose algebra is not the one that gradients are made for.

    Args:
        kind: the name of its class.

    Raises:
        ConversionError: always.
    """
    raise ConversionError(
        f"a {kind} beside a tensor: its rules for products or missing values are not those of the "
        "gradient; write np.asarray(array), or array.filled(0) with np.where for missing values"
    )


class LogicalOperators:
    """The operators of bool arrays, for stand-ins whose comparisons give stand-ins again."""

    __slots__ = ()

    def __and__(self, other: Any) -> Any:
        return implementations[np.logical_and](self, other)

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        return implementations[np.logical_or](self, other)

    __ror__ = __or__

    def __xor__(self, other: Any) -> Any:
        return implementations[np.logical_xor](self, other)

    __rxor__ = __xor__

    def __invert__(self) -> Any:
        return implementations[np.logical_not](self)


def _refuse(name: str) -> NoReturn:
    raise NoRuleError(
        f"np.{name} has no rule for tensors, so its gradient would be lost. Compose it from functions that have one, "
        "declare a Primitive of your own for it, or call it on tensor.data where no gradient is wanted"
    )


def _name_of(function: Any, method: str = "__call__") -> str:
    module = getattr(function, "__module__", "numpy").removeprefix("numpy").lstrip(".")
    return f"{module}{'.' * bool(module)}{function.__name__}" + (f".{method}" if method != "__call__" else "")


def _call(function: Callable[..., Any], numpy_function: Any, args: Any, kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except TypeError as error:
        text, name = str(error), _name_of(numpy_function)
        if error.__traceback__ is None or error.__traceback__.tb_next:
            raise  # not of this call
        if "unexpected keyword argument" in text:
            keyword = text.split("'")[1]
            raise NoRuleError(f"np.{name} with {keyword}= has no rule for tensors; leave it away") from None
        raise TypeError(
            f"np.{name} of tensors {text.partition('() ')[2]}; leave away what it has no rule for"
        ) from None
