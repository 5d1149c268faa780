"""The page in Chromium: it opens, walks to the end, shows the gradients that were computed, and asks for nothing."""

import re
import zipfile

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.viz.opened import opened as opened_graph
from tinygrad_rnn.viz.page import explore_text


def recurrent(steps=3, dtype=np.float64):
    """The loss of a small recurrent layer under scopes, and its parameters by name."""
    tg.random.seed(3)
    layer = nn.RNN(2, 3).astype(dtype)
    x = np.linspace(-1, 1, 2 * steps).reshape(steps, 1, 2).astype(dtype)
    with tg.keep_values():
        y, _ = layer(x)
        loss = np.sum(y * y)
    return loss, dict(layer.named_parameters())


@pytest.fixture(scope="module")
def hello():
    return explore_text("hello")


def test_it_opens_without_a_complaint_and_asks_for_nothing_but_itself(browse, hello):
    opened = browse(hello)
    assert opened.errors == []
    assert len(opened.requests) == 1 and opened.requests[0].startswith("file:")


@pytest.mark.parametrize("scripts", [True, False], ids=["walked through", "still"])
def test_no_name_overruns_its_box_however_wide_its_letters_are(browse, scripts):
    names = ["W" * 60, "MWMW_of_" * 9, "变" * 40, "l" * 60, "w"]
    weights = [tg.Tensor(np.ones((2, 2)), requires_grad=True, name=name) for name in names]
    loss = np.sum(sum(np.tanh(weight) for weight in weights))
    opened = browse(viz.explore(loss), java_script_enabled=scripts)
    boxes = opened.page.evaluate(
        """() => [...document.querySelectorAll("svg text")].map((text) => {
            const rect = [...text.parentNode.querySelectorAll("rect")].find((one) => {
                const a = one.getBoundingClientRect(), b = text.getBoundingClientRect();
                return a.left <= (b.left + b.right) / 2 && (b.left + b.right) / 2 <= a.right
                    && a.top <= (b.top + b.bottom) / 2 && (b.top + b.bottom) / 2 <= a.bottom;
            });
            const a = rect?.getBoundingClientRect(), b = text.getBoundingClientRect();
            return rect && b.width ? [text.textContent, b.left - a.left, a.right - b.right] : null;
        }).filter((found) => found)"""
    )
    assert len([text for text, _, _ in boxes if "W" in text or "变" in text]) >= 3
    assert [box for box in boxes if min(box[1:]) < 0] == []


def test_it_steps_to_the_end_by_keyboard(browse):
    loss, _ = recurrent(2)
    opened = browse(viz.explore(loss))
    steps = int(opened.page.locator("#walk").get_attribute("max"))
    assert steps == 2 * len(opened_graph(tg.Graph.of(loss))) - 1
    seen = [opened.text("#where")]
    for _ in range(steps):
        opened.press("ArrowRight")
        seen.append(opened.text("#where"))
    assert len(set(seen)) == steps + 1
    assert seen[0].startswith("forward 1 /") and re.fullmatch(r"backward (\d+) / \1", seen[-1])
    assert opened.page.locator("#next").is_disabled() and opened.errors == []
    opened.press("ArrowLeft")
    assert opened.text("#where") == seen[-2]


@pytest.mark.parametrize("engine", ["eager", "numpy"])
def test_the_gradients_at_the_end_are_those_of_backward_and_their_sums_in_full_precision_equal_them(browse, engine):
    with tg.engine(engine):
        loss, parameters = recurrent()
    opened = browse(viz.explore(loss))
    loss.backward()
    for name, parameter in parameters.items():
        opened.press("End")
        rows = opened.page.locator("#tape .row").all_inner_texts()
        number = next(i for i, row in enumerate(rows) if row.startswith(f"{name}:"))
        opened.page.evaluate(f"location.hash = '#step=10000&dir=back&node={number}'")
        opened.page.locator("#panel h2", has_text=name).wait_for()
        assert opened.page.locator("#panel .arrivals li.here").count() == 3
        assert "float64 equals .grad exactly" in opened.text("#panel")
        shown = opened.numbers("#panel .tensor")
        np.testing.assert_allclose(shown, parameter.grad.ravel(), rtol=1e-12, atol=1e-300)


