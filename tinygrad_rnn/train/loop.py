"""The training loop: truncated backpropagation with carried state, a few lines to read.

What else happens while it runs (evaluation, samples, checkpoints, progress) is done by callbacks.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

import numpy as np

from .. import nn, optim
from ..core import Tensor, no_grad, random
from ..core.errors import CheckpointError, ConfigError, NonFiniteError
from ..core.tree import tree_flatten, tree_map, tree_unflatten

Row = dict[str, float]


class Batches(Protocol):
    """Windows of streams, in order and by number: inputs and targets, each (time, batch)."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> tuple[np.ndarray, np.ndarray]: ...


class Callback:
    """Something that happens while a model trains; override what is needed.

    A callback that gathers anything from step to step keeps it in `state_dict`, or resuming forgets it.

    Example:
        >>> from tinygrad_rnn import train
        >>> class PrintLoss(train.Callback):
        ...     def after_step(self, trainer):
        ...         print(trainer.step, trainer.loss)
    """

    def start(self, trainer: Trainer) -> None:
        """Called before the first step, and before the first step after resuming."""

    def after_step(self, trainer: Trainer) -> None:
        """Called after every step."""

    def end(self, trainer: Trainer) -> None:
        """Called once the last step is done, or training was stopped."""

    def close(self) -> None:
        """Called last, also after an error: let go of what is held."""

    def state_dict(self) -> dict[str, Any]:
        """Return what the callback has gathered: a nest of dicts, lists, JSON scalars and arrays."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""


class Trainer:
    """A model in training: everything that changes from step to step.

    Args:
        model: called as `model(ids, state) -> (logits, state)`.
        batches: the windows of one pass over the text, in order.
        optimizer: over the model's parameters.
        schedule: of the learning rate, a step at a time.
        clip: greatest norm of the gradient; 0 does not clip.
        epochs: passes over the text.
        callbacks: called in this order after every step.

    Raises:
        ConfigError: if there is no window, or if `epochs` or `clip` is outside its range.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import data, nn, optim, train
        >>> model = train.CharModel(3, nn.RNNCell, train.Config(hidden=4, embedding=2))
        >>> streams = data.Streams(np.tile([0, 1, 2], 20), batch_size=2, seq_len=5)
        >>> trainer = train.Trainer(model, streams, optim.Adam(model.parameters(), lr=0.01), epochs=2)
        >>> trainer.fit()
        >>> trainer.step == 2 * len(streams)
        True
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        optimizer: optim.Optimizer,
        *,
        schedule: optim.Schedule | None = None,
        clip: float = 0.0,
        epochs: int = 1,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        if isinstance(epochs, bool) or not isinstance(epochs, (int, np.integer)) or epochs < 1:
            raise ConfigError(f"epochs is {epochs!r}; give a whole number of at least 1")
        if isinstance(clip, bool) or not isinstance(clip, (int, float, np.number)) or not clip >= 0:
            raise ConfigError(f"clip is {clip!r}; give a number of at least 0; 0 does not clip")
        if not len(batches):
            raise ConfigError("batches has no window; give data.Streams(ids, batch_size, seq_len) of a text")
        self.model = model
        self.batches = batches
        self.optimizer = optimizer
        self.schedule = schedule
        self.clip = clip
        self.steps = epochs * len(batches)
        self.callbacks = list(callbacks)
        self._window = int(batches[0][0].size)
        self.step = 0
        self.loss = math.nan
        self.gradient_norm = math.nan  # of the whole gradient, before it was clipped
        self.carry: Any = None
        self.history: list[Row] = []
        self.interrupted = False
        self._earlier = 0.0
        self._started: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those before an interruption included."""
        return self._earlier + (time.perf_counter() - self._started if self._started is not None else 0.0)

    @property
    def characters_per_step(self) -> int:
        """Characters in one window."""
        return self._window

    @property
    def finished(self) -> bool:
        """Whether the last step is done."""
        return self.step >= self.steps

    def fit(self) -> None:
        """Train up to the last step. Ctrl-C ends it between two steps, after the callbacks have ended.

        Raises:
            KeyboardInterrupt: after Ctrl-C; a second one does not wait for the step.
            NonFiniteError: if the loss or the gradient is no longer a number.
        """
        self._started = time.perf_counter()
        self.model.train()
        try:
            with self._stop_between_steps():
                for callback in self.callbacks:
                    callback.start(self)
                while not self.finished and not self.interrupted:
                    self.train_step(*self.batches[self.step % len(self.batches)])
                    for callback in self.callbacks:
                        callback.after_step(self)
                for callback in self.callbacks:
                    callback.end(self)
        finally:
            self._earlier, self._started = self.seconds, None
            _close(self.callbacks)
        if self.interrupted:
            raise KeyboardInterrupt

    def train_step(self, ids: np.ndarray, targets: np.ndarray) -> None:
        """Take one step on one window.

        Args:
            ids: (time, batch), the characters.
            targets: (time, batch), the characters after them.
        """
        if self.step % len(self.batches) == 0:
            self.carry = None
        logits, carry = self.model(ids, self.carry)
        loss = nn.cross_entropy(logits, targets)
        self.optimizer.zero_grad()
        loss.backward()
        norm = optim.clip_grad_norm(self.model.parameters(), self.clip or math.inf)
        self.loss, self.gradient_norm = loss.item(), norm
        if not math.isfinite(self.loss) or not math.isfinite(norm):
            raise NonFiniteError(
                f"step {self.step + 1}: the loss is {self.loss} and the gradient's norm {norm}; "
                f"the learning rate is {self.optimizer.lr}: take a smaller one, or clip the gradient"
            )
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        self.carry = tree_map(lambda leaf: leaf.detach(), carry)
        self.step += 1

    def state_dict(self) -> dict[str, Any]:
        """Return all that `load_state_dict` needs to go on bit for bit, the model's weights apart."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "random": random.get_state(),
            "carry": [leaf.data for leaf in tree_flatten(self.carry)[0]],
            "history": list(self.history),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict() if self.schedule is not None else {},
            "callbacks": {name: callback.state_dict() for name, callback in self._named_callbacks()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            CheckpointError: if it does not fit this trainer.
        """
        try:
            self.step, self._earlier = int(state["step"]), float(state["seconds"])
            self.history = [dict(row) for row in state["history"]]
            self.carry = self._carry(state["carry"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.schedule is not None:
                self.schedule.load_state_dict(state["schedule"])
            for name, callback in self._named_callbacks():
                if name in state["callbacks"]:
                    callback.load_state_dict(state["callbacks"][name])
            random.set_state(state["random"])
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"the saved training does not fit these settings: {type(error).__name__}: {error}"
            ) from error

    def _named_callbacks(self) -> Iterator[tuple[str, Callback]]:
        """The callbacks by the names of their classes, numbered where one occurs again."""
        seen: Counter[str] = Counter()
        for callback in self.callbacks:
            name = type(callback).__name__
            seen[name] += 1
            yield (name if seen[name] == 1 else f"{name} {seen[name]}"), callback

    def _carry(self, leaves: list[np.ndarray]) -> Any:
        """Put the carried arrays into the nest that the model's state is: one step shows its structure."""
        if not leaves:
            return None
        with no_grad():
            _, state = self.model(self.batches[0][0][:1], None)
        return tree_unflatten(tree_flatten(state)[1], [Tensor(leaf) for leaf in leaves])

    @contextmanager
    def _stop_between_steps(self) -> Iterator[None]:
        """Let Ctrl-C ask for the end, so that no step is left half done; a handler of one's own is kept."""
        self.interrupted = False
        if (
            threading.current_thread() is not threading.main_thread()
            or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        ):
            yield
            return

        def ask(number: int, frame: FrameType | None) -> None:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True

        signal.signal(signal.SIGINT, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _close(callbacks: Sequence[Callback]) -> None:
    """Close all callbacks, also where one of them fails."""
    if callbacks:
        try:
            callbacks[0].close()
        finally:
            _close(callbacks[1:])


def evaluate(model: nn.Module, batches: Batches) -> float:
    """Return the mean loss over windows in order, the state carried from each to the next.

    Args:
        model: called as `model(ids, state) -> (logits, state)`.
        batches: windows of streams.

    Returns:
        Nats a character.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import data, nn, train
        >>> model = train.CharModel(3, nn.RNNCell, train.Config(hidden=4, embedding=2))
        >>> streams = data.Streams(np.tile([0, 1, 2], 20), batch_size=2, seq_len=5)
        >>> 0 < train.evaluate(model, streams) < 5
        True
    """
    training = model.training
    model.eval()
    total, count, state = 0.0, 0, None
    try:
        with no_grad():
            for number in range(len(batches)):
                ids, targets = batches[number]
                logits, state = model(ids, state)
                total += nn.cross_entropy(logits, targets).item() * targets.size
                count += targets.size
    finally:
        model.train(training)
    return total / count
