"""NumPy's functions with each of their arguments: values of NumPy, derivatives of central differences."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.core.errors import NoRuleError
from tinygrad_rnn.testing import gradcheck
from tinygrad_rnn.testing.strategies import values

few = settings(max_examples=max(2, settings().max_examples // 20))

SPREAD = np.diag([0.0, 5.0, 20.0])


def symmetric(a):
    return a + np.swapaxes(a, -1, -2) + SPREAD


def projections(a):
    """Return what an eigenvector and a pair of singular vectors say whatever their signs."""
    vectors = np.linalg.eigh(symmetric(a))[1]
    u, _, vh = np.linalg.svd(a + SPREAD, full_matrices=False)
    return [vectors[..., :, :1] * np.swapaxes(vectors[..., :, :1], -1, -2), u[..., :, 1:2] @ vh[..., 1:2, :]]


CALLS = {
    "eigenvalues of a stack": (
        lambda a: [np.linalg.eigvalsh(symmetric(a)), *np.linalg.eigh(symmetric(a))[:1]],
        (2, 3, 3),
    ),
    "projections of a stack": (projections, (2, 3, 3)),
    "singular values of a stack": (lambda a: np.linalg.svdvals(a + SPREAD[:, 1:]), (2, 3, 2)),
    "pseudo-inverses of a stack": (lambda a: np.linalg.pinv(a + SPREAD[:, 1:]), (2, 3, 2)),
    "norms of singular values": (
        lambda a: [np.linalg.norm(a + SPREAD[:, 1:], ord, keepdims=True) for ord in (2, -2, "nuc")],
        (3, 2),
    ),
    "norms of singular values of a stack": (
        lambda a: [
            *[np.linalg.norm(np.moveaxis(a + SPREAD, 0, 2), 2, (0, 1), keepdims=k) for k in (False, True)],
            np.linalg.norm(np.moveaxis(a + SPREAD, 0, 2), "nuc", (-3, -2), keepdims=True),
        ],
        (2, 3, 3),
    ),
    "tensordot over no axes": (lambda a, b: np.tensordot(a, b, 0), (2, 3), (2,)),
    "tensordot over one axis": (lambda a, b: np.tensordot(a, b, 1), (4, 2, 3), (3, 2)),
    "tensordot by default": (np.tensordot, (4, 2, 3), (2, 3, 5)),
    "tensordot over a pair": (lambda a, b: np.tensordot(a, b, (0, -1)), (2, 3), (4, 2)),
    "tensordot over lists": (lambda a, b: np.tensordot(a, b, ([0, 2], [1, 0])), (2, 3, 4), (4, 2, 5)),
    "tensordot of all": (lambda a, b: np.tensordot(a, b, ([1, 0], [1, 0])), (2, 3), (2, 3)),
    "inner with a number": (np.inner, (), (3,)),
    "inner of stacks": (np.inner, (2, 3), (4, 5, 3)),
    "inner of a stack and a matrix": (np.inner, (4, 5, 3), (2, 3)),
    "inner of lines": (np.inner, (3,), (3,)),
    "inner with a line": (np.inner, (2, 3), (3,)),
    "inner of a matrix and a number": (np.inner, (2, 3), ()),
    "outer of matrices": (np.outer, (2, 3), (2,)),
    "vdot of matrices": (np.vdot, (2, 3), (2, 3)),
    "kron of a line and a matrix": (np.kron, (2,), (3, 2)),
    "kron of a stack and a line": (np.kron, (2, 3, 2), (4,)),
    "cross along another axis": (lambda a, b: np.cross(a, b, axis=0), (3, 2), (3, 2)),
    "cross along axes of its own": (lambda a, b: np.cross(a, b, 0, 1, 0), (3, 2), (2, 3)),
    "cross of a stack": (lambda a, b: [np.cross(a, b), np.cross(a, b, axisc=0)], (2, 2, 3), (3,)),
    "clip by name": (
        lambda a: [np.clip(a, a_min=-0.1, a_max=0.2), np.clip(a, min=0.0), np.clip(a, max=0.0), a.clip(0.0, 0.2)],
        (2, 3),
    ),
    "cumprod of all": (np.cumprod, (2, 3)),
    "cumprod along a middle axis": (lambda a: np.cumprod(a, axis=1), (2, 6, 2)),
    "diff of none": (lambda a: np.diff(a, 0), (3, 2)),
    "diff by default": (np.diff, (2, 3, 4)),
    "diff of third order": (lambda a: np.diff(a, 3, axis=0), (5, 2)),
    "diff along a middle axis": (lambda a: np.diff(a, axis=1), (2, 3, 2)),
    "ptp along an axis": (lambda a: np.ptp(a, axis=1, keepdims=True), (2, 3)),
    "average by default": (np.average, (2, 3)),
    "average without weights": (lambda a: np.average(a, 1, keepdims=True), (2, 3)),
    "average along a middle axis": (lambda a, w: np.average(a, 1, w * w + 1), (2, 3, 4), (3,)),
    "average along the last axis": (lambda a, w: np.average(a, -1, w * w + 1, keepdims=True), (2, 3), (3,)),
    "average with weights for all": (lambda a, w: np.average(a, None, w * w + 1), (2, 3), (2, 3)),
    "average of a line": (lambda a, w: np.average(a, weights=w * w + 1), (3,), (3,)),
    "average of zeros": (lambda a, w: np.average(a * np.eye(2), 0, w * w + 1), (2, 2), (2,)),
    "average with a matrix of weights": (lambda a, w: np.average(a, 0, w * w + 1), (2, 3), (2, 3)),
    "linspace by default": (np.linspace, (2,), ()),
    "linspace without its end": (lambda a, b: np.linspace(a, b, 3, endpoint=False, axis=-1), (2, 1), (3,)),
    "solve for a vector": (lambda a, b: np.linalg.solve(a @ a.T + 3 * np.eye(3), b), (3, 3), (3,)),
    "solve of a stack for a vector": (lambda a, b: np.linalg.solve(a + 9 * np.eye(3), b), (2, 3, 3), (3,)),
    "sign and logarithm of a determinant": (lambda a: np.linalg.slogdet(a - 9 * np.eye(3)), (2, 3, 3)),
    "norm by default": (np.linalg.norm, (2, 3)),
    "matrix norm by default": (np.linalg.matrix_norm, (2, 3)),
    "norm, kept": (lambda a: np.linalg.norm(a, keepdims=True), (2, 3)),
    "norm along an axis": (lambda a: np.linalg.norm(a, axis=-2), (2, 3)),
    "norm along a tuple": (lambda a: np.linalg.norm(a, 1, (1,), keepdims=True), (2, 3)),
    "vector norms": (
        lambda a: [
            *[np.linalg.vector_norm(a), np.linalg.vector_norm(a, axis=1), np.linalg.vector_norm(a, axis=(0, 2), ord=1)],
            *[np.linalg.vector_norm(a, keepdims=True, ord=3), np.linalg.vector_norm(a, axis=-1, keepdims=True)],
            np.linalg.vector_norm(a, axis=(0, 1), keepdims=True),
        ],
        (2, 3, 2),
    ),
    "norm of order 2": (lambda a: np.linalg.norm(a, 2, 0, keepdims=True), (2, 3)),
    "norm of order 2.5": (lambda a: np.linalg.norm(a, 2.5, 0, keepdims=True), (2, 3)),
    "norm of order inf": (lambda a: np.linalg.norm(a, np.inf, 0, keepdims=True), (2, 3)),
    "norm of order -inf": (lambda a: np.linalg.norm(a, -np.inf, 1), (2, 3)),
    "Frobenius norms of a stack": (lambda a: np.linalg.norm(a, "fro", (0, 2), keepdims=True), (2, 3, 2)),
    "norms of a stack without an order": (lambda a: np.linalg.norm(a, axis=(0, 2)), (2, 3, 2)),
    "sums of columns of a stack": (lambda a: np.linalg.norm(a * (1 + a * a), 1, (2, 0)), (2, 3, 4)),
    "sums of rows of a stack": (lambda a: np.linalg.norm(a * (1 + a * a), np.inf, (-1, 0), keepdims=True), (2, 3, 4)),
    "least sums of rows": (lambda a: np.linalg.norm(a * (1 + a * a), -np.inf, (0, 1)), (2, 3, 4)),
    "least sums of columns": (lambda a: np.linalg.norm(a * (1 + a * a), -1, (0, 1), keepdims=True), (2, 3, 4)),
    "powers of a stack": (lambda a: [np.linalg.matrix_power(a, n) for n in range(7)], (3, 2, 2)),
    "powers below 0": (lambda a: [np.linalg.matrix_power(a + 4 * np.eye(2), n) for n in (-1, -2, -3)], (2, 2)),
    "Cholesky factors of a stack of stacks": (
        lambda a: np.linalg.cholesky(a @ np.swapaxes(a, -1, -2) + np.eye(3)),
        (2, 1, 3, 3),
    ),
    "powers of a stack of stacks": (lambda a: [np.linalg.matrix_power(a * np.eye(2), n) for n in (0, 3)], (2, 1, 2, 2)),
    "product of three": (lambda *a: np.linalg.multi_dot(a), (2, 3), (3, 2), (2, 4)),
    "gradient along every axis": (np.gradient, (3, 4)),
    "gradient of a line": (np.gradient, (4,)),
    "gradient of a line of two": (np.gradient, (2,)),
    "gradient with a spacing": (lambda a: np.gradient(a, 0.3, axis=1), (2, 4)),
    "gradient along a tuple": (lambda a: np.gradient(a, 2.0, axis=(1, 0)), (3, 4)),
    "gradient along a tuple of one": (lambda a: np.gradient(a, axis=(1,)), (3, 4)),
    "roll of all": (lambda a: np.roll(a, 2), (2, 3)),
    "roll of all by several": (lambda a: np.roll(a, (1, 3)), (2, 3)),
    "roll along two axes": (lambda a: np.roll(a, (1, -1), (0, 1)), (2, 3)),
    "roll along one axis twice": (lambda a: np.roll(a, (1, 4), -1), (2, 3)),
    "roll along two axes by one number": (lambda a: np.roll(a, 1, (0, 2)), (2, 2, 3)),
    "quarter turns": (lambda a: [np.rot90(a, k) for k in range(-2, 7)], (2, 3)),
    "quarter turns of other axes": (lambda a: [np.rot90(a, k, (2, 0)) for k in range(4)], (2, 2, 3)),
    "quarter turn by default": (np.rot90, (2, 3, 2)),
    "flips of a stack": (
        lambda a: [np.flipud(a), np.fliplr(a), np.flip(a), np.flip(a, -1), np.flip(a, (0, 2))],
        (2, 3, 2),
    ),
    "rollaxis everywhere": (
        lambda a: [np.rollaxis(a, i, start) for i in range(-3, 3) for start in range(-3, 4)],
        (2, 3, 4),
    ),
    "rollaxis by default": (lambda a: np.rollaxis(a, 2), (2, 3, 4)),
    "repeat of all": (lambda a: np.repeat(a, 2), (2, 3)),
    "repeat of all, each": (lambda a: np.repeat(a, [1, 0, 2, 3, 1, 1]), (2, 3)),
    "repeat along each axis": (lambda a: [np.repeat(a, 3, i) for i in (-1, 0, 1)], (2, 3, 2)),
    "repeat each along the last axis": (lambda a: np.repeat(a, [2, 0, 1], -1), (2, 3)),
    "tile with fewer numbers than axes": (lambda a: np.tile(a, (3,)), (2, 1, 2)),
    "tile with more numbers than axes": (lambda a: np.tile(a, (2, 1, 3)), (2,)),
    "tile along every axis": (lambda a: np.tile(a, (2, 3)), (2, 2)),
    "atleast of one": (lambda a: [np.atleast_1d(a), np.atleast_2d(a), np.atleast_3d(a)], ()),
    "atleast of a line": (lambda a: [np.atleast_1d(a), np.atleast_2d(a), np.atleast_3d(a)], (2,)),
    "atleast of a matrix": (lambda a: [np.atleast_1d(a), np.atleast_2d(a), np.atleast_3d(a)], (2, 3)),
    "atleast of a stack": (lambda a: [np.atleast_1d(a), np.atleast_2d(a), np.atleast_3d(a)], (2, 3, 2)),
    "atleast_1d of two": (lambda *a: np.atleast_1d(*a), (), (2,)),
    "atleast_2d of two": (lambda *a: np.atleast_2d(*a), (2,), (2, 1)),
    "atleast_3d of two": (lambda *a: np.atleast_3d(*a), (2,), (2, 1)),
    "vstack of lines and matrices": (lambda *a: np.vstack(a), (2,), (3, 2)),
    "hstack of one": (lambda *a: np.hstack(a), (2,)),
    "hstack of lines": (lambda *a: np.hstack(a), (2,), (), (3,)),
    "hstack of stacks": (lambda *a: np.hstack(a), (2, 3, 2), (2, 1, 2)),
    "dstack of lines": (lambda *a: np.dstack(a), (2,), (2,)),
    "dstack of stacks": (lambda *a: np.dstack(a), (2, 3, 2), (2, 3, 1)),
    "column_stack of matrices": (lambda *a: np.column_stack(a), (2, 3), (2, 1), (2,)),
    "append to all": (np.append, (2, 3), (2,)),
    "append along an axis": (lambda a, b: np.append(a, b, 1), (2, 3), (2, 1)),
    "array_split at places": (lambda a: np.array_split(a, [1, 4], axis=1), (2, 5)),
    "array_split into parts": (lambda a: np.array_split(a, 3, axis=-1), (2, 5)),
    "array_split by default": (lambda a: np.array_split(a, 4), (6, 2)),
    "splits of a stack": (lambda a: [*np.vsplit(a, 2), *np.hsplit(a, [1]), *np.dsplit(a, 3)], (2, 2, 3)),
    "hsplit of a line": (lambda a: np.hsplit(a, 2), (4,)),
    "split of a middle axis": (lambda a: np.split(a, 2, 1), (2, 4, 2)),
    "split of an empty axis": (lambda a: np.split(a, 3), (0, 2)),
    "diagonals": (lambda a: [np.diagonal(a, k) for k in range(-4, 5)], (3, 4)),
    "diagonals of a high matrix": (lambda a: [np.diagonal(a, k) for k in range(-4, 5)], (4, 3)),
    "diagonals of other axes": (lambda a: [np.diagonal(a, 1, 2, 0), np.diagonal(a, axis1=1, axis2=-1)], (2, 3, 4)),
    "diagonal by default": (np.diagonal, (2, 3, 4)),
    "diag of a line": (lambda a: [np.diag(a), np.diag(a, 1), np.diag(a, -2)], (3,)),
    "diag of a matrix": (lambda a: [np.diag(a), np.diag(a, 1), np.diag(a, -2)], (3, 4)),
    "diagflat": (lambda a: [np.diagflat(a), np.diagflat(a, 1), np.diagflat(a, -1)], (2, 2)),
    "triangles of a stack": (
        lambda a: [np.tril(a), np.triu(a), *[part(a, k) for part in (np.tril, np.triu) for k in (-1, 1)]],
        (2, 3, 4),
    ),
    "trace": (lambda a: [np.trace(a), np.trace(a, 1), np.trace(a, -1, 2, 0)], (2, 3, 4)),
    "sort of all": (lambda a: np.sort(a, None), (2, 3)),
    "sort by default": (np.sort, (2, 2, 3)),
    "sort along the first axis": (lambda a: np.sort(a, 0), (3, 2)),
    "partition of all": (lambda a: np.partition(a, 2, None)[2], (2, 3)),
    "partition by default": (lambda a: np.partition(a, 1)[..., 1], (2, 2, 3)),
    "partition along the first axis": (lambda a: np.partition(a, 1, 0)[1], (3, 2)),
    "median of an even number": (lambda a: [np.median(a), np.median(a, keepdims=True)], (2, 3)),
    "median along an axis": (lambda a: [np.median(a, 0), np.median(a, -1, keepdims=True)], (3, 4)),
    "median along a tuple": (lambda a: np.median(a, (0, 2), keepdims=True), (3, 2, 3)),
    "reshape to a number and a list": (lambda a: [np.reshape(a, -1), np.reshape(a, 6), np.reshape(a, [3, 2])], (2, 3)),
    "ravel": (np.ravel, (2, 3)),
    "expand_dims by several": (
        lambda a: [np.expand_dims(a, (0, -1)), np.expand_dims(a, [1]), np.expand_dims(a, -2)],
        (2, 3),
    ),
    "squeeze": (lambda a: [np.squeeze(a), np.squeeze(a, 0), np.squeeze(a, (0, -1))], (1, 2, 1)),
    "transpose": (lambda a: [np.transpose(a), np.transpose(a, (1, -1, 0))], (2, 3, 4)),
    "matrix_transpose": (np.matrix_transpose, (2, 3, 4)),
    "swapaxes": (lambda a: [np.swapaxes(a, 0, 2), np.swapaxes(a, -1, 1)], (2, 3, 4)),
    "moveaxis of several": (lambda a: [np.moveaxis(a, (0, 1), (2, 0)), np.moveaxis(a, -1, 0)], (2, 3, 4)),
    "broadcast_to a number": (lambda a: [np.broadcast_to(a, 3), np.broadcast_to(a, [2, 3])], (1,)),
    "pad": (lambda a: [np.pad(a, 1), np.pad(a, ((1, 0), (0, 2))), np.pad(a, (2, 1), constant_values=0)], (2, 3)),
    "pad by a dict": (lambda a: [np.pad(a, {-1: 2}), np.pad(a, {0: (1, 0)})], (2, 3)),
    "pad with other values": (
        lambda a: [np.pad(a, 1, constant_values=v) for v in (1, 2, (3, 4), ((1, 2), (3, 4)))],
        (2, 3),
    ),
    "concatenate of all": (lambda *a: np.concatenate(a, None), (2, 3), (2,), ()),
    "concatenate along the last axis": (lambda *a: np.concatenate(a, -1), (2, 3), (2, 1)),
    "stack along the last axis": (lambda *a: [np.stack(a, -1), np.stack(a, 1), np.stack(a)], (2, 3), (2, 3)),
    "sums": (lambda a: [np.sum(a), np.sum(a, -1), np.sum(a, (0, 1), keepdims=True), np.add.reduce(a)], (2, 3)),
    "means": (lambda a: [np.mean(a), np.mean(a, -1), np.mean(a, (0, 1), keepdims=True)], (2, 3)),
    "greatest": (lambda a: [np.max(a), np.max(a, -1), np.max(a, (0, 1), keepdims=True)], (2, 3)),
    "least": (lambda a: [np.min(a), np.min(a, -1), np.min(a, (0, 1), keepdims=True)], (2, 3)),
    "variances": (lambda a: [np.var(a), np.var(a, 0, ddof=1), np.var(a, (0, 1), ddof=2, keepdims=True)], (3, 2)),
    "deviations": (lambda a: [np.std(a), np.std(a, 0, ddof=1), np.std(a, (0, 1), ddof=2, keepdims=True)], (3, 2)),
    "products of every length": (lambda a: [np.prod(a[:n]) for n in range(8)], (7,)),
    "products": (lambda a: [np.prod(a), np.prod(a, 1), np.prod(a, (0, 2), keepdims=True)], (2, 3, 2)),
    "running sums": (lambda a: [np.cumsum(a), np.cumsum(a, -1), np.cumsum(a, 0)], (2, 3)),
    "methods of reduction": (
        lambda a: [
            *[getattr(a, name)() for name in ("sum", "mean", "max", "min", "prod", "var", "std", "cumsum")],
            *[getattr(a, name)(axis=1, keepdims=True) for name in ("sum", "mean", "max", "min", "prod", "var", "std")],
            *[a.var(0, ddof=1), a.std(0, ddof=1), a.cumsum(1)],
        ],
        (2, 3),
    ),
    "indices of no axes": (
        lambda a: [a[np.array(1)], a[np.array(1), 2], a[np.array(1), :2], a[0, np.array(-1)], a[np.array(True)]],
        (2, 3),
    ),
    "index that keeps nothing": (lambda a: a[np.array(False)], (2, 3)),
    "take": (lambda a: [np.take(a, [0, 4, 0]), np.take(a, [[1], [-1]], -1), np.take(a, 1, 0)], (2, 3)),
    "take_along_axis": (lambda a: np.take_along_axis(a, np.array([[[0, 2]], [[2, 1]]])), (2, 1, 3)),
    "take_along_axis of all": (lambda a: np.take_along_axis(a, np.array([5, 0, 5]), None), (2, 3)),
    "take_along_axis of one place for all": (
        lambda a: [np.take_along_axis(a, np.array([[[2], [0]]]), 2), np.take_along_axis(a, np.array([[[0]]]), -2)],
        (2, 2, 3),
    ),
    "rounding": (lambda a: [np.round(20 * a), np.around(a, 1), np.rint(9 * a), np.round(90 * a, -1)], (2, 3)),
    "dot of numbers": (lambda a, b: [np.dot(a, b), np.dot(b, a)], (), (3,)),
    "dot of stacks": (np.dot, (2, 2, 3), (4, 3, 2)),
    "float_power": (lambda a, b: [np.float_power(np.abs(a), b), np.float_power(np.abs(a), 2)], (2, 3), (3,)),
}


def parts(result):
    return list(result) if isinstance(result, (tuple, list)) else [result]


def close(found, expected, tolerance=1e-12):
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found.data, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CALLS)
@given(data=st.data())
@few
def test_every_argument_means_what_it_means_to_numpy(name, data):
    function, *shapes = CALLS[name]
    arrays = [data.draw(values(shape, i)) for i, shape in enumerate(shapes)]
    found = function(*[tg.Tensor(array) for array in arrays])
    expected = function(*arrays)
    assert isinstance(found, (tuple, list)) == isinstance(expected, (tuple, list))
    for result, right in zip(parts(found), parts(expected), strict=True):
        close(result, right)
    gradcheck(function, arrays)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@given(data=st.data())
@few
def test_the_determinant_of_a_singular_matrix_has_its_cofactors_for_a_gradient(n, data):
    singular = data.draw(values((1, 2, n, n)))
    singular[0, 0, -1] = singular[0, 0, 0] * 2 * (n > 1)
    gradcheck(np.linalg.det, [singular])
    gradcheck(np.linalg.det, [singular[0, 0]])
    gradcheck(np.linalg.det, [np.zeros((n, n))], atol=1e-4)


def test_the_determinant_of_a_nearly_singular_matrix_has_an_accurate_gradient():
    a = np.array([[1.0, 2.0], [3.0, 6.0 + 1e-9]])
    (slope,) = tg.gradients(np.linalg.det(x := tg.Tensor(a, requires_grad=True)), [x])
    np.testing.assert_allclose(slope, [[a[1, 1], -a[1, 0]], [-a[0, 1], a[0, 0]]], rtol=1e-14)


@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_the_gradient_of_a_determinant_does_not_depend_on_the_scale_of_the_matrix(factor):
    a = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 4.0]])
    slopes = []
    for scale in (1.0, factor):
        x = tg.Tensor(a * scale, requires_grad=True)
        slopes += tg.gradients(np.linalg.det(x), [x])
    np.testing.assert_allclose(slopes[1] / factor**2, slopes[0], rtol=1e-12)


def test_the_result_of_slogdet_has_names_as_numpys_has():
    found = np.linalg.slogdet(tg.Tensor([[0.0, 2.0], [1.0, 0.0]], requires_grad=True))
    assert type(found) is type(np.linalg.slogdet(np.eye(2)))
    assert found.sign.item() == -1 and found.logabsdet.item() == pytest.approx(np.log(2))


@given(at=st.floats(-0.05, 0.05))
@few
def test_sinc_and_its_derivatives_are_accurate_near_zero(at):
    for x in (at, 0.0, 1e-9, 0.0199, -0.0199, 0.0201, 0.5, 0.97):
        derivatives = [np.sinc]
        for _ in range(3):
            derivatives.append(tg.grad(derivatives[-1]))
        for order, function in enumerate(derivatives):
            powers = [(k, 2 * k - order) for k in range(12) if 2 * k >= order]
            expected = sum(
                (-1) ** k * np.pi ** (2 * k) / math.factorial(2 * k + 1) * math.perm(2 * k, order) * x**power
                for k, power in powers
            )
            assert function(tg.Tensor(x)).item() == pytest.approx(expected, rel=1e-10 * 100**order, abs=1e-9)


def test_norms_of_order_zero_count():
    a = np.array([[0.0, 2.0, -1.0], [0.0, 0.0, 3.0]])
    x = tg.Tensor(a, requires_grad=True)
    for keywords in ({"axis": 1}, {"axis": 0, "keepdims": True}):
        close(np.linalg.norm(x, 0, **keywords), np.linalg.norm(a, 0, **keywords))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_and_means_leave_nan_out(dtype):
    a = np.array([[1.0, np.nan, 2.0], [np.nan, 4.0, np.nan]], dtype)
    for function in (np.nansum, np.nanmean):
        for keywords in ({}, {"axis": 0, "keepdims": True}, {"axis": 1}):
            found, expected = function(tg.Tensor(a), **keywords), function(a, **keywords)
            close(found, expected, 1e-6)
            assert found.dtype == np.asarray(expected).dtype
    x = tg.Tensor(a, requires_grad=True)
    np.nanmean(x, axis=1).backward([2.0, 3.0])
    np.testing.assert_array_equal(x.grad, [[1, 0, 1], [0, 3, 0]])


def test_what_is_not_a_number_is_replaced_as_numpy_does():
    a = np.array([np.nan, np.inf, -np.inf, 2.0])
    for keywords in ({}, {"nan": 1.0}, {"posinf": 5.0, "neginf": -3.0}, {"nan": 7.0, "neginf": 2.0}):
        x = tg.Tensor(a, requires_grad=True)
        y = np.nan_to_num(x, **keywords)
        np.testing.assert_array_equal(y.data, np.nan_to_num(a, **keywords))
        y.backward(np.ones(4))
        np.testing.assert_array_equal(x.grad, [0, 0, 0, 1])
        np.testing.assert_array_equal(tg.jvp(np.nan_to_num, (a,), (np.ones(4),))[1].data, [0, 0, 0, 1])
    with pytest.raises(TypeError, match="positional"):  # where NumPy has `copy`
        np.nan_to_num(x, False)


def test_numbers_win_over_nan_in_fmax_and_fmin_and_so_does_their_gradient():
    a, b = np.array([1.0, np.nan, 3.0, np.nan, 2.0]), np.array([np.nan, 2.0, 1.0, np.nan, 2.0])
    for function, shares in (
        (np.fmax, ([1, 0, 1, 0, 0.5], [0, 1, 0, 0, 0.5])),
        (np.fmin, ([1, 0, 0, 0, 0.5], [0, 1, 1, 0, 0.5])),
    ):
        x, y = tg.Tensor(a, requires_grad=True), tg.Tensor(b, requires_grad=True)
        z = function(x, y)
        np.testing.assert_array_equal(z.data, function(a, b))
        z.backward(np.ones(5))
        for tensor, share in ((x, shares[0]), (y, shares[1])):
            np.testing.assert_array_equal(tensor.grad[[0, 1, 2, 4]], np.array(share)[[0, 1, 2, 4]])


def test_arctan2_and_hypot_are_flat_at_the_origin_and_right_beside_it():
    for function, at, slopes in [
        (np.arctan2, (0.0, 0.0), (0, 0)),
        (np.hypot, (0.0, 0.0), (0, 0)),
        (np.arctan2, (1.0, 0.0), (0, -1)),
        (np.arctan2, (0.6, 0.8), (0.8, -0.6)),
        (np.hypot, (0.6, 0.8), (0.6, 0.8)),
        (np.hypot, (1e-3, 0.0), (1, 0)),
    ]:
        x, y = [tg.Tensor(value, requires_grad=True) for value in at]
        function(x, y).backward()
        np.testing.assert_allclose([x.grad, y.grad], slopes, rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda a: np.tensordot(a, a, 1), ValueError, r"shapes \(2, 3\) and \(2, 3\) over axes \[1\] and \[0\]"),
        (lambda a: np.cross(a[:, :2], a), ValueError, "2 and 3 components"),
        (lambda a: np.cross(a, a[:, :2]), ValueError, "3 and 2 components"),
        (lambda a: np.average(a, None, np.ones(2)), ValueError, "needs axis"),
        (lambda a: np.linalg.norm(a, 3, (0, 1)), NoRuleError, "norm of order 3"),
        (lambda a: np.linalg.norm(a[0], "fro"), NoRuleError, "norm of order 'fro'"),
        (lambda a: np.gradient(a, 1.0, 2.0), NoRuleError, "several spacings"),
        (lambda a: np.gradient(a, np.ones(3), axis=1), NoRuleError, "several spacings"),
        (lambda a: np.diag(a[None]), ValueError, "diag of 3 axes"),
        (lambda a: np.diag(a[0, 0]), ValueError, "diag of 0 axes"),
        (lambda a: np.split(a, 0), ValueError, "into 0 equal parts"),
        (lambda a: np.split(a, -1), ValueError, "into -1 equal parts"),
        (lambda a: np.stack(a[:0]), ValueError, "at least one"),
        (lambda a: np.roll(a, 1, 2), ValueError, "axis 2 is out of bounds"),
        (lambda a: tg.one_hot(a.astype(np.int64), 5), IndexError, "indices from -1 to 4; give integers from 0 to 4"),
        (lambda a: tg.one_hot(np.abs(a.astype(np.int64)), 4), IndexError, "indices from 0 to 4; give integers from 0"),
        (lambda a: np.take_along_axis(a, np.array([0]), 0), IndexError, "give integers with as many axes"),
        (lambda a: np.take_along_axis(a, np.zeros((2, 1)), 0), IndexError, "indices of dtype float64"),
    ],
)
def test_arguments_that_do_not_fit_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call(tg.Tensor(np.arange(-1.0, 5.0).reshape(2, 3), requires_grad=True))


def test_one_hot_takes_every_class_and_no_index_at_all():
    np.testing.assert_array_equal(tg.one_hot([0, 2], 3).data, [[1, 0, 0], [0, 0, 1]])
    assert tg.one_hot([0], 3).dtype == np.float32
    assert tg.one_hot(np.zeros((0, 2), int), 3).shape == (0, 2, 3)


@pytest.mark.parametrize("function", [tg.softmax, tg.log_softmax])
def test_softmax_goes_along_the_last_axis_by_default(function):
    a = np.arange(6.0).reshape(2, 3) / 7
    np.testing.assert_array_equal(function(tg.Tensor(a)).data, function(tg.Tensor(a), axis=1).data)
    both = np.exp(a - np.log(np.exp(a).sum()))
    close(function(tg.Tensor(a), axis=(0, 1)), both if function is tg.softmax else np.log(both))


@given(data=st.data())
@few
def test_gelu_is_near_its_form_with_tanh(data):
    x = data.draw(values((5,)))
    close(tg.gelu(tg.Tensor(x)), tg.gelu(tg.Tensor(x), approximate=True).data, 5e-4)
    expected = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    close(tg.gelu(tg.Tensor(x), approximate=True), expected)
    gradcheck(lambda a: tg.gelu(a, approximate=True), [x])
    gradcheck(tg.gelu, [3 * x])


def test_of_an_empty_axis_there_is_nothing_to_move_or_to_repeat():
    a = np.zeros((0, 2))
    for function in (
        lambda a: np.roll(a, 1, 0),
        lambda a: np.repeat(a, 2, 0),
        lambda a: np.tile(a, (2, 1)),
        lambda a: np.diag(a[:, 0]),
        lambda a: np.diag(a[:, 0], 2),
        lambda a: np.cumprod(a, 0),
        lambda a: list(np.split(a, 2)),
    ):
        for found, expected in zip(parts(function(tg.Tensor(a))), parts(function(a)), strict=True):
            close(found, expected)
    assert list(tg.Tensor(a)) == []


def test_of_a_number_there_is_nothing_to_reduce():
    assert tg.logsumexp(3.0).item() == 3
    assert np.sum(tg.Tensor(3.0)).item() == np.max(tg.Tensor(3.0)).item() == np.prod(tg.Tensor(3.0)).item() == 3


def test_an_extreme_that_is_not_a_number_has_no_gradient():
    for function in (np.max, np.min):
        x = tg.Tensor([[np.nan, 1.0], [2.0, 3.0]], requires_grad=True)
        function(x, axis=1).sum().backward()
        np.testing.assert_array_equal(x.grad, [[0, 0], [0, 1] if function is np.max else [1, 0]])


def test_shapes_and_axes_are_recorded_as_tuples_of_positive_numbers():
    x = tg.Tensor(np.ones((2, 3)), requires_grad=True)
    assert np.reshape(x, 6).node.params == np.reshape(x, [6]).node.params == {"shape": (6,)}
    assert np.broadcast_to(x[0], [2, 3]).node.params == {"shape": (2, 3)}
    assert np.flip(x, -1).node.params == {"axis": (1,)}
    assert np.transpose(x, (-1, 0)).node.params == {"axes": (1, 0)}
    assert np.sum(x, -1).node.params == {"axis": (1,), "keepdims": False}
    assert np.pad(x, 1).node.params == {"width": ((1, 1), (1, 1))}


def test_parts_between_cuts_are_results_of_one_operation():
    x = tg.Tensor(np.arange(6.0), requires_grad=True)
    for cuts in ([2], [2, 4], [0, 6], [-2]):
        assert len({part.node for part in np.split(x, cuts)}) == 1


def test_joining_may_begin_with_a_list_or_a_number():
    x = tg.Tensor([[1.0, 2.0]], requires_grad=True)
    np.testing.assert_array_equal(np.concatenate([[[5.0, 6.0]], x]).data, [[5, 6], [1, 2]])
    np.testing.assert_array_equal(np.stack([[5.0, 6.0], x[0]]).data, [[5, 6], [1, 2]])
    np.testing.assert_array_equal(np.concatenate([3.0, x], axis=None).data, [3, 1, 2])


def test_reading_by_index_does_not_keep_the_array_that_is_read():
    x = tg.Tensor(np.ones((2, 3)), requires_grad=True)
    for key in (1, [0, 1], (slice(1), [2]), np.array([[True, False, True], [False, True, False]])):
        assert type(x[key].node.args[0]) is not np.ndarray


@pytest.mark.parametrize("dtype", [bool, np.int8, np.float16])
def test_an_average_is_added_up_in_the_dtype_of_what_is_averaged(dtype):
    a, weights = np.ones((2, 3000), np.float32), np.full(3000, 40).astype(dtype)
    found = np.average(tg.Tensor(a, requires_grad=True), 1, weights)
    np.testing.assert_array_equal(found.data, [1, 1])
    assert found.dtype == np.float32
