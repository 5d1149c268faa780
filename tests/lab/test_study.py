"""A study from end to end: its report in three files, and what is refused before it begins."""

import csv
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from tinygrad_rnn import lab, nn
from tinygrad_rnn.core.errors import CellCheckError, CellError, ConfigError, DataError
from tinygrad_rnn.lab import processes
from tinygrad_rnn.lab.anatomy import anatomy
from tinygrad_rnn.lab.folder import Folder, claimed, fingerprint
from tinygrad_rnn.lab.rows import COLUMNS

from .conftest import CELLS, plan_of

HOSTILE = "<script>alert('&')</script>"
ARGUMENTS = {
    "init": {"hidden_size": 4, "note": HOSTILE},
    "against": ["lstm"],
    "tasks": [f"{CELLS}:Recall"],
    "seeds": 2,
    "jobs": 1,
    "steps": 20,
    "learning_rates": [0.01],
}


class Reader(HTMLParser):
    """Gathers the elements of a page, and its text."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.text = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    said = []
    folder = tmp_path_factory.mktemp("study")
    return lab.run(f"{CELLS}:Noted", out=folder, say=said.append, **ARGUMENTS), folder, said


@pytest.fixture(scope="module")
def page(study):
    return (study[1] / "report.html").read_text("utf-8")


def test_the_plan_with_its_expected_time_is_printed_before_the_trials(study):
    _, _, said = study
    plan = next(text for text in said if "Expected time" in text)
    assert "Noted hidden_size 4" in plan and "LSTM hidden_size 3" in plan and "nearest to Noted's" in plan
    assert not any("trials:" in text for text in said[: said.index(plan)])


def test_the_page_runs_nothing_and_loads_nothing(page):
    reader = Reader(page)
    policy = next(attrs["content"] for tag, attrs in reader.elements if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert not {"script", "iframe", "object", "embed", "link", "img"} & {tag for tag, _ in reader.elements}
    for _, attrs in reader.elements:
        assert not any(name.startswith("on") or name == "style" for name in attrs)
        for name in ("src", "href", "xlink:href"):
            assert (attrs.get(name) or "#").startswith("#")


def test_text_of_the_user_is_escaped_in_the_page(page):
    assert "alert('&')" not in page and HOSTILE in "".join(Reader(page).text)


def test_the_page_has_the_equations_the_picture_and_the_backward_pass_of_the_cell(page):
    pytest.importorskip("pygraphviz", reason="the picture needs a layout program")
    tags = [tag for tag, _ in Reader(page).elements]
    assert tags.count("svg") > 5 and "cotangent of a" in page and "There is no" not in page
    pytest.importorskip("latex2mathml", reason="the equations are set by it")
    assert "math" in tags


def test_the_verdict_has_five_sentences_and_each_cites_rows_of_the_csv(study, page):
    report, folder, _ = study
    with open(folder / "report.csv", newline="", encoding="utf-8") as file:
        rows = {int(row["row"]): row for row in csv.DictReader(file)}
    assert len(report.verdict) == 5 and set(next(iter(rows.values()))) == set(COLUMNS)
    tables = [{rows[number]["table"] for number in sentence.rows} for sentence in report.verdict]
    assert tables == [
        {"checks", "size", "trials"},
        {"ranking", "comparison", "standing"},
        {"ranking", "comparison", "standing"},
        {"speed"},
        {"memory"},
    ]
    assert "LSTM on Recall learnt nothing" in report.verdict[1].text  # in so few steps
    for sentence in report.verdict:
        assert str(sentence) in " ".join(str(report).split()).replace("\n", " ")
        for number in sentence.rows:
            assert f'id="row-{number}"' in page


def test_json_and_csv_hold_the_same_rows_and_json_is_strict(study):
    report, folder, _ = study
    found = json.loads((folder / "report.json").read_text("utf-8"), parse_constant=pytest.fail)
    assert len(found["rows"]) == len(report.rows)
    assert [sentence["text"] for sentence in found["verdict"]] == [sentence.text for sentence in report.verdict]
    (row,) = report.rows.all(table="outcome", cell="LSTM", seed=1, question="equal parameters")
    assert found["rows"][row["row"] - 1]["value"] == row["value"]


def test_the_same_call_reads_what_is_there_and_writes_the_same_report(study, tmp_path, monkeypatch):
    _, folder, _ = study
    shutil.copytree(folder, tmp_path / "copy")
    for name in ("report.csv", "report.html"):
        (tmp_path / "copy" / name).unlink()
    monkeypatch.setattr(processes, "_started", lambda: pytest.fail("a process was started"))
    lab.run(f"{CELLS}:Noted", out=tmp_path / "copy", say=lambda line: None, **ARGUMENTS)
    assert (tmp_path / "copy" / "report.csv").read_bytes() == (folder / "report.csv").read_bytes()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"seeds": 3}, "its seeds are 2, not 3"),
        ({"steps": 30}, "its steps are 20"),
        ({"against": ["gru"]}, "its cells"),
    ],
)
def test_a_folder_with_another_study_is_refused(study, other, message):
    with pytest.raises(ConfigError, match=f"holds another study: {message}"):
        lab.run(f"{CELLS}:Noted", out=study[1], say=lambda line: None, **{**ARGUMENTS, **other})


def test_a_study_does_not_go_on_with_a_file_that_has_changed(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(CELLS.read_text())
    folder = Folder(tmp_path / "study")
    settings = plan_of([f"{file}:Noted", "lstm"], [f"{file}:Recall"], steps=10).settings
    folder.keep_plan(fingerprint(settings), {"steps": [10]})
    assert folder.plan(fingerprint(settings)) == {"steps": [10]}
    file.write_text(CELLS.read_text() + "\n# another thought\n")
    with pytest.raises(
        ConfigError, match=r"holds a study of \S*mine.py:Noted, \S*mine.py:Recall as it was before it was changed"
    ):
        folder.plan(fingerprint(settings))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"seeds": 1}, ConfigError, "seeds is 1; give a whole number of at least 2"),
        ({"jobs": 0}, ConfigError, "jobs is 0"),
        ({"out": CELLS}, ConfigError, "is a file; give a folder"),
        ({"against": []}, ConfigError, "against is"),
        ({"against": "lstm"}, ConfigError, "give a list"),
        ({"against": ["transformer"]}, ConfigError, r"give one of rnn, lstm, gru.* FILE.py:CLASS"),
        ({"tasks": ["chess"]}, ConfigError, r"a task is 'chess'; give one of adding"),
        ({"tasks": ["Parity(length=0)"]}, ConfigError, r"Parity\(length=0\) cannot be made.*length is 0"),
        ({"tasks": ["Parity(4)"]}, ConfigError, "write name=value"),
        ({"tasks": ["adding", "adding"]}, ConfigError, "give each of them once"),
        ({"tasks": [f"{CELLS}:NoCell"]}, DataError, r"NoCell in .* is no task; write `class NoCell\(tasks.Task\)`"),
        ({"learning_rates": [0.1, -1]}, ConfigError, "each above 0"),
        ({"budget": "soon", "steps": None}, ConfigError, "give a time"),
        ({"init": {"sizes": 3}}, CellError, r"Noted\(2, sizes=3, hidden_size=32\) failed.*sizes"),
        ({"init": {"note": len}}, ConfigError, "the argument note is <built-in function len>; give numbers, text"),
        ({"init": {"hidden_size": -3}}, CellError, r"Noted\(2, hidden_size=-3\) failed"),
        ({"against": ["rnn(hidden_size=8)"]}, ConfigError, "that of a cell to compare with is chosen"),
        (
            {"against": ["rnn(shape=8)"]},
            CellError,
            r"RNNCell\(2, shape=8, .*CLASS\(name=value\)",
        ),
    ],
)
def test_what_cannot_be_studied_is_refused_in_one_line(tmp_path, arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        lab.run(f"{CELLS}:Noted", say=lambda line: None, **{**ARGUMENTS, "out": tmp_path, **arguments})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cell", "error", "message"),
    [
        (f"{CELLS}:NoCell", CellError, r"NoCell in .* is no cell; write `class NoCell\(nn.Cell\)`"),
        (f"{CELLS}:Nothing", ConfigError, "defines no class Nothing; its cells are"),
        ("nothing.py:Mine", ConfigError, "there is no file nothing.py"),
        (f"{CELLS}:WrongRule", CellCheckError, "WrongRule is refused: it fails the check gradients"),
        (nn.Linear, CellError, "or a class derived from nn.Cell"),
    ],
)
def test_what_is_no_cell_is_refused_in_one_line(tmp_path, cell, error, message):
    with pytest.raises(error, match=message) as caught:
        lab.run(cell, out=tmp_path, say=lambda line: None, **{**ARGUMENTS, "init": {}})
    assert "\n" not in str(caught.value)


def test_a_folder_with_files_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="holds files that are no study; give a new folder"):
        lab.run("gru", say=lambda line: None, **{**ARGUMENTS, "init": {}, "out": tmp_path})


def test_two_studies_at_once_get_folders_of_their_own_which_go_again_when_nothing_is_in_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with claimed(None) as first, claimed(None) as second:
        assert [str(first), str(second)] == ["lab/1", "lab/2"]
        (second / "plan.json").write_text("{}")
    assert not first.exists() and second.exists()


def test_a_known_cell_can_be_the_one_that_is_studied(tmp_path):
    init = {"hidden_size": np.int64(3)}
    report = lab.run("gru", **{**ARGUMENTS, "init": init}, out=tmp_path / "out", say=lambda line: None)
    assert report.verdict[0].text.startswith("GRU fails none of the 20 checks")


def test_a_cell_that_can_be_trained_on_no_task_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(CellError, match=r"PicksBatches cannot be trained on any task: line \d+: ValueError: no 32"):
        lab.run(f"{CELLS}:PicksBatches", **{**ARGUMENTS, "init": {}}, out=tmp_path / "out", say=lambda line: None)
    assert not (tmp_path / "out").exists()


def test_a_class_of_this_process_that_is_another_one_is_not_taken_for_what_it_was(tmp_path):
    def made(activation):
        class Mine(nn.RNNCell):
            def __init__(self, input_size, hidden_size):
                super().__init__(input_size, hidden_size, nonlinearity=activation)

        return Mine

    arguments = {**ARGUMENTS, "init": {}, "against": ["rnn"], "out": tmp_path / "out", "say": lambda line: None}
    first = made("tanh")
    lab.run(first, **arguments)
    exec(compile("from tinygrad_rnn import nn\nclass Mine(nn.RNNCell): pass", "<cell>", "exec"), space := {})
    with pytest.raises(ConfigError, match="holds a study of Mine as it was before it was changed"):
        lab.run(space["Mine"], **arguments)


def test_a_rival_that_dies_takes_nothing_else_along(tmp_path, monkeypatch):
    monkeypatch.setenv("STOPS", "dies")
    said = []
    arguments = {**ARGUMENTS, "against": [f"{CELLS}:Stops"], "out": tmp_path / "out", "say": said.append}
    report = lab.run(f"{CELLS}:Noted", **arguments)
    assert any(line.startswith("Stops cannot be trained on Recall: its process ended by the signal") for line in said)
    assert all(row["value"] for row in report.rows.all(table="speed", cell="Noted"))
    assert {row["value"] for row in report.rows.all(table="speed", cell="Stops")} == {None}
    assert "Stops on Recall ended no trial" in report.verdict[1].text
    assert "Trials that failed" in report.text


def test_a_file_that_is_changed_while_it_is_studied_is_told(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(CELLS.read_text())

    def change(line):
        if "The folder is" in line:
            file.write_text(CELLS.read_text() + "\n# another thought\n")

    report = lab.run(f"{file}:Noted", **{**ARGUMENTS, "init": {"hidden_size": 3}}, out=tmp_path / "out", say=change)
    assert "mine.py:Noted was changed meanwhile" in report.verdict[0].text


def test_without_a_number_there_are_as_many_seeds_as_the_comparisons_need(tmp_path, monkeypatch):
    seeds = []

    def stop(settings, *rest):
        seeds.append(settings.seeds)
        raise KeyboardInterrupt

    monkeypatch.setattr("tinygrad_rnn.lab.study._plan", stop)
    for against in (["lstm"], ["lstm", "rnn", "min-gru", "rnn(nonlinearity=relu)"]):
        with pytest.raises(KeyboardInterrupt):
            lab.run("gru", against=against, out=tmp_path / "study")
    assert seeds == [5, 6] and not (tmp_path / "study").exists()


def test_a_picture_that_cannot_be_made_leaves_the_rest_of_the_report(monkeypatch):
    def fail(*arguments):
        raise KeyError("a bug")

    monkeypatch.setattr("tinygrad_rnn.viz.draw_cell", fail)
    parts = "".join(anatomy(nn.GRUCell(3, 5), 3))
    assert "There is no textbook picture, by a mistake of this project" in parts and "KeyError" in parts
    assert "cotangent of a" in parts


def test_a_file_that_begins_a_study_when_it_is_imported_is_told_how_to_guard_it(monkeypatch):
    monkeypatch.setenv(processes.WORKING, "1")
    with pytest.raises(ConfigError, match=re.escape('if __name__ == "__main__"')):
        lab.run("mine.py:Mine")
