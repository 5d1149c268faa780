"""Recurrent cells: one step of a network, written in NumPy algebra; one family a file."""

from .base import Cell, FeatureCell
from .gru import GRUCell, MGUCell
from .lstm import LSTMCell, ProjectedLSTMCell
from .rnn import IndRNNCell, IRNNCell, RNNCell

__all__ = [
    "Cell",
    "FeatureCell",
    "GRUCell",
    "IRNNCell",
    "IndRNNCell",
    "LSTMCell",
    "MGUCell",
    "ProjectedLSTMCell",
    "RNNCell",
]
