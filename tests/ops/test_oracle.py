"""PyTorch as a second opinion: values, gradients and second order of the functions of the table, drawn as there.

float64 to 1e-11; float32 as far as its digits go.
"""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.lib.array_utils import normalize_axis_tuple

import tinygrad_rnn as tg
from tests.ops.test_table import TABLE, parts
from tinygrad_rnn.testing.strategies import values

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # arrays are small, and its threads would wait for those of NumPy
F, linalg = torch.nn.functional, torch.linalg
fewer = settings(max_examples=max(5, settings().max_examples // 4))


def over_axes(reduce):
    """Return the reduction with NumPy's `axis` and `keepdims` that `reduce` does along the last axis."""

    def call(a, axis=None, keepdims=False, **keywords):
        axes = tuple(range(a.ndim)) if axis is None else normalize_axis_tuple(axis, a.ndim)
        rest = [i for i in range(a.ndim) if i not in axes]
        rows = a.permute((*rest, *axes)).reshape((*[a.shape[i] for i in rest], -1))
        found = reduce(rows, **keywords)
        return found.reshape([1 if i in axes else n for i, n in enumerate(a.shape)]) if keepdims else found

    return call


def along_axis(function):
    """Return the function with NumPy's `axis`, where None stands for all elements in one row."""
    return lambda a, axis: function(a.reshape(-1), 0) if axis is None else function(a, axis)


def padded(a, pad_width):
    ends = np.broadcast_to(pad_width, (a.ndim, 2))[::-1]
    return F.pad(a, ends.ravel().tolist())


def read(a, key):
    places = np.arange(a.numel()).reshape(tuple(a.shape))[key]
    return a.reshape(-1)[torch.as_tensor(np.array(places))]


def along_places(a, indices, axis):
    return torch.take_along_dim(a, torch.as_tensor(indices % a.shape[axis]), axis)


def taken(a, indices, axis):
    if axis is None:
        a, axis = a.reshape(-1), 0
    return torch.index_select(a, axis, torch.as_tensor(indices % a.shape[axis]))


def products(a, b):
    return a.reshape(-1), b.reshape(-1)


def last(function):
    return lambda rows: function(rows, -1)


def spectrum(values, vectors):
    return values, vectors**2


def singular(u, s, vh):
    return u**2, s, vh**2


sum_, mean = over_axes(last(torch.sum)), over_axes(last(torch.mean))
largest, smallest = over_axes(last(torch.amax)), over_axes(last(torch.amin))
product = over_axes(last(torch.prod))

SAME_NAME = (
    *("negative", "positive", "square", "absolute", "exp", "exp2", "expm1", "sin", "cos"),
    *("tanh", "sinh", "cosh", "arctan", "arcsinh", "sinc", "sign", "floor", "ceil"),
    *("trunc", "sqrt", "log", "log2", "log10", "log1p", "reciprocal", "tan", "arcsin"),
    *("arccos", "arctanh", "arccosh", "add", "subtract", "multiply", "maximum", "minimum", "fmax"),
    *("fmin", "copysign", "arctan2", "hypot", "logaddexp", "divide", "remainder", "fmod", "float_power"),
    *("matmul", "inner", "kron", "tensordot", "ravel", "squeeze", "atleast_1d", "atleast_2d"),
    *("atleast_3d", "flipud", "fliplr", "tril", "triu", "diagonal", "rot90", "sigmoid", "relu"),
)

# What PyTorch calls the rows of the table, where the same words do not do.
OTHER_NAME = {
    "dot": torch.matmul,
    "fabs": torch.abs,
    "rint": torch.round,
    "around": torch.round,
    "round": lambda a, decimals=0: torch.round(a, decimals=decimals),
    "radians": torch.deg2rad,
    "degrees": torch.rad2deg,
    "deg2rad": torch.deg2rad,
    "rad2deg": torch.rad2deg,
    "cbrt": lambda a: a ** (1 / 3),
    "floor_divide": lambda a, b: torch.floor(a / b),
    "logaddexp2": lambda a, b: torch.logaddexp(a * math.log(2), b * math.log(2)) / math.log(2),
    "power": torch.pow,
    "power of a number": lambda a: a**3,
    "number to the power": lambda a: 1.5**a,
    "where": lambda a, b, where: torch.where(torch.as_tensor(where), a, b),
    "select": lambda a, b: torch.where(a > 0.1, a * b, torch.where(b > 0, a - b, 0.0)),
    "clip": lambda *three: torch.clamp(*torch.broadcast_tensors(*three)),
    "clip from below": lambda a, b: torch.clamp(a, min=b),
    "clip from above": lambda a, b: torch.clamp(a, max=b),
    "astype": lambda a, dtype: a.to(torch.float64),
    "copy": torch.clone,
    "conjugate": torch.conj,
    "real": torch.real,
    "nan_to_num": torch.nan_to_num,
    "sum": sum_,
    "mean": mean,
    "max": largest,
    "min": smallest,
    "amax": largest,
    "amin": smallest,
    ".sum": sum_,
    ".mean": mean,
    ".max": largest,
    ".min": smallest,
    "add.reduce": sum_,
    "maximum.reduce": largest,
    "minimum.reduce": smallest,
    "multiply.reduce": product,
    "prod": product,
    "ptp": over_axes(lambda rows: rows.amax(-1) - rows.amin(-1)),
    "median": over_axes(lambda rows: torch.quantile(rows, 0.5, dim=-1)),
    "var": over_axes(lambda rows, ddof=0: torch.var(rows, -1, correction=ddof)),
    "std": over_axes(lambda rows, ddof=0: torch.std(rows, -1, correction=ddof)),
    "nansum": over_axes(last(torch.nansum)),
    "nanmean": over_axes(last(torch.nanmean)),
    "cumsum": along_axis(torch.cumsum),
    "cumprod": along_axis(torch.cumprod),
    "norm": over_axes(lambda rows: linalg.vector_norm(rows, dim=-1)),
    "average": lambda a, b: (a * b[:, None]).sum(0) / b.sum(),
    "einsum": lambda a, b: torch.einsum("...i,...i->i...", a, b),
    "vdot": lambda a, b: torch.dot(*products(a, b)),
    "outer": lambda a, b: torch.outer(*products(a, b)),
    "cross": lambda a, b: linalg.cross(*torch.broadcast_tensors(a, b)),
    "matrix_transpose": lambda a: a.mT,
    "diff": lambda a, axis: torch.diff(a, dim=axis),
    "linspace": lambda a, b: torch.stack([torch.lerp(*torch.broadcast_tensors(a, b), k / 3) for k in range(4)]),
    "inv": linalg.inv,
    "det": linalg.det,
    "solve": linalg.solve,
    "cholesky": lambda a: linalg.cholesky(a @ a.mT),
    "eigh": lambda a: spectrum(*linalg.eigh(a + a.mT)),
    "eigvalsh": lambda a: linalg.eigvalsh(a + a.mT),
    "svd": lambda a: singular(*linalg.svd(a, full_matrices=False)),
    "svdvals": linalg.svdvals,
    "pinv": linalg.pinv,
    "multi_dot": lambda *a: linalg.multi_dot(a),
    "matrix_power": linalg.matrix_power,
    "gradient": lambda a, axis: torch.gradient(a, dim=axis)[0],
    "slogdet": lambda a: linalg.slogdet(a).logabsdet,
    "vecdot": lambda a, b: (a * b).sum(-1),
    "linalg.vecdot": linalg.vecdot,
    "vector_norm": over_axes(lambda rows: linalg.vector_norm(rows, dim=-1)),
    "matrix_norm": lambda a, keepdims: linalg.matrix_norm(a, keepdim=keepdims),
    "matrix norms": lambda a, ord: linalg.matrix_norm(a, "fro" if ord is None else ord),
    "norms of singular values": linalg.matrix_norm,
    "vector norms": lambda a, ord: linalg.vector_norm(a, 2 if ord is None else ord),
    "reshape": lambda a, shape: a.reshape(shape),
    "expand_dims": lambda a, axis: a.unsqueeze(axis),
    "transpose": lambda a, axes: a.permute(tuple(range(a.ndim))[::-1] if axes is None else axes),
    "trace": lambda a: a.diagonal().sum(-1),
    "linalg.trace": lambda a: a.diagonal(0, -2, -1).sum(-1),
    "linalg.diagonal": lambda a: a.diagonal(0, -2, -1),
    "swapaxes": lambda a, ends: a.swapaxes(*ends),
    "moveaxis": lambda a, ends: a.moveaxis(*ends),
    "flip": lambda a, axis: a.flip(tuple(range(a.ndim)) if axis is None else axis),
    "roll": lambda a, axis, by: torch.roll(a, by, axis),
    "repeat": lambda a, axis, n: a.repeat_interleave(n, axis),
    "repeat each": lambda a, n: a.repeat_interleave(torch.as_tensor(n), 1),
    "tile": lambda a, n: a.tile(n),
    "diag": lambda a, k: torch.diag(a, k),
    "diag of a matrix": lambda a, k: torch.diag(a, k),
    "diagflat": lambda a, k: torch.diagflat(a, k),
    "broadcast_to": lambda a, shape: a.broadcast_to(shape),
    "pad": padded,
    "concatenate": lambda *a, axis: torch.cat(a, axis),
    "stack": lambda *a, axis: torch.stack(a, axis),
    "vstack": lambda *a: torch.vstack(a),
    "hstack": lambda *a: torch.hstack(a),
    "dstack": lambda *a: torch.dstack(a),
    "column_stack": lambda *a: torch.column_stack(a),
    "append": lambda a, b, axis: torch.cat(products(a, b)) if axis is None else torch.cat([a, b], axis),
    "split": lambda a, cuts, axis: torch.tensor_split(a, cuts, axis),
    "array_split": lambda a, n: torch.tensor_split(a, n),
    "vsplit": lambda a: torch.vsplit(a, 2),
    "hsplit": lambda a: torch.hsplit(a, 2),
    "dsplit": lambda a: torch.dsplit(a, 2),
    "iteration": torch.unbind,
    "getitem": read,
    "scatter_add": lambda g, index: g.new_zeros((3, 2)).index_add(0, torch.as_tensor(index % 3), g),
    "take_along_axis": along_places,
    "take": taken,
    "sort": along_axis(lambda a, axis: torch.sort(a, axis).values),
    "partition": lambda a, k: torch.sort(a).values[k],
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu with tanh": lambda a, approximate: F.gelu(a, approximate="tanh"),
    "softplus": F.softplus,
    "logsumexp": over_axes(last(torch.logsumexp)),
    "softmax": torch.softmax,
    "log_softmax": torch.log_softmax,
    "cross_entropy": lambda a, classes: F.cross_entropy(a, torch.as_tensor(classes), reduction="none"),
    "softmax_excess": lambda a, classes: torch.softmax(a, -1) - F.one_hot(torch.as_tensor(classes), a.shape[-1]),
}
IN_TORCH = {name: getattr(torch, name) for name in SAME_NAME} | OTHER_NAME

NOT_IN_TORCH = {"rollaxis": "PyTorch has no function of that kind; moveaxis, its composition, is compared"}


def test_every_row_of_the_table_has_its_function_in_pytorch_or_a_reason():
    assert {row.name for row in TABLE} == {*IN_TORCH, *NOT_IN_TORCH}


def in_one(results, join):
    return join([part.reshape(-1) for part in parts(results)])


def opinions(ours, theirs, arrays, keywords):
    """Return value, gradients, and the gradients of the gradients' sum of squares, here and in PyTorch."""
    tensors = [tg.Tensor(array, requires_grad=True) for array in arrays]
    others = [torch.tensor(array, requires_grad=True) for array in arrays]
    y, other = in_one(ours(*tensors, **keywords), np.concatenate), in_one(theirs(*others, **keywords), torch.cat)
    cotangent = (1 + np.arange(y.size) % 7).astype(y.dtype)
    slopes = tg.gradients(y, tensors, cotangent, record=True)
    other_slopes = gradients_in_torch(other, others, torch.tensor(cotangent), create_graph=True)
    second = [np.zeros_like(array) for array in arrays]
    if recorded := [slope for slope in slopes if isinstance(slope, tg.Tensor) and slope.requires_grad]:
        second = tg.gradients(sum([np.sum(slope * slope) for slope in recorded], start=0.0), tensors)
    total = sum([(slope * slope).sum() for slope in other_slopes])
    found = [y.data], [np.asarray(getattr(slope, "data", slope)) for slope in slopes], second
    return found, ([other], other_slopes, gradients_in_torch(total, others))


def gradients_in_torch(y, inputs, cotangent=None, create_graph=False):
    if not y.requires_grad:
        return [torch.zeros_like(x) for x in inputs]
    found = torch.autograd.grad(y, inputs, cotangent, create_graph=create_graph, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True)]


def compare(ours, theirs, arrays, keywords, tolerance=1e-11):
    for found, expected in zip(*opinions(ours, theirs, arrays, keywords), strict=True):
        for a, b in zip(found, expected, strict=True):
            b = b.numpy(force=True)
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(0.1, np.abs(b).max(initial=0)))


