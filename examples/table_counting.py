"""aⁿbⁿ and aⁿbⁿcⁿ: counting, and how far beyond the longest string of training it goes.

After each symbol of a string all symbols that may follow are to be predicted: in aⁿbⁿ, the end after as many b as there
were a. Training has n from 1 to 10; a string is accepted if every prediction in it is right. Gers & Schmidhuber 2001
learnt both languages with an LSTM of one or two cells and peepholes, and it went on beyond the n of training. Ours: in
every one of five seeds all n of training and some beyond; aⁿbⁿ up to n = 20 in three of five or more.

Source: Gers & Schmidhuber 2001, *LSTM recurrent networks learn simple context-free and context-sensitive languages*.
"""

from __future__ import annotations

import numpy as np
from checks import Checks, wants_quick
from trials import lstm, trials

from tinygrad_rnn import train
from tinygrad_rnn.data import tasks


def reach(task: tasks.AnBn | tasks.AnBnCn, make, trial: train.Trial, most: int = 100) -> int:
    """Return the greatest n up to which a trained network accepts every string."""
    model = train.TaskModel(task, make)
    model.load_state_dict(trial.weights)
    for n in range(1, most + 1):
        if train.score(task, model, [task.strings(np.array([n]))]).error > 0:
            return n - 1
    return most


def main() -> int:
    quick = wants_quick(__doc__)
    checks = Checks()
    longest, seeds = (4, 1) if quick else (10, 5)
    for task, hidden in ((tasks.AnBn(longest), 4), (tasks.AnBnCn(longest), 6)):
        print(f"{task.name}, n from 1 to {longest}, LSTM of {hidden} cells")
        make = lstm(hidden)
        done = trials("LSTM", task, make, seeds, steps=500 if quick else 5000, lr=0.03 if quick else 0.01)
        accepted = [reach(task, make, trial) for trial in done]
        print(f"      every n accepted up to {accepted}, in training up to {longest}")
        checks.at_least(f"{task.name}: n accepted, worst of {seeds} seeds", min(accepted), longest + (not quick))
        if quick:
            break
        if isinstance(task, tasks.AnBn):
            far = sum(n >= 2 * longest for n in accepted)
            checks.at_least(f"{task.name}: seeds that accept every n up to {2 * longest}", far, 3)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
