"""What is done to a traced step before a derivative is taken of it."""

from __future__ import annotations

from collections.abc import Callable

from .passes.columns import columns
from .passes.lift import Lifted, lift
from .passes.products import merge_products, split_products
from .passes.regroup import regroup
from .passes.simplify import simplify
from .passes.splits import one_split
from .step import Step


def prepared(step: Step, own: Callable[[Step], Step]) -> Lifted:
    """Return a traced step after the passes that all engines share and those of one, made once.

    Its derivatives are then those of what is run: few products forward make few products backward.

    Args:
        step: the step.
        own: the passes of an engine.
    """
    key = ("prepared", own)
    if key not in step.cache:
        step.cache[key] = lift(simplify(own(shared(step)), differentiated=False))
    return step.cache[key]  # type: ignore[no-any-return]


def shared(step: Step) -> Step:
    """Return a traced step after the passes that all engines share."""
    step = merge_products(simplify(one_split(columns(step)), differentiated=False))
    return regroup(simplify(merge_products(split_products(step)), differentiated=False))
