"""Make the gallery: every picture of these pages again, and the page that shows them.

python docs/gallery.py             # all of it; needs the extras viz and oracle, and Chromium for the page's views
python docs/gallery.py --text      # docs/gallery.md alone
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
CHAPTERS = {
    ("Cells as a textbook draws them", "examples/draw_cells.py", "viz.draw_cell(cell)"): {
        "cells/readme.svg": "The cell of the README",
        "cells/rnn.svg": "The plain recurrent cell",
        "cells/lstm.svg": "Long short-term memory",
        "cells/gru.svg": "The gated recurrent unit",
        "cells/lstm_with_peepholes.svg": "An LSTM whose gates see the memory cell",
    },
    ("Graphs that stay readable", "examples/drawings.py", "viz.draw(layer, x)"): {
        "drawings/folded.svg": "An LSTM over 700 steps, folded: 10,000 operations",
        "drawings/unrolled.svg": "A GRU in both directions, unrolled, a cell in a box",
        "drawings/modules.svg": "A character model and its loss, a module in a box",
        "drawings/alternating.svg": "A hand-written loop in which two weights take turns",
        "drawings/gradients.svg": "The gradients beside the forward pass",
        "drawings/vanishing.svg": "Gradients that vanish",
    },
    ("A page to step through", "docs/pictures/page.py", 'viz.explore(loss, "page.html")'): {
        "page/hello-open-usual.png": "A network reads 'hello': the backward pass, node by node",
        "page/hello-dark-usual.png": "The same in the dark",
        "page/lstm-folded-usual.png": "An LSTM over 50 steps, time folded",
        "page/lstm-weight-usual.png": "All 50 contributions to the gradient of one weight, and their sum",
        "page/hello-narrow.png": "On a screen of 320 pixels",
    },
    ("Through time", "examples/through_time.py", "viz.gradient_flow(layers, x)"): {
        "through_time/cells.svg": "What reaches the states, and how far back inputs matter: RNN, LSTM, GRU",
        "through_time/before_and_after.svg": "The same before and after training",
        "through_time/gates.png": "Gates and states over a text, and how often gates are saturated",
        "through_time/neurons.svg": "Neurons ranked by what they follow in the text",
        "through_time/training.png": "A training: loss, gradients, updates, activations",
    },
}


def text() -> str:
    """Return the page."""
    parts = ["# Gallery", "Every picture comes from a script in the repository; `python docs/gallery.py` runs all."]
    for (title, script, call), pictures in CHAPTERS.items():
        parts += [f"## {title}", f"`{call}`; made by `{script}`."]
        parts += [f"**{caption}**\n\n![{caption}](pictures/{picture})" for picture, caption in pictures.items()]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Run the scripts, then write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--text", action="store_true", help="write the page alone")
    if not parser.parse_args().text:
        for _, script, _ in CHAPTERS:
            print(script, flush=True)
            subprocess.run([sys.executable, script], cwd=DOCS.parent, check=True)
    (DOCS / "gallery.md").write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
