"""What the gradient rules of a step say, as algebra, and the numbers that go through them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple, Protocol

import numpy as np

from .algebra import Algebra, Term, Written, shared
from .backward import Addend, sum_to, sweep
from .errors import TraceError
from .modes import enable_grad
from .node import Array, Node, Spec
from .notation import PYTHON
from .primitive import identity
from .trace import Abstract, Trace, freeze, stand_in

Edge = tuple[Node, int]
_SMALL = 8


class Rules(NamedTuple):
    """The gradient rules of one step.

    Attributes:
        where: names of what is used several times, and its text.
        cotangents: for each argument that has a cotangent its letter, its position, and the text of its cotangent.
    """

    where: tuple[tuple[str, str], ...]
    cotangents: tuple[tuple[str, int, str], ...]


class Told(NamedTuple):
    """A call of a primitive that is a program of its own, in words.

    Attributes:
        lines: the program, with its rules and numbers.
        cotangents: for each argument, what its cotangent is.
    """

    lines: list[str]
    cotangents: list[str]


class Known(Protocol):
    """The numbers of a program, as far as they are known."""

    def of(self, node: Node) -> list[str]:
        """Return the lines of a node's gradients, results and cotangents."""

    def passed(self, node: Node) -> dict[int, Array]:
        """Return the cotangents that a step passes on to its arguments, by position."""

    def cotangents(self, node: Node) -> list[Any] | None:
        """Return the cotangents of a node's results, None for those without; None where there are no numbers."""


def rules(node: Node) -> Rules:
    """Return the gradient rules of a step in one line of Python each, run once on stand-ins that have no value.

    In the text, g is the cotangent of the result, out the result, and a, b, … are the arguments; with several results
    they are g0, g1, … and out0, out1, …; with more than six arguments these are a0, a1, …

    Raises:
        TraceError: if a rule asks for values that are not known.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn.core.explain import rules
        >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
        >>> rules(np.tanh(x).node).cotangents
        (('a', 0, 'g * (1 - out * out)'),)
    """
    return _rules(node, with_values=True)


def _rules(node: Node, with_values: bool) -> Rules:
    letters = _letters(node)
    algebra, trace = Algebra(), Trace()
    symbols: dict[int, Term] = {}

    def known_as(name: str, spec: Any, value: Any) -> Any:
        if not hasattr(spec, "shape"):
            return spec
        tensor = trace.input(Spec(spec.shape, spec.dtype))
        if with_values or spec.dtype.kind != "f":
            trace.known[tensor._value] = value if isinstance(value, np.ndarray) else stand_in(tensor._spec)
        symbols[tensor._value] = algebra.name(name, tensor._spec)
        return tensor

    pulled = _pulled(node, letters, known_as)
    wanted: list[tuple[str, int, int]] = []
    with enable_grad():
        for i, cotangent in pulled.items():
            parent = node.parents[i]
            assert parent is not None
            total = whole(cotangent, parent.specs[node.slots[i]])
            if not isinstance(total, Abstract):
                total = trace.record(identity, (total,), {})
            wanted.append((letters[i], i, total._value))
    terms = algebra.of_trace(trace, symbols, lambda made: algebra.name(np.asarray(made), Spec(made.shape, made.dtype)))
    return _texts(algebra, [(letter, i, terms[value]) for letter, i, value in wanted])


def _rules_of_kind(node: Node, earlier: dict[Any, Rules]) -> Rules:
    """Return the rules of a step, found before if it is of a kind that was met and that no value decides on."""
    kind = _kind(node)
    if kind is None:
        return rules(node)
    if kind not in earlier:
        try:
            earlier[kind] = _rules(node, with_values=False)
        except TraceError:  # a rule that goes one way or another by what it is given
            return rules(node)
    return earlier[kind]


def _kind(node: Node) -> Any:
    """Return what the rules of a step hang on, as a key; None where they hang on the values of an index."""
    key: list[Any] = [node.primitive, *[(spec.shape, spec.dtype) for spec in node.specs], len(node.specs)]
    for parent, slot, arg in zip(node.parents, node.slots, node.arguments, strict=True):
        spec = parent.specs[slot] if parent is not None else arg
        if not hasattr(spec, "shape"):
            key.append((type(spec), spec))
        elif spec.dtype.kind == "f":
            key.append((spec.shape, spec.dtype, parent is None))
        else:
            return None
    key.append(freeze(node.params))
    try:
        hash(tuple(key))
    except TypeError:
        return None
    return tuple(key)


def _letters(node: Node) -> list[str]:
    return [chr(97 + i) if len(node.parents) <= 6 else f"a{i}" for i in range(len(node.parents))]


