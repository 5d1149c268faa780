"""Gradients, gates and neurons through time: four pictures of what a recurrent network remembers, and of its training.

    python examples/through_time.py [--quick] [--out FOLDER]

One learns how fast gradients vanish or explode in an RNN, an LSTM and a GRU before any training, and that a plain RNN
can do either, by nothing but the size of its weights; what training does to that; how gates open and shut over a text,
and how many of them are saturated; which neurons know where in the line they are, by a score on text kept apart. The
full form trains a character model on the manual of Python for some minutes and writes to docs/pictures/through_time;
the quick form trains for seconds, and writes to a temporary folder where none is given.

Source: R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks", 2013; A. Karpathy,
J. Johnson, L. Fei-Fei, "Visualizing and understanding recurrent networks", 2015.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from checks import Checks

import tinygrad_rnn as tg
from tinygrad_rnn import data, nn, train, viz

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures" / "through_time"
LARGEST = 300_000  # bytes of a picture


def arguments():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the short form, for continuous integration")
    parser.add_argument("--out", type=Path, help="where the pictures go")
    return parser.parse_args()


def scaled(layer, factor):
    """Return the layer with its recurrent weights made larger or smaller."""
    for name, parameter in layer.named_parameters():
        if name.endswith("from_state.weight"):
            parameter.assign(factor * parameter.data)
    return layer


def cells(checks, out, quick):
    """Look at four layers that nobody has trained."""
    tg.random.seed(1)
    hidden, time = (16, 40) if quick else (64, 100)
    layers = {
        "RNN": nn.RNN(8, hidden),
        "RNN, weights × 2.5": scaled(nn.RNN(8, hidden), 2.5),
        "LSTM": nn.LSTM(8, hidden),
        "GRU": nn.GRU(8, hidden),
    }
    x = np.random.default_rng(0).normal(size=(time, 4, 8))
    found = viz.gradient_flow({name: layer.astype(np.float64) for name, layer in layers.items()}, x)
    found.save(out / "cells.svg")
    first = {name: flow.states[0].norms[0] / flow.states[0].norms[-1] for name, flow in found.flows.items()}
    for name, share in first.items():
        print(f"      {name}: of the gradient at the last step, {share:.1e} reaches the first one")
    checks.at_most("what reaches the first step of an RNN", first["RNN"], 1e-6)
    checks.at_least("what reaches it with weights 2.5 times as large", first["RNN, weights × 2.5"], 1e-3)
    contractive = {name: layers[name] for name in ("RNN", "LSTM", "GRU")}
    with tg.engine("eager"):
        eager = viz.gradient_flow(contractive, x)
    for name, flow in eager.flows.items():
        numbers, others = [np.stack([part.norms for part in f.states]) for f in (found.flows[name], flow)]
        checks.close(f"norms of the {name} under the engine 'eager'", numbers, others, 1e-12)


def before_and_after(checks, out, untrained, run, text):
    """Look at one model before and after its training, with the loss that it was trained for."""
    ids = run.vocabulary.encode(text)
    streams = data.Streams(ids, batch_size=4, seq_len=(len(ids) - 1) // 4)
    x, targets = streams[0]
    found = viz.gradient_flow(
        {"before training": untrained, "after training": run.model},
        x,
        loss=lambda logits: nn.cross_entropy(logits, targets, reduction="none"),
    )
    found.save(out / "before_and_after.svg")
    before, after = [found.flows[name].reach() for name in ("before training", "after training")]
    print(f"      a character matters (1 % of the greatest gradient) for {before} steps before, {after} after training")
    checks.same("parts of the state", len(found.flows["after training"].states), 4)


def texts(checks, out, run, text):
    """Look at gates and neurons while the model reads what it has never seen."""
    gates = viz.gates(run, text[:48])
    gates.save(out / "gates.png")
    shares = [
        share for layer in gates.saturation().values() for gate in layer.values() for share in (gate.left, gate.right)
    ]
    checks.at_least("shares of saturated gates", float(np.min(shares)), 0.0)
    checks.at_most("shares of saturated gates", float(np.max(shares)), 1.0)
    neurons = viz.neurons(run, text, "line", top=3)
    neurons.save(out / "neurons.svg")
    neurons.save(out / "neurons.html")
    best = neurons.ranking[0]
    print(f"      position in the line: {best.name}, r = {best.found:+.2f}, on held-out text {best.score:+.2f}")
    checks.at_least("correlation that the best neuron was ranked by", abs(best.found), 0.1)


def main():
    given = arguments()
    checks = Checks()
    with tempfile.TemporaryDirectory() as temporary:
        out = given.out or (Path(temporary) / "pictures" if given.quick else PICTURES)
        out.mkdir(parents=True, exist_ok=True)
        print("Four layers")
        cells(checks, out, given.quick)

        manual = data.python_manual()
        settings = {"hidden": 16, "batch": 8, "seq": 25} if given.quick else {"hidden": 96, "epochs": 6}
        file, folder = Path(temporary) / "text.txt", Path(temporary) / "run"
        file.write_text(manual[: 15_000 if given.quick else None], encoding="utf-8")
        config = train.Config(cell="lstm", layers=2, **settings)
        run, trainer = train.begin(folder, config, file=file, callbacks=[train.Recorder(folder)])
        untrained = train.CharModel(len(run.vocabulary), nn.LSTMCell, config)
        untrained.load_state_dict(run.model.state_dict())
        print(f"\nTraining for {trainer.steps:,} steps")
        trainer.fit()
        untrained.eval(), run.model.eval()
        training = viz.training(folder)
        training.save(out / "training.png")
        losses = training.recording.loss
        checks.at_most("loss at the end, beside that at the start", losses[-1] / losses[0], 0.95)

        print("\nA text that it has never seen")
        unseen = data.split_text(file.read_text(encoding="utf-8"))[1]
        before_and_after(checks, out, untrained, run, unseen[: 4 * (40 if given.quick else 100) + 1])
        texts(checks, out, run, unseen[: 600 if given.quick else 6000])
        pictures = [path for path in sorted(out.iterdir()) if path.suffix in (".svg", ".png")]
        checks.same("pictures", len(pictures), 5)
        for path in pictures:
            checks.at_most(f"bytes of {path.name}", path.stat().st_size, LARGEST)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
