"""The student's first page: a cell reads a text, a column a character, and guesses each next one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from ... import nn
from ...core import Node, Tensor, keep_values, random, scope
from ...core.errors import CellError, DataError
from ...core.tree import tree_flatten
from ...ops import softmax
from ...scan.checks import describe, matcher, name_of, refuse_step
from .explore import Page, page_of

LONGEST = 60


def explore_text(
    text: str, cell: Callable[[int, int], nn.Cell] = nn.RNNCell, hidden: int = 3, *, seed: int = 0, values: bool = True
) -> Page:
    """Make a page of a cell that reads a text: input, state, probabilities, loss, and the gradient that comes back.

    The weights are random. Every character is a column; below it stands the character that is read, with the next one,
    whose probability makes the loss.

    Args:
        text: from 2 to 60 characters.
        cell: makes a cell from the size of its input and of its state.
        hidden: size of the state.
        seed: of the weights.
        values: put values and gradients into the page.

    Raises:
        DataError: if the text is shorter or longer.
        CellError: if a step does not return an output (batch, features) and a state like the one that it was given.

    Source: Karpathy 2015, *The unreasonable effectiveness of recurrent neural networks*, the figure of "hello".

    Example:
        >>> from tinygrad_rnn.viz.page.first import explore_text
        >>> explore_text("hello").save("hello.html")  # doctest: +SKIP
    """
    if not 2 <= len(text) <= LONGEST:
        raise DataError(f"a text of {len(text):,} characters; give from 2 to {LONGEST}, such as 'hello'")
    symbols = list(dict.fromkeys(text))
    before = random.get_state()
    random.seed(seed)
    try:
        reader = cell(len(symbols), hidden)
        state = reader.initial_state(1)
        head = nn.Linear(_width(reader, len(symbols)), len(symbols))
    finally:
        random.set_state(before)
    for name, parameter in (*reader.named_parameters(), *head.named_parameters()):
        parameter.name = parameter.name or name
    inputs: dict[Node, str] = {}
    names: dict[tuple[Node, int], str] = {}
    losses: list[Tensor] = []
    with keep_values():
        for t, (now, following) in enumerate(pairwise(text)):
            one_hot = np.zeros((1, len(symbols)), np.float32)
            one_hot[0, symbols.index(now)] = 1
            x = Tensor(one_hot, requires_grad=True, name=f"x{t}")
            with scope(t):
                y, state = _step(reader, x, state, t)
                p = softmax(head(y))
                with scope("loss"):
                    loss = -np.log(p[0, symbols.index(following)])
            if x.node is not None:
                inputs[x.node] = f"x{t}"
            named = {f"p{t}": [p], f"loss{t}": [loss], f"h{t}": tree_flatten(state)[0]}
            for name, tensors in named.items():
                names |= {(tensor.node, tensor._index): name for tensor in tensors if tensor.node is not None}
            losses.append(loss)
        total = losses[0] if len(losses) == 1 else np.sum(np.stack(losses))
    captions = {t: f"{now!r} → {following!r}" for t, (now, following) in enumerate(pairwise(text))}
    closed = {type(reader).__name__, type(head).__name__, "loss"}
    title = f"{type(reader).__name__} reads {text!r}"
    return page_of(total, inputs, names, title=title, values=values, captions=captions, closed=sorted(closed))


def _width(cell: nn.Cell, input_size: int) -> int:
    """Return the size of a cell's output, by one step."""
    y, _ = _step(cell, Tensor(np.zeros((1, input_size), np.float32)), cell.initial_state(1), 0)
    return int(y.shape[-1])


def _step(cell: nn.Cell, x: Tensor, state: Any, t: int) -> tuple[Any, Any]:
    """Take one step, and raise a CellError unless it returns an array of one row and a state like the one before."""
    out = cell(x, state)
    if not isinstance(out, tuple) or len(out) != 2 or not matcher(state)(out[1]):
        refuse_step(cell, out, state, t)
    if getattr(out[0], "shape", ())[:-1] != (1,):
        raise CellError(
            f"{name_of(cell)}, step {t}: the output of a batch of 1 is {describe(out[0])}; return one array of shape "
            "(batch, features)"
        )
    return out
