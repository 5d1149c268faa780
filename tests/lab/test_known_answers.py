"""What is known beforehand must come out: equal cells, a cell without memory, an LSTM without its forget gate."""

import pytest

from tinygrad_rnn.core.errors import CellCheckError
from tinygrad_rnn.lab.contestants import contestant
from tinygrad_rnn.lab.subject import checked

from .conftest import CELLS


def test_an_lstm_and_a_renamed_lstm_are_not_different(compared):
    _, (found,) = compared([f"{CELLS}:Renamed", "lstm"], [f"{CELLS}:Recall"], steps=400)
    assert found.answer == "no difference" and found.corrected > 0.05


def test_a_cell_that_ignores_its_state_is_worse_and_last_on_every_memory_task(compared):
    tasks = [f"{CELLS}:Recall", "Parity(length=2)"]
    standings, comparisons = compared([f"{CELLS}:Stateless", "lstm"], tasks, steps=300)
    assert [one.place for one in standings if one.cell == 0] == [2, 2]
    assert {found.answer for found in comparisons} == {"worse"}


def test_an_lstm_without_forget_gate_is_worse_on_the_continual_reber_grammar(compared):
    cells = [f"{CELLS}:WithoutForgetGate", "lstm"]
    _, (found,) = compared(cells, ["ContinualReber(window=25)"], steps=400, seeds=4, hidden=14)
    assert found.answer == "worse"


def test_a_cell_with_a_wrong_gradient_rule_is_refused_with_the_name_of_the_check():
    with pytest.raises(CellCheckError, match=r"WrongRule is refused: it fails the check gradients: .*squash"):
        checked(contestant(f"{CELLS}:WrongRule"))
