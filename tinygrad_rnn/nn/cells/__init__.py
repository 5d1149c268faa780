"""Recurrent cells: one step of a network, written in NumPy algebra; one family a file."""

from .attention import LSTMNCell
from .base import Cell, FeatureCell
from .clockwork import ClockworkCell
from .depth_gated import DepthGatedLSTMCell
from .grid import GridLSTMCell
from .gru import GRUCell, MGUCell
from .layer_norm import LayerNormGRUCell, LayerNormLSTMCell
from .lstm import LSTMCell, ProjectedLSTMCell
from .lstm_variants import (
    GREFF_VARIANTS,
    CoupledLSTMCell,
    FullGateRecurrenceLSTMCell,
    NoForgetGateLSTMCell,
    NoInputActivationLSTMCell,
    NoInputGateLSTMCell,
    NoOutputActivationLSTMCell,
    NoOutputGateLSTMCell,
    PeepholeLSTMCell,
)
from .rnn import IndRNNCell, IRNNCell, RNNCell

__all__ = [
    "GREFF_VARIANTS",
    "Cell",
    "ClockworkCell",
    "CoupledLSTMCell",
    "DepthGatedLSTMCell",
    "FeatureCell",
    "FullGateRecurrenceLSTMCell",
    "GRUCell",
    "GridLSTMCell",
    "IRNNCell",
    "IndRNNCell",
    "LSTMCell",
    "LSTMNCell",
    "LayerNormGRUCell",
    "LayerNormLSTMCell",
    "MGUCell",
    "NoForgetGateLSTMCell",
    "NoInputActivationLSTMCell",
    "NoInputGateLSTMCell",
    "NoOutputActivationLSTMCell",
    "NoOutputGateLSTMCell",
    "PeepholeLSTMCell",
    "ProjectedLSTMCell",
    "RNNCell",
]
