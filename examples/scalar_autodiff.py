"""Reverse-mode automatic differentiation of scalars in forty lines, beside tinygrad_rnn's own.

One learns that a gradient needs no more than this: every number remembers which numbers it was made of and the local
derivative for each; going through the numbers in the reverse order of their making, each hands its gradient times the
local derivative to what it was made of. The library does the same with arrays.

Source: S. Linnainmaa, "Taylor expansion of the accumulated rounding error", 1976 (the method); A. Karpathy,
"micrograd", 2020 (as a lesson on scalars). Written anew: no recursion, and no reference from a number
to what was made of it.
"""

from __future__ import annotations

import math
from itertools import count

import numpy as np
from checks import Checks, wants_quick

import tinygrad_rnn as tg


class Value:
    """A number that remembers what it was made of."""

    made = count()

    def __init__(self, number: float, *parents: tuple[Value, float]) -> None:
        self.number, self.parents = number, parents
        self.gradient = 0.0
        self.order = next(Value.made)

    def __add__(self, other: Value | float) -> Value:
        other = as_value(other)
        return Value(self.number + other.number, (self, 1.0), (other, 1.0))

    def __mul__(self, other: Value | float) -> Value:
        other = as_value(other)
        return Value(self.number * other.number, (self, other.number), (other, self.number))

    __radd__, __rmul__ = __add__, __mul__

    def __sub__(self, other: Value | float) -> Value:
        return self + -1.0 * as_value(other)

    def tanh(self) -> Value:
        """Return the hyperbolic tangent, whose derivative is 1 - tanh²."""
        out = math.tanh(self.number)
        return Value(out, (self, 1 - out * out))

    def backward(self) -> None:
        """Give every number that this one was made of its gradient."""
        found, waiting = {self}, [self]
        while waiting:
            new = {parent for parent, _ in waiting.pop().parents} - found
            found |= new
            waiting += new
        self.gradient = 1.0
        for value in sorted(found, key=lambda value: value.order, reverse=True):
            for parent, derivative in value.parents:
                parent.gradient += derivative * value.gradient


def as_value(number: Value | float) -> Value:
    return number if isinstance(number, Value) else Value(number)


def loss_of_a_network(w, u, b, x1, x2, x3):
    """Run a recurrent network with one unit over three inputs; its last state is to be 0.5.

    It is written in plain algebra, so that it runs on floats, on `Value` and on the library's tensors.
    """
    h = 0.0
    for x in (x1, x2, x3):
        h = tanh(w * x + u * h + b)
    return (h - 0.5) * (h - 0.5)


def tanh(x):
    return x.tanh() if isinstance(x, Value) else np.tanh(x)


def main() -> int:
    wants_quick(__doc__)
    checks = Checks()
    names = ("w", "u", "b", "x1", "x2", "x3")
    numbers = (0.7, -1.3, 0.2, 1.0, -0.5, 2.0)

    values = [Value(number) for number in numbers]
    loss_of_a_network(*values).backward()
    tensors = [tg.Tensor(number, requires_grad=True) for number in numbers]
    loss_of_a_network(*tensors).backward()

    print("The gradient of a recurrent network of one unit, three steps: by hand, by the library, by differences")
    for i, name in enumerate(names):
        step = 1e-6
        above, below = ([n + sign * step * (i == j) for j, n in enumerate(numbers)] for sign in (1, -1))
        difference = (loss_of_a_network(*above) - loss_of_a_network(*below)) / (2 * step)
        checks.close(f"{name}, the library beside forty lines", tensors[i].grad, values[i].gradient, 1e-14)
        checks.close(f"{name}, forty lines beside differences", values[i].gradient, difference, 1e-9)

    print("\nA number that is used twice gets both gradients: d(x·x + x)/dx = 2x + 1")
    x = Value(3.0)
    (x * x + x).backward()
    checks.close("at x = 3", x.gradient, 7.0, 0.0)

    print("\nA chain of 100,000 operations needs no recursion: x + 1e-5 + 1e-5 + ...")
    x, t = Value(0.0), tg.Tensor(0.0, requires_grad=True)
    chain, chain_of_tensors = x, t
    for _ in range(100_000):
        chain, chain_of_tensors = chain + 1e-5, chain_of_tensors + 1e-5
    chain.backward()
    chain_of_tensors.backward()
    checks.close("forty lines", x.gradient, 1.0, 0.0)
    checks.close("the library", t.grad, 1.0, 0.0)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
