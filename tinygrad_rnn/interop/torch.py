"""Weights to and from PyTorch: its names, its gate order, its layout (out, in). PyTorch itself is not needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import errors
from ..nn.cells import Cell, GRUCell, LSTMCell, ProjectedLSTMCell, RNNCell
from ..nn.module import Parameter
from ..nn.recurrent import Recurrent


def torch_state_dict(layer: Recurrent) -> dict[str, NDArray[Any]]:
    """Return the weights of a layer as `torch.nn.RNN`, `LSTM` or `GRU` names and lays them out.

    Args:
        layer: an `nn.RNN`, `nn.LSTM` or `nn.GRU`, or a `Recurrent` of their cells or of `ProjectedLSTMCell`.

    Returns:
        Copies: weight_ih_l0 (gates * hidden, input), weight_hh_l0 (gates * hidden, hidden), bias_ih_l0, bias_hh_l0
        (gates * hidden,), of an LSTM with projection weight_hr_l0 (proj, hidden) too, and so on for every layer, with
        _reverse at the end for the backward cells.

    Raises:
        StateDictError: if the layer has something that PyTorch's has not.

    Example:
        >>> from tinygrad_rnn import nn
        >>> from tinygrad_rnn.interop import torch_state_dict
        >>> {name: array.shape for name, array in torch_state_dict(nn.LSTM(3, 5, bias=False)).items()}
        {'weight_ih_l0': (20, 3), 'weight_hh_l0': (20, 5)}
    """
    return {name: np.array(parameter.data.T, order="C") for name, parameter in _names(layer)}


def load_torch_state_dict(layer: Recurrent, arrays: Mapping[str, Any]) -> None:
    """Give a layer the weights of a `torch.nn.RNN`, `LSTM` or `GRU` of the same sizes.

    Args:
        layer: as in `torch_state_dict`.
        arrays: what `torch_module.state_dict()` returns, or arrays by the same names.

    Raises:
        StateDictError: if names are missing or unexpected, or shapes differ, all of them listed; the layer then keeps
            the weights it had.

    Example:
        >>> from tinygrad_rnn import nn
        >>> from tinygrad_rnn.interop import load_torch_state_dict, torch_state_dict
        >>> ours, theirs = nn.GRU(3, 5), torch_state_dict(nn.GRU(3, 5))
        >>> load_torch_state_dict(ours, theirs)
        >>> (torch_state_dict(ours)["weight_hh_l0"] == theirs["weight_hh_l0"]).all()
        np.True_
    """
    parameters = dict(_names(layer))
    found = {name: np.asarray(array) for name, array in arrays.items()}
    problems = [f"missing: {name}" for name in parameters if name not in found]
    problems += [f"unexpected: {name}" for name in found if name not in parameters]
    problems += [
        f"{name}: shape {found[name].shape}, expected {parameter.shape[::-1]}"
        for name, parameter in parameters.items()
        if name in found and found[name].shape != parameter.shape[::-1]
    ]
    problems += [
        f"{name}: dtype {array.dtype}, expected floats" for name, array in found.items() if array.dtype.kind != "f"
    ]
    if problems:
        raise errors.StateDictError(
            f"weights that do not fit {type(layer).__name__}: {'; '.join(problems)}. Give the state_dict() of a "
            "PyTorch layer with the same sizes, layers, directions and bias"
        )
    for name, parameter in parameters.items():
        parameter.assign(found[name].T)


def _names(layer: Recurrent) -> Iterator[tuple[str, Parameter]]:
    """Give PyTorch's name and the parameter, (in, out) where PyTorch's is (out, in), of all weights in its order."""
    if not isinstance(layer, Recurrent):
        raise errors.StateDictError(
            f"{type(layer).__name__} is no recurrent layer; give the nn.RNN, nn.LSTM or nn.GRU inside it, one at a time"
        )
    if layer.learned is not None:
        raise errors.StateDictError(
            "PyTorch's layers have no learned initial state; give a layer with learned_state=False"
        )
    if len({type(cell) for cell in layer.cells}) > 1:
        raise errors.StateDictError(
            "PyTorch's layers have one kind of cell; give a layer whose cells are all of one class"
        )
    for i, cell in enumerate(layer.cells):
        number, direction = divmod(i, layer.num_directions)
        end = f"_l{number}" + "_reverse" * direction
        yield from _of_cell(cell, end)


def _of_cell(cell: Cell, end: str) -> Iterator[tuple[str, Parameter]]:
    # A subclass may compute something else with the same weights, hence the exact classes.
    if type(cell) not in (RNNCell, LSTMCell, ProjectedLSTMCell, GRUCell):
        raise errors.StateDictError(
            f"PyTorch has no {type(cell).__name__}; give a layer of RNNCell, LSTMCell, ProjectedLSTMCell or GRUCell"
        )
    if isinstance(cell, GRUCell) and not cell.reset_after:
        raise errors.StateDictError(
            "PyTorch's GRU applies the reset gate after the product; give a layer with reset_after=True"
        )
    assert isinstance(cell, (RNNCell, LSTMCell, ProjectedLSTMCell, GRUCell))
    yield f"weight_ih{end}", cell.from_input.weight
    yield f"weight_hh{end}", cell.from_state.weight
    if cell.from_input.bias is not None:
        yield f"bias_ih{end}", cell.from_input.bias
    if cell.from_state.bias is not None:
        yield f"bias_hh{end}", cell.from_state.bias
    if isinstance(cell, ProjectedLSTMCell):
        yield f"weight_hr{end}", cell.projection.weight
