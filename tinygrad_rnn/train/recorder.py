"""The callback that records a training for `viz.training`: loss, gradients, updates and activations over time."""

from __future__ import annotations

import math
import os
import time
import weakref
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..core import no_grad, random
from ..core.errors import ConfigError, DataError
from ..core.tree import tree_flatten
from ..nn.watching import layer_names
from ..viz.through_time.reading import Loops
from ..viz.through_time.recording import FILE, Recording
from .files import replace
from .loop import Callback, Trainer
from .rows import Rows


class Recorder(Callback):
    """Writes `recording.npz` into a run's folder, which `viz.training` draws.

    A row holds the mean training loss of all steps since the row before, and what its own step left: norms of the
    gradients, ratios of updates to weights, and histograms of the parts of the state that hold floats, under the names
    that the cell uses.

    It keeps at most 256 rows: where there would be more, every second one is dropped, its losses going into the mean of
    the next one, and from then on rows are twice as far apart. So the file stays small, and the cost is that of a few
    hundred rows.

    A training that is resumed goes on with the rows that its checkpoint holds; or, where it holds none since a part of
    it was trained without a recorder, with the rows of the file up to the checkpoint's step. A training that begins
    starts anew and takes the place of an earlier recording in the folder.

    Args:
        folder: of the run; made when the training starts, if it is not there.
        seconds: between two times that the file is written; it is written at the end in any case, also after an error.

    Raises:
        ConfigError: if `folder` is no path or `seconds` is negative; when the training starts, if the folder is a file.
        DataError: when a training is resumed without rows of its own, if the file is damaged or of another model.

    Example:
        >>> from tinygrad_rnn import train, viz
        >>> run, trainer = train.begin(
        ...     "runs/mine", file="my.txt", callbacks=[train.Recorder("runs/mine")]
        ... )  # doctest: +SKIP
        >>> trainer.fit()  # doctest: +SKIP
        >>> viz.training(run).save("training.svg")  # doctest: +SKIP
    """

    def __init__(self, folder: str | os.PathLike[str], seconds: float = 10.0) -> None:
        if not isinstance(folder, (str, os.PathLike)):
            raise ConfigError(f"folder is {folder!r}; give the folder of the run, such as 'runs/mine'")
        if not seconds >= 0:
            raise ConfigError(f"seconds is {seconds}; give the seconds between two times that it is written, 0 or more")
        self._folder = Path(folder)
        self._seconds = seconds
        self._written = 0.0
        self._rows = Rows()
        self._is_new, self._is_loaded = False, False
        self._trainer: weakref.ref[Trainer] | None = None
        self._clip = 0.0
        self._before: dict[str, np.ndarray] = {}
        self._parameters: list[str] = []
        self._parts: list[_Part] = []

    def start(self, trainer: Trainer) -> None:
        """Write the rows up to the checkpoint: a killed process may have written later ones."""
        is_same = self._trainer is not None and self._trainer() is trainer
        if not (is_same or self._is_loaded):
            self._rows = Rows()
        self._trainer, self._is_loaded = weakref.ref(trainer), False
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ConfigError(f"{self._folder} is a file, or lies in one; give the folder of the run") from None
        self._clip = float(trainer.clip)
        self._parameters = [name for name, _ in trainer.model.named_parameters()]
        self._parts = _parts_of_state(trainer)
        if trainer.step and not self._rows and (self._folder / FILE).exists():
            self._rows = self._rows_of_file(trainer.step)
        self._keep_weights(trainer)
        if self._rows:
            self._write()
        else:
            (self._folder / FILE).unlink(missing_ok=True)
            self._written = time.perf_counter()

    def after_step(self, trainer: Trainer) -> None:
        """Add a row when it is time."""
        self._rows.gather(trainer.loss)
        if trainer.step % self._rows.apart == 0:
            self._add_row(trainer)
            if time.perf_counter() - self._written >= self._seconds:
                self._write()
        self._keep_weights(trainer)

    def end(self, trainer: Trainer) -> None:
        """Write the file."""
        self.close()

    def close(self) -> None:
        """Write the rows that are not written yet: after an error too, which they lead up to."""
        if self._is_new:
            self._write()

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, and the loss gathered since the last of them."""
        return self._rows.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with these rows."""
        self._rows = Rows()
        self._rows.load_state_dict(state)
        self._is_loaded = True

    def _rows_of_file(self, step: int) -> Rows:
        """Return the rows up to a step that the file holds."""
        way_out = f"delete {FILE} there to record from step {step + 1} on, or give train.Recorder another folder"
        try:
            found = Recording.read(self._folder)
        except DataError as error:
            raise DataError(f"{error}; {way_out}") from None
        if found.parameters.tolist() != self._parameters or len(found.activations) != len(self._parts):
            raise DataError(f"the recording in {self._folder} is of a model with other parameters or states; {way_out}")
        return Rows.up_to(step, found)

    def _keep_weights(self, trainer: Trainer) -> None:
        """Keep the weights that the next step changes, if that step is to have a row; nobody writes to these arrays."""
        is_due = (trainer.step + 1) % self._rows.apart == 0
        self._before = {name: p.data for name, p in trainer.model.named_parameters()} if is_due else {}

    def _add_row(self, trainer: Trainer) -> None:
        gradients, ratios = [], []
        for name, parameter in trainer.model.named_parameters():
            gradients.append(math.nan if parameter.grad is None else _norm(parameter.grad))
            before = self._before.get(name)
            weights = 0.0 if before is None else _norm(before)
            change = 0.0 if before is None else _distance(parameter.data, before)
            ratios.append(change / weights if weights else math.nan)
        total = math.sqrt(np.nansum(np.square(gradients)))
        # The gradients at hand are clipped by one factor.
        factor = trainer.gradient_norm / total if total else 1.0
        row = {
            "steps": trainer.step,
            "gradient": trainer.gradient_norm,
            "gradients": [factor * norm for norm in gradients],
            "ratios": ratios,
        }
        leaves = [leaf.data for leaf in tree_flatten(trainer.carry)[0]]
        parts = [leaves[part.leaf] if part.layer is None else leaves[part.leaf][part.layer] for part in self._parts]
        self._rows.add(row, parts)
        self._is_new = True

    def _write(self) -> None:
        recording = Recording(
            **self._rows.columns(),
            clip=np.array(self._clip),
            parameters=np.array(self._parameters),
            activations=np.array([part.name for part in self._parts]),
        )
        replace(self._folder / FILE, recording.to_bytes())
        self._written, self._is_new = time.perf_counter(), False


