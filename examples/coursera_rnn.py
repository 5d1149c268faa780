"""Coursera's "Building an RNN step by step": its printed numbers, from the forward pass alone.

One learns the forward passes of the plain RNN and of the LSTM, written as the notebook has them (columns are
examples), and that they are all one needs: every gradient here comes from the graph, none is derived. One also learns
why gradients are checked: the notebook's `lstm_backward` never hands the gradient of a state to the step before, so it
is not backpropagation through time. It is what one gets by detaching the state at each step; finite differences
agree with the graph, and so does the notebook's third version, where it was mended. How wrong it is depends on how many
of the seven steps have a gradient: four in the notebook (off by up to 1.71 on a scale of 2.51, in dWc); where all seven
have one it is off by up to 1.58 on a scale of 1.9, in dWo.

Source: A. Ng, K. Katanforoosh, Y. Bensouda Mourri, "Building your Recurrent Neural Network - Step by Step" (version
2), in "Sequence Models", Coursera, 2018: np.random.seed(1), n_x = 3, n_a = 5, n_y = 2, 10 examples. Taken
from it: shapes, order of the draws, printed values.
"""

from __future__ import annotations

import numpy as np
from checks import Checks, wants_quick

import tinygrad_rnn as tg

randn = np.random.randn
SHAPES = {"Waa": (5, 5), "Wax": (5, 3), "Wya": (2, 5), "ba": (5, 1), "by": (2, 1)}
SHAPES |= {f"W{gate}": (5, 8) for gate in "fioc"} | {f"b{gate}": (5, 1) for gate in "fioc"} | {"Wy": (2, 5)}


def draw(*names: str) -> dict[str, np.ndarray]:
    return {name: randn(*SHAPES[name]) for name in names}


def sigmoid(z):
    return tg.sigmoid(z) if isinstance(z, tg.Tensor) else 1 / (1 + np.exp(-z))


def softmax(z):
    return tg.softmax(z, axis=0) if isinstance(z, tg.Tensor) else np.exp(z) / np.exp(z).sum(axis=0)


def rnn_step(x, a, w):
    """Take one step of the plain RNN: x (n_x, m), a (n_a, m)."""
    return np.tanh(w["Waa"] @ a + w["Wax"] @ x + w["ba"])


def rnn(x, a, w):
    """Return the states (n_a, m, T) over x (n_x, m, T)."""
    states = []
    for t in range(x.shape[2]):
        a = rnn_step(x[:, :, t], a, w)
        states.append(a)
    return np.stack(states, axis=2)


def lstm_step(x, a, c, w):
    """Take one step of the LSTM: x (n_x, m), a and c (n_a, m)."""
    both = np.concatenate([a, x])
    forget, update, output = (sigmoid(w[f"W{gate}"] @ both + w[f"b{gate}"]) for gate in "fio")
    c = forget * c + update * np.tanh(w["Wc"] @ both + w["bc"])
    return output * np.tanh(c), c


def lstm(x, a, w, detach=False):
    """Return a and c (n_a, m, T) over x (n_x, m, T); `detach` makes the state a constant for the step after."""
    c = np.zeros(a.shape)
    states = []
    for t in range(x.shape[2]):
        if detach and t > 0:
            a, c = a.detach(), c.detach()
        a, c = lstm_step(x[:, :, t], a, c, w)
        states.append((a, c))
    return tuple(np.stack(part, axis=2) for part in zip(*states, strict=True))


def predictions(a, w):
    """Return softmax scores (n_y, m) or (n_y, m, T) of the states."""
    w_y = w["Wya"] if "Wya" in w else w["Wy"]
    return softmax(np.einsum("ya,a...->y...", w_y, a) + w["by"].reshape(-1, *[1] * (a.ndim - 1)))


def from_graph(loss, arrays):
    """Return the gradient of `loss(tensors)` for each of the named arrays."""
    tensors = {name: tg.Tensor(array, requires_grad=True) for name, array in arrays.items()}
    return dict(zip(tensors, tg.gradients(loss(tensors), list(tensors.values())), strict=True))


def from_differences(loss, arrays):
    """Return the same from values of the loss alone, by differences of fourth order in bare NumPy."""
    h, gradients = 3e-4, {}
    for name, array in arrays.items():
        gradients[name] = np.empty_like(array)
        for i in np.ndindex(array.shape):
            losses = []
            for steps in (-2, -1, 1, 2):
                moved = array.copy()
                moved[i] += steps * h
                losses.append(float(loss({**arrays, name: moved})))
            gradients[name][i] = (losses[0] - 8 * losses[1] + 8 * losses[2] - losses[3]) / (12 * h)
    return gradients


