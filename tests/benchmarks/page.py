"""How large the page of an LSTM is, and how long it takes to make it and to open it in Chromium.

    python -m tests.benchmarks.page [--steps 50 --batch 8 --hidden 128] [--rounds 7]

A page counts as open once it says that it is ready: everything is laid out and painted, and the keys work. Each round
opens the file in a browser context of its own, so that nothing is cached.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from playwright.sync_api import sync_playwright

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz

MEGABYTE = 1_000_000


def loss_of(steps, batch, hidden):
    """Return the loss of an LSTM on random inputs."""
    tg.random.seed(0)
    x = np.random.default_rng(0).normal(size=(steps, batch, hidden)).astype(np.float32)
    y, _ = nn.LSTM(hidden, hidden)(x)
    return np.mean(y * y)


def opened(file, rounds):
    """Return the seconds from the address to the ready page, one for each round, and what the page complained of."""
    times, complaints = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for _ in range(rounds):
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            tab = context.new_page()
            tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
            start = time.perf_counter()
            tab.goto(file.as_uri())
            tab.wait_for_selector("html[data-ready]", state="attached")
            tab.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            times.append(time.perf_counter() - start)
            context.close()
        browser.close()
    return times, complaints


def main():
    """Print size and times of the page with its values, and without."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("steps", 50), ("batch", 8), ("hidden", 128), ("rounds", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    loss = loss_of(options.steps, options.batch, options.hidden)
    print(f"an LSTM over {options.steps} steps, batch {options.batch}, hidden {options.hidden}")
    print(f"{'':>12} {'size':>9} {'made in':>9} {'opens in':>10} {'slowest':>9}")
    for values in (True, False):
        start = time.perf_counter()
        page = viz.explore(loss, values=values)
        made = time.perf_counter() - start
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "page.html"
            page.save(file)
            size = file.stat().st_size / MEGABYTE
            times, complaints = opened(file, options.rounds)
        print(
            f"{'values' if values else 'no values':>12} {size:>6.2f} MB {made:>7.2f} s {median(times):>8.2f} s "
            f"{max(times):>7.2f} s" + "".join(f"\n    {text}" for text in complaints)
        )


if __name__ == "__main__":
    main()
