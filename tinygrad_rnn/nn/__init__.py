"""Networks: modules and their parameters, layers, recurrent cells, and losses."""

from . import init
from .cells import (
    Cell,
    FeatureCell,
    GRUCell,
    IndRNNCell,
    IRNNCell,
    LSTMCell,
    MGUCell,
    ProjectedLSTMCell,
    RNNCell,
)
from .functional import functional_call
from .layers import Dropout, Embedding, LayerNorm, Linear, Sequential
from .linear_recurrence import LinearCell, LinearRecurrence, MinGRU, MinGRUCell, MinLSTM, MinLSTMCell
from .losses import binary_cross_entropy_with_logits, cross_entropy, mse_loss, nll_loss
from .module import Module, ModuleList
from .parameter import Parameter
from .recurrent import GRU, LSTM, RNN, Recurrent

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Cell",
    "Dropout",
    "Embedding",
    "FeatureCell",
    "GRUCell",
    "IRNNCell",
    "IndRNNCell",
    "LSTMCell",
    "LayerNorm",
    "Linear",
    "LinearCell",
    "LinearRecurrence",
    "MGUCell",
    "MinGRU",
    "MinGRUCell",
    "MinLSTM",
    "MinLSTMCell",
    "Module",
    "ModuleList",
    "Parameter",
    "ProjectedLSTMCell",
    "RNNCell",
    "Recurrent",
    "Sequential",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "functional_call",
    "init",
    "mse_loss",
    "nll_loss",
]