def test_contributions_stand_with_their_time_step_and_their_running_sum(browse):
    w = tg.Tensor(3.0, requires_grad=True, name="w")
    h = 1.0
    for t in range(3):
        with tg.scope(t), tg.keep_values():
            h = w * h
    opened = browse(viz.explore(h), "#step=100&dir=back")
    rows = opened.page.locator("#panel .arrivals li").all_inner_texts()
    assert [re.findall(r"t = \d", row)[0] for row in rows] == ["t = 2", "t = 1", "t = 0"]
    assert [row.split("Σ ")[1] for row in rows] == ["9", "18", "27"]
    assert "equals .grad exactly" in opened.text("#panel")


def test_the_rule_stands_with_the_numbers_of_g_and_out(browse):
    x = tg.Tensor([0.5, -0.5], requires_grad=True, name="x")
    loss = np.sum(np.tanh(x) * np.array([2.0, 3.0]))
    page = viz.explore(loss)
    opened = browse(page, "#step=3&dir=back")
    assert re.match(r"%\d tanh", opened.text("#panel h2"))
    slope = 2 * (1 - np.tanh(0.5) ** 2)
    worked = opened.text("#panel .worked")
    assert "0.46212" in worked and worked.endswith(f"{slope:.5g}")
    opened.page.locator("#panel .tensor td").nth(1).click()
    assert "[1]" in opened.text("#panel .worked") and opened.text("#panel .worked").endswith(f"{1.5 * slope:.5g}")


def test_a_click_goes_from_the_tape_to_the_graph_and_back(browse, hello):
    opened = browse(hello)
    row = opened.page.locator("#tape .row", has_text="p1 = softmax")
    row.click()
    assert "p1" in opened.text("#panel h2")
    assert "p1" in opened.page.locator(".shape.current").text_content()
    opened.page.locator(".shape", has_text="p2").first.click()
    assert "p2 = softmax" in opened.text("#tape [aria-current]")


def test_modules_close_and_open_again(browse):
    opened = browse(viz.explore(recurrent()[0]))
    before = opened.page.locator(".shape").count()
    opened.page.locator(".frame .fold", has_text="from_input").first.click()
    closed = opened.page.locator(".shape.closed")
    assert closed.count() == 3 and opened.page.locator(".shape").count() < before
    assert "9 params" in closed.first.text_content()
    closed.first.dblclick()
    assert opened.page.locator(".shape").count() == before
    opened.press("c")
    assert opened.page.locator(".shape.operation").count() == 0 or opened.page.locator(".shape.closed").count() > 3
    opened.press("o")
    assert opened.page.locator(".shape").count() == before and opened.errors == []


def test_boxes_do_not_overlap_however_modules_are_closed(browse):
    tg.random.seed(0)
    layer = nn.LSTM(2, 3, num_layers=2, bidirectional=True)
    with tg.keep_values():
        loss = np.sum(layer(np.ones((2, 1, 2), np.float32))[0])
    page = viz.explore(loss)
    overlaps = """() => {
        const boxes = [...document.querySelectorAll('.shape > rect:first-child')].map((box) => box.getBBox());
        return boxes.filter((a, i) => boxes.some((b, j) => j > i && a.x < b.x + b.width - 1 && b.x < a.x + a.width - 1
            && a.y < b.y + b.height - 1 && b.y < a.y + a.height - 1)).length; }"""
    for place in ("#step=1&time=unroll", "#step=1&time=fold", "#step=1&time=unroll&closed=2.3", "#step=1&closed=1"):
        assert browse(page, place).page.evaluate(overlaps) == 0


