"""Module: parameters, buffers and other modules as plain attributes, and what can be done with all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..core.errors import ConfigError, DtypeError
from ..core.modes import pop_scope, push_scope
from ..core.node import Array
from ..core.tensor import HookHandle, Tensor, add_hook
from ..core.trace import refuse_while_tracing
from .parameter import Parameter as Parameter
from .saving import Target, load
from .summary import summary

Hook = Callable[..., Any]
M = TypeVar("M", bound="Module")


class Module:
    """A part of a network: its parameters, buffers and inner modules are plain attributes of the instance.

    A subclass sets them in `__init__` and computes in `forward`; calling the module runs `forward`. Attributes are
    found in the order of their definition; a parameter that stands in two places is listed once, at the first.

    Raises:
        ConfigError: if parameters or modules are set inside a list, tuple, dict or set, where they would not be found;
            if a parameter's attribute, or a method's name, is overwritten with something else; if a leaf tensor that
            requires grad and is no `Parameter` is set, since it would not be trained.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> class Scale(nn.Module):
        ...     def __init__(self, size):
        ...         super().__init__()
        ...         self.weight = nn.Parameter(np.full(size, 2.0))
        ...     def forward(self, x):
        ...         return self.weight * x
        >>> scale = Scale(3)
        >>> scale
        Scale, 3 parameters: weight (3,)
        >>> scale(np.arange(3.0)).tolist()
        [0.0, 2.0, 4.0]
    """

    # Defaults stand on the class, so that a subclass which forgets super().__init__() works all the same.
    training: bool = True
    _buffers: tuple[str, ...] = ()
    _hooks: Mapping[int, Hook] = {}  # never changed: the first hook gives the instance one of its own
    _path: str = ""
    _scope: str = "Module"
    _wanted: str = "def forward(self, x): ..."

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._scope = cls.__name__

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the module's output; every subclass that is called writes its own."""
        raise NotImplementedError(f"{type(self).__name__} has no forward; write {self._wanted} in the class")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `forward` under the module's name as scope, then the forward hooks."""
        token = push_scope(self._scope)
        try:
            out = self.forward(*args, **kwargs)
            if self._hooks:
                refuse_while_tracing(f"{self._scope} has forward hooks")
                for hook in list(self._hooks.values()):
                    answer = hook(self, args, out)
                    if answer is not None:
                        out = answer
            return out
        finally:
            pop_scope(token)

    def register_forward_hook(self, hook: Hook) -> HookHandle:
        """Call `hook(module, args, output)` after every call of this module.

        Args:
            hook: what it returns takes the place of the output, unless it is None.

        Returns:
            A handle whose `remove()` takes the hook away.

        Example:
            >>> import numpy as np
            >>> from tinygrad_rnn import nn
            >>> layer = nn.Linear(3, 2)
            >>> handle = layer.register_forward_hook(lambda module, args, output: print(output.shape))
            >>> _ = layer(np.ones((5, 3), np.float32))
            (5, 2)
            >>> handle.remove()
        """
        return add_hook(vars(self).setdefault("_hooks", {}), hook)

    def register_buffer(self, name: str, value: ArrayLike) -> None:
        """Keep an array as attribute `name`: saved with the parameters and converted with them, never trained.

        Args:
            name: the attribute; setting it later replaces the array.
            value: the array, which is copied.

        Example:
            >>> import numpy as np
            >>> from tinygrad_rnn import nn
            >>> module = nn.Module()
            >>> module.register_buffer("mean", np.zeros(2))
            >>> module.state_dict()
            {'mean': array([0., 0.])}
        """
        self._check_name(name)
        if name not in self._buffers:
            self._buffers = (*self._buffers, name)
        setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        refuse_while_tracing(f"{type(self).__name__}.{name} is set in the step")
        if isinstance(value, (Parameter, Module)):
            self._check_name(name)
            self._adopt(name, value)
        elif isinstance(vars(self).get(name), Parameter) and value is not None:
            raise ConfigError(
                f"{type(self).__name__}.{name} is a Parameter and would be lost to a {type(value).__name__}; write "
                f"{name}.assign(array) to change its value, or del module.{name} first"
            )
        elif name in self._buffers:
            value = np.array(value)
        elif isinstance(value, _CONTAINERS):
            self._refuse_hidden(name, value)
        elif isinstance(value, Tensor) and value.requires_grad and value.is_leaf:
            raise ConfigError(
                f"{type(self).__name__}.{name} is a tensor that requires grad but no Parameter, so it would not be "
                f"trained; write self.{name} = nn.Parameter(array), or keep tensor.detach()"
            )
        super().__setattr__(name, value)

    def _check_name(self, name: str) -> None:
        if hasattr(Module, name):
            raise ConfigError(f"{type(self).__name__}.{name} would hide Module.{name}; choose another name")

    def _refuse_hidden(self, name: str, container: Any) -> None:
        for value in container.values() if isinstance(container, dict) else container:
            if isinstance(value, _CONTAINERS):
                self._refuse_hidden(name, value)
            elif isinstance(value, (Parameter, Module)):
                raise ConfigError(
                    f"{type(self).__name__}.{name} is a {type(container).__name__} holding a {type(value).__name__}, "
                    f"which would be neither trained nor saved; write self.{name} = nn.ModuleList([...])"
                )

    def _adopt(self, name: str, value: Parameter | Module) -> None:
        """Extend the names of what becomes part of this module; a name from an earlier owner stays."""
        path = _join(self._path, name)
        if isinstance(value, Module):
            self._set_scope_of(value, name)
        for inner, part in _walk(value):
            if isinstance(part, Module):
                if part._path == inner:
                    vars(part)["_path"] = _join(path, inner)
            elif (part.name or "") == inner:
                part.name = _join(path, inner)

    def _set_scope(self, name: str) -> None:
        vars(self).setdefault("_scope", name)

    def _set_scope_of(self, child: Module, name: str) -> None:
        child._set_scope(name)

    def _members(self) -> Iterator[tuple[str, Parameter | Module]]:
        """Yield the parameters and modules that are attributes of this module itself."""
        for name, value in vars(self).items():
            if type(value) in _PLAIN:
                continue
            if isinstance(value, (Parameter, Module)):
                yield name, value
            elif isinstance(value, _CONTAINERS):
                self._refuse_hidden(name, value)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield (dotted name, parameter) for this module and all inside it, each parameter once.

        Example:
            >>> from tinygrad_rnn import nn
            >>> [name for name, _ in nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2)).named_parameters()]
            ['0.weight', '0.bias', '1.weight', '1.bias']
        """
        return ((name, part) for name, part in _walk(self) if isinstance(part, Parameter))

    def parameters(self) -> Iterator[Parameter]:
        """Yield every parameter once, in the order of `named_parameters`."""
        return (part for _, part in _walk(self) if isinstance(part, Parameter))

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Yield (dotted name, module) for this module, named "", and all inside it, outer ones first, each once.

        Example:
            >>> from tinygrad_rnn import nn
            >>> [name for name, _ in nn.Sequential(nn.Linear(3, 2)).named_modules()]
            ['', '0']
        """
        return ((name, part) for name, part in _walk(self) if isinstance(part, Module))

    def children(self) -> Iterator[Module]:
        """Yield the modules that are attributes of this one, each once."""
        return iter({id(part): part for _, part in self._members() if isinstance(part, Module)}.values())

    def named_buffers(self) -> Iterator[tuple[str, Array]]:
        """Yield (dotted name, array) for the buffers of this module and all inside it."""
        return ((name, getattr(module, key)) for name, module, key in self._buffer_places())

    def _buffer_places(self) -> Iterator[tuple[str, Module, str]]:
        for path, module in self.named_modules():
            for key in module._buffers:
                if key in vars(module):
                    yield _join(path, key), module, key

    def state_dict(self) -> dict[str, Array]:
        """Return a copy of every parameter and buffer under its dotted name.

        Example:
            >>> from tinygrad_rnn import nn
            >>> {name: array.shape for name, array in nn.Linear(3, 2).state_dict().items()}
            {'weight': (3, 2), 'bias': (2,)}
        """
        arrays = {name: parameter._data.copy() for name, parameter in self.named_parameters()}
        return arrays | {name: buffer.copy() for name, buffer in self.named_buffers()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> tuple[list[str], list[str]]:
        """Set parameters and buffers from arrays under their dotted names; all of them, or none if it raises.

        Args:
            state: name to array, of the shapes of `state_dict`; converted to each target's dtype and copied.
            strict: demand that the names be exactly those of `state_dict`.

        Returns:
            The names that were missing in `state`, and those in it that the module does not have.

        Raises:
            StateDictError: naming everything missing, unexpected, or of another shape or kind of dtype.

        Example:
            >>> from tinygrad_rnn import nn
            >>> a, b = nn.Linear(3, 2), nn.Linear(3, 2)
            >>> a.load_state_dict(b.state_dict())
            ([], [])
        """
        targets: dict[str, Target] = {name: (part, part.assign) for name, part in self.named_parameters()}
        for name, module, key in self._buffer_places():
            targets[name] = getattr(module, key), partial(setattr, module, key)
        return load(type(self).__name__, targets, state, strict)

    def _parameter_dtype(self) -> np.dtype[Any]:
        """Return the dtype that all parameters promote to; float32 where there is none."""
        dtypes = {parameter.dtype for parameter in self.parameters()}
        if len(dtypes) == 1:
            return dtypes.pop()
        return np.result_type(*dtypes) if dtypes else np.dtype(np.float32)

    def zero_grad(self) -> None:
        """Set the `.grad` of every parameter to None."""
        for parameter in self.parameters():
            parameter.grad = None

    def train(self: M, mode: bool = True) -> M:
        """Set `training` on this module and all inside it, and return the module; dropout reads it.

        Example:
            >>> from tinygrad_rnn import nn
            >>> nn.Dropout(0.5).train(False).training
            False
        """
        for _, module in self.named_modules():
            vars(module)["training"] = bool(mode)
        return self

    def eval(self: M) -> M:
        """Write `train(False)`: the module as it is used, not trained."""
        return self.train(False)

    def apply(self: M, function: Callable[[Module], Any]) -> M:
        """Call `function(module)` on every module inside this one, inner ones first, then on itself.

        Example:
            >>> from tinygrad_rnn import nn
            >>> model = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.1)).apply(lambda m: print(type(m).__name__))
            Dropout
            Linear
            Sequential
        """
        for _, module in reversed(list(self.named_modules())):
            function(module)
        return self

    def requires_grad_(self: M, flag: bool = True) -> M:
        """Freeze every parameter with False, or train it again, and return the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(flag)
        return self

    def astype(self: M, dtype: DTypeLike) -> M:
        """Convert every parameter and floating buffer of this module in place, and return the module.

        Raises:
            DtypeError: if the dtype is not a floating one.

        Example:
            >>> import numpy as np
            >>> from tinygrad_rnn import nn
            >>> nn.Linear(3, 2).astype(np.float64).weight.dtype
            dtype('float64')
        """
        wanted = np.dtype(dtype)
        if wanted.kind != "f":
            raise DtypeError(f"parameters cannot be of dtype {wanted}; give float16, float32 or float64")
        for parameter in self.parameters():
            parameter._rebind(parameter._data.astype(wanted))
        for _, module, key in self._buffer_places():
            buffer = getattr(module, key)
            if buffer.dtype.kind == "f":
                setattr(module, key, buffer.astype(wanted))
        return self

    def extra_repr(self) -> str:
        """Return what `repr` writes in the brackets behind the class name; a subclass may override it."""
        return ""

    def __repr__(self) -> str:
        return summary(self)


_CONTAINERS = (list, tuple, dict, set, frozenset)
_PLAIN = frozenset({bool, int, float, str, type(None)})


def _walk(root: Parameter | Module) -> Iterator[tuple[str, Parameter | Module]]:
    """Yield (dotted name, part) for a module or parameter and all inside it, in order of definition, each once."""
    seen: set[int] = set()
    stack: list[tuple[str, Parameter | Module]] = [("", root)]
    while stack:
        name, part = stack.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield name, part
        if isinstance(part, Module):
            stack.extend([(_join(name, key), value) for key, value in part._members()][::-1])


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name
