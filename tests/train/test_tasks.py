"""Trials: something small is learnt, the same arguments give the same numbers, and what fails is reported."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, train
from tinygrad_rnn.core.errors import CellError, ConfigError, DataError
from tinygrad_rnn.data import tasks


def lstm(features):
    return nn.LSTMCell(features, 16)


def gru(features):
    return nn.GRUCell(features, 8)


def short(task=None, make=gru, **options):
    return train.solve(
        task or tasks.Adding(5), make, **{"steps": 4, "lr": 0.01, "batch_size": 4, "scorings": 2} | options
    )


@pytest.mark.parametrize(
    ("task", "lr", "steps"),
    [
        (tasks.Parity(4), 0.03, 400),
        (tasks.Adding(8), 0.03, 500),
        (tasks.AnBn(4), 0.03, 300),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_small_task_is_solved(task, lr, steps):
    assert task.threshold < task.baseline().error
    trial = train.solve(task, lstm, steps=steps, lr=lr, scorings=20)
    assert trial.failure is None
    assert task.solved(trial.validation)
    assert trial.sequences_to_solve < trial.sequences == 32 * steps
    assert trial.curve[-1].train_loss < trial.curve[0].train_loss / 4


def test_a_cell_that_ignores_its_state_gets_no_further_than_the_baseline():
    class Forgetful(nn.Cell):
        def __init__(self, features):
            super().__init__()
            self.hidden_size = 8
            self.linear = nn.Linear(features, 8)

        def forward(self, x, h):
            h = np.tanh(self.linear(x))
            return h, h

    task = tasks.Parity(6)
    trial = train.solve(task, Forgetful, steps=300, lr=0.02)
    assert not trial.solved
    assert trial.sequences_to_solve is None
    assert trial.test.error == pytest.approx(task.baseline().error, abs=0.1)


def test_the_state_is_handed_on_where_a_task_carries_it():
    read = []

    class Watched(nn.Cell):
        def __init__(self, features):
            super().__init__()
            self.hidden_size = 1
            self.weight = nn.Parameter(np.ones((1, 1), np.float32))

        def forward(self, x, h):
            h = h + self.weight[0] * 0 + 1  # Counts the steps since the state began.
            return h, h

    class Count(tasks.Regression):
        input_size = output_size = 1
        every_step, carries, threshold = True, True, 0.0

        def batch(self, rng, size, split):
            x = np.zeros((3, size, 1), np.float32)
            return tasks.Batch(x, x)

        def held_out(self, split):
            return [self.batch(None, 2, split)] * 2

        def loss(self, outputs, batch):
            read.append(state_of[-1])
            return super().loss(outputs, batch)

    state_of = []
    forward = train.TaskModel.forward

    def watched(self, batch, state=None):
        outputs, after = forward(self, batch, state)
        state_of.append(float(after.data[0, 0, 0]))
        return outputs, after

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train.TaskModel, "forward", watched)
        train.solve(Count(), Watched, steps=4, lr=0.01, scorings=2)
    #      two steps, validation, two more, validation, test
    assert read == [3, 6, 3, 6, 9, 12, 3, 6, 3, 6]


def test_the_last_step_of_each_row_is_read():
    task = tasks.Parity(6)
    model = train.TaskModel(task, gru)
    batch = next(task.batches(5))
    outputs, _ = model(batch)
    for row, length in enumerate(batch.lengths):
        alone = tasks.Batch(batch.x[:length, row : row + 1], batch.target[row : row + 1])
        assert np.allclose(model(alone)[0].data[0], outputs.data[row], atol=1e-6)


def test_the_same_arguments_give_the_same_numbers():
    tg.random.seed(123)
    one = short()
    np.random.random()
    tg.random.seed(7)
    two = short()
    assert one.validation == two.validation
    assert one.test == two.test
    assert [point.train_loss for point in one.curve] == [point.train_loss for point in two.curve]
    assert all(np.array_equal(one.weights[name], two.weights[name]) for name in one.weights)
    assert short(seed=1).test != one.test


def test_a_trial_uses_up_nobodys_random_numbers():
    tg.random.seed(5)
    before = tg.random.get_state()
    short()
    assert tg.random.get_state() == before


def test_the_curve_tells_steps_sequences_and_seconds():
    seen = []
    trial = short(steps=7, scorings=3, progress=seen.append)
    assert tuple(seen) == trial.curve
    assert [point.step for point in trial.curve] == [3, 5, 7]
    assert [point.sequences for point in trial.curve] == [12, 20, 28]
    seconds = [point.seconds for point in trial.curve]
    assert 0 < seconds[0] < seconds[1] < seconds[2] <= trial.seconds
    assert (trial.steps, trial.sequences) == (7, 28)
    assert trial.task == "Adding(length=5)"
    assert trial.parameters == sum(array.size for array in trial.weights.values()) == 3 * 24 + 9 * 24 + 9


def test_a_point_has_the_mean_loss_since_the_point_before():
    class Noted(tasks.Adding):
        def loss(self, outputs, batch):
            loss = super().loss(outputs, batch)
            if loss.requires_grad:
                losses.append(loss.item())
            return loss

    losses = []
    trial = short(Noted(5), steps=7, scorings=2)
    assert [point.step for point in trial.curve] == [4, 7]
    expected = [np.mean(losses[:4]), np.mean(losses[4:])]
    assert [point.train_loss for point in trial.curve] == pytest.approx(expected)


@pytest.mark.parametrize("training", [True, False])
def test_a_model_is_scored_in_evaluation_mode_and_left_in_its_own(training):
    task = tasks.Adding(5)
    batches = task.held_out("test")[:1]
    model = train.TaskModel(task, lambda features: nn.Recurrent([gru(features), gru(8)], dropout=0.5))
    model.train(training)
    assert train.score(task, model, batches) == train.score(task, model, batches)
    assert model.training is training


def test_the_test_is_scored_with_the_weights_of_the_best_validation():
    task = tasks.Adding(5)
    trial = short(task, steps=40, lr=0.3, scorings=8)
    errors = [point.validation.error for point in trial.curve]
    assert min(errors) < errors[-1]  # The learning rate is too large to end where it is best.
    assert trial.validation.error == min(errors)
    tg.random.seed(0)
    model = train.TaskModel(task, gru)
    model.load_state_dict(trial.weights)
    assert train.score(task, model, task.held_out("validation")) == trial.validation
    assert train.score(task, model, task.held_out("test")) == trial.test


def test_a_trial_ends_when_the_task_is_solved_twice_in_a_row():
    class Flickering(tasks.Adding):
        def solved(self, score):
            return any(score == point.validation for k, point in enumerate(seen) if k in (1, 3, 4))

    seen = []
    trial = short(Flickering(5), steps=100, scorings=50, until_solved=True, progress=seen.append)
    assert trial.steps == 10  # Solved after 4, 8 and 10 steps.
    assert trial.sequences_to_solve == 4 * 4


def test_the_learning_rate_falls_where_the_error_stands_still_and_then_the_trial_ends():
    rates = []

    class Watched(optim.Adam):
        def step(self):
            rates.append(self.lr)
            super().step()

    class Still(tasks.Adding):
        def errors(self, outputs, batch):
            return np.full(batch.rows, 0.5)

    trial = short(Still(5), steps=100, scorings=100, lr=0.01, optimizer=Watched, patience=2)
    # The first score is the best so far.
    assert rates == pytest.approx([0.01] * 3 + [0.001] * 2 + [0.0001] * 2)
    assert trial.steps == trial.curve[-1].step == 7
    assert trial.failure is None


@settings(deadline=None, max_examples=5)
@given(st.integers(1, 4), st.integers(0, 1000))
def test_a_score_does_not_depend_on_how_sequences_are_batched(size, seed):
    task = tasks.Dyck(2, 3, 4)
    tg.random.seed(seed)
    model = train.TaskModel(task, gru)
    batch = task.batch(np.random.default_rng(seed), 7, "train")
    parts = [
        tasks.Batch(batch.x[: lengths.max(), rows], batch.target[: lengths.max(), rows], lengths)
        for rows in (slice(start, start + size) for start in range(0, 7, size))
        for lengths in [batch.lengths[rows]]
    ]
    whole, pieces = train.score(task, model, [batch]), train.score(task, model, parts)
    assert pieces.loss == pytest.approx(whole.loss, rel=1e-5)
    assert pieces.error == whole.error


class Exploding(nn.Cell):
    """h' = 1e30 w (h + x): it overflows at the second step."""

    def __init__(self, features):
        super().__init__()
        self.hidden_size = 2
        self.linear = nn.Linear(features, 2)

    def forward(self, x, h):
        h = (self.linear(x) + h) * 1e30
        return h, h


