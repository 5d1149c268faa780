"""Neurons are found by one half of a text and scored by the other; their page harms nobody and asks for nothing."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.core.errors import ConfigError, DataError, ShapeError
from tinygrad_rnn.viz.through_time.page import page
from tinygrad_rnn.viz.through_time.probes import inside_brackets, inside_quotes, place_in_line
from tinygrad_rnn.viz.through_time.ranking import Neuron, correlation

TEXT = 'one (two) "three"\nfour\n"five six" (seven)\n' * 4


class Knowing(nn.Cell):
    """Counts the characters of the line, the quotes and nothing, each in a unit of its own."""

    hidden_size = 3

    def initial_state(self, batch_size):
        return tg.Tensor(np.zeros((batch_size, 3)))

    def forward(self, x, h):
        place, quote, nothing = np.split(h, 3, axis=-1)
        x = x[:, None]
        place = np.where(x == ord("\n"), 0.0, place + 1)
        quote = np.where(x == ord('"'), 1 - quote, quote)
        h = np.concatenate([place, -quote, nothing], axis=-1)
        return h, np.concatenate([place, quote, nothing], axis=-1)


@pytest.mark.parametrize(("probe", "unit"), [("line", 0), ("quotes", 1), (place_in_line, 0)])
def test_a_neuron_that_knows_what_the_probe_asks_is_found(reading, probe, unit):
    found = viz.neurons(reading(Knowing()), TEXT, probe)
    assert (found.ranking[0].part, found.ranking[0].unit) == ("h", unit)
    assert found.ranking[0].found == pytest.approx(1) and found.ranking[0].score == pytest.approx(1)
    assert found.ranking[-1].unit == 2 and found.ranking[-1].score == 0
    np.testing.assert_array_equal(found.ranking[0].activation, found.values)


def test_the_score_is_the_correlation_in_the_half_that_had_no_part_in_the_ranking(untrained):
    run = untrained(text=TEXT)
    found = viz.neurons(run, TEXT, "brackets")
    half, values = len(TEXT) // 2, inside_brackets(TEXT)
    assert len(found.ranking) == 8
    sizes = [abs(neuron.found) for neuron in found.ranking]
    assert sizes == sorted(sizes, reverse=True)
    for neuron in found.ranking:
        assert neuron.found == pytest.approx(np.corrcoef(neuron.activation[:half], values[:half])[0, 1], abs=1e-6)
        assert neuron.score == pytest.approx(np.corrcoef(neuron.activation[half:], values[half:])[0, 1], abs=1e-6)


def test_chance_ranks_high_and_scores_low(untrained):
    text = TEXT * 2
    noise = np.random.default_rng(0).normal(size=len(text))
    best = viz.neurons(untrained(text=text, hidden=64), text, lambda text: noise).ranking[:20]
    assert np.mean([abs(neuron.score) for neuron in best]) < 0.6 * np.mean([abs(neuron.found) for neuron in best])


@given(
    activations=st.lists(st.lists(st.floats(-5, 5), min_size=2, max_size=2), min_size=3, max_size=8),
    seed=st.integers(0, 99),
)
def test_correlations_are_those_of_numpy(activations, seed):
    array, values = np.array(activations), np.random.default_rng(seed).normal(size=len(activations))
    found = correlation(array, values)
    for column, value in zip(array.T, found, strict=True):
        if np.ptp(column) > 1e-3:
            assert value == pytest.approx(np.corrcoef(column, values)[0, 1], abs=1e-6)
        if np.ptp(column) == 0:
            assert value == 0


def test_probes_tell_what_is_open_once_a_character_is_read():
    assert inside_quotes('a"b“c”').tolist() == [0, 1, 1, 1, 1, 0]
    assert inside_brackets(")(a[b)c]d").tolist() == [0, 1, 1, 1, 1, 1, 1, 0, 0]
    assert place_in_line("\nab\n").tolist() == [0, 1, 2, 0]


WRONG = {
    "an unknown probe": ("colour", ConfigError, "'quotes', 'line', 'brackets'"),
    "too few numbers": (lambda text: [1, 2], ShapeError, "one each"),
    "no numbers": (lambda text: list(text), DataError, "no numbers"),
    "complex numbers": (lambda text: np.arange(len(text)) * 1j, DataError, "complex numbers.*the real part"),
    "complex objects": (lambda text: np.array([np.complex128(1j)] * len(text), object), DataError, "complex numbers"),
    "NaN": (lambda text: np.full(len(text), np.nan), DataError, "finite"),
    "a probe that never changes": (lambda text: np.zeros(len(text)), DataError, "first half"),
    "one that does not change in the end": (lambda text: np.arange(len(text)) == 0, DataError, "second half"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_probe_that_asks_nothing_is_refused(untrained, wrong):
    probe, error, words = WRONG[wrong]
    with pytest.raises(error, match=words):
        viz.neurons(untrained(text=TEXT), TEXT, probe)
    with pytest.raises(ConfigError, match="top"):
        viz.neurons(untrained(text=TEXT), TEXT, top=0)


class Page(HTMLParser):
    """The tags, attributes and texts of a page."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts, self._inside = [], [], [], False
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attributes]
        if tag == "pre":
            self._inside = True
            self.texts.append("")

    def handle_endtag(self, tag):
        self._inside = self._inside and tag != "pre"

    def handle_data(self, data):
        if self._inside:
            self.texts[-1] += data


