"""How good a run's samples are: the share of known words, and the longest run copied from the text.

    python tests/benchmarks/sample_quality.py runs/1

A word is what stands between blanks, without the punctuation around it. It is known if it occurs in the training part
of the text. The last word of a sample may be cut and does not count.
"""

from __future__ import annotations

import argparse
import string

import numpy as np

from tinygrad_rnn import train
from tinygrad_rnn.data import python_manual, read_text, split_text


def words(text: str) -> list[str]:
    """Return the words of a text.

    Example:
        >>> words("a (b), *** c_d.")
        ['a', 'b', 'c_d']
    """
    return [word for part in text.split() if (word := part.strip(string.punctuation))]


def longest_copy(sample: str, text: str) -> str:
    """Return the longest piece of a sample that stands in the text.

    Example:
        >>> longest_copy("xxabcdyy", "zzabcdzz")
        'abcd'
    """
    best, start = "", 0
    for end in range(1, len(sample) + 1):
        # The piece that ends here cannot be longer by more than one than the one that ended before.
        while start < end and sample[start:end] not in text:
            start += 1
        if end - start > len(best):
            best = sample[start:end]
    return best


def main() -> int:
    """Print the figures of a run and return 0 if they reach the aims, 1 if not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="of the run")
    parser.add_argument("--cell", help="needed if the run's cell is a class of your own: executes its file")
    parser.add_argument("--seeds", type=int, default=1, help="samples to draw, with seeds 0, 1, ... (default: 1)")
    options = parser.parse_args()
    run = train.Run.load(options.folder, train.import_cell(options.cell) if options.cell else None)
    text = python_manual() if run.source.file is None else read_text(run.source.file)
    training, _ = split_text(text)
    known = set(words(training))
    reached = True
    for seed in range(options.seeds):
        sample = run.sample(temperature=0.7, length=2000, rng=np.random.default_rng(seed))
        found = words(sample)[:-1]
        share = sum(word in known for word in found) / max(len(found), 1)
        copied = longest_copy(sample, training)
        reached = reached and share >= 0.8 and len(copied) <= 100
        print(
            f"seed {seed}: {share:.1%} of {len(found)} words known (aim: 80 %), "
            f"longest copy {len(copied)} characters (aim: at most 100): {copied!r}"
        )
        print("  unknown:", " ".join(sorted({word for word in found if word not in known})[:12]))
    last = run.history[-1]
    print(f"validation loss {last['val_loss']:.4f} nats/char after {last['seconds']:.0f} s and {run.step:,} steps")
    print("PASS" if reached else "FAIL")
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())