def _pulled(node: Node, letters: Sequence[str], known_as: Any) -> dict[int, Any]:
    """Run the gradient rules of a node and return the cotangent of each argument that has one."""
    primitive = node.primitive
    assert primitive is not None
    ends = [""] if len(node.specs) == 1 else [str(i) for i in range(len(node.specs))]
    held = node.outs or (None,) * len(node.specs)
    gs = [known_as(f"g{end}", spec, None) for end, spec in zip(ends, node.specs, strict=True)]
    outs = [known_as(f"out{end}", spec, out) for end, spec, out in zip(ends, node.specs, held, strict=True)]
    args = []
    for i, (parent, slot, letter) in enumerate(zip(node.parents, node.slots, letters, strict=True)):
        arg = node.arguments[i]
        args.append(known_as(letter, parent.specs[slot] if parent is not None else arg, arg))
    needs = _needs(node)
    if not any(needs):
        return {}
    with enable_grad(), np.errstate(all="ignore"):
        pulled = primitive.pull(gs, outs, args, needs, node.params)
    return {i: cotangent for i, (need, cotangent) in enumerate(zip(needs, pulled, strict=True)) if need}


def whole(cotangent: Any, spec: Spec) -> Any:
    """Return a cotangent as the engine makes it: of the argument's shape and dtype, zeros where a rule gave none."""
    if cotangent is None:
        return np.zeros(spec.shape, spec.dtype)
    if type(cotangent) is Addend:
        cotangent = cotangent.primitive(*cotangent.args, **cotangent.params)
    if cotangent.shape != spec.shape:
        cotangent = sum_to(cotangent, spec)
    return cotangent if cotangent.dtype == spec.dtype else cotangent.astype(spec.dtype)


def _texts(algebra: Algebra, wanted: list[tuple[str, int, Term]]) -> Rules:
    names: dict[Term, Written] = {}
    where = []
    fresh = _fresh()
    for term in shared([term for _, _, term in wanted]):
        name = next(fresh)
        where.append((name, PYTHON.written(term, names).text))
        names[term] = Written(name)
    texts = [(letter, i, (names.get(term) or PYTHON.written(term, names)).text) for letter, i, term in wanted]
    return Rules(tuple(where), tuple(texts))


def _fresh() -> Iterator[str]:
    yield from "uvw"
    for number in count(1):
        yield f"u{number}"


def explained(node: Node, numbers: Known, earlier: dict[Any, Rules]) -> list[str]:
    """Return the lines that stand below a step: the numbers that are known, and its gradient rules.

    Args:
        node: the step.
        numbers: of its graph.
        earlier: the rules of steps of the same kind, so that a long graph is no long wait.
    """
    if node.primitive is not None and node.primitive.told is not None:
        own = node.primitive.told(node, _letters(node), numbers.cotangents(node))
        if own is not None:
            return _program(node, numbers, own)
    lines = numbers.of(node)
    if node.primitive is None:
        return lines
    if any(parent is None and arg is None for parent, arg in zip(node.parents, node.arguments, strict=True)):
        return [*lines, "cotangents: freed by an earlier backward pass, with the constants in their rules"]
    try:
        found = _rules_of_kind(node, earlier)
    except TraceError:
        return [*lines, f"cotangents: by the rule of {node.operation}, which cannot be written as algebra"]
    lines += [f"{name} = {text}" for name, text in found.where]
    return lines + _passed_on(node, numbers, found.cotangents)


def _program(node: Node, numbers: Known, own: Told) -> list[str]:
    """Return the lines of a step that is a program of its own."""
    needs = [i for i, need in enumerate(_needs(node)) if need]
    letters = _letters(node)
    return own.lines + _passed_on(node, numbers, [(letters[i], i, own.cotangents[i]) for i in needs])


def _passed_on(node: Node, numbers: Known, cotangents: Sequence[tuple[str, int, str]]) -> list[str]:
    passed = numbers.passed(node)
    return [
        f"cotangent of {letter}: {text}" + (f" = {in_numbers(passed[i])}" if i in passed else "")
        for letter, i, text in cotangents
    ]


def _needs(node: Node) -> list[bool]:
    """Return for each argument whether it has a cotangent: none of a comparison has, whose result has none either."""
    places = zip(node.parents, node.slots, strict=True)
    passes = any(spec.dtype.kind == "f" for spec in node.specs)
    return [passes and parent is not None and parent.specs[slot].dtype.kind == "f" for parent, slot in places]


