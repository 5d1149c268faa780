"""The command `explore`: a page of a cell that reads a text, or of what a run makes of one."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from .. import nn, train
from ..core import Tensor, keep_values
from ..core.errors import ConfigError
from ..train.cells import BUILT_IN, blame, built_in, is_own
from ..train.model import make_cell
from ..viz.page import Page, explore_text, page_of

_WRITTEN, _HIDDEN = 12, 3


def explore(what: str | None, text: str | None, cell: str | None, hidden: int | None, seed: int, values: bool) -> Page:
    """Return a page.

    Args:
        what: a run's folder, a cell as `cell` names one, or None for the cell that `cell` names.
        text: what is read; None takes "hello" or, for a run, what the run writes itself.
        cell: a cell of `nn` by its name, such as "rnn", or "FILE.py:CLASS" or "MODULE:CLASS"; for a run, the class that
            its settings name.
        hidden: size of the state of a new cell; None for a run, whose cells have theirs, and for 3.
        seed: of the weights of a new cell, or of what the run writes.
        values: put values and gradients into the page.

    Raises:
        ConfigError: if `what` is neither a folder nor a cell, or a size or seed is out of range.
        CellError: if the cell cannot be made or run.
        DataError: if the text is too short or too long, or has characters that the run does not know.

    Example:
        >>> from tinygrad_rnn.cli.explore import explore
        >>> explore(None, "hello", "rnn", 3, 0, values=True).save("hello.html")  # doctest: +SKIP
    """
    if hidden is not None and hidden < 1:
        raise ConfigError(f"hidden is {hidden}; give a whole number of at least 1")
    if seed < 0:
        raise ConfigError(f"seed is {seed}; give a whole number of at least 0")
    if what and Path(what).is_dir():
        if hidden is not None:
            raise ConfigError(f"--hidden is for a new cell; {what} is a run with cells of its own; leave it away")
        run = train.Run.load(what, train.import_cell(cell) if cell is not None else None)
        return explore_run(run, text, seed, values)
    if what is not None and built_in(what) is None and not is_own(what):
        names = ", ".join(BUILT_IN)
        raise ConfigError(
            f"cannot explore {what!r}; give a run's folder, which must exist, or a cell: {names}, FILE.py:CLASS or "
            "MODULE:CLASS"
        )
    if what is not None and cell is not None:
        raise ConfigError(f"two cells, {what} and --cell {cell}; give one")
    made = train.import_cell(next((name for name in (what, cell) if name is not None), "rnn"))
    with blame(made):
        size = _HIDDEN if hidden is None else hidden
        return explore_text("hello" if text is None else text, partial(make_cell, made), size, seed=seed, values=values)


def explore_run(run: train.Run, text: str | None, seed: int, values: bool) -> Page:
    """Return a page of what a run's model makes of a text, and of the gradient of its loss.

    Args:
        run: as `train.Run.load` opens it.
        text: from 2 characters; None takes what the run writes itself.
        seed: of what the run writes.
        values: put values and gradients into the page.

    Raises:
        ConfigError: if the text is shorter, or has more characters than a page can show.
        DataError: if it has characters that the run does not know.
    """
    if text is None:
        text = run.sample(length=_WRITTEN, rng=np.random.default_rng(seed))
    if not 2 <= len(text) <= 200:
        raise ConfigError(f"a text of {len(text):,} characters; give from 2 to 200")
    ids = run.vocabulary.encode(text)
    with keep_values():
        logits, _ = run.model(ids[:-1, None])
        loss: Tensor = nn.cross_entropy(logits, ids[1:, None])
    captions = {t: f"{now!r} → {after!r}" for t, (now, after) in enumerate(pairwise(text))}
    title = f"{run.folder.name}: {run.config.cell} after {run.step:,} steps reads {text!r}"
    return page_of(loss, {}, {}, title=title, values=values, captions=captions)
