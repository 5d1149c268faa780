"""Files, and the layout under them."""

import stat
import sys
import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import viz
from tinygrad_rnn.core.errors import ConfigError, TinygradRNNError
from tinygrad_rnn.viz import layout


@pytest.fixture
def picture():
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    with tg.scope("model"):
        return viz.draw(np.sum(tg.sigmoid(2 * x)))


@pytest.fixture
def no_layout(monkeypatch):
    monkeypatch.setattr(layout.shutil, "which", lambda name: None)
    monkeypatch.setitem(sys.modules, "pygraphviz", None)


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        ("svg", b"<svg "),
        ("png", b"\x89PNG\r\n"),
        ("pdf", b"%PDF-"),
        ("html", b"<!DOCTYPE html>"),
        ("dot", b"digraph {"),
    ],
)
def test_a_file_is_of_the_kind_that_its_name_says(picture, tmp_path, kind, start):
    for name in (f"a.{kind}", f"b.{kind.upper()}"):
        picture.save(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    picture.save(str(tmp_path / f"c.{kind}"))


def test_another_kind_of_file_is_refused(picture, tmp_path):
    for name in ("a.gif", "a"):
        with pytest.raises(ConfigError, match=r"end it in \.svg, \.png, \.pdf, \.html or \.dot"):
            picture.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_svg_is_one_element_that_refers_to_nothing_outside(picture):
    svg = picture.svg()
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    for unwanted in ("<!DOCTYPE", "<?xml", "<!--", "href=", "<script", "<image", "url("):
        assert unwanted not in svg
    assert 'fill="white"' in svg
    assert {"σ", "Σ", "model"} <= {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert picture._repr_svg_() == svg


def test_a_page_asks_the_browser_for_nothing_and_shows_its_name_as_text(picture, tmp_path):
    picture.save(tmp_path / "<b>&.html")
    page = (tmp_path / "<b>&.html").read_text("utf-8")
    assert page.index("default-src 'none'") < page.index("<svg")
    assert "<title>&lt;b&gt;&amp;</title>" in page and picture.svg() in page
    for unwanted in ("href=", "src=", "<script", "style=", "url("):
        assert unwanted not in page


def test_the_same_graph_gives_the_same_svg(picture):
    assert picture.svg() == viz.Picture(picture.source).svg()


@pytest.mark.usefixtures("no_layout")
def test_without_graphviz_one_line_says_how_to_get_the_picture(picture, tmp_path):
    with pytest.raises(viz.LayoutError) as caught:
        picture.save(tmp_path / "a.svg")
    assert isinstance(caught.value, TinygradRNNError)
    assert 'pip install "tinygrad_rnn[viz]"' in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "a.svg").exists()
    picture.save(tmp_path / "a.dot")
    with pytest.warns(UserWarning, match="pip install"):
        assert picture._repr_svg_() is None


def test_the_dot_program_is_used_where_it_is_found(picture, monkeypatch, tmp_path):
    program = tmp_path / "dot"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nprint('<svg>', sys.argv[1:], sys.stdin.readline(), '</svg>')\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "-Tsvg" in picture.svg() and "digraph" in picture.svg()


def test_a_dot_program_that_fails_gives_way_to_pygraphviz(picture, monkeypatch, tmp_path):
    program = tmp_path / "dot"
    program.write_text(f"#!{sys.executable}\nraise SystemExit('no such format')\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert picture.svg().startswith("<svg ")


def test_a_graphviz_that_cannot_draw_is_a_named_error(monkeypatch):
    monkeypatch.setattr(layout.shutil, "which", lambda name: None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(viz.LayoutError, match="cannot draw"):
            layout.render("digraph { a -> b }", "no-such-kind")


NASTY = [
    "<script>alert(1)</script>",
    "<<IMG SRC='x'>>",
    "</TD></TR></TABLE>>",
    'a"b\\',
    "\\N \\G \\l",
    "&lt;b&gt; &#0; &",
    "line\nfeed\r\x00\x1b[31m",
    "\ud800 lone",
    "URL=javascript:alert(1)",
    "z" * 1_000_000,
    "<",
    "-->",
    "",
]


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_nasty_names_stay_text(text):
    check(text)


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=())))
def test_any_name_stays_text(text):
    check(text)


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(exclude_categories=())), st.sampled_from(["fold", "unroll", "full"]))
def test_any_name_stays_text_in_loops_and_gradients(text, time):
    check_loop(text, time)


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_nasty_names_stay_text_in_loops_and_gradients(text):
    check_loop(text, "fold")


def check_loop(text, time):
    w = tg.Tensor([[1.0, 2.0], [0.0, 1.0]], requires_grad=True, name=text)
    h = tg.Tensor([[1.0, 2.0]], requires_grad=True, name=text)
    for _ in range(6):
        with tg.scope(text), tg.scope("inner"):
            h = np.tanh(h @ w)
            h.name = text
    show = ("shapes", "values", "grads", "saved")
    for depth in (None, 1):
        check_picture(viz.draw(np.sum(h), time=time, depth=depth, show=show, backward=True, legend=True))


def check(text):
    def function(x):
        with tg.scope(text):
            a, b = np.split(x * w, 2)
            a.name = b.name = text
            return np.tanh(a) @ b

    w = tg.Tensor([1.0, 2.0], requires_grad=True, name=text)
    check_picture(viz.draw(function, tg.Tensor([1.0, 2.0], name=text)))


def check_picture(picture):
    picture.source.encode()
    assert len(picture.source) < 40_000
    svg = picture.svg()
    tags = {element.tag.partition("}")[2] for element in ElementTree.fromstring(svg).iter()}
    assert tags <= {"svg", "g", "title", "a", "text", "path", "polygon", "ellipse", "polyline"}
    assert "href=" not in svg
