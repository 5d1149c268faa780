"""How wide the drawings of cells are, and how large their letters are in a column of 80 mm.

    python -m tests.benchmarks.cell_widths              # the cells of the gallery
    python -m tests.benchmarks.cell_widths --library    # the large cells of tinygrad_rnn.nn, which takes minutes

A drawing that is wider than the column is made smaller with all of its letters. 5 points count as legible.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tinygrad_rnn import nn, viz
from tinygrad_rnn.viz.cell.figure import COLUMN
from tinygrad_rnn.viz.cell.model import SUBSCRIPT, TEXT_SIZE

POINT = 25.4 / 72.27
LIBRARY = {
    "layer-norm LSTM": lambda: nn.LayerNormLSTMCell(3, 4),
    "layer-norm GRU": lambda: nn.LayerNormGRUCell(3, 4),
    "depth-gated LSTM": lambda: nn.DepthGatedLSTMCell(3, 4),
    "LSTMN": lambda: nn.LSTMNCell(3, 4, slots=2),
    "grid LSTM": lambda: nn.GridLSTMCell(3, 4),
}


def gallery():
    """Return the cells of the gallery."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
    from draw_cells import CELLS

    return CELLS


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", action="store_true", help="the large cells of the library")
    cells = LIBRARY if parser.parse_args().library else gallery()
    print(f"{'':>22} {'width':>9} {'height':>9} {'crossings':>9} {'letters':>8} {'smallest':>8} {'drawn in':>9}")
    for name, make in cells.items():
        start = time.perf_counter()
        figure = viz.draw_cell(make()).figure
        seconds = time.perf_counter() - start
        letters = TEXT_SIZE * min(1.0, COLUMN / figure.width) / POINT
        print(
            f"{name:>22} {figure.width:>6.1f} mm {figure.height:>6.1f} mm {figure.crossings:>9} {letters:>5.1f} pt "
            f"{SUBSCRIPT * letters:>5.1f} pt {seconds:>7.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
