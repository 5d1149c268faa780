"""The callback that records a training for `viz.training`: loss, gradients, updates and activations over time."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..core import no_grad, random
from ..core.tree import tree_flatten
from ..nn.watching import layer_names
from ..viz.through_time.reading import Loops
from ..viz.through_time.recording import FILE, Recording, histogram, widened
from .files import replace
from .loop import Callback, Trainer

_BINS = 64
_ROWS = 256


class Recorder(Callback):
    """Writes `recording.npz` into a run's folder, which `viz.training` draws.

    It keeps at most 256 rows: where there would be more, every second one is dropped, and from then on rows are twice
    as far apart. So the file stays small, and the cost is that of a few hundred rows. A run that is resumed goes on
    with the rows that its checkpoint holds.

    Args:
        folder: of the run.
        seconds: between two times that the file is written; it is written at the end in any case.

    Example:
        >>> from tinygrad_rnn import train, viz
        >>> run, trainer = train.begin(
        ...     "runs/mine", file="my.txt", callbacks=[train.Recorder("runs/mine")]
        ... )  # doctest: +SKIP
        >>> trainer.fit()  # doctest: +SKIP
        >>> viz.training(run).save("training.svg")  # doctest: +SKIP
    """

    def __init__(self, folder: str | Path, seconds: float = 10.0) -> None:
        self._folder = Path(folder)
        self._seconds = seconds
        self._written = 0.0
        self._apart = 1
        self._sum, self._count = 0.0, 0
        self._clip = 0.0
        self._before: dict[str, np.ndarray] = {}
        self._rows: dict[str, list[Any]] = {name: [] for name in ("steps", "loss", "gradient", "gradients", "ratios")}
        self._counts: list[np.ndarray] = []  # one for each part of the state: (rows, bins)
        self._ranges: list[float] = []
        self._parameters: list[str] = []
        self._names: list[str] = []

    def start(self, trainer: Trainer) -> None:
        """Write the rows up to the checkpoint: a killed process may have written later ones."""
        self._clip = float(trainer.clip)
        self._parameters = [name for name, _ in trainer.model.named_parameters()]
        self._names = _state_names(trainer)
        self._written = time.perf_counter()
        self._keep_weights(trainer)
        if self._rows["steps"]:
            self._write()
        else:
            (self._folder / FILE).unlink(missing_ok=True)

    def after_step(self, trainer: Trainer) -> None:
        """Add a row when it is time."""
        self._sum += trainer.loss
        self._count += 1
        if trainer.step % self._apart == 0:
            self._add_row(trainer)
            if len(self._rows["steps"]) > _ROWS:
                self._thin()
            if time.perf_counter() - self._written >= self._seconds:
                self._write()
        self._keep_weights(trainer)

    def end(self, trainer: Trainer) -> None:
        """Write the file."""
        if self._rows["steps"]:
            self._write()

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, and the loss gathered since the last of them."""
        return {
            "apart": self._apart,
            "sum": self._sum,
            "count": self._count,
            "rows": {name: np.array(column, dtype=float) for name, column in self._rows.items()},
            "counts": [np.array(counts) for counts in self._counts],
            "ranges": list(self._ranges),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with these rows."""
        self._apart, self._sum, self._count = int(state["apart"]), float(state["sum"]), int(state["count"])
        self._rows = {name: list(state["rows"][name]) for name in self._rows}
        self._counts = [np.array(counts) for counts in state["counts"]]
        self._ranges = [float(reach) for reach in state["ranges"]]

    def _keep_weights(self, trainer: Trainer) -> None:
        """Keep the weights that the next step changes, if that step is to have a row; nobody writes to these arrays."""
        is_due = (trainer.step + 1) % self._apart == 0
        self._before = {name: p.data for name, p in trainer.model.named_parameters()} if is_due else {}

    def _add_row(self, trainer: Trainer) -> None:
        gradients, ratios = [], []
        for name, parameter in trainer.model.named_parameters():
            gradients.append(math.nan if parameter.grad is None else _norm(parameter.grad))
            before = self._before.get(name)
            weights = 0.0 if before is None else _norm(before)
            ratios.append(_norm(parameter.data - before) / weights if weights else math.nan)
        total = math.sqrt(np.nansum(np.square(gradients)))
        # The gradients at hand are clipped by one factor.
        factor = trainer.gradient_norm / total if total else 1.0
        row = {
            "steps": trainer.step,
            "loss": self._sum / self._count,
            "gradient": trainer.gradient_norm,
            "gradients": [factor * norm for norm in gradients],
            "ratios": ratios,
        }
        for name, value in row.items():
            self._rows[name].append(value)
        self._sum, self._count = 0.0, 0
        self._add_counts(tree_flatten(trainer.carry)[0])

    def _add_counts(self, leaves: list[Any]) -> None:
        """Count the numbers of the state after the window; a range that does not hold them is doubled until it does."""
        arrays = [part for leaf in leaves for part in _parts(leaf.data)]
        if not self._counts:
            self._counts = [np.zeros((0, _BINS), np.int32) for _ in arrays]
            self._ranges = [1.0 for _ in arrays]
        for number, array in enumerate(arrays):
            greatest = np.abs(array, where=np.isfinite(array), out=np.zeros_like(array)).max()
            while greatest > self._ranges[number]:
                self._ranges[number] *= 2
                self._counts[number] = widened(self._counts[number])
            row = histogram(array, self._ranges[number], _BINS)
            self._counts[number] = np.concatenate([self._counts[number], row[None]], dtype=np.int32)

    def _thin(self) -> None:
        """Drop every second row."""
        self._apart *= 2
        kept = [number for number, step in enumerate(self._rows["steps"]) if step % self._apart == 0]
        for name, column in self._rows.items():
            self._rows[name] = [column[number] for number in kept]
        self._counts = [counts[kept] for counts in self._counts]

    def _write(self) -> None:
        rows = {name: np.array(column) for name, column in self._rows.items()}
        parts, count, names = len(self._counts), len(rows["steps"]), self._names
        recording = Recording(
            **rows,
            clip=np.array(self._clip),
            parameters=np.array(self._parameters),
            activations=np.array(names if len(names) == parts else [f"state {i + 1}" for i in range(parts)]),
            counts=np.array(self._counts).reshape(parts, count, _BINS).swapaxes(0, 1),
            ranges=np.array(self._ranges),
        )
        replace(self._folder / FILE, recording.to_bytes())
        self._written = time.perf_counter()


def _norm(array: np.ndarray) -> float:
    return float(np.linalg.norm(np.ravel(array)))


def _parts(leaf: np.ndarray) -> list[np.ndarray]:
    """Return the state of each layer out of a leaf in which all layers are stacked; nothing of one without floats."""
    if leaf.dtype.kind != "f" or not leaf.size:
        return []
    return list(leaf) if leaf.ndim > 2 else [leaf]


def _state_names(trainer: Trainer) -> list[str]:
    """Return what `_parts` of the carried state are, layer by layer where it is no stack: one step shows it."""
    loops, chance = Loops(), random.get_state()
    try:
        with no_grad(), loops.watched():
            _, state = trainer.model(trainer.batches[0][0][:1], None)
    finally:
        random.set_state(chance)
    names = [
        [f"{layer} {part}" for part in parts]
        for layer, parts in zip(layer_names([loop for loop, _ in loops.found]), loops.state_names(), strict=True)
    ]
    is_stack = any(leaf.ndim > 2 for leaf in tree_flatten(state)[0])
    ordered = zip(*names, strict=True) if is_stack else names
    return [name for group in ordered for name in group]
