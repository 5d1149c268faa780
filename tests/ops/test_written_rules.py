"""How the rules of operations are written. `python -m tests.ops.test_written_rules` writes the golden file again."""

from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.core.explain import rules

GOLDEN = Path(__file__).parent / "golden" / "rules.txt"
NAMES = {
    "a": np.linspace(-1.2, 1.5, 6).reshape(2, 3),
    "b": np.linspace(0.4, 2.0, 6).reshape(2, 3)[::-1],
    "v": np.array([0.3, -0.2, 0.7]),
    "m": np.eye(3) + 0.1 * np.arange(9.0).reshape(3, 3),
    "x": np.linspace(-1, 1, 24).reshape(2, 3, 4),
    "s": np.array(0.8),
    "w": np.linspace(-1, 1, 6).reshape(3, 2),
    "e": np.zeros((2, 0)),
}
EXPRESSIONS = """
a + b; a + v; a + s; a - b; v - a; a * b; a * v; a / b; v / b; 2 * a; a * 2; a + 1; 1 - a; a - 1; -a; +a; 3 / b
a / 3
a ** 2; a ** 3; b ** 0.5; b ** -1; b ** a; 2.0 ** a; a ** 1; a ** 0; b ** s; np.power(b, 2.5)
np.float32(2) * a; a * np.ones(3); a + np.arange(3.0); a * np.zeros((2, 3)); np.eye(3) @ m; m * np.eye(3)
a * np.array([1.0, 2.0, 3.0]); a + np.arange(60.0).reshape(20, 1, 3); a * -1; a * 0.5; -(-a); -(a - b); -(a * b)
(a + b) - b
np.exp(a); np.log(b); np.sqrt(b); np.square(a); np.tanh(a); np.sin(a); np.cos(a); np.tan(a); np.sinh(a); np.cosh(a)
np.arcsin(a / 2); np.arccos(a / 2); np.arctan(a); np.arcsinh(a); np.arccosh(b + 1); np.arctanh(a / 2); np.sinc(a)
np.exp2(a)
np.expm1(a); np.log1p(b); np.log2(b); np.log10(b); np.cbrt(b); np.reciprocal(b); np.absolute(a); np.fabs(a)
np.sign(a)
np.floor(a); np.rint(a); np.nan_to_num(a); np.clip(a, -1, 1); np.maximum(a, b); np.minimum(a, v); np.fmax(a, b)
np.fmin(a, b)
np.mod(a, b); np.fmod(a, b); np.remainder(a, 2.0); np.arctan2(a, b); np.hypot(a, b); np.logaddexp(a, b)
np.logaddexp2(a, b)
np.where(a > 0, a, b); np.where(a > 0, a, 0); np.where(a > 0, 0, a); np.where(a > b, v, s); (a > 0) * a; a * (b > 1)
tg.sigmoid(a); tg.relu(a); tg.softmax(a); tg.log_softmax(a, axis=0); tg.logsumexp(a); tg.gelu(a); tg.silu(a)
tg.softplus(a)
np.sum(a); np.sum(a, axis=0); np.sum(a, axis=1, keepdims=True); np.sum(x, axis=(0, 2)); np.mean(a)
np.mean(x, axis=-1)
np.var(a); np.var(a, axis=0); np.var(a, ddof=1); np.std(a, axis=1); np.std(a, ddof=1, keepdims=True); np.prod(b)
np.prod(b, axis=0)
np.max(a); np.max(a, axis=1); np.min(x, axis=(0, 1)); np.cumsum(a, axis=1); np.cumsum(a); np.cumprod(b, axis=0)
np.median(a)
a @ w; a @ v; v @ m; v @ v; x @ np.ones((4, 2)); np.ones((5, 2, 3)) @ w; m @ m; m.T @ a.T; np.dot(a, v)
np.inner(a, b)
np.outer(v, v); np.kron(v, v); np.tensordot(x, a, axes=([0, 1], [0, 1])); np.einsum("ij,kj->ik", a, b)
np.einsum("ii", m)
np.einsum("ijk,j->ik", x, v); np.vdot(a, b); np.cross(v, np.array([1.0, 0.0, 0.0])); np.trace(m)
np.linalg.multi_dot([a, m, w])
a.T; x.T; np.transpose(x, (0, 2, 1)); np.transpose(x, (1, 0, 2)); np.swapaxes(x, 0, 2); np.moveaxis(x, 0, -1)
a.reshape(3, 2)
a.reshape(-1); np.ravel(x); np.squeeze(a[:1]); np.expand_dims(v, 0); v[None]; v[:, None]; np.broadcast_to(v, (4, 3))
np.atleast_2d(v)
a[0]; a[0, 1]; a[:, 1]; a[::2]; a[1:]; a[..., 0]; a[-1]; a[:, 1:3]; a[::-1]; a[[0, 1, 1]]
a[np.array([[0], [1]]), [0, 2]]; v[v > 0]
x[0, :, 1:3]; x[..., None]; a[np.array([True, False])]; v[np.array([2, 0])]; x[:, [0, 2]]; a[1:1]; x[1, ::2, -1]
np.concatenate([a, b]); np.concatenate([a, b], axis=1); np.stack([a, b]); np.stack([v, v], axis=1)
np.hstack([a, b]); np.vstack([v, v])
np.split(a, 3, axis=1)[1]; np.split(v, [1])[0]; np.array_split(v, 2)[0]; np.append(v, v); np.column_stack([v, v])
np.dstack([a, b])
np.pad(a, 1); np.pad(v, (1, 2)); np.pad(a, 1, mode="constant", constant_values=2.0); np.roll(a, 1)
np.roll(a, 1, axis=1); np.flip(a)
np.flipud(a); np.fliplr(a); np.rot90(a); np.repeat(v, 2); np.repeat(a, 2, axis=0); np.tile(v, 2); np.tile(a, (2, 1))
np.diff(v)
np.diff(a, axis=0); np.diag(v); np.diag(m); np.diagonal(m); np.tril(m); np.triu(m, 1); np.sort(v)
np.sort(a, axis=0); np.partition(v, 1)
np.take(a, [0, 2], axis=1); np.take_along_axis(a, np.array([[0], [2]]), axis=1); np.linspace(s, 2 * s, 4)
np.rollaxis(x, 2)
np.linalg.norm(a); np.linalg.norm(v); np.linalg.norm(a, axis=1); np.linalg.norm(a, ord=1); np.linalg.inv(m)
np.linalg.solve(m, v)
np.linalg.det(m); np.linalg.slogdet(m)[1]; np.linalg.matrix_power(m, 2); np.linalg.eigh(m + m.T)[0]
np.linalg.svd(m)[1]; np.linalg.pinv(a)
a.astype(np.float32); a.astype(np.float32) * np.float32(2); np.sum(a.astype(np.float32)); np.sum(e); e * 2
np.mean(a, axis=0) * v
nn.cross_entropy(a, np.array([0, 2])); nn.cross_entropy(a, np.array([0, 2]), reduction="none"); nn.mse_loss(a, b)
tg.sigmoid(a) * np.tanh(b); (1 - tg.sigmoid(a)) * b; np.exp(-a * a); np.log(np.sum(np.exp(a), axis=1))
a / np.sum(b, axis=1, keepdims=True)
np.tanh(a @ w + 1); np.sum((a - np.mean(a)) ** 2); (a * s) * s; s * (s * a); a * (2 * b); (2 * a) * b; (a * 2) * 3
2 * (3 * a)
"""