def tensors_of(arrays):
    return {name: tg.Tensor(array) for name, array in arrays.items()}


class Lesson(Checks):
    """Checks against numbers as they stand on paper."""

    def printed(self, what: str, ours, numbers: str) -> None:
        """Claim that our numbers, rounded, are those printed, in all their decimals."""
        # NumPy leaves out zeros at the end, so the longest number tells how many decimals were printed.
        decimals = max(len(number.split(".")[1]) for number in numbers.split())
        reference = [float(number) for number in numbers.split()]
        self.close(what, np.squeeze(ours), np.squeeze(reference), 0.501 * 10.0**-decimals)

    def gradients(self, part: str, graph, differences) -> None:
        """Claim that all elements of all gradients are those of finite differences."""
        for name in graph:
            self.close(f"{part}, d{name}, all elements beside differences", graph[name], differences[name], 1e-8)


def forward(checks: Lesson) -> None:
    np.random.seed(1)
    x, a0, w = randn(3, 10), randn(5, 10), draw("Waa", "Wax", "Wya", "ba", "by")
    tensors = tensors_of(w)
    a = rnn_step(tg.Tensor(x), a0, tensors)
    y = predictions(a, tensors)
    checks.printed(
        "RNN cell, a_next[4]",
        a.data[4],
        "0.59584544 0.18141802 0.61311866 0.99808218 0.85016201 0.99980978 -0.18887155 0.99815551 0.6531151 0.82872037",
    )
    checks.printed(
        "RNN cell, yt_pred[1]",
        y.data[1],
        "0.9888161 0.01682021 0.21140899 0.36817467 0.98988387 0.88945212 0.36920224 0.9966312 0.9982559 0.17746526",
    )
    checks.close("RNN cell, a_next beside bare NumPy", a.data, rnn_step(x, a0, w), 1e-8)

    np.random.seed(1)
    x, a0, w = randn(3, 10, 4), randn(5, 10), draw("Waa", "Wax", "Wya", "ba", "by")
    tensors = tensors_of(w)
    a = rnn(tg.Tensor(x), a0, tensors)
    y = predictions(a, tensors)
    checks.printed("RNN, a[4][1]", a.data[4, 1], "-0.99999375 0.77911235 -0.99861469 -0.99833267")
    checks.printed("RNN, y_pred[1][3]", y.data[1, 3], "0.79560373 0.86224861 0.11118257 0.81515947")
    checks.close("RNN, a beside bare NumPy", a.data, rnn(x, a0, w), 1e-8)
    checks.close("RNN, y_pred beside bare NumPy", y.data, predictions(rnn(x, a0, w), w), 1e-8)

    lstm_names = ("Wf", "bf", "Wi", "bi", "Wo", "bo", "Wc", "bc", "Wy", "by")
    np.random.seed(1)
    x, a0, c0, w = randn(3, 10), randn(5, 10), randn(5, 10), draw(*lstm_names)
    tensors = tensors_of(w)
    a, c = lstm_step(tg.Tensor(x), a0, c0, tensors)
    y = predictions(a, tensors)
    checks.printed(
        "LSTM cell, a_next[4]",
        a.data[4],
        "-0.66408471 0.0036921 0.02088357 0.22834167 -0.85575339"
        " 0.00138482 0.76566531 0.34631421 -0.00215674 0.43827275",
    )
    checks.printed(
        "LSTM cell, c_next[2]",
        c.data[2],
        "0.63267805 1.00570849 0.35504474 0.20690913 -1.64566718"
        " 0.11832942 0.76449811 -0.0981561 -0.74348425 -0.26810932",
    )
    checks.printed(
        "LSTM cell, yt[1]",
        y.data[1],
        "0.79913913 0.15986619 0.22412122 0.15606108 0.97057211 0.31146381 0.00943007 0.12666353 0.39380172 0.07828381",
    )
    checks.close("LSTM cell, a_next and c_next beside bare NumPy", [a.data, c.data], lstm_step(x, a0, c0, w), 1e-8)

    np.random.seed(1)
    x, a0, w = randn(3, 10, 7), randn(5, 10), draw(*lstm_names)
    tensors = tensors_of(w)
    a, c = lstm(tg.Tensor(x), a0, tensors)
    y = predictions(a, tensors)
    checks.printed("LSTM, a[4][3][6]", a.data[4, 3, 6], "0.172117767533")
    checks.printed("LSTM, y[1][4][3]", y.data[1, 4, 3], "0.95087346185")
    checks.printed("LSTM, c[1][2][1]", c.data[1, 2, 1], "-0.855544916718")
    checks.close("LSTM, a and c beside bare NumPy", [a.data, c.data], lstm(x, a0, w), 1e-8)


