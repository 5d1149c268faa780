"""What happens while a model trains: progress, evaluation, samples, metrics, pictures, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import threadpoolctl  # type: ignore[import-untyped]
from tqdm import tqdm

from ..core.errors import ConfigError, NonFiniteError
from .curve import draw_curve
from .files import replace
from .loop import Batches, Callback, Trainer, evaluate

Say = Callable[[str], None]


class Progress(Callback):
    """A bar with loss, bits a character, characters a second and the time left; only where a terminal shows it.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import data, nn, optim, train
        >>> model = train.CharModel(3, nn.RNNCell, train.Config(hidden=4, embedding=2))
        >>> streams = data.Streams(np.tile([0, 1, 2], 20), batch_size=2, seq_len=5)
        >>> called = [train.Progress()]
        >>> trainer = train.Trainer(model, streams, optim.Adam(model.parameters()), callbacks=called)
        >>> trainer.fit()
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._smooth = math.nan

    def start(self, trainer: Trainer) -> None:
        """Show the bar."""
        window = trainer.characters_per_step
        self._bar = tqdm(
            total=trainer.steps * window,
            initial=trainer.step * window,
            unit=" chars",
            unit_scale=True,
            dynamic_ncols=True,
            disable=None,
            leave=False,
            bar_format="{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{unit}, {rate_fmt}, {remaining} left{postfix}",
        )

    def after_step(self, trainer: Trainer) -> None:
        """Move the bar on."""
        self._smooth = trainer.loss if math.isnan(self._smooth) else 0.95 * self._smooth + 0.05 * trainer.loss
        self._bar.set_postfix_str(f"loss {self._smooth:.3f}, {self._smooth / math.log(2):.3f} bits/char", refresh=False)
        self._bar.update(trainer.characters_per_step)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()


class Evaluate(Callback):
    """Adds a row to the trainer's history: mean training loss since the row before, and validation loss.

    Args:
        batches: windows of the validation text.
        times: rows in one pass over the training text.
        say: told the figures of each row.

    Raises:
        ConfigError: if `times` is no positive integer.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import data, nn, optim, train
        >>> model = train.CharModel(3, nn.RNNCell, train.Config(hidden=4, embedding=2))
        >>> streams = data.Streams(np.tile([0, 1, 2], 20), batch_size=2, seq_len=5)
        >>> called = [train.Evaluate(streams)]
        >>> trainer = train.Trainer(model, streams, optim.Adam(model.parameters()), callbacks=called)
        >>> trainer.fit()
        >>> [row["step"] for row in trainer.history] == [len(streams)]
        True
    """

    def __init__(self, batches: Batches, times: int = 1, say: Say | None = None) -> None:
        if isinstance(times, bool) or not isinstance(times, int) or times < 1:
            raise ConfigError(f"times is {times!r}; give the evaluations in one pass, a whole number of at least 1")
        self._batches = batches
        self._times = times
        self._say = say
        self._sum, self._count = 0.0, 0

    def after_step(self, trainer: Trainer) -> None:
        """Gather the loss; evaluate when it is time."""
        self._sum += trainer.loss
        self._count += 1
        windows = len(trainer.batches)
        if trainer.step * self._times // windows == (trainer.step - 1) * self._times // windows:
            return
        row = {
            "step": trainer.step,
            "chars": trainer.step * trainer.characters_per_step,
            "seconds": round(trainer.seconds, 3),
            "train_loss": self._sum / self._count,
            "val_loss": self._validate(trainer),
            "lr": trainer.optimizer.lr,
        }
        trainer.history.append(row)
        self._sum, self._count = 0.0, 0
        if self._say is not None:
            self._say(
                f"step {trainer.step:,} of {trainer.steps:,}: training {row['train_loss']:.3f}, "
                f"validation {row['val_loss']:.3f} nats/char ({row['val_loss'] / math.log(2):.3f} bits), "
                f"{row['seconds']:.0f} s"
            )

    def _validate(self, trainer: Trainer) -> float:
        loss = evaluate(trainer.model, self._batches)
        if not math.isfinite(loss):
            raise NonFiniteError(
                f"step {trainer.step}: the validation loss is {loss}; the learning rate is {trainer.optimizer.lr}: "
                "take a smaller one, or clip the gradient"
            )
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the training loss gathered since the last row."""
        return {"sum": self._sum, "count": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on gathering."""
        self._sum, self._count = float(state["sum"]), int(state["count"])


class _PerRow(Callback):
    """Does something once for every new row of the history."""

    _rows = 0

    def start(self, trainer: Trainer) -> None:
        self._rows = len(trainer.history)

    def after_step(self, trainer: Trainer) -> None:
        if len(trainer.history) > self._rows:
            self._rows = len(trainer.history)
            self.row(trainer)

    def row(self, trainer: Trainer) -> None:
        raise NotImplementedError


