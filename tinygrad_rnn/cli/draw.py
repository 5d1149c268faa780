"""The command `draw`: a picture of a cell as a layer over time, or of the model of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .. import nn, train, viz
from ..core import Tensor, random
from ..core.errors import ConfigError
from ..train.cells import BUILT_IN, CellClass, blame, built_in, is_own
from ..train.model import make_cell

# Enough steps to fold, and few enough to be drawn in full.
_STEPS, _INPUT, _HIDDEN = 10, 3, 4


def draw(what: str, cell: str | None = None, **options: Any) -> viz.Picture:
    """Draw what the command line names.

    Args:
        what: a cell of `nn` by its name, such as "lstm"; a cell of one's own as "FILE.py:CLASS" or "MODULE:CLASS",
            whose code is executed; or the folder of a run.
        cell: for a run, the class that its settings name.
        options: as `viz.draw` takes them.

    Raises:
        ConfigError: if `what` is none of these, or an option is none of its choices.
        CellError: if the cell cannot be made or run.
        TinygradRNNError: as `viz.draw`.

    Example:
        >>> from tinygrad_rnn.cli.draw import draw
        >>> "× 10" in draw("gru").source
        True
    """
    if what and Path(what).is_dir():
        return _draw_run(what, cell, options)
    if cell is not None:
        raise ConfigError(f"--cell goes with the folder of a run, and there is no folder {what}; leave --cell away")
    if built_in(what) is None and not is_own(what):
        names = ", ".join(BUILT_IN)
        raise ConfigError(
            f"cannot draw {what!r}; give {names}, FILE.py:CLASS, MODULE:CLASS or the folder of a run, which must exist"
        )
    return _draw_cell(train.import_cell(what), options)


def _draw_cell(cell: CellClass, options: dict[str, Any]) -> viz.Picture:
    """Draw a layer of a cell; an error of the cell's own says where it arose."""
    state = random.get_state()
    try:
        random.seed(0)
        with blame(cell):
            layer = nn.Recurrent(make_cell(cell, _INPUT, _HIDDEN))
            x = np.ones((_STEPS, 1, _INPUT), np.float32)
            return viz.draw(_with_loss(layer, options.get("backward", False)), x, **options)
    finally:
        random.set_state(state)


def _with_loss(layer: nn.Module, wants_loss: bool) -> Any:
    """Return a layer, or for gradients a function from its input to one number."""
    if not wants_loss:
        return layer

    def loss(x: Any) -> Tensor:
        y, _ = layer(x)
        mean: Tensor = np.mean(y * y)
        return mean

    return loss


def _draw_run(folder: str, cell: str | None, options: dict[str, Any]) -> viz.Picture:
    """Draw a run's model, with the loss of training where gradients are to be drawn."""
    run = train.Run.load(folder, train.import_cell(cell) if cell is not None else None)
    ids = np.arange(_STEPS + 1)[:, None] % len(run.vocabulary)

    def loss(ids: Any) -> Tensor:
        logits, _ = run.model(ids)
        return nn.cross_entropy(logits, targets)

    ids, targets = ids[:-1], ids[1:]
    return viz.draw(loss if options.get("backward") else run.model, ids, **options)
