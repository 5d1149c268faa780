"""One step at a time as machine code: the arrays of a loop, bound once to their places."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.node import Array
from ..memory import memory as lent
from ..step import Step, spec_at
from .engine import _ALIGNMENT, compiled_loop
from .layout import UnsupportedError, address


class Stepping:
    """A step that machine code takes, with weights packed once and a state that stays in its place.

    Args:
        step: the step.
        init: the state before the first step, an array for each leaf.
        constants: an array for each constant; what is packed or computed from them is done here.

    Raises:
        UnsupportedError: if an operation has no native form.
    """

    def __init__(self, step: Step, init: Sequence[Array], constants: Sequence[Array]) -> None:
        self._loop = loop = compiled_loop(step, 1, reverse=False)
        plan, step = loop.plan, loop.step
        if loop._totals or loop._summed:
            raise UnsupportedError("a step whose state only adds up")
        self._inputs = [np.empty((1, *node.specs[0].shape), node.specs[0].dtype) for node in step.xs]
        given = [*init, *self._inputs, *[np.ascontiguousarray(value) for value in constants]]
        arrays: list[Any] = [None] * len(plan.arrays)
        for number, place in loop._given:
            arrays[number] = given[place]
        values = loop._values(given)
        for number, edge in loop._computed:
            arrays[number] = np.ascontiguousarray(values[edge])
        memory = np.empty(loop._private, np.uint8)
        start = address(memory) + -address(memory) % _ALIGNMENT
        pointers = [0 if array is None else address(array) for array in arrays]
        for number, offset in loop._offsets:
            pointers[number] = start + offset
        for number, size in loop._lent:
            arrays[number] = lent.empty((size,), np.uint8)
            pointers[number] = address(arrays[number])
        for number, edge, pack in loop._packed:
            weight = values[edge]
            strides = [stride // weight.itemsize for stride in weight.strides]
            pack(address(weight), *strides, *weight.shape, pointers[number])
        for number in loop._stacks:
            array = plan.arrays[number]
            arrays[number] = np.empty((1, *array.shape), array.dtype)
            pointers[number] = address(arrays[number])
        self._turns = self._states(arrays, pointers, init)
        self._ys = [self._result(edge, arrays, values) for edge in step.ys]
        self._carry = [arrays[plan.last[k][0]][0] if k in plan.last else init[k] for k in range(len(step.carry))]
        self._held = arrays, values, memory
        self._run = loop._loop
        self._table = (ctypes.c_uint64 * len(pointers))(*pointers)
        self._rows = plan.rows

    def _states(self, arrays: list[Any], pointers: list[int], init: Sequence[Array]) -> list[tuple[Array, Array]]:
        """Lay out the state before and after a step; leaves of one shape lie together, to be moved as one."""
        alike: dict[Any, list[tuple[int, int]]] = {}
        for number, k, _ in self._loop._states:
            array = self._loop.plan.arrays[number]
            alike.setdefault((array.shape, array.dtype), []).append((number, k))
        turns = []
        for (shape, dtype), members in alike.items():
            block = np.empty((len(members), 2, *shape), dtype)
            for i, (number, k) in enumerate(members):
                block[i, 0] = init[k]
                arrays[number] = block[i]
                pointers[number] = address(block[i])
            turns.append((block[:, 0], block[:, 1]))
        return turns

    def _result(self, edge: Any, arrays: list[Any], values: dict[Any, Any]) -> Array:
        plan = self._loop.plan
        if edge in plan.stacks:
            layout = plan.stacks[edge]
            return arrays[layout.array][layout.shift]  # type: ignore[no-any-return]
        if edge[0] in plan.schedule.constant:
            return np.broadcast_to(values[edge], spec_at(edge).shape)
        raise UnsupportedError("a result that only adds up")

    def __call__(self, xs: Sequence[Array]) -> list[Array]:
        """Take one step and return its results."""
        for place, x in zip(self._inputs, xs, strict=True):
            place[0] = x
        self._run(self._table, 1, 0, self._rows, 0)
        found = [np.array(y) for y in self._ys]
        for before, after in self._turns:
            before[...] = after
        return found

    @property
    def state(self) -> list[Array]:
        """The state as it is now, an array for each leaf."""
        return [np.array(leaf) for leaf in self._carry]