def test_a_loss_that_is_no_number_ends_the_trial_and_is_reported():
    trial = short(make=Exploding)
    assert trial.failure.startswith("step 1: the loss is ")
    assert trial.curve == ()
    assert not trial.solved
    assert trial.validation == trial.test == tasks.Score(math.inf, math.inf)
    assert (trial.steps, trial.sequences) == (0, 0)


def test_a_validation_loss_that_is_no_number_ends_the_trial_with_the_best_one_before():
    class Late(tasks.Adding):
        scored = 0

        def errors(self, outputs, batch):
            Late.scored += 1
            return super().errors(outputs, batch) * (math.nan if Late.scored in (2, 3) else 1)

        def held_out(self, split):
            return super().held_out(split)[:1]

    trial = short(Late(5), steps=6, scorings=3)
    assert trial.failure.startswith("step 4: the validation loss is ")
    assert len(trial.curve) == 2
    assert trial.validation == trial.curve[0].validation


def test_another_optimiser_and_a_whole_layer_can_be_given():
    def make(features):
        return nn.GRU(features, 4, num_layers=2, bidirectional=True)

    trial = short(make=make, optimizer=lambda parameters, lr: optim.RMSprop(parameters, lr=lr))
    assert trial.failure is None
    assert trial.parameters == sum(p.size for p in make(2).parameters()) + 9


