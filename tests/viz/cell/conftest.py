"""The cells of examples/draw_cells.py and their drawings, each laid out once."""

import importlib
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
    "readme",
    "residual",
    "rnn",
)


@cache
def lesson():
    with pytest.MonkeyPatch.context() as patch:
        # Lessons import each other by their names alone.
        patch.syspath_prepend(ROOT / "examples")
        return importlib.import_module("draw_cells")


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