@pytest.mark.parametrize("row", [row for row in TABLE if row.name in IN_TORCH], ids=lambda row: row.name)
@given(data=st.data())
@fewer
def test_a_function_of_the_table_agrees_with_pytorch(row, data):
    arrays, keywords = data.draw(row.drawn)
    assume(keywords.get("dtype") in (None, np.float64))
    compare(row.function, IN_TORCH[row.name], arrays, keywords)
    single = [array.astype(np.float32) for array in arrays]
    compare(row.function, IN_TORCH[row.name], single, keywords, 1e-4)


@given(data=st.data())
@fewer
def test_a_small_network_of_everything_agrees_with_pytorch(data):
    n, m, k = data.draw(st.tuples(*[st.integers(1, 4)] * 3))
    ids = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=5))
    arrays = [data.draw(values(shape, i)) for i, shape in enumerate([(n, m), (m, 2 * k), (2 * k,), (k, 3)])]

    def ours(table, weight, bias, last):
        z, h = np.split(table[np.array(ids)] @ weight + bias, 2, axis=-1)
        h = tg.sigmoid(z) * np.tanh(h)
        h = np.concatenate([h[::-1], np.stack([h, h], axis=1).mean(axis=1)])
        return np.take_along_axis(tg.log_softmax(np.einsum("bk,kc->bc", h, last)), np.zeros((len(h), 1), int), 1)

    def theirs(table, weight, bias, last):
        z, h = torch.chunk(table[torch.tensor(ids)] @ weight + bias, 2, dim=-1)
        h = torch.sigmoid(z) * torch.tanh(h)
        h = torch.cat([h.flip(0), torch.stack([h, h], dim=1).mean(dim=1)])
        scores = torch.log_softmax(torch.einsum("bk,kc->bc", h, last), -1)
        return torch.gather(scores, 1, torch.zeros((len(h), 1), dtype=torch.int64))

    compare(ours, theirs, arrays, {})


@given(data=st.data())
@fewer
def test_indexing_with_repeats_agrees_with_pytorch(data):
    array = data.draw(values((3, 4)))
    rows = data.draw(st.lists(st.integers(-3, 2), min_size=1, max_size=5))
    columns = data.draw(st.lists(st.integers(-4, 3), min_size=len(rows), max_size=len(rows)))
    compare(lambda x: x[rows, columns] ** 2, lambda x: x[rows, columns] ** 2, [array], {})
    compare(lambda x: x[:, columns, None] ** 2, lambda x: x[:, columns, None] ** 2, [array], {})
    compare(lambda x: x[1:, 2:] ** 2, lambda x: x[1:, 2:] ** 2, [array], {})
