"""The tasks that are learnt, by name, by class with arguments, or by file."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import ConfigError
from ..data import tasks
from ..data.tasks import Task
from ..train.user_files import TASK, import_class, where
from .arguments import called

TASKS: dict[str, Callable[[], Task]] = {
    "adding": lambda: tasks.Adding(length=50),
    "multiplication": lambda: tasks.Multiplication(length=50),
    "copy": lambda: tasks.CopyMemory(delay=20),
    "order": lambda: tasks.TemporalOrder(relevant=2, length=50),
    "lag": lambda: tasks.LongLag(p=50),
    "reber": tasks.EmbeddedReber,
    "continual-reber": lambda: tasks.ContinualReber(window=50),
    "anbn": tasks.AnBn,
    "anbncn": tasks.AnBnCn,
    "dyck": tasks.Dyck,
    "parity": tasks.Parity,
    "digits": tasks.SequentialDigits,
    "addition": tasks.DigitAddition,
    "text": lambda: tasks.CharacterText(window=32),
    "names": tasks.Names,
    "sunspots": tasks.Sunspots,
}


@dataclass(frozen=True)
class NamedTask:
    """A task that is learnt.

    Args:
        label: its name in the report.
        source: by which another process finds it; the label again where it lives in this process alone.
        task: the task.
    """

    label: str
    source: str
    task: Task = field(compare=False, repr=False)

    @property
    def is_importable(self) -> bool:
        """Whether another process finds the task by its source."""
        return bool(_parts(self.source))


def named_task(task: str | Task | type[Task]) -> NamedTask:
    """Return a task by its name, by its class with arguments, by FILE.py:CLASS, or as it is.

    Args:
        task: "adding", "Adding(length=20)" of `data.tasks`, "FILE.py:CLASS" or "MODULE:CLASS", with arguments or
            without; or a task.

    Raises:
        ConfigError, DataError: if there is no such task, or it cannot be made.

    Example:
        >>> from tinygrad_rnn.lab.named_tasks import named_task
        >>> named_task("adding").task, named_task("Parity(length=4)").label
        (Adding(length=50), 'Parity(length=4)')
    """
    if isinstance(task, type) and issubclass(task, Task):
        task = task()
    if isinstance(task, Task):
        return NamedTask(repr(task), repr(task) + " of this process", task)
    parts = _parts(task) if isinstance(task, str) else None
    if parts is None:
        raise ConfigError(
            f"a task is {task!r}; give one of {', '.join(TASKS)}, a class of tinygrad_rnn.data.tasks such as "
            "Adding(length=20), FILE.py:CLASS, or MODULE:CLASS"
        )
    name, arguments = parts
    if name in TASKS and not arguments:
        return NamedTask(name, task, TASKS[name]())
    source = name.rpartition(":")[0]
    made: Any = import_class(TASK, name, "a task") if source else getattr(tasks, name, TASKS.get(name))
    try:
        found = made(**arguments)
    except Exception as error:
        takes = f"; it takes {', '.join(inspect.signature(made).parameters) or 'no arguments'}" if arguments else ""
        raise ConfigError(f"the task {task} cannot be made: {where(error, Path(source))}{takes}") from error
    if not isinstance(found, Task):
        raise ConfigError(f"the task {task} is a {type(found).__name__}; give a class derived from tasks.Task")
    if not source:
        return NamedTask(task, task, found)
    shown = task[len(source) + 1 :]
    return NamedTask(shown, f"{Path(source).resolve() if source.endswith('.py') else source}:{shown}", found)


def _parts(text: str) -> tuple[str, dict[str, Any]] | None:
    """Return name and keyword arguments of a task; None where the text names none."""
    parts = called(text)
    if parts and ":" not in parts[0] and parts[0] not in TASKS and not isinstance(getattr(tasks, parts[0], None), type):
        return None
    return parts
