"""Products of matrices and tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.errors import NoRuleError
from ..core.primitive import Primitive, as_operand, implements
from .arithmetic import ufunc


def _matmul_left(g: Any, out: Any, a: Any, b: Any) -> Any:
    if b.ndim == 2 and a.ndim > 2:  # one product over all leading axes, instead of one for each
        return (_rows(g) @ b.T).reshape((*g.shape[:-1], b.shape[0]))
    if b.ndim == 1:
        return g[..., None] * b
    if a.ndim == 1:
        return (b @ g[..., None]).squeeze(-1)
    return g @ b.swapaxes(-1, -2)


def _rows(a: Any) -> Any:
    """Return a matrix of all the rows along the last axis; -1 for their number would fail where they are empty."""
    return a.reshape(math.prod(a.shape[:-1]), a.shape[-1])


def _matmul_right(g: Any, out: Any, a: Any, b: Any) -> Any:
    if a.ndim == 2 and b.ndim == 2:
        return a.T @ g
    if a.ndim == 1:
        return g * a if b.ndim == 1 else a[:, None] * g[..., None, :]
    if b.ndim == 1:
        return _rows(a).T @ g.ravel()
    if b.ndim == 2:  # one product over all leading axes, instead of one for each and a sum
        return _rows(a).T @ _rows(g)
    return a.swapaxes(-1, -2) @ g


matmul = ufunc(Primitive("matmul", np.matmul, saves=(0, 1)), np.matmul)
matmul.defvjp(_matmul_left, _matmul_right)
matmul.defjvp(lambda da, out, a, b: da @ b, lambda db, out, a, b: a @ db)


@implements(np.dot)
def _dot(a: Any, b: Any) -> Any:
    a, b = as_operand(a), as_operand(b)
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    if b.ndim <= 2:
        return np.matmul(a, b)
    columns = np.moveaxis(b, -2, 0)
    product = np.matmul(a, columns.reshape((b.shape[-2], math.prod(columns.shape[1:]))))
    return product.reshape((*a.shape[:-1], *columns.shape[1:]))


# Letters that no subscripts of a user's have, for the axes of an ellipsis and for diagonals.
_SPARE = [chr(code) for code in range(192, 592)]


def _einsum_other(g: Any, index: int, args: Any, terms: tuple[str, ...], result: str) -> Any:
    """Return the cotangent of one operand: an einsum of the result's cotangent with the other operands."""
    term = terms[index]
    inputs, operands = [result], [g]
    for i, arg in enumerate(args):
        if i != index:
            inputs.append(terms[i])
            operands.append(arg)
    target = ""
    for axis, letter in enumerate(term):
        if letter in target:  # a diagonal: only elements with equal indices went into the result
            fresh = next(c for c in _SPARE if c not in "".join(inputs) + target)
            n = args[index].shape[axis]
            inputs.append(letter + fresh)
            operands.append(np.eye(n, dtype=g.dtype))
            target += fresh
        else:
            target += letter
            n = args[index].shape[axis]
            others = zip(inputs, operands, strict=True)
            if not any(n in (1, operand.shape[other.index(letter)]) for other, operand in others if letter in other):
                # Summed over here alone, or against length 1: every element counts once.
                inputs.append(letter)
                operands.append(np.ones(n, g.dtype))
    return einsum(*operands, terms=tuple(inputs), result=target)


def _einsum_vjp(gs: Any, outs: Any, args: Any, needs: Any, terms: tuple[str, ...], result: str) -> Any:
    (g,) = gs
    return [_einsum_other(g, i, args, terms, result) if need else None for i, need in enumerate(needs)]


def _einsum_jvp(tangents: Any, outs: Any, args: Any, terms: tuple[str, ...], result: str) -> Any:
    total = None
    for i, tangent in enumerate(tangents):
        if tangent is not None:
            part = einsum(*args[:i], tangent, *args[i + 1 :], terms=terms, result=result)
            total = part if total is None else total + part
    return total


def _einsum_forward(*operands: Any, terms: tuple[str, ...], result: str) -> Any:
    numbers: dict[str, int] = {}
    flat: list[Any] = []
    for operand, term in zip(operands, terms, strict=True):
        flat += [operand, [numbers.setdefault(letter, len(numbers)) for letter in term]]
    # An optimised path goes through BLAS.
    return np.einsum(*flat, [numbers[letter] for letter in result], optimize=len(operands) > 1)


einsum = Primitive("einsum", _einsum_forward)
einsum.defvjp_joint(_einsum_vjp)
einsum.defjvp_joint(_einsum_jvp)


@implements(np.einsum)
def _einsum(subscripts: Any, *operands: Any, optimize: Any = False) -> Any:
    if not isinstance(subscripts, str):
        raise NoRuleError("np.einsum with lists of axes has no rule for tensors; write the subscripts as a string")
    arrays = [op if hasattr(op, "ndim") else np.asarray(as_operand(op)) for op in operands]
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(arrays):
        raise ValueError(
            f"einsum {subscripts!r} names {len(terms)} operands, {len(arrays)} given; give one for each term"
        )
    extra = [a.ndim - len(t.replace("...", "")) for a, t in zip(arrays, terms, strict=True)]
    used = set(left + result)
    spare = [c for c in _SPARE if c not in used]
    longest = max([n for n, t in zip(extra, terms, strict=True) if "..." in t], default=0)
    wild = "".join(spare[:longest])
    terms = [t.replace("...", wild[longest - n :] if n else "") for t, n in zip(terms, extra, strict=True)]
    for term, array in zip(terms, arrays, strict=True):
        if len(term) != array.ndim:
            raise ValueError(f"einsum {subscripts!r}: an operand of shape {array.shape}; give as many letters as axes")
    if arrow:
        if wild and "..." not in result:
            raise ValueError(f"einsum {subscripts!r} would lose the axes of '...'; write it in the result too")
        result = result.replace("...", wild)
    else:
        letters = "".join(terms)
        result = wild + "".join(sorted(c for c in set(letters) - set(wild) if letters.count(c) == 1))
    return einsum(*arrays, terms=tuple(terms), result=result)
