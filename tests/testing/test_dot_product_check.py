"""dot_product_check: forward and reverse mode against each other, without differences."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.core.errors import GradcheckError
from tinygrad_rnn.testing import dot_product_check

RNG = np.random.default_rng(0)
VECTOR = RNG.normal(size=3)


def squash(vjp_factor=1.0, jvp_factor=1.0):
    """Return tanh with rules that are off by a factor."""
    made = tg.Primitive("squash", np.tanh)
    made.defvjp(lambda g, out, a: vjp_factor * g * (1 - out * out))
    made.defjvp(lambda g, out, a: jvp_factor * g * (1 - out * out))
    return made


def test_the_dot_product_check_finds_rules_that_disagree_and_names_them():
    wrong = squash(vjp_factor=1 + 1e-8)
    with pytest.raises(GradcheckError, match=r"⟨Jv, u⟩ = .* but ⟨v, Jᵀu⟩"):
        dot_product_check(lambda a: np.exp(wrong(a)), [VECTOR])
    wrong = squash(jvp_factor=1.001)
    with pytest.raises(GradcheckError, match="To blame is primitive squash"):
        dot_product_check(lambda a: np.exp(wrong(a)), [VECTOR])


def test_the_dot_product_check_holds_at_kinks_and_in_float32():
    dot_product_check(lambda a, b: np.maximum(tg.relu(a), b), [np.zeros(3), np.zeros((2, 3))])
    dot_product_check(lambda a: np.tanh(a.astype(np.float32)), [RNG.normal(size=100)])
