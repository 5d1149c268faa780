"""Karpathy's neurons: units that know whether a quotation is open, or where the line is, found and scored.

One learns how to find a unit that means something without looking for it by eye. A character model reads a text that it
has never seen; a probe is a number for every character, known by counting: whether a quotation is open, how far the
line has gone, whether a bracket is open. The unit that correlates best with the probe in the first half of the text is
the one that is found; its score is the correlation in the second half, which had no part in the choice.

A score means little alone, since the best of some hundred units correlates with anything. So three numbers stand beside
it: the score of the best unit of the same network before training; that of the best of the numbers that are 1 after one
character and 0 after all others; and that of the trained network on a probe from another place, the same one moved by
half of the text, which nothing in the network can follow.

Source: A. Karpathy, "The Unreasonable Effectiveness of Recurrent Neural Networks", 2015, and A. Karpathy, J. Johnson,
L. Fei-Fei, "Visualizing and Understanding Recurrent Networks", 2015, which show such units and give no scores. The text
is the Python manual: it quotes, and breaks its lines near column 70. The network is char-rnn's, two layers of 128.

    python examples/neurons.py          # three seeds, some minutes
    python examples/neurons.py --quick  # seconds, a smaller network
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from checks import Checks, wants_quick

from tinygrad_rnn import data, nn, train, viz
from tinygrad_rnn.viz.through_time.probes import PROBES
from tinygrad_rnn.viz.through_time.ranking import correlation

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures" / "lessons"
# What the score of the best unit must reach. Brackets have a unit in some trainings only, and no claim.
LEAST = {"quotes": 0.4, "line": 0.25}


def score(run, text: str, probe) -> tuple[str, float]:
    """Return the unit found by a probe, and the size of its correlation on the half of the text kept apart."""
    best = viz.neurons(run, text, probe).ranking[0]
    return best.name, abs(best.score)


def moved(probe: str):
    """Return a probe whose numbers are those of a place half of the text away."""
    return lambda text: np.roll(PROBES[probe][1](text), len(text) // 2)


def characters_alone(vocabulary: data.CharVocabulary, text: str, probe: str) -> tuple[str, float]:
    """Return the same for the numbers that are 1 after one character and 0 after any other."""
    values, half = PROBES[probe][1](text), len(text) // 2
    ones = np.eye(len(vocabulary))[vocabulary.encode(text)]
    unit = int(np.argmax(np.abs(correlation(ones[:half], values[:half]))))
    return repr(vocabulary.symbols[unit]), abs(float(correlation(ones[half:], values[half:])[unit]))


def trained(folder: Path, seed: int, quick: bool):
    """Train char-rnn's network on the manual; return the run, its untrained twin, and the text that it has not seen."""
    sizes = {"hidden": 48, "layers": 1, "epochs": 8, "batch": 16} if quick else {"hidden": 128, "layers": 2}
    config = train.Config(seed=seed, **sizes)
    file = folder / "text.txt"
    file.write_text(data.python_manual()[: 60_000 if quick else None], encoding="utf-8")
    run, trainer = train.begin(folder / f"run{seed}", config, file=file)
    twin = train.CharModel(len(run.vocabulary), nn.LSTMCell, config)
    twin.load_state_dict(run.model.state_dict())
    started = time.perf_counter()
    trainer.fit()
    run.model.eval()
    print(
        f"seed {seed}: {trainer.steps:,} steps, {run.history[-1]['val_loss']:.3f} nats a character on text it has not "
        f"seen, {time.perf_counter() - started:.0f} s",
        flush=True,
    )
    untrained = train.Run(run.folder, config, run.vocabulary, run.source, twin.eval())
    return run, untrained, data.split_text(file.read_text(encoding="utf-8"))[1]


def main() -> int:
    quick = wants_quick(__doc__)
    checks = Checks()
    probes = ("line",) if quick else (*LEAST, "brackets")
    seeds, characters = (1, 3000) if quick else (3, 40_000)
    found = {probe: [] for probe in probes}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            run, untrained, text = trained(Path(folder), seed, quick)
            text = text[:characters]
            print(f"      {'':22}{'trained':>24}{'untrained':>24}{'a character':>16}{'moved':>8}")
            for probe in probes:
                unit, ours = score(run, text, probe)
                unit_before, before = score(untrained, text, probe)
                character, alone = characters_alone(run.vocabulary, text, probe)
                chance = score(run, text, moved(probe))[1]
                found[probe].append((ours, before if quick else max(before, alone), chance))
                print(
                    f"      {PROBES[probe][0]:22}{unit:>18} {ours:.2f} {unit_before:>18} {before:.2f} {character:>10} "
                    f"{alone:.2f} {chance:7.2f}",
                    flush=True,
                )
            if seed == 0 and not quick:
                PICTURES.mkdir(parents=True, exist_ok=True)
                for probe in ("quotes", "line"):
                    viz.neurons(run, text[-4000:], probe, top=3).save(PICTURES / f"neurons_{probe}.svg")
    for probe in probes if quick else LEAST:
        ours, others, chance = np.array(found[probe]).T
        name = PROBES[probe][0]
        checks.at_least(f"{name}, score, worst of {seeds} seeds", ours.min(), LEAST[probe] if not quick else 0.15)
        rivals = "untrained network" if quick else "untrained network and that of a character"
        checks.at_least(f"{name}, score above that of the {rivals}, worst", (ours - others).min(), 0.05)
        checks.at_most(f"{name}, a probe moved by half of the text, greatest score", chance.max(), 0.2)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
