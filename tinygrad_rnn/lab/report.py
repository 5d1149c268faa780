"""The sections of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..nn import Cell
from . import charts
from .anatomy import anatomy
from .charts import Line
from .comparison import margin_of
from .memory import MOMENTS
from .outcomes import PARAMETERS, TIME, Cells
from .page import Column, Html, chart, heading, page, paragraph, preformatted, sentences, side_by_side, table
from .plan import BATCH_SIZE, Plan, as_text
from .rows import Rows
from .statistics import median_interval
from .subject import FEATURES, small
from .verdict import Sentence

_METHOD = (
    "Every seed is a repetition of the whole procedure: all learning rates are tried, validation chooses one of "
    "them and its best moment, and the test is taken once, with these weights. No two cells share random numbers, "
    "so the seeds of two cells are independent samples. Their test errors are compared by the exact rank-sum test; "
    "a trial that fails ranks last. The p-values of all comparisons of a question are corrected by Holm's method. A "
    "difference is told at 0.05; one whose interval lies within the margin is less than counts. No difference is "
    "told where the 95 % interval of the shift (Hodges and Lehmann), which is not corrected, lies within the "
    "margin, a tenth of the error of a trivial predictor. Otherwise it cannot be told, and the number of seeds that "
    "would tell is estimated. A cell has learnt nothing where the median of its test errors is not below that of a "
    "trivial predictor by the margin."
)


def report_page(plan: Plan, rows: Rows, outcomes: Mapping[str, Cells], verdict: Sequence[Sentence], folder: str) -> str:
    """Return the HTML page.

    Args:
        plan: of the study.
        rows: all that was found.
        outcomes: by question.
        verdict: the five sentences.
        folder: of the study, by its name.
    """
    first, *others = (cell.label for cell in plan.settings.cells)
    tasks = ", ".join(named.label for named in plan.settings.tasks)
    cell = small(plan.settings.cells[0])
    sections = {
        "Verdict": [sentences(verdict), paragraph("Rows are those of report.csv, which lies beside this page.")],
        "Conformance": _conformance(rows),
        f"{first} from inside": [
            paragraph(f"At a small size, {_small_size(cell)}{FEATURES} features: larger ones look the same."),
            *anatomy(cell, FEATURES),
            *_costs(rows),
        ],
        "The plan": [preformatted(as_text(plan)), paragraph(_METHOD)],
        "At equal parameters": _question(plan, rows, outcomes[PARAMETERS], PARAMETERS),
        "At equal time": [
            paragraph(
                "Every cell gets as much time of the processor as the fastest one takes for all of its steps, by the "
                "time that a step of each was measured to take."
            ),
            table(
                rows.all(table="pace"),
                [
                    Column("task", lambda row: row["task"]),
                    Column("cell", lambda row: row["cell"]),
                    Column("processor seconds a step", lambda row: row["value"]),
                ],
            ),
            *_question(plan, rows, outcomes[TIME], TIME),
        ],
        "Learning rates": _rates(rows),
        "Memory": _memory(plan, rows, outcomes[PARAMETERS]),
        "Speed": _speed(rows),
        "Trials that failed": _failures(rows),
    }
    return page(f"{first} against {', '.join(others)}", f"On {tasks}. Study {folder}.", sections)


def _small_size(cell: Cell) -> str:
    size = getattr(cell, "hidden_size", None)
    return f"hidden_size {size} and " if isinstance(size, int) else ""


def _conformance(rows: Rows) -> list[Html]:
    found: list[Html] = []
    for label in dict.fromkeys(row["cell"] for row in rows.all(table="check")):
        found.append(heading(label))
        found.append(
            table(
                [*rows.all(table="check", cell=label), *rows.all(table="checks", cell=label)],
                [
                    Column("check", lambda row: row.get("measure", "passed")),
                    Column("result", lambda row: row["answer"] if "measure" in row else row["value"]),
                    Column("what was found", lambda row: row["note"]),
                ],
            )
        )
    return found


def _costs(rows: Rows) -> list[Html]:
    columns = [
        Column("cell", lambda row: row["cell"]),
        Column("task", lambda row: row.get("task", "")),
        Column("what", lambda row: row["measure"]),
        Column("number", lambda row: row["value"]),
        Column("", lambda row: row.get("note", "")),
    ]
    return [heading("What a step costs"), table([*rows.all(table="size"), *rows.all(table="cost")], columns)]


def _question(plan: Plan, rows: Rows, cells: Cells, question: str) -> list[Html]:
    settings = plan.settings
    level = median_interval([0.0] * settings.seeds)[2]
    caption = (
        "Validation error while learning, with the learning rate that validation chose: the median of "
        f"{settings.seeds} seeds, and a band that holds the median of all seeds with a chance of {level:.3f}."
    )
    found = [
        paragraph(f"From and to: an interval that holds the median of all seeds with a chance of {level:.3f}."),
        table(
            [*rows.all(table="ranking", question=question), *rows.all(table="standing", question=question)],
            [
                Column("task", lambda row: row.get("task", "all")),
                Column("cell", lambda row: row["cell"]),
                Column("measure", lambda row: row["measure"]),
                Column("value", lambda row: row["value"]),
                Column("from", lambda row: row.get("low")),
                Column("to", lambda row: row.get("high")),
                Column("place", lambda row: row["answer"]),
                Column("", lambda row: row.get("note", "")),
            ],
        ),
        heading("Comparisons"),
        table(
            rows.all(table="comparison", question=question),
            [
                Column("task", lambda row: row["task"]),
                Column("against", lambda row: row["against"]),
                Column("answer", lambda row: row["answer"]),
                Column("shift of the error", lambda row: row["value"]),
                Column("from", lambda row: row["low"]),
                Column("to", lambda row: row["high"]),
                Column("p", lambda row: row["p"]),
                Column("corrected", lambda row: row["p_holm"]),
                Column("", lambda row: row["note"]),
            ],
        ),
    ]
    found += [chart(_shifts(plan, rows, question, task)) for task in range(len(settings.tasks))]
    lines = [_learning(plan, cells, question, task) for task in range(len(settings.tasks))]
    return [*found, heading("Learning curves"), paragraph(caption), side_by_side(lines)]


def _shifts(plan: Plan, rows: Rows, question: str, task: int) -> str:
    named, first = plan.settings.tasks[task], plan.settings.cells[0].label
    found = rows.all(table="comparison", question=question, task=named.label)
    errors = [row["value"] for row in rows.all(table="standing", question=question, task=named.label)]
    return charts.intervals(
        f"{named.label}: by how much the test error of {first} lies above the other's",
        [(row["against"], row["low"], row["value"], row["high"]) for row in found],
        margin_of(named, errors),
        (f"{first} is better", "the other is better"),
    )


def _learning(plan: Plan, cells: Cells, question: str, task: int) -> str:
    """Return the chart of learning curves of a task: over sequences, or over time."""
    named, lines = plan.settings.tasks[task], {}
    for number, cell in enumerate(plan.settings.cells):
        curves = [outcome.curve for (t, c, _), outcome in cells.items() if (t, c) == (task, number) and outcome.curve]
        scale = BATCH_SIZE if question == PARAMETERS else plan.paces[task][number]["processor"]
        x = [step * scale for step, _ in curves[0]] if curves else []
        lines[cell.label] = _line(x, [[y for _, y in curve] for curve in curves])
    x_name = "sequences" if question == PARAMETERS else "seconds of training"
    return charts.curves(named.label, lines, x_name, named.task.measures or "error", _baseline(plan, task))


def _line(x: Sequence[float], curves: Sequence[Sequence[float]]) -> Line:
    bands = [median_interval(values)[:2] for values in zip(*curves, strict=True)]
    middle = [float(np.median(values)) for values in zip(*curves, strict=True)]
    return Line(x, middle, [low for low, _ in bands], [high for _, high in bands])


def _baseline(plan: Plan, task: int) -> tuple[str, float] | None:
    try:
        return "trivial predictor", float(plan.settings.tasks[task].task.baseline().error)
    except NotImplementedError:
        return None


def _rates(rows: Rows) -> list[Html]:
    """Return how often each learning rate was chosen, and a word where the grid ends too early."""
    columns = [
        Column("question", lambda row: row["question"]),
        Column("task", lambda row: row["task"]),
        Column("cell", lambda row: row["cell"]),
        Column("learning rate", lambda row: row["learning_rate"]),
        Column("seeds that chose it", lambda row: row["value"]),
        Column("", lambda row: row["answer"]),
    ]
    words = (
        "Where most seeds chose the least or the greatest one, others beyond it may be better: give them with "
        "--learning-rates."
    )
    return [paragraph(words), table([row for row in rows.all(table="rate") if row["value"]], columns)]


def _memory(plan: Plan, rows: Rows, cells: Cells) -> list[Html]:
    pictures = []
    for task, named in enumerate(plan.settings.tasks):
        for moment in MOMENTS:
            lines = {}
            for number, cell in enumerate(plan.settings.cells):
                found = [
                    [max(value or 0.0, 1e-6) for value in outcome.memory[moment]["horizon"]]
                    for (t, c, _), outcome in cells.items()
                    if (t, c) == (task, number) and outcome.memory is not None
                ]
                lines[cell.label] = _line(range(len(found[0]) if found else 0), found)
            pictures.append(
                charts.curves(f"{named.label}, {moment}", lines, "lag in steps", "relative gradient", ("1 %", 0.01))
            )
    columns = [
        Column("task", lambda row: row["task"]),
        Column("cell", lambda row: row["cell"]),
        Column("", lambda row: row["measure"]),
        Column("steps, median", lambda row: row["value"]),
        Column("least", lambda row: row["low"]),
        Column("most", lambda row: row["high"]),
    ]
    words = (
        "How large the gradient of an output by the input so many steps before is, relative to the greatest; the reach "
        "is the last lag at which it is 1 % or more. No lag is greater than the sequences are long."
    )
    return [paragraph(words), table(rows.all(table="memory"), columns), side_by_side(pictures)]


def _speed(rows: Rows) -> list[Html]:
    timed = rows.all(table="speed")
    engines = list(dict.fromkeys(row["measure"] for row in timed))
    labels = list(dict.fromkeys(row["cell"] for row in timed))

    def of(engine: str) -> dict[str, float | None]:
        found = {row["cell"]: row["value"] for row in timed if row["measure"] == engine}
        return {label: None if found.get(label) is None else 1000 * found[label] for label in labels}

    title = f"Forward and backward of a batch of {timed[0]['task']}, on one core"
    bars = charts.bars(title, {engine: of(engine) for engine in engines}, "ms")
    columns = [
        Column("task", lambda row: row["task"]),
        Column("cell", lambda row: row["cell"]),
        Column("engine", lambda row: row["measure"]),
        Column("seconds", lambda row: row["value"]),
        Column("", lambda row: row["note"]),
    ]
    return [chart(bars), table(timed, columns)]


def _failures(rows: Rows) -> list[Html]:
    failed = rows.all(table="trial", answer="failed")
    counted = rows.all(table="trials")
    columns = [
        Column("", lambda row: row["answer"]),
        Column("task", lambda row: row.get("task", "all")),
        Column("cell", lambda row: row.get("cell", "all")),
        Column("seed", lambda row: row.get("seed")),
        Column("learning rate", lambda row: row.get("learning_rate")),
        Column("why", lambda row: row.get("note", f"of {row.get('high')}")),
    ]
    return [table([*counted, *failed], columns)]
