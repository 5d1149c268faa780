"""The rows of a recording while it grows: added one by one, thinned where there are too many, kept in checkpoints."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..viz.through_time.recording import Recording, histogram, steps_between, widened

BINS = 64
MOST = 256

_KINDS: dict[str, type] = {
    "steps": int,
    "loss": float,
    "seen": int,
    "gradient": float,
    "gradients": float,
    "ratios": float,
    "counts": np.int32,
}


class Rows:
    """At most 256 rows; where there would be more, every second one is dropped, and its losses go into the next mean.

    Attributes:
        apart: a row is due at every step that is a multiple of it.

    Example:
        >>> from tinygrad_rnn.train.rows import Rows
        >>> rows = Rows()
        >>> for step in (1, 2):
        ...     rows.gather(loss=1 / step)
        ...     rows.add({"steps": step, "gradient": 1.0, "gradients": [1.0], "ratios": [0.1]}, [])
        >>> rows.columns()["loss"].tolist()
        [1.0, 0.5]
        >>> rows.thin()
        >>> rows.columns()["loss"].tolist()
        [0.75]
    """

    def __init__(self) -> None:
        self.apart = 1
        self._sum, self._count = 0.0, 0  # of the losses since the last row
        # A row is one object that is added at once: a training may be stopped at any moment.
        self._rows: list[dict[str, Any]] = []
        self._ranges: list[float] = []

    def __len__(self) -> int:
        return len(self._rows)

    def gather(self, loss: float) -> None:
        """Take the loss of a step into the mean of the next row."""
        self._sum += loss
        self._count += 1

    def add(self, row: dict[str, Any], parts: list[np.ndarray]) -> None:
        """Add a row, with the histograms of the parts of the state; a range that does not hold them is doubled.

        Args:
            row: the columns that are measured after this step.
            parts: arrays of floats.
        """
        self._ranges = self._ranges or [1.0 for _ in parts]
        for number, part in enumerate(parts):
            greatest = np.abs(part, where=np.isfinite(part), out=np.zeros_like(part)).max(initial=0)
            while greatest > self._ranges[number]:
                self._ranges[number] *= 2
                for earlier in self._rows:
                    earlier["counts"][number] = widened(earlier["counts"][number])
        counts = [histogram(part, reach, BINS) for part, reach in zip(parts, self._ranges, strict=True)]
        mean = {"loss": self._sum / self._count, "seen": self._count}
        self._rows.append(row | mean | {"counts": np.array(counts, np.int32).reshape(len(parts), BINS)})
        self._sum, self._count = 0.0, 0
        while len(self._rows) > MOST:
            self.thin()

    def thin(self) -> None:
        """Drop every second row; its losses go into the mean of the row after it, be that yet to come."""
        self.apart *= 2
        kept, total, seen = [], 0.0, 0
        for row in self._rows:
            total, seen = total + row["loss"] * row["seen"], seen + row["seen"]
            if row["steps"] % self.apart == 0:
                kept.append(row | {"loss": total / seen, "seen": seen})
                total, seen = 0.0, 0
        self._rows, self._sum, self._count = kept, self._sum + total, self._count + seen

    def columns(self) -> dict[str, np.ndarray]:
        """Return the rows as columns, with their histograms (rows, parts, bins) and what those range over (parts,)."""
        count, parts = len(self._rows), len(self._ranges)
        columns: dict[str, np.ndarray] = {
            name: np.array([row[name] for row in self._rows], kind) for name, kind in _KINDS.items()
        }
        columns["counts"] = columns["counts"].reshape(count, parts, BINS)
        return columns | {"ranges": np.array(self._ranges)}

    @classmethod
    def up_to(cls, step: int, recording: Recording) -> Rows:
        """Return the rows of a recording up to a step; those to come are as far apart as the most steps in a mean."""
        rows, is_kept = cls(), recording.steps <= step
        columns = {name: getattr(recording, name)[is_kept] for name in _KINDS}
        rows._fill(columns | {"ranges": recording.ranges})
        most = max((row["seen"] for row in rows._rows), default=1)
        while rows.apart < most:
            rows.apart *= 2
        return rows

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, and the loss gathered since the last of them."""
        columns = self.columns()
        counts = np.ascontiguousarray(columns.pop("counts").swapaxes(0, 1))
        ranges = columns.pop("ranges").tolist()
        gathered = {"apart": self.apart, "sum": self._sum, "count": self._count}
        return gathered | {"rows": columns, "counts": counts, "ranges": ranges}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the rows that `state_dict` returned."""
        self.apart, self._sum, self._count = int(state["apart"]), float(state["sum"]), int(state["count"])
        rows, ranges = state["rows"], state["ranges"]
        counts = np.array(state["counts"], np.int32).reshape(len(ranges), len(rows["steps"]), BINS).swapaxes(0, 1)
        self._fill({"seen": steps_between(rows["steps"]), **rows, "counts": counts, "ranges": ranges})

    def _fill(self, columns: dict[str, Any]) -> None:
        typed: dict[str, np.ndarray] = {name: np.array(columns[name], kind) for name, kind in _KINDS.items()}
        self._ranges = [float(reach) for reach in columns["ranges"]]
        self._rows = [{name: column[number] for name, column in typed.items()} for number in range(len(typed["steps"]))]