def test_time_folds_to_one_column_and_the_slider_goes_from_step_to_step(browse, hello):
    opened = browse(hello)
    columns = opened.page.locator(".caption").count()
    opened.press("t")
    assert columns == 4 and opened.page.locator(".caption").count() == 1
    assert "t − 1 → t" in opened.page.locator(".loop").first.text_content()
    opened.press("]", "]")
    assert "t = 2" in opened.page.locator(".caption").text_content()
    assert "'l' → 'l'" in opened.page.locator(".caption").text_content()
    opened.press("t")
    assert opened.page.locator(".caption").count() == 4


def test_search_finds_names_and_operations_and_opens_what_hides_them(browse, hello):
    opened = browse(hello)
    opened.press("/")
    opened.page.keyboard.type("tanh")
    assert opened.text("#found") == "4 found"
    opened.press("Enter")
    assert "tanh" in opened.text("#panel .formula") and opened.text("#found") == "1 of 4"
    assert opened.page.locator(".shape.found", has_text="tanh").count() == 4


def test_a_link_holds_the_place(browse, hello):
    opened = browse(hello, "#step=37&dir=back")
    assert opened.text("#where").startswith("backward 37 /")
    opened.press("ArrowRight", "t")
    address = opened.page.evaluate("location.hash")
    assert address == "#step=38&dir=back&time=fold"
    again = browse(hello, address)
    assert again.text("#where") == opened.text("#where") and again.text("#fold") == "unfold time"


@pytest.mark.parametrize(
    "place", ["#step=-3&dir=x", "#step=1e99&dir=back", "#node=99999&closed=abc.-1.77", "#%00<b>=1"]
)
def test_a_broken_link_opens_the_page_all_the_same(browse, hello, place):
    opened = browse(hello, place)
    assert opened.errors == [] and opened.text("#where")


def test_it_plays_and_pauses(browse):
    loss, _ = recurrent(1)
    opened = browse(viz.explore(loss))
    opened.page.select_option("#speed", label="fastest")
    opened.page.locator("#play").click()
    opened.page.locator("#next[disabled]").wait_for(state="attached")
    assert "play" in opened.text("#play") and opened.text("#where").startswith("backward")


def test_reduced_motion_moves_the_view_at_once(browse, hello):
    opened = browse(hello, width=500, reduced_motion="reduce")
    for _ in range(12):
        opened.press("+")
    where = "document.querySelector('#picture > g').getAttribute('transform')"
    click = "document.querySelector('[data-step=\"40\"]').click()"
    moved = opened.page.evaluate(f"() => {{ const all = [{where}]; {click}; all.push({where}); return all; }}")
    opened.page.wait_for_timeout(300)
    assert moved[0] != moved[1] == opened.page.evaluate(where)


@pytest.mark.parametrize(("width", "height"), [(320, 700), (1280, 800), (3840, 2160)])
def test_it_can_be_used_at_every_size(browse, hello, width, height):
    opened = browse(hello, "#step=20&dir=back", width=width, height=height)
    assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for name in ("#next", "#play", "#picture", "#panel h2", "#search"):
        box = opened.page.locator(name).bounding_box()
        assert box is not None and 0 <= box["x"] < width and box["y"] + min(box["height"], 20) <= height
    size = opened.page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")
    assert size >= 14 and (width < 3000 or size >= 20)


def test_light_and_dark_follow_the_system_and_the_button(browse, hello):
    ground = "getComputedStyle(document.body).backgroundColor"
    light, dark = (browse(hello, color_scheme=scheme).page for scheme in ("light", "dark"))
    assert light.evaluate(ground) != dark.evaluate(ground)
    dark.keyboard.press("d")
    assert light.evaluate(ground) == dark.evaluate(ground)


