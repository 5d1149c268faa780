"""Backpropagation through time of five cells, written by hand in NumPy with care.

What does not depend on the state is computed for all steps at once: the products of x before the loop, the gradients of
weights, biases and x after it. One tanh serves all gates, since σ(a) = tanh(a / 2) / 2 + 1 / 2. What multiplies the
cotangents in the loop backward is prepared outside of it, in the array that then becomes the gradient of the sums.

Every function takes x (time, batch, features), the cotangent dy (time, batch, hidden) of the outputs and the weights in
the order of the cell's parameters; it returns the inner product of outputs and dy, and the gradients of x and weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

EPS = 1e-5


def flat(array: Any) -> Any:
    """Return (time, batch, ...) as rows."""
    return array.reshape(-1, *array.shape[2:])


def zeros_before(x: Any, hidden: int) -> Any:
    """Return an array for a state before the first step, which is 0, and after every step."""
    states = np.empty((len(x) + 1, x.shape[1], hidden), x.dtype)
    states[0] = 0
    return states


def affine(x: Any, weight: Any, bias: Any) -> Any:
    """Return x W + b for all steps at once."""
    product = flat(x) @ weight
    product += bias
    return product.reshape(*x.shape[:2], -1)


def rnn(x: Any, dy: Any, w_x: Any, b_x: Any, w_h: Any, b_h: Any) -> list[Any]:
    h = zeros_before(x, len(w_h))
    from_input = affine(x, w_x, b_x + b_h)
    for before, now, a in zip(h, h[1:], from_input, strict=False):
        np.matmul(before, w_h, out=now)
        now += a
        np.tanh(now, out=now)
    dz = 1 - np.square(h[1:])
    turned = w_h.T
    dh = np.zeros_like(h[0])
    for d, dy_t in zip(dz[::-1], dy[::-1], strict=True):
        dh += dy_t
        d *= dh
        np.matmul(d, turned, out=dh)
    dz = flat(dz)
    db = dz.sum(0)
    dx = (dz @ w_x.T).reshape(x.shape)
    return [np.vdot(h[1:], dy), dx, flat(x).T @ dz, db, flat(h[:-1]).T @ dz, db]


def gru(x: Any, dy: Any, w_x: Any, b_x: Any, w_h: Any, b_h: Any) -> list[Any]:
    size = len(w_h)
    half = np.ones(3 * size, x.dtype)
    half[: 2 * size] = 0.5
    h = zeros_before(x, size)
    gates = affine(x, w_x * half, b_x * half)
    from_state = np.empty((*dy.shape[:2], 3 * size), x.dtype)
    scaled, bias = w_h * half, b_h * half
    for before, now, gate, a in zip(h, h[1:], gates, from_state, strict=False):
        np.matmul(before, scaled, out=a)
        a += bias
        both = gate[:, : 2 * size]
        both += a[:, : 2 * size]
        np.tanh(both, out=both)
        both *= 0.5
        both += 0.5
        r, z, n = gate[:, :size], gate[:, size : 2 * size], gate[:, 2 * size :]
        n += r * a[:, 2 * size :]
        np.tanh(n, out=n)
        np.subtract(before, n, out=now)
        now *= z
        now += n
    r, z, n = (gates[..., k * size : (k + 1) * size] for k in range(3))
    # Side by side: the cotangents of n, r, z as x reaches them, of r, z, n as h does.
    d = np.empty((*dy.shape[:2], 4, size), x.dtype)
    np.multiply(1 - z, 1 - np.square(n), out=d[:, :, 0])
    np.multiply(d[:, :, 0], r, out=d[:, :, 3])
    np.multiply(d[:, :, 3], (1 - r) * from_state[..., 2 * size :], out=d[:, :, 1])
    np.multiply((h[:-1] - n) * z, 1 - z, out=d[:, :, 2])
    turned = w_h.T
    dh = np.zeros_like(h[0])
    through = np.empty_like(dh)
    for d_t, z_t, dy_t in zip(d[::-1], z[::-1], dy[::-1], strict=True):
        dh += dy_t
        d_t *= dh[:, None]
        np.matmul(d_t[:, 1:].reshape(len(dh), -1), turned, out=through)
        dh *= z_t
        dh += through
    d = d.reshape(-1, 4 * size)
    db = d.sum(0)
    by_x, by_h = d[:, : 3 * size], d[:, size:]
    order = np.r_[size : 3 * size, :size]
    dx = (by_x @ w_x[:, np.r_[2 * size : 3 * size, : 2 * size]].T).reshape(x.shape)
    dw_x = (flat(x).T @ by_x)[:, order]
    return [np.vdot(h[1:], dy), dx, dw_x, db[: 3 * size][order], flat(h[:-1]).T @ by_h, db[size:]]


def lstm(x: Any, dy: Any, w_x: Any, b_x: Any, w_h: Any, b_h: Any) -> list[Any]:
    size = len(w_h)
    half = halves(size, x.dtype)
    h, c = zeros_before(x, size), zeros_before(x, size)
    gates = affine(x, w_x * half, (b_x + b_h) * half)
    squashed = np.empty_like(dy)
    scaled, shift = w_h * half, 1 - half
    for t, gate in enumerate(gates):
        gate += h[t] @ scaled
        np.tanh(gate, out=gate)
        gate *= half
        gate += shift
        i, f, g, o = parts(gate)
        np.multiply(f, c[t], out=c[t + 1])
        c[t + 1] += i * g
        np.tanh(c[t + 1], out=squashed[t])
        np.multiply(o, squashed[t], out=h[t + 1])
    i, f, g, o = parts(gates)
    dz = slopes_of_gates(gates, c, squashed)
    through = np.square(squashed, out=squashed)
    np.subtract(1, through, out=through)
    through *= o
    dz, turned = memory_backward(dz, through, f, dy, w_h), flat(h[:-1]).T
    db = dz.sum(0)
    dx = (dz @ w_x.T).reshape(x.shape)
    return [np.vdot(h[1:], dy), dx, flat(x).T @ dz, db, turned @ dz, db]


def peephole(x: Any, dy: Any, w_x: Any, b_x: Any, w_h: Any, b_h: Any, p_i: Any, p_f: Any, p_o: Any) -> list[Any]:
    size = len(w_h)
    half = halves(size, x.dtype)
    h, c = zeros_before(x, size), zeros_before(x, size)
    gates = affine(x, w_x * half, (b_x + b_h) * half)
    squashed = np.empty_like(dy)
    scaled, shift = w_h * half, 1 - half
    p = np.stack([p_i, p_f]) / 2
    for t, gate in enumerate(gates):
        gate += h[t] @ scaled
        early = gate[:, : 3 * size]
        sees_before = early[:, : 2 * size].reshape(-1, 2, size)
        sees_before += p * c[t][:, None]
        np.tanh(early, out=early)
        early *= half[: 3 * size]
        early += shift[: 3 * size]
        i, f, g, o = parts(gate)
        np.multiply(f, c[t], out=c[t + 1])
        c[t + 1] += i * g
        o += p_o / 2 * c[t + 1]
        np.tanh(o, out=o)
        o *= 0.5
        o += 0.5
        np.tanh(c[t + 1], out=squashed[t])
        np.multiply(o, squashed[t], out=h[t + 1])
    i, f, g, o = parts(gates)
    dz = slopes_of_gates(gates, c, squashed)
    d_i, d_f, _, d_o = parts(dz)
    through = np.square(squashed, out=squashed)
    np.subtract(1, through, out=through)
    through *= o
    through += d_o * p_o
    kept = d_i * p_i
    kept += d_f * p_f
    kept += f
    dz = memory_backward(dz, through, kept, dy, w_h)
    db = dz.sum(0)
    dx = (dz @ w_x.T).reshape(x.shape)
    d_i, d_f, _, d_o = parts(dz)
    before, after = flat(c[:-1]), flat(c[1:])
    peepholes = [np.einsum("nk,nk->k", d, a) for d, a in ((d_i, before), (d_f, before), (d_o, after))]
    return [np.vdot(h[1:], dy), dx, flat(x).T @ dz, db, flat(h[:-1]).T @ dz, db, *peepholes]


def layernorm(x: Any, dy: Any, w_x: Any, w_h: Any, *norms: Any) -> list[Any]:
    w_nx, b_nx, w_nh, b_nh, w_nc, b_nc = norms
    steps, batch, size = dy.shape
    half = halves(size, x.dtype)
    shift = 1 - half
    h, c = zeros_before(x, size), zeros_before(x, size)
    of_x, scale_x = normalized(flat(x) @ w_x)
    gates = (of_x * (w_nx * half) + (b_nx + b_nh) * half).reshape(steps, batch, -1)
    of_h, scale_h = np.empty_like(gates), np.empty((steps, batch, 1), x.dtype)
    of_c, scale_c = np.empty_like(dy), np.empty((steps, batch, 1), x.dtype)
    squashed = np.empty_like(dy)
    weight = w_nh * half
    for t, gate in enumerate(gates):
        of_h[t], scale_h[t] = normalized(h[t] @ w_h)
        gate += of_h[t] * weight
        np.tanh(gate, out=gate)
        gate *= half
        gate += shift
        i, f, g, o = parts(gate)
        np.multiply(f, c[t], out=c[t + 1])
        c[t + 1] += i * g
        of_c[t], scale_c[t] = normalized(c[t + 1])
        np.multiply(of_c[t], w_nc, out=squashed[t])
        squashed[t] += b_nc
        np.tanh(squashed[t], out=squashed[t])
        np.multiply(o, squashed[t], out=h[t + 1])
    i, f, g, o = parts(gates)
    dz = slopes_of_gates(gates, c, squashed)
    d_norm = (1 - np.square(squashed)) * o
    d_state = np.empty_like(dz)
    dh, dc = np.zeros_like(h[0]), np.zeros_like(h[0])
    turned = w_h.T
    for t in reversed(range(steps)):
        dh += dy[t]
        d_norm[t] *= dh
        dc += norm_backward(d_norm[t] * w_nc, of_c[t], scale_c[t])
        of_memory = dz[t, :, : 3 * size].reshape(batch, 3, size)
        of_memory *= dc[:, None]
        dz[t, :, 3 * size :] *= dh
        d_state[t] = norm_backward(dz[t] * w_nh, of_h[t], scale_h[t])
        np.matmul(d_state[t], turned, out=dh)
        dc *= f[t]
    dz, d_state, d_norm = flat(dz), flat(d_state), flat(d_norm)
    d_input = norm_backward(dz * w_nx, of_x, scale_x)
    db = dz.sum(0)
    dx = (d_input @ w_x.T).reshape(x.shape)
    scales = [np.einsum("nk,nk->k", dz, of_x), np.einsum("nk,nk->k", dz, flat(of_h))]
    memory = [np.einsum("nk,nk->k", d_norm, flat(of_c)), d_norm.sum(0)]
    weights = [flat(x).T @ d_input, flat(h[:-1]).T @ d_state]
    return [np.vdot(h[1:], dy), dx, *weights, scales[0], db, scales[1], db, *memory]


def halves(size: int, dtype: Any) -> Any:
    """Return 1/2 for the sums that a sigmoid takes and 1 for those of tanh, in the order i, f, g, o."""
    half = np.full(4 * size, 0.5, dtype)
    half[2 * size : 3 * size] = 1
    return half


def parts(gates: Any) -> tuple[Any, ...]:
    """Return views of i, f, g, o."""
    size = gates.shape[-1] // 4
    return tuple(gates[..., k * size : (k + 1) * size] for k in range(4))


def slopes_of_gates(gates: Any, c: Any, squashed: Any) -> Any:
    """Return what the cotangent of c is multiplied by on its way into the sums of i, f, g; that of h for o."""
    i, f, g, o = parts(gates)
    slopes = np.empty_like(gates)
    d_i, d_f, d_g, d_o = parts(slopes)
    for gate, slope, factor in ((i, d_i, g), (f, d_f, c[:-1]), (o, d_o, squashed)):
        np.subtract(1, gate, out=slope)
        slope *= gate
        slope *= factor
    np.square(g, out=d_g)
    np.subtract(1, d_g, out=d_g)
    d_g *= i
    return slopes


def memory_backward(dz: Any, through: Any, kept: Any, dy: Any, w_h: Any) -> Any:
    """Run an LSTM backward and return the cotangents of the sums, as rows, in place of dz.

    The cotangent of c gains that of h times `through`, and leaves a step times `kept`.
    """
    steps, batch, size = dy.shape
    turned = w_h.T
    dh, dc = np.zeros_like(dy[0]), np.zeros_like(dy[0])
    into_memory, into_output = dz[..., : 3 * size], dz[..., 3 * size :]
    for t in reversed(range(steps)):
        dh += dy[t]
        dc += dh * through[t]
        of_memory = into_memory[t].reshape(batch, 3, size)
        of_memory *= dc[:, None]
        into_output[t] *= dh
        np.matmul(dz[t], turned, out=dh)
        dc *= kept[t]
    return flat(dz)


def normalized(a: Any) -> tuple[Any, Any]:
    """Return a with mean 0 and variance 1 in every row, and 1 / √(variance + ε)."""
    a = a - a.mean(-1, keepdims=True)
    scale = 1 / np.sqrt(np.einsum("nk,nk->n", a, a)[:, None] / a.shape[-1] + a.dtype.type(EPS))
    a *= scale
    return a, scale


def norm_backward(d: Any, normal: Any, scale: Any) -> Any:
    """Return the cotangent of what was normalised; d is that of the result and is overwritten."""
    along = np.einsum("nk,nk->n", d, normal)[:, None] / d.shape[-1]
    d -= d.mean(-1, keepdims=True)
    d -= normal * along
    d *= scale
    return d


BY_HAND: dict[str, Callable[..., list[Any]]] = {
    "rnn": rnn,
    "lstm": lstm,
    "gru": gru,
    "peephole": peephole,
    "layernorm": layernorm,
}
