"""The cells of examples/draw_cells.py and their drawings, each laid out once."""

import importlib.util
from functools import cache
from pathlib import Path

import pytest

from tinygrad_rnn import viz

ROOT = Path(__file__).parents[3]
NAMES = (
    "coupled_lstm",
    "fast_and_slow",
    "gru",
    "lstm",
    "lstm_with_peepholes",
    "minimal_gated_unit",
    "projected_lstm",
    "residual",
    "rnn",
)


@cache
def lesson():
    spec = importlib.util.spec_from_file_location("draw_cells", ROOT / "examples" / "draw_cells.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def drawn(name):
    return viz.draw_cell(lesson().CELLS[name]())


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def cell(name):
    return lesson().CELLS[name]()


@pytest.fixture
def picture(name):
    return drawn(name)


@pytest.fixture
def pictures():
    return {name: drawn(name) for name in NAMES}


@pytest.fixture
def lstm():
    return drawn("lstm")
