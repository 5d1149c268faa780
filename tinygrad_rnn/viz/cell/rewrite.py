"""Rewriting: sums, products and affine maps of a formula in the one form that is drawn, however they were written."""

from __future__ import annotations

from collections.abc import Callable

from .terms import Formula, Term

Readers = dict[Term, list[Term | None]]
# A rule returns the term that it changed, another one to stand in its place, or None where it does not apply.
Rule = Callable[[Term, Readers], Term | None]


def rewrite(formula: Formula) -> None:
    """Change the terms of a formula in place until no rule applies any more.

    What is written by hand becomes the function it is: 1 / (1 + exp(-a)) the sigmoid, a mean taken away and a
    deviation divided by a normalisation, n + z (h - n) the two products (1 - z) n + z h. Then affine maps become one
    for each value that is read by something else than an affine map.
    """
    _exhaust(formula, (_double_negative, _sigmoid, _normalisation, _turned_difference, _blend, _kept_part))
    _exhaust(formula, (_flat, _of_parts, _affine))


def _exhaust(formula: Formula, rules: tuple[Rule, ...]) -> None:
    # One change at a time: the readers that a rule asks for are those of the formula as it is.
    while _change(formula, rules):
        pass


def _change(formula: Formula, rules: tuple[Rule, ...]) -> bool:
    readers = formula.readers()
    for term in readers:
        for rule in rules:
            found = rule(term, readers)
            if found is not None:
                if found is not term:
                    formula.replace(term, found)
                return True
    return False


def _is_own(term: Term, readers: Readers) -> bool:
    """Whether a term is no result and is read once."""
    return len(readers[term]) == 1 and readers[term][0] is not None


def _double_negative(term: Term, readers: Readers) -> Term | None:
    return term.args[0].args[0] if term.op == "negative" and term.args[0].op == "negative" else None


def _sigmoid(term: Term, readers: Readers) -> Term | None:
    """1 / (1 + exp(-a)); of an affine map the sign is a matter of its weights."""
    if term.op != "reciprocal" or term.args[0].op != "add" or len(term.args[0].args) != 2:
        return None
    one, power = sorted(term.args[0].args, key=lambda arg: arg.op != "number")
    if one.op != "number" or one.number != 1 or power.op != "exp":
        return None
    exponent = power.args[0]
    if exponent.op == "negative":
        term.become("sigmoid", exponent.args)
        return term
    return None


def _normalisation(term: Term, readers: Readers) -> Term | None:
    """(a - mean(a)) / sqrt(var(a) + epsilon), or a / sqrt(mean(a²) + epsilon)."""
    if term.op != "multiply" or len(term.args) != 2:
        return None
    value, scale = sorted(term.args, key=lambda arg: arg.op == "reciprocal")
    if scale.op != "reciprocal" or scale.args[0].op != "sqrt":
        return None
    spread = _without_numbers(scale.args[0].args[0])
    centred = _centred(value)
    if centred is not None and (_is_mean_square(spread, value) or (spread.op == "var" and spread.args == [centred])):
        term.become("normalisation", [centred], "norm")
    elif _is_mean_square(spread, value):
        term.become("normalisation", [value], "RMS norm")
    else:
        return None
    term.elementwise = False
    # A normalisation's own variables, scale and shift among them, say nothing about the cell.
    reader: Term | None = term
    while reader is not None and (reader is term or any(arg.is_constant for arg in reader.args)):
        reader.name = ""
        reader = readers[reader][0] if len(readers[reader]) == 1 else None
    return term


def _without_numbers(term: Term) -> Term:
    rest = [arg for arg in term.args if arg.op != "number"]
    return rest[0] if term.op == "add" and len(rest) == 1 else term


def _centred(term: Term) -> Term | None:
    """Return a of a - mean(a)."""
    if term.op != "add" or len(term.args) != 2 or term.args[1].op != "negative":
        return None
    mean = term.args[1].args[0]
    return term.args[0] if mean.op == "mean" and mean.args == [term.args[0]] else None


def _is_mean_square(term: Term, value: Term) -> bool:
    if term.op != "mean":
        return False
    square = term.args[0]
    return square.args == [value] if square.op == "square" else square.op == "multiply" and square.args == [value] * 2


def _turned_difference(term: Term, readers: Readers) -> Term | None:
    """-(u (a - b)) as u (b - a)."""
    if term.op != "negative" or term.args[0].op != "multiply" or not _is_own(term.args[0], readers):
        return None
    product = term.args[0]
    for i, difference in enumerate(product.args):
        pair = _difference(difference)
        if pair is not None and _is_own(difference, readers):
            turned = Term("add", [pair[1], Term("negative", [pair[0]])])
            term.become("multiply", [*product.args[:i], turned, *product.args[i + 1 :]])
            return term
    return None