class Larger(tasks.Classification):
    """The task of a user: which of two numbers is the larger one?"""

    input_size, output_size, threshold = 1, 2, 0.1

    def batch(self, rng, size, split):
        x = rng.random((2, size, 1), np.float32)
        return tasks.Batch(x, (x[0, :, 0] < x[1, :, 0]).astype(int))


def test_a_task_of_the_user_is_learnt():
    assert train.solve(Larger(), gru, steps=300, lr=0.03).solved


class Misfit(Larger):
    def batch(self, rng, size, split):
        return super().batch(rng, size, split)._replace(target=np.zeros(size + 1, int))


class NoThreshold(tasks.Classification):
    input_size, output_size = 1, 2


class Numbers(nn.Module):
    def forward(self, x, state, lengths):
        return tg.Tensor(x)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: short(tasks.Adding), ConfigError, r"task is <class .*give an instance .* such as Adding\(\)"),
        (lambda: short("adding"), ConfigError, "task is 'adding'; give an instance"),
        (lambda: short(steps=0), ConfigError, "steps is 0; give a whole number of at least 1"),
        (lambda: short(scorings=1.5), ConfigError, "scorings is 1.5"),
        (lambda: short(scorings=[1, 3]), ConfigError, r"scorings are \[1, 3\]; let the last one be after all 4 steps"),
        (lambda: short(scorings=[0, 4]), ConfigError, "a step of scorings is 0; give a whole number of at least 1"),
        (lambda: short(scorings=[]), ConfigError, r"scorings are \[\]; let the last one"),
        (lambda: short(patience=0), ConfigError, "patience is 0"),
        (lambda: short(seed=-1), ConfigError, "-1"),
        (lambda: short(batch_size=0), ConfigError, "size is 0"),
        (lambda: short(lr=-1), ConfigError, "lr is -1"),
        (lambda: short(clip=-1.0), ConfigError, "max_norm is -1.0"),
        (lambda: short(NoThreshold()), ConfigError, "NoThreshold has no threshold"),
        (lambda: short(Misfit()), DataError, r"Misfit.batch returned a target of shape"),
        (lambda: short(make=lambda features: None), CellError, "the maker of the layer returned a NoneType"),
        (
            lambda: short(make=lambda features: Numbers()),
            CellError,
            r"Numbers returned Tensor; a layer returns \(y, state\)",
        ),
    ],
)
def test_what_cannot_be_tried_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
