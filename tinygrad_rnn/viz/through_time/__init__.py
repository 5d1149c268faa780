"""Pictures through time: gradients, gates and neurons over a text, and the course of training."""

from .flow import Flow, GradientFlow, StateGradient, gradient_flow
from .plotting import Plot, PlottingError

__all__ = [
    "Flow",
    "GradientFlow",
    "Plot",
    "PlottingError",
    "StateGradient",
    "gradient_flow",
]
