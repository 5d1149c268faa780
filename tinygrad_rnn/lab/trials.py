"""Jobs that are done once: results that are there already are read, the others are worked for, with the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from tqdm import tqdm

from .folder import Folder
from .jobs import Job, Result
from .plan import duration
from .processes import done

Say = Callable[[str], None]
_NEAREST, _FARTHEST = 5.0, 60.0  # seconds between two lines of progress
_TRUST = 0.1  # in the time that was expected, as a share of the work: processes begin slowly


def carry_out(jobs: Sequence[Job], folder: Folder | None, processes: int, what: str, say: Say) -> dict[str, Result]:
    """Return the results of jobs by their names; each is written down as soon as it is there.

    Args:
        jobs: what is to be done; those whose results the folder holds are not done again.
        folder: of the study; None to write nothing down.
        processes: how many at a time.
        what: the jobs are called, such as "trials".
        say: prints a line.
    """
    found = {job.name: result for job in jobs if folder and (result := folder.result(job)) is not None}
    missing = [job for job in jobs if job.name not in found]
    if found and missing:
        say(f"{len(found)} of {len(jobs)} {what} are there already.")
    with _Meter(missing, what, min(processes, max(1, len(missing))), say) as meter:
        for event in done(missing, processes) if missing else ():
            if event.result is not None:
                if folder:
                    folder.keep(event.job, event.result)
                found[event.job.name] = event.result
            meter.hear(event.job, event.share, event.result)
    # What was read has null for what is not finite, and so has what was just worked for.
    return {job.name: (folder and folder.result(job)) or found[job.name] for job in jobs}


class _Meter:
    """Shows what share of the work is done and how much time is left: a bar on a terminal, otherwise some ten lines."""

    def __init__(self, jobs: Sequence[Job], what: str, processes: int, say: Say) -> None:
        self._jobs, self._what, self._say = len(jobs), what, say
        self._total = sum(job.work for job in jobs)
        self._expected = self._total / processes
        self._shares: dict[str, float] = {}
        self._done = self._ended = self._failed = 0.0
        self._begun = time.monotonic()
        self._next = _NEAREST
        self._bar = (
            tqdm(
                total=100.0,
                desc=what,
                bar_format="{desc} {percentage:3.0f} %|{bar}| {elapsed} gone, {remaining} left{postfix}",
                leave=False,
            )
            if sys.stderr.isatty() and jobs
            else None
        )

    def __enter__(self) -> _Meter:
        return self

    def __exit__(self, *details: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def hear(self, job: Job, share: float, result: Result | None) -> None:
        """Take note of how far a job is."""
        self._done += job.work * (share - self._shares.get(job.name, 0.0))
        self._shares[job.name] = share
        if result is not None:
            self._ended += 1
            self._failed += result["failure"] is not None
        done = self._done / self._total if self._total else 1.0
        if self._bar is not None:
            self._bar.set_postfix_str(self._counts(), refresh=False)
            self._bar.update(100 * done - self._bar.n)
            return
        gone = time.monotonic() - self._begun
        if done > 0 and gone >= self._next and self._ended < self._jobs:
            whole = (gone + _TRUST * self._expected) / (done + _TRUST)
            self._next = gone + min(max(_NEAREST, whole / 10), _FARTHEST)
            left = whole * (1 - done)
            self._say(f"{self._what}: {done:.0%} done, about {duration(left)} left; {self._counts()}")

    def _counts(self) -> str:
        failed = f", {self._failed:.0f} failed" if self._failed else ""
        return f"{self._ended:.0f} of {self._jobs}{failed}"
