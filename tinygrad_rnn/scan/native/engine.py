"""The engine `native`: the whole loop over time as machine code."""

from __future__ import annotations

import ctypes
import math
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
from ..memory import memory
from ..passes.narrow import narrow
from ..passes.reassociate import reassociate
from ..passes.simplify import simplify
from ..step import Edge, Step, spec_at
from .layout import UnsupportedError, address
from .library import library
from .loops import emit_loop, emit_sums
from .plan import Plan
from .products import workspace_size
from .target import Target, compile_module, host
from .tiles import packed_size

_ALIGNMENT = 64
# Multiplications below which a second thread costs more than it takes over.
_WORTH_A_THREAD = 1 << 20
# Bytes from which a packed weight lies in memory of its own, which forward and backward use in turn.
_LARGE = 1 << 20


def native_engine(step: Step) -> Program:
    """Return the program that runs a step over time as machine code.

    Raises:
        UnsupportedError: if an operation has no native form.
    """

    def program(arrays: Sequence[Array], time: int, reverse: bool) -> list[Array]:
        return compiled_loop(step, time, reverse)(arrays, time)

    return program


def compiled_loop(step: Step, time: int, reverse: bool) -> Loop:
    """Return the machine code of a step for about so many steps of time, made once."""
    key = ("native", time.bit_length(), reverse)
    found: Loop | None = step.cache.get(key)
    if found is None:
        found = step.cache[key] = Loop(prepared(step), time, reverse, host_target())
    return found


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


