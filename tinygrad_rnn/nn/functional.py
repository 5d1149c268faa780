"""A module with something else in the place of some of its parts: as a function of its parameters, and in general."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

from ..core.errors import StateDictError
from ..core.tensor import Tensor
from .module import Module
from .parameter import Parameter

M = TypeVar("M", bound=Module)


def functional_call(module: Module, parameters: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """Call a module with other values in place of its parameters; the module itself stays as it is.

    Args:
        module: any module.
        parameters: tensors or arrays by dotted name; parameters that are not named keep their own.
        args: what the module is called with.
        kwargs: likewise.

    Returns:
        What the module returns.

    Raises:
        StateDictError: if a name is no parameter of the module.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn import nn
        >>> layer = nn.Linear(2, 1)
        >>> slopes = tg.grad(lambda p: np.sum(nn.functional_call(layer, p, np.ones((5, 2)))))(layer.state_dict())
        >>> slopes["weight"].data.tolist(), slopes["bias"].data.tolist()
        ([[5.0], [5.0]], [5.0])
    """
    known = dict(module.named_parameters())
    if unknown := [name for name in parameters if name not in known]:
        raise StateDictError(
            f"{type(module).__name__} has no parameter {', '.join(unknown)}; its parameters are {', '.join(known)}"
        )
    values = {
        id(known[name]): value if isinstance(value, Tensor) else Tensor(value) for name, value in parameters.items()
    }
    return _replaced(module, values, {})(*args, **kwargs)


def altered(module: M, attributes: Mapping[str, Any]) -> M:
    """Return a copy of a module with other attributes, in modules inside it too; the module itself stays as it is.

    All parameters that are not replaced are those of the module, so that gradients reach them.

    Args:
        module: any module.
        attributes: values by dotted name, such as "from_state.weight", or "from_state.forward" for a function.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> from tinygrad_rnn.nn.functional import altered
        >>> chain = nn.Sequential(nn.Linear(2, 2), np.tanh)
        >>> altered(chain, {"0.forward": lambda x: 0 * x})(np.ones((1, 2))).tolist()
        [[0.0, 0.0]]
    """
    clone: M = _replaced(module, {}, {})
    parts = dict(clone.named_modules())
    for path, value in attributes.items():
        owner, _, name = path.rpartition(".")
        vars(parts[owner])[name] = value
    return clone


def _replaced(module: Any, values: dict[int, Any], done: dict[int, Any]) -> Any:
    """Return a copy of a module, and of those inside it, with other tensors for some of its parameters."""
    if id(module) not in done:
        clone = done[id(module)] = copy.copy(module)
        dtype = next((values[id(p)].dtype for p in module.parameters() if id(p) in values), module._parameter_dtype())
        vars(clone)["_parameter_dtype"] = lambda: dtype
        for name, part in module._members():
            if isinstance(part, Parameter):
                vars(clone)[name] = values.get(id(part), part)
            else:
                vars(clone)[name] = _replaced(part, values, done)
    return done[id(module)]
