"""Looks: how each kind of thing in a drawing is told apart, by outline in print and by colour on a screen."""

from __future__ import annotations

Attributes = dict[str, str]

# The colours are Okabe and Ito's, which every kind of colour vision tells apart; outlines differ as well, for print.
# The letters of these two are equally wide, so that a file laid out with one fits where it is shown with the other.
FONT = "Verdana,DejaVu Sans,sans-serif"
GRAPH = {"bgcolor": "white", "fontname": FONT, "fontsize": "10", "nodesep": "0.22", "ranksep": "0.28", "pad": "0.1"}
NODE = {"fontname": FONT, "fontsize": "13", "margin": "0.09,0.04", "height": "0.3", "width": "0.46"}
EDGE = {"arrowsize": "0.55", "color": "#333333", "fontname": FONT, "fontsize": "8", "fontcolor": "#333333"}
KINDS: dict[str, Attributes] = {
    "operation": {"shape": "box", "style": "rounded,filled", "fillcolor": "white", "color": "#444444"},
    "parameter": {
        "shape": "box",
        "style": "filled",
        "fillcolor": "#d7e9f7",
        "color": "#0072b2",
        "fontsize": "10",
    },
    "input": {"shape": "ellipse", "style": "filled", "fillcolor": "#d9f2e8", "color": "#009e73", "penwidth": "1.5"},
    "state": {
        "shape": "cylinder",
        "style": "filled",
        "fillcolor": "#f8e7f0",
        "color": "#b0508a",
        "penwidth": "1.5",
        "margin": "0.12,0.06",
    },
    "constant": {"shape": "box", "style": "dotted", "color": "#666666", "fontcolor": "#444444", "fontsize": "9"},
    "output": {
        "shape": "box",
        "style": "rounded,filled",
        "peripheries": "2",
        "color": "#d55e00",
        "fillcolor": "#fdebdc",
        "penwidth": "1.5",
    },
    "loss": {
        "shape": "doubleoctagon",
        "style": "filled",
        "color": "#d55e00",
        "fillcolor": "#f7c9a8",
        "penwidth": "1.5",
    },
    "module": {"shape": "box3d", "style": "filled", "fillcolor": "#f4f4f4", "color": "#444444", "margin": "0.16,0.08"},
    "ellipsis": {"shape": "box", "style": "dashed", "color": "#999999", "margin": "0.2,0.05"},
    "gradient": {"shape": "box", "style": "rounded,filled,dashed", "fillcolor": "white", "color": "#d55e00"},
}
# From the smallest gradient to the largest: light enough for black letters, and the darker the larger in print too.
SMALLEST, LARGEST = "#fff6ee", "#f08e4b"
# Of small print, on white and on a colour.
GREY, INK = "#666666", "#333333"
SHARED = {"style": "filled,dashed"}
FAINT = {"color": "#bbbbbb", "fontcolor": "#999999", "fillcolor": "#f2f2f2", "penwidth": "1"}
PORTS = {"shape": "plain", "style": ""}
EDGES: dict[str, Attributes] = {
    "flow": {},
    "side": {"color": "#999999", "arrowsize": "0.4"},
    "loop": {"color": "#b0508a", "fontcolor": "#8a3068", "penwidth": "1.5", "style": "dashed"},
    "gradient": {"color": "#d55e00", "fontcolor": "#a84a00", "arrowhead": "empty"},
    "gradient loop": {
        "color": "#d55e00",
        "fontcolor": "#a84a00",
        "arrowhead": "empty",
        "penwidth": "1.5",
        "style": "dashed",
    },
}
BOX = {
    "style": "rounded",
    "penwidth": "1",
    "color": "#aaaaaa",
    "fontcolor": "#555555",
    "labeljust": "l",
    "margin": "8",
}
STEP = {"penwidth": "2", "style": "rounded,dashed"}
REPEAT = {"penwidth": "2.5", "color": "#b0508a", "fontcolor": "#8a3068"}
LEGEND = {
    "operation": "operation",
    "parameter": "parameter",
    "input": "input",
    "state": "state",
    "constant": "constant",
    "output": "result",
    "loss": "loss",
    "module": "module, drawn as one",
    "ellipsis": "steps left out",
    "gradient": "gradient",
}
EDGE_LEGEND = {
    "loop": "state carried over",
    "gradient": "gradient handed back",
    "gradient loop": "gradient of a state",
}
