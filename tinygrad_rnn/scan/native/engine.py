"""The engine `native`: the whole loop over time as machine code."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import llvmlite.ir as ir
import numpy as np

from ...core.node import Array
from ..compiled import Program
from ..passes.narrow import narrow
from ..passes.reassociate import reassociate
from ..passes.simplify import simplify
from ..step import Edge, Step, spec_at
from .layout import UnsupportedError
from .library import library
from .loops import emit_loop, emit_sums
from .plan import Plan
from .products import packed_size
from .target import Target, compile_module, host

# Multiplications below which a second thread costs more than it takes over.
_WORTH_A_THREAD = 1 << 20


def native_engine(step: Step) -> Program:
    """Return the program that runs a step over time as machine code.

    Raises:
        UnsupportedError: if an operation has no native form.
    """

    def program(arrays: Sequence[Array], time: int, reverse: bool) -> list[Array]:
        key = ("native", time.bit_length(), reverse)
        found = step.cache.get(key)
        if found is None:
            found = step.cache[key] = Loop(prepared(step), time, reverse, host_target())
        return found(arrays, time)  # type: ignore[no-any-return]

    return program


@cache
def host_target() -> Target:
    """Return the machine that runs this process."""
    return host()


def prepared(step: Step) -> Step:
    """Return the step after the passes of this engine, made once."""
    if "prepared" not in step.cache:
        step.cache["prepared"] = simplify(narrow(reassociate(simplify(step))))
    return step.cache["prepared"]  # type: ignore[no-any-return]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=max(1, (os.cpu_count() or 1) - 1), thread_name_prefix="tinygrad_rnn")


class Loop:
    """A step compiled for one machine.

    Args:
        step: the step, prepared by the passes.
        time: about how many steps there are.
        reverse: run from the last step to the first.
        target: the machine.
    """

    def __init__(self, step: Step, time: int, reverse: bool, target: Target) -> None:
        self.step, self.reverse, self.target = step, reverse, target
        self.plan = plan = Plan(step, time, reverse)
        if not plan.rows:
            raise UnsupportedError("a batch of no rows")
        module = ir.Module("loop")
        emit_loop(module, plan, target)
        emit_sums(module, plan, target)
        self.module = module
        self._code = compile_module(module, target)
        integer, pointer = ctypes.c_int64, ctypes.c_void_p
        kind = ctypes.CFUNCTYPE(None, pointer, integer, integer, integer, integer)
        self._loop = kind(self._code.function_address("loop"))
        kind = ctypes.CFUNCTYPE(None, pointer, integer, integer, integer)
        self._sums = kind(self._code.function_address("sums"))
        self._work = self._multiplications()

    def _multiplications(self) -> int:
        plan = self.plan
        inside = sum(array.shape[0] * array.shape[1] for array in plan.arrays if array.kind == "packed")
        after = sum(a.width * g.width for _, a, g, _ in plan.products)
        return (inside + after) * plan.rows

    def __call__(self, given: Sequence[Array], time: int) -> list[Array]:
        """Run the loop; see `Program`."""
        step, plan = self.step, self.plan
        count = len(step.carry)
        init = given[:count]
        values: dict[Edge, Any] = {(node, 0): value for node, value in step.fixed.items()}
        for node, value in zip((*step.xs, *step.constants), given[count:], strict=True):
            values[node, 0] = value
        for node in plan.schedule.once:
            self._once(node, values)
        threads = self._threads(time)
        arrays = [self._array(array, time, init, values, threads) for array in plan.arrays]
        pointers = np.array([array.__array_interface__["data"][0] for array in arrays], np.uintp)
        address = pointers.ctypes.data
        _in_parallel(
            [(self._loop, address, time, first, last, i) for i, (first, last) in enumerate(_slices(plan.rows, threads))]
        )
        if plan.products:
            _in_parallel([(self._sums, address, time, i, threads) for i in range(threads)])
        return self._results(arrays, time, init, values)

    def _threads(self, time: int) -> int:
        cores = os.cpu_count() or 1
        return max(1, min(cores, plan_rows := self.plan.rows, self._work * time // _WORTH_A_THREAD, plan_rows))

    def _once(self, node: Any, values: dict[Edge, Any]) -> None:
        args = [
            values[parent, slot] if parent is not None else arg
            for parent, slot, arg in zip(node.parents, node.slots, node.args, strict=True)
        ]
        out = node.primitive(*args, **node.params)
        for slot, part in enumerate(out if isinstance(out, tuple) else (out,)):
            values[node, slot] = part

    def _array(self, array: Any, time: int, init: Sequence[Array], values: dict[Edge, Any], threads: int) -> Array:
        """Return one of the plan's arrays, filled as the loop finds it."""
        kind, key = array.kind, array.key
        if kind == "x":
            return np.ascontiguousarray(values[key, 0])
        if kind == "constant":
            return np.ascontiguousarray(values[key])
        if kind == "packed":
            weight = values[key]
            size = packed_size(*weight.shape, weight.dtype, self.target)
            packed = np.empty(size, weight.dtype)
            strides = [stride // weight.itemsize for stride in weight.strides]
            source = weight.__array_interface__["data"][0]
            library(weight.dtype.name, self.target).pack(source, *strides, *weight.shape, packed.ctypes.data)
            return packed
        if kind == "state":
            kept = self.plan.last[key][1]
            state = np.empty((time + 1 if kept else 2, *array.shape), array.dtype)
            at = time if self.reverse else 0
            state[at if kept else at & 1] = init[key]
            return state
        if kind == "stack":
            return np.empty((time, *array.shape), array.dtype)
        if kind == "sum":
            return np.zeros((threads, *array.shape), array.dtype)
        if kind == "total":
            return np.array(init[key])
        return np.empty(array.shape, array.dtype)

    def _results(self, arrays: list[Array], time: int, init: Sequence[Array], values: dict[Edge, Any]) -> list[Array]:
        step, plan = self.step, self.plan
        found = []
        for edge in step.ys:
            if edge in plan.stacks:
                layout = plan.stacks[edge]
                whole = arrays[layout.array]
                found.append(
                    whole if plan.arrays[layout.array].kind == "stack" else whole[layout.shift : layout.shift + time]
                )
            elif edge[0] in plan.schedule.constant:
                found.append(np.broadcast_to(values[edge], (time, *spec_at(edge).shape)))
            else:
                found.append(values[edge])
        totals = {k: arrays[number] for k, _, _, number in plan.products}
        for k in range(len(step.carry)):
            if k in totals:
                found.append(totals[k])
            elif k in plan.last:
                number, kept = plan.last[k]
                at = 0 if self.reverse else time
                found.append(np.array(arrays[number][at if kept else at & 1]))
            else:
                addend = step.addend(k)
                found.append(init[k] + arrays[plan.sums[addend]].sum(0))  # type: ignore[index]
        return found


def _slices(rows: int, threads: int) -> list[tuple[int, int]]:
    bounds = [rows * i // threads for i in range(threads + 1)]
    return list(pairwise(bounds))


def _in_parallel(calls: list[tuple[Any, ...]]) -> None:
    """Call functions with their arguments, all but the first on other threads."""
    others = [_pool().submit(*call) for call in calls[1:]]
    function, *arguments = calls[0]
    function(*arguments)
    for other in others:
        other.result()