class Numbers:
    """The values and cotangents of a graph, as far as its nodes still hold what they are made of.

    They are looked for once a backward pass has left gradients.

    Attributes:
        notes: what is to be said about those that are missing.
    """

    def __init__(self, nodes: Sequence[Node], outputs: Sequence[Edge]) -> None:
        self._values: dict[Edge, Array] = {}
        self._cotangents: dict[Edge, Array] = {}
        self.notes: list[str] = []
        self._wanted = any(_gradients(node) for node in nodes)
        if not self._wanted:
            return
        if any(node.args is None for node in nodes):
            self.notes = ["# numbers were freed by backward(); backward(retain_graph=True) keeps them"]
            return
        self._values = _values(nodes)
        (root, slot), *others = outputs
        if others or root.specs[slot].size != 1:
            self.notes = ["# cotangents have numbers in a graph with one result of one element"]
            return
        edges = [(node, slot) for node in nodes for slot in range(len(node.specs))]
        seed = np.ones(root.specs[slot].shape, root.specs[slot].dtype)
        found = sweep([(root, slot, seed)], edges, None, retain_graph=True)
        self._cotangents = {edge: g for edge, g in zip(edges, found, strict=True) if g is not None}

    def of(self, node: Node) -> list[str]:
        """Return the lines of a node's gradients, results and cotangents."""
        if not self._wanted:
            return []
        several = len(node.specs) > 1
        lines = []
        for name, known in (("out", self._values), ("g", self._cotangents)):
            if node.primitive is not None:
                lines += [
                    f"{name}{slot if several else ''} = {in_numbers(known[node, slot])}"
                    for slot in range(len(node.specs))
                    if (node, slot) in known
                ]
            elif name == "out" and (node, 0) in known:
                lines.append(f"value = {in_numbers(known[node, 0])}")
        for slot, gradient in _gradients(node).items():
            lines += [f"gradient = {in_numbers(gradient)}", *self._other_than(gradient, node, slot)]
        return lines

    def _other_than(self, gradient: Array, node: Node, slot: int) -> list[str]:
        """Return a note where a gradient is not what the contributions of the graph add up to."""
        if not self._cotangents:
            return []
        own = self._cotangents.get((node, slot), np.zeros_like(gradient))
        near = float(np.sqrt(np.finfo(node.specs[slot].dtype).eps))
        with np.errstate(invalid="ignore"):
            greatest = np.max(np.abs(own), initial=0, where=np.isfinite(own))
            if np.allclose(gradient, own, rtol=near, atol=near * float(greatest), equal_nan=True):
                return []
        return [
            f"# backward() of this graph alone gives {in_numbers(own)}; other passes, a cotangent or a change made this"
        ]

    def passed(self, node: Node) -> dict[int, Array]:
        """Return the cotangents that a step passes on to its arguments, by position."""
        gs = [self._cotangents.get((node, slot)) for slot in range(len(node.specs))]
        if node.primitive is None or all(g is None for g in gs):
            return {}
        needs = _needs(node)
        pulled = node.primitive.pull(gs, node.outs or (), node.args or (), needs, node.params)
        return {
            i: np.asarray(whole(cotangent, parent.specs[slot]))
            for i, (cotangent, parent, slot) in enumerate(zip(pulled, node.parents, node.slots, strict=True))
            if parent is not None and needs[i]
        }

    def cotangents(self, node: Node) -> list[Any] | None:
        """Return the cotangents of a node's results, None for those without; None where there are no numbers."""
        if not self._wanted or node.args is None:
            return None
        return [self._cotangents.get((node, slot)) for slot in range(len(node.specs))]


def _gradients(node: Node) -> dict[int, Array]:
    """Return what `.grad` holds, by output."""
    watches = node.watches or {}
    return {slot: watch.grad for slot, watch in watches.items() if watch.grad is not None}


def _values(nodes: Sequence[Node]) -> dict[Edge, Array]:
    """Return the values that nodes hold, and those that can be computed from them."""
    found: dict[Edge, Array] = {}
    for node in nodes:
        for parent, slot, arg in zip(node.parents, node.slots, node.args or (), strict=False):
            if parent is not None and isinstance(arg, np.ndarray):
                found[parent, slot] = arg
        for slot, out in enumerate(node.outs or ()):
            if isinstance(out, np.ndarray):
                found[node, slot] = out
    for node in nodes:
        if node.primitive is not None and not all((node, slot) in found for slot in range(len(node.specs))):
            args = [
                found.get((parent, slot)) if parent is not None else arg
                for parent, slot, arg in zip(node.parents, node.slots, node.args or (), strict=True)
            ]
            if not any(arg is None or isinstance(arg, Spec) for arg in args):
                outs = node.primitive(*args, **node.params)
                found |= {(node, slot): out for slot, out in enumerate(outs if type(outs) is tuple else (outs,))}
    return found


def in_numbers(array: Array) -> str:
    """Return a small array as its numbers, a large one as its shape, norm, minimum, mean and maximum.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.core.explain import in_numbers
        >>> in_numbers(np.array([[1.0, 0.333333], [2.0, np.nan]]))
        '[[1, 0.3333], [2, nan]]'
        >>> in_numbers(np.arange(12.0).reshape(3, 4))
        'shape (3, 4), norm 22.49, min 0, mean 5.5, max 11'
    """
    if array.size <= _SMALL:
        return _nested(array.tolist())
    wide = array.astype(np.float64)
    with np.errstate(all="ignore"):
        told = {"norm": np.sqrt((wide * wide).sum()), "min": wide.min(), "mean": wide.mean(), "max": wide.max()}
    return ", ".join([f"shape {array.shape}", *[f"{name} {value:.4g}" for name, value in told.items()]])


def _nested(numbers: Any) -> str:
    if isinstance(numbers, list):
        return f"[{', '.join(map(_nested, numbers))}]"
    return str(numbers) if isinstance(numbers, bool) else f"{numbers:.4g}"
