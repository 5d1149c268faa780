"""The source of a loop over time, forward and backward, as NumPy that can be read and run by itself."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from ..core import Spec, Tensor
from ..core.errors import ConfigError
from ..core.names import LocalNames
from ..core.primitive import Primitive
from ..core.tree import tree_flatten, tree_map
from . import derive
from .checks import name_of
from .compiled import needs
from .loop_text import LoopText
from .numpy_engine import simplified
from .passes.lift import Lifted
from .passes.merge import merge
from .prepare import prepared
from .step import Step, extent_of, is_float, spec_at, traced
from .text import dtype_text, number_text, shape_text
from .whole import whole_step


def source(step: Any, init: Any, xs: Any, *, reverse: bool = False, suffix: str = "") -> str:
    """Return NumPy source that runs a step over time as the engine `numpy` does, and its backward pass.

    The text defines `forward` and `backward`. Both need NumPy alone, but for operations that NumPy lacks, which they
    import from this package. Names are those of the step's own local variables and parameters: `i` is a value of one
    step, `i_all` stacks those of all steps, `d_i` is the gradient of i. Above what is done for it stands each line of
    the step's own source.

    Args:
        step: one step, as `scan` takes it.
        init: the state before the first step, as `scan` takes it; shapes and dtypes count.
        xs: a nest of arrays or tensors, every leaf (time, ...); shapes and dtypes count.
        reverse: run from the last step to the first.
        suffix: of the names of the two functions.

    Returns:
        The text. What its functions take and return is said in their docstrings.

    Raises:
        TraceError: if the step cannot be traced.
        ConfigError: if it calls a primitive of the user's own that is no attribute of a module, to import it by.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.scan import source
        >>> def leaky(x, h):
        ...     h = 0.5 * h + x
        ...     return h, h
        >>> print(source(leaky, np.zeros(2), np.ones((3, 2))))  # doctest: +ELLIPSIS
        import numpy as np
        <BLANKLINE>
        <BLANKLINE>
        def forward(x_all, h):
        ...
            for t in range(time):
                # h = 0.5 * h + x
                h = h_all[t]
                np.multiply(0.5, h, out=multiply)
                x = x_all[t]
                h_next = h_all[t + 1]
                np.add(multiply, x, out=h_next)
        ...
            for t in reversed(range(time)):
        ...
    """
    xs = tree_map(lambda leaf: leaf if isinstance(leaf, Tensor) else Tensor(leaf), xs)
    init = tree_map(lambda leaf: leaf if isinstance(leaf, Tensor) else Tensor(leaf), init)
    x_leaves, x_structure = tree_flatten(xs)
    leaves, structure = tree_flatten(init)
    code = getattr(getattr(type(step), "forward", step), "__code__", None)
    with LocalNames(code) as names:
        found = traced(
            whole_step(step, init, False, False),
            [Spec(leaf.shape[1:], leaf.dtype) for leaf in x_leaves],
            [Spec(leaf.shape, leaf.dtype) for leaf in leaves],
            (x_structure, structure),
            [extent_of(leaf) for leaf in x_leaves],
        )
    lifted = prepared(found.named(names), merge)
    wanted = needs(lifted.constants(found.captured))
    floating = tuple([is_float((node, 0)) for node in lifted.step.xs])
    saving = derive.saving(lifted.step, floating, wanted)
    count = len(lifted.step.ys)
    has = tuple([i < count and is_float(edge) for i, edge in enumerate(saving.ys)])
    derived = derive.vjp(saving, derive.Wanted(has, floating, wanted))
    time = x_leaves[0].shape[0]
    forward = LoopText(simplified(saving), time, reverse, lifted, range(len(lifted.step.constants)))
    numbers = [source.number for source in derived.constants]
    backward = LoopText(simplified(derived.step), time, not reverse, lifted, numbers, "backward of: ")
    pair = [
        _forward_text(forward, derived, name_of(step), count, reverse, suffix),
        _backward_text(backward, forward, lifted, derived, needs(found.captured), suffix),
    ]
    imports = ["import numpy as np", *sorted({*_imports(forward), *_imports(backward)})]
    return "\n\n\n".join(["\n".join(imports), *pair])


def joined_sources(texts: Sequence[str]) -> str:
    """Return several sources as one, what they import first."""
    heads, bodies = zip(*[text.split("\n\n\n", 1) for text in texts], strict=True)
    imports = dict.fromkeys(line for head in heads for line in head.splitlines())
    return "\n\n\n".join(["\n".join(imports), *bodies])


def _forward_text(text: LoopText, derived: derive.Derived, name: str, count: int, reverse: bool, suffix: str) -> str:
    step, number = text.step, len(text.step.ys)
    takes = [*step.xs, *step.carry, *text.constants]
    ys = ["y_all"] if count == 1 else [f"y{i}_all" for i in range(count)]
    saved = [text.results[source.number] for source in derived.xs if source.kind == "saved"]
    doc = [
        f"Run {name} over all steps, from the {'last to the first' if reverse else 'first to the last'}.",
        "",
        "Args:",
        *[f"    {text.parameters[node]}: {_shape(node.specs[0], node in step.xs)}" for node in takes],
        "",
        "Returns:",
        *[f"    {y}: {_shape(spec_at(edge), True)}" for y, edge in zip(ys, step.ys, strict=False)],
        *[f"    {text.parameters[node]}: {_shape(node.specs[0], False)}, after the last step" for node in step.carry],
        "    saved: what the backward pass reads",
    ]
    results = [*text.results[:count], *text.results[number:], "saved"]
    end = [*text.end, f"saved = ({', '.join(saved)}{',' * (len(saved) == 1)})"]
    first = [f"time = len({text.parameters[step.xs[0]]})"]
    return _function(f"forward{suffix}", [text.parameters[node] for node in takes], doc, first, text, end, results)


def _backward_text(
    text: LoopText,
    forward: LoopText,
    lifted: Lifted,
    derived: derive.Derived,
    wanted: Sequence[bool],
    suffix: str,
) -> str:
    step = text.step
    by_source = dict(zip(derived.xs, step.xs, strict=True))
    sums = {source.number: k for k, source in enumerate(derived.carry) if source.kind == "sum"}
    states = [node for source, node in zip(derived.carry, step.carry, strict=True) if source.kind == "carry"]
    given = [node for source, node in by_source.items() if source.kind == "cotangent"]
    saved = [text.parameters[node] for source, node in by_source.items() if source.kind == "saved"]
    xs = [(by_source.get(derive.Source("x", i)), node) for i, node in enumerate(forward.step.xs)]
    names = {node: text.parameters[own] if own else text.name(forward.parameters[node]) for own, node in xs}
    same = [*names.values(), *[text.parameters[node] for node in text.constants]]
    slopes = text.pull_back(*_of_constants(lifted, sums, wanted))
    answers = [
        *[(f"d_{names[forward.step.xs[i]]}", text.results[k]) for k, i in enumerate(derived.ys)],
        *[(text.parameters[node], text.results[len(step.ys) + step.carry.index(node)]) for node in states],
        *[(f"d_{text.parameters[node]}", slope) for node, slope in slopes.items()],
    ]
    doc = [
        "Return the gradients of a loss, given its gradients in what the forward pass returned.",
        "",
        "Args:",
        *[f"    {text.parameters[node]}: {_shape(node.specs[0], True)}" for node in given],
        *[f"    {text.parameters[node]}: {_shape(node.specs[0], False)}, in the last state" for node in states],
        *_filled(f"{', '.join(['saved', *same])}: of the forward pass"),
        "",
        "Returns:",
        *_filled(", ".join([name for name, _ in answers])),
    ]
    takes = [
        *[text.parameters[node] for node in (*given, *states)],
        "saved",
        *same,
    ]
    first = [f"{', '.join(saved)}{',' * (len(saved) == 1)} = saved"] if saved else []
    first.append(f"time = len({next(iter(names.values()))})")
    return _function(f"backward{suffix}", takes, doc, first, text, text.end, [answer for _, answer in answers])


def _of_constants(lifted: Lifted, sums: dict[int, int], wanted: Sequence[bool]) -> tuple[Any, ...]:
    """Return the backward pass of what was lifted: the step, which sum each of its inputs is, and its constants."""
    step = Step((), (), lifted.given, lifted.edges, ())
    has = tuple([i in sums for i in range(len(lifted.edges))])
    derived = derive.vjp(step, derive.Wanted(has, (), tuple(wanted)))
    cotangents = {node: sums[source.number] for source, node in zip(derived.xs, derived.step.xs, strict=True)}
    constants = {
        node: lifted.given[source.number]
        for source, node in zip(derived.constants, derived.step.constants, strict=True)
    }
    results = [lifted.given[source.number] for source in derived.carry]
    return derived.step, cotangents, constants, results


def _filled(text: str) -> list[str]:
    return textwrap.wrap(text, 92, initial_indent=" " * 4, subsequent_indent=" " * 8, break_long_words=False)


def _shape(spec: Spec, over_time: bool) -> str:
    return f"{shape_text('time', spec.shape) if over_time else spec.shape} {spec.dtype}"


def _function(
    name: str, takes: list[str], doc: list[str], first: list[str], text: LoopText, end: list[str], results: list[str]
) -> str:
    lines = [
        *_wrapped(f"def {name}(", takes, "):"),
        f'    """{doc[0]}',
        *[f"    {line}".rstrip() for line in doc[1:]],
        '    """',
    ]
    sections = (
        ("", first),
        ("once", [*_arrays(text), *text.once]),
        ("for all steps", text.before),
        ("memory", text.memory),
        ("one step", text.loop()),
        ("after the loop", end),
    )
    for title, section in sections:
        if section:
            lines += [f"    # {title}"] * bool(title)
            lines += [f"    {line}" for line in section]
    lines += [f"    {line}" for line in _wrapped("return (", results, ")")]
    return "\n".join(lines)