if hasattr(os, "register_at_fork"):
    # A child process has none of its parent's threads, so that it would wait for them for ever.
    os.register_at_fork(after_in_child=_pool.cache_clear)


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
        self._code = compile_module(module, target)
        integer, pointer = ctypes.c_int64, ctypes.c_void_p
        kind = ctypes.CFUNCTYPE(None, pointer, integer, integer, integer, integer)
        self._loop = kind(self._code.function_address("loop"))
        kind = ctypes.CFUNCTYPE(None, pointer, integer, integer, integer)
        self._sums = kind(self._code.function_address("sums"))
        self._work = self._multiplications()
        self._lay_out()

    def _multiplications(self) -> int:
        plan = self.plan
        inside = sum(array.shape[0] * array.shape[1] for array in plan.arrays if array.kind == "packed")
        after = sum(a.width * g.width for _, a, g, _ in plan.products)
        return (inside + after) * plan.rows

    def _lay_out(self) -> None:
        """Decide what lies where: what no caller ever sees is one piece of memory, used again by later calls."""
        plan, step = self.plan, self.step
        count = len(step.carry)
        places = {(node, 0): count + i for i, node in enumerate((*step.xs, *step.constants))}
        self._given: list[tuple[int, int]] = []
        self._computed: list[tuple[int, Edge]] = []
        self._packed: list[tuple[int, Edge, Any]] = []
        self._states: list[tuple[int, int, bool]] = []
        self._stacks: list[int] = []
        self._totals: list[tuple[int, int]] = []
        self._summed: list[int] = []
        self._offsets: list[tuple[int, int]] = []
        self._lent: list[tuple[int, int]] = []
        offset = 0
        for number, array in enumerate(plan.arrays):
            key: Any = (array.key, 0) if array.kind == "x" else array.key
            size = math.prod(array.shape) * array.dtype.itemsize
            if array.kind in ("x", "constant") and key in places:
                self._given.append((number, places[key]))
                continue
            if array.kind == "constant":
                self._computed.append((number, key))
                continue
            if array.kind == "stack":
                self._stacks.append(number)
                continue
            if array.kind == "total":
                self._totals.append((number, key))
                continue
            if array.kind == "state":
                kept = plan.last[key][1]
                self._states.append((number, key, kept))
                if kept:
                    continue
                size *= 2
            elif array.kind == "packed":
                self._packed.append((number, key, library(array.dtype.name, self.target).pack))
                depth, width = array.shape
                size = packed_size(depth, width, array.dtype, self.target) * array.dtype.itemsize
                if size >= _LARGE:
                    self._lent.append((number, size))
                    continue
            elif array.kind == "sum":
                self._summed.append(number)
                size *= _cores()
            elif array.kind == "workspace":
                size = workspace_size(array.dtype, self.target) * array.dtype.itemsize * _cores()
            self._offsets.append((number, offset))
            offset += -(-size // _ALIGNMENT) * _ALIGNMENT
        self._private = offset + _ALIGNMENT
        self._table: Any = ctypes.c_uint64 * len(plan.arrays)
        self._spare: list[Array] = []
        self._fixed: dict[Edge, Any] = {(node, 0): value for node, value in step.fixed.items()}
        self._places = places

    def __call__(self, given: Sequence[Array], time: int) -> list[Array]:
        """Run the loop; see `Program`."""
        plan = self.plan
        arrays: list[Any] = [None] * len(plan.arrays)
        pointers = [0] * len(plan.arrays)
        for number, place in self._given:
            value = given[place]
            if not value.flags.c_contiguous:
                value = np.ascontiguousarray(value)
            arrays[number] = value
            pointers[number] = address(value)
        values = self._values(given)
        for number, edge in self._computed:
            value = values[edge]
            if not value.flags.c_contiguous:
                value = np.ascontiguousarray(value)
            arrays[number] = value
            pointers[number] = address(value)
        try:
            private = self._spare.pop()
        except IndexError:
            private = np.empty(self._private, np.uint8)
        start = address(private)
        start += -start % _ALIGNMENT
        for number, offset in self._offsets:
            pointers[number] = start + offset
        for number, size in self._lent:
            arrays[number] = memory.empty((size,), np.uint8)
            pointers[number] = address(arrays[number])
        for number, edge, pack in self._packed:
            weight = values[edge]
            size = weight.itemsize
            rows, columns = weight.strides
            pack(address(weight), rows // size, columns // size, *weight.shape, pointers[number])
        threads = self._threads(time)
        self._fill(arrays, pointers, given, time, threads, private)
        table = self._table(*pointers)
        if threads == 1:
            self._loop(table, time, 0, plan.rows, 0)
            if plan.products:
                self._sums(table, time, 0, 1)
        else:
            slices = _slices(plan.rows, threads)
            held = (self, arrays, private)
            _in_parallel([(self._loop, table, time, *rows, i) for i, rows in enumerate(slices)], held)
            if plan.products:
                _in_parallel([(self._sums, table, time, i, threads) for i in range(threads)], held)
        found = self._results(arrays, time, given, values)
        self._spare.append(private)
        return found

    def _fill(
        self,
        arrays: list[Any],
        pointers: list[int],
        given: Sequence[Array],
        time: int,
        threads: int,
        private: Array,
    ) -> None:
        """Make the arrays that the loop writes to, filled as it finds them."""
        plan = self.plan
        origin = address(private)

        def piece(number: int, shape: tuple[int, ...]) -> Array:
            return np.ndarray(shape, plan.arrays[number].dtype, private, pointers[number] - origin)  # type: ignore

        for number, k, kept in self._states:
            array = plan.arrays[number]
            at = time if self.reverse else 0
            if kept:
                arrays[number] = state = memory.empty((time + 1, *array.shape), array.dtype)
                pointers[number] = address(state)
            else:
                arrays[number] = state = piece(number, (2, *array.shape))
                at &= 1
            state[at] = given[k]
        for number in self._stacks:
            array = plan.arrays[number]
            arrays[number] = stack = memory.empty((time, *array.shape), array.dtype)
            pointers[number] = address(stack)
        for number, k in self._totals:
            empty = self.step.carry[k] in self.step.zeros
            arrays[number] = total = memory.empty(given[k].shape, given[k].dtype)
            if not empty:
                total[...] = given[k]
            pointers[number] = address(total)
        for number in self._summed:
            arrays[number] = sums = piece(number, (threads, *plan.arrays[number].shape))
            sums[...] = 0

    def _values(self, given: Sequence[Array]) -> dict[Edge, Any]:
        """Return the constants, and what is computed from them once."""
        values = dict(self._fixed)
        for edge, place in self._places.items():
            values[edge] = given[place]
        for node in self.plan.schedule.once:
            args = [
                values[parent, slot] if parent is not None else arg
                for parent, slot, arg in zip(node.parents, node.slots, node.args or (), strict=True)
            ]
            out = node.primitive(*args, **node.params)  # type: ignore[misc]
            for slot, part in enumerate(out if isinstance(out, tuple) else (out,)):
                values[node, slot] = part
        return values

    def _threads(self, time: int) -> int:
        # Sums over rows are added up slice by slice: if their number depended on the load of the machine, a training
        # that is resumed would end in other bits.
        rows = 1 if self.plan.before or self.plan.after else self.plan.rows
        return max(1, min(_cores(), rows, self._work * time // _WORTH_A_THREAD))

    def _results(self, arrays: list[Any], time: int, given: Sequence[Array], values: dict[Edge, Any]) -> list[Array]:
        step, plan = self.step, self.plan
        found = []
        for edge in step.ys:
            if edge in plan.stacks:
                layout = plan.stacks[edge]
                whole = arrays[layout.array]
                kept = plan.arrays[layout.array].kind == "state"
                found.append(whole[layout.shift : layout.shift + time] if kept else whole)
            elif edge[0] in plan.schedule.constant:
                # A copy: the array may be one that a user writes to.
                found.append(np.broadcast_to(np.array(values[edge]), (time, *spec_at(edge).shape)))
            else:
                found.append(values[edge])
        totals = {k: arrays[number] for number, k in self._totals}
        for k in range(len(step.carry)):
            if k in totals:
                found.append(totals[k])
            elif k in plan.last:
                number, kept = plan.last[k]
                at = 0 if self.reverse else time
                found.append(np.array(arrays[number][at if kept else at & 1]))
            else:
                found.append(given[k] + arrays[plan.sums[plan.summed[k]]].sum(0))
        return found


@cache
def _cores() -> int:
    return os.cpu_count() or 1


def _slices(rows: int, threads: int) -> list[tuple[int, int]]:
    bounds = [rows * i // threads for i in range(threads + 1)]
    return list(pairwise(bounds))


def _in_parallel(calls: list[tuple[Any, ...]], held: tuple[Any, ...]) -> None:
    """Call functions with their arguments, all but the first on other threads.

    Args:
        calls: the functions, each with its arguments.
        held: what they work on. A KeyboardInterrupt here waits for nobody: memory that the threads still write to must
            not be given to others.
    """
    holding = list(held)
    others = [_pool().submit(_call, holding, *call) for call in calls[1:]]
    function, *arguments = calls[0]
    function(*arguments)
    for other in others:
        other.result()
    holding.clear()  # a thread lets go of its arguments some time after it has given the result


def _call(holding: list[Any], function: Any, *arguments: Any) -> None:
    function(*arguments)
