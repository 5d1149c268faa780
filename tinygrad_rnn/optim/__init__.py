"""Optimisers, schedules of the learning rate, and clipping of gradients."""

from .adaptive import Adagrad, Adam, AdamW, RMSprop
from .clipping import clip_grad_norm, clip_grad_value
from .optimizer import Optimizer
from .schedules import CosineLR, ExponentialLR, PlateauLR, Schedule, StepLR, WarmUp
from .sgd import SGD

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineLR",
    "ExponentialLR",
    "Optimizer",
    "PlateauLR",
    "RMSprop",
    "Schedule",
    "StepLR",
    "WarmUp",
    "clip_grad_norm",
    "clip_grad_value",
]
