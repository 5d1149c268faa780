"""What it costs to record a training for `viz.training`, in processor time, and how large the recording is.

Two models of the main job, which start from the same weights, take turns of ten steps: one with the callback, one
without. The first 256 steps cost most, since each has a row; so a longer training costs a smaller share.

    OPENBLAS_NUM_THREADS=1 python -m tests.benchmarks.recording [--epochs N] [--hidden N] [--seq N] [--batch N]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, train
from tinygrad_rnn.data import CharVocabulary, Streams, python_manual, split_text
from tinygrad_rnn.viz.through_time.recording import FILE

TURN = 10


def main() -> None:
    """Print the time of both, and what recording adds."""
    usual = train.Config()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("epochs", "hidden", "seq", "batch"):
        parser.add_argument(f"--{name}", type=int, default=getattr(usual, name))
    options = parser.parse_args()
    config = train.Config(**vars(options))
    text = python_manual()
    vocabulary = CharVocabulary.from_text(text)
    streams = Streams(vocabulary.encode(split_text(text)[0]), config.batch, config.seq)
    with tempfile.TemporaryDirectory() as folder:
        trainers, times = {}, {}
        for name, callbacks in (("without", []), ("with", [train.Recorder(folder)])):
            tg.random.seed(0)
            model = train.CharModel(len(vocabulary), nn.LSTMCell, config)
            adam = optim.Adam(model.parameters(), lr=config.learning_rate)
            trainer = train.Trainer(model, streams, adam, clip=config.clip, epochs=config.epochs, callbacks=callbacks)
            trainer.model.train()
            for callback in callbacks:
                callback.start(trainer)
            trainers[name], times[name] = trainer, 0.0
        while not trainers["without"].finished:
            for name, trainer in trainers.items():
                begun = time.process_time()
                for _ in range(min(TURN, trainer.steps - trainer.step)):
                    trainer.train_step(*streams[trainer.step % len(streams)])
                    for callback in trainer.callbacks:
                        callback.after_step(trainer)
                times[name] += time.process_time() - begun
        for trainer in trainers.values():
            for callback in trainer.callbacks:
                callback.end(trainer)
        size = (Path(folder) / FILE).stat().st_size
    share = times["with"] / times["without"] - 1
    print(f"LSTM of {config.hidden} units, {config.seq} steps of {config.batch} streams, {config.epochs} epochs:")
    print(f"  {trainers['with'].steps:,} steps, {times['without']:.1f} s, recorded {times['with']:.1f} s: {share:+.1%}")
    print(f"  the recording has {size / 1000:,.0f} KB")


if __name__ == "__main__":
    main()
