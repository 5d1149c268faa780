"""Weights to and from other programs."""

from .torch import load_torch_state_dict, torch_state_dict

__all__ = ["load_torch_state_dict", "torch_state_dict"]
