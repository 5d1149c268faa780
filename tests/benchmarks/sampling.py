"""Time of one sampled character: embedding, an LSTM of two layers, output layer, softmax with temperature, draw.

The engines take turns. Asked: at most 30 us for two layers of 128 units with the engine "native".

    python -m tests.benchmarks.sampling [--hidden N] [--layers N] [--symbols N] [--rounds N] [--clock process|wall]
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import islice

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import data, nn, train
from tinygrad_rnn.scan.engines import available
from tinygrad_rnn.train.sampling import stream

CHARACTERS = 200


def main() -> None:
    """Print the time of a character and of a stepper's first one, by engine."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--symbols", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--clock", choices=("wall", "process"), default="wall", help="what counts the time")
    options = parser.parse_args()
    clock = time.process_time if options.clock == "process" else time.perf_counter
    tg.random.seed(0)
    config = train.Config(hidden=options.hidden, layers=options.layers)
    model = train.CharModel(options.symbols, nn.LSTMCell, config).eval()
    vocabulary = data.CharVocabulary("".join(map(chr, range(32, 32 + options.symbols))))
    streams, first = {}, {}
    for engine in available():
        with tg.engine(engine):
            begun = clock()
            streams[engine] = stream(model, vocabulary, rng=np.random.default_rng(0))
            next(streams[engine])
            first[engine] = clock() - begun
    seconds: dict[str, list[float]] = {engine: [] for engine in streams}
    for _ in range(options.rounds):
        for engine, characters in streams.items():
            begun = clock()
            for _ in islice(characters, CHARACTERS):
                pass
            seconds[engine].append((clock() - begun) / CHARACTERS)
    print(f"LSTM, {options.layers} x {options.hidden}, {options.symbols} symbols, {options.clock} time")
    for engine, times in seconds.items():
        middle, best = 1e6 * statistics.median(times), 1e6 * min(times)
        begin = f"the first {1e3 * first[engine]:.0f} ms"
        print(f"  {engine:<7} {middle:7.1f} us a character, best round {best:7.1f}; {begin}")


if __name__ == "__main__":
    main()
