"""Classes of the user's own, in files and modules: code is executed here, and only when the user names it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from ..core.errors import CellError, ConfigError, DataError, TinygradRNNError
from ..data.tasks import Task
from ..nn import Cell


class Kind(NamedTuple):
    """What a class of the user's own is to be.

    Args:
        what: in a word.
        base: the class that it is derived from.
        shown: how a user writes that class.
        error: what is raised where the class or its file is wrong.
    """

    what: str
    base: type
    shown: str
    error: type[TinygradRNNError]


CELL = Kind("cell", Cell, "nn.Cell", CellError)
TASK = Kind("task", Task, "tasks.Task", DataError)


def import_class(kind: Kind, name: str, known: str) -> type[Any]:
    """Return a class by "FILE.py:CLASS", which executes the file, or by "MODULE:CLASS", which imports the module.

    Args:
        kind: CELL or TASK.
        name: of file or module and class. A module is looked for in the current folder too.
        known: what may be given in place of them, in words.

    Raises:
        ConfigError: if there is no such file or module, or no such class in it.
        CellError: if the file or module of a cell fails, or the class is none.
        DataError: the same of a task.

    Example:
        >>> from tinygrad_rnn.train.user_files import CELL, import_class
        >>> import_class(CELL, "transformer", "rnn, lstm")
        Traceback (most recent call last):
        tinygrad_rnn.core.errors.ConfigError: cell is 'transformer'; give rnn, lstm, FILE.py:CLASS or MODULE:CLASS
    """
    if name.endswith(".py"):
        raise ConfigError(_of_file_alone(kind, name))
    source, _, class_name = name.rpartition(":")
    if not class_name or not (source.endswith(".py") or _is_module(source)):
        raise ConfigError(f"{kind.what} is {name!r}; give {known}, FILE.py:CLASS or MODULE:CLASS")
    module = _execute(kind, name) if source.endswith(".py") else _import(kind, name)
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        fitting = ", ".join(_classes(kind, module)) or "none"
        raise ConfigError(f"{source} defines no class {class_name}; its {kind.what}s are {fitting}")
    if not issubclass(found, kind.base):
        raise kind.error(f"{class_name} in {source} is no {kind.what}; write `class {class_name}({kind.shown})`")
    return found


def _of_file_alone(kind: Kind, file: str) -> str:
    """Return what to write in place of the name of a file without a class."""
    if not Path(file).is_file():
        return f"{kind.what} is {file!r}, but there is no such file; give FILE.py:CLASS"
    found = [f"{file}:{name}" for name in _classes(kind, _execute(kind, f"{file}:"))]
    if not found:
        return f"{file} defines no {kind.what}; write `class Mine({kind.shown})` in it, and give {file}:Mine"
    return f"{kind.what} is {file!r}, a file; give the class in it as well: {' or '.join(found)}"


def _classes(kind: Kind, module: ModuleType) -> list[str]:
    """Return the names of a module's classes of a kind, those that it only imports if it defines none."""
    fitting = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, kind.base) and value is not kind.base
    }
    return [key for key, value in fitting.items() if value.__module__ == module.__name__] or [*fitting]


def _is_module(source: str) -> bool:
    return all(part.isidentifier() for part in source.split("."))


def _execute(kind: Kind, name: str) -> ModuleType:
    file, _, class_name = name.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise ConfigError(
            f"{kind.what} is {name!r}, but there is no file {file}; give the path of the file that defines {class_name}"
        )
    spec = importlib.util.spec_from_file_location(f"_{kind.what}_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{kind.what} is {name!r}, but {file} cannot be imported; give the path of a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Dataclasses look their module up.
    sys.path.insert(0, str(path.resolve().parent))  # As `python FILE.py` does, so that it can import its neighbours.
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise kind.error(f"{file} failed while it was imported: {where(error, path)}") from error
    finally:
        sys.path.pop(0)
    return module


def _import(kind: Kind, name: str) -> ModuleType:
    source = name.rpartition(":")[0]
    sys.path.insert(0, str(Path.cwd()))  # As `python -m MODULE` does.
    try:
        return importlib.import_module(source)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{source}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"{kind.what} is {name!r}, but there is no module {error.name}; is it installed?"
            ) from None
        text = " ".join(str(error).split())
        raise kind.error(f"{source} failed while it was imported: {type(error).__name__}: {text}") from error
    finally:
        sys.path.pop(0)


def where(error: BaseException, file: Path) -> str:
    """Return an error in one line, with the last line of `file` that it passed through."""
    message = " ".join(str(error).split())
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"line {error.lineno}: {text}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == file.resolve()]
    return f"line {lines[-1]}: {text}" if lines else text
