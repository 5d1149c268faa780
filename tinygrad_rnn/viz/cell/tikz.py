"""TikZ: a figure as the source of a LaTeX document of one picture."""

from __future__ import annotations

from .model import (
    ARROW_LENGTH,
    ARROW_WIDTH,
    LINE_WIDTH,
    OUTLINE_WIDTH,
    SUBSCRIPT,
    TEXT_SIZE,
    Arrow,
    Cross,
    Dot,
    Figure,
    Item,
    Line,
    Point,
    Shape,
    Text,
)
from .strokes import DOT, FILLS, ROUNDING, arrow_corners, cross_strokes, line_commands

_POINTS = 72.27 / 25.4
_ESCAPED = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
} | {letter: f"\\{letter}" for letter in "#$%&_{}"}
_GREEK = "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ"
_GREEK_NAMES = (
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon varphi chi "
    "psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
)
_MATHEMATICS = {
    "−": "-",
    "×": r"\times",
    "√": r"\surd",
    "…": r"\ldots",
    "·": r"\cdot",
} | {letter: f"\\{name}" for letter, name in zip(_GREEK, _GREEK_NAMES.split(), strict=True)}


def tikz(figure: Figure) -> str:
    """Write a figure as a document that pdflatex, lualatex and xelatex compile.

    Letters beyond ASCII, Greek and the signs of the figure are written as "?": which others there are depends on the
    fonts of the document.

    Args:
        figure: what to write.
    """
    head = [
        r"\documentclass{article}",
        rf"\usepackage[paperwidth={_n(figure.width)}mm, paperheight={_n(figure.height)}mm, margin=0mm]{{geometry}}",
        r"\usepackage{tikz}",
        r"\pagestyle{empty}",
        r"\topskip=0pt \parindent=0pt",
        r"\begin{document}",
        rf"\begin{{tikzpicture}}[x=1mm, y=-1mm, line width={_n(LINE_WIDTH)}mm, line join=round]",
        rf"\definecolor{{gate}}{{HTML}}{{{FILLS['gate'][1:].upper()}}}",
        rf"\definecolor{{box}}{{HTML}}{{{FILLS['box'][1:].upper()}}}",
        rf"\path[use as bounding box] (0, 0) rectangle {_point((figure.width, figure.height))};",
    ]
    # The picture is as large as its page, and must not be pushed to the next one.
    return "\n".join([*head, *map(_item, figure.items), r"\end{tikzpicture}\vspace*{-2mm}", r"\end{document}", ""])


def _item(item: Item) -> str:
    if isinstance(item, Line):
        return rf"\draw {_path(item)};"
    if isinstance(item, Dot):
        return rf"\fill {_point(item.centre)} circle[radius={DOT}mm];"
    if isinstance(item, Arrow):
        return rf"\fill {' -- '.join(map(_point, arrow_corners(item, ARROW_LENGTH, ARROW_WIDTH)))} -- cycle;"
    if isinstance(item, Cross):
        return rf"\draw {' '.join([f'{_point(a)} -- {_point(b)}' for a, b in cross_strokes(item)])};"
    return _shape(item) if isinstance(item, Shape) else _text(item)


def _shape(shape: Shape) -> str:
    (x, y), half, tall = shape.centre, shape.width / 2, shape.height / 2
    fill = shape.kind if shape.kind in ("gate", "box") else "white"
    radius = ROUNDING.get(shape.kind, tall)
    rounded = f", rounded corners={_n(radius)}mm" if radius else ""
    if shape.kind == "circle":
        return (
            rf"\draw[fill={fill}, line width={_n(OUTLINE_WIDTH)}mm] {_point(shape.centre)} circle[radius={_n(tall)}mm];"
        )
    corners = f"{_point((x - half, y - tall))} rectangle {_point((x + half, y + tall))}"
    return rf"\draw[fill={fill}, line width={_n(OUTLINE_WIDTH)}mm{rounded}] {corners};"


def _text(text: Text) -> str:
    anchor = {"start": "base west", "middle": "base", "end": "base east"}[text.anchor]
    pieces = "".join([_run(piece, style) for piece, style in text.runs])
    size = TEXT_SIZE * _POINTS
    font = rf"\fontsize{{{_n(size)}}}{{{_n(size * 1.2)}}}\selectfont"
    return rf"\node[anchor={anchor}, inner sep=0pt, outer sep=0pt, font={font}] at {_point(text.at)} {{{pieces}}};"


def _run(piece: str, style: str) -> str:
    letters = "".join([_letter(letter) for letter in piece])
    if style.endswith("italic"):
        letters = rf"\textit{{{letters}}}"
    if style.startswith("su"):
        size = TEXT_SIZE * SUBSCRIPT * _POINTS
        raised = -0.22 if style.startswith("sub") else 0.35
        letters = (
            rf"\raisebox{{{_n(raised * TEXT_SIZE)}mm}}{{\fontsize{{{_n(size)}}}{{{_n(size)}}}\selectfont {letters}}}"
        )
    return letters


def _letter(letter: str) -> str:
    if letter in _MATHEMATICS:
        return f"${_MATHEMATICS[letter]}$"
    return _ESCAPED.get(letter, letter if " " <= letter <= "~" else "?")


def _path(line: Line) -> str:
    found = []
    for letter, points in line_commands(line):
        if letter == "C":
            found.append(f".. controls {_point(points[0])} and {_point(points[1])} .. {_point(points[2])}")
        else:
            found.append(f"{'-- ' * (letter == 'L')}{_point(points[0])}")
    return " ".join(found)


def _point(point: Point) -> str:
    return f"({_n(point[0])}, {_n(point[1])})"


def _n(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