def source_of(text, probe="a probe"):
    values = np.linspace(-1, 1, len(text))
    return page(text, probe, values, [Neuron(probe, probe, 0, 0.5, 0.5, values)], 1)


def expected(text):
    signs = {"\n": "↵\n", "\t": "⇥", "\xa0": " "}
    return "".join(signs.get(c, c if c.isprintable() else "\ufffd") for c in text)


NASTY = [
    "<script>alert(1)</script>",
    "<!--<script>",
    "\"'><img src=x onerror=alert(1)>",
    "</pre></style><style>*{display:none}</style>",
    "&lt;&#0;\0\x1b[31m\x7f\u202e\u2028\ud800\r\n\t",
    "javascript:alert(1)",
    "<meta http-equiv=refresh content='0;url=http://example.org'>",
]


@given(text=st.text(min_size=2, max_size=30) | st.sampled_from(NASTY), probe=st.text() | st.sampled_from(NASTY))
@settings(max_examples=60)
def test_every_text_is_harmless_in_the_page_and_readable(text, probe):
    source = source_of(text, probe)
    source.encode("utf-8")
    found = Page(source)
    plain = Page(source_of("ab"))
    assert set(found.tags) == set(plain.tags)
    assert [tag for tag in found.tags if tag != "i"] == [tag for tag in plain.tags if tag != "i"]
    assert {(tag, name) for tag, name, _ in found.attributes} == {(tag, name) for tag, name, _ in plain.attributes}
    half = len(text) // 2
    assert found.texts == [expected(text[:half]), expected(text[half:])] * 2


def test_the_page_allows_its_own_style_and_nothing_else():
    source = source_of("hello")
    head = source[source.index("<head>") + len("<head>") :]
    assert head.startswith(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-"
    )
    digest = re.search(r"style-src 'sha256-([^']+)'", source)[1]
    style = re.search(r"<style>(.*?)</style>", source, re.DOTALL)[1]
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() == digest
    assert source.count("<style") == 1 and "<script" not in source and " style=" not in source
    assert "url(" not in source and "@import" not in source
    addresses = [value for _, name, value in Page(source).attributes if name in ("href", "src", "action")]
    assert all(address.startswith("#") for address in addresses)


def luminance(colour):
    channels = np.array(colour) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize(("paper", "ink"), [((255, 255, 255), (17, 17, 17)), ((17, 17, 17), (238, 238, 238))])
def test_the_text_is_readable_on_every_colour_of_both_themes(paper, ink):
    rules = re.findall(r"\.[pm]\d\{background:rgb\((\d+) (\d+) (\d+) / (\d+)%\)\}", source_of("hello"))
    assert len(rules) == 16
    for *colour, share in rules:
        mixed = np.array(paper) + int(share) / 100 * (np.array(colour, int) - np.array(paper))
        light, dark = sorted((luminance(mixed), luminance(ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_the_page_is_saved_and_shown_in_a_frame_that_may_do_nothing(untrained, tmp_path):
    found = viz.neurons(untrained(text=TEXT), TEXT)
    found.save(tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text("utf-8") == found.html()
    assert found._repr_html_().startswith('<iframe sandbox="" ')
    assert "<script" not in found._repr_html_() and found._repr_html_().count("<") == 2
    with pytest.raises(ConfigError, match=r"\.html"):
        found.save(tmp_path / "a.txt")
