"""What of a step goes row by row: the proof that threads may take slices of the batch, and what its views show."""

from __future__ import annotations

from typing import NamedTuple

from ...core import Node
from ..families import is_elementwise, is_product_with_matrix, is_view
from ..passes.schedule import Schedule
from ..step import Edge, Step, spec_at
from .layout import UnsupportedError


class Base(NamedTuple):
    """What a view shows: some columns of a value, or one column again and again."""

    edge: Edge
    start: int
    columns: int


class Rows:
    """The values of a step that have a row for each row of the batch.

    Args:
        step: the step, prepared by the passes.
        schedule: of it.

    Attributes:
        rows: of the batch.
        by_row: nodes whose values have as many rows, none of which depends on another row.
        adders: nodes that add to a sum over time.
        summed: for each leaf of the state that adds up rows over time, the node of its addend.

    Raises:
        UnsupportedError: if an operation mixes rows, or has no native form.
    """

    def __init__(self, step: Step, schedule: Schedule) -> None:
        self.step, self.schedule = step, schedule
        self.rows = self._batch()
        self.by_row = self._rowwise()
        self.bases = self._find_bases()

    def _batch(self) -> int:
        shapes = {
            node.specs[0].shape[:1]
            for k, node in enumerate(self.step.carry)
            if k not in self.schedule.deferred and self.step.addend(k) is None
        }
        shapes |= {node.specs[0].shape[:1] for node in self.step.xs}
        if len(shapes) != 1 or shapes == {()}:
            raise UnsupportedError(f"states and inputs that do not share their first axis: {sorted(shapes)}")
        return int(next(iter(shapes))[0])

    def _rowwise(self) -> set[Node]:
        """Find the nodes whose values have a row for each row of the batch; refuse what mixes rows."""
        sums = [k for k in range(len(self.step.carry)) if self.step.addend(k) is not None and not self._keeps_rows(k)]
        accumulators = {self.step.carry[k] for k in sums}
        found = ({*self.step.carry} - accumulators) | set(self.step.xs)
        for node in (*found, *accumulators):
            if node.specs[0].dtype.name not in ("float32", "float64", "bool"):
                raise UnsupportedError(f"values of dtype {node.specs[0].dtype}")
        self.adders = {self.step.next_carry[k][0] for k in sums}
        self.summed: dict[int, Node] = {}
        for k in sums:
            addend = self.step.addend(k)
            if addend is not None and k not in self.schedule.deferred:
                self.summed[k] = addend
        for node in self.schedule.loop:
            if node in self.adders or node in self.summed.values():
                continue
            self._check(node, found)
            found.add(node)
        for addend in self.summed.values():
            if not self._sums_rows(addend) or addend.parents[0] not in found:
                raise UnsupportedError(f"a sum over time of {addend.operation}")
        return found

    def _keeps_rows(self, k: int) -> bool:
        """Whether what is added to a leaf of the state has a row for each of the batch: then it is like any other."""
        addend = self.step.addend(k)
        assert addend is not None
        shape = addend.specs[0].shape
        return k not in self.schedule.deferred and shape[:1] == (self.rows,) and not self._sums_rows(addend)

    def _sums_rows(self, node: Node) -> bool:
        """Whether a node adds up the rows of a value; of a single row that is the row in another shape."""
        if not node.parents or node.parents[0] is None:
            return False
        given = node.parents[0].specs[node.slots[0]].shape
        if len(given) != 2 or given[0] != self.rows or node.specs[0].shape != given[1:]:
            return False
        if node.operation == "reshape":
            return self.rows == 1
        return node.operation == "sum" and node.params["axis"] == (0,)

    def _check(self, node: Node, rowwise: set[Node]) -> None:
        spec = node.specs[0]
        for part in node.specs:
            if len(part.shape) not in (1, 2) or part.shape[0] != self.rows:
                raise UnsupportedError(f"{node.operation} of shape {part.shape}")
            if part.dtype.name not in ("float32", "float64", "bool"):
                raise UnsupportedError(f"{node.operation} of dtype {part.dtype}")
        row_parents = [(p, s) for p, s in zip(node.parents, node.slots, strict=True) if p is not None and p in rowwise]
        if not row_parents:
            raise UnsupportedError(f"{node.operation} of what is no row of the batch")
        name = node.operation
        if is_elementwise(node):
            if any(len(p.specs[s].shape) != len(spec.shape) for p, s in row_parents):
                raise UnsupportedError(f"{name} that sets rows against columns")
        elif name == "matmul":
            if not is_product_with_matrix(node) or node.parents[1] not in self.schedule.constant:
                raise UnsupportedError("a product with something else than a constant matrix")
        elif name in ("sum", "mean", "max", "min"):
            if node.params["axis"] != (1,):
                raise UnsupportedError(f"{name} over axes {node.params['axis']}")
        elif name == "concatenate":
            if node.params["axis"] != 1 or any(len(p.specs[s].shape) != 2 for p, s in _edges(node)):
                raise UnsupportedError("concatenate along the batch")
        elif is_view(node):
            self._view_start(node, 0)
        else:
            raise UnsupportedError(name)

    def _view_start(self, node: Node, slot: int) -> int:
        """Return the column of its argument that a view begins at."""
        given = node.parents[0].specs[node.slots[0]].shape  # type: ignore[union-attr]
        shape = node.specs[slot].shape
        if node.operation == "split" and node.params["axis"] == 1 and len(given) == 2:
            return (0, *node.params["bounds"])[slot]  # type: ignore[no-any-return]
        if node.operation in ("reshape", "broadcast_to") and given[0] == shape[0] == self.rows:
            columns = [given[1] if len(given) == 2 else 1, shape[1] if len(shape) == 2 else 1]
            if columns[0] == columns[1] or (columns[0] == 1 and node.operation == "broadcast_to"):
                return 0
        if node.operation == "getitem":
            index = node.params["index"]
            index = index if isinstance(index, tuple) else (index,)
            if index[:1] == (Ellipsis,) and len(given) == 2:
                index = (slice(None), *index[1:])
            if index == (slice(None), None) and len(given) == 1:
                return 0
            if len(index) == 2 and index[0] == slice(None) and len(given) == 2:
                if isinstance(index[1], slice) and index[1].step in (None, 1):
                    return index[1].indices(given[1])[0]
                if isinstance(index[1], int):
                    return range(given[1])[index[1]]
        raise UnsupportedError(f"{node.operation} from shape {given} to {shape}")

    def width(self, edge: Edge) -> int:
        """Return the number of columns of a value."""
        shape = spec_at(edge).shape
        if edge[0] in self.by_row:
            return shape[1] if len(shape) == 2 else 1
        return shape[-1] if shape else 1

    def _find_bases(self) -> dict[Edge, Base]:
        found: dict[Edge, Base] = {}
        for node in self.schedule.loop:
            if is_view(node) and node in self.by_row:
                parent: Edge = (node.parents[0], node.slots[0])  # type: ignore[assignment]
                base = found.get(parent, Base(parent, 0, self.width(parent)))
                for slot in range(len(node.specs)):
                    start = self._view_start(node, slot) if base.columns > 1 else 0
                    columns = min(base.columns, self.width((node, slot)))
                    found[node, slot] = Base(base.edge, base.start + start, columns)
        return found

    def base(self, edge: Edge) -> Base:
        """Return what a value is a view of; itself where it is none."""
        return self.bases.get(edge, Base(edge, 0, self.width(edge)))


def _edges(node: Node) -> list[Edge]:
    return [(parent, slot) for parent, slot in zip(node.parents, node.slots, strict=True) if parent is not None]
