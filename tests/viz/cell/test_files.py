"""Files of every kind, and text that must not harm them."""

import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from tinygrad_rnn import viz
from tinygrad_rnn.core.errors import ConfigError
from tinygrad_rnn.viz.cell.figure import figure_of
from tinygrad_rnn.viz.cell.order import ordered
from tinygrad_rnn.viz.cell.picture import CellPicture
from tinygrad_rnn.viz.cell.symbols import Symbol

HARMFUL = [
    "<script>alert(1)</script>",
    '"><svg onload=x>',
    "a&b",
    r"\input{/etc/passwd}",
    "$x^2_{~}%#",
    "a\nb\x00\ud800",
    "長い名前",
    "x" * 100_000,
]


def named(name):
    """The drawing of h' = tanh(W h) whose names are all one text."""
    state = Symbol("state", "", [], name)
    gate = Symbol("gate", name, [state], name)
    return CellPicture(
        figure_of(ordered([state, gate, Symbol("next", "", [gate], name), Symbol("output", "", [gate], name)])), name
    )


@pytest.mark.parametrize("text", HARMFUL)
def test_names_do_no_harm_in_svg(text):
    source = named(text).svg()
    root = ElementTree.fromstring(source)
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
        "svg", "title", "rect", "path", "circle", "polygon", "text", "tspan",
    }  # fmt: skip
    assert not [key for element in root.iter() for key in element.attrib if key.startswith("on") or "href" in key]
    assert len(source) < 20_000


@pytest.mark.parametrize("text", HARMFUL)
def test_names_do_no_harm_in_tex(text):
    source = named(text).tikz()
    body = source[source.index(r"\begin{tikzpicture}") :]
    known = {"begin", "end", "draw", "fill", "node", "path", "definecolor", "fontsize", "selectfont", "textit"}
    known |= {"raisebox", "vspace", "textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater"}
    known |= {"textbar", "ldots"}
    assert set(re.findall(r"\\([a-zA-Z]+)", body)) <= known
    assert source.isascii()
    braces = body.replace(r"\{", "").replace(r"\}", "")
    assert braces.count("{") == braces.count("}")


@pytest.mark.parametrize("text", HARMFUL)
def test_names_do_no_harm_in_a_painting(text, tmp_path):
    pytest.importorskip("matplotlib", reason="paints PDF and PNG")
    named(text).save(tmp_path / "a.pdf")
    named(text).save(tmp_path / "a.png")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_an_svg_refers_to_nothing_outside_itself(picture):
    source = picture.svg()
    assert re.findall(r"https?://[^\"]*", source) == ["http://www.w3.org/2000/svg"]
    assert "url(" not in source and "script" not in source
    ElementTree.fromstring(source)


def test_a_pdf_has_its_fonts_in_it_and_no_pixels(lstm, tmp_path):
    pytest.importorskip("matplotlib", reason="paints PDF and PNG")
    lstm.save(tmp_path / "lstm.pdf")
    content = (tmp_path / "lstm.pdf").read_bytes()
    fonts = re.findall(rb"/Type /FontDescriptor", content)
    assert fonts
    assert len(re.findall(rb"/FontFile2 \d+ 0 R", content)) == len(fonts)
    assert set(re.findall(rb"/FontName /(?:[A-Z]{6}\+)?([A-Za-z]+)", content)) == {b"STIXGeneral"}
    assert b"/Subtype /Image" not in content
    width, height = map(float, re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", content).groups())
    assert width == pytest.approx(lstm.figure.width / 25.4 * 72, abs=0.01)
    assert height == pytest.approx(lstm.figure.height / 25.4 * 72, abs=0.01)


def test_files_are_the_same_whenever_they_are_written(lstm, tmp_path):
    pytest.importorskip("matplotlib", reason="paints PDF and PNG")
    for kind in ("svg", "tex", "pdf", "png"):
        lstm.save(tmp_path / f"a.{kind}")
        lstm.save(tmp_path / f"b.{kind.upper()}")
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind.upper()}").read_bytes()


def test_a_gate_is_lighter_than_its_letters_in_print_without_colour(lstm, tmp_path):
    image = pytest.importorskip("matplotlib.image", reason="paints PDF and PNG")
    lstm.save(tmp_path / "lstm.png")
    grey = image.imread(tmp_path / "lstm.png")[..., :3] @ [0.299, 0.587, 0.114]
    values = {round(float(value), 2) for value in grey.reshape(-1)}
    tint = 0.299 * 0xF5 / 255 + 0.587 * 0xDC / 255 + 0.114 * 0x9B / 255
    assert {0.0, 1.0, round(tint, 2)} <= values
    assert 0.75 < tint < 0.95


def test_without_matplotlib_a_painting_is_refused_with_what_to_install(lstm, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for kind in ("pdf", "png"):
        with pytest.raises(viz.LayoutError, match=r'pip install "tinygrad_rnn\[viz\]"'):
            lstm.save(tmp_path / f"a.{kind}")
    lstm.save(tmp_path / "a.svg")
    lstm.save(tmp_path / "a.tex")


def test_another_kind_of_file_is_refused_with_those_there_are(lstm, tmp_path):
    with pytest.raises(ConfigError, match=r"end it in \.svg, \.tex, \.pdf or \.png"):
        lstm.save(tmp_path / "a.dot")


@pytest.mark.skipif(
    not shutil.which("pdflatex")
    or not shutil.which("kpsewhich")
    or bool(subprocess.run(["kpsewhich", "tikz.sty"], capture_output=True, check=False).returncode),
    reason="LaTeX with TikZ is not installed",
)
def test_every_tikz_source_compiles_to_one_page(pictures, tmp_path):
    pictures |= {f"harmful{i}": named(text) for i, text in enumerate(HARMFUL[2:6])}
    for name, picture in pictures.items():
        picture.save(tmp_path / f"{name}.tex")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", f"{name}.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
        assert b"(1 page," in done.stdout
        assert b"Overfull" not in done.stdout