def backward(checks: Lesson) -> None:
    np.random.seed(1)
    randn(3, 10, 4), randn(5, 10)
    # The notebook draws a new bias, b, and then uses the one of the RNN above, which is still called ba.
    old_bias = draw("Waa", "Wax", "Wya", "ba")["ba"]
    np.random.seed(1)
    arrays = {"x": randn(3, 10), "a_prev": randn(5, 10), **draw("Wax", "Waa", "Wya", "ba", "by")}
    da = randn(5, 10)
    arrays["ba"] = old_bias
    for unused in ("Wya", "by"):
        del arrays[unused]

    def loss_of_cell(v):
        return np.sum(rnn_step(v["x"], v["a_prev"], v) * da)

    d = from_graph(loss_of_cell, arrays)
    checks.printed("RNN cell, dxt[1][2]", d["x"][1, 2], "-0.460564103059")
    checks.printed("RNN cell, da_prev[2][3]", d["a_prev"][2, 3], "0.0842968653807")
    checks.printed("RNN cell, dWax[3][1]", d["Wax"][3, 1], "0.393081873922")
    checks.printed("RNN cell, dWaa[1][2]", d["Waa"][1, 2], "-0.28483955787")
    checks.printed("RNN cell, dba[4]", d["ba"][4], "0.80517166")
    checks.gradients("RNN cell", d, from_differences(loss_of_cell, arrays))

    np.random.seed(1)
    arrays = {"x": randn(3, 10, 4), "a0": randn(5, 10), **draw("Wax", "Waa", "Wya", "ba", "by")}
    da_of_rnn = randn(5, 10, 4)
    for unused in ("Wya", "by"):
        del arrays[unused]

    def loss_of_rnn(v):
        return np.sum(rnn(v["x"], v["a0"], v) * da_of_rnn)

    d = from_graph(loss_of_rnn, arrays)
    checks.printed("RNN, dx[1][2]", d["x"][1, 2], "-2.07101689 -0.59255627 0.02466855 0.01483317")
    checks.printed("RNN, da0[2][3]", d["a0"][2, 3], "-0.314942375127")
    checks.printed("RNN, dWax[3][1]", d["Wax"][3, 1], "11.2641044965")
    checks.printed("RNN, dWaa[1][2]", d["Waa"][1, 2], "2.30333312658")
    checks.printed("RNN, dba[4]", d["ba"][4], "-0.74747722")
    checks.gradients("RNN", d, from_differences(loss_of_rnn, arrays))

    names = ("Wf", "bf", "Wi", "bi", "Wo", "bo", "Wc", "bc")
    np.random.seed(1)
    arrays = {"x": randn(3, 10), "a_prev": randn(5, 10), "c_prev": randn(5, 10), **draw(*names)}
    draw("Wy", "by")
    da_next, dc_next = randn(5, 10), randn(5, 10)

    def loss_of_lstm_cell(v):
        a, c = lstm_step(v["x"], v["a_prev"], v["c_prev"], v)
        return np.sum(a * da_next) + np.sum(c * dc_next)

    d = from_graph(loss_of_lstm_cell, arrays)
    checks.printed("LSTM cell, dxt[1][2]", d["x"][1, 2], "3.23055911511")
    checks.printed("LSTM cell, da_prev[2][3]", d["a_prev"][2, 3], "-0.0639621419711")
    checks.printed("LSTM cell, dc_prev[2][3]", d["c_prev"][2, 3], "0.797522038797")
    checks.printed("LSTM cell, dWf[3][1]", d["Wf"][3, 1], "-0.147954838164")
    checks.printed("LSTM cell, dWi[1][2]", d["Wi"][1, 2], "1.05749805523")
    checks.printed("LSTM cell, dWc[3][1]", d["Wc"][3, 1], "2.30456216369")
    checks.printed("LSTM cell, dWo[1][2]", d["Wo"][1, 2], "0.331311595289")
    for name, number in (("bf", "0.18864637"), ("bi", "-0.40142491"), ("bc", "0.25587763"), ("bo", "0.13893342")):
        checks.printed(f"LSTM cell, d{name}[4]", d[name][4], number)
    checks.gradients("LSTM cell", d, from_differences(loss_of_lstm_cell, arrays))