class _Part(NamedTuple):
    """One array of the carried state: a leaf, or what one layer has of a leaf in which all layers are stacked."""

    name: str
    leaf: int
    layer: int | None


class _Leaf(NamedTuple):
    """One leaf of the carried state, with the names of what is in it."""

    shape: tuple[int, ...]
    names: list[str]
    is_stacked: bool


def _norm(array: np.ndarray) -> float:
    """Return the norm; in float64 where squares of float32 overflow, as they do while a training diverges."""
    flat = np.ravel(array)
    with np.errstate(over="ignore"):
        found = float(np.linalg.norm(flat))
    return found if math.isfinite(found) else float(np.linalg.norm(flat.astype(float)))


def _distance(after: np.ndarray, before: np.ndarray) -> float:
    """Return the norm of a difference."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = _norm(after - before)
    return found if math.isfinite(found) else _norm(np.subtract(after, before, dtype=float))


def _parts_of_state(trainer: Trainer) -> list[_Part]:
    """Return the parts of the carried state that hold floats: one step shows them."""
    loops, chance = Loops(), random.get_state()
    try:
        with no_grad(), loops.watched():
            _, state = trainer.model(trainer.batches[0][0][:1], None)
    finally:
        random.set_state(chance)
    leaves = tree_flatten(state)[0]
    found = _leaves_of_layers(loops)
    if [leaf.shape for leaf in found] != [leaf.shape for leaf in leaves]:
        # The model keeps its state in a way of its own.
        found = [_Leaf(leaf.shape, [""] * (len(leaf) if leaf.ndim > 2 else 1), leaf.ndim > 2) for leaf in leaves]
    parts = [
        _Part(name, number, layer if leaf.is_stacked else None)
        for number, leaf in enumerate(found)
        if leaves[number].dtype.kind == "f"
        for layer, name in enumerate(leaf.names)
    ]
    return [part._replace(name=part.name or f"state {number}") for number, part in enumerate(parts, 1)]


def _leaves_of_layers(loops: Loops) -> list[_Leaf]:
    """Return the leaves of the states that recurrent layers return: cells whose states are alike are stacked."""
    answer = []
    layers = zip(layer_names([loop for loop, _ in loops.found]), loops.state_names(), loops.found, strict=True)
    for _, group in groupby(layers, key=lambda layer: layer[2][0].scope):
        cells = [
            (tree_flatten(loop.init)[1], [leaf.shape[1:] for leaf in states], [f"{layer} {name}" for name in names])
            for layer, names, (loop, states) in group
        ]
        structure, shapes, _ = cells[0]
        if all(cell[:2] == (structure, shapes) for cell in cells):
            for shape, *names in zip(shapes, *[names for *_, names in cells], strict=True):
                answer.append(_Leaf((len(cells), *shape), names, True))
        else:
            for _, shapes, names in cells:
                answer += [_Leaf(shape, [name], False) for shape, name in zip(shapes, names, strict=True)]
    return answer