def _wrapped(start: str, parts: list[str], stop: str) -> list[str]:
    """Return a call or a tuple, in one line if it fits."""
    line = f"{start}{', '.join(parts)}{stop}"
    if len(line) <= 100:
        return [line]
    filled = textwrap.wrap(", ".join(parts) + ",", 96, break_long_words=False, break_on_hyphens=False)
    return [start, *[f"    {part}" for part in filled], stop]


def _arrays(text: LoopText) -> list[str]:
    """Return the lines that make the arrays which belong to the step itself."""
    lines = []
    for node, value in text.step.fixed.items():
        spec, name = node.specs[0], text.place_of(node)
        same = value.size and (value == value.flat[0]).all()
        made = f"np.full({spec.shape}, {number_text(value.flat[0].item())}" if same else f"np.array({value.tolist()}"
        lines.append(f"{name} = {made}, {dtype_text(spec)})")
    return lines


def _imports(text: LoopText) -> list[str]:
    """Return the lines that import the primitives which a text calls."""
    lines = []
    for name in text.functions.keys() - {text.place_of(node) for node in text.step.fixed}:
        primitive = text.primitives.get(name)
        module, own = _home(primitive) if primitive is not None else (None, "")
        if module is None:
            what = primitive.name if primitive is not None else name.removesuffix("_of")
            raise ConfigError(
                f"source() cannot write the operation {what!r} as text; make it a tg.Primitive that is an attribute of "
                "a module, with numbers, strings and tuples for its parameters"
            )
        lines.append(f"from {module} import {own} as {name}")
    return lines


def _home(primitive: Primitive) -> tuple[str | None, str]:
    """Find the module that a primitive is an attribute of, and under what name."""
    home = getattr(primitive.forward, "__module__", None)
    for module in [sys.modules.get(home or ""), *list(sys.modules.values())]:
        for name, value in list(vars(module).items()) if module is not None else ():
            if value is primitive:
                return module.__name__, name  # type: ignore[union-attr]
    return None, ""
