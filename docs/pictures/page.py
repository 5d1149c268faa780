"""Take the pictures of the page that the docs show, in Chromium, at three sizes: python docs/pictures/page.py"""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.viz.page import explore_text

HERE = Path(__file__).parent / "page"
SIZES = {"narrow": (320, 700), "usual": (1280, 800), "wide": (3840, 2160)}


def lstm():
    """Return the page of an LSTM over 50 steps, batch 8, hidden 128."""
    tg.random.seed(0)
    layer = nn.LSTM(128, 128)
    y, _ = layer(np.random.default_rng(0).normal(size=(50, 8, 128)).astype(np.float32))
    loss = np.mean(y * y)
    loss.name = "loss"
    return viz.explore(loss, title="An LSTM over 50 steps, batch 8, hidden 128")


def take(browser: Browser, page: Path, name: str, place: str, sizes: list[str], **settings: str) -> None:
    """Save the view at a place of a page, at some sizes, in 128 colours."""
    for size in sizes:
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        tab = context.new_page()
        tab.goto(page.as_uri() + place)
        tab.wait_for_selector("html[data-ready]", state="attached")
        tab.wait_for_timeout(500)
        picture = Image.open(io.BytesIO(tab.screenshot())).convert("RGB").quantize(128)
        file = HERE / f"{name}-{size}.png"
        picture.save(file, optimize=True)
        print(f"{file.name}: {file.stat().st_size / 1024:.0f} KB")
        context.close()


def main() -> None:
    """Make the pages and take the pictures."""
    every = list(SIZES)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        hello, large = Path(folder) / "hello.html", Path(folder) / "lstm.html"
        explore_text("hello").save(hello)
        lstm().save(large)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        take(browser, hello, "hello", "#step=30&dir=back", every)
        take(browser, hello, "hello-dark", "#step=30&dir=back", ["usual"], color_scheme="dark")
        take(browser, hello, "hello-open", "#step=24&dir=back&time=unroll&closed=", ["usual", "wide"])
        take(browser, large, "lstm-folded", "#step=300&dir=back", every)
        take(browser, large, "lstm-weight", "#step=10000&dir=back", ["usual"])
        take(browser, large, "lstm-unrolled", "#step=300&dir=back&time=unroll", ["usual", "wide"])
        browser.close()


if __name__ == "__main__":
    main()
