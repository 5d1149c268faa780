"""What a trial of a task costs beside its loop over time: batches, read-out, loss, clipping and the optimiser.

    OPENBLAS_NUM_THREADS=1 python -m tests.benchmarks.task_trials

A step of training is timed as `train.solve` does it, and beside it the same layer forward and backward on the same
inputs, in processor time, the two taking turns.
"""

import statistics
import time

import numpy as np

from tinygrad_rnn import nn, optim, train
from tinygrad_rnn.data import tasks
from tinygrad_rnn.train.tasks import _Training

ROUNDS, STEPS = 9, 20
CASES = (
    (tasks.Adding(100), nn.LSTMCell, 32, 64),
    (tasks.Adding(100), nn.GRUCell, 32, 64),
    (tasks.CopyMemory(100), nn.LSTMCell, 64, 32),
    (tasks.TemporalOrder(2), nn.LSTMCell, 32, 32),
    (tasks.ContinualReber(), nn.LSTMCell, 16, 16),
    (tasks.AnBn(10), nn.LSTMCell, 4, 32),
    (tasks.CharacterText(), nn.LSTMCell, 64, 32),
)


def seconds(work) -> float:
    started = time.process_time()
    work()
    return (time.process_time() - started) / STEPS


def main() -> None:
    """Print a line for each task."""
    print(f"{'task':28} {'cell':8}  {'step':>9}  {'loop':>9}  {'rest':>9}  share of the rest")
    for task, cell, hidden, size in CASES:
        model = train.TaskModel(task, lambda features, cell=cell, hidden=hidden: cell(features, hidden))
        training = _Training(task, model, optim.Adam(model.parameters(), lr=1e-3), 1.0)
        stream = task.batches(size)
        given = [next(stream) for _ in range(STEPS)]
        ones = {}

        def whole(training=training, stream=stream):
            training.go_on(batch for batch, _ in zip(stream, range(STEPS), strict=False))

        def loop(model=model, given=given, ones=ones):
            for batch in given:
                y, _ = model.layer(batch.x, None, batch.lengths)
                model.zero_grad()
                y.backward(ones.setdefault(y.shape, np.ones(y.shape, y.dtype)))

        whole(), loop()
        rounds = [(seconds(whole), seconds(loop)) for _ in range(ROUNDS)]
        step, alone = (1e3 * statistics.median(times) for times in zip(*rounds, strict=True))
        share = statistics.median(1 - b / a for a, b in rounds)
        print(f"{task!r:28.28} {cell.__name__:8}  {step:6.2f} ms  {alone:6.2f} ms  {step - alone:6.2f} ms  {share:.0%}")


if __name__ == "__main__":
    main()
