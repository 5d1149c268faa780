"""Pictures through time: gradients, gates and neurons over a text, and the course of training."""

from .flow import Flow, GradientFlow, StateGradient, gradient_flow
from .gating import Gates, Saturation, gates
from .plotting import Plot, PlottingError
from .progress import Training, training
from .ranking import Neuron, Neurons, neurons
from .reading import LayerReading
from .recording import Recording

__all__ = [
    "Flow",
    "Gates",
    "GradientFlow",
    "LayerReading",
    "Neuron",
    "Neurons",
    "Plot",
    "PlottingError",
    "Recording",
    "Saturation",
    "StateGradient",
    "Training",
    "gates",
    "gradient_flow",
    "neurons",
    "training",
]
