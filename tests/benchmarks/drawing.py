"""How long it takes to draw a long sequence, and how many nodes the picture has.

    python -m tests.benchmarks.drawing [--steps 700 1400 2800]

An LSTM recorded step by step: the view of its graph, the source of the folded picture, its layout as SVG.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz


def timed(function, rounds):
    """Return the median of a few rounds, and the result."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return median(times), result


def measure(steps, rounds):
    """Return a row of the table."""
    with tg.engine("eager"):
        y, _ = nn.LSTM(4, 8)(np.ones((steps, 2, 4), np.float32))
    loss = np.sum(y)
    view, graph = timed(lambda: tg.Graph.of(loss), rounds)
    folded, picture = timed(lambda: viz.draw(graph), rounds)
    layout, _ = timed(picture.svg, rounds)
    drawn = picture.source.count("label=")
    return f"{steps:>6,} {len(graph):>8,} {view:>10.3f} s {folded:>10.3f} s {layout:>10.3f} s {drawn:>6}"


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[700, 1400, 2800])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{'T':>6} {'nodes':>8} {'graph view':>12} {'folded':>12} {'layout':>12} {'labels':>6}")
    for steps in options.steps:
        print(measure(steps, options.rounds))


if __name__ == "__main__":
    main()
