"""Decompositions of matrices, and the pseudo-inverse.

Eigenvectors and singular vectors are known up to their sign, and only where their values differ: a function of them
has a derivative if it does not depend on the signs and the values are distinct. Where values coincide, the
derivatives of the vectors, and the second ones of the values, are not finite.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import NoRuleError
from ..core.primitive import Primitive, implements

_transposed = np.matrix_transpose


def _symmetric(a: Any) -> Any:
    return (a + _transposed(a)) / 2


def _diagonal_matrix(a: Any) -> Any:
    return a[..., None] * np.eye(a.shape[-1], dtype=a.dtype)


def _inverse_gaps(values: Any) -> Any:
    """Return the matrix of 1 / (values[j] - values[i]), with a diagonal of zeros."""
    eye = np.eye(values.shape[-1], dtype=values.dtype)
    return (1 - eye) / (values[..., None, :] - values[..., :, None] + eye)


def _phi(a: Any) -> Any:
    """Return the lower triangle with half of the diagonal."""
    n = a.shape[-1]
    return a * (np.tri(n, dtype=a.dtype) - 0.5 * np.eye(n, dtype=a.dtype))


def _cholesky_vjp(g: Any, out: Any, a: Any) -> Any:
    inverse = np.linalg.inv(out)
    return _symmetric(_transposed(inverse) @ _phi(_transposed(out) @ g) @ inverse)


cholesky = Primitive("cholesky", np.linalg.cholesky, saves=("out",))
cholesky.defvjp(_cholesky_vjp)
cholesky.defjvp(lambda da, out, a: out @ _phi(np.linalg.inv(out) @ _symmetric(da) @ _transposed(np.linalg.inv(out))))
implements(np.linalg.cholesky)(cholesky)


def _eigh_vjp(gs: Any, outs: Any, args: Any, needs: Any, lower: bool) -> Any:
    (by_value, by_vector), (values, vectors) = gs, outs
    inner: Any = 0.0
    if by_value is not None:
        inner = _diagonal_matrix(by_value)
    if by_vector is not None:
        inner = inner + _inverse_gaps(values) * (_transposed(vectors) @ by_vector)
    return [_symmetric(vectors @ inner @ _transposed(vectors))]


def _eigh_jvp(tangents: Any, outs: Any, args: Any, lower: bool) -> Any:
    values, vectors = outs
    inner = _transposed(vectors) @ _symmetric(*tangents) @ vectors
    return np.diagonal(inner, axis1=-2, axis2=-1), vectors @ (_inverse_gaps(values) * inner)


# Like cholesky: one triangle is read, and the gradient is that of a symmetric matrix.
eigh = Primitive("eigh", lambda a, lower: tuple(np.linalg.eigh(a, "L" if lower else "U")), saves=("out",))
eigh.defvjp_joint(_eigh_vjp)
eigh.defjvp_joint(_eigh_jvp)

_EIGH_RESULT = type(np.linalg.eigh(np.eye(1)))


@implements(np.linalg.eigh)
def _eigh(a: Any, UPLO: str = "L") -> Any:
    return _EIGH_RESULT(*eigh(a, lower=UPLO.upper() == "L"))


@implements(np.linalg.eigvalsh)
def _eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return _eigh(a, UPLO)[0]


def _outside(a: Any, basis: Any) -> Any:
    """Return what is left of the columns of `a` when their parts in the span of a basis are taken away."""
    return a - basis @ (_transposed(basis) @ a)


def _svd_vjp(gs: Any, outs: Any, args: Any, needs: Any) -> Any:
    (by_u, by_s, by_vh), (u, s, vh) = gs, outs
    inner: Any = 0.0
    total: Any = 0.0
    if by_s is not None:
        inner = _diagonal_matrix(by_s)
    if by_u is not None:
        turn = _transposed(u) @ by_u
        inner = inner + _inverse_gaps(s * s) * (turn - _transposed(turn)) * s[..., None, :]
        total = _outside(by_u, u) / s[..., None, :] @ vh
    if by_vh is not None:
        turn = vh @ _transposed(by_vh)
        inner = inner + s[..., :, None] * _inverse_gaps(s * s) * (turn - _transposed(turn))
        total = total + (u / s[..., None, :]) @ _transposed(_outside(_transposed(by_vh), _transposed(vh)))
    return [u @ inner @ vh + total]


def _svd_jvp(tangents: Any, outs: Any, args: Any) -> Any:
    (da,), (u, s, vh) = tangents, outs
    v, gaps = _transposed(vh), _inverse_gaps(s * s)
    inner = _transposed(u) @ da @ v
    right, left = inner * s[..., None, :], s[..., :, None] * inner
    du = u @ (gaps * (right + _transposed(right))) + _outside(da @ v, u) / s[..., None, :]
    dv = v @ (gaps * (left + _transposed(left))) + _outside(_transposed(da) @ u, v) / s[..., None, :]
    return du, np.diagonal(inner, axis1=-2, axis2=-1), _transposed(dv)


svd = Primitive("svd", lambda a: tuple(np.linalg.svd(a, full_matrices=False)), saves=("out",))
svd.defvjp_joint(_svd_vjp)
svd.defjvp_joint(_svd_jvp)

_SVD_RESULT = type(np.linalg.svd(np.eye(1)))


@implements(np.linalg.svd)
def _svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    if hermitian:
        raise NoRuleError("np.linalg.svd with hermitian=True has no rule for tensors; write np.linalg.eigh")
    if full_matrices and compute_uv and a.shape[-2] != a.shape[-1]:
        raise NoRuleError(
            f"np.linalg.svd of shape {a.shape} has no rule for singular vectors beyond the shorter side, which are "
            "not determined; write full_matrices=False"
        )
    found = svd(a)
    return _SVD_RESULT(*found) if compute_uv else found[1]


@implements(np.linalg.svdvals)
def _svdvals(x: Any) -> Any:
    return svd(x)[1]


# Both rules are those of a fixed rank (Golub and Pereyra 1973).
def _pinv_vjp(g: Any, out: Any, a: Any, rcond: Any) -> Any:
    g, back = _transposed(g), _transposed(out)
    left, right = g @ out @ back, back @ out @ g
    return (left - a @ (out @ left)) + (right - right @ out @ a) - _transposed(out @ g @ out)


def _pinv_jvp(da: Any, out: Any, a: Any, rcond: Any) -> Any:
    turned, back = _transposed(da), _transposed(out)
    left, right = out @ back @ turned, turned @ back @ out
    return (left - left @ a @ out) + (right - out @ (a @ right)) - out @ da @ out


pinv = Primitive("pinv", lambda a, rcond: np.linalg.pinv(a, rcond), saves=(0, "out"))
pinv.defvjp(_pinv_vjp)
pinv.defjvp(_pinv_jvp)


@implements(np.linalg.pinv)
def _pinv(a: Any, rcond: Any = None) -> Any:
    return pinv(a, rcond=rcond)
