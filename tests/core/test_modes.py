"""no_grad, enable_grad, debug and scope, in blocks, decorators and threads."""

import inspect
import threading
from contextvars import copy_context

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.core.errors import NonFiniteError


def leaf(value):
    return tg.Tensor(value, requires_grad=True)


def here():
    """Return the file and line of the caller."""
    frame = inspect.currentframe().f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def test_no_grad_records_nothing_inside_its_block_and_everything_after_it():
    x = leaf([1.0])
    with tg.no_grad():
        assert not (2 * x).requires_grad
        with tg.enable_grad():
            assert (2 * x).requires_grad
        assert not np.split(x, 1)[0].requires_grad
    assert (2 * x).requires_grad


def test_no_grad_ends_with_an_error_too():
    x = leaf([1.0])
    with pytest.raises(ZeroDivisionError), tg.no_grad():
        1 / 0  # noqa: B018
    assert (2 * x).requires_grad


def test_no_grad_decorates_functions_that_may_call_themselves():
    x = leaf([1.0])

    @tg.no_grad()
    def double(n):
        """Doubles."""
        result = 2 * x
        assert not result.requires_grad
        return double(n - 1) if n else result

    assert not double(3).requires_grad
    assert (2 * x).requires_grad
    assert double.__name__ == "double" and double.__doc__ == "Doubles."


def test_a_decorated_function_runs_in_several_threads_at_once():
    x = leaf([1.0])
    inside, failures = threading.Barrier(4, timeout=20), []

    @tg.no_grad()
    def work():
        inside.wait()
        return (2 * x).requires_grad

    def run():
        failures.extend([work() for _ in range(50)])
        failures.append(not (2 * x).requires_grad)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failures) == 4 * 51 and not any(failures)


def test_one_mode_object_may_be_entered_again_inside_itself():
    x, quiet = leaf([1.0]), tg.no_grad()
    with quiet, quiet:
        assert not (2 * x).requires_grad
    assert (2 * x).requires_grad


