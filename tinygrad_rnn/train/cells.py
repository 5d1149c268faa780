"""From the name of a cell to its class; code is executed here, and only when the user names it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ..core.errors import CellError, ConfigError, TinygradRNNError
from ..nn import Cell, GRUCell, LSTMCell, RNNCell

CellClass = Callable[[int, int], Cell]

BUILT_IN: dict[str, CellClass] = {"rnn": RNNCell, "lstm": LSTMCell, "gru": GRUCell}


def import_cell(name: str) -> CellClass:
    """Return the class of a cell; for "FILE.py:CLASS" this executes the file, for "MODULE:CLASS" it imports the module.

    Args:
        name: "rnn", "lstm", "gru", "FILE.py:CLASS" or "MODULE:CLASS". A module is looked for in the current folder too.

    Raises:
        ConfigError: if there is no such file or module, or no such class in it.
        CellError: if the file or module fails, or the class is no `nn.Cell`.

    Example:
        >>> from tinygrad_rnn.train import import_cell
        >>> import_cell("gru").__name__
        'GRUCell'
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    source, _, class_name = name.rpartition(":")
    if not class_name or not (source.endswith(".py") or _is_module(source)):
        raise ConfigError(f"cell is {name!r}; give one of {', '.join(BUILT_IN)}, FILE.py:CLASS or MODULE:CLASS")
    module = _execute(name, source, class_name) if source.endswith(".py") else _import(name, source)
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        classes = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, Cell)]
        raise ConfigError(f"{source} defines no class {class_name}; its cells are {', '.join(classes) or 'none'}")
    if not issubclass(found, Cell):
        raise CellError(f"{class_name} in {source} is no cell; write `class {class_name}(nn.Cell)`")
    made_of_sizes: CellClass = found
    return made_of_sizes


def _is_module(source: str) -> bool:
    return all(part.isidentifier() for part in source.split("."))


def _execute(name: str, file: str, class_name: str) -> ModuleType:
    path = Path(file)
    if not path.is_file():
        raise ConfigError(
            f"cell is {name!r}, but there is no file {file}; give the path of the file that defines {class_name}"
        )
    spec = importlib.util.spec_from_file_location(f"_cell_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"cell is {name!r}, but {file} cannot be imported; give the path of a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Dataclasses look their module up.
    sys.path.insert(0, str(path.resolve().parent))  # As `python FILE.py` does, so that it can import its neighbours.
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise CellError(f"{file} failed while it was imported: {where(error, path)}") from error
    finally:
        sys.path.pop(0)
    return module


def _import(name: str, source: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))  # As `python -m MODULE` does.
    try:
        return importlib.import_module(source)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{source}.".startswith(f"{error.name}."):
            raise ConfigError(f"cell is {name!r}, but there is no module {error.name}; is it installed?") from None
        text = " ".join(str(error).split())
        raise CellError(f"{source} failed while it was imported: {type(error).__name__}: {text}") from error
    finally:
        sys.path.pop(0)


@contextmanager
def blame(cell: CellClass) -> Iterator[None]:
    """Make of an error that arises in a cell's own code one that says where it arose.

    Raises:
        CellError: in place of any error that is none of this package.
    """
    try:
        yield
    except TinygradRNNError:
        raise
    except Exception as error:
        file = Path(inspect.getfile(cell))
        raise CellError(f"{cell.__name__} failed in {file.name}, {where(error, file)}") from error


def where(error: BaseException, file: Path) -> str:
    """Return an error in one line, with the last line of `file` that it passed through."""
    message = " ".join(str(error).split())
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"line {error.lineno}: {text}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == file.resolve()]
    return f"line {lines[-1]}: {text}" if lines else text