# What is printed, where in the gradient, by the notebook when its published code runs, and by its third version.
LSTM_BACKWARD = (
    ("x", (1, 2, 0), "-0.00173313", "0.00218254"),
    ("x", (1, 2, 1), "0.08287442", "0.28205375"),
    ("x", (1, 2, 2), "-0.30545663", "-0.48292508"),
    ("x", (1, 2, 3), "-0.43281115", "-0.43281115"),
    ("a0", (2, 3), "-0.095911501954", "0.312770310257"),
    ("Wf", (3, 1), "-0.0698198561274", "-0.0809802310938"),
    ("Wi", (1, 2), "0.102371820249", "0.40512433093"),
    ("Wc", (3, 1), "-0.0624983794927", "-0.0793746735512"),
    ("Wo", (1, 2), "0.0484389131444", "0.038948775763"),
    ("bf", (4, 0), "-0.05657880", "-0.15745657"),
    ("bi", (4, 0), "-0.15399065", "-0.50848333"),
    ("bc", (4, 0), "-0.29691142", "-0.42510818"),
    ("bo", (4, 0), "-0.29798344", "-0.17958196"),
)
# The notebook's table of expected values gives these biases, which neither its code nor the formulas give.
EXPECTED_BIASES = {"bi": -0.06997391, "bc": -0.27441821, "bo": 0.16532821}
# How wrong version 2 is at most where all seven steps have a gradient, and the scale of that gradient.
SEVEN_STEPS = (1.58, 1.9)


def lstm_gradients(steps: int):
    """Return the gradients of the LSTM where the first `steps` of seven have one: whole, detached, by differences."""
    np.random.seed(1)
    x, a0 = randn(3, 10, 7), randn(5, 10)
    # Later steps than those with a gradient change nothing.
    arrays = {"x": x[:, :, :steps], "a0": a0, **draw("Wf", "bf", "Wi", "bi", "Wo", "bo", "Wc", "bc")}
    da = randn(5, 10, steps)

    def loss(v, detach=False):
        return np.sum(lstm(v["x"], v["a0"], v, detach)[0] * da)

    detached = from_graph(lambda v: loss(v, detach=True), arrays)
    return from_graph(loss, arrays), detached, from_differences(loss, arrays)


def errors_and_scales(whole, detached) -> dict[str, tuple[float, float]]:
    """Return the largest error of each of the detached gradients, and the largest element of the whole one."""
    return {name: (np.abs(detached[name] - gradient).max(), np.abs(gradient).max()) for name, gradient in whole.items()}


def lstm_backward(checks: Lesson) -> None:
    whole, detached, differences = lstm_gradients(4)

    print(f"      {'':14}{'graph':>13}{'differences':>13}{'version 3':>13}{'detached':>13}{'version 2':>13}")
    for name, i, version_2, version_3 in LSTM_BACKWARD:
        numbers = [whole[name][i], differences[name][i], float(version_3), detached[name][i], float(version_2)]
        label = f"d{name}[{', '.join(map(str, i))}]"
        print(f"      {label:14}" + "".join(f"{number:13.8f}" for number in numbers))
    print(f"      expected by version 2, wrongly: {', '.join(f'd{k}[4] = {v}' for k, v in EXPECTED_BIASES.items())}\n")

    checks.gradients("LSTM", whole, differences)
    for name, i, version_2, version_3 in LSTM_BACKWARD:
        checks.printed(f"LSTM, d{name}{list(i)}, graph beside version 3", whole[name][i], version_3)
        checks.printed(f"LSTM, d{name}{list(i)}, detached beside version 2", detached[name][i], version_2)
    for name, number in EXPECTED_BIASES.items():
        off = min(abs(gradient[name][4, 0] - number) for gradient in (whole, detached))
        checks.at_least(f"LSTM, d{name}[4] as expected by version 2, distance from both", off, 0.02)
    found = errors_and_scales(whole, detached)
    for name, (error, scale) in found.items():
        checks.at_least(f"LSTM, d{name}, largest error of version 2 over the largest element", error / scale, 0.1)
        print(f"      {error:.2f} on a scale of {scale:.2f}")
    name = max(found, key=found.get)
    print(f"      the largest of all: {found[name][0]:.2f} on a scale of {found[name][1]:.2f}, in d{name}")

    print("\nThe same where each of the seven steps has a gradient")
    whole, detached, differences = lstm_gradients(7)
    checks.gradients("LSTM, seven steps", whole, differences)
    found = errors_and_scales(whole, detached)
    name = max(found, key=found.get)
    checks.close(f"LSTM, seven steps, d{name}, largest error of all and its scale", found[name], SEVEN_STEPS, 0.05)


def main() -> int:
    wants_quick(__doc__)
    checks = Lesson()
    print("np.random.seed(1), as in the notebook\nForward, beside the printed values and bare NumPy")
    forward(checks)
    print("\nBackward, with no backward code, beside the printed values and finite differences")
    backward(checks)
    print("\nlstm_backward: the graph, finite differences, and what the notebook has")
    lstm_backward(checks)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
