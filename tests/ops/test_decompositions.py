"""What the table does not say of decompositions: the other triangle, values that coincide, what is refused."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.core.errors import NoRuleError
from tinygrad_rnn.testing import gradcheck

LOWER = np.array([[2.0, 9.0], [0.5, 3.0]])


@pytest.mark.parametrize("function", [np.linalg.eigvalsh, lambda a, UPLO="L": np.linalg.eigh(a, UPLO).eigenvalues])
def test_either_triangle_is_read_and_the_gradient_is_that_of_a_symmetric_matrix(function):
    for triangle, read in (("L", np.tril(LOWER)), ("U", np.triu(LOWER))):
        whole = read + read.T - np.diag(np.diag(read))
        np.testing.assert_array_equal(
            function(tg.Tensor(LOWER), UPLO=triangle).data, np.linalg.eigh(LOWER, triangle).eigenvalues
        )
        slope = tg.grad(lambda a, triangle=triangle: function(a, UPLO=triangle)[0])(LOWER).data
        np.testing.assert_allclose(slope, tg.grad(lambda a: function(a)[0])(whole).data, rtol=1e-12)
        np.testing.assert_array_equal(slope, slope.T)


def test_values_that_coincide_have_a_gradient():
    np.testing.assert_allclose(tg.grad(lambda a: np.sum(np.linalg.eigvalsh(a)))(np.eye(3)).data, np.eye(3), atol=1e-15)
    np.testing.assert_allclose(tg.grad(lambda a: np.sum(np.linalg.svdvals(a)))(np.eye(3)).data, np.eye(3), atol=1e-15)


def test_vectors_without_the_values_carry_a_gradient_too():
    matrix = np.array([[3.0, 1.0, 0.0], [0.2, 1.0, 0.5]])
    gradcheck(lambda a: np.linalg.eigh(a @ a.T).eigenvectors[:, 0] ** 2, [matrix])
    gradcheck(lambda a: np.linalg.svd(a, full_matrices=False).U ** 2, [matrix])
    gradcheck(lambda a: np.linalg.svd(a, full_matrices=False).Vh ** 2, [matrix])


def test_the_pseudo_inverse_of_a_square_matrix_is_the_inverse():
    np.testing.assert_allclose(np.linalg.pinv(tg.Tensor(LOWER)).data, np.linalg.inv(LOWER), rtol=1e-12)
    gradcheck(np.linalg.pinv, [LOWER])


def test_what_has_no_derivative_is_refused_by_name():
    with pytest.raises(NoRuleError, match=r"shape \(2, 3\).*write full_matrices=False"):
        np.linalg.svd(tg.Tensor(np.ones((2, 3))))
    with pytest.raises(NoRuleError, match=r"write np\.linalg\.eigh"):
        np.linalg.svd(tg.Tensor(np.eye(2)), hermitian=True)
