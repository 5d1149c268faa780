"""Settings outside their range are refused in one sentence."""

import json

import pytest

from tinygrad_rnn.core.errors import ConfigError
from tinygrad_rnn.train import Config


@pytest.mark.parametrize(
    "wrong",
    [
        {"cell": "transformer"},
        {"cell": 3},
        {"optimizer": "lion"},
        {"schedule": "up"},
        {"hidden": 0},
        {"layers": -1},
        {"seq": 2.5},
        {"batch": True},
        {"epochs": 2**63},
        {"seed": -1},
        {"lr": 0.0},
        {"lr": -1.0},
        {"lr": float("nan")},
        {"clip": float("inf")},
        {"dropout": 1.0},
        {"dropout": "much"},
    ],
)
def test_a_wrong_setting_is_named_with_what_to_give(wrong):
    (name, _value), *_ = wrong.items()
    with pytest.raises(ConfigError, match=rf"{name} is .*give"):
        Config(**wrong)


def test_settings_pass_through_json():
    config = Config(cell="my.py:Mine", hidden=7, lr=0.5)
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert Config.from_dict(json.loads(json.dumps(Config().to_dict()))) == Config()


def test_an_unknown_setting_is_named():
    with pytest.raises(ConfigError, match="unknown settings depth; known are batch"):
        Config.from_dict({"depth": 3})


def test_each_optimizer_has_its_usual_learning_rate():
    assert Config(optimizer="sgd").learning_rate != Config(optimizer="adam").learning_rate
    assert Config(optimizer="sgd", lr=0.25).learning_rate == 0.25


def test_only_a_class_in_a_file_is_a_cell_of_ones_own():
    assert Config(cell="my_cell.py:MyCell").own_cell
    assert not Config(cell="gru").own_cell and not Config(cell="clockwork").own_cell


def test_a_cell_of_nn_has_one_name_in_the_settings():
    assert {Config(cell=name).cell for name in ("MinGRUCell", "minGRU", "min_gru", "min-gru")} == {"min-gru"}
    assert Config(cell="my.py:LSTMCell").cell == "my.py:LSTMCell"