def test_lines_of_the_users_code_stand_by_nodes_made_in_debug_mode(browse):
    x = tg.Tensor(0.5, requires_grad=True)
    with tg.debug():
        loss = np.tanh(x)  # a line to be found
    opened = browse(viz.explore(loss), "#step=2&dir=forward")
    assert "loss = np.tanh(x)  # a line to be found" in opened.text("#panel .source")
    assert "tests/viz/page/test_in_a_browser.py:" in opened.text("#panel .source")


def test_a_page_without_values_holds_none_and_walks(browse):
    page = viz.explore(recurrent()[0], values=False)
    assert '"records":[]' in page.html
    opened = browse(page, "#step=10&dir=back")
    assert "left out" in opened.text("#panel") and opened.errors == []


def test_nan_and_infinities_are_shown(browse):
    x = tg.Tensor([np.nan, np.inf, -np.inf, 1.0], requires_grad=True, name="x")
    opened = browse(viz.explore(np.sum(x * 1.0)))
    assert opened.page.locator("#panel td").all_inner_texts() == ["NaN", "∞", "−∞", "1"]
    assert "3 not finite" in opened.text("#panel") and opened.errors == []


def test_where_nothing_is_finite_no_minimum_and_no_norm_is_made_up(browse):
    x = tg.Tensor(np.full(80, np.nan), requires_grad=True, name="x")
    opened = browse(viz.explore(np.sum(x * x)), "#step=100&dir=back")
    assert "min NaN, mean NaN, max NaN, norm NaN; 80 not finite" in opened.text("#panel .tensor")
    row = opened.page.locator("#panel .arrivals li").first.inner_text()
    assert "norm NaN; 80 not finite" in " ".join(row.split())


def test_the_gradients_of_the_gates_of_three_units_stand_as_numbers(browse):
    w = tg.Tensor(np.linspace(-1, 1, 24).reshape(2, 12), requires_grad=True, name="w")
    opened = browse(viz.explore(np.sum(w * w)), "#step=100&dir=back", width=320)
    np.testing.assert_array_equal(opened.numbers("#panel .tensor"), 2 * np.linspace(-1, 1, 24))
    assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_scripts_there_is_a_still_picture(browse, hello):
    opened = browse(hello, java_script_enabled=False)
    assert opened.page.locator("noscript svg, #graph svg rect").count() > 10
    assert "softmax" in opened.page.content()


def test_in_a_notebook_two_pages_live_side_by_side(browse, hello):
    outputs = [hello._repr_html_(), hello._repr_html_()]
    names = [re.search(r'id="([^"]+)"', output)[1] for output in outputs]
    assert len(set(names)) == 2
    opened = browse(f"<!doctype html><html data-ready='1'><body>{''.join(outputs)}</body></html>")
    frames = [opened.page.frame_locator(f"#{name}") for name in names]
    for frame in frames:
        frame.locator("#where").wait_for()
    frames[0].locator("#next").click()
    assert [frame.locator("#where").inner_text().split(" /")[0] for frame in frames] == ["forward 2", "forward 1"]
    assert opened.errors == []


def test_the_walk_is_saved_as_gif_and_as_frames(browse, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="a GIF is read by Pillow")
    opened = browse(viz.explore(np.tanh(tg.Tensor([0.5, -0.5], requires_grad=True, name="x")).sum()))
    opened.page.locator("#export").click()
    for button, name in (("#save-gif", "walk.gif"), ("#save-frames", "frames.zip"), ("#save-picture", "step.png")):
        with opened.page.expect_download() as download:
            opened.page.locator(button).click()
        download.value.save_as(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "frames.zip") as frames, image.open(tmp_path / "walk.gif") as gif:
        assert frames.testzip() is None
        assert gif.n_frames == len(frames.namelist()) == 6
        gif.seek(gif.n_frames - 1)
        assert len(np.unique(np.asarray(gif.convert("RGB")).reshape(-1, 3), axis=0)) > 50
    with image.open(tmp_path / "step.png") as picture:
        assert picture.size[0] == 1600