class Metrics(_PerRow):
    """Keeps `metrics.csv` and `loss.svg` equal to the history, so that resuming neither repeats nor loses a row.

    Args:
        folder: where the two files are written.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from tinygrad_rnn import data, nn, optim, train
        >>> model = train.CharModel(3, nn.RNNCell, train.Config(hidden=4, embedding=2))
        >>> streams = data.Streams(np.tile([0, 1, 2], 20), batch_size=2, seq_len=5)
        >>> folder = Path(tempfile.mkdtemp())
        >>> called = [train.Evaluate(streams), train.Metrics(folder)]
        >>> trainer = train.Trainer(model, streams, optim.Adam(model.parameters()), callbacks=called)
        >>> trainer.fit()
        >>> sorted(path.name for path in folder.iterdir())
        ['loss.svg', 'metrics.csv']
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, trainer: Trainer) -> None:
        """Write the rows up to the checkpoint: a killed process may have written later ones."""
        super().start(trainer)
        self.row(trainer)

    def row(self, trainer: Trainer) -> None:
        """Write both files anew."""
        history = trainer.history
        if not history:
            for name in ("metrics.csv", "loss.svg"):
                (self._folder / name).unlink(missing_ok=True)
            return
        lines = [",".join(history[0]), *(",".join(map(str, row.values())) for row in history)]
        replace(self._folder / "metrics.csv", ("\n".join(lines) + "\n").encode())
        lines_of = {
            name: [(row["chars"], row[key]) for row in history]
            for name, key in (("training", "train_loss"), ("validation", "val_loss"))
        }
        picture = draw_curve("Loss", lines_of, "characters read", "nats a character")
        replace(self._folder / "loss.svg", picture.encode())


class Sample(_PerRow):
    """Says a sample of the model at every evaluation.

    Args:
        sample: returns a text; called with the number of the step, so that it can be the same after resuming.
        say: told the text.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import data, nn, optim, train
        >>> model = train.CharModel(3, nn.RNNCell, train.Config(hidden=4, embedding=2))
        >>> streams = data.Streams(np.tile([0, 1, 2], 20), batch_size=2, seq_len=5)
        >>> sample = train.Sample(lambda step: f"after step {step}", lambda text: print(text.strip()))
        >>> called = [train.Evaluate(streams), sample]
        >>> trainer = train.Trainer(model, streams, optim.Adam(model.parameters()), callbacks=called)
        >>> trainer.fit()
        after step 5
    """

    def __init__(self, sample: Callable[[int], str], say: Say) -> None:
        self._sample = sample
        self._say = say

    def row(self, trainer: Trainer) -> None:
        """Say a sample."""
        self._say("".join(f"    {line}\n" for line in self._sample(trainer.step).splitlines()))


class SaveCheckpoint(Callback):
    """Writes a checkpoint at the start, every so often, and at the end.

    Args:
        save: writes it.
        seconds: between two checkpoints; 0 writes one after every step.
        share: of the time that writing may take: if the disk is slow, checkpoints become rarer.

    Raises:
        ConfigError: if `seconds` or `share` is outside its range.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import data, nn, optim, train
        >>> model = train.CharModel(3, nn.RNNCell, train.Config(hidden=4, embedding=2))
        >>> streams = data.Streams(np.tile([0, 1, 2], 20), batch_size=2, seq_len=5)
        >>> steps = []
        >>> called = [train.SaveCheckpoint(lambda trainer: steps.append(trainer.step))]
        >>> trainer = train.Trainer(model, streams, optim.Adam(model.parameters()), callbacks=called)
        >>> trainer.fit()
        >>> steps[0], steps[-1] == len(streams)
        (0, True)
    """

    def __init__(self, save: Callable[[Trainer], None], seconds: float = 10.0, share: float = 0.02) -> None:
        if not seconds >= 0:
            raise ConfigError(f"seconds is {seconds}; give the seconds between two checkpoints, 0 or more")
        if not 0 < share <= 1:
            raise ConfigError(f"share is {share}; give a number above 0, up to 1")
        self._save = save
        self._seconds = seconds
        self._share = share
        self._wait = seconds
        self._last = 0.0

    def start(self, trainer: Trainer) -> None:
        """Write the first one, so that the folder is a run from the beginning."""
        if trainer.step == 0:
            self._save(trainer)
        self._last = time.perf_counter()

    def after_step(self, trainer: Trainer) -> None:
        """Write one when it is time."""
        begun = time.perf_counter()
        if begun - self._last >= self._wait:
            self._save(trainer)
            self._last = time.perf_counter()
            self._wait = max(self._seconds, (self._last - begun) / self._share) if self._seconds else 0.0

    def end(self, trainer: Trainer) -> None:
        """Write the last one."""
        self._save(trainer)


class OneThread(Callback):
    """Keeps the products of a small model on one thread.

    They are done before a second thread has woken up; on a busy machine, waiting for it made a step ten times as long.
    The loops of the engine "native" keep their threads, which are woken once for all steps of time.

    Args:
        product: multiplications in the largest product of a step of time; larger ones than 2**23 keep their threads.
    """

    def __init__(self, product: int) -> None:
        self._small = product <= 2**23
        self._limits: Any = None

    def start(self, trainer: Trainer) -> None:
        """Take the other threads away."""
        if self._small:
            self._limits = threadpoolctl.threadpool_limits(limits=1, user_api="blas")

    def close(self) -> None:
        """Give them back."""
        if self._limits is not None:
            self._limits.restore_original_limits()
            self._limits = None


class Picture(Callback):
    """Draws the model when training is finished.

    Args:
        draw: draws it.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import data, nn, optim, train
        >>> model = train.CharModel(3, nn.RNNCell, train.Config(hidden=4, embedding=2))
        >>> streams = data.Streams(np.tile([0, 1, 2], 20), batch_size=2, seq_len=5)
        >>> called = [train.Picture(lambda: print("drawn"))]
        >>> trainer = train.Trainer(model, streams, optim.Adam(model.parameters()), callbacks=called)
        >>> trainer.fit()
        drawn
    """

    def __init__(self, draw: Callable[[], None]) -> None:
        self._draw = draw

    def end(self, trainer: Trainer) -> None:
        """Draw."""
        if trainer.finished:
            self._draw()
