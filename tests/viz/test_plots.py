"""Figures: files of every kind, the same for the same numbers, whatever names and settings the user has."""

import sys

import numpy as np
import pytest

from tinygrad_rnn import nn, train, viz
from tinygrad_rnn.core.errors import ConfigError
from tinygrad_rnn.viz.through_time.plotting import HEAT, shown

matplotlib = pytest.importorskip("matplotlib", reason="plots are drawn by matplotlib, of the extra viz")


@pytest.fixture(scope="module")
def flow():
    layers = {"a $b$ layer": nn.LSTM(2, 3, num_layers=2), "\n<b>": nn.RNN(2, 3)}
    return viz.gradient_flow(layers, np.ones((6, 2, 2), np.float32))


@pytest.mark.parametrize(("kind", "start"), [("SVG", b"<?xml"), ("png", b"\x89PNG\r\n"), ("pdf", b"%PDF-")])
def test_a_file_is_of_the_kind_that_its_name_says(flow, tmp_path, kind, start):
    flow.save(tmp_path / f"a.{kind}")
    assert (tmp_path / f"a.{kind}").read_bytes().startswith(start)


def test_another_kind_of_file_is_refused(flow, tmp_path):
    with pytest.raises(ConfigError, match=r"\.svg, \.png or \.pdf"):
        flow.save(tmp_path / "a.html")


def texts(figure):
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


def axes_of(figure):
    return [axes for axes in figure.findobj(matplotlib.axes.Axes) if axes.axison]


def test_the_flow_has_a_map_for_each_model_the_lines_and_the_horizon(flow):
    figure = flow.figure()
    titles = [axes.get_title() for axes in axes_of(figure)]
    assert titles == [r"a \$b\$ layer", "□<b>", "", "What reaches the states", "Memory horizon"]
    images = [axes.images[0].get_array() for axes in axes_of(figure)[:2]]
    np.testing.assert_allclose(images[0][1], flow.flows["a $b$ layer"].states[1].norms)
    lines = axes_of(figure)[3].get_lines()
    assert len(lines) == 5 and len({(line.get_color(), line.get_linestyle()) for line in lines}) == 5


def test_axes_say_what_they_measure(flow, folder, untrained):
    run = untrained(text='a "$b" (c)\nd "e" (f)\n')
    pictures = [
        flow,
        viz.gates(run, "a $b"),
        viz.neurons(run, 'a "$b" (c)\nd "e" (f)\n', "brackets"),
        viz.training(folder),
    ]
    for picture in pictures:
        figure = picture.figure()
        assert all(axes.get_ylabel() or axes.images or axes.get_yticklabels() for axes in axes_of(figure))
        assert any("step" in text or "character" in text for text in texts(figure))
        for axes in axes_of(figure):
            assert all(image.get_cmap().name == HEAT for image in axes.images)


def test_the_lightness_of_the_heat_map_grows_evenly():
    rgb = matplotlib.colormaps[HEAT](np.linspace(0, 1, 64))[:, :3]
    lightness = np.cbrt(
        np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
    )
    assert (np.diff(lightness) > 0).all()


def test_gates_are_shown_by_layer_with_their_text(untrained):
    run = untrained(nn.GRUCell, layers=2)
    figure = viz.gates(run, "a b\n").figure()
    assert [label.get_text() for label in axes_of(figure)[4].get_xticklabels()] == ["a", "·", "b", "↵"]
    found = texts(figure)
    assert {"layer 1", "layer 2", "gate r\nunit", "gate z\nunit", "state h\nunit", "gate r", "gate z"} <= set(found)
    assert "gate" not in " ".join(texts(viz.gates(untrained(nn.RNNCell), "ab").figure()))


def test_a_training_shows_every_parameter_and_every_state(folder):
    run = train.Run.load(folder)
    figure = viz.training(run).figure()
    found = set(texts(figure))
    assert {name for name, _ in run.model.named_parameters()} <= found
    assert {"Training loss", "State: layer 1 h", "State: layer 2 h", "Update-to-weight ratio"} <= found


def test_settings_of_the_user_are_neither_used_nor_changed(tmp_path):
    small = viz.gradient_flow(nn.RNN(1, 1), np.ones((2, 1, 1)), sweeps=0)
    small.save(tmp_path / "a.svg")
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "none"}):
        before = dict(matplotlib.rcParams)
        small.save(tmp_path / "b.svg")
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize(
    ("character", "sign"),
    [("a", "a"), (" ", "·"), ("\n", "↵"), ("$", r"\$"), ("\0", "□"), ("\ud800", "□"), ("漢", "□")],
)
def test_a_character_that_the_font_lacks_is_a_box(character, sign):
    assert shown(character) == sign


def test_without_matplotlib_the_error_says_how_to_install_it(flow, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw in (flow.figure, lambda: flow.save(tmp_path / "a.svg"), flow._repr_png_):
        with pytest.raises(viz.PlottingError, match=r'pip install "tinygrad_rnn\[viz\]"'):
            draw()
