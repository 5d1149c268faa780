"""A function of nests as a function of one flat vector, with its derivatives as the graph gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import Tensor, enable_grad, random
from ..core.backward import Edge, sweep
from ..core.errors import ConfigError, DtypeError, GradcheckError
from ..core.forward import push
from ..core.node import Array, Node, ancestors
from ..core.tree import tree_flatten, tree_unflatten
from .differences import scales

Function = Callable[..., Any]


def places(nest: Any, path: str) -> list[str]:
    """Return where each leaf of a nest stands, as one would write it: path['w'][0]."""
    if nest is None:
        return []
    if isinstance(nest, (tuple, list)):
        names = getattr(nest, "_fields", None)
        parts = [f".{name}" for name in names] if names else [f"[{i}]" for i in range(len(nest))]
        return [place for part, child in zip(parts, nest, strict=True) for place in places(child, path + part)]
    if isinstance(nest, dict):
        return [place for key, child in nest.items() for place in places(child, f"{path}[{key!r}]")]
    return [path]


class Blocks:
    """Where in a flat vector each of several arrays begins and ends."""

    def __init__(self, shapes: Sequence[tuple[int, ...]], labels: Sequence[str]) -> None:
        self.shapes = shapes
        self.labels = labels
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes]).tolist() if shapes else []
        self.slices = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
        self.size = ends[-1] if ends else 0

    def split(self, vector: Array) -> list[Array]:
        """Return the arrays that a flat vector holds."""
        return [vector[part].reshape(shape) for part, shape in zip(self.slices, self.shapes, strict=True)]

    def join(self, arrays: Sequence[Any]) -> Array:
        """Return arrays as one flat vector of float64; None counts as zeros."""
        parts = [
            np.zeros(part.stop - part.start) if array is None else np.asarray(array, np.float64).reshape(-1)
            for part, array in zip(self.slices, arrays, strict=True)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    def name(self, number: int) -> str:
        """Return what an element of the flat vector is called: its array and its index there."""
        for part, shape, label in zip(self.slices, self.shapes, self.labels, strict=True):
            if part.start <= number < part.stop:
                place = [int(i) for i in np.unravel_index(number - part.start, shape)] if shape else []
                return label + (str(place) if place else "")
        raise IndexError(number)


def _is_float(leaf: Any) -> bool:
    return isinstance(leaf, float) or getattr(getattr(leaf, "dtype", None), "kind", "") == "f"


def _height(values: Array) -> float:
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0)) or 1.0


def _curve(tensor: Tensor, point: Array, size: Any) -> Any:
    """Return a function of a tensor that has the value and the slope of the identity at a point, and is no line."""
    off = tensor - np.asarray(point, tensor.dtype)
    return tensor + off * (off * np.asarray(0.25 / size, tensor.dtype))


class Problem:
    """A function and the point to differentiate it at.

    Args:
        function: takes nests of tensors, returns a nest of tensors.
        inputs: one nest for each argument. Floating leaves move, in float64; all others are passed on as they are.
        results: what the result is called in messages.

    Raises:
        ConfigError: if no leaf is floating.
    """

    def __init__(self, function: Function, inputs: Sequence[Any], results: str = "the result") -> None:
        self.function = function
        self.results = results
        self.leaves, self.structure = tree_flatten(tuple(inputs))
        labels = [place for i, nest in enumerate(inputs) for place in places(nest, f"input {i}")]
        arrays = [leaf.data if isinstance(leaf, Tensor) else np.asarray(leaf) for leaf in self.leaves]
        self.moving = [i for i, array in enumerate(arrays) if array.dtype.kind == "f"]
        if not self.moving:
            raise ConfigError("gradcheck: no floating input to differentiate; give at least one float array")
        self.points = [np.array(arrays[i], dtype=np.float64) for i in self.moving]
        self.inputs = Blocks([point.shape for point in self.points], [labels[i] for i in self.moving])
        self.dtypes = [np.dtype(np.float64) for _ in self.moving]
        self.outputs: Blocks | None = None
        self._state = random.get_state()
        try:
            self.first = Record(self, self.points)
        except DtypeError:
            # The function takes no float64: then it is checked in the dtypes that it was given.
            own = [arrays[i].dtype for i in self.moving]
            if own == self.dtypes:
                raise
            self.dtypes = own
            self.first = Record(self, self.points)
        self.precision = self.first.precision()

    def call(self, values: Sequence[Array], requires_grad: bool) -> tuple[list[Tensor], list[Any]]:
        """Return the moving inputs as tensors, and the floating leaves of the result."""
        tensors = [
            Tensor(value, requires_grad=requires_grad, dtype=dtype)
            for value, dtype in zip(values, self.dtypes, strict=True)
        ]
        leaves = list(self.leaves)
        for i, tensor in zip(self.moving, tensors, strict=True):
            leaves[i] = tensor
        random.set_state(self._state)
        nest = self.function(*tree_unflatten(self.structure, leaves))
        names = places(nest, self.results)
        found = [(out, name) for out, name in zip(tree_flatten(nest)[0], names, strict=True) if _is_float(out)]
        shapes = [np.shape(out) for out, _ in found]
        if self.outputs is None:
            self.outputs = Blocks(shapes, [name for _, name in found])
        elif self.outputs.shapes != shapes:
            raise GradcheckError(
                f"the function gave shapes {self.outputs.shapes} at the point and {shapes} close by; a function whose "
                "shapes depend on values has no derivative, so make them depend on shapes alone"
            )
        return tensors, [out for out, _ in found]

    def values(self, vector: Array) -> Array:
        """Return all results as a flat vector, of all inputs as a flat vector."""
        results = self.call(self.inputs.split(vector), requires_grad=False)[1]
        assert self.outputs is not None
        return self.outputs.join([out._data if isinstance(out, Tensor) else out for out in results])

    def curved(self) -> Problem:
        """Return the function between two curves that change neither its value at the point nor its slopes.

        Inside, tangents and cotangents then depend on the point, so that a rule which takes them for constants is
        right to first order and wrong to second.
        """
        assert self.outputs is not None
        known = self.inputs.join(self.points)
        rng = np.random.default_rng(0)
        base = self.values(known)
        near = self.values(
            known
            + 0.1
            * np.concatenate([scales(point).reshape(-1) for point in self.points])
            * rng.uniform(-1, 1, known.shape)
        )
        heights = [_height(np.concatenate([base[part], (near - base)[part]])) for part in self.outputs.slices]
        values = self.outputs.split(base)

        def function(*inputs: Any) -> Any:
            leaves, structure = tree_flatten(inputs)
            for i, point in zip(self.moving, self.points, strict=True):
                leaves[i] = _curve(leaves[i], point, scales(point))
            nest = self.function(*tree_unflatten(structure, leaves))
            results, shape = tree_flatten(nest)
            rest = iter(zip(values, heights, strict=True))
            for i, out in enumerate(results):
                if _is_float(out):
                    value, height = next(rest)
                    if isinstance(out, Tensor):
                        results[i] = _curve(out, value, height)
            return tree_unflatten(shape, results)

        return Problem(function, tree_unflatten(self.structure, self.leaves), self.results)

    def record(self, vector: Array) -> Record:
        """Run the function at another point and record it."""
        return Record(self, self.inputs.split(vector))


class Record:
    """One recorded run of a problem."""

    def __init__(self, problem: Problem, points: Sequence[Array]) -> None:
        self.inputs = problem.inputs
        with enable_grad():
            self.tensors, self.results = problem.call(points, requires_grad=True)
        assert problem.outputs is not None
        self.outputs: Blocks = problem.outputs
        self.edges: list[Edge] = [(tensor._node, 0) for tensor in self.tensors]  # type: ignore[misc]

    def roots(self) -> list[Tensor]:
        """Return the results that were recorded."""
        return [out for out in self.results if isinstance(out, Tensor) and out.node is not None]

    def moving(self) -> set[Node]:
        """Return the nodes that depend on the inputs."""
        found = {node for node, _ in self.edges}
        for node in ancestors([out.node for out in self.roots() if out.node is not None]):
            if any(parent in found for parent in node.parents):
                found.add(node)
        return found

    def precision(self) -> float:
        """Return the coarsest machine epsilon on the way from the inputs to the results."""
        specs = [spec for node in self.moving() for spec in node.specs if spec.dtype.kind == "f"]
        return float(max([np.finfo(spec.dtype).eps for spec in specs], default=np.finfo(np.float64).eps))

    def pull(self, cotangent: Array, record: bool = False) -> list[Any]:
        """Return the cotangents of the inputs for one of the results, None where there is none.

        A result whose part is zero gets no cotangent at all: rules of several results have to bear that.
        """
        wrap = Tensor._wrap if record else None
        seeds: list[tuple[Node, int, Any]] = []
        for out, part in zip(self.results, self.outputs.split(cotangent), strict=True):
            if isinstance(out, Tensor) and out.node is not None and part.any():
                seed = np.array(part, dtype=out.dtype)
                seed.flags.writeable = False
                seeds.append((out.node, out._index, Tensor._wrap(seed) if record else seed))
        with enable_grad():
            return sweep(seeds, self.edges, wrap, retain_graph=True) if seeds else [None] * len(self.edges)

    def push(self, tangent: Array, record: bool = False) -> list[Any]:
        """Return the tangents of the results for one of the inputs, None where there is none."""
        wrap = Tensor._wrap if record else None
        edges: dict[Edge, Any] = {}
        for edge, tensor, part in zip(self.edges, self.tensors, self.inputs.split(tangent), strict=True):
            seed = np.array(part, dtype=tensor.dtype)
            seed.flags.writeable = False
            edges[edge] = Tensor._wrap(seed) if record else seed
        known = [isinstance(out, Tensor) and out.node is not None for out in self.results]
        with enable_grad():
            roots = [(out.node, out._index) for out in self.roots() if out.node is not None]
            found = iter(push(edges, roots, wrap))
        return [next(found) if there else None for there in known]

    def gradient(self, cotangent: Array) -> Array:
        """Return `pull` as a flat vector."""
        return self.inputs.join(self.pull(cotangent))

    def tangent(self, direction: Array) -> Array:
        """Return `push` as a flat vector."""
        return self.outputs.join(self.push(direction))

    def of(self, tensors: Sequence[Any], blocks: Blocks) -> Record:
        """Return the record of other results of the same run, such as recorded cotangents."""
        record = Record.__new__(Record)
        record.inputs, record.tensors, record.edges = self.inputs, self.tensors, self.edges
        record.results, record.outputs = list(tensors), blocks
        return record
