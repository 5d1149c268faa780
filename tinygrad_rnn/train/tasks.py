"""One trial: a recurrent layer with a linear read-out learns a task; how well, how fast, and whether it solves it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import nn, optim
from ..core import Tensor, no_grad
from ..core.errors import CellError, ConfigError
from ..core.tree import tree_map
from ..data.tasks import Batch, Score, Task
from ..data.tasks.base import checked_batch
from .chance import random_numbers_of

Make = Callable[[int], nn.Module]
MakeOptimizer = Callable[[Any, float], optim.Optimizer]
_PLATEAUS = 3  # Where the error stands still at a hundredth of the learning rate, nothing more is learnt.


@dataclass(frozen=True)
class Point:
    """A point of a learning curve.

    Args:
        step: steps of the optimiser so far.
        sequences: training sequences so far; of a task that carries its state, windows.
        seconds: of training so far, without those of scoring.
        processor: seconds of the processor likewise, of all threads together.
        train_loss: mean loss since the point before.
        validation: the score on the validation sequences.

    Example:
        >>> from tinygrad_rnn import nn, train
        >>> from tinygrad_rnn.data import tasks
        >>> make = lambda features: nn.RNNCell(features, 4)
        >>> trial = train.solve(tasks.Parity(length=3), make, steps=4, lr=0.01, scorings=2)
        >>> [point.step for point in trial.curve]
        [2, 4]
    """

    step: int
    sequences: int
    seconds: float
    processor: float
    train_loss: float
    validation: Score


@dataclass(frozen=True)
class Trial:
    """What came of a trial.

    Args:
        task: its name, with its arguments.
        seed: of weights and training sequences.
        lr: the learning rate.
        parameters: how many numbers were trained.
        curve: a point for each time the validation sequences were scored.
        steps: steps of the optimiser that were made.
        sequences: training sequences that were seen.
        seconds: of training, without those of scoring.
        validation: the best score on the validation sequences; infinite if there is none.
        test: the score on the test sequences with the weights of that moment; infinite if there is none.
        solved: whether the test's score solves the task.
        sequences_to_solve: training sequences before the first validation score that solves the task, or None.
        failure: why training ended before its last step; None if it did not.
        weights: `state_dict()` of the `TaskModel` at the best validation score.

    Example:
        >>> from tinygrad_rnn import nn, train
        >>> from tinygrad_rnn.data import tasks
        >>> make = lambda features: nn.RNNCell(features, 4)
        >>> trial = train.solve(tasks.Parity(length=3), make, steps=4, lr=0.01, scorings=2)
        >>> trial.steps, trial.solved, len(trial.curve)
        (4, False, 2)
    """

    task: str
    seed: int
    lr: float
    parameters: int
    curve: tuple[Point, ...]
    steps: int
    sequences: int
    seconds: float
    validation: Score
    test: Score
    solved: bool
    sequences_to_solve: int | None
    failure: str | None
    weights: dict[str, NDArray[Any]]


class TaskModel(nn.Module):
    """A recurrent layer and a linear read-out, of the sizes that a task asks for.

    Args:
        task: says how many features come in and how many numbers go out, and at which steps.
        make: called with the number of input features; returns a cell, or a layer that is called as
            `layer(x, state, lengths) -> (y, state)`.

    Raises:
        CellError: if it returns something else.

    Example:
        >>> from tinygrad_rnn import nn, train
        >>> from tinygrad_rnn.data import tasks
        >>> task = tasks.Adding(length=10)
        >>> model = train.TaskModel(task, lambda features: nn.GRUCell(features, 8))
        >>> outputs, state = model(next(task.batches(size=4)))
        >>> outputs.shape
        (4, 1)
    """

    def __init__(self, task: Task, make: Make) -> None:
        super().__init__()
        made = make(task.input_size)
        if not isinstance(made, nn.Module):
            raise CellError(
                f"the maker of the layer returned a {type(made).__name__}; return a cell or a layer, such as "
                "lambda features: nn.LSTMCell(features, 32)"
            )
        self.every_step = task.every_step
        self.layer = nn.Recurrent(made) if isinstance(made, nn.Cell) else made
        with no_grad():
            probe = self.layer(np.zeros((1, 1, task.input_size), np.float32), None, None)
        if not (isinstance(probe, tuple) and len(probe) == 2 and isinstance(probe[0], Tensor) and probe[0].ndim == 3):
            raise CellError(
                f"{type(made).__name__} returned {type(probe).__name__}; a layer returns (y, state), y: (time, batch, "
                "features)"
            )
        self.head = nn.Linear(probe[0].shape[-1], task.output_size)

    def forward(self, batch: Batch, state: Any = None) -> tuple[Tensor, Any]:
        """Return the read-out's numbers and the state after the batch.

        Args:
            batch: the sequences.
            state: the layer's state before them; None for its own.

        Returns:
            (time, batch, output_size) for a task with a target at every step, otherwise (batch, output_size), at the
            last step of each row; and the state.
        """
        y, state = self.layer(batch.x, state, batch.lengths)
        if not self.every_step:
            y = y[-1] if batch.lengths is None else y[batch.lengths - 1, np.arange(batch.rows)]
        return self.head(y), state


def score(task: Task, model: TaskModel, batches: Sequence[Batch]) -> Score:
    """Return the score of a model on sequences: the means of its loss and of its errors.

    Args:
        task: says what loss and errors are.
        model: is scored in evaluation mode.
        batches: the sequences, such as `task.held_out("test")`; of a task that carries its state, consecutive windows.

    Returns:
        Loss and error; the loss is weighted by what counts in each batch.

    Example:
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn import nn, train
        >>> from tinygrad_rnn.data import tasks
        >>> tg.random.seed(0)
        >>> task = tasks.Adding(length=10)
        >>> model = train.TaskModel(task, lambda features: nn.GRUCell(features, 8))
        >>> train.score(task, model, task.held_out("test")).error > 0.1
        True
    """
    training, state = model.training, None
    losses, weights, errors = [], [], []
    model.eval()
    try:
        with no_grad(), np.errstate(over="ignore", invalid="ignore"):
            for batch in batches:
                outputs, after = model(batch, state)
                state = after if task.carries else None
                losses.append(task.loss(outputs, batch).item())
                weights.append(_weight(task, batch))
                errors.append(task.errors(outputs.data, batch))
    finally:
        model.train(training)
    return Score(float(np.average(losses, weights=weights)), float(np.concatenate(errors).mean()))


def solve(
    task: Task,
    make: Make,
    *,
    steps: int,
    lr: float,
    seed: int = 0,
    batch_size: int = 32,
    clip: float = 1.0,
    scorings: int | Sequence[int] = 10,
    optimizer: MakeOptimizer = optim.Adam,
    until_solved: bool = False,
    patience: int | None = None,
    progress: Callable[[Point], None] | None = None,
) -> Trial:
    """Train a layer on a task and score it; the same arguments on the same engine give the same numbers.

    Weights start from the seed, which the training sequences depend on too. The test is scored once, with the weights
    of the best validation error. A loss or gradient that is no longer a number ends the trial; that is reported, not
    raised.

    Args:
        task: what is to be learnt.
        make: called with the number of input features; returns a cell or a layer, as `TaskModel` takes it.
        steps: of the optimiser.
        lr: learning rate.
        seed: 0 to 2**64 - 1.
        batch_size: sequences in a training batch.
        clip: greatest norm of the gradient; `math.inf` does not clip.
        scorings: how often the validation sequences are scored, in equal distances, the last time after the last step;
            or the steps after which they are, the last of all among them.
        optimizer: called with the parameters and the learning rate.
        until_solved: end once two validation scores in a row solve the task: one alone may be luck.
        patience: scorings in a row without a better validation error that make the learning rate a tenth of what it
            was, and the third time end the trial; None keeps it, and makes all steps.
        progress: called with each point of the curve.

    Raises:
        ConfigError: if an argument is out of its range.
        CellError: if `make` returns neither a cell nor a layer.
        DataError: if the task's batches are not what the task says.

    Example:
        >>> from tinygrad_rnn import nn, train
        >>> from tinygrad_rnn.data import tasks
        >>> make = lambda features: nn.LSTMCell(features, 16)
        >>> trial = train.solve(tasks.Parity(length=3), make, steps=400, lr=0.02, until_solved=True)
        >>> trial.solved, trial.failure
        (True, None)
    """
    marks = _marks(steps, scorings)
    _check(task)
    with random_numbers_of(seed):
        model = TaskModel(task, make)
        training = _Training(task, model, optimizer(model.parameters(), lr), clip)
        plateaus = None if patience is None else optim.PlateauLR(training.optimizer, patience)
        stream = task.batches(batch_size, seed)
        validation = task.held_out("validation")
        checked_batch(task, validation[0])
        curve: list[Point] = []
        best, weights = Score(math.inf, math.inf), model.state_dict()
        for step in marks:
            training.go_on(islice(stream, step - training.steps))
            if training.failure is None:
                now = score(task, model, validation)
                curve.append(training.point(now))
                if progress is not None:
                    progress(curve[-1])
                if not math.isfinite(now.loss) or not math.isfinite(now.error):
                    training.failure = f"step {step}: the validation loss is {now.loss}"
                elif (now.error, now.loss) < (best.error, best.loss):
                    best, weights = now, model.state_dict()
            if training.failure is not None or (until_solved and _solved_twice(task, curve)):
                break
            if plateaus is not None:
                plateaus.observe(curve[-1].validation.error)
                if plateaus.count == _PLATEAUS:
                    break
        model.load_state_dict(weights)
        test = score(task, model, task.held_out("test")) if math.isfinite(best.error) else best
    first = next((point.sequences for point in curve if task.solved(point.validation)), None)
    return Trial(
        task=repr(task),
        seed=seed,
        lr=lr,
        parameters=sum(parameter.size for parameter in model.parameters()),
        curve=tuple(curve),
        steps=training.steps,
        sequences=training.sequences,
        seconds=training.seconds,
        validation=best,
        test=test,
        solved=task.solved(test),
        sequences_to_solve=first,
        failure=training.failure,
        weights=weights,
    )


class _Training:
    """The loop over batches, and what it has done so far."""

    def __init__(self, task: Task, model: TaskModel, optimizer: optim.Optimizer, clip: float) -> None:
        self.task, self.model, self.optimizer, self.clip = task, model, optimizer, clip
        self.parameters = list(model.parameters())
        self.steps = self.sequences = 0
        self.seconds = self.processor = 0.0
        self.failure: str | None = None
        self._losses: list[float] = []
        self._state: Any = None

    def go_on(self, batches: Iterator[Batch]) -> None:
        """Take a step on each batch, until one fails."""
        started, worked = time.perf_counter(), time.process_time()
        self._losses.clear()
        self.model.train()
        with np.errstate(over="ignore", invalid="ignore"):  # What overflows is found below.
            for batch in batches:
                if self.steps == 0:
                    checked_batch(self.task, batch)
                self._step(batch)
                if self.failure is not None:
                    break
        self.seconds += time.perf_counter() - started
        self.processor += time.process_time() - worked

    def point(self, validation: Score) -> Point:
        """Return where training is now."""
        mean = sum(self._losses) / len(self._losses)
        return Point(self.steps, self.sequences, self.seconds, self.processor, mean, validation)

    def _step(self, batch: Batch) -> None:
        outputs, state = self.model(batch, self._state)
        loss = self.task.loss(outputs, batch)
        self.optimizer.zero_grad()
        loss.backward()
        norm, value = optim.clip_grad_norm(self.parameters, self.clip), loss.item()
        if not math.isfinite(value) or not math.isfinite(norm):
            self.failure = f"step {self.steps + 1}: the loss is {value} and the gradient's norm {norm}"
            return
        self.optimizer.step()
        if self.task.carries:
            self._state = tree_map(lambda leaf: leaf.detach(), state)
        self._losses.append(value)
        self.steps += 1
        self.sequences += batch.rows


def _check(task: Any) -> None:
    """Refuse what is no task."""
    if not isinstance(task, Task):
        hint = f"{task.__name__}()" if isinstance(task, type) else "tasks.Adding()"
        raise ConfigError(f"task is {task!r}; give an instance of a class derived from tasks.Task, such as {hint}")
    task.solved(Score(math.inf, math.inf))  # A task without a threshold is refused before it is trained.


def _solved_twice(task: Task, curve: list[Point]) -> bool:
    return len(curve) > 1 and all(task.solved(point.validation) for point in curve[-2:])


def _marks(steps: Any, scorings: Any) -> list[int]:
    """Return after which steps the validation sequences are scored; refuse counts that are none."""
    if isinstance(scorings, Sequence) and not isinstance(scorings, str):
        marks = sorted({_counted("a step of scorings", step) for step in scorings})
        if not marks or marks[-1] != _counted("steps", steps):
            raise ConfigError(f"scorings are {list(scorings)!r}; let the last one be after all {steps} steps")
        return marks
    steps, times = _counted("steps", steps), _counted("scorings", scorings)
    return sorted({math.ceil(steps * (k + 1) / times) for k in range(times)})


def _counted(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ConfigError(f"{name} is {value!r}; give a whole number of at least 1")
    return int(value)


def _weight(task: Task, batch: Batch) -> int:
    """Return how many targets a batch's mean loss is made of."""
    if not task.every_step:
        return batch.rows
    counted = batch.steps_that_count()
    return int(batch.x.shape[0] * batch.rows if counted is None else np.count_nonzero(counted))
