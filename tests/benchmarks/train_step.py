"""Time of one step of the main job (forward, loss, backward, clipping, optimiser), by engine, in processor time.

The engines take turns, each with a model of its own that starts from the same weights.

    OPENBLAS_NUM_THREADS=1 python -m tests.benchmarks.train_step [--hidden N] [--seq N] [--batch N] [--dropout P]
"""

from __future__ import annotations

import argparse
import statistics
import time

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, train
from tinygrad_rnn.data import CharVocabulary, Streams, python_manual, split_text
from tinygrad_rnn.scan.engines import available

STEPS = 10


def main() -> None:
    """Print the milliseconds of a step for each engine."""
    usual = train.Config()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("hidden", "seq", "batch"):
        parser.add_argument(f"--{name}", type=int, default=getattr(usual, name))
    parser.add_argument("--dropout", type=float, default=usual.dropout)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    config = train.Config(hidden=options.hidden, seq=options.seq, batch=options.batch, dropout=options.dropout)
    text = python_manual()
    vocabulary = CharVocabulary.from_text(text)
    streams = Streams(vocabulary.encode(split_text(text)[0]), config.batch, config.seq)
    trainers = {}
    for engine in available():
        tg.random.seed(0)
        model = train.CharModel(len(vocabulary), nn.LSTMCell, config)
        adam = optim.Adam(model.parameters(), lr=config.learning_rate)
        trainers[engine] = train.Trainer(model, streams, adam, clip=config.clip)
        with tg.engine(engine):
            trainers[engine].train_step(*streams[0])
    times: dict[str, list[float]] = {engine: [] for engine in trainers}
    for _ in range(options.rounds):
        for engine, trainer in trainers.items():
            with tg.engine(engine):
                begun = time.process_time()
                for _ in range(STEPS):
                    trainer.train_step(*streams[trainer.step])
                times[engine].append((time.process_time() - begun) / STEPS)
    print(f"LSTM of {config.hidden} units, {config.seq} steps of {config.batch} streams, dropout {config.dropout}")
    for engine, found in times.items():
        print(f"  {engine:<7} {1e3 * statistics.median(found):6.1f} ms a step, {len(streams)} steps in a pass")


if __name__ == "__main__":
    main()