def test_a_new_thread_starts_from_the_default_modes():
    x, found = leaf([0.0]), []

    def work():
        with np.errstate(all="ignore"):
            y = 1 / x
        found.append((y.requires_grad, y.node.scope))

    with tg.no_grad(), tg.debug(), tg.scope("encoder"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert found == [(True, ())]


def test_modes_belong_to_their_context():
    x, context = leaf([1.0]), copy_context()
    with tg.no_grad():
        assert context.run(lambda: (2 * x).requires_grad)


def test_every_mode_leaves_the_others_as_they_are():
    x = leaf([0.0])
    with tg.scope("a"), tg.debug(), tg.no_grad(), tg.enable_grad(), tg.scope("b"), tg.debug():
        assert (2 * x).node.scope == ("a", "b")
        with tg.no_grad(), np.errstate(divide="ignore"), pytest.raises(NonFiniteError):
            np.log(x)
        with tg.no_grad(), tg.scope("c"), tg.debug():
            assert not (2 * x).requires_grad


def test_scopes_nest_and_are_written_on_every_node_and_print():
    x = leaf([1.0])
    with tg.scope("lstm"):
        outer = 2 * x
        with tg.scope("cell"), tg.scope(7):
            inner = np.exp(x)

    @tg.scope("head")
    def head():
        return -x

    assert outer.node.scope == ("lstm",)
    assert inner.node.scope == ("lstm", "cell", 7)
    assert head().node.scope == ("head",)
    assert (2 * x).node.scope == ()
    assert "lstm/cell/7" in str(tg.Graph.of(inner))


def test_debug_names_operation_and_line_of_the_first_value_that_is_not_finite():
    x = leaf([1.0, 0.0])
    with tg.debug(), np.errstate(divide="ignore"):
        line = here()
        with pytest.raises(NonFiniteError) as error:
            np.log(x)
    file, number = line.rsplit(":", 1)
    assert f"log gave -inf (shape (2,)) at {file}:{int(number) + 2}" in str(error.value)
    assert "np.clip" in str(error.value)


@pytest.mark.parametrize(
    "call",
    [lambda x: x / 0.0, lambda x: np.sqrt(x - 2), lambda x: np.split(np.log(x * 0.0), 1), lambda x: x**-1e9 * 0.0],
)
def test_debug_also_checks_tensors_that_need_no_gradient(call):
    with np.errstate(all="ignore"):
        call(tg.Tensor([0.5]))
        with tg.debug(), pytest.raises(NonFiniteError):
            call(tg.Tensor([0.5]))


def test_debug_names_the_line_of_the_operation_whose_gradient_is_not_finite():
    x = leaf([0.0, 1.0])
    with tg.debug(), np.errstate(divide="ignore"):
        line = here()
        y = np.sqrt(x)
        loss = y.sum()
        with pytest.raises(NonFiniteError) as error:
            loss.backward()
    file, number = line.rsplit(":", 1)
    assert "the gradient of sqrt has inf (shape (2,))" in str(error.value)
    assert f"made at {file}:{int(number) + 1}" in str(error.value)
    assert x.grad is None


def test_debug_in_the_backward_pass_alone_still_names_the_operation():
    x = leaf([0.0, 1.0])
    with np.errstate(divide="ignore"):
        loss = np.sqrt(x)[np.array([0, 1])].sum()
        with (
            tg.debug(),
            pytest.raises(NonFiniteError, match=r"the gradient of sqrt.*run the forward pass inside debug"),
        ):
            loss.backward()


def test_debug_checks_gradients_of_joint_rules_and_of_recorded_sweeps():
    bad = tg.Primitive("bad", lambda a, b: a + b)
    bad.defvjp_joint(lambda gs, outs, args, needs: [gs[0] * np.inf, None])
    x = leaf([1.0])
    for record in (False, True):
        with tg.debug(), pytest.raises(NonFiniteError, match=r"(the gradient of bad has|multiply gave) inf"):
            tg.gradients(bad(x, 1.0), [x], record=record)


def test_debug_lets_finite_and_integer_values_pass_and_keeps_no_frames():
    x = leaf([1.0, 2.0])
    with tg.debug():
        line = here()
        y = np.tanh(x[np.array([0, 1])])
        y.sum().backward()
    file, number = line.rsplit(":", 1)
    assert y.node.line == f"{file}:{int(number) + 1}"
    assert isinstance(y.node.line, str)
    assert (2 * x).node.line is None


def test_keep_values_keeps_what_no_rule_reads_and_changes_no_gradient():
    gradients = []
    noise = np.array([0.5, 0.25])
    for mode in (tg.keep_values, tg.debug, tg.enable_grad):
        x = tg.Tensor([1.0, 2.0], requires_grad=True)
        with mode():
            y = np.sum(np.exp(x + noise))
        add = tg.Graph.of(y).nodes[1]
        if mode is tg.enable_grad:
            assert not any(isinstance(arg, np.ndarray) for arg in (*add.args, *add.outs))
        else:
            np.testing.assert_array_equal(add.args[0], [1.0, 2.0])
            np.testing.assert_array_equal(add.args[1], noise)
            assert add.args[1] is not noise
            np.testing.assert_array_equal(add.outs[0], [1.5, 2.25])
        y.backward()
        assert add.args is None and add.outs is None
        gradients.append(x.grad)
    np.testing.assert_array_equal(gradients[0], gradients[1])
    np.testing.assert_array_equal(gradients[0], gradients[2])


def test_keep_values_holds_in_scopes_and_goes_on_inside_other_modes():
    x = tg.Tensor([1.0], requires_grad=True)
    with tg.keep_values(), tg.scope("part"), tg.no_grad(), tg.enable_grad():
        assert isinstance((x + 1.0).node.outs[0], np.ndarray)