def expressions():
    return [text.strip() for line in EXPRESSIONS.strip().splitlines() for text in line.split(";")]


def written(text):
    """Return an expression and, below it, the rules of the operations that it is made of."""
    names = {name: tg.Tensor(array, requires_grad=True, name=name) for name, array in NAMES.items()}
    result = eval(text, {"np": np, "tg": tg, "nn": nn} | names)
    if not result.requires_grad:
        return f"{text}\n    no gradient\n"
    lines = [text]
    graph = tg.Graph.of(result)
    for node in graph:
        if node.primitive is not None:
            found = rules(node)
            lines.append(f"    {graph.line(node)}")
            lines += [f"        {name} = {value}" for name, value in found.where]
            lines += [f"        {name}: {value}" for name, _, value in found.cotangents]
    return "\n".join(lines) + "\n"


def golden():
    """Return what the file says of each expression."""
    blocks = GOLDEN.read_text("utf-8").split("\n\n")
    return {block.split("\n", 1)[0]: block.rstrip("\n") + "\n" for block in blocks}


@pytest.mark.parametrize("text", expressions())
def test_a_rule_is_written_as_it_was_approved(text):
    assert written(text) == golden()[text]


def test_the_golden_file_has_these_expressions_and_no_others():
    assert list(golden()) == expressions()


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text("\n".join(map(written, expressions())), "utf-8")