def _difference(term: Term) -> tuple[Term, Term] | None:
    """Return a and b of a - b."""
    if term.op != "add" or len(term.args) != 2:
        return None
    plus, minus = sorted(term.args, key=lambda arg: arg.op == "negative")
    return (plus, minus.args[0]) if minus.op == "negative" and plus.op != "negative" else None


def _blend(term: Term, readers: Readers) -> Term | None:
    """a + u (b - a) as (1 - u) a + u b."""
    if term.op != "add" or len(term.args) != 2:
        return None
    for kept, product in (term.args, term.args[::-1]):
        if product.op != "multiply" or len(product.args) != 2 or not _is_own(product, readers):
            continue
        for gate, difference in (product.args, product.args[::-1]):
            pair = _difference(difference)
            if pair is not None and pair[1] is kept and _is_own(difference, readers):
                term.become("add", [Term("multiply", [_rest(gate), kept]), Term("multiply", [gate, pair[0]])])
                return term
    return None


def _kept_part(term: Term, readers: Readers) -> Term | None:
    """a - u a as (1 - u) a, alone or among other terms."""
    if term.op != "add":
        return None
    for i, lost in enumerate(term.args):
        if lost.op != "negative" or lost.args[0].op != "multiply" or not _is_own(lost, readers):
            continue
        product = lost.args[0]
        for j, kept in enumerate(term.args):
            if len(product.args) == 2 and kept in product.args and _is_own(product, readers):
                gate = product.args[1 - product.args.index(kept)]
                made = Term("multiply", [_rest(gate), kept])
                others = [arg for k, arg in enumerate(term.args) if k not in (i, j)]
                if not others:
                    made.name = term.name
                    return made
                term.become("add", [made, *others])
                return term
    return None


def _rest(gate: Term) -> Term:
    """Return 1 - u; of a number or a constant, one too."""
    if gate.op == "number":
        return Term("number", number=1 - gate.number)
    if gate.is_constant:
        return Term(gate.op, name=f"1 − {gate.name}" if gate.name else "")
    return Term("add", [Term("number", number=1), Term("negative", [gate])])


def _flat(term: Term, readers: Readers) -> Term | None:
    """(a + b) + c as a + b + c, and products likewise."""
    if term.op not in ("add", "multiply"):
        return None
    for i, arg in enumerate(term.args):
        if arg.op == term.op and _is_own(arg, readers):
            term.args = [*term.args[:i], *arg.args, *term.args[i + 1 :]]
            return term
    return None


def _of_parts(term: Term, readers: Readers) -> Term | None:
    """An affine map of values put together, or of a part of a value, is one of those values."""
    for i, arg in enumerate(term.args if term.op == "linear" else ()):
        if arg.op in ("concatenate", "part"):
            term.args = [*dict.fromkeys([*term.args[:i], *arg.args, *term.args[i + 1 :]])]
            return term
    return None


def _affine(term: Term, readers: Readers) -> Term | None:
    """Affine maps of affine maps, their sums, and what constants do to them, as one affine map."""
    constants = [arg for arg in term.args if arg.is_constant]
    maps = [arg for arg in term.args if _is_foldable(arg, readers)]
    if term.op == "multiply":
        others = [arg for arg in term.args if not arg.is_constant]
        if not constants or len(others) != 1:
            return None
        if maps or all(constant.op == "constant" for constant in constants):
            term.become("linear", maps[0].args if maps else others)
            return term
        return None
    if term.op in ("negative", "linear") and maps:
        inner = [source for arg in term.args for source in (arg.args if arg in maps else [arg])]
        term.become("linear", [*dict.fromkeys(inner)])
        return term
    if term.op != "add" or not maps or len(maps) + len(constants) < 2:
        return None
    joint = [*dict.fromkeys([source for arg in maps for source in arg.args])]
    others = [arg for arg in term.args if arg not in maps and not arg.is_constant]
    if others:
        term.args = [Term("linear", joint, name=maps[0].name if len(maps) == 1 else ""), *others]
    else:
        term.become("linear", joint)
    return term


def _is_foldable(term: Term, readers: Readers) -> bool:
    """Whether all that reads an affine map is affine itself, so that it need not be seen."""
    return term.op == "linear" and all(reader is not None and _takes_in(reader) for reader in readers[term])


def _takes_in(reader: Term) -> bool:
    return reader.op in ("add", "negative", "linear") or (
        reader.op == "multiply" and len([arg for arg in reader.args if not arg.is_constant]) == 1
    )
