"""From the name of a cell to its class; a file is executed here, and only when the user names it."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from ..core.errors import CellError, ConfigError
from ..nn import Cell, GRUCell, LSTMCell, RNNCell

CellClass = Callable[[int, int], Cell]

BUILT_IN: dict[str, CellClass] = {"rnn": RNNCell, "lstm": LSTMCell, "gru": GRUCell}


def import_cell(name: str) -> CellClass:
    """Return the class of a cell; for "FILE.py:CLASS" this executes the file.

    Args:
        name: "rnn", "lstm", "gru" or "FILE.py:CLASS".

    Raises:
        ConfigError: if there is no such file, or no such class in it.
        CellError: if the file fails, or the class is no `nn.Cell`.

    Example:
        >>> from tinygrad_rnn.train import import_cell
        >>> import_cell("gru").__name__
        'GRUCell'
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    file, _, class_name = name.rpartition(":")
    path = Path(file)
    if not file.endswith(".py") or not class_name:
        raise ConfigError(f"cell is {name!r}; give one of {', '.join(BUILT_IN)} or FILE.py:CLASS")
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
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        classes = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, Cell)]
        raise ConfigError(f"{file} defines no class {class_name}; its cells are {', '.join(classes) or 'none'}")
    if not issubclass(found, Cell):
        raise CellError(f"{class_name} in {file} is no cell; write `class {class_name}(nn.Cell)`")
    made_of_sizes: CellClass = found
    return made_of_sizes


def where(error: BaseException, file: Path) -> str:
    """Return an error in one line, with the last line of `file` that it passed through."""
    message = " ".join(str(error).split())
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"line {error.lineno}: {text}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == file.resolve()]
    return f"line {lines[-1]}: {text}" if lines else text
